# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Texts for users are plain English: the phrases of the glossary in CONTRIBUTING.md."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import ROOT
from ansible_collections.gonka.devshard.tests.unit.collection.user_texts import (
    PROSE,
    PYTHON,
    task_names,
    texts,
)

# What is refused, how it is found, and what to write instead.
REFUSED = {
    "of before": (r"of before", "previous, earlier"),
    "is no X": (r"(?:is|are|was|were|be) no (?!longer|more)\w+", "is not a X"),
    "so many": (r"so (?:many|much|long) (?:seconds|blocks|ngonka|space)", "this many"),
    "for ever": (r"for ever", "permanently, without end"),
    "the same again": (r"the same again|runs? the same|running the same", "run this again"),
    "nobody": (r"(?<![`'\"])(?:nobody|somebody)(?![`'\"])", "no client, another process"),
    "tell": (r"tells?|told", "report, return, show"),
    "on end": (r"on end", "in a row, continuously"),
    "in vain": (r"in vain", "can no longer succeed"),
    "anew": (r"anew", "again, from scratch"),
    "answers so": (r"answers so", "returns this"),
    "get on": (r"gets? on", "makes progress"),
    "expected no": (r"expected no|no number below", "must not be"),
    "reckon": (r"reckon\w*", "count, take into account"),
    "whoever": (r"whoever", "the caller, the user"),
    "in clear": (r"in clear", "unencrypted"),
    "found out": (r"found out", "detected, determined"),
    "speaks against": (r"speaks? (?:against|for)", "forbids, allows"),
    "Left out,": (r"left out,", "if omitted,"),
    "most time": (r"most (?:time|seconds)", "maximum time, in seconds"),
    "cut off": (r"cut off", "interrupted"),
    "what became of": (r"what (?:became|becomes) of", "the outcome of"),
    "a glance": (r"glances?", "a check, an inspection"),
    "look whether": (r"looks? (?:whether|which)", "check whether"),
    "what was seen": (r"what (?:is|was) (?:seen|asked for)", "the observed, the requested ..."),
    "neither does": (r"neither does", "nor does"),
}
FIRST_WORDS = (
    *("Look", "Ask", "Note", "Say", "Tell", "Take", "Begin", "Let", "Make sure", "See"),
    *("Keep", "Forget", "Give", "Before", "Check that", "Find out", "Work out"),
)
TEXTS = list(texts())


def matches(phrase: str, text: str) -> list[re.Match[str]]:
    """A phrase may go over the end of a line, also of one that begins with a comment."""
    words = REFUSED[phrase][0].replace(" ", r"[\s#]+")
    pattern = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)
    # "there is no" is plain English
    plain = re.compile(r"\bthere[\s#]+$", re.IGNORECASE)
    return [match for match in pattern.finditer(text) if not plain.search(text[: match.start()])]


def occurrences(phrase: str) -> list[str]:
    found = set()
    for path, line, text in TEXTS:
        for match in matches(phrase, text):
            at = line + text.count("\n", 0, match.start())
            around = text[max(0, match.start() - 50) : match.end() + 30]
            found.add(f"{path.relative_to(ROOT)}:{at}: {' '.join(around.split())}")
    return sorted(found)


@pytest.mark.parametrize("phrase", REFUSED)
def test_a_refused_phrase_is_not_used(phrase: str) -> None:
    found = occurrences(phrase)
    better = f"instead of {phrase!r} write {REFUSED[phrase][1]!r}:\n" + "\n".join(found)
    assert not found, better


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("of before", "the slot of before is back"),
        ("of before", "the workers of\n    # before still serve"),
        ("is no X", "it is no private key"),
        ("nobody", "Nobody serves it."),
        ("tell", "it tells why"),
    ],
)
def test_a_refused_phrase_is_found(phrase: str, text: str) -> None:
    assert matches(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("is no X", "there is no default"),
        ("is no X", "none where there\n    is no such container"),
        ("is no X", "it is no longer served"),
        ("nobody", "the value ``nobody``"),
        ("cut off", "cut-off"),
    ],
)
def test_a_plain_phrase_is_not_refused(phrase: str, text: str) -> None:
    assert not matches(phrase, text)


def test_the_walk_covers_every_kind_of_text() -> None:
    kinds = Counter(path.relative_to(ROOT).parts[0] for path, _line, _text in TEXTS)
    assert {"plugins", "roles", "playbooks", "docs", "README.md", "CONTRIBUTING.md"} <= set(kinds)
    assert kinds["plugins"] > 1000
    assert len(list(task_names())) > 300


def test_task_names_say_what_is_done() -> None:
    vague = re.compile(rf"(?:{'|'.join(FIRST_WORDS)})\b")
    found = {f"{path.relative_to(ROOT)}: {name}" for path, name in task_names()}
    assert sorted(line for line in found if vague.match(line.split(": ", 1)[1])) == []


# What an edit of many files at once leaves behind: a name that goes on in a comment, a comment inside a comment.
BROKEN = (
    re.compile(r"(?m)^ *- name: .*[^\s:>|-]\n#.*$"),
    re.compile(r"(?m)^ *# #.*$"),
    re.compile(r"(?m)^ *# .*[a-z,] #(?: .*)?$"),
)


def broken(text: str) -> list[str]:
    return [match[0].strip() for pattern in BROKEN for match in pattern.finditer(text)]


@pytest.mark.parametrize(
    "text",
    [
        "- name: Refuse to\n# remove a storage",
        "# a stream where no\n# # client is left",
        "  # The others continue: one # that is interrupted",
        "# it would take the 404 for #\n# an escrow",
    ],
)
def test_a_broken_name_or_comment_is_found(text: str) -> None:
    assert broken(text)


@pytest.mark.parametrize(
    "text",
    [
        "- name: Refuse it\n  # in check mode\n  when: false",
        "# - name: one\n# - name: two",
        "# see the guide, C#",
        "    a: b  # the one\n    # and the other",
    ],
)
def test_a_whole_name_or_comment_is_not_refused(text: str) -> None:
    assert not broken(text)


def test_no_name_or_comment_is_broken() -> None:
    files = [path for path in (*PROSE, *PYTHON) if path.suffix in (".yml", ".py")]
    assert len(files) > 300
    told = {path: broken(path.read_text(encoding="utf-8")) for path in files}
    assert {str(path.relative_to(ROOT)): lines for path, lines in told.items() if lines} == {}

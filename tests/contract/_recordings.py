# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the real gateway, chain and CLI answered, and how an answer is compared with it."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.gonka.devshard.tests.contract._client import JSON, SSE, Answer
from ansible_collections.gonka.devshard.tests.contract._shape import CHAT, Rules, differences

FOLDER: t.Final = Path(__file__).parent / "recordings"

# what the recordings were made with
MODEL: t.Final = "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"
OTHER_MODEL: t.Final = "moonshotai/Kimi-K2-Instruct"
AMOUNT: t.Final = 5_000_000_000
MAX_AMOUNT: t.Final = 10_000_000_000
STORAGE: t.Final = "/root/.devshardctl"
CHAIN_REST: t.Final = "http://127.0.0.1:1317"
"""What v3 was told as the chain's address."""
ELSEWHERE: t.Final = "/tmp/elsewhere"
"""A folder that is not below the storage folder."""
CREATOR: t.Final = "gonka17cn3h2092t8nec7meke592jzwz6seza8367yt9"
CHAIN_ID: t.Final = "gonka-rig"
NO_ESCROW: t.Final = "999999999999"
"""Stands for the recordings' ids of escrows that do not exist."""

_SEEN_CHAT: t.Final = "[a reply; see gateway-chat.json]"
# the recorder kept these only in some files, so that only a wrong value counts
_PRESENCE: t.Final = (
    "Location",
    "X-Content-Type-Options",
    "Retry-After",
    "X-Request-Id",
    "Cache-Control",
    "Allow",
    "X-Devshard-Readonly",
)


@dataclass(frozen=True)
class Exchange:
    """One recorded request with its answer, or one call of the CLI."""

    file: str
    name: str
    data: Mapping[str, t.Any] = field(repr=False)

    @property
    def id(self) -> str:
        return self.name

    @property
    def request(self) -> Mapping[str, t.Any]:
        found: Mapping[str, t.Any] = self.data["request"]
        return found

    @property
    def response(self) -> Mapping[str, t.Any]:
        found: Mapping[str, t.Any] = self.data["response"]
        return found


def names(folder: str = "") -> list[str]:
    """The recordings of a generation; those of v2 are at the top."""
    return sorted(
        path.relative_to(FOLDER).with_suffix("").as_posix()
        for path in (FOLDER / folder).glob("*.json")
    )


def load(file: str) -> list[Exchange]:
    """A recording in its order."""
    text = (FOLDER / f"{file}.json").read_text(encoding="utf-8")
    return [Exchange(file, item["name"], item) for item in json.loads(text)]


def one(file: str, name: str) -> Exchange:
    (found,) = [item for item in load(file) if item.name == name]
    return found


def between(file: str, first: str, last: str) -> list[Exchange]:
    """A part of a recording, both ends included."""
    names = [item.name for item in load(file)]
    return load(file)[names.index(first) : names.index(last) + 1]


@dataclass(frozen=True)
class Words:
    """The recordings' names for things, in the words of the target."""

    replace: Mapping[str, str]
    """Whole texts or parts of them: models, storage folder, addresses."""
    ids: Mapping[str, str]
    """Escrow ids."""
    numbers: Mapping[int, int]
    """Amounts."""
    prompts: str
    """Makes this run's prompts unlike any other's."""
    models: tuple[str, ...] = (MODEL, OTHER_MODEL)
    """Those that the recordings name."""
    pool: Collection[str] = ()
    """Escrows of which any may answer; empty: the recorded one."""

    def text(self, value: str) -> str:
        for old, new in self.replace.items():
            value = value.replace(old, new)
        return re.sub(r"(?<=escrow-)\d+$", lambda found: self.id(found[0]), value)

    def id(self, value: str) -> str:
        return self.ids.get(value, value)

    def path(self, value: str) -> str:
        """The escrow's id in a path."""
        value = re.sub(
            r"^(/devshard/|/v1/admin/devshards/)(\d+)",
            lambda found: found[1] + self.id(found[2]),
            value,
        )
        return self.text(value)

    def body(self, value: t.Any, key: str = "") -> t.Any:
        if isinstance(value, dict):
            return {name: self.body(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.body(item, key) for item in value]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return self.numbers.get(value, value)
        if isinstance(value, str):
            if key == "id":
                return self.id(value)
            if key == "content":
                return f"{value} {self.prompts}"
            if key == "amount":
                return str(self.numbers.get(int(value), int(value)))
            return self.text(value)
        return value


def plain(text: str) -> str:
    """A text without what differs from run to run."""
    text = re.sub(r"gonka(valcons)?1[0-9a-z]{38,}", "ADDRESS", text)
    text = re.sub(r"\[(<source>|[^\[\]\s]+\.go:\d+)\]", "[SOURCE]", text)
    text = re.sub(r"https?://[^\s\"/]+", "URL", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z| \+0000 UTC)", "TIME", text)
    text = re.sub(r"\b([0-9a-f]{64}|[0-9A-F]{64})\b", "HASH", text)
    return re.sub(r"\d+", "N", text)


def plain_but_models(text: str, models: Mapping[str, str]) -> str:
    """As :func:`plain`, with the models of both sides under one name."""
    for number, (recorded, ours) in enumerate(models.items()):
        name = "MODEL-" + "ab"[number]
        text = text.replace(recorded, name).replace(ours, name)
    return plain(text)


def events(text: str) -> list[str]:
    """The events of a stream, each ``data:`` line followed by an empty one."""
    assert text.endswith("\n\n"), f"the stream ends in the middle: {text[-80:]!r}"
    parts = text.removesuffix("\n\n").split("\n\n")
    assert all(part.startswith("data: ") and "\n" not in part for part in parts), text[:600]
    return [part.removeprefix("data: ") for part in parts]


def compare(
    exchange: Exchange,
    found: Answer,
    words: Words,
    rules: Rules,
    *,
    compare_text: bool = True,
) -> None:
    """Status, headers and the shape of the body; for errors also the words."""
    recorded = exchange.response
    headers: Mapping[str, str] = recorded["headers"]
    assert found.status == recorded["status"] or _redirects(found, recorded), found
    _compare_headers(headers, found, words)
    if exchange.request["method"] == "HEAD":
        assert found.body == b"", found
    elif "json" in recorded:
        _compare_json(recorded, found, words, rules, compare_text=compare_text)
    elif recorded["body"] == _SEEN_CHAT:
        sample = "chat_stream" if found.kind == SSE else "chat"
        compare_chat(one("gateway-chat", sample).response, found)
    elif headers.get("Content-Type") == SSE:
        compare_chat(recorded, found)
    elif headers.get("Content-Type", "").startswith("text/plain; version="):
        # the recorder cut it; what was counted depends on what was asked before
        kinds = re.compile(r"^# TYPE \S+ \S+$", re.MULTILINE)
        assert set(kinds.findall(recorded["body"])) <= set(kinds.findall(found.text)), found
    else:
        assert found.text == recorded["body"], found


def _redirects(found: Answer, recorded: Mapping[str, t.Any]) -> bool:
    """gateway.md §1.1: 301 or 307, by the version of Go it was built with."""
    return {found.status, recorded["status"]} <= {301, 307}


def _compare_headers(recorded: Mapping[str, str], found: Answer, words: Words) -> None:
    for name in _PRESENCE:
        assert (name in recorded) == (name in found.headers), (name, dict(found.headers), found)
    for name, value in recorded.items():
        ours = found.headers.get(name, "")
        if name == "Content-Type":
            # only the metrics' media type has parameters that a library's version decides
            if value.startswith("text/plain; version="):
                assert ours.split("; ")[:2] == value.split("; ")[:2], found
            else:
                assert ours == value, found
        elif name == "X-Request-Id":
            assert re.fullmatch(r"req-\d+-\d+", ours), found
        elif name == "X-Devshard-Id":
            assert ours in (words.pool or {words.id(value)}), found
        elif name == "Location":
            assert ours == words.path(value), found
        elif name in ("Allow", "Cache-Control", "X-Content-Type-Options", "X-Devshard-Readonly"):
            assert ours == value, (name, found)


def _compare_json(
    recorded: Mapping[str, t.Any],
    found: Answer,
    words: Words,
    rules: Rules,
    *,
    compare_text: bool,
) -> None:
    body = recorded["json"]
    chat = body.get("object") in ("chat.completion",)
    wrong = differences([body], found.json, CHAT if chat else rules)
    assert not wrong, (found.where, wrong, found.text[:2000])
    if "error" in body and compare_text:
        ours = plain_but_models(found.message, _models(words))
        theirs = plain_but_models(words.text(body["error"]["message"]), _models(words))
        assert ours == theirs, found


def _models(words: Words) -> dict[str, str]:
    return {name: words.replace.get(name, name) for name in words.models}


def compare_chat(recorded: Mapping[str, t.Any], found: Answer) -> None:
    """A whole reply or a stream against one of gateway-chat.json."""
    if found.kind != SSE:
        assert found.kind == JSON, found
        wrong = differences([recorded["json"]], found.json, CHAT)
        assert not wrong, (found.where, wrong)
        return
    *theirs, end = events(recorded["body"])
    *ours, our_end = events(found.text)
    assert (our_end, end) == ("[DONE]", "[DONE]"), found
    assert ours, found
    samples = [json.loads(item) for item in theirs]
    for item in ours:
        wrong = differences(samples, json.loads(item), CHAT)
        assert not wrong, (found.where, wrong)

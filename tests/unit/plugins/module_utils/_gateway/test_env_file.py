# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import dataclasses
import subprocess
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import (
    ADMIN_API_KEY,
    API_KEYS,
    PRIVATE_KEY,
    SECRETS,
    check_secret,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.env_file import (
    EnvWish,
    carried,
    new_secret,
    parse,
    plan,
    read,
    render,
    shown,
)

KEY = "0f" * 32
OTHER = "1e" * 32
PRESENT = {PRIVATE_KEY: KEY, API_KEYS: "sk-0123456789abcdef", ADMIN_API_KEY: "sk-admin-0123456789"}
NAMES = st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,12}\Z").map("T_".__add__)
VALUES = st.text(
    st.characters(exclude_characters="'\n\r\0", exclude_categories=["Cs"]), max_size=40
).filter(lambda value: not value.endswith("\\"))
TRICKY = {
    "T_EMPTY": "",
    "T_BLANK": " a  b ",
    "T_DOLLAR": "$HOME ${PATH} $(id) `id`",
    "T_HASH": "a #b",
    "T_DOUBLE": 'say "x"',
    "T_JSON": '[{"id": "1", "x": [1, 2]}]',
    "T_BACKSLASH": "a\\nb \\$ \\\\x",
    "T_SHELL": "a;b&c|d<e>f(g)*?[h]~!%^{i,j}",
    "T_SEPARATORS": "a\u2028b\x0bc\x0cd\x1ce\x85f",
    "T_TILDE": "~/x",
    "T_EQUALS": "a=b=c",
    "T_URL": "https://node3.gonka.ai:443/chain-rpc/",
    "T_WORDS": "schlüssel ключ 鍵",
}


def sourced(text: str, folder: Path) -> dict[str, str]:
    """What a shell makes of the file, as the operator guide uses it."""
    file = folder / "config.env"
    file.write_text(text, encoding="utf-8", newline="")
    done = subprocess.run(
        ["bash", "-c", 'set -eu; set -a; source "$1"; exec env -0', "bash", str(file)],
        env={"PATH": "/usr/bin:/bin", "HOME": "/somewhere", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)
    return {key: value for key, value in found.items() if key.startswith("T_")}


def composed(text: str) -> dict[str, str]:
    """What Compose makes of the file: its rules for quotes, escapes and comments, as documented.

    In single quotes nothing is expanded, but a backslash before the quote makes it part of the
    value. An unquoted value ends before a blank with #.
    """
    found = {}
    rest = text
    while rest := rest.lstrip():
        if rest.startswith("#"):
            rest = rest.partition("\n")[2]
            continue
        name, _unused, rest = rest.removeprefix("export ").partition("=")
        if not rest.startswith("'"):
            line, _unused, rest = rest.partition("\n")
            value = line.split(" #")[0].rstrip()
            assert "$" not in value, "Compose would expand it"
            assert not value.startswith('"')
            found[name.strip()] = value
            continue
        value, index = "", 1
        while rest[index] != "'":
            escaped = rest[index] == "\\" and rest[index + 1] == "'"
            value += "'" if escaped else rest[index]
            index += 2 if escaped else 1
        found[name.strip()] = value
        rest = rest[index + 1 :]
    return found


def test_tricky_values_arrive_alike_everywhere(tmp_path: Path) -> None:
    text = render(TRICKY, "made by a test")
    assert sourced(text, tmp_path) == TRICKY
    assert composed(text) == TRICKY
    assert parse(text, "here", literal=True) == TRICKY


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, max_size=30))
def test_every_value_that_is_written_arrives_in_a_shell(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    assert sourced(render(variables, "x"), tmp_path) == variables


@given(st.dictionaries(NAMES, VALUES, max_size=5))
@example({"T_A": "\\\\x", "T_B": "\u2029", "T_C": "\x1d"})
def test_every_value_that_is_written_arrives(variables: dict[str, str]) -> None:
    text = render(variables, "x")
    assert composed(text) == variables
    assert parse(text, "here", literal=True) == variables
    assert render(parse(text, "here"), "x") == text


@pytest.mark.parametrize("value", ["it's", "a\nb", "a\rb", "\0", "ends with \\"])
def test_a_value_that_cannot_be_written(value: str) -> None:
    with pytest.raises(ConfigurationError, match="^the value of T_A ") as caught:
        render({"T_A": value}, "x")
    assert value not in str(caught.value)


@pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "Ä", "A\nB=x"])
def test_a_name_that_cannot_be_written(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid name of an environment variable"):
        render({name: "x"}, "x")


# reading what others wrote

GUIDE = """\
# Chain (public node)
export NODE_RPC=https://node3.gonka.ai/chain-rpc/
export CHAIN_ID="gonka-mainnet"

  # inferenced CLI
export INFERENCED_HOME="$HOME/.devshard-inferenced"
export DEVSHARDS_JSON='[]'
DEVSHARD_PORT=8080   # the container's
export EMPTY=
export DEVSHARD_API_KEYS=sk-0123456789abcdef
"""


def test_the_guides_own_file_can_be_read(tmp_path: Path) -> None:
    found = parse(GUIDE, "here")
    assert found == {
        "NODE_RPC": "https://node3.gonka.ai/chain-rpc/",
        "CHAIN_ID": "gonka-mainnet",
        "INFERENCED_HOME": "$HOME/.devshard-inferenced",
        "DEVSHARDS_JSON": "[]",
        "DEVSHARD_PORT": "8080",
        "EMPTY": "",
        "DEVSHARD_API_KEYS": "sk-0123456789abcdef",
    }


def test_but_what_is_expanded_is_not_written_anew() -> None:
    with pytest.raises(
        ConfigurationError, match="^here, line 6: .* would expand what INFERENCED_HOME is set to"
    ):
        parse(GUIDE, "here", literal=True)


@pytest.mark.parametrize("value", ['"$(cat key)"', "$KEY", "`id`", '"a\\b"', "a\\b", "~/k"])
def test_a_secret_that_is_expanded_is_never_taken_as_it_is(value: str) -> None:
    with pytest.raises(ConfigurationError, match="^here, line 1: the shell or Compose would"):
        parse(f"{ADMIN_API_KEY}={value}\n", "here")


@pytest.mark.parametrize(
    "line",
    [
        "A",
        "A B",
        "A = b",
        "1A=b",
        "A=b c",
        "A='b",
        'A="b',
        "A='b'c",
        "A='b' 'c'",
        "A=b'c'",
        "=b",
        "set -x",
        "A='two",
    ],
)
def test_what_is_no_assignment_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ConfigurationError, match="^here, line 3: this is not a NAME=VALUE"):
        parse(f"# a comment\n\n{line}\nB=c\n", "here")


@pytest.mark.parametrize("line", ["A=b", "export A=b", " A=b ", "A='b'", 'A="b"', "A=b # c"])
def test_spellings_that_all_read_alike(tmp_path: Path, line: str) -> None:
    text = line.replace("A=", "T_A=") + "\n"
    assert parse(text, "here") == sourced(text, tmp_path) == {"T_A": "b"}


def test_a_later_line_wins(tmp_path: Path) -> None:
    text = "T_A=1\nT_A=2\n"
    assert parse(text, "here") == sourced(text, tmp_path) == {"T_A": "2"}


def test_windows_line_endings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="line 1: the line has a Windows line ending"):
        parse("A=b\r\n", "here")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path)
    binary = tmp_path / "binary"
    binary.write_bytes(b"A=\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not a text file"):
        read(binary)


# secrets


def test_new_secrets_are_fresh_and_fit() -> None:
    for name in SECRETS:
        made = {new_secret(name) for _unused in range(20)}
        assert len(made) == 20
        for value in made:
            assert check_secret(name, value, "here") == value


@pytest.mark.parametrize("name", [API_KEYS, ADMIN_API_KEY])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "is empty. Give a value, or leave it out"),
        ("sk-0123456789 abcdef", "holds a blank, a quote"),
        ("sk-0123456789'abcdef", "holds a blank, a quote"),
        ('sk-0123456789"abcdef', "holds a blank, a quote"),
        ("sk-0123456789abcdef\n", "begins or ends with a line break"),
        ("sk-0123456789\nabcdef", "holds a blank, a quote"),
        ("sk-0123456789abcd€f", "holds a blank, a quote"),
        ("sk-0123456789$abcdef", "holds a blank, a quote"),
        ("short", "has 5 characters; it needs at least 16"),
        ("sk-0123456789abcdef,short", "has 5 characters; it needs at least 16"),
        ("sk-0123456789abcdef,", "has 0 characters; it needs at least 16"),
    ],
)
def test_keys_that_are_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_secret(name, value, "here")
    message = str(caught.value)
    assert message.startswith("here: ")
    assert name in message
    assert told in message
    for part in value.split(","):
        assert len(part) <= 5 or part not in message


def test_several_client_keys() -> None:
    value = "sk-0123456789abcdef,sk-fedcba9876543210"
    assert check_secret(API_KEYS, value, "here") == value


# the plan


def wish(**more: t.Any) -> EnvWish:
    return EnvWish(**{"variables": {"A": "1", "B": "2"}, **more})


def test_secrets_are_made_once() -> None:
    first = plan(wish(), None, "here")
    assert first.generated == SECRETS
    assert set(first.added) == {"A", "B", *SECRETS}
    second = plan(wish(), first.variables, "here")
    assert second.generated == ()
    assert not second.differs
    assert second.variables == first.variables


def test_given_secrets_are_taken() -> None:
    given = {PRIVATE_KEY: OTHER, API_KEYS: "sk-fedcba9876543210"}
    made = plan(wish(given=given), None, "here")
    assert made.generated == (ADMIN_API_KEY,)
    assert {name: made.variables[name] for name in given} == given


def test_client_keys_may_change() -> None:
    made = plan(wish(given={API_KEYS: "sk-fedcba9876543210"}), {"A": "1", **PRESENT}, "here")
    assert made.changed == (API_KEYS,)
    assert made.variables[ADMIN_API_KEY] == PRESENT[ADMIN_API_KEY]


def test_another_creator_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="^/x.env holds another creator key") as caught:
        plan(wish(given={PRIVATE_KEY: OTHER}), PRESENT, "/x.env")
    assert "could no longer be settled" in str(caught.value)
    assert OTHER not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("there", [KEY, KEY.upper(), ""])
def test_the_same_creator_key_is_fine(there: str) -> None:
    made = plan(wish(given={PRIVATE_KEY: KEY}), {**PRESENT, PRIVATE_KEY: there}, "here")
    assert made.variables[PRIVATE_KEY] == KEY


@pytest.mark.parametrize("name", SECRETS)
def test_an_empty_secret_in_the_file_is_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^/x.env: {name} is empty"):
        plan(wish(), {**PRESENT, name: ""}, "/x.env")


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_no_plain_variables(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} must not be given as plain"):
        plan(wish(variables={name: KEY}), None, "here")


def test_other_variables_stay_unless_purged() -> None:
    there = {"A": "1", "B": "old", "EXTRA": "x", **PRESENT}
    kept = plan(wish(), there, "here")
    assert (kept.added, kept.changed, kept.removed) == ((), ("B",), ())
    assert kept.variables["EXTRA"] == "x"
    purged = plan(wish(purge=True), there, "here")
    assert purged.removed == ("EXTRA",)
    assert set(purged.variables) == {"A", "B", *SECRETS}


def test_a_diff_shows_no_secret() -> None:
    told = shown({"B": "2", "A": "1", **PRESENT})
    assert list(told) == sorted(told)
    assert told["A"] == "1"
    assert {told[name] for name in SECRETS} == {"(secret)"}


@given(
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.booleans(),
)
def test_a_plan_leads_to_its_own_end(
    variables: dict[str, str], there: dict[str, str], purge: bool
) -> None:
    wanted = EnvWish(variables=variables, purge=purge)
    once = plan(wanted, there, "here")
    again = plan(wanted, once.variables, "here")
    assert not again.differs
    assert again.generated == ()
    assert render(again.variables, "x") == render(once.variables, "x")


# a file that somebody made by hand


def test_what_is_replaced_may_be_anything() -> None:
    text = 'export INFERENCED_HOME="$HOME/x"\nexport OTHER="$HOME/y"\n'
    with pytest.raises(ConfigurationError, match="line 2: .* what OTHER is set to"):
        parse(text, "file", literal=True, replaced={"INFERENCED_HOME"})
    found = parse(text, "file", literal=True, replaced={"INFERENCED_HOME", "OTHER"})
    assert found["INFERENCED_HOME"] == "$HOME/x"


def test_values_that_are_there_are_kept() -> None:
    wish = EnvWish(variables={"A": "1"}, defaults={"CAP": "4096", "MODE": "relaxed", "NEW": "x"})
    found = plan(
        dataclasses.replace(wish, running={"MODE": "off"}), {**PRESENT, "CAP": "99"}, "file"
    ).variables
    assert (found["CAP"], found["MODE"], found["NEW"]) == ("99", "off", "x")
    given = dataclasses.replace(wish, variables={"CAP": "5"})
    assert plan(given, {**PRESENT, "CAP": "99"}, "file").variables["CAP"] == "5"


def test_a_file_that_says_the_same_is_not_written_anew() -> None:
    """The second run finds the defaults in the file, where the first one has put them."""
    wish = EnvWish(variables={"T_B": "1", "T_A": "2"}, given=PRESENT, defaults={"T_C": "3"})
    first = render(plan(wish, None, "the file").variables, "h")
    there = parse(first, "the file", literal=True)
    assert render(plan(wish, there, "the file").variables, "h") == first
    turned = dict(reversed(there.items()))
    assert list(plan(wish, turned, "the file").variables) == list(turned)
    more = dataclasses.replace(wish, variables={"T_D": "4", **wish.variables})
    assert list(plan(more, there, "the file").variables) == [*there, "T_D"]


def test_a_secret_that_only_the_container_has_is_not_made_anew() -> None:
    environment = {**PRESENT, "DEVSHARD_EXTRA": "1", "PATH": "/bin"}
    carried_over = carried(environment, adopting=False)
    assert carried_over == PRESENT
    found = plan(EnvWish(variables={}, running=carried_over), None, "file")
    assert found.generated == ()
    assert found.variables == PRESENT
    assert set(found.added) == set(PRESENT)
    assert "DEVSHARD_EXTRA" in carried(environment, adopting=True)
    with pytest.raises(ConfigurationError, match="another creator key"):
        plan(EnvWish(variables={}, running=carried_over, given={PRIVATE_KEY: OTHER}), None, "file")


def test_other_secrets_are_not_shown_either() -> None:
    found = shown({"DB_PASSWORD": "hunter2", "GATEWAY_MAX_TOKENS_CAP": "4096", "U": "x://a:b@c"})
    assert found == {
        "DB_PASSWORD": "(secret)",
        "GATEWAY_MAX_TOKENS_CAP": "4096",
        "U": "x://(hidden)@c",
    }

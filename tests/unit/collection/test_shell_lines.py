# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every shell line of the documentation can be typed: it is run or read here, or says why not."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.query_problem import (
    query_problem,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    CHOICES,
    PLAYBOOK_TAGS,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROLES,
    ROOT,
    Data,
    role_settings,
    run_ansible,
)
from ansible_collections.gonka.devshard.tests.unit.plugins import http_server

PAGES = [
    path
    for pattern in ("*.md", "docs/docsite/rst/*.rst", "roles/*/README.md")
    for path in sorted(ROOT.glob(pattern))
    if path.name != "CHANGELOG.md"
]
# What these do is not ours, or it changes a machine. Every line of them has at least a shell's syntax.
NOT_RUN = {
    "age": "needs the private key of the reader",
    "curl": "asks a gateway or a chain; its paths are compared with those of the simulator and nginx",
    "docker": "looks at a gateway that somebody made by hand",
    "git": "clones the repository",
    "jq": "reads what curl got",
    "grep": "reads what another program printed",
    "podman": "builds an image from a base image",
    "tar": "reads what age decrypted",
    "sudo": "installs certbot and changes nginx; no certificate authority answers a test host",
    "nginx": "follows sudo",
    "printf": "is written to a file by sudo tee",
}
# Builtins of the shell, and programs whose effect is plain.
PLAIN = {".", "cd", "cp", "export", "mkdir", "read"}
PARSED = {
    "ansible-playbook": "ansible.cli.playbook:PlaybookCLI",
    "ansible-inventory": "ansible.cli.inventory:InventoryCLI",
    "ansible-vault": "ansible.cli.vault:VaultCLI",
    "ansible-galaxy": "ansible.cli.galaxy:GalaxyCLI",
    "ansible-doc": "ansible.cli.doc:DocCLI",
}
INLINE = (
    r"(?:ansible-(?:playbook|inventory|galaxy|doc|navigator)|make|journalctl|systemctl) [^`\n]+"
)


@dataclass(frozen=True)
class Line:
    page: str
    text: str

    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    def commands(self) -> list[list[str]]:
        """The programs of the line, with their arguments; assignments are none."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        found: list[list[str]] = [[]]
        for word in lexer:
            if set(word) <= set("|&;"):
                found.append([])
            else:
                found[-1].append(word)
        plain = [[w for w in one if not re.match(r"^[A-Z]+=", w)] for one in found]
        return [one for one in plain if one]


def blocks(text: str) -> t.Iterator[tuple[bool, str]]:
    """The shell's blocks of a page, and whether their lines begin with a prompt: $, or # for root."""
    for block in re.findall(r"^```(?:bash|sh|shell)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield False, block
    directive = r"^\.\. code-block:: (bash|console|sh|shell)\n\n((?: {3,}.*\n|\n)+)"
    for kind, block in re.findall(directive, text, re.MULTILINE):
        yield kind == "console", block


def lines(path: Path) -> t.Iterator[Line]:
    page, text = str(path.relative_to(ROOT)), path.read_text()
    for prompts, block in blocks(text):
        for one in filter(None, map(str.strip, block.splitlines())):
            assert not prompts or one[:2] in ("$ ", "# "), f"{page}: no prompt: {one}"
            if prompts or not one.startswith("#"):
                yield Line(page, one[2:] if prompts else one)
    for one in re.findall(rf"``?({INLINE})``?", text):
        yield Line(page, one)


LINES = sorted(
    {line for path in PAGES for line in lines(path)}, key=lambda one: (one.page, one.text)
)


def of(program: str) -> list[t.Any]:
    found = [line for line in LINES if line.words()[:1] == [program]]
    assert found, f"no line begins with {program}"
    return [pytest.param(line, id=f"{Path(line.page).stem}-{line.text[:60]}") for line in found]


OPTIONS = role_settings()


def test_all_kinds_of_pages_have_lines() -> None:
    pages = {line.page for line in LINES}
    assert {
        "README.md",
        "docs/docsite/rst/getting_started.rst",
        "roles/hot_swap/README.md",
    } <= pages
    assert len([line for line in LINES if line.text.startswith("ansible-playbook")]) > 50


def test_a_shell_can_read_every_line() -> None:
    script = "\n".join(line.text for line in LINES)
    read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_every_program_is_tested_or_has_a_reason() -> None:
    used = {command[0] for line in LINES for command in line.commands()}
    here = {*PARSED, *PLAIN, "make", "pip", "journalctl", "systemctl", "ansible-navigator"}
    elsewhere = {"ansible-rulebook", "rm", "mv"}
    assert used - here - elsewhere - set(NOT_RUN) == set()
    assert set(NOT_RUN) - used == set()


@pytest.mark.parametrize("line", [line for program in PARSED for line in of(program)])
def test_ansible_knows_the_options(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = line.words()
    module, name = PARSED[program].split(":")
    cli = getattr(importlib.import_module(module), name)([program, *arguments])
    cli.init_parser()
    try:
        cli.parser.parse_args(arguments)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


def parsed(line: Line) -> t.Any:
    cli = importlib.import_module("ansible.cli.playbook").PlaybookCLI(line.words())
    cli.init_parser()
    return cli.parser.parse_args(line.words()[1:])


def variables(given: list[str]) -> Data:
    found: Data = {}
    for one in given:
        text = one if isinstance(one, str) else str(one)
        found.update(
            json.loads(text)
            if text.startswith("{")
            else dict(word.split("=", 1) for word in shlex.split(text))
        )
    return found


@pytest.mark.parametrize("line", of("ansible-playbook"))
def test_a_play_has_its_hosts_tags_and_variables(line: Line) -> None:
    given = parsed(line)
    assert given.args
    names = [one.removeprefix(f"{FULL_NAME}.") for one in given.args]
    own = [name for name in names if name in PLAYBOOKS]
    # a playbook of the reader's, which the guide shows
    assert [name for name in names if name not in own] in ([], ["schedule.yml"])
    for tag in [tag for one in given.tags for tag in one.split(",")]:
        assert all(tag in PLAYBOOK_TAGS[name] for name in own), tag
    values = variables(given.extra_vars)
    assert set(values) <= {*OPTIONS, *CHOICES}
    assert query_problem({}, values.get("status_query", "")) == ""
    spec = {
        name: {key: OPTIONS[name][key] for key in ("type", "choices") if key in OPTIONS[name]}
        for name in set(values) & set(OPTIONS)
    }
    checked = ArgumentSpecValidator(spec).validate({name: values[name] for name in spec})
    assert checked.error_messages == []


@pytest.mark.parametrize("line", of("ansible-playbook"))
def test_a_variable_is_one_of_the_play(line: Line) -> None:
    given = parsed(line)
    for name in given.args:
        playbook = ROOT / "playbooks" / f"{name.removeprefix(f'{FULL_NAME}.')}.yml"
        if not playbook.is_file():
            continue
        reached = reach(playbook)
        for variable in variables(given.extra_vars):
            assert re.search(rf"\b{variable}\b", reached), f"{name} does not read {variable}"


def reach(path: Path) -> str:
    """The text of a playbook, of the playbooks that it imports, and of the roles of both."""
    text, found = path.read_text(), ""
    for other in re.findall(r"import_playbook: (?:gonka\.devshard\.)?(\w+)", text):
        found += reach(ROOT / "playbooks" / f"{other}.yml")
    for role in {"devshard", *re.findall(rf"{FULL_NAME}\.(\w+)$", text, re.MULTILINE)} & set(ROLES):
        found += "".join(one.read_text() for one in (ROOT / "roles" / role).rglob("*.yml"))
    return text + found


def test_the_plays_have_a_syntax() -> None:
    named = {
        word for line in LINES for word in line.text.split() if word.startswith(f"{FULL_NAME}.")
    }
    plays = sorted(word for word in named if word.removeprefix(f"{FULL_NAME}.") in PLAYBOOKS)
    assert len(plays) > 10
    done = run_ansible(
        *("playbook", "--syntax-check", "-i", "inventories/fleet", "-e", "retire_confirm=all"),
        *("-e", "restore_confirm=all", *plays),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", of("make"))
def test_make_has_the_target(line: Line) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line.words()[1] in targets


@pytest.mark.parametrize("line", [*of("cp"), *of("pip")])
def test_files_of_the_repository_are_there(line: Line) -> None:
    # the rollback of a takeover is a scenario
    if "$B" not in line.text and "-r" in line.words():
        assert (ROOT / line.words()[line.words().index("-r") + 1]).exists()


def units() -> set[str]:
    """The units and their identifiers, as the roles name them."""
    found = {f"gonka-devshard-{name.replace('_', '-')}" for name in PLAYBOOKS}
    found |= set(
        re.findall(r"gonka-devshard-metrics", (ROOT / "roles/monitoring/vars/main.yml").read_text())
    )
    return found


@pytest.mark.parametrize("line", [*of("journalctl"), *of("systemctl")])
def test_a_unit_is_one_of_the_roles(line: Line) -> None:
    unit = line.words()[-1].removesuffix(".service").removesuffix(".timer")
    assert unit == "gonka-devshard-*" or unit in units()


def test_the_way_back_from_a_takeover_is_that_of_its_scenario() -> None:
    guide = ROOT / "docs/docsite/rst/you_already_run_a_gateway.rst"
    scenario = (ROOT / "molecule/adopt/converge.yml").read_text()
    block = next(block for _prompts, block in blocks(guide.read_text()) if "B=/var" in block)
    commands = [one for line in block.split("# ")[1:] for one in line.strip().split(" && ")]
    # the scenario has the folder as an argument of its task
    assert [one for one in commands if f" {one}\n" not in scenario] == [commands[0]]
    assert commands[0].startswith("cd /")
    places = [scenario.index(f" {one}\n") for one in commands[1:]]
    assert places == sorted(places)
    script = re.search(r"cmd: \|\n( +set -eu\n(?: +\S.*\n)+?) +changed_when", scenario)
    assert script
    typed = {line.strip() for line in script[1].splitlines()} - {"set -eu"}
    assert typed - set(commands) == set()


# the gateway itself, the edge in front of it, and the chain
ADDRESSES = r"https?://(127\.0\.0\.1:18080|gateway1?\.example\.org|node3\.gonka\.ai)(/[^\s'\"]*)"


def served() -> str:
    places = ("tests/simnet/simnet", "roles/edge/templates", "plugins/module_utils")
    files = (path for place in places for path in (ROOT / place).rglob("*"))
    return "".join(path.read_text() for path in files if path.suffix in (".py", ".j2"))


@pytest.mark.parametrize("line", of("curl"))
def test_a_path_is_one_that_is_answered(line: Line) -> None:
    found = re.findall(ADDRESSES, line.text)
    assert found
    known = served()
    for host, path in found:
        # an identifier is in the middle of a path
        for part in re.split(r"/\d+", path):
            segments = [one for one in part.split("/") if one]
            # the chain's own prefix is made of several parts
            end = "/".join(segments[-1:] if host.startswith("node3") else segments[-2:])
            assert re.search(rf"{re.escape(end)}\b", known), path


@pytest.mark.parametrize("line", of("curl"))
def test_no_key_is_an_argument_of_a_program(line: Line) -> None:
    """Every user of a host sees the arguments of all its programs; printf is a part of the shell."""
    arguments = re.sub(r"@<\(printf [^)]*\)", "", line.text)
    assert not re.search(r"\$\{?\w*(?:key|token|password)", arguments, re.IGNORECASE)


KEY = "sk-client-that-no-list-of-processes-shows"


def chats(page: str) -> list[Line]:
    """The requests of a client, without the line that reads the key."""
    path = ROOT / page
    found = [line for line in lines(path) if "/v1/chat/completions" in line.text]
    assert any(line.text.startswith("read -rsp 'Key: ' key") for line in lines(path))
    return found


@pytest.mark.parametrize(
    ("page", "streams"),
    [("README.md", [False]), ("docs/docsite/rst/getting_started.rst", [False, True])],
)
def test_a_request_of_a_client_is_sent_as_it_is_written(
    page: str, streams: list[bool], tmp_path: Path
) -> None:
    """With the key that was typed, which is no argument of a program."""
    arguments = tmp_path / "arguments"
    wrapper = tmp_path / "curl"
    wrapper.write_text(
        f'#!/bin/bash\nprintf \'%s\\n\' "$@" >>{arguments}\nexec {shutil.which("curl")} "$@"\n'
    )
    wrapper.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with http_server.running() as edge:
        for line in chats(page):
            typed = re.sub(r"https?://gateway1?\.example\.org", edge.url, line.text)
            subprocess.run(
                ["bash", "-euc", f"read -rsp 'Key: ' key\n{typed}"],
                input=f"{KEY}\n",
                text=True,
                check=True,
                env=environment,
            )
        assert [one.path for one in edge.seen] == ["/v1/chat/completions"] * len(streams)
        assert {one.headers["Authorization"] for one in edge.seen} == {f"Bearer {KEY}"}
        assert {one.headers["Content-Type"] for one in edge.seen} == {"application/json"}
        bodies = [json.loads(one.body) for one in edge.seen]
    assert [body.get("stream", False) for body in bodies] == streams
    assert all({"model", "messages", "max_tokens"} <= set(body) for body in bodies)
    assert arguments.is_file()
    assert KEY not in arguments.read_text()

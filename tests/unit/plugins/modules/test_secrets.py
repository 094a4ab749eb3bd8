# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""No secret is in what a module prints, in a program's arguments, or in a file that others read."""

from __future__ import annotations

import json
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import JournalFile
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import LeftSession
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import MODULES
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Seen,
    Server,
    json_answer,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    ModuleRun,
    load,
    run_module,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.test_argument_specs import (
    needed,
    spec_of,
)

Params = dict[str, t.Any]
CREATOR_KEY = "5ec2e70123456789" * 4
CLIENT_KEY = "sk-client-0a1b2c3d4e5f60718293"
OTHER_CLIENT_KEY = "sk-second-9f8e7d6c5b4a39281706"
ADMIN_KEY = "sk-admin-00112233445566778899aabb"
SECRETS = {
    "DEVSHARD_PRIVATE_KEY": CREATOR_KEY,
    "DEVSHARD_API_KEYS": f"{CLIENT_KEY},{OTHER_CLIENT_KEY}",
    "DEVSHARD_ADMIN_API_KEY": ADMIN_KEY,
}
# Neither whole nor in part: a gateway's own log shows the last 8 characters.
FRAGMENTS = [
    part
    for secret in (CREATOR_KEY, CLIENT_KEY, OTHER_CLIENT_KEY, ADMIN_KEY)
    for part in (secret, secret[-12:], secret[: len(secret) // 2])
]

# A program that logs what it was started with, and then fails and repeats its standard input.
LOUD = """#!/bin/sh
{ printf '%s\\n' "$@"; env; } >> '@LOG@'
echo "Usage: a lot of help" >&2
test "$2" = import-hex || { echo "no key" >&2; exit 1; }
printf 'cannot import %s\\n' "$(cat)" >&2
exit 1
"""
# One that works as far as it must, around the simulated program.
LOGGING = """#!/bin/sh
{ printf '%s\\n' "$@"; env; } >> '@LOG@'
exec '@REAL@' "$@"
"""


def assert_clean(text: str, what: str) -> None:
    for fragment in FRAGMENTS:
        assert fragment not in text, what


def program(site: Site, text: str) -> Path:
    """Put a program into the place of the site's own; what it saw is in its log."""
    log = site.folder.parent / "seen.log"
    log.touch()
    file = site.folder.parent / "inferenced"
    file.write_text(text.replace("@LOG@", str(log)).replace("@REAL@", site.net.ready["inferenced"]))
    file.chmod(0o755)
    site.cli = file
    return log


def run_all_ways(name: str, params: Params) -> t.Iterator[ModuleRun]:
    for check in (True, False):
        for verbose in (False, True):
            yield run_module(name, params, check=check, verbose=verbose)


def place(site: Site, server: Server) -> dict[str, t.Any]:
    """A value for each option that names a place."""
    return {
        "address": "gonka1" + "q" * 38,
        "admin_api_key": ADMIN_KEY,
        "api_key": CLIENT_KEY,
        "api_keys": f"{CLIENT_KEY},{OTHER_CLIENT_KEY}",
        "private_key": CREATOR_KEY,
        "base_url": server.url,
        "chain_id": "gonka-sim",
        "chain_rest": server.url,
        "chain_rpc": server.url,
        "env_file": str(site.env_file),
        "gateway_url": server.url,
        "ledger_path": str(site.folder / "state" / "ledger.db"),
        "main_url": server.url,
        "public_api": server.url,
        "public_url": server.url,
        "source_url": server.url.replace("127.0.0.1", "localhost"),
        "temp_url": server.url,
        "wait_interval": 1,
        "wait_timeout": 1,
        **site.inferenced(),
    }


def hostile(name: str, site: Site, server: Server) -> Params:
    """Arguments of any module that point it at a server that means no good."""
    spec = spec_of(name)
    params = needed(spec)
    params |= {group[0]: params.get(group[0], 1) for group in spec.required_one_of}
    params |= {key: value for key, value in place(site, server).items() if key in spec.options}
    if "path" in params:
        params["path"] = str(site.env_file)
    if name == "swap_escrows":
        params |= open_swap(site)
    return params


def open_swap(site: Site) -> Params:
    """The step of a swap that has something to ask the gateway for."""
    left = (LeftSession(id=1, nonce=1, storage_path="/t/1"),)
    journal = Journal(
        id="20260102T030405Z",
        mode="temp",
        temp_escrows="import",
        target=f"r/gateway@sha256:{'1' * 64}",
        origin=f"r/gateway@sha256:{'0' * 64}",
        asked="r/gateway:new",
        origin_asked="r/gateway:old",
        data=SwapNotes(run="r1", left=left),
    )
    file = JournalFile(site.folder.parent / "swap.json")
    file.write(journal)
    return {"journal": str(file.path), "run": "r1", "step": "import_escrows"}


def echo(seen: Seen) -> Answer:
    """A debug page: everything that was asked, at the very place where a message is cut."""
    asked = f"{seen.method} {seen.path} {seen.headers} {seen.body!r}"
    return Answer(500, ("x" * 270 + asked * 2).encode(), {"Content-Type": "text/html"})


def echo_json(seen: Seen) -> Answer:
    token = seen.headers.get("Authorization", "nothing")
    return json_answer({"error": {"message": f"{token} is wrong", "sent": [token]}}, 401)


def half_a_state(_seen: Seen) -> Answer:
    """The admin state of a gateway with a plain key, broken off in the middle of it."""
    return Answer(body=f'{{"devshards":[{{"private_key":"{CREATOR_KEY[:60]}'.encode())


# without an edge, a storage or Docker they ask nobody
LOOKS_AT_THE_HOST_FIRST = (
    *("adopt_info", "edge_slot", "gateway_backup", "gateway_wait", "swap_settings"),
)
ANSWERS = {"page": echo, "json": echo_json, "half": half_a_state}
# an action alone does the work of the others, on the controller
EVERY_MODULE = [name for name in MODULES if hasattr(load(name), "main")]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("name", EVERY_MODULE)
def test_failures_of_every_module(
    name: str,
    answer: t.Callable[[Seen], Answer],
    site: Site,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.write_env(SECRETS)
    log = program(site, LOUD)
    server.reply = answer
    params = hostile(name, site, server)
    for run in run_all_ways(name, params):
        assert_clean(run.output, name)
    assert_clean(log.read_text(), "a program's arguments or environment")
    if "request_timeout" in spec_of(name).options and name not in LOOKS_AT_THE_HOST_FIRST:
        assert server.seen, "it never met the hostile server"


@pytest.mark.parametrize("option", ["given", "in the file"])
def test_the_key_goes_into_the_keyring_unseen(site: Site, option: str) -> None:
    site.write_env(SECRETS)
    log = program(site, LOGGING)
    params: Params = {"env_file": str(site.env_file), **site.inferenced()}
    if option == "given":
        params |= {"private_key": CREATOR_KEY, "env_file": "/nowhere"}
    run = run_module("creator_key", params, verbose=True)
    assert run.result["changed"] is True
    assert_clean(run.output, "output")
    seen = log.read_text()
    assert "import-hex" in seen
    assert_clean(seen, "a program's arguments or environment")
    for file in all_in(keyring(site)):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def keyring(site: Site) -> Path:
    return site.folder / "inferenced" / "keyring"


def all_in(folder: Path) -> list[Path]:
    found = [folder, *folder.rglob("*")]
    assert len(found) >= 4, "the keyring, its folder, a key and an address"
    return found


def test_a_keyring_that_others_can_read_is_closed(site: Site) -> None:
    site.import_key()
    for file in all_in(keyring(site)):
        file.chmod(0o755 if file.is_dir() else 0o644)
    params: Params = {"env_file": str(site.env_file), **site.inferenced()}
    files = site.snapshot()
    checked = run_module("creator_key", params, check=True)
    assert site.snapshot() == files
    done = run_module("creator_key", params)
    assert done.result["changed"] is True
    assert done.result["diff"] == checked.result["diff"]
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in all_in(keyring(site)))
    again = run_module("creator_key", params)
    assert (again.result["changed"], checked.result["changed"]) == (False, True)


def test_the_environment_file(site: Site) -> None:
    params = {
        "path": str(site.env_file),
        "variables": {"A": "1"},
        "private_key": CREATOR_KEY,
        "api_keys": SECRETS["DEVSHARD_API_KEYS"],
        "admin_api_key": ADMIN_KEY,
    }
    site.env_file.unlink()
    for run in run_all_ways("gateway_env", params):
        assert not run.failed
        assert_clean(run.output, "output")
    site.write_env(SECRETS)
    for run in run_all_ways("gateway_env", {"path": str(site.env_file), "variables": {"B": "1"}}):
        assert not run.failed
        assert_clean(run.output, "output")
    assert stat.S_IMODE(site.env_file.stat().st_mode) == 0o600


def test_generated_secrets_are_not_returned(site: Site) -> None:
    site.env_file.unlink()
    run = run_module("gateway_env", {"path": str(site.env_file), "variables": {"A": "1"}})
    made = dict(
        line.removeprefix("export ").split("=", 1)
        for line in site.env_file.read_text().splitlines()
        if not line.startswith("#")
    )
    assert run.result["env"]["generated"] == list(SECRETS)
    for name in SECRETS:
        assert made[name] not in run.output
        assert made[name][-12:] not in run.output


BAD: list[Params] = [
    {"variables": {"DEVSHARD_PRIVATE_KEY": CREATOR_KEY}},
    {"variables": {"DEVSHARD_API_KEYS": f"{CLIENT_KEY},{OTHER_CLIENT_KEY}"}},
    {"variables": {"A": None}, "private_key": CREATOR_KEY},
    {"variables": {}, "private_key": CREATOR_KEY[:62]},
    {"variables": {}, "private_key": "0x" + CREATOR_KEY},
    {"variables": {}, "private_key": CREATOR_KEY[:-1] + "5"},
    {"variables": {}, "api_keys": f"{CLIENT_KEY},{OTHER_CLIENT_KEY},short"},
    {"variables": {}, "admin_api_key": ADMIN_KEY + "\n"},
    {"variables": {}, "admin_api_key": ADMIN_KEY + " x"},
]


@pytest.mark.parametrize("params", BAD)
def test_refused_environments(site: Site, params: Params) -> None:
    site.write_env(SECRETS)
    for run in run_all_ways("gateway_env", {"path": str(site.env_file), **params}):
        assert run.failed
        assert_clean(run.output, "output")


@pytest.mark.parametrize("line", [f"A='{CREATOR_KEY}", f"{ADMIN_KEY}", f"A={CLIENT_KEY} x"])
def test_a_broken_environment_file(site: Site, line: str) -> None:
    site.env_file.write_text(line + "\n")
    for name in ("creator_key", "gateway_env"):
        params = {"path": str(site.env_file), "variables": {}}
        if name == "creator_key":
            params = {"env_file": str(site.env_file), **site.inferenced()}
        for run in run_all_ways(name, params):
            assert run.failed
            assert_clean(run.output, name)


def test_a_short_key_does_not_mask_everything(site: Site) -> None:
    """An old environment file may hold short keys; masked, they would spoil every word."""
    site.write_env({**site.secrets, "DEVSHARD_API_KEYS": "a,true,state"})
    run = run_module("gateway_info", site.admin())
    assert run.result["gateway"]["settings"]["disabled"]["enabled"] is False
    assert "********" not in run.output


def test_working_modules(site: Site) -> None:
    secrets = [*site.secrets.values()]
    calls: dict[str, Params] = {
        "gateway_info": site.admin(),
        "gateway_settings": {**site.admin(), "settings": {"request_max_tokens_cap": 5000}},
        "creator_info": {**site.chain(), **site.inferenced()},
    }
    for name, params in calls.items():
        for run in run_all_ways(name, params):
            assert not run.failed, run.msg
            for secret in secrets:
                assert secret not in run.output
                assert secret[-12:] not in run.output
            json.loads(run.output)

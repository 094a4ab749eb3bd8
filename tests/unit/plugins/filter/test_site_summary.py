# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The last lines of a deployment; its request is run, not only read."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.site_summary import (
    site_summary,
)


def facts(**more: t.Any) -> dict[str, t.Any]:
    values = {
        "host": "gateway-1",
        "url": "https://gw.example.org",
        "env_file": "/srv/config.env",
        "models": [{"id": "a/1", "access_mode": "api_key"}],
        "found": {"not_known": [], "escrows": []},
        "warnings": [],
    }
    return {**values, **more}


def escrow(number: int, blocks: int, **more: t.Any) -> dict[str, t.Any]:
    deadline = {"height": 1000 + blocks, "blocks_left": blocks, "seconds_left": blocks * 6}
    row = {"id": number, "settled": False, "deadline": deadline, "recorded": True, "dangers": []}
    return {**row, **more}


def test_url_key_and_nothing_of_the_reply() -> None:
    lines = site_summary(facts())
    assert lines[0] == "gateway-1 serves clients at https://gw.example.org"
    assert "/srv/config.env: the first one of DEVSHARD_API_KEYS" in lines[1]
    assert lines[-1].startswith("No escrow is open")


def test_the_pasted_request_sends_the_first_key_by_stdin(tmp_path: Path) -> None:
    env = tmp_path / "config with blank.env"
    env.write_text("export DEVSHARD_API_KEYS='sk-one,sk-two'\n")
    for name, script in (
        ("sudo", 'exec "$@"'),
        ("curl", 'printf "%s\\n" "$@" > "$SEEN.args"; cat > "$SEEN.stdin"'),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    model = "it's/a model"
    given = facts(env_file=str(env), models=[{"id": model, "access_mode": "api_key"}])
    line = next(line for line in site_summary(given) if line.startswith("  sudo "))
    seen = tmp_path / "seen"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SEEN": str(seen)}
    subprocess.run(["sh", "-c", line], check=True, env=environment)
    arguments = Path(f"{seen}.args").read_text().splitlines()
    assert Path(f"{seen}.stdin").read_text() == 'header = "Authorization: Bearer sk-one"\n'
    assert "sk-one" not in " ".join(arguments)
    assert "https://gw.example.org/v1/chat/completions" in arguments
    assert json.loads(arguments[arguments.index("--data") + 1])["model"] == model
    assert "Content-Type: application/json" in arguments


def test_an_open_model_needs_no_key() -> None:
    lines = site_summary(facts(models=[{"id": "a/1", "access_mode": "open"}]))
    assert not any("DEVSHARD_API_KEYS" in line for line in lines)
    assert any(line.startswith("  curl ") for line in lines)
    closed = site_summary(facts(models=[{"id": "a/1", "access_mode": "admin_only"}]))
    assert "No model is open to clients (access_mode), so only the admin key can ask." in closed


@pytest.mark.parametrize(
    ("escrows", "words"),
    [
        (
            [escrow(7, 28200), escrow(9, 30000)],
            "Settle escrow 7 before block 29200 (in 47 h), or its deposit is lost. Nothing does it",
        ),
        ([escrow(9, 300), escrow(7, 28200)], "Settle escrow 9 before block 1300 (in 30 min)"),
        ([escrow(7, 5, settled=True)], "No escrow is open"),
        ([escrow(7, 5, deadline=None)], "No escrow is open"),
    ],
)
def test_the_next_deadline(escrows: list[dict[str, t.Any]], words: str) -> None:
    lines = site_summary(facts(found={"not_known": [], "escrows": escrows}))
    assert lines[-1].startswith(words)


def test_the_deadline_is_that_of_an_escrow_of_this_gateway() -> None:
    rows = [escrow(1, 100, recorded=False), escrow(2, 900)]
    found = {"not_known": [], "escrows": rows}
    assert "Settle escrow 2 " in site_summary(facts(found=found, elsewhere=[1]))[-1]
    # no host says that it has it
    assert "Settle escrow 1 " in site_summary(facts(found=found, elsewhere=[]))[-1]


def test_what_is_not_known_is_said() -> None:
    lines = site_summary(facts(found={"not_known": ["the chain"], "escrows": []}))
    assert lines[-1] == "Deadlines are not all known: the chain."


def test_warnings_come_last() -> None:
    lines = site_summary(facts(warnings=["", "keys travel unencrypted"], redirected=True))
    assert lines[-1] == "WARNING: keys travel unencrypted"
    assert "sends clients elsewhere" in lines[0]


ROTATION = {"enabled": True, "settlement_enabled": True, "models": [{"model_id": "a/1"}]}


@pytest.mark.parametrize(
    ("more", "one", "by"),
    [
        ({"scheduled": "The timer"}, {}, "The timer settles it."),
        ({"scheduled": "", "rotation": ROTATION}, {}, "The rotation of the gateway settles it."),
        ({"rotation": {}}, {}, None),
        ({"rotation": {**ROTATION, "settlement_enabled": False}}, {}, None),
        ({"rotation": {**ROTATION, "enabled": False}}, {}, None),
        # it retires only what is in service, of the models that it has
        ({"rotation": ROTATION}, {"active": False}, None),
        ({"rotation": ROTATION}, {"model": "b/2"}, None),
    ],
)
def test_what_settles_without_an_operator(
    more: dict[str, t.Any], one: dict[str, t.Any], by: str | None
) -> None:
    rows = [escrow(7, 5, **{"active": True, "model": "a/1", **one})]
    line = site_summary(facts(found={"not_known": [], "escrows": rows}, **more))[-1]
    if by is None:
        assert "Nothing does it by itself" in line
    else:
        assert by in line
        assert "lost" not in line


def test_the_escrow_that_nothing_settles_is_named_first() -> None:
    rows = [escrow(7, 5, active=True, model="a/1"), escrow(8, 900, active=False, model="a/1")]
    found = {"not_known": [], "escrows": rows}
    assert "Settle escrow 8 before" in site_summary(facts(found=found, rotation=ROTATION))[-1]


def test_a_run_that_changes_nothing_says_so_first() -> None:
    lines = site_summary(facts(plan={}, remaining={}))
    assert lines[0] == (
        "gateway-1: no change was needed, since everything is as the settings want it"
    )


def test_what_was_worked_on_and_what_is_left_is_told() -> None:
    plan = {"edge": ["a"], "escrow": ["b"], "rotation": ["c"]}
    lines = site_summary(facts(plan=plan, remaining={"edge": ["the service does not run"]}))
    assert lines[:2] == [
        "gateway-1: this run worked on the edge, the escrows and the access and the rotation",
        "WARNING, still not as wanted: the edge: the service does not run",
    ]
    (line, *_rest) = site_summary(facts(plan={"edge": ["a"]}, check=True))
    assert line == "gateway-1: a run without --check would work on the edge"


def test_dangers_notes_and_replies_are_told_also_when_nothing_changed() -> None:
    danger = {"kind": "version", "reason": "its version is not approved", "advice": "Wait"}
    found = {
        "not_known": [],
        "escrows": [escrow(7, 900, amount=5, may_settle=False, dangers=[danger])],
    }
    replies = [
        {
            "model": "a/1",
            "stream": True,
            "limited": False,
            "first_chunk_seconds": 0.2,
            "total_seconds": 1,
        },
        {"model": "a/1", "stream": False, "limited": False, "total_seconds": 2},
        {"model": "b/2", "stream": True, "limited": True},
    ]
    lines = site_summary(facts(plan={}, found=found, replies=replies, notes=["a swap is open"]))
    assert "a/1: first chunk after 0.2 s, whole reply after 1 s" in lines
    assert "a/1: reply at once after 2 s" in lines
    assert "b/2: the gateway is at its limit and serves other clients" in lines
    assert "NOTE: a swap is open" in lines
    (alarm,) = [line for line in lines if line.startswith("DANGER: ")]
    assert "Escrow 7" in alarm
    assert "its version is not approved. Wait." in alarm


def test_an_escrow_of_another_gateway_raises_no_alarm_here() -> None:
    danger = {"kind": "deadline", "reason": "near", "advice": "Settle it"}
    row = escrow(7, 900, amount=5, may_settle=True, dangers=[danger], recorded=False)
    found = {"not_known": [], "escrows": [row]}
    alarms = [
        [line for line in site_summary(facts(found=found, elsewhere=ids)) if "DANGER" in line]
        for ids in ([7], [])
    ]
    assert alarms[0] == []
    assert alarms[1]


def test_rotation_and_escrows_that_are_too_many_are_told_also_when_nothing_changed() -> None:
    lines = site_summary(facts(plan={}, rotation={"enabled": True}, receipt=["2 usable"]))
    assert "Rotation of the escrows is on." in lines
    assert "2 usable" in lines
    assert "Rotation of the escrows is off." in site_summary(facts(rotation={"enabled": False}))
    assert not [line for line in site_summary(facts(rotation=None)) if "Rotation" in line]

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The event source: each alarm once, and what is not known clears nothing."""

from __future__ import annotations

import asyncio
import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.extensions.eda.plugins.event_source import escrow_alarms
from ansible_collections.gonka.devshard.extensions.eda.plugins.event_source.escrow_alarms import (
    Alarms,
    Unreadable,
    Watch,
    main,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_fleet import (
    status_fleet,
)

Data = dict[str, t.Any]


def state(blocks: int = 900, *, run: str = "gonka.devshard.settle -e settle_ids=7") -> Data:
    return {
        "alarms": [
            {
                "id": 7,
                "kind": "deadline",
                "severity": "danger",
                "reason": f"{blocks} blocks are left",
                "advice": "Settle it",
                "run": run,
            }
        ],
        "findings": [
            {"severity": "danger", "about": "escrows", "text": "escrow 7", "run": run},
            {"severity": "ok", "about": "clients", "text": "redirected", "run": ""},
        ],
    }


FINE: Data = {"alarms": [], "findings": []}


def document(**hosts: t.Any) -> Data:
    """As ``status_json_file`` has it: the fields of a host without a look are null."""
    return {
        "hosts": [
            {"host": name, **(state if isinstance(state, dict) else {"findings": state})}
            for name, state in hosts.items()
        ]
    }


def words(events: list[Data]) -> list[tuple[str, str, str]]:
    return [
        (alarm["host"], alarm["kind"], alarm["state"])
        for event in events
        for alarm in event.values()
    ]


def test_an_alarm_is_put_once_and_again_after_a_pause() -> None:
    alarms = Alarms(repeat=9999, settle_repeat=100)
    (event,) = alarms.events(document(a=state()), 0)
    assert event["alarm"] == {
        "kind": "deadline",
        "severity": "danger",
        "host": "a",
        "escrow": 7,
        "settles": True,
        "text": "escrow 7: 900 blocks are left. Settle it",
        "command": "ansible-playbook gonka.devshard.settle -e devshard_hosts=a -e settle_ids=7",
        "state": "new",
    }
    assert alarms.events(document(a=state(850)), 99) == []
    assert words(alarms.events(document(a=state(800)), 100)) == [("a", "deadline", "still there")]
    (gone,) = alarms.events(document(a=FINE), 101)
    assert gone["cleared"]["state"] == "cleared"
    assert "alarm" not in gone


def test_a_settle_that_fails_is_asked_for_again_before_the_deadline() -> None:
    """It was asked for once between the first alarm and the deadline, a hundred minutes later."""
    alarms = Alarms(repeat=21600, settle_repeat=900)
    asked = [
        event
        for look in range(11)
        for event in alarms.events(document(a=state(1000 - 100 * look)), 600.0 * look)
    ]
    assert len(asked) == 6
    assert all(event["alarm"]["settles"] for event in asked)


def test_an_alarm_that_no_settle_ends_comes_rarely() -> None:
    alarms = Alarms(repeat=21600, settle_repeat=900)
    low = [{"severity": "danger", "about": "wallet", "text": "low", "run": ""}]
    assert words(alarms.events(document(a=low), 0)) == [("a", "wallet", "new")]
    assert alarms.events(document(a=low), 20000) == []
    assert words(alarms.events(document(a=low), 21600)) == [("a", "wallet", "still there")]


@pytest.mark.parametrize(
    ("about", "severity", "run", "kind"),
    [
        ("models", "danger", "gonka.devshard.escrow", "no_escrow"),
        ("models", "warning", "gonka.devshard.escrow", "models"),
        ("models", "danger", "gonka.devshard.site", "models"),
        ("wallet", "warning", "", "wallet"),
        ("escrows", "not known", "", "escrows"),
    ],
)
def test_a_finding_is_an_alarm_of_its_kind(about: str, severity: str, run: str, kind: str) -> None:
    found = {
        "alarms": [],
        "findings": [{"severity": severity, "about": about, "text": "x", "run": run}],
    }
    (event,) = Alarms(0, 0).events(document(a=found), 0)
    assert event["alarm"]["kind"] == kind
    assert event["alarm"]["settles"] is False


@pytest.mark.parametrize("run", ["", "gonka.devshard.site"])
def test_what_a_settle_does_not_end_does_not_settle(run: str) -> None:
    (event,) = Alarms(0, 0).events(document(a=state(run=run)), 0)
    assert event["alarm"]["settles"] is False


@pytest.mark.parametrize(
    "blind",
    [
        None,
        "",
        {"findings": [{"severity": "not known", "about": "chain", "text": "no answer", "run": ""}]},
    ],
)
def test_what_is_not_known_clears_nothing(blind: t.Any) -> None:
    alarms = Alarms(0, 0)
    alarms.events(document(a=state(), b=state()), 0)
    put = alarms.events(document(a=blind, b=FINE), 1)
    assert [(name, *found) for event in put for name in event for found in words([event])] == [
        ("alarm", "a", "chain" if isinstance(blind, dict) else "host", "new"),
        ("cleared", "b", "deadline", "cleared"),
    ]
    # another run may look at other hosts
    assert alarms.events(document(c=FINE), 2) == []


@pytest.mark.parametrize("content", [[], {}, {"hosts": {}}, {"hosts": []}, {"hosts": [FINE]}])
def test_a_document_without_hosts_is_not_an_all_clear(content: t.Any) -> None:
    with pytest.raises(Unreadable):
        Alarms(0, 0).events(content, 0)


def put_by(args: Data) -> list[Data]:
    async def collect() -> list[Data]:
        queue: asyncio.Queue[Data] = asyncio.Queue()
        await main(queue, args)
        return [queue.get_nowait() for _number in range(queue.qsize())]

    return asyncio.run(collect())


def test_a_file_is_read_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps(document(a=state())))
    watch = Watch(path, max_age=100)
    now = path.stat().st_mtime
    assert watch.changed(now) == document(a=state())
    assert watch.changed(now) is None
    with pytest.raises(Unreadable, match="is older than 100 seconds"):
        watch.changed(now + 101)
    os.utime(path, (now + 50, now + 50))
    assert watch.changed(now + 101) == document(a=state())


@pytest.mark.parametrize("content", [None, "no json", "[]"])
def test_a_file_that_cannot_be_read_is_an_alarm(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "status.json"
    if content is not None:
        path.write_text(content)
    (event,) = put_by({"file": str(path), "looks": 1})
    assert (event["alarm"]["kind"], event["alarm"]["severity"]) == ("source", "not known")


def test_a_source_that_works_again_is_cleared() -> None:
    alarms = Alarms(0, 0)
    assert words(alarms.problem("x", 0)) == [("", "source", "new")]
    assert alarms.problem("x", 1) == []
    assert words(alarms.events(document(a=FINE), 2)) == [("", "source", "cleared")]


PROGRAM = """\
#!/usr/bin/env python3
import json, sys
with open(sys.argv[0] + ".arguments", "w") as target:
    json.dump(sys.argv[1:], target)
settings = json.loads(sys.argv[5])
if {writes}:
    with open(settings["status_json_file"], "w") as target:
        target.write({content!r})
print("the end of its output")
sys.exit(2)
"""


def program(folder: Path, *, writes: bool) -> Path:
    path = folder / "ansible-playbook"
    path.write_text(PROGRAM.format(writes=writes, content=json.dumps(document(a=state()))))
    path.chmod(0o755)
    return path


def test_the_playbook_is_run_and_its_exit_status_is_no_failure(tmp_path: Path) -> None:
    path = program(tmp_path, writes=True)
    args = {"inventory": "hosts.yml", "program": str(path), "arguments": ["--forks", "5"]}
    (event,) = put_by({**args, "looks": 1})
    assert event["alarm"]["escrow"] == 7
    arguments = json.loads((tmp_path / "ansible-playbook.arguments").read_text())
    assert arguments[:4] == ["-i", "hosts.yml", "gonka.devshard.status", "-e"]
    assert arguments[5:] == ["--forks", "5"]


def test_a_playbook_that_wrote_nothing_is_an_alarm(tmp_path: Path) -> None:
    path = program(tmp_path, writes=False)
    (event,) = put_by({"inventory": "hosts.yml", "program": str(path), "looks": 1})
    assert event["alarm"]["kind"] == "source"
    assert "wrote no state and ended with 2: the end of its output" in event["alarm"]["text"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "give either file or inventory"),
        ({"file": "a", "inventory": "b"}, "give either file or inventory"),
        ({"file": "", "inventory": ""}, "give either file or inventory"),
        ({"file": "a", "intervall": 1}, "unknown option intervall"),
    ],
)
def test_a_source_that_would_watch_nothing_is_refused(args: Data, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        put_by(args)


def test_every_option_is_documented() -> None:
    for name in escrow_alarms.OPTIONS:
        assert f"\n  {name}:\n" in escrow_alarms.DOCUMENTATION


def test_what_the_playbook_writes_is_understood() -> None:
    look = {"host": "a", "verdict": "danger", "escrows": [], **state()}
    fleet = status_fleet([look], ["a", "silent"], "2026-01-31T12:00:00Z")
    put = Alarms(0, 0).events(json.loads(json.dumps(fleet)), 0)
    assert [(event["alarm"]["host"], event["alarm"]["severity"]) for event in put] == [
        ("a", "danger"),
        ("silent", "not known"),
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the playbook status shows."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_line import status_line
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_table import (
    status_table,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_verdict import (
    status_verdict,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    escrow,
    intent,
    well,
)

AT = "2026-01-01T00:00:00Z"


def status_of(change: t.Callable[[dict[str, t.Any], dict[str, t.Any]], object]) -> dict[str, t.Any]:
    presence, seen = well()
    change(presence, seen)
    look = {"host": "gw1", "looked_at": AT, "presence": presence, "seen": seen, "edge_slot": "main"}
    wish = {
        "models": [{"id": "org/A", "amount": "5000000000"}],
        "slot": "main",
        "settlement_tag": "v2",
        "fee": "1000000",
        "settle_fee": "1000000",
        "min_free_mb": "1024",
        "elsewhere": [],
        "rotation": None,
        "gateway_url": "http://127.0.0.1:18080/",
        "client_url": "http://127.0.0.1/",
    }
    return status_verdict({**look, "presence_error": "", "seen_error": ""}, wish)


def test_status_of_a_gateway_where_all_is_well() -> None:
    lines = status_table(status_of(lambda presence, seen: None))
    assert lines[0] == "OK:        nothing is wrong"
    assert status_line(status_of(lambda presence, seen: None)) == (
        "clients served, nothing is in danger"
    )
    text = "\n".join(lines)
    assert re.search(r"^clients +served$", text, re.MULTILINE)
    assert re.search(
        r"^model +org/A: 1 of 1 usable, access api_key, hosts 4 of 4$", text, re.MULTILINE
    )
    assert re.search(r"^wallet +100 GNK$", text, re.MULTILINE)
    assert lines[-1].split() == [
        *("7", "org/A", "main", "usable", "5", "GNK", "4.9", "GNK"),
        *("5000", "blocks,", "8", "h", "20", "min"),
    ]


def test_settled_escrows_are_shown_as_settled_and_last() -> None:
    rows = [
        escrow(3, settled=True, usable=False, why_not=["settled on the chain"]),
        escrow(7),
        escrow(8, deadline={"blocks_left": 9, "seconds_left": None, "last_epoch": False}),
    ]
    lines = status_table(status_of(lambda _presence, seen: seen.update(escrows=rows)))[-3:]
    assert [line.split()[0] for line in lines] == ["8", "7", "3"]
    assert lines[-1].split() == ["3", "org/A", "main", "settled", "5", "GNK", "-", "-"]


@pytest.mark.parametrize(
    ("absence", "settled", "shown"),
    [
        ("settled", True, "settled - - -"),
        ("lost", None, "lost - - -"),
        ("unknown", None, "not known - - -"),
        ("not_shown", None, "not known not known 4.9 GNK not known"),
    ],
)
def test_one_that_the_chain_does_not_have_is_shown_as_what_is_proved(
    absence: str, settled: bool | None, shown: str
) -> None:
    gone = escrow(3, on_chain=False, absence=absence, settled=settled, active=False, usable=False)
    gone |= {"why_not": ["inactive in the gateway", "x"], "amount": None, "deadline": None}
    status = status_of(lambda _presence, seen: seen.update(escrows=[gone, escrow(7)]))
    (line,) = [line for line in status_table(status) if line.startswith("3 ")]
    assert " ".join(line.split()[3:]) == shown
    texts = [item["text"] for item in status["findings"] if item["about"] == "escrows"]
    assert len(texts) == (absence in ("unknown", "not_shown")), texts
    assert all("escrow 3" in text and "devshard_chain_rest" in text for text in texts)


FOUND = {
    "memory_statistics": True,
    "profiler": True,
    "chain_by_grpc": True,
    "holds": None,
    "settles_batches": False,
    "accounting_schema": 4,
}


@pytest.mark.parametrize(
    ("record", "lines"),
    [
        ({"profile": "v2"}, ["generation v2"]),
        ({"profile": "v3", "protocol": "v3", "probes": None}, ["generation v3, protocol v3"]),
        ({}, ["generation not recorded"]),
        (
            {"profile": "v4.1", "protocol": "v4.1", "digest": "x@1"},
            ["generation v4.1, protocol v4.1", "found in image not known, it was not asked yet"],
        ),
        (
            {
                "profile": "v4.1",
                "digest": "x@2",
                "probes": {"digest": "x@1", "at": "T", "found": {}},
            },
            ["found in image not known, another image was asked at T: run gonka.devshard.site"],
        ),
        (
            {
                "profile": "v4.1",
                "digest": "x@1",
                "probes": {"digest": "x@1", "at": "T", "found": FOUND},
            },
            [
                "found in image has: memory statistics, profiler, chain by gRPC, accounting (schema 4);",
                "has not: settling in batches; not known: escrows that are held back (asked at T)",
            ],
        ),
    ],
)
def test_what_the_image_was_found_to_have(record: dict[str, t.Any], lines: list[str]) -> None:
    status = status_of(lambda presence, _seen: presence["record"].update(record))
    text = " ".join(" ".join(status_table(status)).split())
    for line in lines:
        assert line in text
    assert ("found in image" in text) is (record.get("profile") == "v4.1")


def rotation(**given: t.Any) -> dict[str, t.Any]:
    settings = {"enabled": True, "settlement_enabled": True}
    plain = {"polled": True, "settings": settings, "blocks_until_next_rotation": 720, "latest": []}
    return {**plain, **given}


KEPT = {"stage": "keep", "epoch": 213, "created_count": 1, "settled_count": 0}
MADE = {"stage": "prepare", "epoch": 213, "created_count": 2, "settled_count": 1}
BUSY = {**KEPT, "created_count": 0, "settle_failed_count": 1}
OLD = {"stage": "prepare", "epoch": 212, "created_count": 9}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"latest": None}, "on; next in 720 blocks, 1 h 12 min"),
        ({"polled": False}, "on; the next window is not known"),
        ({"blocks_until_next_rotation": None}, "on; the next window is not known"),
        ({"blocks_until_next_rotation": 0}, "on; its window is open"),
        ({"blocks_until_next_rotation": -3}, "on; its window is open"),
        (
            {"latest": [KEPT, MADE, OLD]},
            "on; next in 720 blocks, 1 h 12 min; in epoch 213: 3 created, 1 settled",
        ),
        ({"latest": [{"epoch": 213}]}, "on; next in 720 blocks, 1 h 12 min"),
        (
            {"latest": [BUSY]},
            "failing; next in 720 blocks, 1 h 12 min; in epoch 213: 1 not settled at once",
        ),
        ({"settings": {"enabled": False}}, "off"),
    ],
)
def test_the_rotation_is_shown_with_its_next_window(given: dict[str, t.Any], words: str) -> None:
    """Of a gateway whose escrows are ready; the chain's pace is 6 seconds a block."""

    def turn_on(_presence: dict[str, t.Any], seen: dict[str, t.Any]) -> None:
        seen["epoch"]["block_seconds"] = 6.0
        seen["slots"]["main"]["gateway"]["rotation"] = rotation(
            **{**given, **({"latest": given["latest"] or []} if "latest" in given else {})}
        )

    text = " ".join(" ".join(status_table(status_of(turn_on))).split())
    assert f" rotation {words} phase " in text


def test_escrows_that_are_not_served_are_shown_as_what_they_are() -> None:
    rows = [
        escrow(3, active=False, usable=False, why_not=["inactive in the gateway"]),
        escrow(4, active=False, usable=False, why_not=["x"], gateway_settles=True),
        escrow(5, loaded=False, usable=False, why_not=["x"]),
        escrow(6, held_since="T", usable=False, why_not=["x"]),
    ]
    lines = status_table(status_of(lambda _presence, seen: seen.update(escrows=rows)))
    shown = {
        words[0]: " ".join(words[3:5])
        for line in lines
        if (words := line.split())[1:2] == ["org/A"]
    }
    assert shown == {"3": "inactive 5", "4": "settling 5", "5": "not loaded", "6": "held back"}


def test_the_worst_stands_at_the_top_with_what_to_run() -> None:
    def change(_presence: dict[str, t.Any], seen: dict[str, t.Any]) -> None:
        seen["escrows"] = []
        seen["transactions"] = [intent(kind="settle", escrow_id=7)]

    status = status_of(change)
    lines = status_table(status)
    assert lines[:2] == [
        "DANGER:    no usable escrow for org/A: requests are refused",
        "           run: gonka.devshard.escrow",
    ]
    assert lines[2].startswith("WARNING:   settle of escrow 7")
    worst = "danger: no usable escrow for org/A: requests are refused"
    assert status_line(status) == worst
    second = {"severity": "not known", "about": "chain", "text": "it hangs", "run": "", "back": ""}
    status["findings"].append(second)
    assert status_line(status) == f"{worst}; 1 more, about chain"
    assert status_line(status, whole=True) == f"{worst}; not known: it hangs"


def test_a_status_without_any_answer_can_be_shown() -> None:
    look = {"host": "gw1", "presence": {}, "presence_error": "a", "seen": {}, "seen_error": "b"}
    look["looked_at"] = AT
    wish = {
        "models": [],
        "slot": "main",
        "settlement_tag": "",
        "fee": 0,
        "settle_fee": 0,
        "min_free_mb": 0,
        "elsewhere": [],
    }
    wish |= {"rotation": None, "gateway_url": "http://x", "client_url": "http://y"}
    status = status_verdict({**look, "edge_slot": ""}, wish)
    text = "\n".join(status_table(status))
    assert "NOT KNOWN: what is on the host is not known: a" in text
    assert status["failed"] is True


def test_what_is_not_known_is_not_shown_as_unusable() -> None:
    rows = [escrow(7, usable=False, why_not=["not known on the chain"], on_chain=None)]
    lines = status_table(status_of(lambda _presence, seen: seen.update(escrows=rows)))
    assert lines[-2].split()[3:5] == ["not", "known"]
    assert lines[-1] == "7: not known on the chain"
    assert any("0 of 1 usable (1 not known)" in line for line in lines)


def test_a_long_name_keeps_its_ends() -> None:
    name = "Some-Organisation/A-Model-With-A-Very-Long-Name-Of-480B-FP8"
    rows = [escrow(7, model=name, usable=False, why_not=["a" * 90, "b"])]
    lines = status_table(status_of(lambda _presence, seen: seen.update(escrows=rows)))
    (line,) = [line for line in lines if line.startswith("7 ")]
    assert "Some-Organisat…ame-Of-480B-FP8" in line
    assert "not usable" in line
    assert max(len(line) for line in lines) + 11 <= 120
    assert lines[-1] == f"7: {'a' * 90}; b"


@pytest.mark.parametrize("show", [status_table, status_line])
def test_only_a_verdict_can_be_shown(show: t.Callable[[object], object]) -> None:
    with pytest.raises(AnsibleFilterError, match="a dict is needed"):
        show("x")


def test_disk_clock_backup_and_certificate() -> None:
    def facts(**changes: t.Any) -> str:
        def change(_presence: dict[str, t.Any], seen: dict[str, t.Any]) -> None:
            known = {"known": True, "why": None}
            seen["parts"] |= {"backups": known, "certificate": known}
            seen |= changes

        return " ".join(" ".join(status_table(status_of(change))).split())

    text = facts(clock_offset=-2, backups={"count": 3, "age": 7300})
    for line in (
        "disk 9000 MiB free on the disk of /srv",
        "clock 2 s behind the chain's node",
        "backup 3 on this host, the newest 2 h old",
        "certificate not known",
    ):
        assert line in text
    lost = facts(disks=None, clock_offset=None, backups=None)
    for line in ("disk not known", "clock not known", "backup not known"):
        assert line in lost
    held = {"expires": "2026-12-31T12:00:00+00:00", "days_left": 31}
    text = facts(backups={"count": 0, "age": None}, certificate=held)
    assert "backup none on this host" in text
    assert "certificate 31 days left, until 2026-12-31T12:00:00+00:00" in text
    assert "certificate" not in " ".join(status_table(status_of(lambda _presence, _seen: None)))

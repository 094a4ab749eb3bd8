# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Hosts keep the first diff, notice forks and rollbacks, and refuse to sign them."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from simnet import crypto, session
from simnet.hosts import HostError
from simnet.testing import Session, World


def _kinds(world: World) -> list[str]:
    return [entry["kind"] for entry in world.hosts.violations()]


def test_diffs_are_kept_and_served(world: World) -> None:
    mine = Session(world, world.create())
    first, second = mine.write(b"one"), mine.write(b"two")
    assert mine.send() == {
        "nonce": 2,
        "state_hash": base64.b64encode(second.root).decode(),
        "accepted": 2,
        "skipped": 0,
        "refused": "",
    }
    served = world.hosts.diffs(mine.group[0], "1", 1, 1)
    assert served == [
        {
            "diff": {
                "nonce": 1,
                "txs": base64.b64encode(b"\x08\x01one").decode(),
                "user_sig": base64.b64encode(first.user_sig).decode(),
                "post_state_root": base64.b64encode(first.root).decode(),
            },
            "state_hash": base64.b64encode(first.root).decode(),
        }
    ]
    assert world.hosts.diffs(mine.group[1], "1", 1, 99) == []
    assert mine.send()["skipped"] == 2
    assert _kinds(world) == []


def test_a_fork_is_refused_and_recorded(world: World) -> None:
    mine = Session(world, world.create())
    mine.write(b"one")
    mine.send(0)
    other = Session(world, 1, "process-2")
    other.write(b"another")
    other.write(b"more")
    answer = other.send(0)
    assert (answer["refused"], answer["nonce"]) == ("fork", 1)
    assert answer["state_hash"] == base64.b64encode(mine.root).decode()
    violation = world.hosts.violations()[0]
    assert violation["kind"] == "fork"
    assert violation["escrow_id"] == "1"
    assert violation["process_id"] == "process-2"
    assert violation["previous_process_id"] == "process-1"
    assert other.send(1)["accepted"] == 2, "another host keeps what it saw first"


def test_a_fork_that_hides_its_past_is_noticed(world: World) -> None:
    mine = Session(world, world.create())
    mine.write(b"one")
    mine.send()
    other = Session(world, 1, "process-2")
    other.write(b"another")
    other.diffs.append(other.write(b"two"))
    tail = other.diffs[1:2]
    answer = world.hosts.append(mine.group[0], "1", "process-2", tail)
    assert answer["refused"] == "fork"


def test_a_gap_is_refused(world: World) -> None:
    mine = Session(world, world.create())
    mine.write(b"one")
    mine.write(b"two")
    answer = world.hosts.append(mine.group[0], "1", "p", mine.diffs[1:])
    assert (answer["refused"], answer["nonce"]) == ("gap", 0)


def test_only_the_creator_writes(world: World) -> None:
    mine = Session(world, world.create())
    diff = mine.write(b"one")
    liar = crypto.PrivateKey.from_seed("liar")
    signed = session.diff_message(1, diff.txs, diff.root)
    mine.diffs = [dataclasses.replace(diff, user_sig=liar.sign_recoverable(signed))]
    assert mine.send()["refused"] == "bad_signature"
    assert _kinds(world) == ["bad_signature"]


def test_rolled_back_session_gets_no_signature(world: World) -> None:
    mine = Session(world, world.create())
    old = Session(world, 1, "process-2")
    for content in (b"one", b"two", b"three"):
        mine.write(content)
    old.diffs = mine.diffs[:2]
    mine.send()
    with pytest.raises(HostError) as caught:
        world.hosts.sign(mine.group[0], "1", "process-2", 2, old.root)
    assert (caught.value.status, caught.value.nonce) == (409, 3)
    assert _kinds(world) == ["rollback"]


def test_signature_only_for_the_own_root_and_nonce(world: World) -> None:
    mine = Session(world, world.create())
    mine.write(b"one")
    host = mine.group[0]
    with pytest.raises(HostError, match="lower") as caught:
        world.hosts.sign(host, "1", "p", 1, mine.root)
    assert caught.value.nonce == 0
    mine.send()
    with pytest.raises(HostError, match="differs"):
        world.hosts.sign(host, "1", "p", 1, b"x" * 32)
    signatures = world.hosts.sign(host, "1", "p", 1, mine.root)["signatures"]
    assert [entry["slot_id"] for entry in signatures] == [
        slot for slot, address in enumerate(mine.slots) if address == host.address
    ]
    message = session.signature_message(1, 1, mine.root)
    raw = base64.b64decode(signatures[0]["signature"])
    assert crypto.recover(message, raw) == host.key.public_key


def test_moving_a_session_is_no_violation_but_coming_back_is(world: World) -> None:
    temp = Session(world, world.create(), "temp")
    temp.write(b"one")
    temp.send()
    main = Session(world, 1, "main")
    main.diffs = list(temp.diffs)
    main.write(b"two")
    main.send()
    assert _kinds(world) == []
    temp.diffs = list(main.diffs)
    temp.write(b"three")
    temp.send()
    assert _kinds(world) == ["two_processes"]
    violation = world.hosts.violations()[0]
    assert (violation["process_id"], violation["previous_process_id"]) == ("temp", "main")


def test_strangers_and_unknown_escrows(world: World) -> None:
    mine = Session(world, world.create())
    stranger = next(host for host in world.chain.hosts if host not in mine.group)
    with pytest.raises(HostError, match="not in the group") as caught:
        world.hosts.diffs(stranger, "1", 1, 9)
    assert caught.value.status == 400
    with pytest.raises(HostError, match="escrow 9 not found") as caught:
        world.hosts.diffs(stranger, "9", 1, 9)
    assert caught.value.status == 404

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A fleet of all generations: the status of each tells the truth, from what that generation shows.

The gateways answer as the contract says of them (``generations.md`` §3, ``gateway-v4.1.md`` §4.8).
The chain is v0.2.16 and approves v4.1 alone, as mainnet does since October 2026.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import CreatedEvent
from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import Release
from ansible_collections.gonka.devshard.plugins.module_utils._core.parts import Part
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.absence import Absence
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import read_clock
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.pool_rules import Limits
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import (
    GatewayState,
    RotationStatus,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import (
    Profile,
    profile,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.report import report
from ansible_collections.gonka.devshard.plugins.module_utils._status.look import (
    ChainSeen,
    GatewaySeen,
    Sight,
    StatusTerms,
    escrow_rows,
)
from ansible_collections.gonka.devshard.plugins.module_utils._status.rules import judge
from ansible_collections.gonka.devshard.plugins.module_utils._status.scene import (
    Model,
    Scene,
    StatusVerdict,
    StatusWish,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    hosts,
    well,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    CREATOR,
    EPOCH_BLOCKS,
    MODEL,
    Deposit,
    FakeChain,
)

GENERATIONS: t.Final = {
    "v2": profile("v2"),
    "v3": profile("v3", "v3"),
    "v4": profile("v4", "v4"),
    "v4.1": profile("v4.1", "v4.1"),
}
SERVES: t.Final = {"v2": 12, "v3": 13, "v4": 14, "v4.1": 41}
"""The escrow that each gateway of the fleet serves."""
OLD: t.Final = ("v2", "v3", "v4")
UNLOADING: t.Final = ("v3", "v4", "v4.1")
EVERY: t.Final = pytest.mark.parametrize("name", GENERATIONS)


def terms_of(generation: Profile) -> StatusTerms:
    return StatusTerms(
        limits=Limits.of_generation(generation),
        settlement_tag=generation.settlement_tag,
        deadline_blocks=100,
    )


def record_of(name: str, number: int, **changes: t.Any) -> dict[str, t.Any]:
    """A record as this generation prints it, loaded and served."""
    runtime: dict[str, t.Any] = {
        "id": str(number),
        "model": MODEL,
        "active": True,
        "phase": "active",
        "nonce": 7,
        "balance": AMOUNT - 20_000,
        "active_requests": 0,
        "reserved_tokens": 0,
        "requests_blocked": False,
    }
    record: dict[str, t.Any] = {
        "id": str(number),
        "private_key_env": "DEVSHARD_PRIVATE_KEY",
        "model": MODEL,
        "storage_path": f"/root/.devshardctl/escrow-{number}",
        "active": True,
        "created_at": "2026-11-29T10:00:00Z",
        "updated_at": "2026-11-29T10:00:00Z",
        "runtime": runtime,
    }
    if name in ("v2", "v3"):
        # of no use: a fresh escrow of v3 has it too
        record["protocol_version"] = "1"
    else:
        runtime["session_version"] = name
    if name == "v4.1":
        runtime["pending_race_cleanup"] = 0
        record |= {"route_prefix": "/devshard/v4.1", "protocol_version": "4"}
    return {**record, **changes}


@dataclass
class Fleet:
    """One gateway of each generation, with one creator and one chain."""

    chain: FakeChain = field(default_factory=FakeChain)
    records: dict[str, list[dict[str, t.Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chain.release = Release.parse("v0.2.16-post1")
        self.chain.approved = ("v4.1",)
        for name, number in SERVES.items():
            self.records[name] = [record_of(name, number)]
            self.chain.escrows[number] = Deposit(id=number)

    def status(self, name: str) -> StatusVerdict:
        generation = GENERATIONS[name]
        seen = self.sight(name)
        terms = terms_of(generation)
        presence, shown = well()
        presence["record"] |= {"profile": name, "protocol": generation.settlement_tag}
        gateway = seen.gateways["main"].value
        chain = seen.chain.value
        assert gateway is not None
        assert chain is not None
        shown["slots"]["main"] = {
            "gateway": gateway.report,
            "hosts": [hosts(SERVES[name], 4, model=MODEL)],
            "refused": 0,
        }
        shown |= {
            "escrows": escrow_rows(seen, terms),
            "params": chain.params.to_result(),
            "creator": {"address": CREATOR, "balance": 10**11, "membership": "listed"},
            "route": {**shown["route"], "models": [MODEL]},
        }
        elsewhere = {number for other, number in SERVES.items() if other != name}
        wish = StatusWish(
            models=(Model(id=MODEL, count=1, amount=AMOUNT, access_mode="api_key"),),
            settlement_tag=generation.settlement_tag,
            elsewhere=frozenset(elsewhere),
            gateway_url="http://127.0.0.1:18080",
            client_url="http://127.0.0.1",
        )
        return judge(Scene(wish=wish, presence=presence, seen=shown, edge_slot="main"))

    def sight(self, name: str) -> Sight:
        limits = [{"model_id": MODEL, "access_mode": "api_key"}]
        body = {
            "devshards": self.records[name],
            "limiter": {"in_flight_requests": 0},
            "settings": {"disabled": {"enabled": False}, "model_limits": limits},
            "capacity": {},
        }
        state = GatewayState.from_api(Reader(body, "state"))
        rotation = RotationStatus(
            block_height=self.chain.height,
            epoch_index=self.chain.epoch_index,
            phase="Inference",
            confirmation_poc_phase="",
            blocks_to_epoch_switch=500,
            blocks_until_next_rotation=500,
            settings={"enabled": False},
        )
        created = [
            CreatedEvent(
                escrow_id=number,
                tx_hash=f"{number:064X}",
                height=50,
                model_id=MODEL,
                amount=AMOUNT,
                epoch_index=deposit.epoch_index,
                gas_wanted=500_000,
                timeout_at=None,
            )
            for number, deposit in self.chain.escrows.items()
        ]
        gateway = GatewaySeen(
            report=report("http://127.0.0.1:18080", state, rotation, None),
            devshards=state.devshards,
            hosts=Part(value=[]),
            refused=0,
        )
        chain = ChainSeen(
            head=self.chain.head(),
            params=self.chain.escrow_params(),
            balance=10**11,
            created=Part(value=created),
            effective_epoch=self.chain.effective_epoch(),
        )
        return Sight(
            gateways={"main": Part(value=gateway)},
            chain=Part(value=chain),
            epoch=Part(value=self.chain.epoch()),
            clock=Part(value=read_clock(t.cast("t.Any", self.chain))),
            creator=Part(value=CREATOR),
            intents=Part(value=[]),
            escrows={number: Part(value=self.chain.escrow(number)) for number in SERVES.values()},
        )


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def texts(found: StatusVerdict) -> list[str]:
    return [f"{item.severity.value}: {item.text}" for item in found.findings]


def rows(found: StatusVerdict) -> dict[int, t.Any]:
    return {row["id"]: row for row in found.escrows}


# one fleet, four truths


@EVERY
def test_each_shows_its_own_escrow_and_that_it_serves(fleet: Fleet, name: str) -> None:
    found = fleet.status(name)
    assert list(rows(found)) == [SERVES[name]]
    (row,) = found.escrows
    assert (row["usable"], row["why_not"]) == (True, [])
    assert found.clients["state"] == "served"
    assert row["protocol"] == (None if name in ("v2", "v3") else name)


def test_only_the_approved_generation_is_well(fleet: Fleet) -> None:
    assert {name: fleet.status(name).worst.value for name in GENERATIONS} == {
        "v2": "danger",
        "v3": "danger",
        "v4": "danger",
        "v4.1": "ok",
    }
    assert texts(fleet.status("v4.1")) == []
    for name in OLD:
        told = "\n".join(texts(fleet.status(name)))
        assert f'settlement version "{name}" is not approved on the chain (approved: v4.1)' in told
        assert "a new escrow could not be settled" in told


@EVERY
def test_what_the_node_does_not_show_yet_is_not_known(fleet: Fleet, name: str) -> None:
    """Nodes behind one address differ by some blocks; its index has the create."""
    number = SERVES[name]
    seen = replace(fleet.sight(name), escrows={number: Part(value=None), 99: Part(value=None)})
    # nothing says that the other one is young
    assert (seen.absence(number), seen.absence(99)) == (Absence.NOT_SHOWN, Absence.UNKNOWN)
    (row,) = (one for one in escrow_rows(seen, terms_of(GENERATIONS[name])) if one["id"] == number)
    assert (row["settled"], row["absence"], row["usable"]) == (None, "not_shown", False)


@EVERY
def test_one_that_is_of_another_protocol_is_shown_by_its_own(fleet: Fleet, name: str) -> None:
    """A gateway 4.1 may hold sessions of v4, imported with their route."""
    fleet.records[name][0]["runtime"]["session_version"] = "v4"
    found = fleet.status(name)
    (row,) = found.escrows
    fits = name == "v4"
    assert row["usable"] is fits
    assert any("is bound to protocol v4" in why for why in row["why_not"]) is not fits
    assert [alarm["kind"] for alarm in found.alarms] == ["version"]


# escrows that are not served


def out_of_service(name: str) -> dict[str, t.Any]:
    record = record_of(name, SERVES[name], active=False)
    if name in UNLOADING:
        del record["runtime"]
    else:
        record["runtime"]["active"] = False
    return record


@EVERY
def test_one_out_of_service_is_shown_with_the_command_that_settles_it(
    fleet: Fleet, name: str
) -> None:
    fleet.chain.approved = (name,)
    fleet.records[name] = [out_of_service(name)]
    found = fleet.status(name)
    (row,) = found.escrows
    assert row["loaded"] is (name == "v2")
    assert row["loadable"] is (name != "v2")
    (finding,) = [item for item in found.findings if "out of service" in item.text]
    assert finding.run == f"gonka.devshard.settle -e settle_ids={SERVES[name]}"
    assert "left" in finding.text
    assert any("no usable escrow" in text for text in texts(found))


@pytest.mark.parametrize("name", UNLOADING)
def test_one_that_is_active_and_not_loaded_is_named(fleet: Fleet, name: str) -> None:
    """A postponed unload comes although the escrow was activated meanwhile."""
    fleet.chain.approved = (name,)
    del fleet.records[name][0]["runtime"]
    found = fleet.status(name)
    (finding,) = [item for item in found.findings if "not loaded" in item.text]
    assert finding.run == "gonka.devshard.escrow"
    assert not found.escrows[0]["usable"]


@pytest.mark.parametrize("name", UNLOADING)
@pytest.mark.parametrize("loaded", [True, False])
def test_a_settle_that_is_left_to_the_gateway_is_not_taken_for_done(
    fleet: Fleet, name: str, *, loaded: bool
) -> None:
    """Unloaded, nothing acts on the wish any more: after a restart, or after thirty tries."""
    fleet.chain.approved = (name,)
    record = record_of(name, SERVES[name], active=False, settlement_pending=True)
    if loaded:
        record["runtime"] |= {"active": False, "active_requests": 1}
    else:
        del record["runtime"]
    fleet.records[name] = [record]
    found = fleet.status(name)
    assert found.escrows[0]["gateway_settles"] is loaded
    (finding,) = [item for item in found.findings if item.about == "escrows"]
    if loaded:
        assert "settles it by itself when its work ends (1 left)" in finding.text
        assert finding.run == ""
    else:
        assert "nothing acts any more on the gateway's wish to settle it" in finding.text
        assert finding.run == f"gonka.devshard.settle -e settle_ids={SERVES[name]}"


def test_one_that_is_held_back_is_neither_usable_nor_replaced(fleet: Fleet) -> None:
    fleet.records["v4.1"][0]["on_hold_since"] = "2026-11-29T10:00:00Z"
    fleet.records["v4.1"][0]["runtime"]["on_hold"] = True
    found = fleet.status("v4.1")
    assert [alarm["kind"] for alarm in found.alarms] == ["held"]
    assert any("holds it back since 2026-11-29T10:00:00Z" in text for text in texts(found))


# the approval watch


def version_removed(fleet: Fleet, _name: str) -> None:
    fleet.chain.approved = ("v5",)


def creator_removed(fleet: Fleet, _name: str) -> None:
    fleet.chain.allowed = ("gonka1other",)


def nonce_lowered(fleet: Fleet, name: str) -> None:
    fleet.records[name][0]["runtime"]["nonce"] = 15_000
    fleet.chain.max_nonce = 15_010


@EVERY
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (version_removed, "version", "is not approved on the chain (approved: v5)"),
        (creator_removed, "not_listed", "no longer on the chain's list of allowed creators"),
        (nonce_lowered, "nonce", "above the chain's max_nonce 15010"),
    ],
)
def test_the_watch_wakes_before_a_deposit_is_lost(
    fleet: Fleet,
    name: str,
    change: t.Callable[[Fleet, str], None],
    kind: str,
    words: str,
) -> None:
    fleet.chain.approved = (name,)
    assert fleet.status(name).alarms == ()
    change(fleet, name)
    found = fleet.status(name)
    (alarm,) = found.alarms
    assert (alarm["id"], alarm["kind"], alarm["severity"]) == (SERVES[name], kind, "danger")
    assert words in alarm["reason"]
    # with nearly two epochs left, and what to run when governance has voted
    assert alarm["deadline"]["blocks_left"] > EPOCH_BLOCKS
    assert not alarm["deadline"]["last_epoch"]
    assert alarm["run"] == "gonka.devshard.settle -e settle_select=at_risk"
    assert found.fails
    assert any(words in text and "left)" in text for text in texts(found))


@EVERY
def test_the_last_epoch_is_an_alarm_of_every_generation(fleet: Fleet, name: str) -> None:
    fleet.chain.approved = (name,)
    fleet.chain.step(EPOCH_BLOCKS - fleet.chain.height)
    serving = fleet.status(name)
    (alarm,) = serving.alarms
    assert (alarm["kind"], alarm["severity"]) == ("last_epoch", "warning")
    assert alarm["deadline"]["blocks_left"] == EPOCH_BLOCKS - 1
    assert alarm["run"] == f"gonka.devshard.settle -e settle_ids={SERVES[name]}"
    fleet.records[name] = [out_of_service(name)]
    (alarm,) = fleet.status(name).alarms
    assert (alarm["kind"], alarm["severity"]) == ("last_epoch", "danger")
    assert alarm["run"] == f"gonka.devshard.settle -e settle_ids={SERVES[name]}"


@EVERY
def test_what_the_chain_does_not_say_is_not_fine(fleet: Fleet, name: str) -> None:
    fleet.chain.approved = ()
    found = fleet.status(name)
    assert found.escrows[0]["may_settle"] is None
    assert found.fails
    assert any(text.startswith("not known") and "version" in text for text in texts(found))


def test_the_generations_are_all_of_them() -> None:
    from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles

    assert list(GENERATIONS) == list(profiles.known())
    assert all(isinstance(one, Profile) for one in GENERATIONS.values())

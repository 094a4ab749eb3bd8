# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What a swap asks of two gateways, against gateways in memory."""

from __future__ import annotations

import copy
import dataclasses
import typing as t
from types import SimpleNamespace as Obj

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.fees import FeeParams
from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
    UpgradePlan,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ProtocolError,
    TransportError,
    UnknownStateError,
    UnsafeError,
    WaitTimeoutError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import (
    Kind,
    State,
    Via,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import (
    Devshard,
    GatewayState,
    RotationStatus,
    Runtime,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import (
    freeze_rotation,
    restore_rotation,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    ServedSession,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import (
    compare_sessions,
    marks_of,
    over_on_chain,
    past_escrows,
    refuse_stop,
    refuse_unsettled,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.settings_copy import (
    copy_settings,
    refuse_foreign,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.window import (
    SwapWindow,
    TempNeed,
    WindowWish,
    cost_of,
)

MODEL = {"model_id": "m", "temp_count": 1, "target_count": 2, "amount": 5, "private_key_env": "K"}
SETTINGS: dict[str, t.Any] = {
    "default_model": "m",
    "max_concurrent_requests": 512,
    "tx_gas_limit": 700,
    "model_limits": [
        {
            "model_id": "m",
            "access_mode": "api_key",
            "max_concurrent_requests": 0,
            "max_input_tokens_in_flight": 0,
        }
    ],
    "disabled": {"enabled": False, "message": "x"},
    "participant_throttle": {"request_burst": 600, "eof_transport_failure_threshold": 3},
    "escrow_rotation": {
        "enabled": True,
        "settlement_enabled": True,
        "pre_poc_blocks": 300,
        "models": [MODEL],
    },
}
FRESH: dict[str, t.Any] = {
    **SETTINGS,
    "default_model": "other",
    "participant_throttle": {"request_burst": 1, "eof_transport_failure_threshold": 9},
    "escrow_rotation": {"enabled": False, "settlement_enabled": False, "pre_poc_blocks": 300},
    "model_limits": [{**SETTINGS["model_limits"][0], "model_id": "stray"}],
}
del FRESH["tx_gas_limit"]


class Gateway:
    """Merges settings as the real one does. ``deaf`` names parts that it ignores."""

    url = "http://127.0.0.1:1"

    def __init__(self, settings: dict[str, t.Any], deaf: tuple[str, ...] = ()) -> None:
        self.held = copy.deepcopy(settings)
        self.deaf = deaf
        self.posts: list[dict[str, t.Any]] = []
        self.states: list[GatewayState | Exception] = []
        self.rotations: list[RotationStatus] = []
        self.paths: set[str] = set()

    def settings(self) -> dict[str, t.Any]:
        return copy.deepcopy(self.held)

    def post_settings(self, patch: dict[str, t.Any]) -> dict[str, t.Any]:
        self.posts.append(patch)
        for name, value in patch.items():
            if name in self.deaf:
                continue
            found = self.held.get(name)
            self.held[name] = {**found, **value} if isinstance(found, dict) else value
        return self.settings()

    def has(self, path: str) -> bool:
        return path in self.paths

    def state(self) -> GatewayState:
        found = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(found, Exception):
            raise found
        return found

    def rotation(self) -> RotationStatus:
        return self.rotations.pop(0) if len(self.rotations) > 1 else self.rotations[0]


def api(gateway: Gateway | Chain) -> t.Any:
    return gateway


# settings


def test_settings_are_copied_whole_without_rotation_and_redirect() -> None:
    source, target = Gateway(SETTINGS), Gateway(FRESH)
    found = copy_settings(api(source), api(target), check_mode=False)
    assert found["set"] == [
        "default_model",
        "model_limits",
        "participant_throttle",
        "tx_gas_limit",
    ]
    assert target.held["model_limits"] == SETTINGS["model_limits"]
    assert target.held["participant_throttle"]["request_burst"] == 600
    assert target.held["escrow_rotation"]["enabled"] is False
    assert source.posts == []
    assert copy_settings(api(source), api(target), check_mode=False)["changed"] is False
    assert len(target.posts) == 1


def test_settings_in_check_mode_are_only_told() -> None:
    target = Gateway(FRESH)
    assert copy_settings(api(Gateway(SETTINGS)), api(target), check_mode=True)["changed"]
    assert target.posts == []


def test_a_rotation_on_the_target_is_switched_off() -> None:
    target = Gateway(SETTINGS)
    copy_settings(api(Gateway(SETTINGS)), api(target), check_mode=False)
    assert target.held["escrow_rotation"]["enabled"] is False


def test_settings_that_were_not_taken_are_found_out() -> None:
    with pytest.raises(ProtocolError, match="did not apply model_limits"):
        copy_settings(
            api(Gateway(SETTINGS)), api(Gateway(FRESH, deaf=("model_limits",))), check_mode=False
        )
    with pytest.raises(UnknownStateError, match="still rotates"):
        copy_settings(
            api(Gateway(SETTINGS)),
            api(Gateway(SETTINGS, deaf=("escrow_rotation",))),
            check_mode=False,
        )


OF_V2: dict[str, t.Any] = {**SETTINGS, "chain_rest": "http://old:1317", "only_v2": 7}
OF_V4: dict[str, t.Any] = {**FRESH, "tx_gas_limit": 1, "chain_rest": "", "chain_grpc": "none"}


def test_another_generation_keeps_what_it_alone_has_and_what_it_is_tuned_by() -> None:
    source, target = Gateway(OF_V2), Gateway(OF_V4)
    moves_to = profile("v4.1", "v4.1")
    found = copy_settings(api(source), api(target), moves_to=moves_to, check_mode=False)
    assert found["set"] == ["default_model", "model_limits", "tx_gas_limit"]
    assert target.held["participant_throttle"] == OF_V4["participant_throttle"]
    assert (target.held["chain_rest"], target.held["chain_grpc"]) == ("", "none")
    assert "only_v2" not in target.held
    assert target.held["model_limits"] == SETTINGS["model_limits"]
    assert target.held["escrow_rotation"]["enabled"] is False
    again = copy_settings(api(source), api(target), moves_to=moves_to, check_mode=False)
    assert (again["changed"], source.posts) == (False, [])


def test_a_generation_that_keeps_its_chain_in_the_settings_takes_it_over() -> None:
    target = Gateway({**OF_V4, "chain_rest": "http://other:1317"})
    copy_settings(api(Gateway(OF_V2)), api(target), moves_to=profile("v3", "v3"), check_mode=False)
    assert target.held["chain_rest"] == "http://old:1317"


def test_another_generation_is_recognised() -> None:
    refuse_foreign(api(Gateway(SETTINGS)), profile("v2"))
    newer = Gateway({**SETTINGS, "chain_grpc": "localhost:9090"})
    with pytest.raises(UnsafeError, match="chain_grpc"):
        refuse_foreign(api(newer), profile("v2"))
    other = Gateway(SETTINGS)
    other.paths = set(profile("v2").foreign_paths)
    with pytest.raises(UnsafeError, match="generation_upgrade"):
        refuse_foreign(api(other), profile("v2"))


def test_each_later_generation_is_known_by_its_own_signs() -> None:
    settings: dict[str, dict[str, t.Any]] = {
        "v3": SETTINGS,
        "v4": {**SETTINGS, "chain_grpc": "node:9090"},
        "v4.1": {**SETTINGS, "chain_grpc": "none"},
    }
    for name, held in settings.items():
        right = Gateway(held)
        right.paths = set(profile(name, name).own_paths)
        refuse_foreign(api(right), profile(name, name))
        with pytest.raises(UnsafeError, match="no /v1/debug/memstats"):
            refuse_foreign(api(Gateway(held)), profile(name, name))
    without = Gateway(SETTINGS)
    without.paths = set(profile("v4.1", "v4.1").own_paths)
    with pytest.raises(UnsafeError, match="no setting chain_grpc"):
        refuse_foreign(api(without), profile("v4.1", "v4.1"))


# rotation


def test_rotation_is_frozen_and_restored_exactly() -> None:
    gateway = Gateway(SETTINGS)
    found = freeze_rotation(api(gateway), check_mode=False)
    assert found["changed"]
    assert gateway.held["escrow_rotation"]["enabled"] is False
    assert freeze_rotation(api(gateway), check_mode=False)["changed"] is False
    # whoever changed it meanwhile, what was there before comes back
    gateway.held["escrow_rotation"]["pre_poc_blocks"] = 1
    gateway.held["escrow_rotation"]["models"] = []
    assert restore_rotation(api(gateway), found["before"], check_mode=False)["changed"]
    assert gateway.held["escrow_rotation"] == SETTINGS["escrow_rotation"]
    assert restore_rotation(api(gateway), found["before"], check_mode=False)["changed"] is False


def test_rotation_that_was_off_is_left_alone() -> None:
    gateway = Gateway(FRESH)
    assert freeze_rotation(api(gateway), check_mode=False)["changed"] is False
    assert gateway.posts == []


def test_rotation_in_check_mode_is_only_told() -> None:
    gateway = Gateway(SETTINGS)
    found = freeze_rotation(api(gateway), check_mode=True)
    assert (found["changed"], found["before"]["enabled"], gateway.posts) == (True, True, [])


def test_a_gateway_that_does_not_listen_is_found_out() -> None:
    deaf = Gateway(SETTINGS, deaf=("escrow_rotation",))
    with pytest.raises(UnknownStateError, match="still rotates"):
        freeze_rotation(api(deaf), check_mode=False)
    off = {**SETTINGS, "escrow_rotation": {**SETTINGS["escrow_rotation"], "enabled": False}}
    with pytest.raises(UnknownStateError, match="shows others: enabled"):
        restore_rotation(
            api(Gateway(off, deaf=("escrow_rotation",))),
            SETTINGS["escrow_rotation"],
            check_mode=False,
        )


# sessions


def devshard(number: int, **given: t.Any) -> Devshard:
    runtime = Runtime(
        active=True,
        phase="active",
        nonce=10,
        balance=100,
        active_requests=0,
        requests_blocked=False,
        block_reason="",
        chain_phase="Inference",
    )
    wanted = given.pop("runtime", {})
    plain = Devshard(
        id=str(number),
        active=True,
        model="m",
        storage_path=None,
        private_key_env="K",
        has_plain_key=False,
        rotation_role=None,
        rotation_epoch=None,
        created_at="2026-01-02T03:04:05Z",
        runtime=None if wanted is None else dataclasses.replace(runtime, **wanted),
    )
    return dataclasses.replace(plain, **given)


def state(*devshards: Devshard, **settings: t.Any) -> GatewayState:
    off = {name: FRESH[name] for name in ("disabled", "escrow_rotation")}
    held = {**off, **settings}
    return GatewayState(devshards=devshards, in_flight_requests=0, settings=held, capacity={})


class Chain:
    """Knows escrows by number; an exception is raised instead of answering."""

    def __init__(self, **escrows: t.Any) -> None:
        self.escrows = {int(key[1:]): value for key, value in escrows.items()}
        self.silent = False
        self.money = 10_000_000_000
        self.height = 1000
        self.approved: tuple[str, ...] = ("v2",)
        self.gas_price = 0
        self.made: list[Obj] | None = []

    def created_by(self, creator: str) -> list[Obj]:
        if self.made is None:
            raise UnknownStateError(f"the creates of {creator} are not known")
        return self.made

    def head(self) -> Obj:
        return Obj(height=self.height)

    def escrow(self, number: int) -> t.Any:
        if self.silent:
            raise TransportError("no answer")
        return self.escrows.get(number)

    def epoch(self) -> Obj:
        return Obj(
            index=5,
            height=self.height,
            phase="Inference",
            stages={"set_new_validators": 900, "next_poc_start": 1860},
            next_stages={"set_new_validators": 1900, "next_poc_start": 2860},
        )

    plan: UpgradePlan | None = None

    def upgrade_plan(self) -> UpgradePlan | None:
        return self.plan

    def effective_epoch(self) -> int | None:
        return None

    def block_seconds(self) -> float:
        return 5.0

    def escrow_params(self) -> Obj:
        return Obj(
            min_amount=5,
            max_amount=10_000_000_000,
            allowed_creator_addresses=("me",),
            approved=ApprovedVersions(names=self.approved, every=not self.approved),
            fees=FeeParams(min_gas_price=self.gas_price),
            create_gas_price=self.gas_price,
        )

    def spendable(self, _address: str) -> int:
        return self.money

    def active_models(self) -> list[str]:
        return ["m"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def deadline(self, seconds: float) -> WaitBudget:
        return WaitBudget(seconds, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def ports(gateway: Gateway, chain: Chain, intents: t.Sequence[Obj] = (), **given: t.Any) -> t.Any:
    return Obj(
        gateway=gateway,
        gateway_id="main",
        chain=chain,
        chain_id="c",
        ledger=Obj(intents=lambda **_unused: list(intents)),
        deadline=Clock().deadline(given.get("timeout", 100)),
        interval=5,
        settlement_tag="v2",
        check_mode=given.get("check_mode", False),
        creator=lambda expected: expected or "me",
    )


def live(epoch: int = 5, *, amount: int = 100, settled: bool = False) -> Obj:
    return Obj(epoch_index=epoch, amount=amount, settled=settled)


def test_a_gateway_may_be_stopped_when_the_chain_answers_for_each_active_escrow() -> None:
    found = state(devshard(1), devshard(2, active=False), devshard(3, active=False, runtime=None))
    refuse_stop(ports(Gateway({}), Chain(_1=live())), "main", found)


@pytest.mark.parametrize(
    ("found", "chain", "intents", "words"),
    [
        (state(devshard(1)), Chain(), [], "does not have escrow 1"),
        (
            state(devshard(1, runtime={"phase": "finalizing"})),
            Chain(_1=live()),
            [],
            "escrow 1 is in phase finalizing",
        ),
        (state(devshard(1, runtime=None)), Chain(_1=live()), [], "not loaded"),
        (
            state(),
            Chain(),
            [Obj(id=3, kind=Kind.CREATE, via=Via.GATEWAY)],
            "intent 3 in the ledger, a create by this gateway",
        ),
        (state(escrow_rotation=SETTINGS["escrow_rotation"]), Chain(), [], "its rotation is on"),
    ],
)
def test_reasons_not_to_stop(
    found: GatewayState, chain: Chain, intents: list[Obj], words: str
) -> None:
    with pytest.raises(UnsafeError, match=words):
        refuse_stop(ports(Gateway({}), chain, intents), "main", found)


def test_during_a_swap_the_advice_names_what_is_not_refused_then() -> None:
    """The playbooks escrow, settle and rotation are, see _presence."""
    asked = [Obj(id=3, kind=Kind.CREATE, via=Via.GATEWAY)]
    found = state(escrow_rotation=SETTINGS["escrow_rotation"])
    with pytest.raises(UnsafeError) as swap:
        refuse_stop(ports(Gateway({}), Chain(), asked), "main", found, in_swap=True)
    assert "go back with hot_swap_rollback=true, then finish it" in str(swap.value)
    assert "gonka.devshard.rotation" not in str(swap.value)
    with pytest.raises(UnsafeError) as alone:
        refuse_stop(ports(Gateway({}), Chain(), asked), "main", found)
    assert "hot_swap" not in str(alone.value)


def test_a_silent_chain_forbids_to_stop() -> None:
    chain = Chain(_1=live())
    chain.silent = True
    with pytest.raises(UnsafeError, match="a gateway that starts would exit"):
        refuse_stop(ports(Gateway({}), chain), "main", state(devshard(1)))


def settled(**given: t.Any) -> Obj:
    return Obj(epoch_index=5, **{"settled": True, **given})


def test_a_gateway_is_left_behind_when_each_of_its_escrows_is_settled_or_pruned() -> None:
    out_of_use = devshard(3, active=False, runtime=None)
    # the third one is pruned
    refuse_unsettled(
        ports(Gateway({}), Chain(_1=settled(), _2=settled())),
        state(devshard(1), devshard(2), out_of_use),
    )
    refuse_unsettled(ports(Gateway({}), Chain()), state())


@pytest.mark.parametrize("active", [True, False])
def test_a_gateway_with_a_deposit_is_not_left_behind(active: bool) -> None:
    held = state(devshard(1), devshard(2, active=active, runtime=None if not active else {}))
    with pytest.raises(UnsafeError, match=r"must not be removed: escrow 2 is not settled[.]"):
        refuse_unsettled(ports(Gateway({}), Chain(_1=settled(), _2=live())), held)
    # its owner has given it up
    refuse_unsettled(ports(Gateway({}), Chain(_1=settled(), _2=live())), held, given_up=[2])
    with pytest.raises(UnsafeError, match="escrow 2 is not settled"):
        refuse_unsettled(ports(Gateway({}), Chain(_1=live(), _2=live())), held, given_up=[1])


def test_a_chain_that_does_not_answer_proves_no_settlement() -> None:
    chain = Chain(_1=settled())
    chain.silent = True
    with pytest.raises(UnsafeError, match="it is not known whether escrow 1 is settled"):
        refuse_unsettled(ports(Gateway({}), chain), state(devshard(1)))


def test_a_create_signed_here_does_not_forbid_to_stop() -> None:
    signed = [Obj(id=3, kind=Kind.CREATE, via=Via.SIGNED)]
    refuse_stop(ports(Gateway({}), Chain(), signed), "main", state())


BEFORE = {"1": ServedSession(nonce=10, balance=100), "2": ServedSession(nonce=5, balance=50)}


def compare(
    *states: GatewayState | Exception, chain: Chain | None = None
) -> dict[str, ServedSession]:
    gateway = Gateway({})
    gateway.states = list(states)
    return compare_sessions(
        api(gateway),
        BEFORE,
        until=Clock().deadline(20),
        interval=5,
        is_over=over_on_chain(ports(gateway, chain or Chain(_1=live(), _2=live()))),
    )


def test_sessions_may_take_their_time_to_load() -> None:
    both = state(devshard(1), devshard(2, runtime={"nonce": 7, "balance": 40}))
    found = compare(TransportError("refused"), state(), state(devshard(1)), both)
    assert found == marks_of(both)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (state(devshard(1)), "escrow 2 is not loaded"),
        (state(devshard(1), devshard(2, active=False)), "escrow 2 was deactivated"),
        (state(devshard(1, runtime={"nonce": 0}), devshard(2)), "escrow 1 is at nonce 0"),
        (TransportError("refused"), "refused"),
    ],
)
def test_a_loss_that_stays_is_told(last: GatewayState | Exception, words: str) -> None:
    with pytest.raises(UnsafeError, match=words):
        compare(last)


@pytest.mark.parametrize(
    "chain", [Chain(_1=live(), _2=Obj(epoch_index=5, settled=True)), Chain(_1=live())]
)
def test_an_escrow_that_was_settled_or_pruned_meanwhile_is_no_loss(chain: Chain) -> None:
    """A swap may lie for days; it must be possible to finish it, or to lead it back."""
    found = compare(state(devshard(1), devshard(2, active=False)), chain=chain)
    assert set(found) == {"1", "2"}


def test_a_silent_chain_excuses_no_loss() -> None:
    chain = Chain(_1=live(), _2=Obj(epoch_index=5, settled=True))
    chain.silent = True
    with pytest.raises(UnsafeError, match="escrow 2 was deactivated"):
        compare(state(devshard(1), devshard(2, active=False)), chain=chain)


# the window


def status(**given: t.Any) -> RotationStatus:
    plain = RotationStatus(
        block_height=1000,
        epoch_index=5,
        phase="Inference",
        confirmation_poc_phase="",
        blocks_to_epoch_switch=900,
        blocks_until_next_rotation=0,
        settings={"enabled": False},
    )
    return dataclasses.replace(plain, **given)


ROTATION: dict[str, t.Any] = {
    "enabled": True,
    "settlement_enabled": True,
    "pre_poc_blocks": 300,
}
BLANK = status(block_height=0, phase="", blocks_to_epoch_switch=0)
POC = status(phase="PoCGenerate")


def window(
    statuses: list[RotationStatus],
    *,
    found: GatewayState | None = None,
    chain: Chain | None = None,
    needs: tuple[TempNeed, ...] = (),
    wait: bool = False,
    resumed: bool = False,
    check_mode: bool = False,
    settle: bool = False,
    timeout: float = 100,
    rotation_danger: str | None = None,
    max_total_locked: int | None = None,
) -> dict[str, t.Any]:
    gateway = Gateway({})
    gateway.rotations = list(statuses)
    gateway.states = [found or state(devshard(1))]
    made = ports(gateway, chain or Chain(_1=live()), check_mode=check_mode, timeout=timeout)
    wish = WindowWish(
        min_blocks=400,
        needs=needs,
        fee_amount=1,
        creator=None,
        wait=wait,
        resumed=resumed,
        settle=settle,
        rotation_danger=rotation_danger,
        max_total_locked=max_total_locked,
    )
    return SwapWindow(made, wish).run()


def test_a_stop_without_a_drain_is_refused_while_it_serves() -> None:
    busy = state(devshard(1, runtime={"active_requests": 2}))
    made = ports(Gateway({}), Chain(_1=live()))
    refuse_stop(made, "main", busy)
    with pytest.raises(UnsafeError, match=r"it serves 2 request\(s\)"):
        refuse_stop(made, "main", busy, idle=True)


def test_past_escrows_are_left_out_and_a_silent_chain_proves_none() -> None:
    chain = Chain(_1=live(), _2=Obj(epoch_index=5, settled=True), _4=live())
    found = state(devshard(1), devshard(4, runtime={"phase": "settlement"}))
    made = ports(Gateway({}), chain)
    assert past_escrows(made, found, [1, 2, 3, 4]) == [2, 3, 4]
    chain.silent = True
    assert past_escrows(made, found, [1, 2, 3, 4]) == [4]


def test_an_escrow_that_the_node_does_not_show_yet_is_neither_past_nor_left_behind() -> None:
    """The temporary gateway's escrows are some minutes old, and nodes behind one address differ."""
    made = [
        Obj(
            id=1,
            kind=Kind.CREATE,
            via=Via.SIGNED,
            escrow_id=1,
            state=State.DONE,
            terms={"epoch": 5},
            result=None,
            seen_height=None,
        )
    ]
    found = state(devshard(1))
    known, unknown = ports(Gateway({}), Chain(), made), ports(Gateway({}), Chain())
    assert past_escrows(known, found, [1]) == []
    assert past_escrows(unknown, found, [1]) == [1]
    with pytest.raises(UnsafeError, match="it is not known whether escrow 1 is settled"):
        refuse_unsettled(known, found)
    with pytest.raises(UnsafeError, match="cannot have pruned it yet"):
        refuse_stop(known, "main", found)


def test_an_open_window() -> None:
    found = window([status()])
    assert (found["open"], found["looks"], found["waited"]) == (True, 1, 0.0)
    assert found["cost"]["text"] == "no escrow, no fee"


@pytest.mark.parametrize("wait", [True, False])
def test_no_swap_begins_in_the_hour_before_an_upgrade_of_the_chain(*, wait: bool) -> None:
    chain = Chain(_1=live())
    chain.plan = UpgradePlan(name="v0.2.17", height=chain.height + 719)
    with pytest.raises(UnsafeError, match=r"upgrades to v0\.2\.17 at block \d+, in 719 blocks"):
        window([status()], chain=chain, wait=wait)
    chain.plan = UpgradePlan(name="v0.2.17", height=chain.height + 720)
    assert window([status()], chain=chain)["open"]


def test_the_cost_is_shown_in_gnk() -> None:
    need = TempNeed(model_id="m", amount=5_000_000_000, count=2)
    wish = WindowWish(min_blocks=1, needs=(need,), fee_amount=1_000_000, creator=None, wait=False)
    cost = cost_of(wish)
    assert (cost["escrows"], cost["deposits"], cost["fees"]) == (2, 10_000_000_000, 4_000_000)
    assert "2 escrow(s)" in cost["text"]
    assert "10 GNK of deposits" in cost["text"]
    assert "0.004 GNK of fees" in cost["text"]


def test_check_mode_refuses_what_the_run_refuses() -> None:
    for told in (POC, BLANK):
        with pytest.raises(UnsafeError, match="no swap now"):
            window([told], check_mode=True)


def test_a_gateway_that_does_not_tell_what_it_does_opens_no_window() -> None:
    with pytest.raises(ProtocolError, match=r"rotation\.settings\.enabled: the field is missing"):
        window([status(settings={})])
    with pytest.raises(ProtocolError, match=r"state\.settings\.disabled\.enabled: expected true"):
        window([status()], found=state(devshard(1), disabled={"enabled": "no"}))


@pytest.mark.parametrize(
    "held",
    [
        None,
        {},
        {"escrow_rotation": None},
        {"escrow_rotation": {"settlement_enabled": False, "pre_poc_blocks": 300}},
        {"escrow_rotation": {**ROTATION, "enabled": []}},
        {"escrow_rotation": {**ROTATION, "settlement_enabled": None}},
        {"escrow_rotation": {**ROTATION, "pre_poc_blocks": "many"}},
        {"escrow_rotation": {**ROTATION, "models": [{"temp_count": 1}]}},
    ],
    ids=str,
)
def test_rotation_that_is_not_told_is_never_off(held: dict[str, t.Any] | None) -> None:
    gateway = Gateway(held or {})
    with pytest.raises(ProtocolError, match=r"^settings\.escrow_rotation"):
        freeze_rotation(api(gateway), check_mode=False)


def test_what_the_gateway_does_not_know_yet_is_waited_for_a_little() -> None:
    assert window([BLANK, BLANK, status()])["waited"] == 10.0
    with pytest.raises(UnsafeError, match="phase is unknown"):
        window([BLANK])


def test_a_phase_is_refused_or_waited_for() -> None:
    with pytest.raises(UnsafeError, match="hot_swap_wait_for_window=true"):
        window([POC])
    assert window([POC, POC, POC, status()], wait=True)["looks"] == 4
    with pytest.raises(WaitTimeoutError, match="did not open"):
        window([POC], wait=True)


def test_a_window_that_opens_late_looks_once_more_at_what_waiting_does_not_heal() -> None:
    """An escrow that was far from its deadline when the wait began may be near it at the end."""
    chain = Chain(_1=live(epoch=4))

    class Slow(Gateway):
        def rotation(self) -> RotationStatus:
            chain.height += 300
            return super().rotation()

    gateway = Slow({})
    gateway.rotations = [POC, POC, status()]
    gateway.states = [state(devshard(1))]
    wish = WindowWish(min_blocks=400, needs=(), fee_amount=1, creator=None, wait=True)
    with pytest.raises(UnsafeError, match="must be settled within 0 blocks"):
        SwapWindow(ports(gateway, chain), wish).run()


def test_a_wait_that_continues_asks_what_does_not_heal_once_the_window_is_open() -> None:
    """Meanwhile a rotation may have no active escrow of a model, or a small wallet."""
    lost = Chain()
    with pytest.raises(WaitTimeoutError, match="did not open"):
        window([POC], wait=True, resumed=True, chain=lost)
    with pytest.raises(UnsafeError, match="does not have active escrow 1"):
        window([status()], wait=True, resumed=True, chain=lost)
    assert window([status()], wait=True, resumed=True)["looks"] == 1
    # without a wait there is none that continues
    with pytest.raises(UnsafeError, match="does not have active escrow 1"):
        window([POC], resumed=True, chain=lost)


def test_check_mode_tells_and_does_not_wait() -> None:
    found = window([POC], wait=True, check_mode=True)
    assert (found["open"], found["looks"]) == (False, 1)
    assert "PoCGenerate" in found["reasons"][0]


@pytest.mark.parametrize(
    ("found", "chain", "words"),
    [
        (state(disabled={"enabled": True}), Chain(), "redirects its clients"),
        (state(devshard(1)), Chain(), "does not have active escrow 1"),
        (state(devshard(1)), Chain(_1=live(epoch=4)), None),
        (state(devshard(1)), Chain(_1=live(epoch=3)), "must be settled within 0 blocks"),
    ],
)
def test_what_waiting_does_not_heal_is_refused_at_once(
    found: GatewayState, chain: Chain, words: str | None
) -> None:
    if words is None:
        assert window([status()], found=found, chain=chain, wait=True)["open"]
        return
    with pytest.raises(UnsafeError, match=words):
        window([POC], found=found, chain=chain, wait=True)


def test_an_escrow_near_its_deadline_is_refused() -> None:
    chain = Chain(_1=live(epoch=4))
    chain.height = 1600
    with pytest.raises(UnsafeError, match="must be settled within 299 blocks"):
        window([status()], chain=chain)


@pytest.mark.parametrize(
    ("money", "needs", "words"),
    [
        (204, (TempNeed(model_id="m", amount=100, count=2),), None),
        (203, (TempNeed(model_id="m", amount=100, count=2),), "1 ngonka are missing"),
        (150, (TempNeed(model_id="m", amount=100, count=2),), "54 ngonka are missing"),
        (999, (TempNeed(model_id="gone", amount=100, count=1),), "not active"),
        (999, (TempNeed(model_id="m", amount=1, count=1),), "outside the chain's limits"),
    ],
)
def test_temporary_escrows_must_be_affordable(
    money: int, needs: tuple[TempNeed, ...], words: str | None
) -> None:
    chain = Chain(_1=live())
    chain.money = money
    if words is None:
        assert window([status()], chain=chain, needs=needs)["open"]
        return
    with pytest.raises(UnsafeError, match=words):
        window([status()], chain=chain, needs=needs)


@pytest.mark.parametrize("wait", [True, False])
def test_no_image_whose_rotation_empties_the_wallet_while_it_is_on(*, wait: bool) -> None:
    on = state(devshard(1), escrow_rotation={**SETTINGS["escrow_rotation"]})
    with pytest.raises(UnsafeError, match="the rotation is on, and it pays twice. Set gateway_im"):
        window([status()], found=on, wait=wait, rotation_danger="it pays twice")
    assert window([status()], wait=wait, rotation_danger="it pays twice")["open"]
    assert window([status()], found=on, wait=wait)["open"]


def test_temporary_escrows_do_not_exceed_the_limit_of_what_may_be_locked() -> None:
    """Those that are settled, or that the chain has forgotten, lock nothing."""
    need = (TempNeed(model_id="m", amount=100, count=1),)
    chain = Chain(_1=live(amount=50), _2=live(amount=7, settled=True))
    chain.made = [Obj(escrow_id=number, epoch_index=5) for number in (1, 2)]
    chain.made += [Obj(escrow_id=number, epoch_index=1) for number in (1, 3)]
    assert window([status()], chain=chain, needs=need, max_total_locked=150)["open"]
    limit = "50 ngonka .* are locked, 100 more would exceed escrow_max_total_locked"
    with pytest.raises(UnsafeError, match=limit):
        window([status()], chain=chain, needs=need, max_total_locked=149)
    assert window([status()], chain=chain, max_total_locked=1)["open"]
    # one that it does not show, and has not forgotten yet, may lock as much as any
    chain.made.append(Obj(escrow_id=4, epoch_index=5))
    with pytest.raises(UnsafeError, match="limit in all"):
        window([status()], chain=chain, needs=need, max_total_locked=999)
    chain.made = None
    with pytest.raises(UnsafeError, match="limit in all"):
        window([status()], chain=chain, needs=need, max_total_locked=999)


def test_no_temporary_escrow_that_could_never_be_settled() -> None:
    chain = Chain(_1=live())
    chain.approved = ("v3",)
    with pytest.raises(UnsafeError, match="approves only v3"):
        window([status()], chain=chain, needs=(TempNeed(model_id="m", amount=100, count=1),))


def test_a_fee_that_cannot_pay_the_settle_within_the_swap_is_refused_before_it_begins() -> None:
    chain, needs = Chain(_1=live()), (TempNeed(model_id="m", amount=100, count=1),)
    chain.gas_price = 3
    assert window([status()], chain=chain, needs=needs)["open"]
    with pytest.raises(UnsafeError, match="set hot_swap_fee_amount to 3000000 or more"):
        window([status()], chain=chain, needs=needs, settle=True)
    chain.gas_price = 0
    assert window([status()], chain=chain, needs=needs, settle=True)["open"]

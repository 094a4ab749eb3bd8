# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The rules for a client of the chain v0.2.16, each under its number (chain-v0.2.16.md §9)."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.api import ChainApi
from ansible_collections.gonka.devshard.plugins.module_utils._chain.fees import (
    CREATE_TYPE,
    MAX_FEE,
    SETTLE_TYPE,
    FeeParams,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import (
    Epoch,
    Escrow,
    EscrowParams,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.node import MAX_CLOCK_LAG
from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
    Release,
    UpgradePlan,
    judge_approved,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ChainRejectedError,
    DevshardError,
    ProtocolError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Response
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ledger.states import Kind
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import (
    clock_of,
    read_clock,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.payment import (
    PaymentAnswer,
    refuse_fee,
    refuse_version,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.report import (
    ReportOptions,
    report,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import PLUGINS
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    GATEWAY as BY_GATEWAY,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.pools import (
    check,
    intents,
    run,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.settling import (
    REFUND,
    only,
    settle,
    settles_on_chain,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    AMOUNT,
    BLOCK,
    EPOCH_BLOCKS,
    FakeChain,
    World,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    ScriptedTransport,
    as_response,
    body,
)

BASE = "https://node.example.org"
NOW = datetime(2026, 10, 10, tzinfo=timezone.utc)
NODE_INFO = "GET /rest/cosmos/base/tendermint/v1beta1/node_info"
PARAMS = "GET /rest/productscience/inference/inference/params"
STORE = "GET /rest/productscience/inference/inference/devshard_approved_versions"
EPOCH_NOW = "GET /rest/productscience/inference/inference/get_current_epoch"
PLAN = "GET /rest/cosmos/upgrade/v1beta1/current_plan"
ABCI = "GET /rpc/abci_info"
NOT_THERE = (
    as_response({"code": 12, "message": "Not Implemented", "details": []}, 501),
    as_response({"code": 5, "message": "not found", "details": []}, 404),
    Response(status=403, headers={"Content-Type": "text/html"}, body=b"<html>403</html>"),
    Response(status=404, headers={"Content-Type": "text/html"}, body=b"<html>404</html>"),
)
OLD, NEW = "v0.2.13", "v0.2.16-post1"


def api(table: dict[str, t.Any], *, rpc: bool = True) -> tuple[ChainApi, ScriptedTransport]:
    transport = ScriptedTransport(BASE, table)
    chain = ChainApi(
        transport,
        rest=f"{BASE}/rest/",
        public_api=BASE,
        chain_id="gonka-mainnet",
        max_block_age=120,
        now=lambda: NOW,
        rpc=f"{BASE}/rpc/" if rpc else None,
    )
    return chain, transport


def runs(version: str) -> dict[str, t.Any]:
    return {"application_version": {"version": version}}


def params(listed: list[t.Any] | None = None, **fees: t.Any) -> dict[str, t.Any]:
    answer: dict[str, t.Any] = body("params")
    answer["params"]["devshard_escrow_params"]["approved_versions"] = listed or []
    answer["params"]["fee_params"] = fees or None
    return answer


def store(*names: str) -> dict[str, t.Any]:
    digest = {"binary": "https://example.org/x", "sha256": "00" * 32, "pass_count": "DERIVED"}
    return {"versions": [{"name": name, **digest} for name in names]}


# 1: the release at first contact, and the query that it has


@pytest.mark.parametrize(
    ("version", "number", "stored"),
    [
        ("v0.2.16-post1", (0, 2, 16), True),
        ("0.2.16", (0, 2, 16), True),
        ("v0.2.17", (0, 2, 17), True),
        ("v0.3.0-rc1", (0, 3, 0), True),
        ("v0.2.15-post6", (0, 2, 15), False),
        ("v0.2.13", (0, 2, 13), False),
    ],
)
def test_rule_01_a_release_is_known_by_its_beginning(
    version: str, number: tuple[int, int, int], stored: bool
) -> None:
    found = Release.parse(version)
    assert found is not None
    assert (found.number, found.has_version_store) == (number, stored)


@pytest.mark.parametrize("version", ["", "main", "v0.2", "release/v0.2.16", "8a35022b"])
def test_rule_01_what_names_no_release(version: str) -> None:
    assert Release.parse(version) is None


def test_rule_01_the_release_is_asked_once_and_over_the_rpc_where_rest_does_not_say_it() -> None:
    chain, http = api({NODE_INFO: runs(NEW)})
    assert chain.release == chain.release == Release.parse(NEW)
    assert len(http.asked) == 1
    told = {"result": {"response": {"version": NEW}}}
    answers: tuple[t.Any, ...] = ({"default_node_info": {}}, runs(""), *NOT_THERE)
    for answer in answers:
        chain, http = api({NODE_INFO: answer, ABCI: told})
        assert chain.release == Release.parse(NEW)
        assert len(http.asked) == 2
    assert api({NODE_INFO: runs("")}, rpc=False)[0].release is None
    assert api({NODE_INFO: runs(""), ABCI: NOT_THERE[0]})[0].release is None


def approved(release: str | None, listed: list[t.Any], stored: t.Any) -> ApprovedVersions:
    table = {PARAMS: params(listed), STORE: stored, NODE_INFO: runs(release or "")}
    return api(table, rpc=False)[0].escrow_params().approved


@pytest.mark.parametrize("missing", NOT_THERE)
def test_rule_01_each_query_is_the_other_ones_replacement(missing: Response) -> None:
    assert approved(NEW, [], store("v5", "v4.1")).names == ("v4.1", "v5")
    assert approved(NEW, ["v2"], missing).names == ("v2",)
    assert approved(NEW, [{"name": "v2"}], store()).names == ("v2",)
    assert approved(OLD, ["v2"], missing).names == ("v2",)
    assert approved(OLD, [], store("v4.1")).names == ("v4.1",)
    assert approved(None, ["v2"], missing).names == ("v2",)
    assert approved(None, ["v2"], store("v4.1")).names == ("v4.1",)


def test_rule_01_an_old_chain_with_a_list_is_not_asked_for_the_new_one() -> None:
    chain, http = api({PARAMS: params(["v2"]), NODE_INFO: runs(OLD)})
    assert chain.escrow_params().approved.names == ("v2",)
    assert [request.url.rsplit("/", 1)[-1] for request in http.asked] == ["params", "node_info"]


def test_rule_01_an_error_of_the_query_is_not_an_answer() -> None:
    with pytest.raises(ProtocolError, match="got 500"):
        approved(NEW, ["v2"], as_response({"code": 2, "message": "unavailable"}, 500))
    with pytest.raises(ProtocolError, match="name: the field is missing"):
        approved(NEW, [], {"versions": [{"sha256": "00"}]})


# 2: yes, no, could not ask


@pytest.mark.parametrize("missing", NOT_THERE)
def test_rule_02_an_empty_list_is_no_answer_but_on_an_old_chain(missing: Response) -> None:
    for release, stored in ((NEW, store()), (NEW, missing), (None, store()), (None, missing)):
        found = approved(release, [], stored)
        assert (found.known, found.takes("v4.1")) == (False, None)
    # a store that an old chain cannot have: then it is not what it says
    assert approved(OLD, [], store()).takes("v2") is None
    old = approved(OLD, [], missing)
    assert (old.known, old.takes("v2"), str(old)) == (True, True, "any")
    assert approved(NEW, [], {"versions": None}).takes("v4.1") is None


def test_rule_02_no_answer_is_never_a_yes() -> None:
    listed = ApprovedVersions(names=("v4.1", "v5"))
    assert (listed.takes("v4.1"), listed.takes("v2")) == (True, False)
    assert refuse_version("v4.1", listed) is None
    assert "approves only v4.1, v5" in (refuse_version("v2", listed) or "")
    assert "could not be read" in (refuse_version("v4.1", ApprovedVersions()) or "")
    for found in (listed, ApprovedVersions(), ApprovedVersions(every=True)):
        assert ApprovedVersions.of_result(found.to_result()) == found


# 5: fees by live parameters


def group(name: str, price: object, *types: str) -> dict[str, t.Any]:
    return {"name": name, "min_gas_price": price, "msgs": [{"type_url": one} for one in types]}


GROUPS = [
    group("devshard", "2", CREATE_TYPE, SETTLE_TYPE),
    group("dear", 7, "/inference.inference."),
    group("cosmos", "1", "/cosmos.bank.", "/cosmos.authz."),
]


def fees(**values: t.Any) -> FeeParams:
    return FeeParams.from_api(Reader({"min_gas_price_ngonka": "5", **values}, "fee_params"))


@pytest.mark.parametrize(
    ("enabled", "price"),
    [
        (["cosmos"], 0),
        ([], 0),
        (["devshard", "cosmos"], 2),
        # the highest of all enabled groups that have the message
        (["devshard", "dear"], 7),
        # which are enabled is not said: then each of them counts
        (None, 7),
    ],
)
def test_rule_05_a_fee_goes_by_the_enabled_groups(enabled: list[str] | None, price: int) -> None:
    found = fees(groups=GROUPS, enabled_fee_groups=enabled)
    assert found.price(CREATE_TYPE) == price
    assert found.required(CREATE_TYPE, 500_000) == 500_000 * price
    # what is asked is offered, since all that is offered is charged
    assert found.offer(CREATE_TYPE, 500_000, ceiling=10**9) == 500_000 * price


def test_rule_05_a_settle_is_exempt() -> None:
    found = fees(groups=GROUPS, enabled_fee_groups=["devshard", "dear"])
    assert (found.price(SETTLE_TYPE), found.offer(SETTLE_TYPE, 10**6, 10**6)) == (0, 0)


def test_rule_05_a_module_is_a_prefix_and_a_message_is_not() -> None:
    found = fees(groups=GROUPS, enabled_fee_groups=["cosmos", "devshard"])
    assert found.price("/cosmos.bank.v1beta1.MsgSend") == 1
    assert found.price(f"{CREATE_TYPE}Else") == 0


def test_rule_05_a_chain_without_groups_has_one_price() -> None:
    found = fees()
    assert (found.price(CREATE_TYPE), found.price(SETTLE_TYPE)) == (5, 5)
    assert found.offer(CREATE_TYPE, 500_000, ceiling=3_000_000) == 3_000_000
    assert fees(groups=[], enabled_fee_groups=[]).price(CREATE_TYPE) == 0


def test_rule_05_above_our_ceiling_nothing_is_paid() -> None:
    assert refuse_fee(1_000_000, 500_000, 1_000_000, "escrow_fee_amount") is None
    text = refuse_fee(1_000_000, 700_000, 1_400_000, "escrow_fee_amount") or ""
    assert "set escrow_fee_amount to 1400000 or more" in text
    assert "which the chain refuses" in (refuse_fee(MAX_FEE + 1, 1, 1, "x") or "")
    assert "which the chain refuses" in (refuse_fee(1, 10**6, MAX_FEE + 1, "x") or "")


def test_rule_05_the_parameters_of_the_chain_have_them() -> None:
    answer = params(["v2"], groups=GROUPS, enabled_fee_groups=["devshard"])
    found = EscrowParams.from_api(Reader(answer["params"], "params"))
    assert (found.create_gas_price, found.fees.price(SETTLE_TYPE)) == (2, 0)
    told = found.to_result()
    assert (told["create_gas_price"], told["settle_gas_price"]) == (2, 0)


# 7: deadlines by the epoch that is effective


def test_rule_07_a_deadline_goes_by_the_effective_epoch() -> None:
    chain, _unused = api({EPOCH_NOW: {"epoch": "213"}})
    assert chain.effective_epoch() == 213
    for missing in NOT_THERE:
        assert api({EPOCH_NOW: missing})[0].effective_epoch() is None


def test_rule_07_the_index_is_one_higher_from_the_start_of_poc_to_the_switch() -> None:
    chain = FakeChain()
    chain.height = EPOCH_BLOCKS - 10
    poc = Epoch(
        index=6,
        height=chain.height,
        phase="PoCGenerate",
        confirmation_poc=False,
        stages={"set_new_validators": EPOCH_BLOCKS, "next_poc_start": 2 * EPOCH_BLOCKS - 40},
        next_stages={"set_new_validators": 2 * EPOCH_BLOCKS},
    )
    for effective in (5, None):
        clock = clock_of(poc, chain.head(), effective, chain.block_seconds)
        assert (clock.effective, clock.next_switch) == (5, EPOCH_BLOCKS)
    # the switch came between two answers
    assert clock_of(poc, chain.head(), 6, chain.block_seconds).next_switch == 2 * EPOCH_BLOCKS


@pytest.mark.parametrize("effective", [3, 7, 214])
def test_rule_07_a_chain_and_a_public_api_of_different_epochs_give_no_deadline(
    effective: int,
) -> None:
    chain = FakeChain()
    with pytest.raises(UnknownStateError, match=f"in epoch {effective}, and by the public API"):
        clock_of(chain.epoch(), chain.head(), effective, chain.block_seconds)
    assert read_clock(chain).effective == 5


# 11: every shape, integers normalised, unknown keys ignored

STAGES = {"set_new_validators": 4709110, "next_poc_start": 4724460}
EPOCHS: dict[str, dict[str, t.Any]] = {
    "legacy": {
        "block_height": 4710593,
        "latest_epoch": {"index": 214, "poc_start_block_height": 4709089},
        "phase": "Inference",
        "epoch_stages": STAGES,
        "next_epoch_stages": {"set_new_validators": 4724481},
        "epoch_params": {"epoch_length": 15371},
        "is_confirmation_poc_active": False,
    },
    "transition": {
        "block_height": "4710593",
        "latest_epoch": {"index": "214", "poc_start_block_height": "4709089"},
        "phase": "Inference",
        "epoch_stages": {name: str(height) for name, height in STAGES.items()},
        "next_epoch_stages": {"set_new_validators": "4724481"},
        "epoch_params": {"epoch_params": {"epoch_length": "15371"}, "fee_params": {}},
        "active_confirmation_poc_event": None,
        "is_confirmation_poc_active": None,
    },
    "flat": {
        "block_height": 4710593,
        "latest_epoch": {"index": 214, "poc_start_block_height": 4709089},
        "phase": "Inference",
        "epoch_stages": STAGES,
        "next_epoch_stages": {"set_new_validators": 4724481},
        "epoch_params": {"epoch_length": 15371},
        "effective_epoch_index": 214,
        "a_later_field": [{}],
    },
}


@pytest.mark.parametrize("shape", EPOCHS)
@pytest.mark.parametrize("following", ["there", "null", "missing"])
def test_rule_11_the_epoch_in_every_shape(shape: str, following: str) -> None:
    answer = dict(EPOCHS[shape])
    if following == "null":
        answer["next_epoch_stages"] = None
    elif following == "missing":
        del answer["next_epoch_stages"]
    assert Epoch.from_api(Reader(answer, "epoch")) == Epoch(
        index=214,
        height=4710593,
        phase="Inference",
        confirmation_poc=False,
        stages=STAGES,
        next_stages={"set_new_validators": 4724481},
    )


def test_rule_11_a_numbered_phase_is_not_taken_for_a_good_one() -> None:
    assert Epoch.from_api(Reader({**EPOCHS["legacy"], "phase": 4}, "epoch")).phase == "4"


@pytest.mark.parametrize(
    "answer", [{"object": "list", "data": [{"id": "m"}]}, {"models": [{"id": "m"}]}]
)
def test_rule_11_models_under_both_keys(answer: dict[str, t.Any]) -> None:
    assert api({"GET /v1/models": answer})[0].active_models() == ["m"]


@pytest.mark.parametrize("key", ["models", "model"])
def test_rule_11_governance_models_under_both_keys(key: str) -> None:
    chain, _unused = api({"GET /v1/governance/models": {key: [{"id": "m"}]}})
    assert chain.governance_models() == ["m"]


def test_rule_11_an_escrow_with_and_without_the_newer_fields() -> None:
    answer = body("escrow_found")["escrow"]
    newer = {
        **{name: value for name, value in answer.items() if name not in Escrow.__slots__},
        **{name: answer[name] for name in answer if name in Escrow.__slots__},
        "validation_rate": 5000,
        "vote_threshold_factor": 50,
        "logprobs_mode": "LOGPROBS_MODE_NONE",
        "max_nonce": "1000000",
        "refusal_timeout": "60",
    }
    found = Escrow.from_api(Reader(newer, "escrow"))
    assert (found.terms["validation_rate"], found.terms["max_nonce"]) == (5000, 1_000_000)
    bare = {name: value for name, value in answer.items() if name not in found.terms}
    assert Escrow.from_api(Reader(bare, "escrow")).terms == {}


# 15: the clock of this host


@pytest.mark.parametrize(("behind", "fine"), [(MAX_CLOCK_LAG, True), (MAX_CLOCK_LAG + 1, False)])
def test_rule_15_a_clock_behind_the_chain_signs_nothing(behind: int, fine: bool) -> None:
    chain = FakeChain()
    chain.host_behind = timedelta(seconds=behind)
    if fine:
        assert chain.signing_head().height == chain.height
        return
    with pytest.raises(UnknownStateError, match="clock"):
        chain.signing_head()


@pytest.mark.parametrize(("ahead", "fine"), [(MAX_CLOCK_LAG, True), (MAX_CLOCK_LAG + 1, False)])
def test_rule_15_a_clock_ahead_of_the_node_signs_nothing(ahead: int, fine: bool) -> None:
    chain = FakeChain()
    chain.host_behind = -timedelta(seconds=ahead)
    if fine:
        assert chain.signing_head().height == chain.height
        return
    with pytest.raises(UnknownStateError, match="ahead of its node's"):
        chain.signing_head()


def test_rule_15_the_clock_is_compared_where_a_transaction_is_signed() -> None:
    """Each look before a signature is the one that compares it, over REST and over the RPC."""
    escrows = PLUGINS / "module_utils" / "_escrows"
    for name in ("create", "create_guards", "rotation", "settle_look", "transactions"):
        assert ".signing_head()" in (escrows / f"{name}.py").read_text(), name
    wiring = PLUGINS / "module_utils" / "_wiring" / "preflight_info.py"
    assert "rpc.signing_node()" in wiring.read_text()


# 16: a scheduled upgrade


def test_rule_16_the_plan_is_read() -> None:
    plan = {"name": "v0.2.17", "height": "6500000", "time": "0001-01-01T00:00:00Z", "info": ""}
    assert api({PLAN: {"plan": plan}})[0].upgrade_plan() == UpgradePlan(
        name="v0.2.17", height=6_500_000
    )
    assert api({PLAN: {"plan": None}})[0].upgrade_plan() is None
    for missing in NOT_THERE:
        assert api({PLAN: missing})[0].upgrade_plan() is None


def test_answers_have_three_values() -> None:
    assert {answer.name for answer in PaymentAnswer} == {"YES", "NO", "UNKNOWN"}
    assert judge_approved(None, (), None) == ApprovedVersions()


# what runs do, on a network in memory


@pytest.fixture
def empty(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.chain.release = Release.parse(NEW)
    made.chain.fees = fees(groups=GROUPS, enabled_fee_groups=["cosmos"])
    made.chain.terms = {"max_nonce": 20_000, "refusal_timeout": 60, "execution_timeout": 1200}
    return made


@pytest.fixture
def world(empty: World) -> World:
    """With one escrow, which this host paid for."""
    run(empty)
    return empty


def looked(world: World, number: int = 1) -> dict[str, t.Any]:
    options = ReportOptions(
        ids=(number,),
        model_id=None,
        creator=None,
        deadline_blocks=100,
        history=False,
        ledger_path=Path(world.path),
    )
    with world.open() as ledger:
        return report(world.ports(ledger), options)


def danger_kinds(world: World) -> list[str]:
    (row,) = looked(world)["escrows"]
    return [danger["kind"] for danger in row["dangers"]]


def test_rule_03_what_the_chain_would_refuse_later_is_not_paid_for_now(empty: World) -> None:
    empty.chain.approved = ("v4.1", "v5")
    with pytest.raises(UnsafeError, match="approves only v4.1, v5"):
        run(empty)
    empty.chain.approved = ()
    with pytest.raises(UnsafeError, match="approved versions could not be read"):
        run(empty)
    assert (empty.chain.minted, intents(empty)) == ([], [])


def test_rule_03_each_open_escrow_is_looked_at(world: World) -> None:
    assert danger_kinds(world) == []
    world.chain.approved = ("v4.1", "v5")
    assert danger_kinds(world) == ["version"]
    # also one that no gateway has any more, by the version that was noted
    world.gateway.records.clear()
    assert danger_kinds(world) == ["version"]


def test_rule_03_an_open_escrow_whose_version_could_not_be_asked_for_is_not_fine(
    world: World,
) -> None:
    world.chain.approved = ()
    found = looked(world)
    assert [row["may_settle"] for row in found["escrows"]] == [None]
    (text,) = found["not_known"]
    assert text.startswith("whether the chain still takes settlements: ")


def test_rule_04_one_pass_before_a_mint_and_its_values_in_the_ledger(world: World) -> None:
    (intent,) = intents(world)
    assert intent.terms == {
        "release": NEW,
        "version": "v2",
        "epoch": 5,
        "params": world.chain.terms,
    }


def test_rule_04_what_vests_later_cannot_be_locked_now(empty: World) -> None:
    empty.chain.vesting = 99 * AMOUNT
    with pytest.raises(UnsafeError, match="are missing"):
        run(empty)
    empty.chain.vesting = 98 * AMOUNT
    run(empty)
    assert empty.chain.minted == [1]


def test_rule_04_the_spendable_balance_has_its_own_query() -> None:
    path = "GET /rest/cosmos/bank/v1beta1/"
    held = {"balance": {"denom": "ngonka", "amount": "7"}}
    free = {"balance": {"denom": "ngonka", "amount": "5"}}
    table = {f"{path}balances/": held, f"{path}spendable_balances/": free}
    assert api(table)[0].spendable("gonka1c") == 5
    for missing in NOT_THERE:
        assert api({**table, f"{path}spendable_balances/": missing})[0].spendable("gonka1c") == 7


def test_rule_05_the_group_is_off_so_nothing_is_offered(world: World) -> None:
    (intent,) = intents(world)
    assert (intent.fee, world.chain.money) == (0, 99 * AMOUNT)
    assert only(settle(world)).tx_fee == 0


def test_rule_05_the_gateway_would_take_zero_for_its_own_default(empty: World) -> None:
    run(empty, **BY_GATEWAY)
    (intent,) = intents(empty)
    assert (intent.fee, empty.chain.money) == (1, 99 * AMOUNT - 1)


@pytest.mark.parametrize("check_mode", [True, False])
def test_rule_05_a_price_above_the_ceiling_is_refused_before_signing(
    empty: World, *, check_mode: bool
) -> None:
    empty.chain.fees = fees(groups=GROUPS, enabled_fee_groups=["dear"])
    with pytest.raises(UnsafeError, match=r"set escrow_fee_amount \(fee_amount\) to 3500000"):
        (check if check_mode else run)(empty)
    assert (empty.signer.signed, empty.chain.minted) == (0, [])
    run(empty, fee_amount=4_000_000)
    assert [intent.fee for intent in intents(empty)] == [3_500_000]


def test_rule_05_the_price_is_read_again_when_it_is_signed(empty: World) -> None:
    """What was asked before all else may be minutes old."""
    asked: list[FeeParams] = []
    params = empty.chain.escrow_params

    def dearer() -> EscrowParams:
        first = params()
        asked.append(first.fees)
        dear = fees(groups=GROUPS, enabled_fee_groups=["dear"])
        return first if len(asked) == 1 else replace(first, fees=dear)

    empty.chain.escrow_params = dearer  # type: ignore[method-assign]
    with pytest.raises(UnsafeError, match="set escrow_fee_amount"):
        run(empty)
    assert (empty.signer.signed, intents(empty)) == (0, [])


def test_rule_05_a_refusal_for_the_fee_is_read_again_once_and_not_tried_again(
    empty: World,
) -> None:
    empty.chain.check_tx = (13, "insufficient fee: got , required at least 1000000ngonka")
    dear = fees(groups=GROUPS, enabled_fee_groups=["devshard"])
    broadcast = empty.chain.broadcast
    sent = []

    def dearer(tx_bytes: str) -> t.Any:
        sent.append(tx_bytes)
        empty.chain.fees = dear
        return broadcast(tx_bytes)

    empty.chain.broadcast = dearer  # type: ignore[method-assign]
    before = empty.chain.now
    with pytest.raises(ChainRejectedError, match="offers 0 ngonka.*asks for 1000000 ngonka"):
        run(empty)
    assert (len(sent), empty.signer.signed, empty.chain.minted) == (1, 1, [])
    assert empty.chain.now == before


def test_rule_06_nothing_of_ours_sends_coins_to_an_account() -> None:
    """A transfer must leave its own fee in the wallet; the operator's wallet makes them all."""
    plugins = [path.read_text() for path in sorted(PLUGINS.rglob("*.py"))]
    assert not [text for text in plugins if "MsgSend" in text or '"bank", "send"' in text]


def test_rule_07_the_alarm_counts_blocks_to_the_end_of_the_next_epoch(world: World) -> None:
    world.chain.next_epoch()
    world.chain.step(EPOCH_BLOCKS - 101)
    assert danger_kinds(world) == []
    world.chain.step()
    assert danger_kinds(world) == ["deadline"]


def test_rule_07_the_last_epoch_is_named_from_its_first_block_on(world: World) -> None:
    def last() -> bool:
        (row,) = looked(world)["escrows"]
        return bool(row["deadline"]["last_epoch"])

    world.chain.step(EPOCH_BLOCKS - world.chain.height - 1)
    assert not last()
    world.chain.step()
    assert last(), "the status makes an alarm of it, see the test of its rules"
    assert danger_kinds(world) == []


def test_rule_07_what_serves_nothing_is_in_danger_from_then_on(world: World) -> None:
    world.gateway.deactivate("1")
    world.chain.step(EPOCH_BLOCKS - world.chain.height - 1)
    assert danger_kinds(world) == []
    world.chain.step()
    assert danger_kinds(world) == ["last_epoch"]
    assert [escrow.id for escrow in settle(world, ids=(), select="at_risk").escrows] == [1]
    assert danger_kinds(world) == []


def test_rule_08_settled_already_is_done(world: World) -> None:
    """Also where the node that is asked shows it later than the one that refused."""

    def first(number: int) -> None:
        raise ValueError(f"escrow {number} already settled")

    world.chain.before_execution = first
    pause = world.chain.step

    def then_shown(blocks: int = 1) -> None:
        if any(tx.code for tx in world.chain.txs.values()):
            world.chain.escrows[1].settled = True
        pause(blocks)

    world.chain.step = then_shown  # type: ignore[method-assign]
    outcome = only(settle(world))
    assert (outcome.settled, outcome.problem) == (True, None)
    assert world.chain.escrows[1].settled, "it was waited for until the chain showed it"
    assert any("was refused" in text and "fee" not in text for text in world.warnings)


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        (0, "cannot have pruned"),
        (1, "cannot have pruned"),
        (2, "nothing proves that it was settled"),
    ],
)
def test_rule_08_not_found_is_a_proof_only_two_epochs_later(
    world: World, epochs: int, words: str
) -> None:
    for _unused in range(epochs):
        world.chain.next_epoch()
    world.chain.escrows.clear()
    with pytest.raises(DevshardError, match=words):
        settle(world)
    assert [intent.kind for intent in intents(world)] == [Kind.CREATE]


def test_rule_09_the_refund_is_the_remainder_of_the_event(world: World) -> None:
    outcome = only(settle(world))
    (event,) = [tx.settled for tx in world.chain.txs.values() if tx.settled is not None]
    assert outcome.refund == event.remainder == REFUND
    assert outcome.spent == event.total_payout - event.fees


def test_rule_10_a_refusal_before_any_block_is_not_waited_for(world: World) -> None:
    world.chain.check_tx = (7, "address is not an allowed escrow creator: unauthorized")
    before = world.chain.now
    with pytest.raises(ChainRejectedError, match="Nothing was locked or paid"):
        settle(world)
    assert (world.chain.now, settles_on_chain(world)) == (before, 0)
    world.chain.check_tx = None
    assert only(settle(world)).refund == REFUND


def test_rule_10_a_create_that_a_block_refuses_has_cost_its_fee(empty: World) -> None:
    empty.chain.fees = fees(groups=GROUPS, enabled_fee_groups=["devshard"])
    empty.chain.refuse = "failed to lock funds"
    with pytest.raises(ChainRejectedError, match="the fee is spent"):
        run(empty)
    assert (empty.chain.money, empty.chain.minted) == (100 * AMOUNT - 1_000_000, [])


def test_rule_12_a_creator_off_the_list_is_an_alarm_and_no_settle_is_tried(world: World) -> None:
    world.chain.allowed = ("gonka1other",)
    assert danger_kinds(world) == ["not_listed"]
    with pytest.raises(UnsafeError, match="no longer on the chain's list.*before the deadline"):
        settle(world)
    assert world.gateway.records["1"].active


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, []),
        ({"refusal_timeout": 90}, ["changed"]),
        ({"execution_timeout": 1920}, ["changed"]),
        ({"max_nonce": 19_000}, ["changed"]),
        ({"max_nonce": 1_000_000}, []),
    ],
)
def test_rule_13_what_is_not_as_it_was_at_the_mint_is_settled_early(
    world: World, change: dict[str, int], kinds: list[str]
) -> None:
    world.chain.terms |= change
    assert danger_kinds(world) == kinds
    settled = settle(world, ids=(), select="at_risk").escrows
    assert [escrow.id for escrow in settled] == ([1] if kinds else [])


def test_rule_13_a_lowered_limit_of_nonces_that_is_passed(world: World) -> None:
    world.gateway.records["1"].runtime.nonce = 15_000
    world.chain.max_nonce = 15_010
    world.chain.terms["max_nonce"] = 15_010
    assert danger_kinds(world) == ["nonce", "changed"]
    with pytest.raises(UnsafeError, match="above the chain's max_nonce 15010"):
        settle(world, ids=(), select="at_risk")
    assert world.gateway.records["1"].active


@pytest.mark.parametrize("url", [f"{BASE}/rpc", f"{BASE}/rpc/", f"{BASE}/rpc//"])
def test_rule_14_a_base_url_with_a_path_is_right_with_and_without_its_slash(url: str) -> None:
    transport = ScriptedTransport(
        BASE, {NODE_INFO: NOT_THERE[0], ABCI: {"result": {"response": {"version": NEW}}}}
    )
    chain = ChainApi(
        transport, rest=f"{BASE}/rest", public_api=BASE, chain_id="c", max_block_age=1, rpc=url
    )
    assert chain.release == Release.parse(NEW)
    assert transport.asked[-1].url == f"{BASE}/rpc/abci_info"


UPGRADE = UpgradePlan(name="v0.2.17", height=900)
HOUR = int(3600 / BLOCK.total_seconds())


@pytest.mark.parametrize("check_mode", [True, False])
def test_rule_16_nothing_is_minted_in_the_hour_before_an_upgrade(
    empty: World, *, check_mode: bool
) -> None:
    empty.chain.plan = UPGRADE
    empty.chain.step(UPGRADE.height - HOUR + 1 - empty.chain.height)
    with pytest.raises(UnsafeError, match=r"upgrades to v0\.2\.17 at block 900, in 719 blocks"):
        (check if check_mode else run)(empty)
    assert (empty.signer.signed, empty.chain.minted, intents(empty)) == (0, [], [])
    empty.chain.height = UPGRADE.height + 1
    run(empty)
    assert empty.chain.minted == [1]


def test_rule_16_an_hour_before_it_all_goes_on(empty: World) -> None:
    empty.chain.plan = UPGRADE
    empty.chain.height = UPGRADE.height - HOUR
    run(empty)
    assert empty.chain.minted == [1]


def test_rule_16_nothing_is_settled_either(world: World) -> None:
    world.chain.plan = UpgradePlan(name="v0.2.17", height=world.chain.height + 10)
    with pytest.raises(UnsafeError, match="is not settled and continues to serve: the chain upgra"):
        settle(world)
    assert world.gateway.records["1"].active


def test_rule_16_a_deadline_comes_before_an_upgrade(world: World) -> None:
    """What times out is not lost; a deposit whose deadline passes is."""
    world.chain.next_epoch()
    world.chain.step(EPOCH_BLOCKS - 100)
    world.chain.plan = UpgradePlan(name="v0.2.17", height=world.chain.height + 10)
    assert only(settle(world)).refund == REFUND
    assert any("settled all the same" in text for text in world.warnings)


def test_each_rule_has_a_test_that_names_it() -> None:
    named = set(re.findall(r"def test_rule_(\d\d)_", Path(__file__).read_text(encoding="utf-8")))
    assert named == {f"{number:02d}" for number in range(1, 17)}

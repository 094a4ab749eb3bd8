# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The filters of the playbooks."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._chain.fees import FeeParams
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import EscrowParams
from ansible_collections.gonka.devshard.plugins.module_utils._chain.releases import (
    ApprovedVersions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.rotation import (
    RotationFacts,
    refuse_rotation,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.deadline_alarms import (
    deadline_alarms,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.deposits_needed import (
    deposits_needed,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.escrow_receipt import (
    escrow_receipt,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.funding_needed import (
    funding_needed,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.query import query
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.restart_refusals import (
    restart_refusals,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.settle_table import (
    settle_problems,
    settle_table,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.table import table

MODEL = "some/model"
ADDRESS = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


def test_table_aligns_and_spells_values() -> None:
    rows = [{"a": None, "b": True}, {"a": [1, 2], "b": False}, {"a": "longer"}]
    assert table(rows, ["a", "b"]) == [
        "a       b",
        "------  ---",
        "-       yes",
        "1, 2    no",
        "longer  -",
    ]


@pytest.mark.parametrize(("rows", "columns"), [("x", ["a"]), ([1], ["a"]), ([], []), ([], "a")])
def test_table_refuses_what_is_no_table(rows: object, columns: object) -> None:
    with pytest.raises(AnsibleFilterError):
        table(rows, columns)


def test_query_selects() -> None:
    data = {"escrows": [{"id": 1, "usable": True}, {"id": 2, "usable": False}]}
    assert query(data, "escrows[?usable].id") == [1]


def test_query_names_a_bad_expression() -> None:
    with pytest.raises(AnsibleFilterError, match="query"):
        query({}, "a[")


def test_funding_is_an_epoch_of_deposits_one_more_and_two_fees_for_each() -> None:
    models = [
        {"model_id": "a", "amount": 5_000_000_000, "temp_count": 1, "target_count": 2},
        {"id": "b", "amount": "50000000", "count": "3"},
    ]
    first = (1 + 2 + 1) * (5_000_000_000 + 2 * 1_000_000)
    second = (1 + 3 + 1) * (50_000_000 + 2 * 1_000_000)
    assert funding_needed(models) == first + second
    assert funding_needed(models[1:], fee=0, temp_count=2) == (2 + 3 + 1) * 50_000_000
    assert funding_needed([]) == 0


@pytest.mark.parametrize(
    "models",
    ["text", {"id": "a"}, [1], [{"id": "a"}], [{"id": "a", "amount": 1.5}], [{"amount": -1}]],
)
def test_funding_of_nonsense_is_refused(models: object) -> None:
    with pytest.raises(AnsibleFilterError, match="funding_needed"):
        funding_needed(models)


CREATED: dict[str, t.Any] = {
    "id": 9,
    "model": "a",
    "amount": 5_000_000_000,
    "fee": 1_000_000,
    "tx_hash": "AB" * 32,
    "height": 120,
    "settle_before": {"height": 999, "blocks_left": 879, "seconds_left": 5274},
}


def receipt(result: dict[str, t.Any], *, count: int = 1, check: bool = False) -> str:
    models = [{"id": "a", "count": count}, {"id": "b"}]
    nothing = {"created": [], "escrows": [{"id": 1}], "surplus": [], "balance": None}
    return "\n".join(escrow_receipt([{**nothing, **result}, nothing], models, "gw-1", check))


def test_what_was_paid_is_shown_with_its_deadline_and_the_balance() -> None:
    shown = receipt({"created": [CREATED], "balance": 4_999_000_000})
    assert shown.startswith("gw-1, what was paid\n")
    assert max(len(line) for line in shown.splitlines()) <= 120
    for words in (
        "5 GNK",
        "0.001 GNK",
        "block 999 (879 blocks, 1 h 27 min)",
        f"escrow 9: transaction {'AB' * 32}",
        "balance after: 4.999 GNK",
    ):
        assert words in shown
    predicted = {"model": "a", "amount": 5_000_000_000, "fee": 1_000_000}
    assert receipt({"created": [predicted], "balance": 1}, check=True).startswith(
        "gw-1, what would be paid\n"
    )


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            {"escrows": [{"id": 1}, {"id": 2}, {"id": 3}], "surplus": [{"id": 1}, {"id": 2}]},
            (
                "a: 3 usable, 1 wanted; settle with the playbook gonka.devshard.settle"
                " -e settle_ids=1,2"
            ),
        ),
        ({"reactivated": [5]}, "a: escrow 5 was inactive, is paid for and serves again"),
        ({"adopted": [4]}, "a: escrow 4, paid for earlier, is registered now"),
        (
            {"foreign": [{"id": 7, "creator": "gonka1o"}]},
            "a: escrow 7 in this gateway belongs to gonka1o and is not counted",
        ),
        ({"failed": True, "msg": "it is not known yet"}, "a: FAILED: it is not known yet"),
    ],
)
def test_what_else_concerns_a_deposit_is_said(result: dict[str, t.Any], words: str) -> None:
    assert words in receipt(result).splitlines()


def test_nothing_is_said_where_nothing_is_to_be_told() -> None:
    assert receipt({}) == ""
    assert escrow_receipt([], [], "gw-1") == []
    with pytest.raises(AnsibleFilterError, match="escrow_receipt"):
        escrow_receipt(None, [], "gw-1")


def terms(approved: tuple[str, ...]) -> EscrowParams:
    return EscrowParams(
        min_amount=0,
        max_amount=10**12,
        max_escrows_per_epoch=1,
        max_nonce=1,
        group_size=16,
        create_devshard_fee=0,
        fee_per_nonce=0,
        allowed_creator_addresses=(),
        approved=ApprovedVersions(names=approved, every=not approved),
        fees=FeeParams(),
    )


def test_what_missing_escrows_cost_is_the_same_for_roles_and_modules() -> None:
    assert deposits_needed([5_000_000_000, "50000000"]) == 5_050_000_000 + 4_000_000
    assert deposits_needed([], fee=7) == 0
    assert deposits_needed([10, 20], fee="3") == 42
    for nonsense in ("text", [True], [-1], [1.5], None):
        with pytest.raises(AnsibleFilterError, match="deposits_needed"):
            deposits_needed(nonsense)


def test_three_gateways_with_one_creator_need_the_sum() -> None:
    """The filter, the role and the module reckon with the same numbers."""
    model = {"model_id": "a", "amount": 5_000_000_000, "temp_count": 1, "target_count": 1}
    rotation = {"models": [{**model, "private_key_env": "K"}], "pre_poc_blocks": 10}
    facts = RotationFacts(
        usable_models=frozenset("a"),
        active_models=frozenset("a"),
        balance=0,
        terms=terms(()),
        creator="c",
        poc_blocks=10,
        settlement_tag="v2",
        gas_limit=500_000,
    )
    need = funding_needed([model])

    def refused(balance: int) -> list[str]:
        return refuse_rotation(
            rotation,
            replace(facts, balance=balance),
            known_env=None,
            other_gateways_need=2 * need,
            fee=1_000_000,
        )

    assert refused(3 * need) == []
    (reason,) = refused(3 * need - 1)
    assert f"needs {3 * need}: 1 ngonka are missing" in reason
    facts = replace(facts, terms=terms(("v3",)))
    (reason,) = refused(3 * need)
    assert "approves only v3" in reason


def unsettled(number: int, blocks: int, *kinds: str, **changes: t.Any) -> dict[str, t.Any]:
    """An open escrow as escrow_info has it."""
    return {
        "id": number,
        "model": MODEL,
        "usable": True,
        "amount": 5,
        "on_chain": True,
        "absence": None,
        "settled": False,
        "recorded": True,
        "may_settle": True,
        "deadline": {"blocks_left": blocks, "seconds_left": blocks * 6},
        "dangers": [{"kind": kind, "reason": f"why {kind}", "advice": "Do it"} for kind in kinds],
        **changes,
    }


def looked(*escrows: dict[str, t.Any], not_known: tuple[str, ...] = ()) -> dict[str, t.Any]:
    return {"escrows": list(escrows), "not_known": list(not_known)}


def test_deposits_in_danger_are_named_and_no_others() -> None:
    found = looked(
        unsettled(1, 500),
        unsettled(2, 499, "deadline"),
        unsettled(3, -1, "too_late", may_settle=False),
        unsettled(5, 10, "deadline", "not_listed", may_settle=False),
        unsettled(6, 20, "deadline", may_settle=None),
        unsettled(7, 10, "deadline", recorded=False, may_settle=False),
        unsettled(8, 10, "deadline", recorded=False, may_settle=False),
    )
    assert deadline_alarms(found, [7], "gw1") == [
        "Escrow 2 (5 ngonka, 499 blocks, 0 h 49 min left).",
        "Escrow 3 (5 ngonka): why too_late. Do it.",
        "Escrow 5 (5 ngonka, 10 blocks, 0 h 01 min left): Do it. why not_listed. Do it.",
        "Escrow 6 (5 ngonka, 20 blocks, 0 h 02 min left).",
        "Escrow 8 (5 ngonka, 10 blocks, 0 h 01 min left): Do it.",
        (
            "Settle what is near its deadline with the playbook gonka.devshard.settle"
            " -e devshard_hosts=gw1 -e settle_ids=2,6."
        ),
    ]
    assert deadline_alarms(looked()) == []


def test_what_could_not_be_asked_is_an_alarm() -> None:
    found = looked(unsettled(1, 500), not_known=("the deadlines: no answer",))
    assert deadline_alarms(found) == ["Not known: the deadlines: no answer."]


@pytest.mark.parametrize(("found", "elsewhere"), [("x", []), ([], []), (looked(), "7")])
def test_deadlines_of_nonsense_are_refused(found: object, elsewhere: object) -> None:
    with pytest.raises(AnsibleFilterError, match="deadline_alarms"):
        deadline_alarms(found, elsewhere)


def chosen(number: int, **changes: t.Any) -> dict[str, t.Any]:
    """An escrow as escrow_settle has it."""
    return {
        "id": number,
        "settled": False,
        "deposit": 5,
        "spent": None,
        "fees": None,
        "refund": None,
        "tx_fee": None,
        "predicted": False,
        "problem": None,
        **changes,
    }


SETTLED = {
    "escrows": [
        chosen(1, settled=True, spent=1, fees=1, refund=3, tx_fee=9),
        chosen(2, problem={"message": "the wallet is empty"}),
        chosen(3, problem={"message": "the wallet is empty"}),
    ],
    "foreign": [{"id": 24, "creator": "gonka1x", "amount": 7}],
}


def test_the_table_has_what_was_settled_and_what_was_not() -> None:
    assert settle_table(SETTLED, "gw1") == [
        "gw1: what was done. Amounts in ngonka.",
        "escrow  result       deposit  spent  fees  refund  fee paid",
        "------  -----------  -------  -----  ----  ------  --------",
        "1       settled      5        1      1     3       9",
        "2       NOT settled  5        -      -     -       -",
        "3       NOT settled  5        -      -     -       -",
        "gw1: escrow 24 (7 ngonka) belongs to gonka1x and cannot be settled with this key.",
    ]
    assert settle_problems(SETTLED) == ["the wallet is empty"]
    assert settle_table({"escrows": [], "foreign": []}, "gw1") == []


def test_a_prediction_says_that_it_is_one() -> None:
    found = {
        "escrows": [
            chosen(1, predicted=True, refund=4),
            chosen(2, predicted=True, spent=1, fees=1, refund=3),
        ],
        "foreign": [],
    }
    lines = settle_table(found, "gw1", True)
    assert lines[0] == "gw1: a prediction, nothing was done. Amounts in ngonka."
    assert [line.split("  ")[0:1] for line in lines[3:]] == [["1"], ["2"]]
    assert "would be settled  5        -      -     about 4" in lines[3]
    assert "about" not in lines[4]
    assert settle_problems(found) == []


@pytest.mark.parametrize("found", [None, "x", {}])
def test_a_settling_of_nonsense_is_refused(found: object) -> None:
    with pytest.raises(AnsibleFilterError, match="settle_table"):
        settle_table(found, "gw1")
    with pytest.raises(AnsibleFilterError, match="settle_problems"):
        settle_problems(found)


def gateway(disabled: bool = True, **item: t.Any) -> dict[str, t.Any]:
    one = {"id": 7, "phase": "active", "active": False, "loaded": True, **item}
    return {"disabled": disabled, "devshards": [one]}


def test_a_restart_needs_the_proof_that_no_client_is_left() -> None:
    assert restart_refusals(gateway(), 204) == []


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        (gateway(disabled=False), 204, "serves clients"),
        (gateway(), 503, "still holds a client's connection"),
        (gateway(), 404, "does not say .* \\(404\\)"),
        (gateway(), -1, "does not say"),
        (gateway(phase="finalizing"), 204, "could lose escrow\\(s\\) 7"),
        (gateway(active=True, loaded=False), 204, "could lose"),
    ],
)
def test_without_that_proof_nothing_is_restarted(
    found: dict[str, t.Any], status: int, reason: str
) -> None:
    (told,) = restart_refusals(found, status)
    assert re.search(reason, told)


@pytest.mark.parametrize("found", [None, {}, {"disabled": "no"}])
def test_an_unknown_gateway_is_not_restarted(found: object) -> None:
    with pytest.raises(AnsibleFilterError, match="restart_refusals"):
        restart_refusals(found, 204)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The filters of the playbooks."""

from __future__ import annotations

import copy
import re
import typing as t
from dataclasses import replace

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.filter.deadline_alarms import deadline_alarms
from ansible_collections.gonka.devshard.plugins.filter.deposits_needed import deposits_needed
from ansible_collections.gonka.devshard.plugins.filter.escrow_receipt import escrow_receipt
from ansible_collections.gonka.devshard.plugins.filter.funding_needed import funding_needed
from ansible_collections.gonka.devshard.plugins.filter.key_address import key_address
from ansible_collections.gonka.devshard.plugins.filter.preflight_findings import preflight_findings
from ansible_collections.gonka.devshard.plugins.filter.preflight_verdict import preflight_verdict
from ansible_collections.gonka.devshard.plugins.filter.query import query
from ansible_collections.gonka.devshard.plugins.filter.restart_refusals import restart_refusals
from ansible_collections.gonka.devshard.plugins.filter.settle_table import (
    settle_problems,
    settle_table,
)
from ansible_collections.gonka.devshard.plugins.filter.table import table
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import EscrowParams
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.rotation import (
    RotationFacts,
    refuse_rotation,
)

MODEL = "some/model"
ADDRESS = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


NONE: dict[str, t.Any] = {"object": "list", "data": []}


def _json(body: object) -> dict[str, object]:
    return {"status": 200, "json": body}


def _block(height: str, moment: str, chain_id: str = "gonka-sim") -> dict[str, object]:
    return {"block": {"header": {"chain_id": chain_id, "height": height, "time": moment}}}


def _status(moment: str, catching_up: bool = False, index: str = "on") -> dict[str, object]:
    return {
        "result": {
            "node_info": {"network": "gonka-sim", "other": {"tx_index": index}},
            "sync_info": {
                "latest_block_height": "7",
                "latest_block_time": moment,
                "catching_up": catching_up,
            },
        }
    }


def _params(allowed: list[str]) -> dict[str, object]:
    return {
        "params": {
            "devshard_escrow_params": {
                "min_amount": "50",
                "max_amount": "100",
                "max_escrows_per_epoch": "10",
                "max_nonce": "1000",
                "allowed_creator_addresses": allowed,
                "approved_versions": [],
            }
        }
    }


def _port(name: str, state: str, **owner: str) -> dict[str, t.Any]:
    text = "taken by x" if owner else state
    found = {"record_path": None, **owner} if owner else None
    return {"name": name, "port": 80, "state": state, "text": text, "owner": found}


@pytest.fixture
def seen() -> dict[str, t.Any]:
    moment = "2026-01-02T03:04:05.123456789Z"
    return {
        "facts": {
            "os_family": "Debian",
            "distribution": "Debian",
            "distribution_version": "13.1",
            "architecture": "x86_64",
        },
        "ports": [_port("gateway", "free")],
        "refusal": "",
        "rest": _json(_block("7", moment)),
        "rpc": _json(_status(moment)),
        "params": _json(_params([ADDRESS])),
        "epoch": _json({"latest_epoch": {"index": "214"}}),
        "active_models": _json({"object": "list", "data": [{"id": MODEL}]}),
        "governance_models": _json({"models": [{"id": MODEL}]}),
        "balance": _json({"balance": {"denom": "ngonka", "amount": "60"}}),
        "chain_id": "gonka-sim",
        "models": [{"id": MODEL, "amount": 50}],
        "settlement_tag": "v2",
        "wanted": "",
        "of_key": "",
        "of_keyring": ADDRESS,
        "fee": 5,
        "gas_limit": 500000,
        "max_creates": 4,
        "escrows": None,
        "host": "gw1",
        "uid": "0",
        "disks": ["   Avail Mounted on", " 20000 /", " 30000 /var/lib/docker"],
        "min_free_mb": 1024,
        "refused": [],
        "image": {"there": True, "text": "gw:1 runs"},
        "urls": {"rest": "http://rest", "rpc": "http://rpc", "public": "http://api"},
        "rest_as_other": {"skipped": True},
        "rpc_as_other": {"skipped": True},
        "now": "2026-01-02T03:05:00Z",
    }


def _verdicts(seen: dict[str, t.Any]) -> dict[str, str]:
    return {item["check"]: item["verdict"] for item in preflight_findings(seen)}


def _detail(seen: dict[str, t.Any], check: str) -> str:
    return next(item["detail"] for item in preflight_findings(seen) if item["check"] == check)


def test_a_ready_host_has_no_other_verdict_than_ok(seen: dict[str, t.Any]) -> None:
    assert set(_verdicts(seen).values()) == {"ok"}


LATER = "2026-01-02T03:20:00Z"
OTHER = "gonka162sa29w9w7yc683e6q2awp74rzwsq4rzfauvzy"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"rest": {"status": -1, "msg": "refused"}}, "chain REST", "does not answer (refused)"),
        (
            {"rest": {"status": 502}},
            "chain REST",
            "devshard_chain_rest http://rest answers HTTP 502",
        ),
        ({"rest": {"status": 200, "content": "<html>"}}, "chain REST", "not JSON"),
        ({"rest": _json({"block": {}})}, "chain REST", "without block and chain id"),
        ({"rest": _json(_block("7", "2026-01-02T03:00:00Z"))}, "chain REST", "300 seconds old"),
        ({"rest": _json(_block("7", LATER))}, "chain REST", "clock is 900 s behind the chain"),
        ({"rpc": _json(_status(LATER))}, "chain RPC", "clock is 900 s behind the chain"),
        (
            {"rest": _json(_block("7", "2026-01-02T03:04:59Z", "other"))},
            "chain REST",
            "serves chain other, but gonka-sim is expected (devshard_chain_id)",
        ),
        ({"rpc": _json(_status("2026-01-02T03:04:59Z", True))}, "chain RPC", "still catching up"),
        (
            {"rpc": _json(_status("2026-01-02T03:04:59Z", index="off"))},
            "chain RPC",
            "keeps no index of transactions",
        ),
        (
            {"rest": {"status": 404}, "rest_as_other": _json(_status(LATER))},
            "chain REST",
            "http://rest is a CometBFT RPC",
        ),
        (
            {"rpc": {"status": 501}, "rpc_as_other": _json(_block("7", LATER))},
            "chain RPC",
            "http://rpc is the chain's REST interface",
        ),
        (
            {"epoch": {"status": 500}},
            "public API",
            "devshard_public_api http://api answers HTTP 500",
        ),
        ({"epoch": _json({"phase": "Inference"})}, "public API", "without the epoch"),
        (
            {"models": [{"id": "x/y", "amount": 50}]},
            "model x/y",
            f"not a model of the network. Its models: {MODEL}",
        ),
        ({"active_models": _json(NONE)}, f"model {MODEL}", "no host serves it"),
        (
            {"models": [{"id": MODEL, "amount": 49}]},
            f"amount {MODEL}",
            "outside the chain's limits",
        ),
        (
            {"models": [{"id": MODEL, "amount": 101}]},
            f"amount {MODEL}",
            "outside the chain's limits",
        ),
        (
            {"models": [{"id": MODEL, "amount": 50, "count": 100}]},
            f"limit per run {MODEL}",
            "raise escrow_max_creates_per_run",
        ),
        ({"params": _json(_params([OTHER]))}, "allowlist", "not on the chain's list"),
        ({"fee": 6}, "funds", "2 ngonka are missing"),
        ({"wanted": "gonkavaloper1abc"}, "creator", "this one begins with gonkavaloper1"),
        ({"wanted": f"{ADDRESS[:-1]}7"}, "creator", "its checksum is wrong"),
        ({"wanted": OTHER}, "creator", f"this host has the key of {ADDRESS}"),
        ({"of_key": OTHER}, "creator", f"gateway_private_key gives {OTHER}, and this host has"),
        (
            {"of_keyring": "", "of_key": OTHER, "wanted": ADDRESS},
            "creator",
            f"gateway_private_key gives {OTHER}, creator_address is {ADDRESS}",
        ),
        ({"uid": "1000"}, "root", "set ansible_become: true"),
        ({"disks": [" 30000 /", " 500 /var"]}, "disk", "500 MiB are free on /var, 1024 are needed"),
        (
            {"refused": [{"role": "gateway", "reason": "another image"}]},
            "role gateway",
            "another image",
        ),
        (
            {"facts": {"os_family": "RedHat", "distribution": "Rocky", "architecture": "x86_64"}},
            "system",
            "Debian 13 or Ubuntu 24.04 is needed",
        ),
        ({"ports": [_port("gateway", "foreign", kind="container")]}, "port 80", "taken by x"),
        ({"ports": [_port("gateway", "unknown", kind="unknown")]}, "port 80", "taken by x"),
        ({"ports": [_port("temp", "foreign", kind="container")]}, "port 80", "taken by x"),
        ({"ports": [_port("edge", "foreign", kind="process")]}, "port 80", "taken by x"),
        ({"ports": [_port("gateway", "foreign", kind="nginx")]}, "port 80", "taken by x"),
        ({"refusal": "it is retired"}, "host", "it is retired"),
    ],
)
def test_what_is_wrong_is_named(
    seen: dict[str, t.Any], change: dict[str, object], check: str, words: str
) -> None:
    seen.update(copy.deepcopy(change))
    findings = preflight_findings(seen)
    assert _verdicts(seen)[check] == "FAILED"
    assert words in _detail(seen, check)
    verdict = preflight_verdict(findings, "gw1")
    assert verdict["ready"] is False
    assert str(verdict["text"]).startswith("gw1: not ready: ")
    assert words in str(verdict["text"])


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"params": {"status": -1}}, "allowlist"),
        ({"params": {"status": -1}}, f"amount {MODEL}"),
        ({"params": {"status": -1}}, "settlement version"),
        ({"params": _json({"params": {}})}, "allowlist"),
        ({"active_models": {"status": 404}}, f"model {MODEL}"),
        ({"active_models": _json({})}, f"model {MODEL}"),
        ({"balance": {"status": 500}}, "funds"),
        ({"balance": _json({})}, "funds"),
        ({"of_keyring": ""}, "creator"),
        ({"of_keyring": ""}, "allowlist"),
        ({"of_keyring": ""}, "funds"),
        ({"escrows": "unknown"}, "funds"),
        ({"uid": ""}, "root"),
        ({"disks": []}, "disk"),
    ],
)
def test_unknown_is_not_zero(seen: dict[str, t.Any], change: dict[str, object], check: str) -> None:
    seen.update(copy.deepcopy(change))
    assert _verdicts(seen)[check] == "unknown"
    text = str(preflight_verdict(preflight_findings(seen), "gw1")["text"])
    assert text.startswith("gw1: ready as far as known; not known: ")
    assert check in text


def test_a_key_tells_the_address_before_anything_is_on_the_host(seen: dict[str, t.Any]) -> None:
    key = "b43ecb01b4d5630227750b88ab9fad60138baba36e8be96c839b1dd406880613"
    assert key_address(key) == OTHER
    seen |= {"of_keyring": "", "of_key": OTHER, "params": _json(_params([OTHER]))}
    assert set(_verdicts(seen).values()) == {"ok"}
    with pytest.raises(AnsibleFilterError) as raised:
        key_address(f"0x{key}")
    assert key not in str(raised.value)


def test_a_public_api_need_not_list_models_twice(seen: dict[str, t.Any]) -> None:
    """The guide asks for governance's list, no play needs it."""
    seen["governance_models"] = {"status": 404}
    assert set(_verdicts(seen).values()) == {"ok"}


def test_access_modes_that_leave_a_gap_are_a_warning_and_no_refusal(seen: dict[str, t.Any]) -> None:
    first = seen["models"][0]
    seen["models"] = [first, {"id": "org/B", "amount": 1, "count": 0, "access_mode": "admin_only"}]
    assert "access" not in _verdicts(seen)
    seen["models"][1]["count"] = 1
    assert _verdicts(seen)["access"] == "warning"
    findings = [item for item in preflight_findings(seen) if item["check"] == "access"]
    verdict = preflight_verdict(findings, "gw1")
    assert (verdict["ready"], verdict["safe"]) == (True, True)
    assert "the escrows of org/B (admin_only)" in str(verdict["text"])


@pytest.mark.parametrize("spelled", [["v3"], [{"name": "v3", "sha256": "00"}]])
@pytest.mark.parametrize(("count", "verdict"), [(1, "FAILED"), (0, "NEAR")])
def test_a_version_that_the_chain_does_not_approve(
    seen: dict[str, t.Any], spelled: list[object], count: int, verdict: str
) -> None:
    """No new deposit; one that has its escrows must still be able to settle them."""
    seen["params"]["json"]["params"]["devshard_escrow_params"]["approved_versions"] = spelled
    seen["models"][0]["count"] = count
    assert _verdicts(seen)["settlement version"] == verdict
    assert "the chain approves only v3" in _detail(seen, "settlement version")
    said = preflight_verdict(preflight_findings(seen), "gw1")
    assert (said["ready"], said["safe"]) == (verdict == "NEAR", verdict != "NEAR")
    assert "settlement version: " in str(said["text"])
    seen["settlement_tag"] = "v3"
    assert _verdicts(seen)["settlement version"] == "ok"


def test_an_empty_allowlist_is_open(seen: dict[str, t.Any]) -> None:
    seen["params"] = _json(_params([]))
    assert _verdicts(seen)["allowlist"] == "ok"


@pytest.mark.parametrize(
    "port",
    [
        _port("gateway", "ours", kind="container"),
        # an nginx that is there takes the edge's site in
        _port("edge", "foreign", kind="nginx"),
        _port("temp", "foreign", kind="container", record_path="/srv/b/.gonka-devshard.json"),
    ],
)
def test_a_port_of_ours_is_fine(seen: dict[str, t.Any], port: dict[str, t.Any]) -> None:
    seen["ports"] = [port]
    assert _verdicts(seen)["port 80"] == "ok"


def test_a_port_that_could_not_be_looked_at_is_unknown(seen: dict[str, t.Any]) -> None:
    seen["ports"] = [_port("gateway", "unknown")]
    assert _verdicts(seen)["port 80"] == "unknown"


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
        approved_versions=approved,
        min_gas_price=0,
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


def test_preflight_shows_the_next_deadline_and_a_near_one_does_not_stop_it(
    seen: dict[str, t.Any],
) -> None:
    def found(*escrows: dict[str, t.Any]) -> list[tuple[str, str]]:
        findings = preflight_findings({**seen, "escrows": looked(*escrows), "host": "gw1"})
        return [(f["verdict"], f["detail"]) for f in findings if f["check"] == "deadlines"]

    assert found(unsettled(1, 900), unsettled(2, 700)) == [
        ("ok", "the next one: 700 blocks, 1 h 10 min")
    ]
    assert found(unsettled(1, 900), unsettled(2, 7, "deadline"))[0] == (
        "NEAR",
        "Escrow 2 (5 ngonka, 7 blocks, 0 h 00 min left).",
    )
    assert found() == [("ok", "no unsettled escrow")]


@pytest.mark.parametrize(("escrows", "verdicts"), [(None, []), ("unknown", ["unknown"])])
def test_preflight_says_when_escrows_could_not_be_asked_for(
    seen: dict[str, t.Any], escrows: object, verdicts: list[str]
) -> None:
    findings = preflight_findings({**seen, "escrows": escrows, "host": "gw1"})
    assert [f["verdict"] for f in findings if f["check"] == "deadlines"] == verdicts


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


def test_an_image_that_nobody_was_asked_for_is_not_known(seen: dict[str, t.Any]) -> None:
    assert _verdicts(seen)["image"] == "ok"
    seen["image"] = {"there": None, "text": "gw:9 was not asked for: no Docker Engine answers"}
    said = preflight_verdict(preflight_findings(seen), "gw1")
    assert said["text"] == "gw1: ready as far as known; not known: image"
    seen["image"] = None
    assert _verdicts(seen)["image"] == "unknown"
    # what the role refuses is said once
    seen["refused"] = [{"role": "gateway", "reason": "the registry has no image gw:9"}]
    assert "image" not in _verdicts(seen)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import email.utils
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.api import ChainApi
from ansible_collections.gonka.devshard.plugins.module_utils._chain.node_api import (
    _PACE_BLOCKS,
    date_of,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    DevshardError,
    ProtocolError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Response
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    CREATOR,
    QWEN,
    ScriptedTransport,
    as_response,
    body,
)

BASE = "https://node.example.org"
BLOCK_TIME = datetime(2026, 11, 23, 23, 8, 57, 368481, tzinfo=timezone.utc)
LATEST = "GET /chain/cosmos/base/tendermint/v1beta1/blocks/latest"
SYNCING = "GET /chain/cosmos/base/tendermint/v1beta1/syncing"
NODE_INFO = "GET /chain/cosmos/base/tendermint/v1beta1/node_info"
TXS = "GET /chain/cosmos/tx/v1beta1/txs"
INFERENCE = "GET /chain/productscience/inference/inference"


def api(
    table: dict[str, t.Any], *, now: datetime = BLOCK_TIME, chain_id: str = "gonka-rig"
) -> tuple[ChainApi, ScriptedTransport]:
    transport = ScriptedTransport(BASE, table)
    chain = ChainApi(
        transport,
        rest=f"{BASE}/chain/",
        public_api=BASE,
        chain_id=chain_id,
        max_block_age=120,
        now=lambda: now,
    )
    return chain, transport


def proxy_404() -> Response:
    return Response(status=404, headers={"Content-Type": "text/html"}, body=b"<html>404</html>")


# the node


def test_head() -> None:
    chain, http = api({LATEST: "latest_block", SYNCING: "syncing"})
    head = chain.head()
    assert (head.height, head.chain_id, head.time) == (4710592, "gonka-rig", BLOCK_TIME)
    assert len(http.asked) == 2


def test_another_chain_is_refused_before_anything_else() -> None:
    chain, http = api({LATEST: "latest_block"}, chain_id="gonka-mainnet")
    with pytest.raises(ConfigurationError, match="serves chain gonka-rig, but gonka-mainnet"):
        chain.head()
    assert len(http.asked) == 1


@pytest.mark.parametrize(("seconds", "fine"), [(119, True), (120, True), (121, False)])
def test_an_old_block_is_no_news(seconds: int, fine: bool) -> None:
    now = BLOCK_TIME + timedelta(seconds=seconds)
    chain, _unused = api({LATEST: "latest_block", SYNCING: "syncing"}, now=now)
    if fine:
        assert chain.head().height == 4710592
        return
    with pytest.raises(UnknownStateError, match="is 121 seconds old") as caught:
        chain.head()
    assert caught.value.details == {"height": 4710592, "age": 121, "catching_up": False}


@pytest.mark.parametrize(("behind", "fine"), [(30, True), (31, False), (900, False)])
def test_nothing_is_signed_with_a_clock_behind_the_chain(behind: int, fine: bool) -> None:
    now = BLOCK_TIME - timedelta(seconds=behind)
    index = {"default_node_info": {"other": {"tx_index": "on"}}}
    chain, _unused = api({LATEST: "latest_block", SYNCING: "syncing", NODE_INFO: index}, now=now)
    assert chain.head().height == 4710592
    if fine:
        assert chain.signing_head().height == 4710592
        return
    with pytest.raises(UnknownStateError, match=f"clock is {behind} s behind the chain"):
        chain.signing_head()


@pytest.mark.parametrize(("ahead", "fine"), [(30, True), (31, False), (90, False)])
def test_nothing_is_signed_with_a_clock_ahead_of_the_node(ahead: int, fine: bool) -> None:
    """A transaction may live for ten minutes, and a gateway takes nine."""
    at = (BLOCK_TIME + timedelta(seconds=20)).replace(microsecond=0)
    latest = as_response(body("latest_block"))
    dated = replace(latest, headers={**latest.headers, "Date": email.utils.format_datetime(at)})
    index = {"default_node_info": {"other": {"tx_index": "on"}}}
    table = {LATEST: dated, SYNCING: "syncing", NODE_INFO: index}
    chain, _unused = api(table, now=at + timedelta(seconds=ahead))
    assert chain.head().clock == at
    if fine:
        assert chain.signing_head().height == 4710592
        return
    with pytest.raises(UnknownStateError, match=f"clock is {ahead} s ahead of its node's"):
        chain.signing_head()


@pytest.mark.parametrize("date", ["", "soon", "Tue, 99 Foo 2026 00:00:00 GMT"])
def test_a_date_that_no_server_can_mean_is_not_known(date: str) -> None:
    assert date_of(Response(status=200, headers={"Date": date}, body=b"")) is None
    assert date_of(Response(status=200, headers={}, body=b"")) is None


def test_nothing_is_signed_where_no_index_tells_what_became_of_it() -> None:
    index = {"default_node_info": {"other": {"tx_index": "off"}}}
    chain, _unused = api({LATEST: "latest_block", SYNCING: "syncing", NODE_INFO: index})
    with pytest.raises(UnknownStateError, match="keeps no index of transactions"):
        chain.signing_head()


def test_an_rpc_in_the_place_of_the_rest_interface_is_named() -> None:
    status = {
        "result": {
            "node_info": {"network": "gonka-rig", "other": {}},
            "sync_info": {
                "latest_block_height": "1",
                "latest_block_time": "2026-01-02T03:04:05Z",
                "catching_up": False,
            },
        }
    }
    chain, _unused = api({LATEST: proxy_404(), "GET /chain/status": status})
    with pytest.raises(
        ConfigurationError, match="is a CometBFT RPC, and devshard_chain_rest must be"
    ):
        chain.head()
    chain, _unused = api({LATEST: proxy_404(), "GET /chain/status": proxy_404()})
    with pytest.raises(ProtocolError):
        chain.head()


def test_a_node_that_catches_up_is_refused() -> None:
    chain, _unused = api({LATEST: "latest_block", SYNCING: {"syncing": True}})
    with pytest.raises(UnknownStateError, match="it is still catching up"):
        chain.head()


@pytest.mark.parametrize("field", ["chain_id", "height", "time"])
def test_a_block_that_lacks_something_is_an_error(field: str) -> None:
    block = body("latest_block")
    del block["block"]["header"][field]
    chain, _unused = api({LATEST: block, SYNCING: "syncing"})
    with pytest.raises(ProtocolError, match=rf"block\.header\.{field}: the field is missing"):
        chain.head()


def _block(height: int, moment: str) -> dict[str, t.Any]:
    return {"block": {"header": {"chain_id": "c", "height": str(height), "time": moment}}}


@pytest.mark.parametrize("back", _PACE_BLOCKS)
def test_pace_of_blocks(back: int) -> None:
    then = (BLOCK_TIME - timedelta(seconds=5 * back)).isoformat().replace("+00:00", "Z")
    old = LATEST.replace("latest", str(4710592 - back))
    pruned = as_response({"code": 3, "message": "height is not available"}, 500)
    blocks = {LATEST: "latest_block", LATEST.removesuffix("latest"): pruned}
    assert api({**blocks, old: _block(4710592 - back, then)})[0].block_seconds() == 5.0
    assert api(blocks)[0].block_seconds() is None
    assert api({LATEST: _block(1, then)})[0].block_seconds() is None


@pytest.mark.parametrize(
    ("answer", "first"),
    [
        (({"code": 2, "message": "height 7 is not available, lowest height is 40"}, 500), 40),
        (({"code": 12, "message": "Not Implemented"}, 501), None),
        (({"block": {"header": {}}}, 200), None),
    ],
    ids=["began later", "does not tell", "has it"],
)
def test_the_first_block_of_a_node_that_began_later(
    answer: tuple[dict[str, t.Any], int], first: int | None
) -> None:
    path = LATEST.replace("latest", "7")
    assert api({path: as_response(*answer)})[0].begins_after(7) == first


@pytest.mark.parametrize(("value", "on"), [("on", True), ("off", False), (None, False)])
def test_index_of_transactions(value: str | None, on: bool) -> None:
    info = body("node_info")
    info["default_node_info"]["other"]["tx_index"] = value
    assert api({NODE_INFO: info})[0].tx_indexer_on() is on


# accounts and escrows


def test_accounts() -> None:
    path = "GET /chain/cosmos/auth/v1beta1/accounts/"
    account = api({path: "account"})[0].account(CREATOR)
    assert account is not None
    assert (account.address, account.account_number) == (CREATOR, 2)
    assert api({path: "account_unknown"})[0].account(CREATOR) is None
    vesting = {"account": {"@type": "/x", "base_account": body("account")["account"]}}
    found = api({path: vesting})[0].account(CREATOR)
    assert found == account


def test_balance() -> None:
    path = "GET /chain/cosmos/bank/v1beta1/balances/"
    chain, http = api({path: "balance_by_denom"})
    assert chain.balance(CREATOR) == 59980949275
    assert http.asked[0].url.endswith(f"/{CREATOR}/by_denom?denom=ngonka")
    with pytest.raises(ProtocolError, match="got 400: invalid address"):
        api({path: "balance_badaddr"})[0].balance("gonka1xyz")
    with pytest.raises(ProtocolError, match=r"balance\.amount: the field is missing"):
        api({path: {"balance": {"denom": "ngonka"}}})[0].balance(CREATOR)


def test_params() -> None:
    found = body("params")
    found["params"]["devshard_escrow_params"]["approved_versions"] = ["v2"]
    old = {"application_version": {"version": "v0.2.13"}}
    chain, _unused = api({f"{INFERENCE}/params": found, NODE_INFO: old})
    assert chain.escrow_params().allowed_creator_addresses == (CREATOR,)


def test_escrows() -> None:
    path = f"{INFERENCE}/devshard_escrow/"
    escrow = api({path: "escrow_found"})[0].escrow(3)
    assert escrow is not None
    assert escrow.amount == 5_000_000_000
    assert api({path: "escrow_missing"})[0].escrow(99999) is None
    with pytest.raises(ProtocolError, match="asked for escrow 4, the chain answered 3"):
        api({path: "escrow_found"})[0].escrow(4)
    with pytest.raises(ProtocolError, match="found: the field is missing"):
        api({path: {"escrow": None}})[0].escrow(4)
    with pytest.raises(ProtocolError, match="escrow: the field is missing"):
        api({path: {"found": True}})[0].escrow(4)


NOT_THE_CHAINS = {
    "web page": proxy_404(),
    "other code": as_response({"code": 12, "message": "Not Implemented"}, 404),
    "text": Response(status=404, headers={}, body=b"404 page not found\n"),
    "other json": as_response({"message": "no Route matched with those values"}, 404),
}


@pytest.mark.parametrize("answer", NOT_THE_CHAINS.values(), ids=NOT_THE_CHAINS)
@pytest.mark.parametrize("call", ["account", "escrow", "tx"])
def test_a_proxys_404_is_not_the_chains(answer: Response, call: str) -> None:
    chain, _unused = api({"GET /": answer})
    ask: t.Callable[[], object] = {
        "account": lambda: chain.account(CREATOR),
        "escrow": lambda: chain.escrow(3),
        "tx": lambda: chain.tx("AB"),
    }[call]
    with pytest.raises(UnknownStateError, match=r"not the chain's own 'not found'.*chain_rest"):
        ask()


def test_participant() -> None:
    chain, _unused = api({f"{INFERENCE}/participant/": "participant"})
    assert chain.participant_url("gonka1x") == "http://host00.test:8080"


# transactions


def test_transactions() -> None:
    tx = api({TXS: "tx_create"})[0].tx("BA3D")
    assert tx is not None
    assert tx.code == 0
    assert api({TXS: "tx_missing"})[0].tx("00") is None


def test_broadcast_is_one_post() -> None:
    reply = {"tx_response": {"height": "0", "txhash": "DD44", "codespace": "", "code": 0}}
    chain, http = api({"POST /chain/cosmos/tx/v1beta1/txs": reply})
    assert chain.broadcast("Q3BN").txhash == "DD44"
    assert http.asked[0].json == {"tx_bytes": "Q3BN", "mode": "BROADCAST_MODE_SYNC"}


def test_creations_of_a_creator() -> None:
    found = body("txsearch_rest")
    found["total"] = "2"
    chain, http = api({NODE_INFO: "node_info", TXS: found})
    made = chain.created_by(CREATOR)
    assert len(made) == 2
    assert made[0].model_id == QWEN
    assert made[0].amount == 5_000_000_000
    assert made[0].timeout_at == parse_time("2026-11-23T23:17:14.396210186Z")
    asked = http.asked[-1].url
    assert f"query=devshard_escrow_created.creator%3D%27{CREATOR}%27&" in asked
    assert "order_by=ORDER_BY_DESC&page=1&limit=100" in asked


def test_nothing_created() -> None:
    chain, _unused = api({NODE_INFO: "node_info", TXS: "txsearch_none"})
    assert chain.created_by(CREATOR) == []
    assert chain.settled_event(2) is None


def test_settlement_by_its_event() -> None:
    tx = body("tx_settle")["tx_response"]
    page = {"txs": [], "tx_responses": [tx], "pagination": None, "total": "1"}
    chain, _unused = api({NODE_INFO: "node_info", TXS: page})
    found = chain.settled_event(2)
    assert found is not None
    assert found.remainder == 4_999_981_210


def test_a_node_without_an_index_proves_nothing() -> None:
    info = body("node_info")
    info["default_node_info"]["other"]["tx_index"] = "off"
    chain, http = api({NODE_INFO: info})
    with pytest.raises(UnknownStateError, match="keeps no index of transactions"):
        chain.created_by(CREATOR)
    assert len(http.asked) == 1


@pytest.mark.parametrize("creator", ["gonka1' OR 1=1", "", "gonka1\n", "GONKA1X"])
def test_only_addresses_go_into_a_query(creator: str) -> None:
    with pytest.raises(ConfigurationError, match="not an address"):
        api({})[0].created_by(creator)


def _page(numbers: range, total: object) -> dict[str, t.Any]:
    made = body("tx_create")["tx_response"]
    responses = []
    for number in numbers:
        attributes = [
            {**item, "value": str(number)} if item["key"] == "escrow_id" else item
            for item in made["events"][0]["attributes"]
        ]
        event = {"type": "devshard_escrow_created", "attributes": attributes}
        responses.append({**made, "txhash": f"{number:064X}", "events": [event]})
    page: dict[str, t.Any] = {"tx_responses": responses, "txs": []}
    if total is not None:
        page["total"] = total
    return page


@pytest.mark.parametrize("total", ["250", 250, "0", 0, None])
def test_all_pages_are_read_also_without_a_total(total: object) -> None:
    pages = [_page(range(100), total), _page(range(100, 200), total), _page(range(200, 250), total)]
    chain, http = api({NODE_INFO: "node_info", TXS: pages})
    assert [item.escrow_id for item in chain.created_by(CREATOR)] == list(range(250))
    assert [f"page={n}&" in item.url for n, item in enumerate(http.asked[1:], 1)] == [True] * 3


def test_a_node_that_gives_smaller_pages() -> None:
    pages = [_page(range(30), "50"), _page(range(30, 50), "50")]
    chain, _unused = api({NODE_INFO: "node_info", TXS: pages})
    assert len(chain.created_by(CREATOR)) == 50


def test_a_total_that_is_not_shown_is_unknown() -> None:
    pages = [_page(range(30), "50"), _page(range(0), "50")]
    chain, _unused = api({NODE_INFO: "node_info", TXS: pages})
    with pytest.raises(UnknownStateError, match="says that 50 transactions fit .* shows 30"):
        chain.created_by(CREATOR)


def test_more_than_can_be_looked_at_is_unknown() -> None:
    chain, http = api({NODE_INFO: "node_info", TXS: _page(range(100), "9999999")})
    with pytest.raises(UnknownStateError, match="they are not all looked at"):
        chain.created_by(CREATOR)
    assert len(http.asked) == 51


@pytest.mark.parametrize("answer", ["route_missing", proxy_404()])
def test_a_search_that_fails_is_unknown(answer: object) -> None:
    chain, _unused = api({NODE_INFO: "node_info", TXS: answer})
    with pytest.raises(UnknownStateError, match="the search for transactions failed"):
        chain.created_by(CREATOR)


# the public API


def test_models() -> None:
    listed = [{"id": "b", "object": "model"}, {"id": "a"}, {"id": "a"}]
    known = {"GET /v1/governance/models": {"models": [{"id": "z"}, {"id": "a", "other": 1}]}}
    chain, _unused = api({"GET /v1/models": {"object": "list", "data": listed}, **known})
    assert chain.active_models() == ["a", "b"]
    assert chain.governance_models() == ["a", "z"]
    # some builds
    chain, _unused = api({"GET /v1/models": {"models": listed}})
    assert chain.active_models() == ["a", "b"]
    chain, _unused = api({"GET /v1/models": {"object": "list", "data": []}})
    assert chain.active_models() == []


@pytest.mark.parametrize("answer", [{}, {"data": {}}, {"data": ["a"]}, {"data": [{}]}])
def test_models_of_another_shape_are_an_error(answer: object) -> None:
    with pytest.raises(DevshardError):
        api({"GET /v1/models": answer})[0].active_models()

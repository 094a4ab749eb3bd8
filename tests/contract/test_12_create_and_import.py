# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""gateway.md §1.7, §1.9, §3.4 and chain.md §2.5: creates that leave something behind, imports."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from ansible_collections.gonka.devshard.tests.contract._cli import (
    GAS,
    Cli,
    Signed,
    with_gas,
)
from ansible_collections.gonka.devshard.tests.contract._client import (
    TEXT,
    is_text_error,
    until,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    Exchange,
    compare,
    load,
    one,
    plain,
)
from ansible_collections.gonka.devshard.tests.contract._shape import (
    CHAIN,
    GATEWAY,
    differences,
)
from ansible_collections.gonka.devshard.tests.contract._story import (
    KEY_ENV,
    TXS,
    Json,
    Story,
    escrows_of,
    event_of,
)
from ansible_collections.gonka.devshard.tests.money.network import Port

# a story of v2, see the README
pytestmark = pytest.mark.profiles("v2")

_HASH = re.compile(r"\b[0-9A-F]{64}\b")


# signed once by the CLI, sent as often as one likes: one deposit (inferenced.json)


def test_signed_once(story: Story, signing: Cli) -> None:
    story.may_spend()
    target = story.target
    replies = {
        name: story.recorded("inferenced", name).response["json"]["tx_response"]
        for name in ("broadcast_first", "broadcast_again_at_once", "broadcast_after_inclusion")
    }
    account = story.chain.account_number(story.creator)
    before = story.chain.balance(story.creator)
    known = len(story.chain.created(story.creator))

    unsigned = signing.unsigned("create-devshard-escrow", str(target.amount), target.model)
    recorded = json.loads(story.recorded("inferenced", "create_generate_only").data["stdout"])
    assert not differences([recorded], unsigned)
    assert re.fullmatch(
        plain(recorded["body"]["timeout_timestamp"]), plain(unsigned["body"]["timeout_timestamp"])
    )
    signed = signing.signed(unsigned, account)
    whole = json.loads((signing.home / "signed.json").read_text())
    sample = json.loads(story.recorded("inferenced", "sign_offline").data["stdout"])
    assert not differences([sample], whole)
    # what the CLI encodes is what the chain calls by the hash of these bytes
    story.recorded("inferenced", "encode")
    assert whole["auth_info"]["signer_infos"][0]["sequence"] == "0"
    # the same message in other bytes has the same slot of time
    rival = signing.signed(with_gas(unsigned, GAS + 1), account)
    assert rival.tx_hash != signed.tx_hash
    assert story.chain.tx(signed.tx_hash) is None

    first = story.chain.broadcast(signed)
    again = story.chain.broadcast(signed)
    assert not differences([replies["broadcast_first"]], first, CHAIN)
    assert not differences([replies["broadcast_again_at_once"]], again, CHAIN)
    assert (first["code"], first["txhash"]) == (0, signed.tx_hash)
    assert (again["codespace"], again["code"], again["txhash"]) == ("sdk", 19, signed.tx_hash)
    refuse_the_rival(story, rival)

    tx = story.chain.included(signed.tx_hash)
    assert tx["code"] == 0, tx["raw_log"]
    sample = story.recorded("inferenced", "tx_by_hash").response["json"]
    (event,) = [item for item in tx["events"] if item["type"] == "devshard_escrow_created"]
    assert not differences([sample["created_event"][0]], event)
    story.ids["4"] = story.purse.paid(event_of(tx, event["type"])["escrow_id"], signed.tx_hash)

    after = story.chain.broadcast(signed)
    assert not differences([replies["broadcast_after_inclusion"]], after, CHAIN)
    assert (after["codespace"], after["code"]) == ("sdk", 19)
    refuse_the_rival(story, rival)
    assert len(story.chain.created(story.creator)) == known + 1
    fee = int(unsigned["auth_info"]["fee"]["amount"][0]["amount"])
    assert story.chain.balance(story.creator) == before - target.amount - fee
    assert story.ids["4"] not in story.records()


def refuse_the_rival(story: Story, rival: Signed) -> None:
    """One transaction per sender and end of lifetime, before and after inclusion."""
    reply = story.chain.broadcast(rival)
    assert reply["code"] == 18, reply
    assert "has already used timeout" in reply["raw_log"], reply
    assert story.chain.tx(rival.tx_hash) is None


def test_bytes_of_the_block(story: Story) -> None:
    """What was signed is what is in the block."""
    (number,) = story.need("4")
    body = story.chain.rest.get(f"{TXS}/{story.purse.spent[number]}").good()
    (message,) = body["tx"]["body"]["messages"]
    assert message["creator"] == story.creator
    assert message["amount"] == str(story.target.amount)
    assert body["tx"]["body"]["unordered"] is True


# created on the chain, and then the gateway fails: the 500 of §1.7


def test_create_that_cannot_be_registered(story: Story) -> None:
    """The deposit is locked, there is no record, and the reply tells what to repair."""
    story.may_spend()
    body = {
        "amount": story.target.amount,
        "model_id": story.target.model,
        "private_key_env": KEY_ENV,
        # no directory can be made below a device
        "storage_path": "/dev/null/escrow",
    }
    answer = story.gateway.post("/v1/admin/escrows", body)
    assert (answer.status, answer.kind) == (500, TEXT), answer
    error = answer.json["error"]
    assert set(error) == {"message", "escrow_id", "tx_hash"}
    assert isinstance(error["escrow_id"], str)
    assert error["escrow_id"].isdigit()
    story.minted("5", error)
    tx = story.chain.tx(error["tx_hash"])
    assert tx is not None
    assert escrows_of(tx) == [error["escrow_id"]]
    assert error["escrow_id"] not in story.records()


# the gateway's own create, once more with the name of the key's variable


def test_recorded_temp(story: Story) -> None:
    if story.target.faults is not None:
        pytest.skip(
            "its deposit would be the ninth: with faults the deposits go to the lost create and"
            " to rotation; the same shape is compared in gateway-0-runtimes"
        )
    story.may_spend()
    (exchange,) = load("gateway-temp")
    answer = story.replay(exchange)
    number = story.minted("temp", answer.json)
    assert story.record(number)["private_key_env"] == KEY_ENV
    story.settle(number)
    story.forget(number)


# gateway-import.json: the paths stand for sessions that never were, so all begin at nonce 0


@pytest.mark.parametrize("exchange", load("gateway-import"), ids=lambda exchange: exchange.id)
def test_recorded_import(story: Story, exchange: Exchange) -> None:
    story.need("4", "5")
    answer = story.replay(exchange)
    if exchange.name in ("import_good", "import_wrong", "import_right"):
        reply = answer.json
        assert reply["active"] is False
        record = story.record(reply["id"])
        assert record["active"] is False
        assert record["storage_path"] == reply["storage_path"]
        # nobody checks that a session is there: the path alone proves nothing
        assert story.status(reply["id"])["nonce"] == 0
    if exchange.name == "chat_imported":
        assert answer.headers["X-Devshard-ID"] == story.ids["4"]


def test_import_of_a_record(story: Story) -> None:
    """A record in the gateway's database is enough for the 409."""
    (number,) = story.need("5")
    body = {"id": number, "storage_path": f"{story.storage}/x", "private_key_env": KEY_ENV}
    answer = story.gateway.post("/v1/admin/devshards/import", body)
    is_text_error(answer, 409, f"devshard {number} already loaded")


# gateway-create-faults.json


def test_recorded_client_abort(story: Story, faults: Port) -> None:
    """Nobody reads the answer; here the transaction is then held back until it is void."""
    faults.post("/chain/inclusion", {"mode": "never"})
    exchange = one("gateway-create-faults", "create_client_abort")
    assert exchange.data["error"].startswith("ReadTimeout: ")
    known = story.chain.created(story.creator)
    with story.unanswered(exchange):
        pending = until(lambda: faults.get("/chain")["pending"], "the transaction was sent")
    assert story.chain.tx(pending[0]) is None
    # past every lifetime: it can never be included any more
    faults.post("/chain/advance", {"blocks": 1, "seconds": 660})
    faults.post("/chain/inclusion", {"mode": "normal"})
    faults.post("/chain/advance", {"blocks": 2})
    assert story.chain.tx(pending[0]) is None
    assert story.chain.created(story.creator) == known
    assert set(story.records()) == set(story.need("4", "5"))


def test_recorded_chain_hung(story: Story, faults: Port) -> None:
    """Before anything was sent; who is loaded goes on serving."""
    create, chat = (
        one("gateway-create-faults", name) for name in ("create_chain_hung", "chat_chain_hung")
    )
    hang = faults.post("/faults", {"action": "hang", "service": "chain"})
    with story.under_way(lambda: story.send(create)) as answer:
        until(lambda: answer.done() or hits(faults, hang), "the chain was asked")
        found = story.after_its_time_limits(answer)
    words = story.words()
    compare(create, found, words, GATEWAY, compare_text=False)
    # after that the words are those of Go's HTTP client
    recorded = create.response["json"]["error"]["message"]
    assert plain(found.message).startswith(plain(recorded).partition("context deadline")[0])
    compare(chat, story.send(chat), words, GATEWAY)
    faults.delete("/faults")
    assert story.chain.tx("0" * 64) is None


def test_recorded_lost_after_broadcast(story: Story, faults: Port) -> None:
    """The hash in the message decides: the chain has the escrow, the gateway no record."""
    story.may_spend()
    exchange = one("gateway-create-faults", "create_lost_after_broadcast")
    rule = {"action": "hang", "service": "chain", "method": "GET", "path": f"^{TXS}/"}
    hang = faults.post("/faults", rule)
    with story.under_way(lambda: story.send(exchange)) as answer:
        until(lambda: answer.done() or hits(faults, hang), "the transaction was looked for")
        found = story.after_its_time_limits(answer)
    compare(exchange, found, story.words(), GATEWAY, compare_text=False)
    tx_hash = _HASH.findall(found.message)[0]
    assert found.message.startswith(f"wait for tx {tx_hash}: ")
    faults.delete("/faults")
    tx = story.chain.included(tx_hash)
    assert tx["code"] == 0
    (number,) = escrows_of(tx)
    story.purse.paid(number, tx_hash)
    assert number not in story.records()
    # registered by hand, it serves like any other
    story.ids["lost"] = number
    body = {"id": number, "private_key_env": KEY_ENV, "model": story.target.model}
    story.gateway.post("/v1/admin/devshards", body).good()
    assert story.chat(auth="admin", devshard=number).status == 200


def hits(faults: Port, rule: Json) -> int:
    rules = {item["id"]: item for item in faults.get("/faults")["faults"]}
    return int(rules[rule["id"]]["hits"])


@pytest.mark.parametrize("name", ["finalize_lost", "finalize_lost2", "settle_lost"])
def test_recorded_without_a_quorum(story: Story, faults: Port, name: str) -> None:
    """gateway-lost-storage.json: too few hosts sign. The 200 of the settle says nothing."""
    (number,) = story.need("lost")
    escrow = story.chain.escrow(number)
    assert escrow is not None
    faults.post("/hosts", {"down": too_many(escrow["slots"])})
    exchange = one("gateway-lost-storage", name)
    answer = story.replay(exchange, ids={"1": number}, timeout=1200)
    assert story.record(number)["runtime"]["phase"] == "settlement"
    if name == "settle_lost":
        tx = story.chain.included(answer.json["tx_hash"])
        assert tx["code"] != 0
        assert "insufficient quorum: " in tx["raw_log"]
        assert story.record(number)["active"] is False


def too_many(slots: list[str]) -> list[str]:
    """So many hosts that no quorum is left."""
    down: list[str] = []
    for host in sorted(set(slots)):
        if sum(slots.count(entry) for entry in down) < len(slots) - 2 * len(slots) // 3:
            down.append(host)
    return down


def test_a_quorum_later_is_enough(story: Story) -> None:
    """The hosts are back: finalize collects what was missing, and the deposit with it."""
    if "lost" not in story.ids:
        pytest.skip("needs the escrow of the test with faults")
    story.settle(story.ids["lost"])
    story.forget(story.ids["lost"])


def test_chat_through_the_imported_one(story: Story) -> None:
    """The activated import serves the pool as well."""
    (number,) = story.need("4")
    messages = [{"role": "user", "content": uuid.uuid4().hex}]
    answer = story.chat(auth="admin", messages=messages)
    assert answer.status == 200, answer
    assert answer.headers["X-Devshard-ID"] == number

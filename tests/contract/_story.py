# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What happened so far: the escrows that were paid for, and what the recordings call them."""

from __future__ import annotations

import contextlib
import functools
import typing as t
import uuid
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from ansible_collections.gonka.devshard.tests.contract import _recordings as recordings
from ansible_collections.gonka.devshard.tests.contract._cli import FEE, Cli, Signed
from ansible_collections.gonka.devshard.tests.contract._client import (
    WRONG_KEY,
    Answer,
    Http,
    until,
)
from ansible_collections.gonka.devshard.tests.contract._recordings import Exchange, Words
from ansible_collections.gonka.devshard.tests.contract._shape import GATEWAY, Rules
from ansible_collections.gonka.devshard.tests.contract._target import (
    FAULTS,
    GATEWAY_FAULTS,
    Target,
)
from ansible_collections.gonka.devshard.tests.money.network import Port

LIMIT: t.Final = 8
KEY_ENV: t.Final = "DEVSHARD_PRIVATE_KEY"
INFERENCE: t.Final = "/productscience/inference/inference"
TXS: t.Final = "/cosmos/tx/v1beta1/txs"
# well above the largest settlement seen
SETTLE_GAS: t.Final = 1_000_000
Json = dict[str, t.Any]


@dataclass
class Purse:
    """Every escrow that was paid for."""

    spent: dict[str, str] = field(default_factory=dict)
    """Escrow id to the hash of its create."""
    lost: set[str] = field(default_factory=set)
    """Escrows of a simulated network whose session was destroyed on purpose."""

    def paid(self, escrow_id: str, tx_hash: str) -> str:
        self.spent[escrow_id] = tx_hash
        return escrow_id


class Chain:
    """The chain's REST and the public API, read as they are."""

    def __init__(self, target: Target) -> None:
        self.rest = Http(target.chain_rest)
        self.rpc = Http(target.chain_rpc)
        self.public = Http(target.public_api)

    def escrow(self, escrow_id: str) -> Json | None:
        body = self.rest.get(f"{INFERENCE}/devshard_escrow/{escrow_id}").good()
        found: Json | None = body["escrow"]
        assert body["found"] == (found is not None), body
        return found

    def params(self) -> Json:
        found: Json = self.rest.get(f"{INFERENCE}/params").good()["params"]
        return found

    def header(self) -> Json:
        path = "/cosmos/base/tendermint/v1beta1/blocks/latest"
        found: Json = self.rest.get(path).good()["block"]["header"]
        return found

    def balance(self, address: str) -> int:
        path = f"/cosmos/bank/v1beta1/balances/{address}/by_denom?denom=ngonka"
        return int(self.rest.get(path).good()["balance"]["amount"])

    def account_number(self, address: str) -> int:
        body = self.rest.get(f"/cosmos/auth/v1beta1/accounts/{address}").good()
        return int(body["account"]["account_number"])

    def broadcast(self, tx: Signed) -> Json:
        body = {"tx_bytes": tx.tx_bytes, "mode": "BROADCAST_MODE_SYNC"}
        found: Json = self.rest.post(TXS, body, auth=None).good()["tx_response"]
        return found

    def tx(self, tx_hash: str) -> Json | None:
        answer = self.rest.get(f"{TXS}/{tx_hash}")
        if answer.status == 404:
            assert answer.json["code"] == 5, answer
            return None
        found: Json = answer.good()["tx_response"]
        return found

    def included(self, tx_hash: str) -> Json:
        return until(lambda: self.tx(tx_hash), f"transaction {tx_hash} is in a block")

    def created(self, creator: str) -> dict[str, str]:
        """Escrows that a creator's newest transactions made, with those; the newest first."""
        query = quote(f"devshard_escrow_created.creator='{creator}'", safe="")
        path = f"{TXS}?query={query}&order_by=ORDER_BY_DESC&page=1&limit=100"
        replies = self.rest.get(path).good()["tx_responses"]
        return {number: reply["txhash"] for reply in replies for number in escrows_of(reply)}


def attributes(event: Json) -> dict[str, str]:
    return {item["key"]: item["value"] for item in event["attributes"]}


def event_of(tx: Json, kind: str) -> dict[str, str]:
    (found,) = [attributes(event) for event in tx["events"] if event["type"] == kind]
    return found


def escrows_of(tx: Json) -> list[str]:
    return [
        attributes(event)["escrow_id"]
        for event in tx["events"]
        if event["type"] == "devshard_escrow_created"
    ]


class Story:
    """The target with what the tests before have made of it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.profile = target.profile
        self.keys = {"admin": target.admin_key, "client": target.api_key, "wrong": WRONG_KEY}
        self.gateway = Http(target.gateway, self.keys)
        self.chain = Chain(target)
        self.purse = Purse()
        self.run_id = uuid.uuid4().hex[:12]
        self.ids: dict[str, str] = {}
        """The recordings' escrow ids in this run."""
        self.hashes: dict[str, str] = {}
        """Hashes of transactions that later tests look up, by the name of their recording."""
        self.storage = ""
        self.seen: set[tuple[str, str]] = set()
        """What of the recordings was compared."""
        self._first_settings: Json = {}
        self._older: set[str] = set()

    # --- the start and the end ---------------------------------------------------

    def begin(self) -> None:
        """The state that the recordings began with; what was there is put back by `restore`."""
        state = self.gateway.get("/v1/admin/state", "admin").good()
        assert state["devshards"] == [], "the suite wants a gateway without escrows"
        self._older = set(self.chain.created(self.creator))
        self._first_settings = self.settings()
        rotation: Json = {"enabled": False}
        if "models" in self._first_settings["escrow_rotation"]:
            rotation["models"] = []
        self.post_settings(
            default_model=self.target.model,
            model_limits=[],
            disabled={"enabled": False},
            escrow_rotation=rotation,
            # the default is near what a settlement needs, gateway.md §F
            tx_gas_limit=SETTLE_GAS,
        )
        until(self._in_inference, "the chain is in the phase Inference", seconds=300)

    def _in_inference(self) -> bool:
        chain = self.gateway.get("/v1/debug/rotation", "admin").good()["chain"]
        return bool(chain["phase"] == "Inference" and not chain["confirmation_poc_phase"])

    @property
    def first_settings(self) -> Json:
        return self._first_settings

    def restore_settings(self) -> None:
        """What `begin` found; lists and texts that were left out are emptied."""
        first = self._first_settings
        rotation, disabled = first["escrow_rotation"], first["disabled"]
        scalars = {
            key: value for key, value in first.items() if not isinstance(value, (dict, list))
        }
        self.post_settings(
            **scalars,
            tx_gas_limit=first.get("tx_gas_limit", 0),
            model_limits=first.get("model_limits", []),
            disabled={**disabled, "new_url": disabled.get("new_url", "")},
            escrow_rotation={**rotation, "models": rotation.get("models", [])},
        )

    def put_back(self) -> list[str]:
        """Settle and forget all that is left, then restore the settings; tells what failed."""
        failed = []
        with contextlib.suppress(AssertionError):
            self.post_settings(disabled={"enabled": False}, escrow_rotation={"enabled": False})
        # also those whose test failed before it could note them
        self.purse.spent = {**self.spent_on_chain(), **self.purse.spent}
        for escrow_id in sorted(self.unsettled()):
            try:
                self.settle(escrow_id)
            except AssertionError as exc:
                failed.append(f"escrow {escrow_id} is not settled: {exc}")
        locked = self.unsettled()
        for escrow_id in self.records():
            if escrow_id in self.purse.spent and escrow_id not in locked:
                try:
                    self.forget(escrow_id)
                except AssertionError as exc:
                    failed.append(f"the record {escrow_id} is still there: {exc}")
        self.restore_settings()
        return failed

    def spent_on_chain(self) -> dict[str, str]:
        """All escrows that the creator made since the start, by the chain's events."""
        made = self.chain.created(self.creator)
        return {number: tx_hash for number, tx_hash in made.items() if number not in self._older}

    def may_spend(self, count: int = 1) -> None:
        """Asked before each create, so that the limit is never exceeded."""
        spent = {**self.spent_on_chain(), **self.purse.spent}
        assert len(spent) + count <= LIMIT, f"these tests may spend {LIMIT} escrows: {spent}"

    def new_escrow(self) -> str:
        """Note the one escrow that somebody else made since the last look, and tell its id."""
        fresh = {
            number: tx_hash
            for number, tx_hash in self.spent_on_chain().items()
            if number not in self.purse.spent
        }
        ((number, tx_hash),) = fresh.items()
        return self.purse.paid(number, tx_hash)

    def unsettled(self) -> list[str]:
        """Escrows of this run whose deposit is still locked and can be had back."""
        found = {name: self.chain.escrow(name) for name in self.purse.spent}
        return [
            name
            for name, escrow in found.items()
            if escrow is not None and not escrow["settled"] and name not in self.purse.lost
        ]

    @property
    def settle_fee(self) -> int:
        """chain-v0.2.16.md §5.4: from then on nothing is charged for a settlement."""
        return FEE if self.target.chain == "v0.2.13" else 0

    # --- the recordings ----------------------------------------------------------

    @functools.cached_property
    def other_model(self) -> str:
        """A second model that hosts serve in this epoch."""
        body = self.chain.public.get("/v1/epochs/current/participants").good()
        hosts = body["active_participants"]["participants"]
        models = sorted({name for host in hosts for name in host["models"]} - {self.target.model})
        if not models:
            pytest.skip("the target's network serves only one model in this epoch")
        return str(models[0])

    def words(self, ids: Mapping[str, str] | None = None, pool: Collection[str] = ()) -> Words:
        target, profile = self.target, self.profile
        replace = {
            recordings.MODEL: target.model,
            profile.other_model: self.other_model,
            profile.creator: self.creator,
            recordings.CHAIN_ID: self.chain_id,
        }
        if self._first_settings.get("chain_rest"):
            replace[recordings.CHAIN_REST] = self._first_settings["chain_rest"]
        if self.storage:
            replace[recordings.STORAGE] = self.storage
            replace[recordings.ELSEWHERE] = f"{self.storage}-elsewhere"
        return Words(
            replace=replace,
            ids={"999": recordings.NO_ESCROW, **self.ids, **(ids or {})},
            numbers={
                recordings.AMOUNT: target.amount,
                recordings.MAX_AMOUNT + 1: self.max_amount + 1,
            },
            prompts=self.run_id,
            models=(recordings.MODEL, profile.other_model),
            pool=pool,
        )

    def replay(
        self,
        exchange: Exchange,
        rules: Rules = GATEWAY,
        *,
        ids: Mapping[str, str] | None = None,
        pool: Collection[str] = (),
        timeout: float = 300,
    ) -> Answer:
        """Send a recorded request to the gateway and compare the answer.

        ``ids`` are other escrows for recorded ids, for this request alone; ``pool`` those of which
        any may answer.
        """
        answer = self.send(exchange, ids=ids, timeout=timeout)
        recordings.compare(exchange, answer, self.words(ids, pool), rules)
        return answer

    def send(
        self,
        exchange: Exchange,
        *,
        ids: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> Answer:
        self.saw(exchange)
        request, words = exchange.request, self.words(ids)
        body = words.body(request.get("body"))
        raw = request["body"].encode() if isinstance(request.get("body"), str) else None
        return self.gateway.ask(
            request["method"],
            words.path(request["path"]),
            None if raw else body,
            auth=_key_of(exchange),
            raw=raw,
            timeout=timeout,
        )

    @contextlib.contextmanager
    def unanswered(self, exchange: Exchange) -> Iterator[None]:
        """Send a recorded request; its client leaves at the end without having read anything."""
        self.saw(exchange)
        request, words = exchange.request, self.words()
        sent = self.gateway.send_only(
            request["method"],
            words.path(request["path"]),
            words.body(request["body"]),
            auth=_key_of(exchange),
        )
        try:
            yield
        finally:
            sent.close()

    def saw(self, exchange: Exchange) -> Exchange:
        """Every recorded exchange is compared somewhere: the last file looks."""
        self.seen.add((exchange.file, exchange.name))
        return exchange

    def recorded(self, file: str, name: str) -> Exchange:
        """A recorded exchange that the asking test compares."""
        return self.saw(recordings.one(file, name))

    def need(self, *names: str) -> list[str]:
        """Our ids of recorded escrows; without them the tests before have failed or were left out."""
        missing = [name for name in names if name not in self.ids]
        if missing:
            pytest.fail(f"no test before made the recordings' escrow {', '.join(missing)}")
        return [self.ids[name] for name in names]

    def minted(self, name: str, reply: Mapping[str, t.Any]) -> str:
        """Note an escrow that a reply tells; ``name`` is the recordings' id of it."""
        self.ids[name] = self.purse.paid(str(reply["escrow_id"]), reply["tx_hash"])
        return self.ids[name]

    # --- facts about the target --------------------------------------------------

    creator: str = ""
    chain_id: str = ""
    min_amount: int = 0
    max_amount: int = 0

    # --- the gateway -------------------------------------------------------------

    def settings(self) -> Json:
        found: Json = self.gateway.get("/v1/admin/settings", "admin").good()
        return found

    def post_settings(self, **patch: t.Any) -> Json:
        found: Json = self.gateway.post("/v1/admin/settings", patch).good()
        return found

    @contextlib.contextmanager
    def changed_settings(self, **patch: t.Any) -> Iterator[Json]:
        """Other values for some settings, afterwards what they were."""
        before = self.settings()
        empty: Json = {"model_limits": [], "tx_gas_limit": 0}
        try:
            yield self.post_settings(**patch)
        finally:
            self.post_settings(**{key: before.get(key, empty.get(key)) for key in patch})

    def open_models(self, mode: str = "api_key", other: str = "open") -> None:
        self.post_settings(
            model_limits=[
                {"model_id": self.target.model, "access_mode": mode},
                {"model_id": self.other_model, "access_mode": other},
            ]
        )

    def records(self) -> dict[str, Json]:
        state = self.gateway.get("/v1/admin/state", "admin").good()
        return {item["id"]: item for item in state["devshards"]}

    def record(self, escrow_id: str) -> Json:
        return self.records()[escrow_id]

    def status(self, escrow_id: str) -> Json:
        found: Json = self.gateway.get(f"/devshard/{escrow_id}/v1/status").good()
        return found

    def need_runtimes(self, count: int) -> None:
        loaded = [name for name, item in self.records().items() if "runtime" in item]
        if len(loaded) != count:
            pytest.fail(f"the tests before should have left {count} loaded runtimes, not {loaded}")

    def prompt(self, text: str = "hello") -> list[Json]:
        """Messages that no cache knows."""
        return [{"role": "user", "content": f"{text} {uuid.uuid4().hex}"}]

    def chat(
        self,
        model: str | None = None,
        *,
        auth: str | None = "client",
        devshard: str | None = None,
        **more: t.Any,
    ) -> Answer:
        body = {"model": model or self.target.model, "messages": self.prompt(), "max_tokens": 20}
        path = "/v1/chat/completions"
        where = path if devshard is None else f"/devshard/{devshard}{path}"
        return self.gateway.post(where, {**body, **more}, auth)

    # --- the end of an escrow ----------------------------------------------------

    def settled(self, escrow_id: str) -> Json:
        """Wait for the chain's word."""

        def look() -> Json | None:
            escrow = self.chain.escrow(escrow_id)
            return escrow if escrow is not None and escrow["settled"] else None

        return until(look, f"escrow {escrow_id} is settled on the chain")

    def deactivate(self, escrow_id: str) -> None:
        self.gateway.post(f"/v1/admin/devshards/{escrow_id}/deactivate").good()
        until(
            lambda: self.record(escrow_id)["runtime"]["active_requests"] == 0,
            f"{escrow_id} serves nobody",
        )

    def settle(self, escrow_id: str) -> None:
        """Get the deposit back, by whatever way is left."""
        known = self.records().get(escrow_id, {})
        if "runtime" not in known and not (known and self.profile.unloads):
            escrow = self.chain.escrow(escrow_id)
            assert escrow is not None, f"the chain has no escrow {escrow_id} any more"
            body = {"id": escrow_id, "private_key_env": KEY_ENV, "model": escrow["model_id"]}
            self.gateway.post("/v1/admin/devshards", body).good()
        if not self.profile.unloads:
            self.deactivate(escrow_id)
            self.gateway.post(f"/devshard/{escrow_id}/v1/finalize", timeout=1200).good()
        self.gateway.post(f"/v1/admin/devshards/{escrow_id}/settle", timeout=1200).good()
        self.settled(escrow_id)

    def forget(self, escrow_id: str) -> None:
        """Remove the record and its session."""
        path = f"/v1/admin/devshards/{escrow_id}"
        self.gateway.post(f"{path}/deactivate")
        self.gateway.ask("DELETE", path, auth="admin").good()

    # --- faults ------------------------------------------------------------------

    def faults(self) -> Port:
        if self.target.faults is None:
            pytest.skip(f"needs fault injection: {FAULTS} is not set")
        return Port(self.target.faults)

    def gateway_faults(self) -> Port:
        if self.target.gateway_faults is None:
            pytest.skip(f"needs a simulated gateway: {GATEWAY_FAULTS} is not set")
        return Port(self.target.gateway_faults)

    # --- order without waiting ---------------------------------------------------

    @contextlib.contextmanager
    def under_way(self, work: t.Callable[[], Answer]) -> Iterator[Future[Answer]]:
        """A request that is sent at once and whose answer comes later."""
        pool = ThreadPoolExecutor(1)
        try:
            yield pool.submit(work)
        finally:
            pool.shutdown(wait=False)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Chats wait for their answers until the end; the hosts know of them by then."""
        port = self.gateway_faults()
        port.post("/points", {"point": "chat.before_reply", "action": "wait", "times": None})
        try:
            yield
        finally:
            port.delete("/points")

    def after_its_time_limits(self, answer: Future[Answer]) -> Answer:
        """The answer of a request that hangs. A simulated gateway's time is made to pass."""
        port = None if self.target.gateway_faults is None else Port(self.target.gateway_faults)

        def done() -> bool:
            if not answer.done() and port is not None:
                port.post("/clock", {"seconds": 60})
            return answer.done()

        until(done, "the gateway has given up", seconds=300)
        return answer.result()


def _key_of(exchange: Exchange) -> str | None:
    """The recorder used a wrong key under the client's name in two requests."""
    if exchange.name == "chat_badkey" or exchange.request.get("auth") == "bad":
        return "wrong"
    # in this file it wrote down no key; all creates need the admin's
    if exchange.file == "gateway-create-faults":
        found = exchange.request.get("auth", "admin")
    else:
        found = exchange.request["auth"]
    return None if found is None else str(found)


def creator_cli(cli: Cli, key: str) -> str:
    """Import the creator's key through standard input; tells its address."""
    cli.run("keys", "import-hex", "creator", *cli.keyring, stdin=f"{key}\n").good()
    return cli.run("keys", "show", "creator", "-a", *cli.keyring).good().strip()

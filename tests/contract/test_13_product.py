# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The product's own clients against the same target: what they parse is what is really said."""

from __future__ import annotations

import functools
import json
import subprocess
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain import participants
from ansible_collections.gonka.devshard.plugins.module_utils._chain.api import ChainApi
from ansible_collections.gonka.devshard.plugins.module_utils._chain.fees import CREATE_TYPE
from ansible_collections.gonka.devshard.plugins.module_utils._chain.inferenced import (
    CliResult,
    Inferenced,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import SettledEvent
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    ProtocolError,
    RedirectedError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import HttpTransport
from ansible_collections.gonka.devshard.plugins.module_utils._escrows import transactions
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.gateway_replies import (
    read_settle_failure,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.observe import (
    MAX_LAG,
    read_clock,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import chat
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.probes import probe
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import (
    Profile as Generation,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import (
    known as generations,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._swap.settings_copy import (
    refuse_foreign,
)
from ansible_collections.gonka.devshard.tests.contract._cli import FEE, Cli
from ansible_collections.gonka.devshard.tests.contract._client import WRONG_KEY, until
from ansible_collections.gonka.devshard.tests.contract._recordings import NO_ESCROW
from ansible_collections.gonka.devshard.tests.contract._story import (
    KEY_ENV,
    SETTLE_GAS,
    Story,
)
from ansible_collections.gonka.devshard.tests.contract.test_01_chain import NOBODY

# what the story of v2 has made before; later generations make two escrows of their own here
OF_V2 = pytest.mark.profiles("v2")
LATER = pytest.mark.profiles("v3", "v4", "v4.1")

# the networks' clocks are near ours, unless a test before moved the simulated one
_MAX_AGE = timedelta(hours=2).total_seconds()


@pytest.fixture(scope="module")
def transport() -> HttpTransport:
    return HttpTransport(timeout=60)


@pytest.fixture(scope="module")
def chain(story: Story, transport: HttpTransport) -> ChainApi:
    return ChainApi(
        transport,
        rest=story.target.chain_rest,
        public_api=story.target.public_api,
        chain_id=story.chain_id,
        max_block_age=_MAX_AGE,
    )


@pytest.fixture(scope="module")
def generation(story: Story) -> Generation:
    """What the product knows of the target's generation."""
    name = story.profile.name
    return profile(name, None if name == "v2" else name)


@pytest.fixture(scope="module")
def gateway(story: Story, transport: HttpTransport, generation: Generation) -> GatewayApi:
    return GatewayApi(
        transport,
        url=story.target.gateway,
        admin_key=story.target.admin_key,
        profile=generation,
    )


@pytest.fixture(scope="module")
def signer(signing: Cli) -> Inferenced:
    def run(argv: list[str], data: str | None) -> CliResult:
        done = subprocess.run(
            argv, input=data or "", capture_output=True, text=True, cwd=signing.home, check=False
        )
        return CliResult(done.returncode, done.stdout, done.stderr)

    home = str(signing.home)
    return Inferenced(
        run=run, path=signing.program, home=home, keyring_dir=home, key_name="creator"
    )


@pytest.fixture(scope="module")
def pair(story: Story, gateway: GatewayApi, generation: Generation) -> tuple[str, str]:
    """One escrow that serves and has served, and one that is out of service."""
    if story.profile.name == "v2":
        first, second = story.need("4", "5")
        return first, second
    story.open_models()
    story.may_spend(2)
    names = []
    for _unused in range(2):
        made = gateway.create_escrow(
            model_id=story.target.model,
            amount=story.target.amount,
            private_key_env=KEY_ENV,
            chain_id=story.chain_id,
            fee_amount=FEE,
            gas_limit=SETTLE_GAS,
        )
        names.append(story.purse.paid(str(made.escrow_id), made.tx_hash))
    one, two = names
    if generation.warms_up:
        until(lambda: all(story.status(name)["nonce"] > 0 for name in names), "both are warm")
    until(lambda: settled_down(gateway), "the work of both has ended")
    gateway.deactivate(two)
    until(lambda: "runtime" not in story.record(two), f"{two} is unloaded")
    story.chat(devshard=one).good()
    until(lambda: settled_down(gateway), "the work after the reply has ended")
    return one, two


def settled_down(gateway: GatewayApi) -> bool:
    return gateway.state().work == 0


@pytest.fixture
def active(pair: tuple[str, str]) -> str:
    """An escrow that serves; the other one is inactive."""
    return pair[0]


@pytest.fixture
def passive(pair: tuple[str, str]) -> str:
    return pair[1]


# the chain


def test_head(story: Story, chain: ChainApi) -> None:
    head = chain.head()
    assert head.chain_id == story.chain_id
    assert head.height > 0
    assert head.catching_up is False


def test_another_chain_is_refused(story: Story, transport: HttpTransport) -> None:
    other = ChainApi(
        transport,
        rest=story.target.chain_rest,
        public_api=story.target.public_api,
        chain_id="another-chain-1",
        max_block_age=_MAX_AGE,
    )
    with pytest.raises(ConfigurationError, match=story.chain_id):
        other.head()


def test_old_block_is_refused(story: Story, transport: HttpTransport) -> None:
    late = ChainApi(
        transport,
        rest=story.target.chain_rest,
        public_api=story.target.public_api,
        chain_id=story.chain_id,
        max_block_age=60,
        now=lambda: datetime.now(timezone.utc) + timedelta(days=1),
    )
    with pytest.raises(UnknownStateError, match="is behind"):
        late.head()


def test_pace(chain: ChainApi) -> None:
    pace = chain.block_seconds()
    assert pace is None or pace > 0


def test_params(story: Story, chain: ChainApi) -> None:
    params = chain.escrow_params()
    assert (params.min_amount, params.max_amount) == (story.min_amount, story.max_amount)
    allowed = params.allowed_creator_addresses
    assert not allowed or story.creator in allowed
    assert params.fees.min_gas_price >= 0
    assert params.group_size > 0


def test_release_and_approved_versions(chain: ChainApi) -> None:
    release, approved = chain.release, chain.escrow_params().approved
    assert release is not None
    assert approved.known
    # only a chain of before the query may approve all by an empty list
    assert approved.names or not release.has_version_store
    fees = chain.escrow_params().fees
    assert fees.settle_exempt == release.has_version_store
    assert fees.required(CREATE_TYPE, 500_000) >= 0


def test_the_effective_epoch_is_that_of_the_stages(chain: ChainApi) -> None:
    clock = read_clock(chain)
    assert chain.effective_epoch() in (clock.effective, clock.effective + 1)
    assert 0 < clock.next_switch - clock.height <= clock.epoch_length + MAX_LAG


def test_no_upgrade_is_planned(chain: ChainApi) -> None:
    assert chain.upgrade_plan() is None


def test_account_and_balance(story: Story, chain: ChainApi) -> None:
    account = chain.account(story.creator)
    assert account is not None
    assert account.address == story.creator
    assert account.account_number == story.chain.account_number(story.creator)
    assert chain.account(NOBODY) is None
    assert chain.balance(story.creator) == story.chain.balance(story.creator)
    assert chain.balance(NOBODY) == 0


def test_escrow(story: Story, chain: ChainApi, active: str) -> None:
    escrow = chain.escrow(int(active))
    assert escrow is not None
    assert escrow.id == int(active)
    assert escrow.creator == story.creator
    assert escrow.amount == story.target.amount
    assert escrow.model_id == story.target.model
    assert escrow.settled is False
    assert chain.escrow(int(NO_ESCROW)) is None


def test_created_escrows(story: Story, chain: ChainApi, pair: tuple[str, str]) -> None:
    assert set(pair) <= set(story.purse.spent)
    found = {str(event.escrow_id): event for event in chain.created_by(story.creator)}
    for number, tx_hash in story.purse.spent.items():
        event = found[number]
        assert event.tx_hash == tx_hash
        assert event.amount == story.target.amount
        assert event.timeout_at is not None
        assert event.gas_wanted > 0


@OF_V2
def test_settled_event(story: Story, chain: ChainApi) -> None:
    (number,) = story.need("2")
    event = chain.settled_event(int(number))
    assert event is not None
    assert event.tx_hash == story.hashes["tx_settle"]
    assert sum(event.accounts.values()) == story.target.amount


@OF_V2
def test_transactions(story: Story, chain: ChainApi) -> None:
    made = chain.tx(story.hashes["tx_create"])
    assert made is not None
    assert made.code == 0
    assert str(transactions.created_escrow(made)) == story.need("1")[0]
    failed = chain.tx(story.hashes["tx_failed"])
    assert failed is not None
    assert (failed.code, failed.codespace) == (1, "undefined")
    assert "out of range" in failed.raw_log
    settled = chain.tx(story.hashes["tx_settle"])
    assert settled is not None
    assert SettledEvent.from_tx(settled, int(story.need("2")[0])) is not None
    assert chain.tx("0" * 64) is None
    assert chain.tx_indexer_on()


def test_epoch_and_models(story: Story, chain: ChainApi) -> None:
    epoch = chain.epoch()
    assert epoch.index > 0
    assert epoch.phase == "Inference"
    assert epoch.confirmation_poc is False
    models = chain.active_models()
    assert {story.target.model, story.other_model} <= set(models)
    try:
        known = chain.governance_models()
    except NotFoundError as exc:
        pytest.skip(f"this stand-in for the public API has no such list: {exc}")
    assert set(models) <= set(known)


def test_hosts_newest_nonce(
    story: Story,
    chain: ChainApi,
    transport: HttpTransport,
    generation: Generation,
    active: str,
) -> None:
    """What the hosts know of the session is never more than what the gateway has written."""
    prefix = generation.host_session_prefix
    escrow = chain.escrow(int(active))
    assert escrow is not None
    found = participants.newest_nonce(transport, chain, prefix, escrow, since=0)
    assert found.asked == len(set(escrow.slots))
    if len(found.silent) == found.asked:
        pytest.skip("the hosts of the target's network cannot be reached from here")
    assert found.silent == ()
    assert 0 < found.nonce <= story.status(active)["nonce"]


# the gateway


def test_state(
    story: Story, gateway: GatewayApi, generation: Generation, active: str, passive: str
) -> None:
    state = gateway.state()
    found = {item.id: item for item in state.devshards}
    assert set(found) == {active, passive}
    assert state.active_requests == state.in_flight_requests == 0
    one, two = found[active], found[passive]
    assert (one.active, two.active) == (True, False)
    assert one.private_key_env == KEY_ENV
    assert one.has_plain_key is False
    assert one.runtime is not None
    assert one.runtime.phase == "active"
    assert one.runtime.nonce > 0
    if generation.deactivate_unloads:
        assert two.runtime is None
    else:
        # a fresh session: zero is left out by the gateway
        assert two.runtime is not None
        assert (two.runtime.nonce, two.runtime.active) == (0, False)
    by_field = generation.escrow_prefix_field is not None
    assert one.runtime.protocol == (generation.settlement_tag if by_field else None)
    assert one.route == (generation.route if by_field else None)
    # its answer of the settings has more than its state, where it is told more at each start
    told = {
        name: value for name, value in story.settings().items() if name not in story.profile.told
    }
    assert state.settings == told


def test_the_generation_is_not_taken_for_another(
    gateway: GatewayApi, generation: Generation
) -> None:
    """No answer names it. Two neighbours with the same signs cannot be told apart."""
    refuse_foreign(gateway, generation)
    if generation.name in ("v3", "v4.1"):
        return
    for name in generations():
        if name in ("v2", "v3") and name != generation.name:
            with pytest.raises(UnsafeError, match=f"another generation than {name}"):
                refuse_foreign(gateway, profile(name, None if name == "v2" else name))


def test_rotation_status(gateway: GatewayApi) -> None:
    until(lambda: gateway.rotation().polled, "the gateway has polled the chain")
    rotation = gateway.rotation()
    assert rotation.phase == "Inference"
    assert all(row["stage"] in ("prepare_temp", "finish_regular") for row in rotation.latest)
    assert rotation.settings["enabled"] is False


def test_session(
    story: Story, gateway: GatewayApi, generation: Generation, active: str, passive: str
) -> None:
    session = gateway.session(active)
    assert session.escrow_id == active
    assert session.phase == "active"
    assert (session.nonce, session.balance) == (
        story.status(active)["nonce"],
        story.status(active)["balance"],
    )
    if generation.deactivate_unloads:
        # one that is unloaded is read from its folder
        assert gateway.session(passive).escrow_id == passive
    with pytest.raises(NotFoundError, match="unknown devshard"):
        gateway.session(NO_ESCROW)
    with pytest.raises(ConflictError, match="session not yet finalized"):
        gateway.finalized(active)


def test_settings(story: Story, gateway: GatewayApi) -> None:
    before = gateway.settings()
    assert gateway.post_settings({}) == before
    with pytest.raises(ProtocolError, match="request_max_tokens_cap must be > 0") as caught:
        gateway.post_settings({"request_max_tokens_cap": 0})
    assert caught.value.details["http_status"] == 400


def test_wrong_admin_key(story: Story, transport: HttpTransport, generation: Generation) -> None:
    other = GatewayApi(
        transport,
        url=story.target.gateway,
        admin_key=WRONG_KEY,
        profile=generation,
    )
    with pytest.raises(AuthenticationError, match="different admin key"):
        other.state()


def test_redirected(story: Story, gateway: GatewayApi, active: str) -> None:
    """While disabled the admin's view still answers, a session's does not."""
    before = story.settings()["disabled"]
    gateway.post_settings({"disabled": {"enabled": True, "new_url": "https://new.example/v1"}})
    try:
        assert gateway.state().settings["disabled"]["enabled"] is True
        with pytest.raises(RedirectedError):
            gateway.session(active)
    finally:
        patch = {**before, "new_url": before.get("new_url", "")}
        gateway.post_settings({"disabled": patch})


def test_create_that_the_chain_refuses(story: Story, gateway: GatewayApi) -> None:
    with pytest.raises(ProtocolError, match="out of range") as caught:
        gateway.create_escrow(
            model_id=story.target.model,
            amount=1,
            private_key_env=KEY_ENV,
            chain_id=story.chain_id,
            fee_amount=FEE,
            gas_limit=SETTLE_GAS,
        )
    assert caught.value.details["http_status"] == 502


def test_conflicts(
    story: Story, gateway: GatewayApi, generation: Generation, active: str, passive: str
) -> None:
    if generation.activate_with_id_in_body:
        with pytest.raises(ConflictError, match="already active"):
            gateway.activate(active)
    else:
        assert gateway.activate(active)["already_resident"] is True
    with pytest.raises(ConflictError, match="deactivate it first"):
        gateway.delete(active)
    taken = "already exists in gateway state" if generation.deactivate_unloads else "already loaded"
    folder = f"{generation.storage_dir}/escrow-{passive}"
    with pytest.raises(ConflictError, match=taken):
        gateway.import_session(passive, storage_path=folder, private_key_env=KEY_ENV, model="m")
    with pytest.raises(ProtocolError, match="escrow.* not found"):
        gateway.add(NO_ESCROW, private_key_env=KEY_ENV)
    gone = "not found" if generation.deactivate_unloads else "is not active"
    with pytest.raises(NotFoundError, match=f"is not active|{gone}"):
        gateway.deactivate(NO_ESCROW)


@LATER
def test_a_second_deactivate_is_no_failure(gateway: GatewayApi, passive: str) -> None:
    """The gateway says 404; that it is out of service is what was wanted."""
    assert gateway.deactivate(passive)["active"] is False


@pytest.mark.profiles("v4", "v4.1")
def test_a_path_outside_of_the_storage_is_refused_before_it_is_sent(
    gateway: GatewayApi, passive: str
) -> None:
    with pytest.raises(ConfigurationError, match="must lie below"):
        gateway.import_session(
            passive, storage_path="/nowhere", private_key_env=KEY_ENV, model="a/model"
        )


@pytest.mark.profiles("v4.1")
def test_probes(story: Story, gateway: GatewayApi) -> None:
    """Rule 22: by questions that change nothing. Each face has its own answers."""
    before = story.records()
    found = probe(gateway, gateway.state(), None)
    assert (found.memory_statistics, found.profiler, found.chain_by_grpc) == (True, True, True)
    late = story.profile.face == "late"
    assert (found.holds, found.settles_batches) == (late, late)
    assert found.accounting_schema is None
    # not the nonces: work after a reply may go on
    changed = ("active", "settlement_pending", "updated_at")
    for number, record in story.records().items():
        assert [record.get(key) for key in changed] == [before[number].get(key) for key in changed]


@pytest.mark.parametrize("stream", [False, True])
def test_chat(story: Story, transport: HttpTransport, active: str, stream: bool) -> None:
    options = chat.ChatOptions(
        model=story.target.model, prompt="Say hello", max_tokens=20, stream=stream, timeout=60
    )
    reply = chat.ask(transport, story.target.gateway, story.target.api_key, options)
    assert reply.content
    assert reply.devshard_id == active
    assert reply.request_id is not None
    assert reply.stream is stream
    with pytest.raises(AuthenticationError):
        chat.ask(transport, story.target.gateway, WRONG_KEY, options)


# the CLI, and the end of both escrows


def test_cli(story: Story, signer: Inferenced) -> None:
    assert signer.version().lstrip("v")[0].isdigit()
    assert signer.address() == story.creator
    assert replace(signer, key_name="nobody").address() is None
    with pytest.raises(ConflictError, match="already has a key named creator"):
        signer.import_key(story.target.creator_key)


def test_signing_a_create(story: Story, signing: Cli, signer: Inferenced) -> None:
    """Nothing is sent."""
    unsigned = signer.generate_create(
        story.target.amount,
        story.target.model,
        chain_id=story.chain_id,
        fee=FEE,
        gas=SETTLE_GAS,
        lifetime=120,
    )
    wanted = {
        "@type": "/inference.inference.MsgCreateDevshardEscrow",
        "creator": story.creator,
        "amount": str(story.target.amount),
        "model_id": story.target.model,
    }
    assert transactions.check_unsigned(unsigned, wanted).endswith("Z")


def finalized(gateway: GatewayApi, number: str) -> dict[str, t.Any]:
    """Background work keeps it busy for a moment, which not every generation shows."""

    def attempt() -> dict[str, t.Any] | None:
        try:
            return gateway.finalize(number)
        except ConflictError:
            return None

    return until(attempt, f"{number} can be finalized")


def test_settled_by_the_cli(
    story: Story,
    chain: ChainApi,
    gateway: GatewayApi,
    generation: Generation,
    signing: Cli,
    signer: Inferenced,
    active: str,
) -> None:
    if not generation.deactivate_unloads:
        gateway.deactivate(active)
    settlement = finalized(gateway, active)
    assert settlement["escrow_id"] == active
    assert settlement["version"] == generation.settlement_tag
    assert not next(one for one in gateway.state().devshards if one.id == active).active
    assert gateway.finalized(active)["state_root"] == settlement["state_root"]
    file, signed = signing.home / "settle.json", signing.home / "settle.signed.json"
    file.write_text(json.dumps(settlement))
    unsigned = signer.generate_settle(
        str(file), chain_id=story.chain_id, fee=FEE, gas=SETTLE_GAS, lifetime=120
    )
    transactions.check_unsigned(unsigned, {"settler": story.creator, "escrow_id": active})
    file.write_text(unsigned)
    account = chain.account(story.creator)
    assert account is not None
    signed.write_text(
        signer.sign(str(file), account_number=account.account_number, chain_id=story.chain_id)
    )
    tx_bytes = signer.encode(str(signed)).strip()
    tx_hash = transactions.hash_of(tx_bytes)
    reply = chain.broadcast(tx_bytes)
    assert (reply.code, reply.txhash) == (0, tx_hash)
    assert chain.broadcast(tx_bytes).code == 19
    tx = until(lambda: chain.tx(tx_hash), "the settlement is in a block")
    assert tx.code == 0, tx.raw_log
    event = until(lambda: chain.settled_event(int(active)), "its event is found")
    assert event.accounts["refund"] > 0
    escrow = chain.escrow(int(active))
    assert escrow is not None
    assert escrow.settled is True


def test_settled_by_the_gateway(
    story: Story, chain: ChainApi, gateway: GatewayApi, generation: Generation, passive: str
) -> None:
    """Never used by a client: all comes back but the fee for creating it, and what warmed it up."""
    gateway.activate(passive)
    gateway.deactivate(passive)
    reply = gateway.settle(
        passive,
        private_key_env=KEY_ENV,
        chain_id=story.chain_id,
        fee_amount=FEE,
        gas_limit=SETTLE_GAS,
    )
    assert (reply.escrow_id, reply.settler) == (int(passive), story.creator)
    if generation.settle_awaits_inclusion:
        tx = chain.tx(reply.tx_hash)
        assert tx is not None
        assert tx.code == 0
    story.settled(passive)
    event = until(lambda: chain.settled_event(int(passive)), "its event is found")
    assert event.tx_hash == reply.tx_hash
    fee = chain.escrow_params().create_devshard_fee
    charged = story.target.amount - event.accounts["refund"]
    assert (charged > fee) is generation.warms_up
    assert sum(event.accounts.values()) == story.target.amount


@LATER
def test_a_settled_escrow_is_not_settled_twice(
    story: Story, chain: ChainApi, gateway: GatewayApi, generation: Generation, passive: str
) -> None:
    """v3 and v4 answer as if it were sent well; only the chain tells."""
    ask = functools.partial(
        gateway.settle,
        passive,
        private_key_env=KEY_ENV,
        chain_id=story.chain_id,
        fee_amount=FEE,
        gas_limit=SETTLE_GAS,
    )
    if generation.settle_awaits_inclusion:
        with pytest.raises(ProtocolError, match="already settled|escrow settled") as caught:
            ask()
        assert caught.value.details["http_status"] == 502
        assert not read_settle_failure(caught.value).nothing_sent
    else:
        tx_hash = ask().tx_hash
        tx = until(lambda: chain.tx(tx_hash), "it is in a block")
        assert tx.code != 0
        assert "already settled" in tx.raw_log
    escrow = chain.escrow(int(passive))
    assert escrow is not None
    assert escrow.settled


def test_deleted(gateway: GatewayApi, active: str, passive: str) -> None:
    for number in (active, passive):
        gateway.deactivate(number)
        assert gateway.delete(number) == {"deleted": True, "id": number}
    assert gateway.state().devshards == ()


@LATER
def test_what_follows_finds_the_settings_as_they_were(story: Story) -> None:
    story.restore_settings()
    story.post_settings(default_model=story.target.model, model_limits=[], tx_gas_limit=SETTLE_GAS)

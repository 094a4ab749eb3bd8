# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``adopt_info``: a gateway that was made by hand, as it is."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._adopt import inventory as _inventory
from .._adopt import look as _look
from .._adopt import places as _places
from .._adopt.choose import PATHS, choose, generation_of
from .._adopt.model import Answers, Deposit, Given, Seen
from .._chain.api import ChainApi
from .._chain.limits import MAX_BLOCK_AGE
from .._core.errors import DevshardError, UnknownStateError
from .._core.keys import ADMIN_API_KEY
from .._core.timer import WaitBudget
from .._escrows.absence import Absence
from .._escrows.observe import look_for_absent
from .._gateway.api import GatewayApi
from .._gateway.instance import Instance, Places
from .._gateway.profiles import generation, known
from .._presence.asked import Asked, Host

if t.TYPE_CHECKING:
    from .._adopt.model import Front, HandMade
    from .._chain.models import Escrow
    from .._core.transport import HttpTransport
    from .._gateway.models import Devshard

TEMP_PORT: t.Final = 18081

SPEC = _argspec.ArgumentSpec(
    options={
        "container_name": {"type": "str"},
        "instance": {"type": "str", "default": ""},
        "chain_id": {"type": "str"},
        "chain_rest": {"type": "str"},
        "chain_rpc": {"type": "str"},
        "grpc": {"type": "str"},
        "public_api": {"type": "str"},
        "gateway_public_api": {"type": "str"},
        "protocol": {"type": "str"},
        "models": {"type": "list", "elements": "dict"},
        "temp_port": {"type": "int", "default": TEMP_PORT},
        "edge_port": {"type": "int"},
        "time_limit": {"type": "int", "default": 30},
    },
).merge(_argspec.http())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    container_name: str | None
    instance: str
    chain_id: str | None
    chain_rest: str | None
    chain_rpc: str | None
    grpc: str | None
    public_api: str | None
    gateway_public_api: str | None
    protocol: str | None
    models: tuple[t.Any, ...]
    temp_port: int
    edge_port: int | None
    time_limit: int


def ask_gateway(gateway: HandMade, port: int | None, http: HttpTransport) -> Answers:
    """Its own key, from its own variables, shows nothing to anything else: the port is its own."""
    if gateway.state != "running":
        return Answers(error=f"it does not run ({gateway.state})")
    if port is None:
        return Answers(error="none of its ports is published on the host")
    key = gateway.variables.get(ADMIN_API_KEY)
    if not key:
        return Answers(error=f"it has no {ADMIN_API_KEY}, so its admin paths are closed")
    newest = list(known())[-1]
    api = GatewayApi(
        http, url=f"http://127.0.0.1:{port}", admin_key=key, profile=generation(newest)
    )
    try:
        state, settings = api.state(), api.settings()
    except DevshardError as exc:
        return Answers(error=str(exc))
    found = {path: _has(api, path) for path in PATHS}
    return Answers(
        settings=settings,
        deposits=tuple(_deposit(item) for item in state.devshards),
        generation=generation_of(found, settings),
    )


def _has(api: GatewayApi, path: str) -> bool | None:
    try:
        return api.has(path)
    except DevshardError:
        return None


def _deposit(item: Devshard) -> Deposit:
    protocol = item.runtime.protocol if item.runtime is not None else None
    return Deposit(
        id=item.id,
        model=item.model,
        active=item.active,
        loaded=item.runtime is not None,
        key=item.private_key_env or "",
        protocol=protocol or (item.route.rpartition("/")[2] if item.route else None),
        role=item.rotation_role,
    )


def ask_chain(answers: Answers, chain: ChainApi) -> Answers:
    """Whose each escrow is. One that cannot be asked for stays unknown."""
    found = []
    try:
        # another chain, or a node that is behind, has none of them
        chain.head()
        for one in answers.deposits:
            escrow = chain.escrow(int(one.id))
            found.append(_pruned(one, chain) if escrow is None else _with_chain(one, escrow))
    except DevshardError as exc:
        left = answers.deposits[len(found) :]
        return replace(answers, deposits=(*found, *left), chain_error=str(exc))
    return replace(answers, deposits=tuple(found))


def _with_chain(one: Deposit, escrow: Escrow) -> Deposit:
    return replace(
        one,
        settled=escrow.settled,
        creator=escrow.creator,
        amount=escrow.amount,
        model=one.model or escrow.model_id,
    )


def _pruned(one: Deposit, chain: ChainApi) -> Deposit:
    """No deposit of it is out. Whether it was settled, only the chain's settle event shows."""
    try:
        absence = look_for_absent(chain, int(one.id), (), None)
    except UnknownStateError:
        absence = Absence.UNKNOWN
    return replace(one, pruned=True, settled=absence is Absence.SETTLED or None)


def past_edge(gateway: HandMade, front: Front) -> list[str]:
    """How clients may reach the gateway without the edge, so that they would not follow a swap."""
    ways = list(front.leads)
    ways += [
        f"its port {address.rpartition(':')[2]}, which is open to other hosts"
        for address in _places.addresses_of(gateway)
        if not address.startswith("127.0.0.1:")
    ]
    if others := (*gateway.neighbours, *gateway.beside):
        ways.append(f"the Docker network that it shares with {', '.join(others)}")
    return ways


def work(context: Context) -> Outcome:
    options = context.read(Options)
    host = Host(run=context.try_program)
    listed = _look.containers(host)
    places = Places(deploy_dir=Path("/nonexistent"), state_dir=Path(_argspec.STATE_DIR))
    asked = Asked(
        deploy_dir=places.deploy_dir,
        state_dir=places.state_dir,
        env_file=places.deploy_dir / "config.devshard.env",
        keyring=places.state_dir / "keyring",
        ledger=places.ledger,
        container=options.container_name or "",
        temp_container="",
        storage_dir=list(known().values())[0].storage_dir,
        ports=(),
    )
    gateways = _look.gateways(listed, asked, host)
    for one in gateways:
        context.hide_secrets(one.variables)
    gateway = choose(gateways, options.container_name)
    port = _places.port_of(gateway)
    http = context.new_transport(WaitBudget(options.time_limit), only_python=True)
    answers = ask_gateway(gateway, port, http)
    given = Given(
        chain_id=options.chain_id,
        chain_rest=options.chain_rest,
        chain_rpc=options.chain_rpc,
        grpc=options.grpc,
        public_api=options.public_api,
        gateway_public_api=options.gateway_public_api,
        protocol=options.protocol,
        models=options.models,
    )
    network = _places.network(gateway, given)
    if answers.deposits and not _places.missing(network):
        chain = ChainApi(
            http,
            rest=network["devshard_chain_rest"],
            public_api=network["devshard_public_api"],
            chain_id=network["devshard_chain_id"],
            max_block_age=MAX_BLOCK_AGE,
        )
        answers = ask_chain(answers, chain)
    front = _look.front(port, str(Instance(options.instance).edge_file()), host)
    published = {number for each in listed for number in each.published}
    file = _look.find_env_file(gateway, Path(_places.own_env_file(gateway)))
    context.hide_secrets(file.variables)
    seen = Seen(
        gateway=gateway,
        answers=answers,
        front=front,
        file=file,
        temp_port=_look.free_port(options.temp_port, published, host),
        edge_port=options.edge_port or _look.edge_port(front, published, host),
    )
    found, problems = _inventory.make(seen, given)
    return Outcome(
        changed=False,
        values={
            "adopt": {
                "container": gateway.to_result(),
                "generation": answers.generation,
                "settings": dict(answers.settings),
                "escrows": [one.to_result() for one in answers.deposits],
                "chain_error": answers.chain_error,
                "front": front.to_result(),
                "past_edge": past_edge(gateway, front),
                "others": [one.text for one in gateways if one.name != gateway.name],
                "owned_files": _look.owned_files(gateway, front, file.path),
                "inventory": found,
                "overridden": _inventory.overridden(seen),
                "closed": _inventory.closed(seen),
                "problems": [text[:1].upper() + text[1:] for text in problems],
            }
        },
    )

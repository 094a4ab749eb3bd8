# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``preflight_info``: what a deployment depends on, in one run.

The chain is asked by the clients that the other modules use, and judged by their rules. The
transport is the one of a host that may have nothing but Python.
"""

from __future__ import annotations

import functools
import os
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.chain import new_chain, new_rpc
from .._clients.signer import signer_of
from .._core.errors import ConfigurationError, ProtocolError, TransportError
from .._core.parts import Part, attempt, together
from .._core.timer import WaitBudget
from .._escrows.create_window import refuse_window, window_of
from .._escrows.deadlines import DEADLINE_BLOCKS
from .._escrows.ledger.store import read_intents
from .._escrows.observe import read_clock, unsettled_of, upgrade_ahead
from .._escrows.payment import terms_result
from .._host.storage import free_space
from .._site.model import is_startable
from .._site.observe import see_services
from . import escrow_info

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._chain.api import ChainApi

T = t.TypeVar("T")

SPEC = _argspec.ArgumentSpec(
    options={
        "folders": {"type": "list", "elements": "path", "default": []},
        "address": {"type": "str"},
        "ask_gateway": {"type": "bool", "default": False},
        "deadline_blocks": {"type": "int", "default": DEADLINE_BLOCKS},
        "min_blocks_to_poc": {"type": "int"},
        "time_limit": {"type": "int", "default": 10},
    },
).merge(_argspec.signing())

DOCKER: t.Final = "docker"
ROUNDS: t.Final = 3
"""The escrows are several questions, each after the answer of the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    folders: tuple[Path, ...]
    address: str | None
    ask_gateway: bool
    time_limit: int
    ledger_path: str
    chain_rest: str
    chain_rpc: str | None
    public_api: str
    chain_id: str
    min_blocks_to_poc: int | None


def told(variable: str, url: str | None, wanted: str, ask: Callable[[], T]) -> T:
    """The answer; what is wrong with the URL itself is said by the name of its variable."""
    where = f"{variable} {url}"
    try:
        return ask()
    except TransportError as exc:
        raise TransportError(f"{where} does not answer ({exc})") from exc
    except ProtocolError as exc:
        status = exc.details.get("http_status")
        if status is None:
            raise ProtocolError(f"{where} answers without {wanted}: {exc}") from exc
        if status == 200:
            raise ProtocolError(f"{where} answers with something that is not JSON: {exc}") from exc
        if 300 <= status < 400:
            raise ProtocolError(f"{where}: {exc}") from exc
        raise ProtocolError(f"{where} answers HTTP {status}") from exc


def docker_service(context: Context) -> dict[str, t.Any]:
    seen = see_services([DOCKER], context.try_program)[DOCKER]
    return {**asdict(seen), "startable": is_startable(seen)}


def keyring_address(context: Context) -> str | None:
    """None where there is no key, or no program that could read it."""
    options = context.read(_argspec.InferencedOptions)
    key = Path(options.keyring_dir) / "keyring-test" / f"{options.key_name}.info"
    if not key.exists():
        return None
    if (signer := signer_of(context)) is None:
        raise ConfigurationError(f"there is no program {options.inferenced_path} to read {key}")
    return signer.address()


def open_deposits(chain: ChainApi, creator: str, ledger: frozenset[int]) -> list[dict[str, t.Any]]:
    """The unsettled escrows of a creator on the chain, whichever gateway serves them."""
    return [
        {"id": escrow.id, "amount": escrow.amount, "in_ledger": escrow.id in ledger}
        for escrow in unsettled_of(chain, creator, read_clock(chain))
    ]


def in_ledger(options: Options) -> frozenset[int]:
    """The escrows that some gateway of this host made or imported."""
    intents = read_intents(options.ledger_path, options.chain_id)
    return frozenset(intent.escrow_id for intent in intents if intent.escrow_id is not None)


class Asking:
    """Each question has a connection and a time limit of its own."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options = context.read(Options)

    def _chain(self) -> ChainApi:
        # what passes by itself within the time limit is asked for again
        deadline = WaitBudget(self._options.time_limit)
        return new_chain(self._context, self._context.new_transport(deadline, only_python=True))

    def rest(self) -> dict[str, t.Any]:
        head = self._chain().signing_head()
        return {"chain_id": head.chain_id, "height": head.height}

    def rpc(self) -> dict[str, t.Any]:
        deadline = WaitBudget(self._options.time_limit)
        http = self._context.new_transport(deadline, only_python=True)
        if (rpc := new_rpc(self._context, http)) is None:
            raise ConfigurationError("devshard_chain_rpc (chain_rpc) is not set")
        node = rpc.signing_node()
        return {"chain_id": node.chain_id, "height": node.height}

    def create_window(self, chain: ChainApi) -> str | None:
        wanted = window_of(self._options.min_blocks_to_poc, self._context.profile)
        return refuse_window(chain.epoch(), chain.head().height, wanted) if wanted else None

    def of_rest(self, ask: Callable[[ChainApi], T]) -> Callable[[], T]:
        return lambda: ask(self._chain())

    def all(self, creator: Part[str | None]) -> dict[str, Part[t.Any]]:
        options, of_rest = self._options, self.of_rest
        block = "block and chain id"
        looks: dict[str, Callable[[], t.Any]] = {
            "chain_rest": functools.partial(
                told, "devshard_chain_rest", options.chain_rest, block, self.rest
            ),
            "chain_rpc": functools.partial(
                told, "devshard_chain_rpc", options.chain_rpc, block, self.rpc
            ),
            "public_api": functools.partial(
                told,
                "devshard_public_api",
                options.public_api,
                "the epoch",
                of_rest(lambda chain: {"epoch": chain.epoch().index}),
            ),
            "terms": of_rest(lambda chain: terms_result(chain.escrow_params())),
            "upgrade": of_rest(lambda chain: upgrade_ahead(chain, chain.head().height)),
            "create_window": of_rest(self.create_window),
            "active_models": of_rest(lambda chain: chain.active_models()),
            "governance_models": of_rest(lambda chain: chain.governance_models()),
        }
        address = creator.value
        if address is not None:
            looks["balance"] = of_rest(lambda chain: chain.spendable(address))
            looks["deposits"] = of_rest(
                lambda chain: open_deposits(chain, address, in_ledger(options))
            )
        found = together(looks, options.time_limit)
        unasked: Part[t.Any] = Part(why="the creator's address is not known")
        return {"balance": unasked, "deposits": unasked, **found}

    def escrows(self) -> dict[str, t.Any]:
        """By the module of that name, which shows the gateway the admin key."""
        params = self._context.params
        names = set(escrow_info.SPEC.options) & set(params)
        args = {name: params[name] for name in names if params[name] is not None}
        deadline = WaitBudget(ROUNDS * self._options.time_limit)
        inner = self._context.inner(escrow_info.SPEC, args, deadline)
        return escrow_info.work(inner).values


def work(context: Context) -> Outcome:
    context.positive("time_limit")
    options = context.read(Options)
    parts: dict[str, Part[t.Any]] = {
        "user": Part(value=os.geteuid()),
        "disks": attempt(lambda: free_space(options.folders)),
        "docker_service": attempt(lambda: docker_service(context)),
        "keyring": attempt(lambda: keyring_address(context)),
    }
    creator = parts["keyring"]
    if creator.known and creator.value is None:
        creator = Part(value=options.address)
    asking = Asking(context)
    parts |= asking.all(creator)
    if not options.ask_gateway:
        parts["escrows"] = Part(why="the gateway is not proved to run")
    elif not parts["terms"].known and not parts["chain_rest"].known:
        # each of its questions would wait for the same chain
        parts["escrows"] = Part(why=parts["chain_rest"].why)
    else:
        parts["escrows"] = attempt(asking.escrows)
    found = {name: {**part.to_result(), "value": part.value} for name, part in parts.items()}
    return Outcome(changed=False, values={"preflight": found})

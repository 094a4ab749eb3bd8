# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``gateway_status``."""

from __future__ import annotations

import functools
import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._chain.api import ChainApi
from .._clients.chain import new_chain
from .._clients.signer import signer_of
from .._core import keys
from .._core.errors import (
    ConfigurationError,
    UnknownStateError,
)
from .._core.parts import (
    Part,
    attempt,
    together,
)
from .._core.timer import WaitBudget
from .._core.transport import (
    HttpTransport,
    base_url,
)
from .._escrows.backup.inspect import times_of_backups
from .._escrows.creator import membership
from .._escrows.deadlines import (
    DEADLINE_BLOCKS,
)
from .._escrows.ledger.states import Intent
from .._escrows.ledger.store import (
    read_intents,
)
from .._escrows.pool_rules import Limits
from .._escrows.settlement_files import (
    SettlementFiles,
)
from .._gateway.api import GatewayApi
from .._host.storage import free_space
from .._monitor.burn import rates, sessions_of
from .._monitor.samples import read_samples, sample_now
from .._status.look import (
    AccountingSeen,
    ChainSeen,
    GatewaySeen,
    Sight,
    StatusTerms,
    escrow_rows,
    look_at_accounting,
    look_at_chain,
    look_at_gateway,
    look_at_route,
    read_escrows,
    read_settled,
    tell_clock,
)
from . import certificate_info

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .._chain.models import SettledEvent
    from .._edge.certificate import Certificate
    from .._escrows.settle_rules import (
        Settlement,
    )

SPEC = _argspec.ArgumentSpec(
    options={
        "slot": {"type": "str", "choices": ["main", "temp"], "default": "main"},
        "other_url": {"type": "str"},
        "ask": {
            "type": "list",
            "elements": "str",
            "choices": ["main", "temp"],
            "default": ["main", "temp"],
        },
        "public_url": {"type": "str", "default": "http://127.0.0.1"},
        "accounting": {"type": "bool", "default": False},
        "nginx_container": {"type": "str"},
        "creator": {"type": "str"},
        "deadline_blocks": {"type": "int", "default": DEADLINE_BLOCKS},
        "backup_dir": {"type": "path"},
        "certificate": {"type": "path"},
        "time_limit": {"type": "int", "default": 10},
        "samples_path": {"type": "path"},
    },
).merge(_argspec.signing())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    slot: str
    gateway_url: str
    other_url: str | None
    ask: tuple[str, ...]
    public_url: str
    accounting: bool
    nginx_container: str | None
    creator: str | None
    deadline_blocks: int
    backup_dir: str | None
    certificate: str | None
    time_limit: int
    env_file: str
    ledger_path: str
    chain_id: str
    samples_path: str | None


def http_until(context: Context, deadline: WaitBudget) -> HttpTransport:
    return context.new_transport(deadline, of_part=True)


def chain_until(context: Context, deadline: WaitBudget) -> ChainApi:
    return new_chain(context, http_until(context, deadline))


def creator_of(context: Context) -> str | None:
    found = None if (signer := signer_of(context)) is None else signer.address()
    expected = context.read(Options).creator
    if found is not None and expected not in (None, found):
        raise ConfigurationError(
            f"the key in the keyring belongs to {found}, but {expected} is expected (creator_address)"
        )
    return found or expected


def intents_of(context: Context) -> list[Intent]:
    options = context.read(Options)
    return read_intents(options.ledger_path, options.chain_id)


def nginx_state(context: Context) -> str:
    name = context.read(Options).nginx_container
    argv = ["timeout", "5", "systemctl", "is-active", "nginx"]
    if name is not None:
        argv = ["timeout", "5", "docker", "inspect", "--format", "{{.State.Status}}", name]
    rc, stdout, stderr = context.run(argv)
    words = stdout.split()
    if len(words) != 1 or rc == 124:
        raise UnknownStateError((stderr or stdout).strip() or f"{argv[2]} ended with {rc}")
    return words[0]


def gateway_look(context: Context, url: str, admin_key: Part[str]) -> Callable[[], GatewaySeen]:
    def look() -> GatewaySeen:
        if admin_key.value is None:
            raise ConfigurationError(str(admin_key.why))
        http = http_until(context, WaitBudget(context.read(Options).time_limit))
        api = GatewayApi(http, url=url, admin_key=admin_key.value, profile=context.profile)
        return look_at_gateway(api, http)

    return look


def slots_of(context: Context) -> dict[str, str]:
    options = context.read(Options)
    other = {"main": "temp", "temp": "main"}[options.slot]
    urls = {options.slot: options.gateway_url, other: options.other_url}
    return {slot: url for slot, url in urls.items() if slot in options.ask and url is not None}


def look(context: Context) -> tuple[Sight, dict[str, Part[t.Any]]]:
    options = context.read(Options)
    limit = options.time_limit
    creator = attempt(lambda: creator_of(context))
    key = attempt(lambda: context.secret("admin_api_key", keys.ADMIN_API_KEY))
    public = options.public_url
    used: list[float] = []

    def chain() -> ChainSeen:
        deadline = WaitBudget(limit)
        seen = look_at_chain(chain_until(context, deadline), creator.value)
        used.append(deadline.elapsed)
        return seen

    def accounting() -> AccountingSeen:
        url = base_url(public, "devshard_client_base_url")
        return look_at_accounting(http_until(context, WaitBudget(limit)), url)

    slots = slots_of(context)
    parts = together(
        {
            **{slot: gateway_look(context, url, key) for slot, url in slots.items()},
            "route": lambda: look_at_route(
                http_until(context, WaitBudget(limit)), base_url(public, "devshard_client_base_url")
            ),
            **({"accounting": accounting} if options.accounting else {}),
            "chain": chain,
            "public_api": lambda: chain_until(context, WaitBudget(limit)).epoch(),
        },
        limit,
    )
    parts["nginx"] = attempt(lambda: nginx_state(context))
    folders = [Path(path).parent for path in (options.env_file, options.ledger_path)]
    parts["disks"] = attempt(lambda: free_space(folders))
    if (folder := options.backup_dir) is not None:
        parts["backups"] = attempt(lambda: times_of_backups(Path(folder)))
    if (file := options.certificate) is not None:
        parts["certificate"] = attempt(lambda: certificate_info.read(context, file))
    # one that was not asked may have any escrow, as one that does not answer
    unasked: Part[GatewaySeen] = Part(why="it was not asked")
    sight = Sight(
        gateways={
            options.slot: unasked,
            **{slot: parts[slot] for slot in slots},
        },
        chain=parts["chain"],
        epoch=parts["public_api"],
        clock=Part(why="not asked"),
        creator=creator,
        intents=attempt(lambda: intents_of(context)),
    )
    # what others waited for is not taken from the chain's time
    return complete(context, sight, WaitBudget(limit - sum(used))), parts


def complete(context: Context, sight: Sight, of_chain: WaitBudget) -> Sight:
    """What can be asked for only when the names of the escrows are known."""
    options = context.read(Options)
    files = SettlementFiles(Path(options.ledger_path).parent, options.chain_id)

    def kept(names: tuple[int, ...]) -> dict[int, Part[Settlement | None]]:
        return {number: attempt(functools.partial(files.read, number)) for number in names}

    if not sight.chain.known:
        sight = replace(sight, clock=Part(why=sight.chain.why))
        return replace(sight, kept=kept(sight.names()))
    chain = chain_until(context, of_chain)
    sight = replace(sight, clock=tell_clock(chain, sight.chain, sight.epoch))
    names = sight.names()
    seen = together({"escrows": lambda: read_escrows(chain, names)}, of_chain.left)["escrows"]
    escrows = seen.value or {number: Part(why=seen.why) for number in names}
    sight = replace(sight, escrows=escrows, kept=kept(names))
    if not (gone := sight.without_proof()):
        return sight
    # by itself: a slow index must not take the answers of the chain with it
    told: dict[int, Part[SettledEvent | None]] = {}
    late = together({"settled": lambda: read_settled(chain, gone, told)}, of_chain.left)["settled"]
    return replace(sight, settled={number: told.get(number, Part(why=late.why)) for number in gone})


def report(context: Context, sight: Sight, parts: dict[str, Part[t.Any]]) -> dict[str, t.Any]:
    terms = StatusTerms(
        limits=Limits.of_generation(context.profile),
        settlement_tag=context.profile.settlement_tag,
        deadline_blocks=context.read(Options).deadline_blocks,
    )
    chain, epoch, clock = sight.chain.value, parts["public_api"].value, sight.clock
    address = sight.creator.value
    created: Part[t.Any] = Part(why=sight.chain.why) if chain is None else chain.created
    parts = {
        **parts,
        "creator": sight.creator,
        "ledger": sight.intents,
        "epoch": clock,
        "creations": created,
    }
    lost = next((part.why for part in sight.kept.values() if not part.known), None)
    parts["settlements"] = Part(why=lost)
    for slot, part in sight.gateways.items():
        if part.value is not None:
            parts[f"{slot}_hosts"] = part.value.hosts
    return {
        "parts": {name: part.to_result() for name, part in parts.items()},
        "slots": {slot: slot_result(part) for slot, part in sight.gateways.items()},
        "route": None if parts["route"].value is None else parts["route"].value.to_result(),
        "accounting": accounting_result(parts.get("accounting", Part())),
        "nginx": parts["nginx"].value,
        "phase": None if epoch is None else epoch.phase,
        "confirmation_poc": None if epoch is None else epoch.confirmation_poc,
        "epoch": None if clock.value is None else clock.value.to_result(),
        "disks": parts["disks"].value,
        "clock_fault": None if chain is None else chain.clock_fault,
        "clock_offset": None if chain is None else chain.clock_offset,
        "backups": backups_result(parts.get("backups", Part()), time.time()),
        "certificate": certificate_result(parts.get("certificate", Part()), time.time()),
        "upgrade": None if chain is None else chain.upgrade,
        "creator": {
            "address": address,
            "balance": None if chain is None else chain.balance,
            "membership": None
            if chain is None or address is None
            else membership(chain.params, address).value,
        },
        "params": None if chain is None else chain.params.to_result(),
        "escrows": with_burn(context, escrow_rows(sight, terms)),
        "complete": created.known,
        "transactions": [intent.to_result() for intent in sight.intents.value or () if intent.open],
    }


def with_burn(context: Context, rows: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Each row with its burn rate until now; null where it was not measured."""
    path = context.read(Options).samples_path
    kept = attempt(lambda: [] if path is None else read_samples(Path(path)))
    found = attempt(lambda: rates([*(kept.value or ()), sample_now(sessions_of(rows))]))
    measured = (found.value or {}).items()
    known = {number: rate.to_result() for number, rate in measured if rate is not None}
    return [{**row, "burn": known.get(row["id"])} for row in rows]


def accounting_result(part: Part[AccountingSeen]) -> dict[str, t.Any] | None:
    return None if part.value is None else part.value.to_result()


def backups_result(part: Part[list[float]], now: float) -> dict[str, t.Any] | None:
    if part.value is None:
        return None
    age = int(now - part.value[-1]) if part.value else None
    return {"count": len(part.value), "age": age}


def certificate_result(part: Part[Certificate], now: float) -> dict[str, t.Any] | None:
    if part.value is None:
        return None
    end = part.value.not_after
    return {"expires": end.isoformat(), "days_left": int((end.timestamp() - now) // 86400)}


def slot_result(part: Part[GatewaySeen]) -> dict[str, t.Any]:
    seen = part.value
    return {
        "gateway": None if seen is None else dict(seen.report),
        "hosts": None if seen is None else seen.hosts.value,
        "refused": None if seen is None else seen.refused,
    }


def work(context: Context) -> Outcome:
    context.positive("time_limit", "deadline_blocks")
    sight, parts = look(context)
    return Outcome(changed=False, values={"status": report(context, sight, parts)})

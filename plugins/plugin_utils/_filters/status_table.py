# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the state of one gateway as lines for the terminal."""

from __future__ import annotations

import textwrap
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import (
    known as generations,
)
from ansible_collections.gonka.devshard.plugins.module_utils._status.idle_rules import idle_state
from ansible_collections.gonka.devshard.plugins.module_utils._status.money_rules import time_left
from ansible_collections.gonka.devshard.plugins.module_utils._status.scene import coins
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.table import table

WIDTH: t.Final = 106
"""With the indent, the quotes and the comma that Ansible adds, a line ends before column 120."""
_MODEL: t.Final = 30

Data = Mapping[str, t.Any]


def short(text: str, width: int) -> str:
    """The ends of a name say more than its middle."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _wrapped(text: str, indent: str, first: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def clients_text(status: Data) -> str:
    clients = status["clients"]
    if clients["state"] == "redirected":
        return f"redirected to {clients['to']}"
    return f"{clients['state']} ({clients['why']})" if clients["why"] else str(clients["state"])


def _container(status: Data) -> tuple[str, str]:
    found = (status["presence"] or {}).get("container")
    if found is None or not found["known"]:
        return "not known", "not known"
    if not found["exists"]:
        return f"there is no {found['name']}", "-"
    health = f", {found['health']}" if found["health"] else ""
    return f"{found['name']} {found['state']}{health}", str(found["image"])


def _requests(status: Data) -> str:
    """Both slots, as far as they were asked."""
    told = [
        f"{slot} {entry['gateway']['active_requests']}"
        + (f" (refused since its start: {entry['refused']})" if entry["refused"] else "")
        for slot, entry in (status.get("slots") or {}).items()
        if entry["gateway"] is not None
    ]
    return ", ".join(told) or "not known"


def _model(model: Data) -> str:
    if model["usable"] is None:
        return "not known"
    hosts = ""
    if model["hosts"] is not None:
        hosts = f", hosts {model['hosts_available']} of {model['hosts']}"
    usable = f"{model['usable']} of {model['wanted']} usable"
    if model["not_known"]:
        usable += f" ({model['not_known']} not known)"
    return f"{usable}, access {model['access_mode'] or 'not known'}{hosts}"


def _slot(status: Data) -> str:
    """What is written at the edge proves nothing while the edge does not answer."""
    if status["slot"] is None:
        return "not known"
    proved = (status["route"] or {}).get("status") == 200
    return str(status["slot"]) if proved else f"{status['slot']}, which no answer proves"


def generation_text(record: Data) -> str:
    name, protocol = record.get("profile") or "not recorded", record.get("protocol")
    return f"{name}, protocol {protocol}" if protocol else str(name)


_PROBED: t.Final = {
    "memory_statistics": "memory statistics",
    "profiler": "profiler",
    "chain_by_grpc": "chain by gRPC",
    "holds": "escrows that are held back",
    "settles_batches": "settling in batches",
    "accounting_schema": "accounting",
}


def _probed(record: Data) -> str | None:
    """What the running image was found to have. Its tag says nothing of it."""
    generation = generations().get(str(record.get("profile")))
    if generation is None or not generation.probed:
        return None
    asked = record.get("probes")
    if not asked:
        return "not known, it was not asked yet: run gonka.devshard.site"
    if asked.get("digest") != record.get("digest"):
        return f"not known, another image was asked at {asked.get('at')}: run gonka.devshard.site"
    found = asked.get("found") or {}
    parts = {
        "has": [_found(name, found[name]) for name in _PROBED if found.get(name)],
        "has not": [text for name, text in _PROBED.items() if found.get(name) is False],
        "not known": [text for name, text in _PROBED.items() if found.get(name) is None],
    }
    told = [f"{what}: {', '.join(names)}" for what, names in parts.items() if names]
    return f"{'; '.join(told)} (asked at {asked.get('at')})"


def _found(name: str, value: object) -> str:
    return _PROBED[name] if value is True else f"{_PROBED[name]} (schema {value})"


def facts(status: Data) -> Iterator[tuple[str, str]]:
    container, image = _container(status)
    epoch, creator = status.get("epoch"), status.get("creator") or {}
    yield "host", str(status["host"])
    yield "clients", clients_text(status)
    yield "slot in service", _slot(status)
    yield "container", container
    yield "image", image
    record = (status["presence"] or {}).get("record") or {}
    if record.get("exists"):
        yield "generation", generation_text(record)
        if (probed := _probed(record)) is not None:
            yield "found in image", probed
    swap = (status["presence"] or {}).get("swap") or {}
    if swap.get("open"):
        yield "swap", f"open, from {swap['origin_asked']} to {swap['asked']}, at {swap['step']}"
        temp = status["presence"]["temp"]
        yield (
            "temporary",
            f"{temp['name']} {temp.get('state', 'not there')}, {temp.get('image', '-')}",
        )
    yield "requests now", _requests(status)
    for model in status["models"]:
        yield "model", f"{short(model['id'], 44)}: {_model(model)}"
    yield "rotation", _rotation(status)
    yield "phase", str(status.get("phase") or "not known")
    yield (
        "chain",
        "not known" if epoch is None else f"epoch {epoch['effective']}, block {epoch['height']}",
    )
    yield from _host_facts(status)
    yield "creator", str(creator.get("address") or "not known")
    balance = creator.get("balance")
    yield "wallet", "not known" if balance is None else coins(balance)


def _rotation(status: Data) -> str:
    """With the next window and what the newest passes did, as far as the gateway shows them."""
    state = str(status["rotation"])
    known = [entry["gateway"] or {} for entry in (status.get("slots") or {}).values()]
    found = [gateway["rotation"] for gateway in known if gateway.get("rotation")]
    rotation = next((one for one in found if one["settings"].get("enabled")), None)
    if state not in ("on", "failing") or rotation is None:
        return state
    left = rotation.get("blocks_until_next_rotation")
    if not rotation.get("polled") or left is None:
        following = "the next window is not known"
    elif left <= 0:
        following = "its window is open"
    else:
        pace = (status.get("epoch") or {}).get("block_seconds")
        seconds = None if pace is None else int(left * pace)
        following = f"next in {time_left({'blocks_left': left, 'seconds_left': seconds})}"
    return "; ".join([state, following, *_last_rotation(rotation.get("latest") or ())])


def _last_rotation(latest: Iterable[Data]) -> Iterator[str]:
    """The passes of the newest epoch, over all models and stages."""
    entries = list(latest)
    last = max((entry.get("epoch") or 0 for entry in entries), default=0)
    passes = [entry for entry in entries if (entry.get("epoch") or 0) == last]
    words = {
        "created_count": "created",
        "settled_count": "settled",
        "settle_failed_count": "not settled at once",
    }
    counts = {word: sum(one.get(name) or 0 for one in passes) for name, word in words.items()}
    if told := ", ".join(f"{count} {word}" for word, count in counts.items() if count):
        yield f"in epoch {last}: {told}"


def _host_facts(status: Data) -> Iterator[tuple[str, str]]:
    """What a host needs to go on; a part that was not asked is left out."""
    parts = status.get("parts") or {}
    disks = status.get("disks")
    found = [f"{disk['free_mb']} MiB free on the disk of {disk['path']}" for disk in disks or ()]
    yield "disk", "; ".join(found) or "not known"
    offset = status.get("clock_offset")
    yield (
        "clock",
        "not known" if offset is None else f"{abs(offset)} s {_ahead(offset)} the chain's node",
    )
    if "backups" in parts:
        yield "backup", _backup(status.get("backups"))
    if "certificate" in parts:
        held = status.get("certificate")
        yield (
            "certificate",
            "not known"
            if held is None
            else f"{held['days_left']} days left, until {held['expires']}",
        )


def _ahead(offset: int) -> str:
    return "behind" if offset < 0 else "ahead of"


def _backup(found: Data | None) -> str:
    if found is None:
        return "not known"
    if found["age"] is None:
        return "none on this host"
    return f"{found['count']} on this host, the newest {found['age'] // 3600} h old"


def escrow_state(escrow: Data) -> str:
    if escrow["settled"]:
        return "settled"
    if escrow["foreign"]:
        return "foreign"
    if escrow["usable"]:
        return "usable"
    if (state := idle_state(escrow)) is not None:
        return state
    if escrow["on_chain"] is False:
        return "lost" if escrow["absence"] == "lost" else "not known"
    unsure = all(str(reason).startswith("not known") for reason in escrow["why_not"])
    return "not known" if unsure else "not usable"


def _reasons(escrow: Data) -> list[str]:
    """Why it is not usable, below the table: reasons are longer than a column."""
    if escrow["settled"] or escrow["usable"]:
        return []
    return _wrapped("; ".join(escrow["why_not"]), " " * 10, f"{escrow['id']}: ")


def escrow_row(escrow: Data) -> dict[str, t.Any]:
    ended, deadline = over(escrow), escrow["deadline"]
    return {
        "escrow": escrow["id"],
        "model": None if escrow["model"] is None else short(str(escrow["model"]), _MODEL),
        "slot": escrow["slot"],
        "state": escrow_state(escrow),
        "deposit": "-" if escrow["on_chain"] is False and ended else _known(escrow["amount"]),
        "unspent": "-" if ended else _known(escrow["balance"]),
        "settle within": "-" if ended else _left(deadline),
    }


def over(escrow: Data) -> bool:
    """Whether its deposit is no longer out: it was paid back or went to the hosts. One that the
    chain does not show although it must have it is still out."""
    pruned = escrow["on_chain"] is False and escrow["absence"] != "not_shown"
    return bool(escrow["settled"]) or pruned


def _known(amount: int | None) -> str:
    return "not known" if amount is None else coins(amount)


def _left(deadline: Data | None) -> str:
    return "not known" if deadline is None else time_left(deadline)


def ranked(escrows: Iterable[Data]) -> list[Data]:
    """The nearest deadline first, what is over last."""

    def rank(escrow: Data) -> tuple[bool, int, int]:
        deadline = escrow["deadline"] or {}
        return bool(escrow["settled"]), deadline.get("blocks_left", 0), escrow["id"]

    return sorted(escrows, key=rank)


def _findings(status: Data) -> Iterator[str]:
    for finding in status["findings"]:
        first = f"{finding['severity'].upper() + ':':<10} "
        yield from _wrapped(finding["text"], " " * 11, first)
        if finding["run"]:
            yield from _wrapped(f"run: {finding['run']}", " " * 16, " " * 11)
        if finding["back"]:
            yield from _wrapped(f"or go back: {finding['back']}", " " * 16, " " * 11)


def status_table(status: object) -> list[str]:
    """Return the lines: what is wrong, the gateway, and a table of its escrows."""
    if not isinstance(status, Mapping):
        raise AnsibleFilterError("status_table: a dict is needed")
    lines = list(_findings(status)) or ["OK:        nothing is wrong"]
    lines.append("")
    for name, text in facts(status):
        lines += _wrapped(text, " " * 17, f"{name:<16} ")
    escrows = ranked(status["escrows"])
    rows = [escrow_row(escrow) for escrow in escrows]
    columns = ["escrow", "model", "slot", "state", "deposit", "unspent", "settle within"]
    notes = [line for escrow in escrows for line in _reasons(escrow)]
    return [*lines, "", *table(rows, columns), *notes]

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The metrics of one gateway, each described once, and their text format. Pure.

What is not known is not written: no 0 stands for it. ``unknown`` names it instead.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: t.Final = "gonka_devshard_"


@dataclass(frozen=True, slots=True)
class Family:
    """``labels`` are those besides ``gateway``, which every metric has."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: str = "gauge"


_ESCROW: t.Final = ("escrow_id", "model", "creator")

FAMILIES: t.Final = (
    Family(
        "info",
        "The gateway by its generation and the protocol of its sessions. The value is always 1.",
        ("generation", "protocol"),
    ),
    Family(
        "unknown",
        "What could not be determined in the last look, one series each. The value is always 1.",
        ("what", "escrow_id"),
    ),
    # the look
    Family("look_timestamp_seconds", "When the last look ended, in seconds since 1970."),
    Family(
        "look_success_timestamp_seconds",
        "When the last look ended that did not fail, in seconds since 1970.",
    ),
    Family("look_duration_seconds", "How long the last look took, in seconds."),
    Family(
        "look_failures_total",
        "Looks that failed: something was unknown that each look should show. Since the first look.",
        kind="counter",
    ),
    Family("findings", "What the playbook status reports, counted by severity.", ("severity",)),
    # the gateway
    Family("up", "Whether the gateway in this slot answers its admin API.", ("slot",)),
    Family("slot_in_service", "Whether clients reach the gateway in this slot.", ("slot",)),
    Family("requests_in_flight", "Requests that the gateway in this slot serves now.", ("slot",)),
    Family(
        "requests_refused",
        "Requests that the gateway in this slot refused since its process started.",
        ("slot",),
    ),
    Family("clients_served", "Whether clients are served all wanted models."),
    Family("retired", "Whether the gateway is retired, so that it serves no client by intent."),
    Family("redirected", "Whether clients are redirected to another gateway."),
    Family("model_escrows_wanted", "Escrows that the inventory wants for the model.", ("model",)),
    Family("model_escrows_usable", "Escrows of the model that serve requests.", ("model",)),
    # deposits
    Family(
        "escrow_deposit_ngonka",
        "The deposit of the escrow, as the chain has it, in ngonka.",
        _ESCROW,
    ),
    Family("escrow_balance_ngonka", "The unspent rest of the deposit, in ngonka.", _ESCROW),
    Family("escrow_nonce", "The newest nonce of the session.", _ESCROW),
    Family(
        "max_nonce",
        "The nonce at which an escrow is depleted: the lower limit of gateway and chain.",
    ),
    Family(
        "escrow_burn_ngonka_per_hour",
        "How fast the deposit is spent, in ngonka per hour, from the kept samples.",
        _ESCROW,
    ),
    Family(
        "escrow_nonces_per_hour",
        "How fast the nonce rises, per hour, from the kept samples.",
        _ESCROW,
    ),
    Family(
        "escrow_deadline_blocks",
        "Blocks that are left to settle the escrow. Negative when the deadline has passed.",
        _ESCROW,
    ),
    Family(
        "escrow_deadline_seconds", "Seconds that are left to settle the escrow, estimated.", _ESCROW
    ),
    Family(
        "escrow_recorded",
        "Whether this gateway has a record of the escrow. Another one of its creator may have it.",
        _ESCROW,
    ),
    Family(
        "escrow_settled",
        "Whether the escrow is settled, also where the chain has pruned it since.",
        _ESCROW,
    ),
    Family(
        "escrow_settling",
        "Whether the gateway settles the escrow when its work has ended.",
        _ESCROW,
    ),
    Family("escrow_usable", "Whether the escrow serves requests.", _ESCROW),
    Family(
        "escrow_at_risk",
        "Whether the deposit may be lost: by its deadline, or by a rule of the chain.",
        _ESCROW,
    ),
    Family(
        "escrow_danger", "Each danger of the deposit. The value is always 1.", (*_ESCROW, "kind")
    ),
    Family(
        "escrows_unsettled", "Escrows that this gateway has a record of, and that are not settled."
    ),
    Family("escrows_omitted", "Escrows that are not exported because there are too many."),
    Family("intents_pending", "Transactions in the ledger whose outcome is open.", ("kind",)),
    Family(
        "intent_oldest_timestamp_seconds",
        "When the oldest of the open transactions was written down, in seconds since 1970.",
    ),
    # the creator
    Family("wallet_balance_ngonka", "The balance of the creator, in ngonka.", ("creator",)),
    Family(
        "wallet_reserve_ngonka",
        "What the wallet must have for the next escrow with its fees, in ngonka.",
        ("creator",),
    ),
    Family(
        "funding_horizon_seconds",
        "Seconds until the wallet has less than its reserve, at the burn rate of this gateway alone.",
        ("creator",),
    ),
    Family(
        "creator_allowed",
        "Whether the creator may create escrows: it is on the allowlist, or the list is empty.",
        ("creator",),
    ),
    # rotation
    Family("rotation_enabled", "Whether the gateway rotates its escrows by itself."),
    Family("rotation_failing", "Whether the newest pass of the rotation failed."),
    Family("rotation_next_blocks", "Blocks until the next pass of the rotation."),
    # a swap
    Family("swap_open", "Whether a swap has begun and not ended."),
    Family("swap_step", "The step at which the open swap is. The value is always 1.", ("step",)),
    Family("swap_start_timestamp_seconds", "When the open swap began, in seconds since 1970."),
    # the host
    Family("backups", "Complete backups of the gateway on this host."),
    Family("backup_timestamp_seconds", "When the newest backup was made, in seconds since 1970."),
    Family(
        "certificate_expiry_timestamp_seconds",
        "When the certificate of the edge expires, in seconds since 1970.",
    ),
    Family("disk_free_bytes", "Free space beside the storage and the ledger, in bytes.", ("path",)),
    # the chain
    Family("chain_height_blocks", "The newest block of the chain that was seen."),
    Family("chain_epoch", "The epoch of the chain."),
)

BURN: t.Final = "escrow_burn"
HORIZON: t.Final = "funding_horizon"
PACE: t.Final = "escrow_deadline_seconds"
PRUNED: t.Final = "escrow_pruned"
"""Of an escrow that the chain has pruned, whether it was settled."""
MEASURED: t.Final = (BURN, HORIZON, PACE, PRUNED)
"""What no look can be expected to show: it needs samples, the pace of the chain, or a past that the
node no longer has. No look fails for it."""

BY_NAME: t.Final = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, slots=True)
class Series:
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass
class Page:
    """The values of one look. A value that is None is not known, and is left out."""

    gateway: str
    _series: dict[str, list[Series]] = field(default_factory=dict)

    def put(self, name: str, value: float | bool | None, **labels: object) -> None:
        family = BY_NAME[name]
        if sorted(labels) != sorted(family.labels):
            raise ValueError(f"{name} has the labels {', '.join(family.labels) or 'none'}")
        if value is None:
            return
        found = (("gateway", self.gateway), *((key, _label(labels[key])) for key in family.labels))
        self._series.setdefault(name, []).append(Series(found, float(value)))

    def unknown(self, what: str, escrow_id: object = None) -> None:
        self.put("unknown", 1, what=what, escrow_id=escrow_id)

    def known_or(self, what: str, name: str, value: float | bool | None, **labels: object) -> None:
        """The value, or else that it is not known."""
        if value is None:
            self.unknown(what, labels.get("escrow_id"))
        self.put(name, value, **labels)

    @property
    def failed(self) -> bool:
        """Whether something is unknown that one look should show."""
        found = (dict(item.labels)["what"] for item in self._series.get("unknown", ()))
        return any(what not in MEASURED for what in found)

    def render(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for family in FAMILIES:
            if not (found := self._series.get(family.name)):
                continue
            yield f"# HELP {PREFIX}{family.name} {_help(family.help)}"
            yield f"# TYPE {PREFIX}{family.name} {family.kind}"
            for item in dict.fromkeys(found):
                yield f"{PREFIX}{family.name}{_labels(dict(item.labels))} {_number(item.value)}"


def _label(value: object) -> str:
    return "" if value is None else str(value)


def _labels(labels: Mapping[str, str]) -> str:
    # an empty label is the same as none
    told = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items() if value)
    return f"{{{told}}}" if told else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else str(value)

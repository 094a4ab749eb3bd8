# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What one look at a gateway means in metrics. Pure.

``status`` is what the filter status_verdict returns: everything that was seen, and its verdict.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .burn import horizon, total
from .metrics import BURN, HORIZON, PACE, PRUNED, Page

if t.TYPE_CHECKING:
    from .burn import Rate

Data = Mapping[str, t.Any]

MOST_ESCROWS: t.Final = 500
"""More series than these would burden a Prometheus more than they would show."""
SEVERITIES: t.Final = {"danger": "danger", "not known": "unknown", "warning": "warning"}
_SERVED: t.Final = {"served": True, "partly": False, "turned away": False, "nobody": False}
_MEGABYTE: t.Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A time in seconds since 1970, or why it is not known. Neither where there is none."""

    at: float | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One look at one gateway. ``reserve`` is what the wallet needs for the next escrow."""

    gateway: str
    generation: str
    protocol: str
    status: Data
    began: float
    ended: float
    rates: Mapping[int, Rate | None] = field(default_factory=dict)
    burn_known: bool = True
    """Whether the sessions could be read from which the burn rate follows."""
    reserve: int | None = None
    nonce_limit: int = 0
    """Of the generation; the chain has its own."""
    backups: int | None = None
    backup: Told = Told()
    certificate: Told | None = None
    """None where the edge has no certificate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What is kept of the looks before."""

    success: float | None = None
    failures: int = 0

    def after(self, look: Look, page: Page) -> Earlier:
        if page.failed:
            return Earlier(success=self.success, failures=self.failures + 1)
        return Earlier(success=look.ended, failures=self.failures)


def expose(look: Look, earlier: Earlier) -> tuple[str, Earlier]:
    """The text, and what is to be kept for the next look."""
    page = Page(look.gateway)
    page.put("info", 1, generation=look.generation, protocol=look.protocol)
    _parts(page, look.status)
    _gateway(page, look.status)
    _models(page, look.status)
    _escrows(page, look)
    _transactions(page, look.status)
    _creator(page, look)
    _rotation(page, look.status)
    _swap(page, look.status)
    _host(page, look)
    now = earlier.after(look, page)
    page.put("look_timestamp_seconds", look.ended)
    page.put("look_success_timestamp_seconds", now.success)
    page.put("look_duration_seconds", look.ended - look.began)
    page.put("look_failures_total", now.failures)
    return page.render(), now


def _parts(page: Page, status: Data) -> None:
    """Every part that was asked and did not answer."""
    if status["presence"] is None:
        page.unknown("presence")
    parts = status["parts"]
    if parts is None:
        page.unknown("status")
    for name, part in (parts or {}).items():
        if not part["known"]:
            page.unknown(name)
    counted = Counter(finding["severity"] for finding in status["findings"])
    for severity, label in SEVERITIES.items():
        page.put("findings", counted[severity], severity=label)


def _gateway(page: Page, status: Data) -> None:
    presence = status["presence"] or {}
    parts = status["parts"] or {}
    for slot, seen in (status["slots"] or {}).items():
        if slot not in parts:
            # neither up nor down: another program may have its port
            page.unknown(f"gateway_{slot}")
            continue
        gateway = seen["gateway"]
        page.put("up", gateway is not None, slot=slot)
        if gateway is not None:
            page.put("requests_in_flight", gateway["active_requests"], slot=slot)
            page.put("requests_refused", seen["refused"], slot=slot)
    clients = status["clients"]
    state = clients["state"]
    if state == "redirected":
        page.put("redirected", 1)
    else:
        served = _SERVED.get(state)
        page.known_or("clients", "clients_served", served)
        page.put("redirected", None if served is None else 0)
    if status["slot"] is None:
        page.unknown("slot")
    else:
        for slot in ("main", "temp"):
            page.put("slot_in_service", status["slot"] == slot, slot=slot)
    retired = presence.get("retired")
    if retired is not None:
        page.put("retired", bool(retired.get("retired")))


def _models(page: Page, status: Data) -> None:
    for model in status["models"]:
        page.put("model_escrows_wanted", model["wanted"], model=model["id"])
        usable = model["usable"]
        # those that are not known could be usable, and could be not
        known = usable is not None and (usable > 0 or not model["not_known"])
        page.known_or("model", "model_escrows_usable", usable if known else None, model=model["id"])


def _escrows(page: Page, look: Look) -> None:
    status = look.status
    if status["parts"] is None:
        return
    rows = sorted(status["escrows"], key=lambda row: (bool(row["settled"]), row["id"]))
    for row in rows[:MOST_ESCROWS]:
        _escrow(page, row, look)
    page.put("escrows_omitted", max(0, len(rows) - MOST_ESCROWS))
    # those of another gateway of the creator are counted there; what is on neither is escrow_recorded
    own = [row for row in rows if row["recorded"] is not False]
    if status["complete"] and all(_settled_or_not(row) for row in own):
        left = [row for row in own if row["on_chain"] and not row["settled"] and not row["foreign"]]
        page.put("escrows_unsettled", len(left))
    else:
        page.unknown("escrows_unsettled")
    params = status["params"]
    limits = [look.nonce_limit, *([] if params is None else [params["max_nonce"]])]
    if params is not None:
        page.put("max_nonce", min(limit for limit in limits if limit))
    if not look.burn_known:
        page.unknown("burn")


def _settled_or_not(row: Data) -> bool:
    """Whether it is known of this escrow whether its deposit is still out, and who has it."""
    gone = row["on_chain"] is False and row["absence"] != "not_shown"
    return (row["settled"] is not None or gone) and row["recorded"] is not None


def _escrow(page: Page, row: Data, look: Look) -> None:
    number = row["id"]
    names = {"escrow_id": number, "model": row["model"], "creator": row["creator"]}
    page.put("escrow_deposit_ngonka", row["amount"], **names)
    page.put("escrow_balance_ngonka", row["balance"], **names)
    page.put("escrow_nonce", row["nonce"], **names)
    if row["absence"] is not None and not row["settled"]:
        # the chain has nothing more to say of one that it has pruned
        if row["absence"] != "lost":
            page.unknown("escrow_settled" if row["absence"] == "not_shown" else PRUNED, number)
        return
    page.known_or("escrow_settled", "escrow_settled", row["settled"], **names)
    if row["settled"]:
        return
    page.put("escrow_recorded", row["recorded"], **names)
    page.put("escrow_usable", None if _unsure(row) else row["usable"], **names)
    page.put("escrow_settling", row["gateway_settles"], **names)
    for found in row["dangers"]:
        page.put("escrow_danger", 1, kind=found["kind"], **names)
    # without deadline or the rules of the chain a missing danger proves nothing
    sure = row["deadline"] is not None and look.status["params"] is not None
    at_risk = True if row["dangers"] else (False if sure else None)
    page.known_or("escrow_at_risk", "escrow_at_risk", at_risk, **names)
    deadline = row["deadline"]
    if deadline is None:
        page.unknown("escrow_deadline", number)
    else:
        page.put("escrow_deadline_blocks", deadline["blocks_left"], **names)
        page.known_or(PACE, "escrow_deadline_seconds", deadline["seconds_left"], **names)
    rate = look.rates.get(number)
    if rate is None and number in look.rates:
        page.unknown(BURN, number)
    if rate is not None:
        page.put("escrow_burn_ngonka_per_hour", rate.ngonka_per_hour, **names)
        page.put("escrow_nonces_per_hour", rate.nonces_per_hour, **names)


def _unsure(row: Data) -> bool:
    return any(str(reason).startswith("not known") for reason in row["why_not"])


def _transactions(page: Page, status: Data) -> None:
    parts = status["parts"]
    if parts is None or not parts.get("ledger", {}).get("known"):
        return
    counted = Counter(str(intent["kind"]) for intent in status["transactions"])
    for kind in ("create", "settle", "delete", "import"):
        page.put("intents_pending", counted[kind], kind=kind)
    written = [seconds(intent["created_at"]) for intent in status["transactions"]]
    if known := [at for at in written if at is not None]:
        page.put("intent_oldest_timestamp_seconds", min(known))


def _creator(page: Page, look: Look) -> None:
    creator = look.status["creator"]
    if creator is None or creator["address"] is None:
        page.unknown("creator")
        return
    names = {"creator": creator["address"]}
    page.known_or("wallet", "wallet_balance_ngonka", creator["balance"], **names)
    page.put("wallet_reserve_ngonka", look.reserve, **names)
    if creator["membership"] is not None:
        page.put("creator_allowed", creator["membership"] != "not_listed", **names)
    burnt = total(look.rates) if look.burn_known else None
    if burnt is None:
        page.unknown(HORIZON)
    elif creator["balance"] is not None and look.reserve is not None:
        page.put(
            "funding_horizon_seconds", horizon(creator["balance"], look.reserve, burnt), **names
        )


def _rotation(page: Page, status: Data) -> None:
    told = status["rotation"]
    if told not in ("on", "off", "failing"):
        return
    page.put("rotation_enabled", told != "off")
    page.put("rotation_failing", told == "failing")
    slots = status["slots"] or {}
    seen = (slots.get(status["slot"] or "main") or {}).get("gateway")
    if told != "off" and seen is not None:
        page.put("rotation_next_blocks", seen["rotation"]["blocks_until_next_rotation"])


def _swap(page: Page, status: Data) -> None:
    swap = (status["presence"] or {}).get("swap")
    if swap is None:
        return
    if not swap["known"]:
        page.unknown("swap")
        return
    page.put("swap_open", swap["open"])
    if swap["open"]:
        page.put("swap_step", 1, step=swap["step"])
        page.put("swap_start_timestamp_seconds", seconds(swap["since"]))


def _host(page: Page, look: Look) -> None:
    if look.backups is None:
        page.unknown("backup")
    page.put("backups", look.backups)
    if look.backup.why is not None:
        page.unknown("backup_timestamp")
    page.put("backup_timestamp_seconds", look.backup.at)
    if look.certificate is not None:
        page.known_or("certificate", "certificate_expiry_timestamp_seconds", look.certificate.at)
    for disk in look.status["disks"] or ():
        page.put("disk_free_bytes", disk["free_mb"] * _MEGABYTE, path=disk["path"])
    epoch = look.status["epoch"]
    if epoch is not None:
        page.put("chain_height_blocks", epoch["height"])
        page.put("chain_epoch", epoch["effective"])


def seconds(text: str | None) -> float | None:
    """Seconds since 1970 of a time in UTC; None where it is none."""
    if text is None:
        return None
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    return None

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The program of the role ``monitoring``: one look, written as metrics for node_exporter.

It runs on the gateway's host by a timer, without Ansible, and asks what the role ``status`` asks.
"""

from __future__ import annotations

import json
import sys
import time
import typing as t
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .._core.errors import ConfigurationError, DevshardError
from .._core.files import private_folder, write_private, write_whole
from .._core.options import OptionTypeError, read_options
from .._core.parts import Part, attempt
from .._escrows.backup.inspect import times_of_backups
from .._gateway.profiles import Profile, profile
from .._monitor.burn import rates, sessions_of
from .._monitor.exposition import Earlier, Look, Told, expose
from .._monitor.samples import add_sample, read_samples, sample_now
from .._status.ask import slots_to_ask
from .._status.money_rules import next_escrow_needs
from .._status.scene import Severity
from .._status.verdict import read_wish, status_of
from . import certificate_info, gateway_status, presence_info
from .alone import ask, context_of

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from .._monitor.burn import SessionSample

Data = dict[str, t.Any]

NO_PROGRAM: t.Final = "/nonexistent"
"""The creator's key is left alone: its address is in the settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The file that the role writes. It holds no secret."""

    gateway: str
    textfile: Path
    samples: Path
    keep: int
    window: float
    backup_dir: Path
    certificate: str | None
    presence: Mapping[str, t.Any]
    """Options of the module presence_info."""
    status: Mapping[str, t.Any]
    """Options of the module gateway_status, without those that a look decides."""
    other_url: str
    wish: Mapping[str, t.Any]

    @property
    def earlier(self) -> Path:
        return self.samples.with_name("looks.json")


def read_settings(file: Path) -> Settings:
    try:
        body = json.loads(file.read_text("utf-8"))
        return read_options(Settings, body)
    except (OSError, ValueError, TypeError, OptionTypeError) as exc:
        raise ConfigurationError(
            f"{file} cannot be used: {exc}. Run the playbook gonka.devshard.monitoring again"
        ) from exc


def look(settings: Settings, part: Data | None, why: str) -> tuple[Data, Profile]:
    """The state of the host, as the role status has it."""
    given = dict(settings.status)
    record = (part or {}).get("record") or {}
    if record.get("profile"):
        # another generation may have been deployed since the role ran
        given |= {"gateway_profile": record["profile"], "gateway_protocol": record["protocol"]}
    found = profile(given["gateway_profile"], given.get("gateway_protocol"))
    slots = slots_to_ask(part, given["slot"])
    other = {"main": "temp", "temp": "main"}[given["slot"]]
    given |= {"inferenced_path": NO_PROGRAM}
    given |= {"backup_dir": str(settings.backup_dir), "certificate": settings.certificate}
    given |= {"ask": slots, "other_url": settings.other_url if other in slots else None}
    seen: Part[Data] = attempt(lambda: ask(gateway_status.SPEC, gateway_status.work, given))
    status = status_of(
        {
            "host": settings.gateway,
            "presence": part,
            "presence_error": why,
            "seen": (seen.value or {}).get("status"),
            "seen_error": seen.why or "",
            # the answer of the public route tells it, or it is not known
            "edge_slot": None,
        },
        {**settings.wish, "settlement_tag": found.settlement_tag, "elsewhere": []},
    )
    return status, found


def sessions(status: Data) -> dict[int, SessionSample] | None:
    """What the gateways have in memory; None where none was asked, or all are silent."""
    gateways = [entry["gateway"] for entry in (status["slots"] or {}).values()]
    if not any(gateway is not None for gateway in gateways):
        return None
    return sessions_of(status["escrows"])


def certificate_of(path: str | None) -> Told | None:
    if path is None:
        return None
    context = context_of(certificate_info.SPEC, {"path": path, "key_path": path})
    found = attempt(lambda: certificate_info.read(context, path))
    if found.value is None:
        return Told(why=found.why)
    return Told(at=found.value.not_after.timestamp())


def read_earlier(file: Path) -> Earlier:
    """What can be read of it; a count that is lost begins again."""
    try:
        return read_options(Earlier, json.loads(file.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError, OptionTypeError):
        return Earlier()


def run(settings: Settings) -> list[str]:
    """Write the metrics. Returns what could not be determined, and why."""
    began, start = time.time(), time.monotonic()
    presence: Part[Data] = attempt(
        lambda: ask(presence_info.SPEC, presence_info.work, settings.presence)["presence"]
    )
    status, found = look(settings, presence.value, presence.why or "")
    backups = attempt(lambda: times_of_backups(settings.backup_dir))
    seen = sessions(status)
    kept = (
        read_samples(settings.samples)
        if seen is None
        else add_sample(settings.samples, sample_now(seen), settings.keep)
    )
    record = (presence.value or {}).get("record") or {}
    result = Look(
        gateway=settings.gateway,
        generation=found.name,
        protocol=str(record.get("protocol") or settings.status.get("gateway_protocol") or ""),
        status=status,
        began=began,
        ended=began + time.monotonic() - start,
        rates={} if seen is None else rates(kept, settings.window),
        burn_known=seen is not None,
        reserve=next_escrow_needs(
            read_wish({**settings.wish, "settlement_tag": "", "elsewhere": []})
        ),
        nonce_limit=found.nonce_limit,
        backups=None if backups.value is None else len(backups.value),
        backup=Told(at=max(backups.value, default=None) if backups.value else None),
        certificate=certificate_of(settings.certificate),
    )
    text, now = expose(result, read_earlier(settings.earlier))
    private_folder(settings.earlier.parent)
    write_private(settings.earlier, json.dumps(asdict(now)))
    write_whole(settings.textfile, text.encode(), 0o644)
    return [
        f"not known: {item['about']}: {item['text']}"
        for item in status["findings"]
        if item["severity"] == Severity.UNKNOWN.value
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Its only argument is the file of the settings."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) != 1:
        sys.stderr.write("usage: metrics.pyz SETTINGS\n")
        return 2
    try:
        unknown = run(read_settings(Path(given[0])))
    except (DevshardError, OSError) as exc:
        # nothing is written then, and the alarm for metrics that grow old tells
        sys.stderr.write(f"{exc}\n")
        return 1
    # the metrics say that something is not known, and the journal why
    sys.stderr.writelines(f"{line}\n" for line in unknown)
    return 0

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What is noted on the host: the deploy record, open swaps, and a redirect."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import typing as t
from datetime import datetime
from pathlib import Path, PurePosixPath

from .._core.errors import ProtocolError, UnknownStateError
from .._escrows.backup.inspect import records_in
from .._gateway import record as _record
from .._gateway.instance import Places
from .._swap.journal import JournalFile
from .asked import Host, look_at_file
from .model import FoundRecord, Redirect, Retirement, Swap, Swaps

_CHUNK: t.Final = 1 << 20


_REDIRECTED: t.Final = re.compile(r"^\s*return\s+308\s+(\S+?)\$request_uri\s*;", re.MULTILINE)


def read_record(path: Path) -> FoundRecord:
    try:
        content = _record.parse(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return FoundRecord(path=str(path), exists=False)
    except PermissionError:
        return FoundRecord(path=str(path), exists=None)
    except UnknownStateError as exc:
        return FoundRecord(path=str(path), exists=True, error=str(exc))
    return FoundRecord(path=str(path), exists=True, content=content)


def storage_of(record: FoundRecord, places: Places) -> Path:
    recorded = None if record.content is None else record.content.storage
    return places.storage if recorded is None else Path(recorded)


def _since(identifier: str) -> str | None:
    """The id of a swap is the time at which it began."""
    try:
        return datetime.strptime(identifier, "%Y%m%dT%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None


def read_swaps(places: Places) -> Swaps:
    found: list[Swap] = []
    for slot, path in places.journals.items():
        try:
            journal = JournalFile(path).read()
        except UnknownStateError as exc:
            return Swaps(found=tuple(found), error=str(exc))
        except PermissionError:
            return Swaps(
                found=tuple(found),
                error=f"the swap journal {path} may not be read; run with become: true",
            )
        if journal is None or not journal.open:
            continue
        pending = [step for step in journal.started if step not in journal.done]
        at = next(iter(pending), next(iter(reversed(journal.started)), None))
        ids = journal.data.temp_escrow_ids
        found.append(
            Swap(
                path=str(path),
                slot=slot,
                id=journal.id,
                run=journal.data.run,
                mode=journal.mode,
                temp_escrows=journal.temp_escrows,
                target=journal.target,
                asked=journal.asked,
                origin=journal.origin,
                origin_asked=journal.origin_asked,
                started=tuple(step.value for step in journal.started),
                done=tuple(step.value for step in journal.done),
                step=None if at is None else at.value,
                since=_since(journal.id),
                rolling_back=journal.rolling_back,
                touched=journal.touched,
                only_forward=journal.only_forward,
                moves_to=None if journal.data.move is None else journal.data.move.storage,
                temp_escrow_ids=tuple(str(one) for one in ids) if ids is not None else (),
            )
        )
    return Swaps(found=tuple(found))


def read_retirement(path: Path, database: Path, *, serving: bool) -> Retirement:
    """What a gateway that serves again has written is not compared."""
    found = look_at_file(path)
    noted = _retirement_note(path) if found.exists and not serving else None
    if noted is None:
        return Retirement(path=found.path, exists=found.exists)
    # 0.8.0 and earlier wrote the note only after the archive, without a stage
    stage = noted.get("stage", "archived")
    if stage == "archived":
        unchanged = _is_archived(noted.get("gateway_db"), database)
        return Retirement(path=found.path, exists=True, unchanged=unchanged, archived=True)
    if stage != "settled":
        return Retirement(path=found.path, exists=True)
    unchanged = _is_settled(noted, database)
    return Retirement(path=found.path, exists=True, unchanged=unchanged, archived=False)


def _retirement_note(path: Path) -> dict[str, t.Any] | None:
    try:
        noted = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return noted if isinstance(noted, dict) else None


def _is_settled(noted: dict[str, t.Any], database: Path) -> bool | None:
    """Whether the gateway has no record that it did not have when everything was settled."""
    then = noted.get("gateway_records")
    lists = (then, noted.get("settled"), noted.get("left_to_others"))
    if not all(isinstance(one, list) for one in lists):
        return None
    try:
        # opening a database that is not there would not be an answer either
        if not database.is_file():
            return None
        return {*records_in(database)} <= {one for one in then or () if isinstance(one, int)}
    except (OSError, sqlite3.Error, ProtocolError):
        return None


def _is_archived(archived: object, database: Path) -> bool | None:
    try:
        if _has_pending_writes(database):
            return False
        with database.open("rb") as file:
            # the checksum of ansible.builtin.stat, which the role recorded
            digest = hashlib.sha1(usedforsecurity=False)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return None
    return digest.hexdigest() == archived


def _has_pending_writes(database: Path) -> bool:
    """A gateway that was killed leaves them beside the database; an archived one has none."""
    try:
        return database.with_name(f"{database.name}-wal").stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def read_redirect(places: Places, host: Host) -> Redirect:
    path = Path(places.instance.edge_dir(PurePosixPath(host.nginx))) / "server.d/redirect.conf"
    noted = look_at_file(places.redirect_note).exists
    edge: bool | None
    url: str | None = None
    try:
        match = _REDIRECTED.search(path.read_text(encoding="utf-8", errors="replace"))
        edge, url = True, None if match is None else match[1]
    except (FileNotFoundError, NotADirectoryError):
        edge = False
    except PermissionError:
        edge = None
    return Redirect(edge=edge, noted=noted, base_url=url, path=str(path))

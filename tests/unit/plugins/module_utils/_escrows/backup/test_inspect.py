# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
    UnknownStateError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    inspect,
    make,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._escrows.backup.storages import (
    NOW,
    backup,
    other_storage,
)


def test_sessions_are_never_copied_from_a_gateway_that_runs(storage: Path) -> None:
    file = storage / "escrow-1" / "epoch_5.db"
    script = f"f = open({str(file)!r}); print('open', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        for attempt in (lambda: backup(storage), lambda: inspect.refuse_in_use(storage)):
            with pytest.raises(UnsafeError, match=f"{child.pid}.* use "):
                attempt()
        backup(storage, sessions=False)
        child.kill()
    backup(storage, later=1)


def test_a_process_that_cannot_be_looked_at_may_be_the_gateway(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc" / "77" / "fd").mkdir(parents=True)
    real = Path.iterdir

    def hidden(folder: Path) -> t.Any:
        if folder.name == "fd":
            raise PermissionError(str(folder))
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", hidden)
    with pytest.raises(UnknownStateError, match="process 77"):
        inspect.users_of(storage, tmp_path / "proc")


def test_the_backup_of_another_gateway_is_not_restored(storage: Path, tmp_path: Path) -> None:
    other = other_storage(tmp_path)
    theirs = make.make_backup(
        other, tmp_path / "backups", with_sessions=False, now=NOW, ledger=None
    )
    with pytest.raises(UnsafeError, match=f"made from the storage {other}.*backup_from_storage="):
        inspect.refuse_other_gateway(theirs, storage, None)
    with pytest.raises(UnsafeError, match="made from the storage"):
        inspect.refuse_other_gateway(theirs, storage, "/somewhere/else")
    # moved, and its owner says so
    inspect.refuse_other_gateway(theirs, storage, str(other))
    inspect.refuse_other_gateway(backup(storage, later=1), storage, None)


def test_damaged_backups_are_refused(storage: Path) -> None:
    made = backup(storage)
    (made.storage / "escrow-1" / "epoch_5.db").unlink()
    with pytest.raises(ProtocolError, match="escrow-1"):
        inspect.read_backup(made.path)
    (made.path / "manifest.json").write_text("{")
    with pytest.raises(ProtocolError, match="cannot be read"):
        inspect.read_backup(made.path)
    (made.path / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match="not a complete backup"):
        inspect.read_backup(made.path)

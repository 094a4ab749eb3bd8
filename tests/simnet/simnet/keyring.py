# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The ``test`` keyring of the simulated CLI: plain files, as with the real one.

``<dir>/keyring-test/<name>.info`` holds a key, ``<hexaddr>.address`` names the
key's record. Permissions are the caller's business, as with the real one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from simnet import crypto


class KeyExistsError(Exception):
    """The name is taken."""


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    key: crypto.PrivateKey

    @property
    def address(self) -> str:
        return self.key.address


class Keyring:
    def __init__(self, directory: Path) -> None:
        self._directory = directory / "keyring-test"

    def _info(self, name: str) -> Path:
        return self._directory / f"{name}.info"

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._directory.glob("*.info"))

    def get(self, name: str) -> Record | None:
        if "/" in name or not self._info(name).is_file():
            return None
        data = json.loads(self._info(name).read_text())
        return Record(data["name"], crypto.PrivateKey.from_hex(data["key"]))

    def by_address(self, address: str) -> Record | None:
        for record in self.all():
            if record.address == address:
                return record
        return None

    def all(self) -> list[Record]:
        found = [self.get(name) for name in self.names()]
        return [record for record in found if record is not None]

    def add(self, name: str, key: crypto.PrivateKey) -> bool:
        """Store a key; tell whether the same key was there under another name."""
        if self._info(name).exists():
            raise KeyExistsError(name)
        self._directory.mkdir(parents=True, exist_ok=True)
        raw = crypto.decode_address(key.address).hex()
        pointer = self._directory / f"{raw}.address"
        known = pointer.exists()
        self._info(name).write_text(json.dumps({"name": name, "key": key.hex}) + "\n")
        pointer.write_text(f"{name}.info\n")
        return known

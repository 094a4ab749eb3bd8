# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Settlement documents on the host's disk."""

from __future__ import annotations

import json
import re
import typing as t

from .._core.errors import ConfigurationError, ProtocolError
from .._core.files import private_folder, write_private
from .settle_rules import Settlement

if t.TYPE_CHECKING:
    from pathlib import Path


class SettlementFiles:
    """Settlement documents, kept beside the ledger: with one a refund needs no gateway any more.

    One folder for each chain, since two chains may give the same number to two escrows.
    """

    def __init__(self, folder: Path, chain_id: str) -> None:
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", chain_id) is None:
            raise ConfigurationError(f"not a chain id: '{chain_id}'")
        self._folder = folder / "settlements" / chain_id

    def path(self, escrow_id: int) -> Path:
        return self._folder / f"escrow-{escrow_id}.json"

    def read(self, escrow_id: int) -> Settlement | None:
        file = self.path(escrow_id)
        if not file.exists():
            return None
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            return Settlement.parse(document, str(file))
        except (ValueError, ProtocolError) as exc:
            raise ProtocolError(
                f"{file} is not a settlement: {exc}. Move it away and run this again: a gateway "
                f"that has the session produces it once more"
            ) from exc

    def kept(self) -> list[int]:
        """The escrows that have one."""
        names = [file.stem.removeprefix("escrow-") for file in self._folder.glob("escrow-*.json")]
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def keep(self, settlement: Settlement) -> None:
        private_folder(self._folder.parent)
        private_folder(self._folder)
        write_private(self.path(settlement.escrow_id), json.dumps(settlement.document, indent=2))

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What differs between releases of the chain (contract chain-v0.2.16.md §1 and §2). Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STORE_SINCE: t.Final = (0, 2, 16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What the node says that it runs, such as ``v0.2.16-post1``."""

    version: str
    number: tuple[int, int, int]

    @classmethod
    def parse(cls, version: str) -> Release | None:
        """By its beginning: a leading ``v`` and what follows the number do not matter."""
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?!\d)", version)
        if found is None:
            return None
        return cls(version=version, number=(int(found[1]), int(found[2]), int(found[3])))

    @property
    def has_version_store(self) -> bool:
        """Approved versions have a query of their own; before, they were in the parameters."""
        return self.number >= _STORE_SINCE


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovedVersions:
    """The settlement versions that the chain takes. Without ``names`` and ``every``: not known."""

    names: tuple[str, ...] = ()
    every: bool = False
    """An old chain that has no list takes all."""

    @property
    def known(self) -> bool:
        return self.every or bool(self.names)

    def takes(self, version: str) -> bool | None:
        """None where the list could not be asked for, which is never a yes."""
        if not self.known:
            return None
        return self.every or version in self.names

    @classmethod
    def of_result(cls, params: Mapping[str, t.Any]) -> ApprovedVersions:
        """From what modules return of the chain's parameters."""
        names = tuple(params["approved_versions"])
        return cls(names=names, every=bool(params["approved_known"]) and not names)

    def to_result(self) -> dict[str, t.Any]:
        """What :meth:`of_result` reads again."""
        return {"approved_versions": list(self.names), "approved_known": self.known}

    def __str__(self) -> str:
        return "any" if self.every else ", ".join(sorted(self.names)) or "not known"


def judge_approved(
    release: Release | None, in_params: Sequence[str], in_store: Sequence[str] | None
) -> ApprovedVersions:
    """From both places; ``in_store`` is None where the chain has no such query, or was not asked.

    The list of a real chain is never empty, so an empty answer is that of a wrong node or a wrong
    path. Only a chain that says to be older than the query approves all with it.
    """
    old = release is not None and not release.has_version_store
    first, second = (in_params, in_store) if old else (in_store, in_params)
    names = tuple(sorted(first or second or ()))
    return ApprovedVersions(names=names, every=old and not names and in_store is None)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpgradePlan:
    """The upgrade of the chain that governance has scheduled."""

    name: str
    height: int

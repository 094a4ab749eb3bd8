# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The deploy record: which gateway a directory holds."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from dataclasses import dataclass, field

from .._core.errors import UnknownStateError
from .instance import VARIABLE, name_fault

if t.TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: t.Final = 2
"""Records of version 0.1.0 have no number and count as 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployRecord:
    """None where the record does not have it: one of version 0.1.0, or of a gateway not started."""

    schema: int = 1
    instance: str | None = None
    """The name of this gateway among those of the host; None for the one without a name."""
    profile: str | None = None
    protocol: str | None = None
    """That its escrows are made for, where the operator names it."""
    storage: str | None = None
    image: str | None = None
    """As it was asked for, by tag or by digest."""
    digest: str | None = None
    """The image reference that was started."""
    previous_image: str | None = None
    previous_digest: str | None = None
    rolled_back_digest: str | None = None
    state_dir: str | None = None
    ledger: str | None = None
    container: str | None = None
    volume: str | None = None
    """Name of the engine's volume that the storage is, when it is one."""
    project: str | None = None
    service: str | None = None
    """Of the container, for Compose. None: the names that the collection gives."""
    port: int | None = None
    probes: Mapping[str, t.Any] | None = None
    """What its gateway was found to have: ``digest`` of the image, ``at``, and ``found``."""
    adopted: bool = False
    """Another tool made the deployment: owners and modes of its directories are kept."""
    held: Mapping[str, t.Any] = field(default_factory=dict, repr=False, compare=False)
    """All that the file holds, also what this version does not know."""

    def to_result(self) -> dict[str, t.Any]:
        found = dataclasses.asdict(self)
        del found["held"]
        return found


_TEXTS: t.Final = tuple(
    each.name
    for each in dataclasses.fields(DeployRecord)
    if each.name not in ("schema", "port", "adopted", "probes", "held")
)


class _Unusable(Exception):
    """Why a content is not a deploy record."""


def parse(content: bytes, where: str) -> DeployRecord:
    """Strict in what it knows; a field that another version added is left alone."""
    try:
        return DeployRecord(**_values(_fields(content)))
    except _Unusable as exc:
        raise UnknownStateError(
            f"the deploy record {where} cannot be read ({exc}), so it is unknown which gateway "
            f"this is. Restore it from a copy, or move it away and run the playbook"
            " gonka.devshard.site with gateway_adopt_directory=true",
            path=where,
        ) from exc


def _fields(content: bytes) -> dict[str, t.Any]:
    try:
        raw = json.loads(content.decode())
    except UnicodeDecodeError as exc:
        raise _Unusable("it is not a text file") from exc
    except ValueError as exc:
        raise _Unusable("it holds no JSON") from exc
    if not isinstance(raw, dict):
        raise _Unusable("it holds no JSON object")
    return raw


def _values(raw: Mapping[str, t.Any]) -> dict[str, t.Any]:
    schema = raw.get("schema", 1)
    if isinstance(schema, bool) or not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise _Unusable(f"it has schema {schema}, this version reads 1 to {SCHEMA}")
    values: dict[str, t.Any] = {"schema": schema, "held": raw}
    for name in _TEXTS:
        value = raw.get(name)
        if value is not None and not isinstance(value, str):
            raise _Unusable(f"{name} is not a text")
        # 0.1.0 wrote an empty digest in check mode's way of saying that it knows none
        values[name] = value or None
    if fault := name_fault(values["instance"] or ""):
        raise _Unusable(fault.replace(VARIABLE, "instance"))
    values["port"] = _port(raw.get("port"))
    values["adopted"] = raw.get("adopted", False)
    if not isinstance(values["adopted"], bool):
        raise _Unusable("adopted is not true or false")
    probes = raw.get("probes")
    if probes is not None and not isinstance(probes, dict):
        raise _Unusable("probes is not an object")
    values["probes"] = probes
    return values


def _port(value: t.Any) -> int | None:
    if value is None:
        return None
    # a template makes a text of it
    if not str(value).isdecimal() or isinstance(value, bool):
        raise _Unusable("port is not a number")
    return int(value)

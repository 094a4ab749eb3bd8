# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The first look at a host: Python's library and the docker program are all that it needs."""

from __future__ import annotations

import typing as t
from pathlib import Path, PurePosixPath

from .._core.errors import ConfigurationError, UnknownStateError
from .._gateway import env_file as _env_file
from .._gateway import staged_keys
from .._gateway.instance import DATABASE, RESTORING
from .._gateway.key_rotation import waiting
from .._host.libraries import libraries
from .._host.storage import same_place
from .asked import Asked, Host, look_at_file, look_at_place
from .containers import ask_engine, is_gateway, look_at_container, main_slot, temp_slot
from .model import FoundRecord, Place, Presence, Slot, WaitingKeys
from .notes import read_record, read_redirect, read_retirement, read_swaps, storage_of
from .port_owners import look_at_ports, other_edges

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from .._host.docker_cli import Listed

OWN_PATHS = ("compose", "storage", "edge")
"""What every look finds, by the names of its result."""


def look(asked: Asked, host: Host) -> Presence:
    places = asked.places
    record = read_record(places.record)
    engine, listed = ask_engine(host)
    containers = [look_at_container(one, asked, host) for one in listed or ()]
    main = main_slot(asked, record, containers, host, known=listed is not None)
    swaps = read_swaps(places)
    temp = temp_slot(asked, record, swaps, containers, known=listed is not None)
    storage = storage_of(record, places)
    named = {asked.container, asked.temp_container}
    gateways = [
        found
        for one, found in zip(listed or (), containers, strict=True)
        if is_gateway(one, found) and found.name not in named
    ]
    return Presence(
        deploy_dir=str(asked.deploy_dir),
        state_dir=str(asked.state_dir),
        record=record,
        retired=read_retirement(
            places.retired,
            storage / DATABASE,
            serving=main.container is not None and main.container.running,
        ),
        redirect=read_redirect(places, host),
        swaps=swaps,
        container=main,
        temp=temp,
        others=None if listed is None else tuple(gateways),
        ports=look_at_ports(asked, host, containers, main, temp, asked_engine=listed is not None),
        keyring=look_at_file(asked.keyring),
        ledger=look_at_file(asked.ledger),
        env_file=look_at_file(asked.env_file),
        waiting_keys=_waiting_keys(asked, record, main, listed or ()),
        restoring=tuple(
            sorted(
                path.name.removeprefix(RESTORING) for path in asked.deploy_dir.glob(f"{RESTORING}*")
            )
        ),
        storage=look_at_file(storage / DATABASE),
        other_ledgers=_other_ledgers(asked, record, host),
        engine=engine,
        instance=asked.instance.name,
        other_edges=other_edges(asked, host),
        paths=_paths(asked, storage, host),
        libraries=libraries(),
    )


def _paths(asked: Asked, storage: Path, host: Host) -> dict[str, Place]:
    edge = Path(asked.instance.edge_dir(PurePosixPath(host.nginx))) / "server.d"
    own = zip(OWN_PATHS, (asked.places.compose, storage, edge), strict=True)
    return {name: look_at_place(path) for name, path in (*asked.paths.items(), *own)}


def _waiting_keys(
    asked: Asked, record: FoundRecord, main: Slot, listed: Sequence[Listed]
) -> WaitingKeys:
    """Of a gateway that is deployed. Where no container is, the next one has them anyway."""
    if record.content is None:
        return WaitingKeys()
    has = [one.container.environment for one in listed if one.id == _id_of(main)]
    try:
        text = _env_file.read(asked.env_file)
        present = {} if text is None else _env_file.parse(text, str(asked.env_file))
        staged = staged_keys.read(asked.env_file).not_in(present)
    except (ConfigurationError, UnknownStateError) as exc:
        return WaitingKeys(error=str(exc))
    compared = has[0] if has and text is not None else None
    return WaitingKeys(names=waiting(staged, present, compared))


def _id_of(slot: Slot) -> str | None:
    return None if slot.container is None else slot.container.id


def _env_ledger(asked: Asked) -> Path | None:
    """0.1.0 showed the place of its ledger only by the keyring in the environment file."""
    try:
        text = _env_file.read(asked.env_file)
        home = None if text is None else _env_file.parse(text, "").get("INFERENCED_HOME")
    except ConfigurationError:
        return None
    return None if not home else Path(home).parent / "ledger.db"


def _other_ledgers(asked: Asked, record: FoundRecord, host: Host) -> tuple[str, ...]:
    """The recorded ledger, or one in the usual place, where it is not the configured one."""
    content = record.content
    if content is not None and content.ledger is not None:
        # what is recorded counts from the beginning, before the first coin moves
        ledger = Path(content.ledger)
        there = look_at_file(ledger.parent).exists
    else:
        usual = host.default_state_dir / "ledger.db"
        ledger = usual if content is None else _env_ledger(asked) or usual
        there = look_at_file(ledger).exists
    return (str(ledger),) if there and not same_place(ledger, asked.ledger) else ()

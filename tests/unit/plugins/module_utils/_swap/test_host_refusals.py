# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A host that has no gateway to swap, and a container that is not what the swap made."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    DevshardError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drift import Drift
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import (
    move_of,
    refuse_another_image,
    refuse_drift,
    refuse_record,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import Kind, Move

FOLDER = Path("/srv/gonka/devshard-gateway")
OLD = f"r:5000/gateway@sha256:{'0' * 64}"
NEW = f"r:5000/gateway@sha256:{'1' * 64}"
JOURNAL = Journal(
    id="20260102T030405Z",
    mode="temp",
    temp_escrows="import",
    origin=OLD,
    origin_asked="r:5000/gateway:old",
    target=NEW,
    asked="r:5000/gateway:new",
)


def container(image: str, *digests: str) -> Container:
    return from_inspect(
        {
            "Name": "/devshardctl-multi",
            "Image": "sha256:1",
            "Config": {"Image": image},
            "State": {"Status": "running"},
            "HostConfig": {},
        },
        digests,
    )


@pytest.mark.parametrize(
    ("record", "kind", "said"),
    [
        (None, ConfigurationError, "no gateway is deployed in"),
        ({"profile": "v3", "digest": OLD}, UnsafeError, "generation v3, and v2 is"),
        ({"profile": "v2", "digest": None}, ConfigurationError, "was never started"),
        ({}, ConfigurationError, "was never started"),
    ],
)
def test_a_host_without_a_gateway_to_swap_is_refused(
    record: dict[str, t.Any] | None, kind: type[DevshardError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        refuse_record(record, FOLDER, "v2")


def test_a_record_of_0_1_0_without_a_generation_is_taken() -> None:
    assert refuse_record({"digest": OLD}, FOLDER, "v2") == {"digest": OLD}


@pytest.mark.parametrize(
    ("found", "said"), [(None, "there is no such container"), (container(OLD), f"it has {OLD}")]
)
def test_a_container_that_the_journal_does_not_lead_to_is_not_noted(
    found: Container | None, said: str
) -> None:
    with pytest.raises(UnsafeError, match="should have the image r:5000/gateway:new") as caught:
        refuse_another_image(JOURNAL, found, "devshardctl-multi")
    assert said in str(caught.value)


@pytest.mark.parametrize("found", [container(NEW), container("r:5000/gateway:new", NEW)])
def test_the_image_of_the_journal_is_noted(found: Container) -> None:
    refuse_another_image(JOURNAL, found, "devshardctl-multi")


def test_a_container_that_differs_from_its_environment_file_is_refused() -> None:
    refuse_drift(None, "devshardctl-multi")
    refuse_drift(Drift(exists=True, running=True), "devshardctl-multi")
    with pytest.raises(UnsafeError, match=r"differs from the wanted one: the port; the image\."):
        refuse_drift(
            Drift(exists=True, running=True, reasons=("the port", "the image")), "devshardctl-multi"
        )


# from one generation to another


def move(record: dict[str, t.Any], name: str, protocol: str | None = None) -> Move | None:
    wanted = Kind(profile=name, protocol=protocol)
    return move_of(record, wanted, FOLDER, generations=list(profiles.known()))


@pytest.mark.parametrize(
    ("record", "name", "protocol"),
    [
        ({"profile": "v2"}, "v2", None),
        ({"profile": "v4.1", "protocol": "v4.1"}, "v4.1", "v4.1"),
        # 0.1.0 wrote no generation, and no version before 0.4.0 a protocol
        ({}, "v2", None),
        ({"profile": "v3"}, "v3", "v3"),
    ],
)
def test_a_gateway_that_is_of_the_wanted_generation_does_not_move(
    record: dict[str, t.Any], name: str, protocol: str | None
) -> None:
    assert move(record, name, protocol) is None


@pytest.mark.parametrize("origin", ["v2", "v3", "v4"])
def test_a_gateway_moves_to_any_newer_generation(origin: str) -> None:
    storage = str(FOLDER / ".devshardctl")
    record = {"profile": origin, "protocol": None if origin == "v2" else origin}
    found = move({**record, "storage": storage}, "v4.1", "v4.1")
    assert found == Move(
        origin=Kind(profile=origin, protocol=record["protocol"]),
        target=Kind(profile="v4.1", protocol="v4.1"),
        origin_storage=storage,
        storage=f"{FOLDER}/.devshardctl-v4.1",
        ours=True,
    )
    assert move(record, "v4.1", "v4.1") == found


def test_another_protocol_of_the_same_generation_is_a_move() -> None:
    record = {"profile": "v4.1", "protocol": "v4.1", "storage": f"{FOLDER}/.devshardctl-v4.1"}
    found = move(record, "v4.1", "v5")
    assert found is not None
    assert (found.origin.protocol, found.target.protocol) == ("v4.1", "v5")
    assert (found.origin_storage, found.storage) == (
        f"{FOLDER}/.devshardctl-v4.1",
        f"{FOLDER}/.devshardctl-v5",
    )


def test_a_gateway_moves_to_no_earlier_generation_and_from_no_unknown_one() -> None:
    with pytest.raises(UnsafeError, match=r"earlier v2 is wanted .devshard_profile."):
        move_of(
            {"profile": "v4"}, Kind(profile="v2", protocol=None), FOLDER, generations=["v2", "v4"]
        )
    assert move({"profile": "v3"}, "v4", "v4") is not None
    for name, protocol in (("v2", None), ("v3", "v3")):
        with pytest.raises(UnsafeError, match="A move leads to a newer generation"):
            move({"profile": "v4.1", "protocol": "v4.1"}, name, protocol)
    with pytest.raises(UnsafeError, match=r"generation v9, which .* does not know. It knows: v2, "):
        move({"profile": "v9"}, "v4.1", "v4.1")


@pytest.mark.parametrize("more", [{"adopted": True}, {"volume": "gateway_data"}])
def test_a_storage_that_its_owner_made_is_not_ours_to_remove(more: dict[str, t.Any]) -> None:
    storage = str(FOLDER / ".devshardctl")
    found = move({"profile": "v2", "storage": storage, **more}, "v4.1", "v4.1")
    assert found is not None
    assert (found.origin_storage, found.ours) == (storage, False)


@pytest.mark.parametrize(
    ("storage", "ours"),
    [
        (str(FOLDER / ".devshardctl"), True),
        (str(FOLDER / ".devshardctl-v4"), True),
        # they hold the new storage, or more than a gateway
        (str(FOLDER), False),
        (str(FOLDER.parent), False),
        ("/data", False),
        ("/data/.devshardctl", False),
        (str(FOLDER / "storage"), False),
    ],
)
def test_only_a_storage_that_this_collection_names_is_removed_after_a_move(
    storage: str, ours: bool
) -> None:
    """Any other was named with gateway_storage_dir, and may hold what is not a gateway's."""
    found = move({"profile": "v4", "protocol": "v4", "storage": storage}, "v4.1", "v4.1")
    assert found is not None
    assert (found.origin_storage, found.ours) == (storage, ours)


def test_the_record_of_any_generation_is_taken_for_a_move() -> None:
    record = {"profile": "v2", "digest": OLD}
    assert refuse_record(record, FOLDER, None) == record
    with pytest.raises(UnsafeError, match="run the playbook gonka.devshard.generation_upgrade"):
        refuse_record(record, FOLDER, "v4.1")

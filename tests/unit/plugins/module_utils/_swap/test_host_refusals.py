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
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drift import Drift
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import (
    Container,
    from_inspect,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import (
    refuse_another_image,
    refuse_drift,
    refuse_record,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal

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

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Everything that 0.1.0 wrote is read; what is not understood is unknown, never nothing."""

from __future__ import annotations

import json

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnknownStateError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.record import (
    DeployRecord,
    parse,
)

IMAGE = "registry.example.org/gateway:1.1"
DIGEST = f"registry.example.org/gateway@sha256:{'a' * 64}"
STORAGE = "/srv/gonka/devshard-gateway/.devshardctl"

# as the roles of 0.1.0 wrote it at each stage of a gateway's life
CLAIMED = {"profile": "v2", "storage": STORAGE}
STARTED = {**CLAIMED, "image": IMAGE, "digest": DIGEST}
SWAPPED = {**STARTED, "previous_image": "x:1.0", "previous_digest": "x@sha256:0"}
ROLLED_BACK = {**STARTED, "rolled_back_digest": "x@sha256:1"}


@pytest.mark.parametrize("written", [CLAIMED, STARTED, SWAPPED, ROLLED_BACK])
def test_records_of_0_1_0(written: dict[str, str]) -> None:
    found = parse(json.dumps(written).encode(), "here")
    assert found == DeployRecord(schema=1, **written)  # type: ignore[arg-type]


def test_a_record_of_now() -> None:
    added = {"schema": 2, "state_dir": "/s", "ledger": "/s/ledger.db", "container": "c"}
    # a template makes a text of a number
    for port in (18080, "18080"):
        found = parse(json.dumps({**STARTED, **added, "port": port}).encode(), "here")
        assert (found.schema, found.port, found.ledger) == (2, 18080, "/s/ledger.db")


def test_the_name_of_one_of_several_gateways() -> None:
    assert parse(json.dumps({**STARTED, "instance": "blue"}).encode(), "here").instance == "blue"
    # what 0.1.0 and 0.2.0 wrote is the gateway without a name
    assert parse(json.dumps({**STARTED, "schema": 2}).encode(), "here").instance is None


def test_a_field_of_another_version_is_left_alone() -> None:
    found = parse(json.dumps({**STARTED, "colour": "red"}).encode(), "here")
    assert (found.image, found.held) == (IMAGE, {**STARTED, "colour": "red"})
    assert not {"held", "colour"} & set(found.to_result())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", "is not a text file"),
        (b"", "holds no JSON"),
        (b"{", "holds no JSON"),
        (b"[]", "no JSON object"),
        (b'{"schema": 3}', "has schema 3, this version reads 1 to 2"),
        (b'{"schema": true}', "has schema True"),
        (b'{"storage": 5}', "storage is not a text"),
        (b'{"instance": "Blue"}', "instance must be empty, or start with a lower-case letter"),
        (b'{"port": "x"}', "port is not a number"),
        (b'{"port": true}', "port is not a number"),
    ],
)
def test_what_is_not_understood_is_unknown(content: bytes, why: str) -> None:
    with pytest.raises(UnknownStateError, match="unknown which gateway this is") as caught:
        parse(content, "/d/.gonka-devshard.json")
    assert why in str(caught.value)

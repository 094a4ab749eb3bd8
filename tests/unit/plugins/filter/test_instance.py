# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Roles get the names of a gateway as plain data, and a bad name is refused."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.instance import instance


def test_names_are_plain_data() -> None:
    found = instance("blue", "/s")
    assert found["state_dir"] == "/s/instances/blue"
    assert found["journals"]["main"] == "/s/instances/blue/swap.json"
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", [None, 2, ["blue"], {}])
def test_a_name_is_a_text(name: object) -> None:
    with pytest.raises(AnsibleFilterError, match="a name is needed"):
        instance(name, "/s")


def test_a_bad_name_is_refused_by_the_name_of_the_variable() -> None:
    with pytest.raises(AnsibleFilterError, match="devshard_instance must be empty"):
        instance("../x", "/s")

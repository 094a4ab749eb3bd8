# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.profile import profile


def test_a_profile_is_plain_data() -> None:
    found = profile("v2")
    assert found["name"] == "v2"
    assert found["storage_dir"] == "/root/.devshardctl"
    assert "DEVSHARDS_JSON" in found["bootstrap_variables"]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", [None, 2, ["v2"], {}])
def test_a_name_is_needed(name: object) -> None:
    with pytest.raises(AnsibleFilterError, match="name of a generation is needed"):
        profile(name)


def test_an_unknown_generation_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        AnsibleFilterError, match="no gateway profile 'v9'.* knows: v2, v3, v4, v4.1"
    ):
        profile("v9")
    with pytest.raises(ConfigurationError, match="a deploy directory of its own"):
        profiles.profile("")


def test_a_protocol_gives_the_tag_and_the_prefix() -> None:
    found = profile("v4.1", "v4.2")
    assert (found["settlement_tag"], found["route"]) == ("v4.2", "/devshard/v4.2")
    assert found["host_session_prefix"] == "/devshard/v4.2"
    assert profile("v4.1")["settlement_tag"] == "", "without one, only what all protocols share"


@pytest.mark.parametrize("name", ["v3", "v4", "v4.1"])
def test_from_v3_on_the_protocol_is_named_by_the_operator(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match="devshard_protocol is not set.*no default"):
        profile(name, None)
    for wrong in ("/devshard/v4.1", "v4 1", "-x", ""):
        with pytest.raises(AnsibleFilterError, match="devshard_protocol"):
            profile(name, wrong)


def test_v2_has_a_protocol_of_its_own() -> None:
    assert profile("v2", None) == profile("v2", "v2") == profile("v2")
    with pytest.raises(AnsibleFilterError, match="devshard_protocol is v4.1, but .* v2"):
        profile("v2", "v4.1")


@pytest.mark.parametrize("name", list(profiles.known()))
def test_secrets_are_no_bootstrap_variables(name: str) -> None:
    """Keys are read at each start, so a changed one needs a new container."""
    bootstrap = profiles.generation(name).bootstrap_variables
    assert list(bootstrap) == sorted(set(bootstrap))
    for name in ("DEVSHARD_PRIVATE_KEY", "DEVSHARD_API_KEYS", "DEVSHARD_ADMIN_API_KEY"):
        assert name not in bootstrap

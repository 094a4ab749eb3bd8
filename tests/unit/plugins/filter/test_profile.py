# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.filter.profile import FilterModule, profile
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles


def test_a_profile_is_plain_data() -> None:
    found = profile("v2")
    assert found["name"] == "v2"
    assert found["storage_dir"] == "/root/.devshardctl"
    assert "DEVSHARDS_JSON" in found["bootstrap_variables"]
    assert json.loads(json.dumps(found)) == found
    assert FilterModule().filters() == {"profile": profile}


@pytest.mark.parametrize("name", [None, 2, ["v2"], {}])
def test_a_name_is_needed(name: object) -> None:
    with pytest.raises(AnsibleFilterError, match="name of a generation is needed"):
        profile(name)


def test_an_unknown_generation_is_refused_with_those_that_exist() -> None:
    with pytest.raises(AnsibleFilterError, match="no gateway profile 'v9'.* knows: v2"):
        profile("v9")
    with pytest.raises(ConfigurationError, match="a deploy directory of its own"):
        profiles.profile("")


def test_secrets_are_no_bootstrap_variables() -> None:
    """Keys are read at each start, so a changed one needs a new container."""
    bootstrap = profiles.profile(profiles.DEFAULT_PROFILE).bootstrap_variables
    assert list(bootstrap) == sorted(set(bootstrap))
    for name in ("DEVSHARD_PRIVATE_KEY", "DEVSHARD_API_KEYS", "DEVSHARD_ADMIN_API_KEY"):
        assert name not in bootstrap

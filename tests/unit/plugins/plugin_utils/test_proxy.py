# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The proxies of a host."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters import proxy_environment
from ansible_collections.gonka.devshard.plugins.plugin_utils._proxy import proxy_faults
from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import faults_of

PROXY = "http://proxy.internal:3128"
OPTIONS = {"devshard_models": {"type": "list", "required": True}}
OF_FILTER = proxy_environment.proxy_environment


def test_both_spellings_are_given_and_the_host_itself_is_never_asked_through_a_proxy() -> None:
    found = OF_FILTER({"HTTPS_PROXY": PROXY, "no_proxy": "10.0.0.0/8, localhost"})
    here = "10.0.0.0/8,localhost,127.0.0.1,::1"
    assert found == {
        "https_proxy": PROXY,
        "HTTPS_PROXY": PROXY,
        "no_proxy": here,
        "NO_PROXY": here,
    }


@pytest.mark.parametrize("given", [{}, {"no_proxy": "a"}, {"https_proxy": ""}])
def test_without_a_proxy_the_environment_stays(given: dict[str, str]) -> None:
    assert OF_FILTER(given) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("http://proxy:3128", "must be a dictionary"),
        ({"ftp_proxy": PROXY}, "must not contain ftp_proxy"),
        ({"https_proxy": "proxy:3128"}, "must be an http or https URL, not 'proxy:3128'"),
        ({"https_proxy": "http://"}, "must be an http or https URL, not 'http://'"),
        ({"https_proxy": 3128}, "must be text of one line"),
        ({"no_proxy": "a\nb"}, "must be text of one line"),
        ({"https_proxy": "http://me:secret@proxy:3128"}, "must not contain a user name"),
    ],
)
def test_what_cannot_be_used_is_named_and_a_password_is_not_shown(
    given: object, words: str
) -> None:
    faults = proxy_faults(given)
    assert len(faults) == 1
    assert faults[0].startswith("devshard_proxy_env")
    assert words in faults[0]
    assert "secret" not in faults[0]
    assert faults_of("devshard", {"devshard_proxy_env": given}, OPTIONS)[0] == faults[0]
    with pytest.raises(AnsibleFilterError, match="devshard_proxy_env"):
        OF_FILTER(given)  # type: ignore[arg-type]

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Secrets and URLs of a user: what is refused, by which name, and that nothing is shown."""

from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import SETTINGS, key_faults
from ansible_collections.gonka.devshard.plugins.module_utils._core.urls import (
    url_faults,
    user_of,
    without_user,
)

KEY = "0f1e" * 16
CLIENT = "sk-0123456789abcdef"
GOOD = {
    "gateway_private_key": KEY,
    "gateway_api_keys": f"{CLIENT},sk-fedcba9876543210",
    "gateway_admin_api_key": "sk-admin-0123456789",
}


def test_usable_secrets() -> None:
    assert key_faults(GOOD) == []
    assert key_faults(dict.fromkeys(SETTINGS)) == []
    assert key_faults({}) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("gateway_private_key", KEY + "\n", "ends with a line break. In YAML"),
        ("gateway_private_key", "0x" + KEY, "begins with 0x"),
        ("gateway_private_key", KEY[:-1], "it has 63 character(s)"),
        ("gateway_private_key", 12345678901234567890, "must be text, it is of type int"),
        ("gateway_api_keys", [CLIENT, CLIENT], "is a list; write the keys as one text"),
        ("gateway_api_keys", CLIENT + "\n", "ends with a line break. In YAML"),
        ("gateway_api_keys", "sk-1", "has 4 characters; it needs at least 16"),
        ("gateway_api_keys", f"{CLIENT}, {CLIENT}", "holds a blank"),
        ("gateway_api_keys", "", "is empty"),
        ("gateway_admin_api_key", [CLIENT], "is a list; give one key"),
        ("gateway_admin_api_key", "tooshort", "has 8 characters"),
    ],
)
def test_each_fault_names_the_variable_and_shows_no_value(
    name: str, value: object, told: str
) -> None:
    (fault,) = key_faults({**GOOD, name: value})
    assert fault.startswith(name)
    assert told in fault
    for secret in (KEY[:20], CLIENT, "12345678901234567890", "tooshort"):
        assert secret not in fault


def test_all_faults_are_named_at_once() -> None:
    assert len(key_faults(dict.fromkeys(SETTINGS, "short"))) == 3


@pytest.mark.parametrize(
    "url", ["http://a.example.org", "https://a.example.org:8443/chain-api/", "http://127.0.0.1:1"]
)
def test_usable_urls(url: str) -> None:
    assert url_faults({"devshard_chain_rest": url}) == []


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://user:hunter2@node.example.org/x", ("user:", "hunter2")),
        ("https://user:hun@ter/2@node.example.org", ("hun@", "ter/2")),
        ("https://t0ken@node.example.org", ("t0ken",)),
    ],
)
def test_a_user_in_a_url_is_refused_and_not_shown(url: str, secrets: tuple[str, ...]) -> None:
    (fault,) = url_faults({"devshard_chain_rest": url})
    assert fault.startswith("devshard_chain_rest must not contain a user name, a password")
    assert "node.example.org" in fault
    for secret in secrets:
        assert secret not in fault
        assert secret not in without_user(f"GET {url}: refused")
    assert user_of(url)


def test_other_urls_that_are_refused() -> None:
    (fault,) = url_faults({"devshard_public_api": "ftp://x"})
    assert fault == "devshard_public_api must be an http or https URL, not 'ftp://x'"
    assert url_faults({"devshard_public_api": 5}) != []
    assert without_user("no URL, but me@example.org") == "no URL, but me@example.org"

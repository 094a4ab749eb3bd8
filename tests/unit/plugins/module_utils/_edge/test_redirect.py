# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Clients are sent anywhere but back."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._edge.redirect import (
    refuse_own_address,
    target_of,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, run_module

OWN: dict[str, t.Any] = {
    "own_urls": ["https://gw.example.org/", "http://127.0.0.1:18080", "http://127.0.0.1:18081"],
    "names": ["gw.example.org", "www.example.org"],
    "ports": [80, 443, 18080, 18081],
}


@pytest.mark.parametrize(
    "url",
    [
        *("", "other.example.org", "ftp://x", "https://", "https://x/path", "https://x?a=b"),
        *("https://user:pw@x", "https://x:99999", "https://x:a", "https://x y", "https://x;return"),
        "https://x$request_uri",
    ],
)
def test_a_target_is_scheme_host_and_port(url: str) -> None:
    with pytest.raises(ConfigurationError, match="^redirect_base_url must be an http") as caught:
        target_of(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "local", "words"),
    [
        ("https://gw.example.org", (), "it is https://gw.example.org/"),
        ("https://GW.example.org:443/", (), "it is https://gw.example.org/"),
        ("http://gw.example.org", (), "a name of this edge"),
        ("https://www.example.org", (), "a name of this edge"),
        ("http://127.0.0.1:18080", (), "it is http://127.0.0.1:18080"),
        ("http://alias.example.org", ("192.0.2.7",), "192.0.2.7 is an address of this host"),
        ("http://[::1]", ("::1",), "::1 is an address of this host"),
    ],
)
def test_own_addresses_are_refused(url: str, local: tuple[str, ...], words: str) -> None:
    target = replace(target_of(url), local=local)
    with pytest.raises(ConfigurationError, match="in circles") as caught:
        refuse_own_address(target, **OWN)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("https://other.example.org", ()),
        # something else on this host
        ("http://127.0.0.1:18999", ("127.0.0.1",)),
        ("https://gw.example.org:8443", ()),
    ],
)
def test_other_places_are_not(url: str, local: tuple[str, ...]) -> None:
    refuse_own_address(replace(target_of(url), local=local), **OWN)


def test_the_host_knows_its_own_addresses() -> None:
    run = failed("redirect_target_info", {"url": "http://localhost:8080", "ports": [8080]})
    assert "127.0.0.1 is an address of this host" in run.msg.replace("127.0.0.1, ::1", "127.0.0.1")
    good = run_module("redirect_target_info", {"url": "http://192.0.2.1", "ports": [80]})
    assert good.result["redirect_target"] == {"host": "192.0.2.1", "port": 80, "resolved": True}


def test_a_name_that_does_not_resolve_here_is_a_warning() -> None:
    run = run_module("redirect_target_info", {"url": "https://no-such-host.invalid"})
    assert run.result["redirect_target"]["resolved"] is False
    assert "cannot resolve no-such-host.invalid" in run.output

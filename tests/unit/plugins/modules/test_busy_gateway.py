# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Whole modules against a gateway that is writing its database and answers 500."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

SETTINGS = "/v1/admin/settings"


def busy(site: Site, action: str, method: str, path: str = "^/v1/admin") -> None:
    rule = {"action": action, "method": method, "path": path, "times": 1}
    site.net.gateway.post("/faults", rule)


def cap(site: Site) -> int:
    return int(site.net.admin.get(SETTINGS)["request_max_tokens_cap"])


def posts(site: Site) -> int:
    return len(site.net.gateway.get(f"/requests?method=POST&path={SETTINGS}")["requests"])


def wish(site: Site) -> dict[str, t.Any]:
    return {**site.admin(), "settings": {"request_max_tokens_cap": cap(site) + 1}}


def test_a_look_is_repeated(site: Site) -> None:
    busy(site, "busy", "GET")
    assert succeeded("gateway_info", site.admin())["gateway"]["disabled"] is False


def test_settings_that_were_taken_are_found_to_be_so(site: Site) -> None:
    params = wish(site)
    site.net.forget()
    busy(site, "busy_after", "POST")
    assert succeeded("gateway_settings", params)["changed"] is True
    assert posts(site) == 1
    assert cap(site) == params["settings"]["request_max_tokens_cap"]


def test_settings_that_were_not_taken_are_not_sent_again(site: Site) -> None:
    params, before = wish(site), cap(site)
    site.net.forget()
    busy(site, "busy", "POST")
    run = failed("gateway_settings", params)
    assert run.kind == "outcome_unknown"
    assert "it first checks what the gateway has" in run.msg
    assert posts(site) == 1
    assert cap(site) == before
    # the advice of the message
    assert succeeded("gateway_settings", params)["changed"] is True


@pytest.mark.parametrize("action", ["busy", "busy_after"])
def test_rotation(site: Site, action: str) -> None:
    params = {**site.money(), "enabled": False, "pre_poc_blocks": 77}
    site.net.forget()
    busy(site, action, "POST")
    if action == "busy":
        assert failed("escrow_rotation", {**params, "wait_timeout": 1}).kind == "outcome_unknown"
    else:
        assert succeeded("escrow_rotation", params)["changed"] is True
    assert posts(site) == 1

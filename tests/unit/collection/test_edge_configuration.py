# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The edge's configuration counts each request for the slot that it chose, and tells the host."""

from __future__ import annotations

import re

import jinja2
import pytest

from ansible_collections.gonka.devshard.plugins.module_utils import _nginx_conf
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)

EDGE = ROOT / "roles/edge"


def rendered(*, tls: bool) -> tuple[_nginx_conf.Directive, ...]:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(EDGE / "templates"), undefined=jinja2.StrictUndefined
    )
    environment.filters.update({"regex_escape": re.escape, "bool": bool, "comment": str})
    environment.tests["version"] = lambda *_given: True
    defaults = read_yaml(EDGE / "defaults/main.yml")
    text = environment.get_template("gonka-devshard.conf.j2").render(
        **defaults,
        ansible_managed="managed",
        edge_tls_certificate="/c",
        edge_tls_key="/k",
        __edge_dir="/d",
        __edge_flag="/d/temp-in-service",
        __edge_files={"results": [{}, {"stat": {"checksum": "1"}}]},
        __edge_ipv6={"stat": {"exists": True}},
        __edge_main_address="127.0.0.1:18080",
        __edge_temp_address="127.0.0.1:18081",
        __edge_tls=tls,
        __edge_version="1.26.0",
    )
    return _nginx_conf.parse(text)


def arguments(block: _nginx_conf.Directive, name: str) -> list[tuple[str, ...]]:
    return [item.args for item in block.children(name)]


@pytest.mark.parametrize("tls", [False, True])
def test_what_leads_to_a_gateway_is_counted_from_the_choice_of_its_slot(tls: bool) -> None:
    tree = rendered(tls=tls)
    (zone,) = [item.args for item in tree if item.name == "limit_conn_zone"]
    assert zone == ("$devshard_slot", "zone=devshard_slots:1m")
    passing = [item for item in _nginx_conf.walk(tree) if item.children("proxy_pass")]
    assert len(passing) == len(read_yaml(EDGE / "defaults/main.yml")["edge_public_paths"])
    for location in passing:
        assert arguments(location, "limit_conn") == [("devshard_slots", "65535")]
        assert arguments(location, "proxy_buffering") == [("off",)]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("slot", ["main", "temp"])
def test_the_host_itself_is_told_whether_a_slot_still_has_requests(slot: str, tls: bool) -> None:
    found = [
        item
        for item in _nginx_conf.walk(rendered(tls=tls))
        if item.args == ("=", f"/-/busy/{slot}")
    ]
    assert len(found) == 1 + tls
    for probe in found:
        assert arguments(probe, "set") == [("$devshard_slot", slot)]
        assert arguments(probe, "limit_conn") == [("devshard_slots", "1")]
        # a return would answer before anything is counted
        assert probe.children("return") == []
        assert [item.args for item in probe.children("if")] == [("($devshard_local", "=", "0)")]

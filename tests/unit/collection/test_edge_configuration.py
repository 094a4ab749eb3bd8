# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The edge's configuration counts each request for the slot that it chose, and tells the host."""

from __future__ import annotations

import re
import typing as t

import jinja2
import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._edge import nginx_conf
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)

EDGE = ROOT / "roles/edge"


def written(*, tls: bool, prefix: str = "devshard", **more: t.Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(EDGE / "templates"), undefined=jinja2.StrictUndefined
    )
    environment.filters.update({"regex_escape": re.escape, "bool": bool, "comment": str})
    environment.tests["version"] = lambda *_given: True
    defaults = read_yaml(EDGE / "defaults/main.yml")
    return environment.get_template("gonka-devshard.conf.j2").render(
        **{**defaults, **more},
        ansible_managed="managed",
        edge_tls_certificate="/c",
        edge_tls_key="/k",
        gateway_accounting_port=9091,
        __edge_accounting_burst=20,
        __edge_cache="/var/cache/edge",
        __edge_prefix=prefix,
        __edge_dir="/d",
        __edge_flag="/d/temp-in-service",
        __edge_runs="/d/temp-runs",
        __edge_certificate_sum="1",
        __edge_has_ipv6=True,
        __edge_main_address="127.0.0.1:18080",
        __edge_temp_address="127.0.0.1:18081",
        __edge_tls=tls,
        __edge_version="1.26.0",
    )


def rendered(*, tls: bool, **more: t.Any) -> tuple[nginx_conf.Directive, ...]:
    return nginx_conf.parse(written(tls=tls, **more))


def arguments(block: nginx_conf.Directive, name: str) -> list[tuple[str, ...]]:
    return [item.args for item in block.children(name)]


@pytest.mark.parametrize("tls", [False, True])
def test_what_leads_to_a_gateway_is_counted_from_the_choice_of_its_slot(tls: bool) -> None:
    tree = rendered(tls=tls)
    (zone,) = [item.args for item in tree if item.name == "limit_conn_zone"]
    assert zone == ("$devshard_slot", "zone=devshard_slots:1m")
    passing = [item for item in nginx_conf.walk(tree) if item.children("proxy_pass")]
    # and the one that asks the other slot
    assert len(passing) == 1 + len(read_yaml(EDGE / "defaults/main.yml")["edge_public_paths"])
    for location in passing:
        assert arguments(location, "limit_conn") == [("devshard_slots", "65535")]
        assert arguments(location, "proxy_buffering") == [("off",)]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("slot", ["main", "temp"])
def test_the_host_itself_is_told_whether_a_slot_still_has_requests(slot: str, tls: bool) -> None:
    found = [
        item for item in nginx_conf.walk(rendered(tls=tls)) if item.args == ("=", f"/-/busy/{slot}")
    ]
    assert len(found) == 1 + tls
    for probe in found:
        assert arguments(probe, "set") == [("$devshard_slot", slot)]
        assert arguments(probe, "limit_conn") == [("devshard_slots", "1")]
        # a return would answer before anything is counted
        assert probe.children("return") == []
        assert [item.args for item in probe.children("if")] == [("($devshard_local", "=", "0)")]


def test_no_slot_is_asked_that_the_flag_files_do_not_name() -> None:
    """What listens at temp may be another program, and a request holds a client's key."""
    tree = rendered(tls=False)
    for name, address in (("main", "127.0.0.1:18080"), ("temp", "127.0.0.1:18081")):
        (pool,) = [item for item in tree if item.args == (f"devshard_{name}",)]
        assert arguments(pool, "server") == [(address, "max_fails=0")]
        (idle,) = arguments(pool, "keepalive_timeout")
        # the gateway closes an idle connection after 120 s
        assert (nginx_conf.duration_seconds(idle[0]) or 0) < 120


@pytest.mark.parametrize(
    ("key", "then"),
    [
        # status : bytes sent : slot chosen : slot in service : whether temp is ours
        ("502:0:main:main:no", "502"),
        ("502:0:main:main:yes", "temp"),
        ("504:0:main:main:no", "502"),
        # chosen before a switch, sent after the old slot stopped
        ("502:0:main:temp:no", "temp"),
        ("502:0:temp:main:no", "main"),
        ("502:0:temp:temp:no", "main"),
        # nothing that was sent is sent again
        ("502:310:main:temp:yes", "502"),
        ("504:310:main:main:yes", "504"),
        ("502:10:temp:main:no", "502"),
    ],
)
def test_a_request_whose_slot_took_no_byte(key: str, then: str) -> None:
    (table,) = [item for item in rendered(tls=False) if item.args[-1:] == ("$devshard_again",)]
    rows = {item.name: item.args[0] for item in table.block or ()}
    found = [value for name, value in rows.items() if re.search(name.removeprefix("~"), key)]
    assert [*found, rows["default"]][0] == then


def test_what_is_costly_or_telling_is_closed() -> None:
    paths = read_yaml(EDGE / "defaults/main.yml")["edge_public_paths"]
    assert paths == ["/v1/chat/completions", "/v1/models"]


def accounting_of(tree: tuple[nginx_conf.Directive, ...]) -> nginx_conf.Directive:
    (found,) = [
        item
        for item in nginx_conf.walk(tree)
        if item.name == "location" and any("accounting" in word for word in item.args)
        if item.args[0] == "~"
    ]
    return found


def test_the_accounting_is_closed_unless_it_is_asked_for() -> None:
    assert "accounting" not in written(tls=True)
    assert "9091" not in written(tls=True)


@pytest.mark.parametrize("tls", [False, True])
def test_the_accounting_is_that_of_slot_main_whichever_serves(tls: bool) -> None:
    tree = rendered(tls=tls, edge_accounting=True)
    (pool,) = [item for item in tree if item.args == ("devshard_accounting",)]
    assert arguments(pool, "server") == [("127.0.0.1:9091", "max_fails=0")]
    location = accounting_of(tree)
    assert arguments(location, "proxy_pass") == [
        ("http://devshard_accounting/api/v1/$devshard_asked$is_args$args",)
    ]
    # a drain of its slot does not wait for it
    assert location.children("limit_conn") == []
    assert ("X-Devshard-Slot", "main", "always") in arguments(location, "add_header")


GONKA = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("epochs", "epochs"),
        ("epochs/214/participants", "epochs/214/participants"),
        ("epochs/current/participants", "epochs/current/participants"),
        (f"epochs/214/participants/{GONKA}", f"epochs/214/participants/{GONKA}"),
        ("epochs/current/events", "epochs/current/events"),
        (f"epochs/0/events/{GONKA}", f"epochs/0/events/{GONKA}"),
        # nginx's dollar lets a line feed pass, and it is not passed on
        (f"epochs/214/participants/{GONKA}\n", f"epochs/214/participants/{GONKA}"),
        # nothing else of the port, nor another spelling of a path
        ("", None),
        ("epochs/", None),
        ("epochs/214", None),
        ("epochs/latest/participants", None),
        ("epochs/-1/participants", None),
        ("epochs/214/participants/", None),
        ("epochs/214/participants/../../../metrics", None),
        (f"epochs/214/participants/{GONKA}/records", None),
        ("epochs/214/purge", None),
        ("purge", None),
        ("../epochs", None),
    ],
)
def test_of_the_accounting_only_the_epochs_can_be_asked_for(path: str, inside: str | None) -> None:
    location = accounting_of(rendered(tls=False, edge_accounting=True))
    found = re.search(location.args[1].replace("(?<", "(?P<"), f"/api/v1/accounting/{path}")
    assert (found["devshard_asked"] if found else None) == inside


def test_only_get_leads_to_the_accounting() -> None:
    location = accounting_of(rendered(tls=False, edge_accounting=True))
    (refusing,) = location.children("if")
    assert refusing.args == ("($request_method", "!=", "GET)")
    assert refusing.children("return")[0].args[0] == "405"
    assert arguments(location, "proxy_pass_request_headers") == [("off",)]
    assert arguments(location, "proxy_pass_request_body") == [("off",)]


def test_the_accounting_is_compressed_and_kept_for_seconds() -> None:
    tree = rendered(tls=False, edge_accounting=True, edge_accounting_max_age=7)
    location = accounting_of(tree)
    assert arguments(location, "gzip") == [("on",)]
    assert arguments(location, "proxy_cache_valid") == [("200", "7s")]
    assert ("Cache-Control", "public, max-age=7") in arguments(location, "add_header")
    # what is older than that is never given out
    assert location.children("proxy_cache_use_stale") == []
    (cache,) = [item.args for item in tree if item.name == "proxy_cache_path"]
    assert cache[:2] == ("/var/cache/edge", "keys_zone=devshard_accounting:1m")
    for name in ("gzip", "proxy_cache"):
        streams = [item for item in nginx_conf.walk(tree) if item.children("limit_conn")]
        assert all(
            arguments(item, name) == [("off",)] for item in streams if item.children("proxy_pass")
        )


@pytest.mark.parametrize("rate", [0, 60])
def test_requests_to_the_accounting_are_limited_unless_that_is_switched_off(rate: int) -> None:
    tree = rendered(tls=False, edge_accounting=True, edge_accounting_rate=rate)
    zones = [item.args for item in tree if item.name == "limit_req_zone"]
    limits = arguments(accounting_of(tree), "limit_req")
    if rate == 0:
        assert zones == limits == []
    else:
        assert zones == [("$binary_remote_addr", "zone=devshard_accounting_rate:1m", "rate=60r/m")]
        assert limits == [("zone=devshard_accounting_rate", "burst=20", "nodelay")]


def names_in_nginx(tree: tuple[nginx_conf.Directive, ...]) -> set[str]:
    """What all servers of an nginx have in common by its name."""
    found = set()
    for item in nginx_conf.walk(tree):
        if item.name in ("upstream", "set"):
            found.add(item.args[0])
        elif item.name == "map" or item.name == "proxy_cache_path":
            found.add(item.args[1])
        elif item.name in ("limit_conn_zone", "limit_req_zone", "ssl_session_cache"):
            found.add(item.args[-1].partition(":")[2] if ":" in item.args[0] else item.args[1])
    return found


@pytest.mark.parametrize("tls", [False, True])
def test_two_edges_of_an_nginx_have_no_name_in_common(tls: bool) -> None:
    text = written(tls=tls, prefix="devshard_blue", edge_accounting=True)
    one = rendered(tls=tls, edge_accounting=True)
    other = nginx_conf.parse(text)
    assert len(names_in_nginx(one)) == len(names_in_nginx(other)) == 12 + tls
    assert not names_in_nginx(one) & names_in_nginx(other)
    # and every use follows the name
    plain = re.findall(r"[$/ =:<]devshard_(?!blue)\w*", text)
    assert not plain

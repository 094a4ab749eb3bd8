# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""A life of an escrow on chain v0.2.16: whole modules against a simulated network."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Net, Site

VERSIONS = ["v2", "v3", "v4", "v4.1", "v5"]
Params = dict[str, t.Any]


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Net]:
    started = Net(tmp_path_factory.mktemp("net"), "--chain", "v0.2.16")
    yield started
    started.stop()


@pytest.fixture
def host(newer: Net, tmp_path: Path) -> t.Iterator[Site]:
    before = newer.chain.post("/chain/params", {})["params"]
    newer.heal()
    folder = tmp_path / "host"
    folder.mkdir()
    made = Site(newer, folder)
    made.cli = Path(newer.ready["inferenced"])
    succeeded("creator_key", {"env_file": str(made.env_file), **made.inferenced()})
    yield made
    newer.chain.post("/chain/params", before)
    newer.chain.post("/chain/versions", {"versions": VERSIONS})


def balance(host: Site) -> int:
    return int(succeeded("creator_info", creator(host))["creator"]["balance"])


def creator(host: Site) -> Params:
    return {**host.chain(), **host.inferenced()}


def create(host: Site, **more: t.Any) -> Params:
    count = sum(item["active"] for item in host.net.admin.get("/v1/admin/state")["devshards"]) + 1
    return host.escrow(count=count, max_creates_per_run=count, allow_unclaimed=True, **more)


def settle(host: Site, number: int, **more: t.Any) -> Params:
    return {**waiting(host), "ids": [number], **more}


def waiting(host: Site) -> Params:
    return {**host.money(), "wait_timeout": 600, "wait_interval": 1}


def at_risk(host: Site) -> Params:
    return {**waiting(host), "select": "at_risk"}


def looked(host: Site, number: int) -> Params:
    rows: list[Params] = succeeded("escrow_info", host.money())["escrows"]
    return next(row for row in rows if row["id"] == number)


def price(host: Site, *, enabled: bool, ngonka: int) -> None:
    fees = host.net.chain.post("/chain/params", {})["params"]["fee_params"]
    groups = [
        {**group, "min_gas_price": str(ngonka)} if group["name"] == "devshard" else group
        for group in fees["groups"]
    ]
    names = ["cosmos", *(["devshard"] if enabled else [])]
    host.net.chain.post(
        "/chain/params", {"fee_params": {"groups": groups, "enabled_fee_groups": names}}
    )


def test_the_chain_is_known_by_what_it_says(host: Site) -> None:
    params = succeeded("creator_info", creator(host))["params"]
    assert (params["approved_versions"], params["approved_known"]) == (VERSIONS, True)
    assert (params["create_gas_price"], params["settle_exempt"]) == (0, True)


@pytest.mark.parametrize("via", ["signed", "gateway"])
def test_what_is_free_costs_nothing_and_comes_home(host: Site, via: str) -> None:
    amount = host.net.ready["amount"]
    before = balance(host)
    made = succeeded("escrow", create(host, create_via=via, creator=host.creator))
    (paid,) = made["created"]
    offered = 0 if via == "signed" else 1
    assert (paid["fee"], before - balance(host)) == (offered, amount + offered)
    row = looked(host, paid["id"])
    assert row["dangers"] == []
    (entry,) = row["ledger"]
    noted = entry["result"]["terms"]
    assert (noted["release"], noted["version"]) == ("v0.2.16-post1", "v2")
    assert noted["params"]["refusal_timeout"] > 0
    before = balance(host)
    home = succeeded(
        "escrow_settle", settle(host, paid["id"], settle_via=via, creator=host.creator)
    )
    (escrow,) = home["escrows"]
    assert (escrow["settled"], escrow["tx_fee"]) == (True, 0)
    assert balance(host) - before == escrow["refund"]


@pytest.mark.parametrize("check", [True, False])
def test_a_price_above_the_ceiling_is_refused_before_anything_is_sent(
    host: Site, *, check: bool
) -> None:
    price(host, enabled=True, ngonka=3)
    host.net.forget()
    run = failed("escrow", create(host), check=check)
    assert "set escrow_fee_amount (fee_amount) to 1500000 or more" in run.msg
    assert host.net.writes() == []


def test_a_price_is_paid_exactly(host: Site) -> None:
    price(host, enabled=True, ngonka=1)
    before = balance(host)
    made = succeeded("escrow", create(host))
    assert [entry["fee"] for entry in made["created"]] == [500_000]
    assert before - balance(host) == host.net.ready["amount"] + 500_000
    home = succeeded("escrow_settle", settle(host, made["created"][0]["id"]))
    assert [escrow["tx_fee"] for escrow in home["escrows"]] == [0]


@pytest.mark.parametrize("check", [True, False])
def test_a_version_that_is_removed_is_an_alarm_and_comes_home_after_the_vote(
    host: Site, *, check: bool
) -> None:
    number = succeeded("escrow", create(host))["created"][0]["id"]
    host.net.chain.post("/chain/versions", {"versions": ["v4.1", "v5"]})
    row = looked(host, number)
    assert ([danger["kind"] for danger in row["dangers"]], row["may_settle"]) == (
        ["version"],
        False,
    )
    run = failed("escrow_settle", settle(host, number), check=check)
    assert 'settlement version "v2" is not approved on the chain (approved: v4.1, v5)' in run.msg
    assert "continues to serve" in run.msg
    run = failed("escrow", create(host), check=check)
    assert "approves only v4.1, v5" in run.msg
    host.net.chain.post("/chain/versions", {"versions": VERSIONS})
    assert succeeded("escrow_settle", at_risk(host))["escrows"] == []
    assert succeeded("escrow_settle", settle(host, number))["escrows"][0]["settled"]


def test_an_empty_list_is_not_taken_for_a_yes(host: Site) -> None:
    host.net.chain.post("/chain/versions", {"versions": []})
    run = failed("escrow", create(host))
    assert "approved versions could not be read" in run.msg
    params = succeeded("creator_info", creator(host))["params"]
    assert (params["approved_versions"], params["approved_known"]) == ([], False)


def test_what_changed_since_the_create_is_settled_by_the_selection(host: Site) -> None:
    number = succeeded("escrow", create(host))["created"][0]["id"]
    host.net.chain.post("/chain/params", {"devshard_escrow_params": {"execution_timeout": "3000"}})
    (danger,) = looked(host, number)["dangers"]
    assert danger["kind"] == "changed"
    assert "execution_timeout was 1920 and is 3000" in danger["reason"]
    result = succeeded("escrow_settle", at_risk(host))
    assert number in [escrow["id"] for escrow in result["escrows"] if escrow["settled"]]


@pytest.mark.parametrize("shapes", [["legacy", "transition", "flat"]])
def test_nodes_that_answer_in_turn_in_other_shapes_are_one_chain(
    host: Site, shapes: list[str]
) -> None:
    host.net.chain.post("/chain", {"epochs_shapes": shapes})
    seen = [succeeded("escrow_info", host.money())["epoch"]["next_switch"] for _each in shapes]
    assert len(set(seen)) == 1


@pytest.mark.parametrize("check", [True, False])
def test_before_an_upgrade_nothing_is_minted_and_nothing_settled(
    host: Site, *, check: bool
) -> None:
    number = succeeded("escrow", create(host))["created"][0]["id"]
    height = host.net.chain.get("/chain")["height"]
    # this node keeps no old blocks, so the pace of the chain is not known, and 3 seconds are assumed
    host.net.chain.post("/chain", {"upgrade_plan": {"name": "v0.2.17", "height": height + 1100}})
    run = failed("escrow", create(host), check=check)
    assert "the chain upgrades to v0.2.17" in run.msg
    run = failed("escrow_settle", settle(host, number), check=check)
    assert "the chain upgrades to v0.2.17" in run.msg
    assert "continues to serve" in run.msg

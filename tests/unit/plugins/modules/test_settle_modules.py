# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""What endangers deposits, and settling them: whole modules against a simulated network."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.deadline_alarms import (
    deadline_alarms,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.equality import prove
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Net, Site

Params = dict[str, t.Any]
STRANGER = "gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp"


@pytest.fixture(autouse=True)
def _params_of_before(net: Net) -> Iterator[None]:
    """A reset of the simulator leaves the chain's parameters alone."""
    before = net.chain.post("/chain/params", {})["params"]
    yield
    net.chain.post("/chain/params", before)


def records(site: Site) -> dict[int, Params]:
    found = site.net.admin.get("/v1/admin/state")["devshards"]
    return {int(item["id"]): item for item in found}


def make_escrow(site: Site) -> int:
    """One made by the gateway itself, with the creator's key in the keyring."""
    if not (site.folder / "inferenced" / "keyring").exists():
        site.import_key()
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    return int(site.net.admin.post("/v1/admin/escrows", body)["escrow_id"])


def change(site: Site, part: str, **values: t.Any) -> None:
    site.net.chain.post("/chain/params", {part: values})


def looked(site: Site, number: int, **more: t.Any) -> tuple[Params, Params]:
    """The whole result, and what it says of one escrow."""
    result = succeeded("escrow_info", {**site.money(), **more})
    return result, next(row for row in result["escrows"] if row["id"] == number)


ENDANGERED = pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        ("not_listed", {"allowed_creator_addresses": [STRANGER]}, "no longer on the chain's list"),
        ("version", {"approved_versions": ["v9"]}, '"v2" is not approved'),
        ("nonce", {"max_nonce": 3}, "above the chain's max_nonce 3"),
    ],
)


@ENDANGERED
def test_what_endangers_an_open_escrow_is_named(
    kind: str, values: Params, text: str, site: Site
) -> None:
    number = make_escrow(site)
    assert looked(site, number)[1]["dangers"] == []
    change(site, "devshard_escrow_params", **values)
    result, escrow = looked(site, number)
    assert (escrow["may_settle"], escrow["foreign"]) == (False, False)
    (danger,) = escrow["dangers"]
    assert danger["kind"] == kind
    assert text in danger["reason"]
    assert danger["advice"]
    assert f"Escrow {number} " in "\n".join(deadline_alarms(result))


def test_a_deadline_is_near_by_the_given_number(site: Site) -> None:
    number = make_escrow(site)
    left = looked(site, number)[1]["deadline"]["blocks_left"]
    assert looked(site, number, deadline_blocks=left // 2)[1]["dangers"] == []
    (danger,) = looked(site, number, deadline_blocks=left + 100)[1]["dangers"]
    assert danger["kind"] == "deadline"


def test_parameters_that_cannot_be_asked_are_not_fine(site: Site) -> None:
    number = make_escrow(site)
    path = "/productscience/inference/inference/params"
    rule = {"service": "chain", "action": "status", "status": 503, "path": path}
    site.net.chain.post("/faults", rule)
    result, escrow = looked(site, number)
    assert escrow["may_settle"] is None
    (part,) = result["not_known"]
    assert part.startswith("whether the chain still takes settlements: ")
    assert deadline_alarms(result) == [f"Not known: {part}."]


# settling


def make_settleable(site: Site) -> int:
    """One whose settle this host can sign, with the real program."""
    site.cli = Path(site.net.ready["inferenced"])
    succeeded("creator_key", {"env_file": str(site.env_file), **site.inferenced()})
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    return int(site.net.admin.post("/v1/admin/escrows", body)["escrow_id"])


def settle(site: Site, **more: t.Any) -> Params:
    return {**site.money(), "wait_timeout": 600, "wait_interval": 1, **more}


@ENDANGERED
@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_what_the_chain_would_refuse_leaves_the_escrow_serving(
    kind: str, values: Params, text: str, check: bool, site: Site
) -> None:
    """It used to be deactivated and finalized first, and check mode was green."""
    number = make_settleable(site)
    change(site, "devshard_escrow_params", **values)
    site.net.forget()
    run = failed("escrow_settle", settle(site, ids=[number]), check=check)
    assert text in run.msg
    assert "continues to serve" in run.msg
    assert run.result["escrows"][0]["problem"]["objection"] == kind
    assert site.net.writes() == []
    record = records(site)[number]
    assert (record["active"], record["runtime"]["phase"]) == (True, "active")


def test_a_fee_below_the_chains_price_is_named_before_anything_is_sent(site: Site) -> None:
    number = make_settleable(site)
    change(site, "fee_params", min_gas_price_ngonka="3")
    site.net.forget()
    run = failed("escrow_settle", settle(site, ids=[number]))
    assert "set settlement_fee_amount" in run.msg
    assert "to 3000000 or more" in run.msg
    assert site.net.writes() == []


def test_too_few_hosts_leave_the_escrow_serving(site: Site) -> None:
    number = make_settleable(site)
    site.net.chain.post("/hosts", {"down": len(site.net.chain.get("/hosts")["hosts"])})
    site.net.forget()
    run = failed("escrow_settle", settle(site, ids=[number], wait_timeout=1))
    assert (run.kind, "must sign" in run.msg) == ("timeout", True)
    assert site.net.writes() == []


def test_the_advice_of_the_alarm_settles_what_it_names(site: Site) -> None:
    """It used to advise a selection that began later than the alarm, and so did nothing."""
    number = make_settleable(site)
    left = looked(site, number)[1]["deadline"]["blocks_left"]
    near = {"deadline_blocks": left + 100}
    result, _escrow = looked(site, number, **near)
    advice = deadline_alarms(result, (), "gw1")[-1]
    (named,) = re.findall(r"settle_ids=([0-9,]+)", advice)
    ids = [int(each) for each in named.split(",")]
    assert number in ids
    chosen = succeeded("escrow_settle", settle(site, select="expiring", **near), check=True)
    assert [escrow["id"] for escrow in chosen["escrows"]] == ids
    assert all(escrow["predicted"] for escrow in chosen["escrows"])
    done = succeeded("escrow_settle", settle(site, ids=ids))
    assert all(escrow["settled"] for escrow in done["escrows"])
    after, _escrow = looked(site, number, **near)
    assert deadline_alarms(after) == []


def test_rotation_that_is_on_warns_when_the_chain_refuses_its_settles(
    site: Site,
) -> None:
    make_escrow(site)
    model = {"model_id": site.model, "amount": site.net.ready["amount"]}
    wish: Params = {"enabled": True, "settlement_enabled": True, "pre_poc_blocks": 5}
    params = {**site.money(), **wish, "models": [model]}
    first = succeeded("escrow_rotation", params)
    assert "takes escrows out of service" not in str(first.get("warnings"))
    change(site, "devshard_escrow_params", allowed_creator_addresses=[STRANGER])
    warning = str(succeeded("escrow_rotation", params)["warnings"])
    assert "rotation is on and takes escrows out of service" in warning
    assert "rotation_enabled: false" in warning
    site.net.admin.post("/v1/admin/settings", {"escrow_rotation": {"enabled": False}})
    assert "not on the chain's list" in failed("escrow_rotation", params).msg


def test_check_mode_tells_what_a_settle_does(site: Site) -> None:
    number = make_settleable(site)
    known_later = ("settled", "predicted", "spent", "fees", "tx_fee", "tx_hash")
    done = prove(
        "escrow_settle",
        settle(site, ids=[number]),
        site.folder,
        writes=site.writes,
        assigned=(*(f"escrows.*.{name}" for name in known_later), "actions"),
    )
    (row,) = done["escrows"]
    assert row["refund"] == row["deposit"] - row["spent"] - row["fees"]

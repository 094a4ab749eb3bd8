# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Whole modules in a move to another generation, against a simulated network."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import from_inspect
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import JournalFile
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import (
    SwapNotes,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._swap.kept_journal import (
    MOVE,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Net, Site

Params = dict[str, t.Any]
OLD = f"r:5000/gateway@sha256:{'0' * 64}"
NEW = f"r:5000/gateway@sha256:{'1' * 64}"


@pytest.fixture(autouse=True)
def _params_of_before(net: Net) -> Iterator[None]:
    """A reset of the simulator leaves the chain's parameters alone."""
    before = net.chain.post("/chain/params", {})["params"]
    yield
    net.chain.post("/chain/params", before)


@pytest.fixture
def retiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """What the step that removes the earlier gateway gives to its modules."""
    main = from_inspect(
        {
            "Id": "a",
            "Name": "/devshardctl-multi",
            "Image": "sha256:1",
            "Config": {"Image": OLD},
            "State": {"Status": "running", "Running": True},
            "HostConfig": {},
        },
        (),
    )
    monkeypatch.setattr(docker, "inspect", {"devshardctl-multi": main}.get)
    journal = Journal(
        id="20260102T030405Z",
        mode="generation",
        temp_escrows="import",
        target=NEW,
        origin=OLD,
        asked="r:5000/gateway:new",
        origin_asked="r:5000/gateway:old",
        data=SwapNotes(run="r1", move=MOVE),
    ).finish(Step.SETTLE_MAIN)
    (tmp_path / "state").mkdir()
    file = JournalFile(tmp_path / "state" / "swap.json")
    file.write(journal)
    step = Step.RETIRE_MAIN.value
    return {"journal": str(file.path), "run": "r1", "step": step, "finished": ""}


def make_escrow(site: Site) -> int:
    if not (site.folder / "inferenced" / "keyring").exists():
        site.import_key()
    body = {"model_id": site.model, "amount": site.net.ready["amount"]}
    return int(site.net.admin.post("/v1/admin/escrows", body)["escrow_id"])


def test_a_gateway_is_removed_when_the_chain_says_that_all_is_settled(
    site: Site, retiring: Params
) -> None:
    one, two = make_escrow(site), make_escrow(site)
    site.net.admin.post(f"/v1/admin/devshards/{two}/deactivate")
    asked = {**site.admin(), **site.chain(), **site.ledger(), **retiring, "state": "stoppable"}
    for check in (True, False):
        told = failed("swap_sessions", asked, check=check).msg
        assert f"escrow {one} is not settled" in told
        assert f"escrow {two} is not settled" in told
        assert "hot_swap_given_up" in told
    through = {"settle_via": "gateway", "creator": site.creator, "wait_interval": 1}
    wish = {**site.money(), **through, "select": "all", "leave": [two]}
    found = succeeded("escrow_settle", wish)
    # other tests have left escrows of this site
    rows = {row["id"]: row for row in found["escrows"]}
    assert two not in rows
    assert rows[one]["problem"] is None
    told = failed("swap_sessions", asked).msg
    assert f"escrow {two} is not settled" in told
    assert f"escrow {one} is" not in told
    assert succeeded("swap_sessions", {**asked, "given_up": [two]})["asked"] is True


def window(site: Site, **given: t.Any) -> Params:
    needs = [{"model_id": site.model, "amount": site.net.ready["amount"]}]
    more = {"temp_escrows": needs, "min_blocks": 1, "wait_timeout": 1}
    return {**site.money(), **more, **given}


NEWER = {"payment_profile": "v4.1", "payment_protocol": "v4.1"}


def test_the_version_that_is_paid_for_has_to_be_approved_and_not_that_of_the_gateway(
    site: Site,
) -> None:
    make_escrow(site)
    for names, refused in ((["v2"], "v4.1"), (["v4.1"], "v2")):
        part = {"devshard_escrow_params": {"approved_versions": names}}
        site.net.chain.post("/chain/params", part)
        paid: dict[str, Params] = {"v4.1": NEWER, "v2": {}}
        told = failed("swap_window", window(site, **paid[refused])).msg
        assert f'name version "{refused}", and the chain approves only {names[0]}' in told
        assert succeeded("swap_window", window(site, **paid[names[0]]))["window"]["open"]


def test_a_limit_of_what_may_be_locked_holds_for_a_swap(site: Site) -> None:
    make_escrow(site)
    told = failed("swap_window", window(site, max_total_locked=site.net.ready["amount"])).msg
    assert "would exceed escrow_max_total_locked" in told
    assert succeeded("swap_window", window(site, max_total_locked=10**15))["window"]["open"]

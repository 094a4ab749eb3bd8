# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The one look of the preflight: against a simulated network, and against servers that are wrong."""

from __future__ import annotations

import functools
import threading
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core import (
    parts,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Server,
    html_answer,
    json_answer,
    refused_url,
    running,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    succeeded,
    without_library,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.test_info_modules import (
    documented,
)

Params = dict[str, t.Any]
ADDRESS = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"
BLOCK = "/cosmos/base/tendermint/v1beta1/blocks/latest"
ON_CHAIN = ("chain_rest", "chain_rpc", "public_api", "terms", "active_models")


@pytest.fixture(params=["requests", "only Python"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bare host has no ``requests`` yet."""
    if request.param != "requests":
        without_library(monkeypatch, "requests")
    return str(request.param)


def look(params: Params, *, check: bool = False) -> Params:
    result = documented("preflight_info", succeeded("preflight_info", params, check=check))
    found: Params = result["preflight"]
    return found


# a network that is well


def test_a_host_that_has_only_python(site: Site, library: str) -> None:
    """Nothing is deployed, and everything that a payment depends on is known all the same."""
    params = {**site.chain(), "address": site.creator, "folders": [str(site.folder)]}
    params |= {"inferenced_path": "/no/such/inferenced", "keyring_dir": str(site.folder / "none")}
    site.net.forget()
    files = site.snapshot()
    found = look(params)
    assert {name for name, part in found.items() if not part["known"]} <= {
        "escrows",
        # where the tests run there may be no systemd
        "docker_service",
    }
    assert found["chain_rest"]["value"]["chain_id"] == site.net.ready["chain_id"]
    assert found["chain_rpc"]["value"]["chain_id"] == site.net.ready["chain_id"]
    assert site.creator in found["terms"]["value"]["allowed_creator_addresses"]
    assert site.model in found["active_models"]["value"]
    assert found["balance"]["value"] == 10**15
    assert found["keyring"]["value"] is None
    assert found["disks"]["value"][0]["path"] == str(site.folder)
    assert found["escrows"]["why"] == "the gateway is not proved to run"
    assert site.writes() == []
    assert site.snapshot() == files
    assert look(params, check=True).keys() == found.keys()


def test_a_gateway_that_is_proved_is_asked_for_its_escrows(site: Site) -> None:
    site.import_key()
    found = look({**site.money(), "ask_gateway": True, "address": ADDRESS})
    assert found["keyring"]["value"] == site.creator, "the keyring counts before what was given"
    assert found["balance"]["value"] == 10**15
    assert found["escrows"]["known"] is True
    assert {"escrows", "not_known", "creator"} <= set(found["escrows"]["value"])
    assert site.writes() == []


def test_deposits_are_found_on_a_host_that_knows_nothing_of_them(site: Site) -> None:
    """A new host for a lost one: the chain has what the lost one paid for."""
    site.import_key()
    rows = succeeded("escrow_info", site.money())["escrows"]
    count = 1 + sum(1 for row in rows if row["usable"] and row["model"] == site.model)
    more = {
        "count": count,
        "max_creates_per_run": count,
        "allow_unclaimed": True,
        "create_via": "gateway",
        # what other tests switched off stays so
        "reactivate": False,
    }
    made, *_more = succeeded("escrow", site.escrow(**more, creator=site.creator))["created"]
    chain = {**site.chain(), "keyring_dir": "/no/such/keyring", "address": site.creator}

    def found(**ledger: str) -> list[Params]:
        deposits = look({**chain, **ledger})["deposits"]["value"]
        return [item for item in deposits if item["id"] == made["id"]]

    deposit = {"id": made["id"], "amount": site.net.ready["amount"]}
    assert found(ledger_path=str(site.folder / "none.db")) == [{**deposit, "in_ledger": False}]
    assert found(**site.ledger()) == [{**deposit, "in_ledger": True}]


def test_no_other_program_gets_the_admin_key(site: Site) -> None:
    site.import_key()
    with running() as stranger:
        look({**site.money(), "gateway_url": stranger.url})
        assert stranger.seen == []


def test_without_a_library_the_escrows_are_not_known(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway is asked over what the other modules have."""
    without_library(monkeypatch, "requests")
    site.import_key()
    found = look({**site.money(), "ask_gateway": True})
    assert (
        found["escrows"]["why"]
        == "the Python library requests is missing on this host; the playbook site installs it"
    )
    assert [name for name in ON_CHAIN if not found[name]["known"]] == []


def test_a_key_that_no_program_can_read(site: Site) -> None:
    site.import_key()
    found = look({**site.money(), "inferenced_path": "/no/such/inferenced", "address": ADDRESS})
    assert "there is no program /no/such/inferenced" in found["keyring"]["why"]
    assert found["balance"]["why"] == "the creator's address is not known"


# servers that are wrong


def moment(seconds: float = 0) -> str:
    now = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def block(seconds: float = 0, chain_id: str = "gonka-sim") -> Answer:
    header = {"chain_id": chain_id, "height": "7", "time": moment(seconds)}
    return json_answer({"block": {"header": header}})


def node_info(index: str = "on") -> Answer:
    return json_answer({"default_node_info": {"other": {"tx_index": index}}})


def status(
    seconds: float = 0,
    *,
    chain_id: str = "gonka-sim",
    catching_up: bool = False,
    index: str = "on",
) -> Answer:
    result = {
        "node_info": {"network": chain_id, "other": {"tx_index": index}},
        "sync_info": {
            "latest_block_height": "7",
            "latest_block_time": moment(seconds),
            "catching_up": catching_up,
        },
    }
    return json_answer({"result": result})


EPOCH = {
    "latest_epoch": {"index": "214"},
    "block_height": "7",
    "phase": "Inference",
    "epoch_stages": {"set_new_validators": "9", "next_poc_start": "19"},
    "next_epoch_stages": {"set_new_validators": "29"},
}
PREFIX = "/cosmos/base/tendermint/v1beta1"
TERMS = {
    "min_amount": "50",
    "max_amount": "100",
    "max_escrows_per_epoch": "10",
    "max_nonce": "1000",
    "allowed_creator_addresses": [ADDRESS],
    "approved_versions": [{"name": "v3", "sha256": "00"}],
}


def well() -> dict[str, Answer]:
    """What all of the services answer; one server stands in for each of them."""
    return {
        BLOCK: block(),
        f"{PREFIX}/syncing": json_answer({"syncing": False}),
        f"{PREFIX}/node_info": node_info(),
        "/productscience/inference/inference/params": json_answer(
            {"params": {"devshard_escrow_params": TERMS}}
        ),
        "/cosmos/bank": json_answer({"balance": {"denom": "ngonka", "amount": "60"}}),
        "/status": status(),
        "/v1/epochs/latest": json_answer(EPOCH),
        "/v1/models": json_answer({"object": "list", "data": [{"id": "some/model"}]}),
        "/v1/governance/models": json_answer({"models": [{"id": "some/model"}]}),
    }


class Three:
    """REST, RPC and public API, each a server of its own."""

    def __init__(self, rest: Server, rpc: Server, public: Server) -> None:
        self.rest, self.rpc, self.public = rest, rpc, public
        everything = well()
        rest.by_path({path: everything[path] for path in everything if "/status" not in path})
        rpc.by_path({"/status": everything["/status"]}, json_answer({}, 404))
        public.by_path(everything)

    def params(self, **more: t.Any) -> Params:
        return {
            "chain_rest": self.rest.url,
            "chain_rpc": self.rpc.url,
            "public_api": self.public.url,
            "chain_id": "gonka-sim",
            "address": ADDRESS,
            "keyring_dir": "/no/such/keyring",
            **more,
        }


@pytest.fixture
def three() -> t.Iterator[Three]:
    with running() as rest, running() as rpc, running() as public:
        yield Three(rest, rpc, public)


def test_all_of_it_in_one_look(three: Three, library: str) -> None:
    found = look(three.params())
    assert found["chain_rest"]["value"] == {"chain_id": "gonka-sim", "height": 7}
    assert found["chain_rpc"]["value"] == {"chain_id": "gonka-sim", "height": 7}
    assert found["public_api"]["value"] == {"epoch": 214}
    assert found["terms"]["value"] == {
        "min_amount": 50,
        "max_amount": 100,
        "allowed_creator_addresses": [ADDRESS],
        "approved_versions": ["v3"],
        "approved_known": True,
        "create_gas_price": 0,
    }
    assert found["balance"]["value"] == 60


def server_of(three: Three, part: str) -> Server:
    return {"chain_rest": three.rest, "chain_rpc": three.rpc}.get(part, three.public)


@pytest.mark.parametrize(
    ("part", "path", "answer", "words"),
    [
        ("chain_rest", BLOCK, json_answer({}, 500), "devshard_chain_rest {url} answers HTTP 500"),
        ("chain_rest", BLOCK, html_answer("<html>"), "{url} answers with something that is not"),
        ("chain_rest", BLOCK, json_answer({"block": {}}), "answers without block and chain id"),
        (
            "chain_rest",
            BLOCK,
            Answer(status=301, headers={"Location": "https://elsewhere.example"}),
            "redirects to https://elsewhere.example, which is not followed",
        ),
        ("chain_rest", BLOCK, functools.partial(block, -300), "seconds old"),
        ("chain_rest", BLOCK, functools.partial(block, 900), "s behind the chain"),
        ("chain_rest", f"{PREFIX}/syncing", json_answer({"syncing": True}), "still catching up"),
        ("chain_rest", f"{PREFIX}/node_info", node_info("off"), "keeps no index of transactions"),
        (
            "chain_rest",
            BLOCK,
            functools.partial(block, chain_id="other"),
            "serves chain other, but gonka-sim is expected (devshard_chain_id)",
        ),
        ("chain_rpc", "/status", json_answer({}, 500), "devshard_chain_rpc {url} answers HTTP 500"),
        ("chain_rpc", "/status", functools.partial(status, 900), "s behind the chain"),
        ("chain_rpc", "/status", functools.partial(status, -300), "seconds old"),
        ("chain_rpc", "/status", functools.partial(status, catching_up=True), "still catching up"),
        (
            "chain_rpc",
            "/status",
            functools.partial(status, index="off"),
            "keeps no index of transactions",
        ),
        ("chain_rpc", "/status", functools.partial(status, chain_id="other"), "serves chain other"),
        (
            "public_api",
            "/v1/epochs/latest",
            json_answer({}, 500),
            "devshard_public_api {url} answers HTTP 500",
        ),
        (
            "public_api",
            "/v1/epochs/latest",
            json_answer({"phase": "Inference"}),
            "devshard_public_api {url} answers without the epoch",
        ),
    ],
)
def test_what_is_wrong_is_said_and_hides_nothing_else(
    three: Three,
    library: str,
    part: str,
    path: str,
    answer: Answer | t.Callable[[], Answer],
    words: str,
) -> None:
    server = server_of(three, part)
    before = server.reply
    # a block is as old as it is when the test runs
    wrong = answer if isinstance(answer, Answer) else answer()
    server.reply = lambda seen: wrong if seen.path.startswith(path) else before(seen)
    found = look(three.params())
    assert found[part]["known"] is False
    assert words.format(url=server.url) in found[part]["why"]
    assert [name for name in ON_CHAIN if name != part and not found[name]["known"]] == []


def test_rest_and_rpc_that_were_exchanged(three: Three, library: str) -> None:
    found = look(three.params(chain_rest=three.rpc.url, chain_rpc=three.rest.url))
    assert (
        f"{three.rpc.url} is a CometBFT RPC, and devshard_chain_rest must be"
        in (found["chain_rest"]["why"])
    )
    assert (
        f"{three.rest.url} is the chain's REST interface, and devshard_chain_rpc must be"
        in (found["chain_rpc"]["why"])
    )
    assert found["public_api"]["known"] is True


def test_nobody_listens(three: Three, library: str) -> None:
    url = refused_url()
    found = look(three.params(chain_rest=url, ask_gateway=True, time_limit=1))
    assert found["chain_rest"]["why"].startswith(f"devshard_chain_rest {url} does not answer (GET ")
    assert found["terms"]["known"] is False
    # it is not waited for the same chain once more
    assert found["escrows"]["why"] == found["chain_rest"]["why"]
    assert found["chain_rpc"]["known"] is True


def test_a_url_that_cannot_be_used(three: Three) -> None:
    found = look(three.params(chain_rest="ftp://x"))
    assert (
        "devshard_chain_rest (chain_rest) must be an http or https URL"
        in (found["chain_rest"]["why"])
    )
    assert found["chain_rpc"]["known"] is True


class WhenTheOthersAreDone:
    """The time is over when all have answered that ever will, however long that takes here."""

    late = frozenset({"chain_rest", "terms", "balance"})

    def __init__(self, seconds: float) -> None:
        pass

    @property
    def left(self) -> float:
        for thread in threading.enumerate():
            if thread.name in set(ON_CHAIN) - self.late:
                thread.join()
        return 0.0


def test_one_that_never_answers_holds_up_no_other(
    three: Three, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    three.rest.reply = lambda _seen: Answer(delay=never)
    monkeypatch.setattr(parts, "WaitBudget", WhenTheOthersAreDone)
    found = look(three.params(time_limit=7))
    never.set()
    late = WhenTheOthersAreDone.late
    assert {name for name in (*ON_CHAIN, "balance") if not found[name]["known"]} == late
    assert {found[name]["why"] for name in late} == {"no answer within 7 seconds"}


# the Docker service


@pytest.mark.parametrize(
    ("shown", "startable"),
    [
        ("Id=docker.service\nLoadState=loaded\nActiveState=inactive\nUnitFileState=enabled", True),
        ("Id=docker.service\nLoadState=loaded\nActiveState=failed\nUnitFileState=disabled", True),
        ("Id=docker.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled", False),
        ("Id=docker.service\nLoadState=loaded\nActiveState=activating\nUnitFileState=x", False),
        ("Id=docker.service\nLoadState=masked\nActiveState=inactive\nUnitFileState=masked", False),
        ("Id=docker.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=", False),
    ],
)
def test_a_service_that_only_does_not_run_can_be_started(
    three: Three, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, startable: bool
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{shown}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = look(three.params())["docker_service"]
    assert (found["known"], found["value"]["startable"]) == (True, startable)


def test_a_host_without_systemd(
    three: Three, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look(three.params())["docker_service"]["known"] is False

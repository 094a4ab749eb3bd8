# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the preflight makes of its look."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.key_address import key_address
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.preflight_findings import (
    preflight_findings,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.preflight_verdict import (
    preflight_verdict,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.filter.test_filters import (
    looked,
    unsettled,
)

MODEL = "some/model"
ADDRESS = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"
OTHER = "gonka162sa29w9w7yc683e6q2awp74rzwsq4rzfauvzy"
STOPPED = {"load": "loaded", "active": "inactive", "enabled": "enabled", "startable": True}


def known(value: object) -> dict[str, object]:
    return {"known": True, "why": None, "value": value}


def unknown(why: str = "it broke") -> dict[str, object]:
    return {"known": False, "why": why, "value": None}


def _terms(allowed: list[str], approved: tuple[str, ...] = ()) -> dict[str, object]:
    return known(
        {
            "min_amount": 50,
            "max_amount": 100,
            "allowed_creator_addresses": allowed,
            "approved_versions": list(approved),
            "approved_known": True,
            "create_gas_price": 0,
        }
    )


def _disks(*free: tuple[int, str]) -> dict[str, object]:
    return known([{"path": path, "free_mb": room} for room, path in free])


def _port(name: str, state: str, **owner: str) -> dict[str, t.Any]:
    text = "taken by x" if owner else state
    found = {"record_path": None, **owner} if owner else None
    return {"name": name, "port": 80, "state": state, "text": text, "owner": found}


@pytest.fixture
def seen() -> dict[str, t.Any]:
    return {
        "facts": {
            "os_family": "Debian",
            "distribution": "Debian",
            "distribution_version": "13.1",
            "architecture": "x86_64",
        },
        "look": {
            "user": known(0),
            "disks": _disks((20000, "/"), (30000, "/var/lib/docker")),
            "docker_service": known({**STOPPED, "active": "active", "startable": False}),
            "keyring": known(ADDRESS),
            "chain_rest": known({"chain_id": "gonka-sim", "height": 7}),
            "chain_rpc": known({"chain_id": "gonka-sim", "height": 7}),
            "public_api": known({"epoch": 214}),
            "terms": _terms([ADDRESS]),
            "upgrade": known(None),
            "create_window": known(None),
            "deposits": known([]),
            "active_models": known([MODEL]),
            "governance_models": known([MODEL]),
            "balance": known(60),
            "escrows": unknown("the gateway is not proved to run"),
        },
        "deployed": False,
        "engine_known": True,
        "ports": [_port("gateway", "free")],
        "refusal": "",
        "models": [{"id": MODEL, "amount": 50}],
        "settlement_tag": "v2",
        "wanted": "",
        "of_key": "",
        "fee": 5,
        "gas_limit": 500000,
        "max_creates": 4,
        "allowlist_wait": False,
        "explained": [],
        "pays_beside": False,
        "host": "gw1",
        "min_free_mb": 1024,
        "refused": [],
        "image": {"there": True, "text": "gw:1 runs"},
    }


def change(seen: dict[str, t.Any], changes: dict[str, t.Any]) -> None:
    """``look`` in the changes names the parts of the look that change."""
    changes = copy.deepcopy(changes)
    seen["look"].update(changes.pop("look", {}))
    seen.update(changes)


def _verdicts(seen: dict[str, t.Any]) -> dict[str, str]:
    return {item["check"]: item["verdict"] for item in preflight_findings(seen)}


def _detail(seen: dict[str, t.Any], check: str) -> str:
    return next(item["detail"] for item in preflight_findings(seen) if item["check"] == check)


def _said(seen: dict[str, t.Any]) -> dict[str, object]:
    return preflight_verdict(preflight_findings(seen), "gw1")


def test_a_ready_host_has_no_other_verdict_than_ok(seen: dict[str, t.Any]) -> None:
    assert set(_verdicts(seen).values()) == {"ok"}
    assert _said(seen) == {"text": "gw1: ready", "ready": True, "safe": True}
    assert _detail(seen, "chain REST") == "gonka-sim, block 7"
    assert _detail(seen, "public API") == "epoch 214"


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"look": {"chain_rest": unknown("rest is down")}}, "chain REST", "rest is down"),
        ({"look": {"chain_rpc": unknown("rpc is down")}}, "chain RPC", "rpc is down"),
        ({"look": {"public_api": unknown("api is down")}}, "public API", "api is down"),
        (
            {"models": [{"id": "x/y", "amount": 50}]},
            "model x/y",
            f"not a model of the network. Its models: {MODEL}",
        ),
        ({"look": {"active_models": known([])}}, f"model {MODEL}", "no host serves it"),
        (
            {"models": [{"id": MODEL, "amount": 49}]},
            f"amount {MODEL}",
            "outside the chain's limits",
        ),
        (
            {"models": [{"id": MODEL, "amount": 101}]},
            f"amount {MODEL}",
            "outside the chain's limits",
        ),
        (
            {"models": [{"id": MODEL, "amount": 50, "count": 100}]},
            f"limit per run {MODEL}",
            "raise escrow_max_creates_per_run",
        ),
        ({"look": {"terms": _terms([OTHER])}}, "allowlist", "not on the chain's list"),
        ({"fee": 6}, "funds", "2 ngonka are missing"),
        ({"wanted": "gonkavaloper1abc"}, "creator", "this one begins with gonkavaloper1"),
        ({"wanted": f"{ADDRESS[:-1]}7"}, "creator", "its checksum is wrong"),
        ({"wanted": OTHER}, "creator", f"this host has the key of {ADDRESS}"),
        ({"of_key": OTHER}, "creator", f"gateway_private_key gives {OTHER}, and this host has"),
        (
            {"look": {"keyring": known(None)}, "of_key": OTHER, "wanted": ADDRESS},
            "creator",
            f"gateway_private_key gives {OTHER}, creator_address is {ADDRESS}",
        ),
        ({"look": {"user": known(1000)}}, "root", "set ansible_become: true"),
        (
            {"look": {"disks": _disks((30000, "/"), (500, "/var"))}},
            "disk",
            "500 MiB are free on /var, 1024 are needed",
        ),
        (
            {"refused": [{"role": "gateway", "reason": "another image"}]},
            "role gateway",
            "another image",
        ),
        (
            {"facts": {"os_family": "RedHat", "distribution": "Rocky", "architecture": "x86_64"}},
            "system",
            "Debian 13 or Ubuntu 24.04 is needed",
        ),
        ({"ports": [_port("gateway", "foreign", kind="container")]}, "port 80", "taken by x"),
        ({"ports": [_port("gateway", "unknown", kind="unknown")]}, "port 80", "taken by x"),
        ({"ports": [_port("temp", "foreign", kind="container")]}, "port 80", "taken by x"),
        ({"ports": [_port("edge", "foreign", kind="process")]}, "port 80", "taken by x"),
        ({"ports": [_port("gateway", "foreign", kind="nginx")]}, "port 80", "taken by x"),
        ({"refusal": "it is retired"}, "host", "it is retired"),
    ],
)
def test_what_is_wrong_is_named(
    seen: dict[str, t.Any], changes: dict[str, object], check: str, words: str
) -> None:
    change(seen, changes)
    assert _verdicts(seen)[check] == "FAILED"
    assert words in _detail(seen, check)
    verdict = _said(seen)
    assert verdict["ready"] is False
    assert str(verdict["text"]).startswith("gw1: not ready: ")
    assert words in str(verdict["text"])


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"look": {"terms": unknown()}}, "allowlist", "could not be asked: it broke"),
        ({"look": {"terms": unknown()}}, f"amount {MODEL}", "could not be asked: it broke"),
        ({"look": {"terms": unknown()}}, "settlement version", "could not be asked: it broke"),
        ({"look": {"active_models": unknown()}}, f"model {MODEL}", "could not be asked: it broke"),
        ({"look": {"balance": unknown()}}, "funds", "could not be asked: it broke"),
        ({"look": {"keyring": known(None)}}, "creator", "made on the host by the first run"),
        ({"look": {"keyring": known(None)}}, "allowlist", "is not known yet"),
        ({"look": {"keyring": known(None)}}, "funds", "is not known yet"),
        ({"look": {"keyring": unknown()}}, "creator", "could not be read: it broke"),
        ({"look": {"keyring": unknown()}, "wanted": OTHER}, "creator", "could not be read"),
        ({"look": {"keyring": unknown()}, "wanted": OTHER}, "allowlist", "is not known yet"),
        ({"deployed": True}, "funds", "it is not known how many escrows are missing"),
        ({"look": {"disks": unknown()}}, "disk", "how much space is free: it broke"),
        ({"look": {"disks": known([])}}, "disk", "how much space is free"),
    ],
)
def test_unknown_is_not_zero(
    seen: dict[str, t.Any], changes: dict[str, object], check: str, words: str
) -> None:
    change(seen, changes)
    assert _verdicts(seen)[check] == "unknown"
    assert words in _detail(seen, check)
    text = str(_said(seen)["text"])
    assert text.startswith("gw1: ready as far as known; not known: ")
    assert check in text


def test_a_chain_that_does_not_answer_is_named_once(seen: dict[str, t.Any]) -> None:
    change(seen, {"look": {"chain_rest": unknown("no answer"), "terms": unknown("no answer")}})
    details = [item["detail"] for item in preflight_findings(seen)]
    assert details.count("no answer") == 1
    assert [text for text in details if "no answer" in text and text != "no answer"] == []


# what site mends


def test_an_engine_that_site_starts_is_a_note(seen: dict[str, t.Any]) -> None:
    change(
        seen,
        {
            "engine_known": False,
            "look": {"docker_service": known(STOPPED)},
            "ports": [_port("gateway", "unknown")],
            "image": {"there": None, "text": "gw:1 was not asked for"},
        },
    )
    assert _verdicts(seen)["engine"] == "note"
    assert _said(seen) == {
        "text": "gw1: ready as far as known; not known: port 80, image. Note: engine: the service"
        " docker does not run. The playbook site starts it",
        "ready": True,
        "safe": True,
    }


@pytest.mark.parametrize(
    ("engine_known", "service"),
    [
        (True, known(STOPPED)),
        (False, known({**STOPPED, "active": "active", "startable": False})),
        (False, unknown("there is no systemd")),
    ],
)
def test_no_other_engine_is_promised_to_start(
    seen: dict[str, t.Any], engine_known: bool, service: dict[str, object]
) -> None:
    change(seen, {"engine_known": engine_known, "look": {"docker_service": service}})
    assert "engine" not in _verdicts(seen)


def test_a_vote_that_site_waits_for_is_no_failure(seen: dict[str, t.Any]) -> None:
    change(seen, {"look": {"terms": _terms([OTHER]), "balance": known(0)}})
    assert _said(seen)["ready"] is False
    seen["allowlist_wait"] = True
    assert (_verdicts(seen)["allowlist"], _verdicts(seen)["funds"]) == ("note", "unknown")
    assert f"{ADDRESS} is not on the chain's list" in _detail(seen, "allowlist")
    assert "Site checks them after the vote" in _detail(seen, "funds")
    assert _said(seen)["ready"] is True
    # the wallet of one that is listed is not waited for
    change(seen, {"look": {"terms": _terms([ADDRESS])}})
    assert (_verdicts(seen)["allowlist"], _verdicts(seen)["funds"]) == ("ok", "FAILED")


def test_a_creator_that_was_taken_from_the_list_is_in_danger_even_so(
    seen: dict[str, t.Any],
) -> None:
    """Its escrows can no longer be settled: nothing that site waits for."""
    change(seen, {"look": {"terms": _terms([OTHER])}, "allowlist_wait": True, "deployed": True})
    change(seen, {"look": {"escrows": known(looked(unsettled(1, 900)))}})
    assert _verdicts(seen)["allowlist"] == "NEAR"


# deposits that are there already


def _deposit(number: int, in_ledger: bool = False) -> dict[str, object]:
    return {"id": number, "amount": 5_000_000_000, "in_ledger": in_ledger}


def test_a_deposit_that_nothing_explains_is_a_warning(seen: dict[str, t.Any]) -> None:
    """A new host for a lost one is deployed, and pays for nothing until the backup is restored."""
    seen["look"]["deposits"] = known([_deposit(7), _deposit(8, in_ledger=True)])
    assert _verdicts(seen)["deposits"] == "warning"
    detail = _detail(seen, "deposits")
    assert (
        f"{ADDRESS} has unsettled escrows that nothing on these hosts explains: 7 (5 GNK)."
        in detail
    )
    assert (_said(seen)["ready"], _said(seen)["safe"]) == (True, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"explained": [7]},
        {"pays_beside": True},
        {"look": {"deposits": known([_deposit(7, in_ledger=True)])}},
        # nothing is to be paid
        {"models": [{"id": MODEL, "amount": 50, "count": 0}]},
        # this gateway has it, and it serves
        {"look": {"escrows": known(looked(unsettled(7, 900)))}},
        # this gateway has it, and it does not serve
        {"look": {"escrows": known(looked(unsettled(7, 900, usable=False)))}},
        # the gateway is there and could not be asked for what it has
        {"deployed": True},
        {"look": {"deposits": unknown()}},
    ],
)
def test_a_deposit_that_is_explained_is_none(
    seen: dict[str, t.Any], changes: dict[str, object]
) -> None:
    seen["look"]["deposits"] = known([_deposit(7)])
    change(seen, changes)
    assert "deposits" not in _verdicts(seen)


def test_an_upgrade_that_could_not_be_asked_for_is_not_known(seen: dict[str, t.Any]) -> None:
    seen["look"]["upgrade"] = unknown()
    assert _verdicts(seen)["chain upgrade"] == "unknown"
    assert "it broke" in _detail(seen, "chain upgrade")
    seen["models"][0]["count"] = 0
    assert "chain upgrade" not in _verdicts(seen)


# key, models, versions


def test_a_key_tells_the_address_before_anything_is_on_the_host(seen: dict[str, t.Any]) -> None:
    key = "b43ecb01b4d5630227750b88ab9fad60138baba36e8be96c839b1dd406880613"
    assert key_address(key) == OTHER
    change(seen, {"of_key": OTHER, "look": {"keyring": known(None), "terms": _terms([OTHER])}})
    assert set(_verdicts(seen).values()) == {"ok"}
    with pytest.raises(AnsibleFilterError) as raised:
        key_address(f"0x{key}")
    assert key not in str(raised.value)


def test_a_public_api_need_not_list_models_twice(seen: dict[str, t.Any]) -> None:
    """The guide asks for governance's list, no play needs it."""
    change(seen, {"look": {"governance_models": unknown("404")}})
    assert set(_verdicts(seen).values()) == {"ok"}


def test_access_modes_that_leave_a_gap_are_a_warning_and_no_refusal(seen: dict[str, t.Any]) -> None:
    first = seen["models"][0]
    seen["models"] = [first, {"id": "org/B", "amount": 1, "count": 0, "access_mode": "admin_only"}]
    assert "access" not in _verdicts(seen)
    seen["models"][1]["count"] = 1
    assert _verdicts(seen)["access"] == "warning"
    findings = [item for item in preflight_findings(seen) if item["check"] == "access"]
    verdict = preflight_verdict(findings, "gw1")
    assert (verdict["ready"], verdict["safe"]) == (True, True)
    assert "the escrows of org/B (admin_only)" in str(verdict["text"])


@pytest.mark.parametrize(("count", "verdict"), [(1, "FAILED"), (0, "NEAR")])
def test_a_version_that_the_chain_does_not_approve(
    seen: dict[str, t.Any], count: int, verdict: str
) -> None:
    """No new deposit; one that has its escrows must still be able to settle them."""
    seen["look"]["terms"] = _terms([ADDRESS], ("v3",))
    seen["models"][0]["count"] = count
    assert _verdicts(seen)["settlement version"] == verdict
    assert "the chain approves only v3" in _detail(seen, "settlement version")
    said = _said(seen)
    assert (said["ready"], said["safe"]) == (verdict == "NEAR", verdict != "NEAR")
    assert "settlement version: " in str(said["text"])
    seen["settlement_tag"] = "v3"
    assert _verdicts(seen)["settlement version"] == "ok"


def test_an_empty_allowlist_is_open(seen: dict[str, t.Any]) -> None:
    seen["look"]["terms"] = _terms([])
    assert _verdicts(seen)["allowlist"] == "ok"


# ports, deadlines, image


@pytest.mark.parametrize(
    "port",
    [
        _port("gateway", "ours", kind="container"),
        # an nginx that is there takes the edge's site in
        _port("edge", "foreign", kind="nginx"),
        _port("temp", "foreign", kind="container", record_path="/srv/b/.gonka-devshard.json"),
    ],
)
def test_a_port_of_ours_is_fine(seen: dict[str, t.Any], port: dict[str, t.Any]) -> None:
    seen["ports"] = [port]
    assert _verdicts(seen)["port 80"] == "ok"


def test_a_port_that_could_not_be_looked_at_is_unknown(seen: dict[str, t.Any]) -> None:
    seen["ports"] = [_port("gateway", "unknown")]
    assert _verdicts(seen)["port 80"] == "unknown"


def test_preflight_shows_the_next_deadline_and_a_near_one_does_not_stop_it(
    seen: dict[str, t.Any],
) -> None:
    def found(*escrows: dict[str, t.Any]) -> list[tuple[str, str]]:
        seen["look"]["escrows"] = known(looked(*escrows))
        return [
            (item["verdict"], item["detail"])
            for item in preflight_findings(seen)
            if item["check"] == "deadlines"
        ]

    assert found(unsettled(1, 900), unsettled(2, 700)) == [
        ("ok", "the next one: 700 blocks, 1 h 10 min")
    ]
    assert found(unsettled(1, 900), unsettled(2, 7, "deadline"))[0] == (
        "NEAR",
        "Escrow 2 (5 ngonka, 7 blocks, 0 h 00 min left).",
    )
    assert found() == [("ok", "no unsettled escrow")]


@pytest.mark.parametrize(("deployed", "verdicts"), [(False, []), (True, ["unknown"])])
def test_preflight_says_when_escrows_could_not_be_asked_for(
    seen: dict[str, t.Any], deployed: bool, verdicts: list[str]
) -> None:
    seen["deployed"] = deployed
    found = [item for item in preflight_findings(seen) if item["check"] == "deadlines"]
    assert [item["verdict"] for item in found] == verdicts
    assert all("the gateway is not proved to run" in item["detail"] for item in found)


def test_an_image_that_nobody_was_asked_for_is_not_known(seen: dict[str, t.Any]) -> None:
    assert _verdicts(seen)["image"] == "ok"
    seen["image"] = {"there": None, "text": "gw:9 was not asked for: no Docker Engine answers"}
    assert _said(seen)["text"] == "gw1: ready as far as known; not known: image"
    seen["image"] = None
    assert _verdicts(seen)["image"] == "unknown"
    # what the role refuses is said once
    seen["refused"] = [{"role": "gateway", "reason": "the registry has no image gw:9"}]
    assert "image" not in _verdicts(seen)


@pytest.mark.parametrize("given", [None, [], "x"])
def test_observations_of_nonsense_are_refused(given: object) -> None:
    with pytest.raises(AnsibleFilterError, match="preflight_findings"):
        preflight_findings(given)
    with pytest.raises(AnsibleFilterError, match="preflight_verdict"):
        preflight_verdict("x", "gw1")


@pytest.mark.parametrize(("count", "verdict"), [(1, "FAILED"), (0, "warning")])
@pytest.mark.parametrize(
    ("asked", "check", "text"),
    [
        ("upgrade", "chain upgrade", "the chain upgrades to v0.2.17 at block 9"),
        ("create_window", "moment", "the chain is in phase PoCGenerate"),
    ],
)
def test_a_bad_moment_stops_only_what_would_be_paid(
    seen: dict[str, t.Any], count: int, verdict: str, asked: str, check: str, text: str
) -> None:
    assert check not in _verdicts(seen)
    seen["models"][0]["count"] = count
    change(seen, {"look": {asked: known(text)}})
    assert _verdicts(seen)[check] == verdict


def test_a_moment_that_could_not_be_asked_for_is_not_known(seen: dict[str, t.Any]) -> None:
    change(seen, {"look": {"create_window": unknown("no answer")}})
    assert _verdicts(seen)["moment"] == "unknown"


def test_an_approved_list_that_could_not_be_read_is_not_known(seen: dict[str, t.Any]) -> None:
    terms = seen["look"]["terms"]["value"]
    change(seen, {"look": {"terms": known({**terms, "approved_known": False})}})
    assert _verdicts(seen)["settlement version"] == "unknown"

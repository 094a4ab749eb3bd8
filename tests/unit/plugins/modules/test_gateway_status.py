# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The look at everything, from the module to the verdict, against a simulated network."""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.api import ChainApi
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request, Response
from ansible_collections.gonka.devshard.plugins.module_utils._core.parts import Part, together
from ansible_collections.gonka.devshard.plugins.module_utils._edge.certificate import Certificate
from ansible_collections.gonka.devshard.plugins.module_utils._status.keys import KEYS, NESTED
from ansible_collections.gonka.devshard.plugins.module_utils._status.look import look_at_accounting
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_status import (
    certificate_result,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters import (
    query_problem as queries,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.query_problem import (
    query_problem,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_table import (
    status_table,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_verdict import (
    status_verdict,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import refused_url
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    run_module,
    succeeded,
    without_library,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    well,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Net, Site
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.test_info_modules import (
    documented,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.test_settle_modules import (
    change,
    make_escrow,
    records,
)

Params = dict[str, t.Any]


@pytest.fixture(autouse=True)
def _params_of_before(net: Net) -> Iterator[None]:
    before = net.chain.post("/chain/params", {})["params"]
    yield
    net.chain.post("/chain/params", before)
    net.chain.post("/reset")


def options(site: Site, **more: t.Any) -> Params:
    """Clients come to the gateway itself: here is no nginx."""
    return {**site.money(), "public_url": site.net.ready["gateway"], "time_limit": 5, **more}


def look(site: Site, **more: t.Any) -> Params:
    result = documented("gateway_status", succeeded("gateway_status", options(site, **more)))
    status: Params = result["status"]
    return status


def judged(site: Site, seen: Params, **more: t.Any) -> Params:
    presence, _unused = well()
    wish = {
        "models": [{"id": site.model, "amount": site.net.ready["amount"]}],
        "slot": "main",
        "settlement_tag": "v2",
        "fee": 1_000_000,
        "settle_fee": 1_000_000,
        "min_free_mb": 0,
        "elsewhere": [],
        "rotation": None,
        "gateway_url": site.net.ready["gateway"],
        "client_url": site.net.ready["gateway"],
        **more,
    }
    about = {
        "host": "gw1",
        "looked_at": "T",
        "presence": presence,
        "presence_error": "",
        "seen_error": "",
    }
    return status_verdict({**about, "seen": seen, "edge_slot": ""}, wish)


def findings(site: Site, seen: Params, **more: t.Any) -> list[str]:
    found = judged(site, seen, **more)["findings"]
    return [f"{item['severity']}: {item['text']}" for item in found]


def serve(site: Site) -> int:
    """The only escrow that serves, open to client keys."""
    for number, item in records(site).items():
        if item["active"]:
            site.net.admin.post(f"/v1/admin/devshards/{number}/deactivate")
    number = make_escrow(site)
    limits = [{"model_id": site.model, "access_mode": "api_key"}]
    site.net.admin.post("/v1/admin/settings", {"model_limits": limits})
    site.net.forget()
    return number


def settle(site: Site, number: int) -> None:
    """The gateway does not wait for a block."""
    site.net.admin.post(f"/v1/admin/devshards/{number}/settle", {})
    site.net.chain.post("/chain/advance", {"blocks": 1})


def test_a_gateway_that_serves(site: Site) -> None:
    number = serve(site)
    seen = look(site)
    status = judged(site, seen)
    assert (status["clients"]["state"], status["slot"]) == ("served", "main")
    (model,) = status["models"]
    assert model["usable_ids"] == [number]
    assert (model["served"], model["access_mode"]) == (True, "api_key")
    assert model["hosts_available"] == model["hosts"] > 0
    assert not status["failed"], status["findings"]
    assert site.net.writes() == []


def test_nothing_is_written_and_check_mode_looks_too(site: Site) -> None:
    serve(site)
    before = site.snapshot()
    assert succeeded("gateway_status", options(site), check=True)["changed"] is False
    assert site.net.writes() == []
    assert site.snapshot() == before


def test_all_lines_fit_a_terminal(site: Site) -> None:
    serve(site)
    change(site, "devshard_escrow_params", allowed_creator_addresses=["gonka1other"])
    lines = status_table(judged(site, look(site)))
    # Ansible indents by 8, and adds quotes and a comma
    assert max(len(line) for line in lines) + 11 <= 120
    assert lines[0].startswith("DANGER: ")


def test_every_key_is_documented(site: Site) -> None:
    """Those of settings and of models are the gateway's own."""
    serve(site)

    def keys(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield key
                if key not in ("settings", "presence", "parts"):
                    yield from keys(item)
        elif isinstance(value, list):
            for item in value:
                yield from keys(item)

    status = judged(site, look(site))
    assert set(status) == set(KEYS)
    assert set(keys(status)) - set(KEYS) - set(NESTED) == set()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("escrows[?usabel].id", "there is no key usabel. Did you mean usable?"),
        ("escrow[].id", "there is no key escrow. Did you mean escrows?"),
        ("usable", "there is no key usable."),
        ("escrows[", "is not a JMESPath expression"),
        ("{a: hosst}", "Did you mean host?"),
    ],
)
def test_a_typing_error_in_a_query(expression: str, words: str) -> None:
    found = query_problem({}, expression)
    assert words in found
    assert "\n" not in found


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "@",
        "escrows[?usable].id",
        "escrows[?deadline.blocks_left < `500`] | [0].id",
        "{up: clients.state, ids: escrows[].id} | up",
        "sort_by(escrows, &deadline.blocks_left)[0]",
        "slots.main.gateway.settings.default_model",
    ],
)
def test_a_query_that_is_right(expression: str) -> None:
    assert query_problem({"x": {"default_model": "m"}}, expression) == ""


def test_only_a_query_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "JMESPATH_ERROR", ImportError("jmespath"))
    assert "(jmespath)" in query_problem({}, "usable")
    assert query_problem({}, "") == ""


# parts that do not answer


def test_the_gateway_is_down(site: Site) -> None:
    """The deadlines are told all the same."""
    number = serve(site)
    down = refused_url()
    seen = look(site, gateway_url=down, public_url=down)
    lines = findings(site, seen)
    assert any("not known: the gateway in slot main could not be asked" in line for line in lines)
    assert any("danger: no client is served" in line for line in lines)
    row = next(row for row in seen["escrows"] if row["id"] == number)
    assert row["deadline"]["blocks_left"] > 0
    assert (row["recorded"], row["usable"]) == (None, False)
    blocks = row["deadline"]["blocks_left"] + 500
    seen = look(site, gateway_url=down, public_url=down, deadline_blocks=blocks)
    lines = findings(site, seen)
    assert any(f"escrow {number} " in x and "its gateway does not answer" in x for x in lines)


@pytest.mark.parametrize("action", ["hang", "drop", "html", "truncate"])
def test_the_chain_does_not_answer(action: str, site: Site) -> None:
    """The gateway and the clients are told all the same, the chain once."""
    number = serve(site)
    status = {"status": 200} if action == "html" else {}
    site.net.chain.post("/faults", {"service": "chain", "action": action, **status})
    seen = look(site)
    assert seen["slots"]["main"]["gateway"]["active_requests"] == 0
    row = next(row for row in seen["escrows"] if row["id"] == number)
    assert row["why_not"] == ["not known on the chain"]
    lines = findings(site, seen)
    assert [line for line in lines if "devshard_chain_rest" in line] == lines[:1]
    assert len([line for line in lines if "not known" in line]) == 2, lines


@pytest.mark.parametrize("action", ["hang", "drop", "html", "truncate"])
def test_the_public_api_does_not_answer(action: str, site: Site) -> None:
    number = serve(site)
    status = {"status": 200} if action == "html" else {}
    site.net.chain.post("/faults", {"service": "public", "action": action, **status})
    seen = look(site)
    row = next(row for row in seen["escrows"] if row["id"] == number)
    assert (row["usable"], row["deadline"], row["on_chain"]) == (True, None, True)
    lines = findings(site, seen)
    assert len([line for line in lines if "devshard_public_api" in line]) == 1
    assert len([line for line in lines if line.startswith("not known")]) == 1, lines


def test_a_host_without_the_library(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    without_library(monkeypatch, "requests")
    seen = look(site)
    assert {name for name, part in seen["parts"].items() if not part["known"]} >= {
        *("main", "route", "chain", "public_api"),
    }
    lines = findings(site, seen)
    assert any("library requests is missing" in line for line in lines)


def test_the_admin_key_goes_nowhere_unless_asked(site: Site) -> None:
    number = serve(site)
    site.net.forget()
    seen = look(site, ask=[])
    assert seen["slots"] == {"main": {"gateway": None, "hosts": None, "refused": None}}
    row = next(row for row in seen["escrows"] if row["id"] == number)
    assert (row["recorded"], row["why_not"]) == (None, ["not known in the gateway"])
    asked = site.net.gateway.get("/requests")["requests"]
    assert not [entry for entry in asked if "/admin/" in entry["path"]]
    assert any("not proved to be it" in line for line in findings(site, seen))


def test_a_wrong_admin_key(site: Site) -> None:
    serve(site)
    run = run_module("gateway_status", options(site, admin_api_key="sk-admin-" + "x" * 32))
    assert not run.failed
    why = run.result["status"]["parts"]["main"]["why"]
    assert "has a different admin key" in why
    assert "x" * 32 not in run.output


# states


def test_a_disabled_gateway(site: Site) -> None:
    serve(site)
    target = "https://other.example/v1/chat/completions"
    disabled = {"enabled": True, "message": "gone", "new_url": target}
    site.net.admin.post("/v1/admin/settings", {"disabled": disabled})
    seen = look(site)
    assert (seen["route"]["status"], seen["route"]["target"]) == (308, "https://other.example")
    assert "danger: clients are sent to https://other.example by a disabled state" in "\n".join(
        findings(site, seen)
    )


def test_the_accounting_is_asked_for_where_it_is_meant_to_be_public(site: Site) -> None:
    serve(site)
    seen = look(site)
    assert (seen["accounting"], "accounting" in seen["parts"]) == (None, False)
    # the gateway itself, without an edge in front, has no such path
    seen = look(site, accounting=True)
    url = f"{site.net.ready['gateway']}/api/v1/accounting/epochs"
    assert seen["accounting"] == {"url": url, "status": 404, "schema": None}
    assert f"warning: {url} answers 404" in findings(site, seen)


@pytest.mark.parametrize(
    ("body", "schema"),
    [
        (b'{"schema_version":4,"epochs":[]}', 4),
        (b'{"schema_version":"4"}', None),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_an_answer_is_an_accounting_by_its_schema(body: bytes, schema: int | None) -> None:
    def send(request: Request) -> Response:
        assert request.url == "http://edge/api/v1/accounting/epochs"
        return Response(status=200, headers={}, body=body)

    transport: t.Any = SimpleNamespace(send=send)
    assert look_at_accounting(transport, "http://edge").schema == schema


def test_all_escrows_are_settled(site: Site) -> None:
    number = serve(site)
    settle(site, number)
    lines = findings(site, look(site))
    assert any(f"danger: no usable escrow for {site.model}" in line for line in lines), lines


@pytest.mark.parametrize("settled", [True, False])
def test_an_escrow_that_the_chain_does_not_have(
    settled: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = serve(site)
    if settled:
        settle(site, number)
    monkeypatch.setattr(ChainApi, "escrow", lambda _chain, _number: None)
    rows = {row["id"]: row for row in look(site)["escrows"]}
    row = rows[number]
    assert (row["on_chain"], row["settled"]) == (False, True if settled else None)
    # the index of the chain has its create, too late for it to be pruned
    assert row["absence"] == ("settled" if settled else "not_shown")


def test_what_a_slow_index_told_in_time_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    older = serve(site)
    number = serve(site)
    settle(site, number)
    ask, hangs, ended = ChainApi.settled_event, threading.Event(), threading.Event()

    def slow(chain: ChainApi, asked: int) -> object:
        if asked != number:
            hangs.set()
            ended.wait()
        return ask(chain, asked)

    def until_it_hangs(parts: dict[str, t.Any], left: t.Any) -> t.Any:
        if "settled" not in parts:
            return together(parts, left)
        threading.Thread(target=parts["settled"], daemon=True).start()
        hangs.wait()
        return {"settled": Part(why="the time is up")}

    monkeypatch.setattr(ChainApi, "escrow", lambda _chain, _number: None)
    monkeypatch.setattr(ChainApi, "settled_event", slow)
    monkeypatch.setattr(
        "ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_status.together",
        until_it_hangs,
    )
    rows = {row["id"]: row for row in look(site)["escrows"]}
    ended.set()
    assert (rows[number]["absence"], rows[older]["absence"]) == ("settled", "not_shown")


def test_the_creator_is_not_listed_any_more(site: Site) -> None:
    number = serve(site)
    change(site, "devshard_escrow_params", allowed_creator_addresses=["gonka1other"])
    lines = findings(site, look(site))
    assert any(
        line.startswith("danger: escrow") and str(number) in line and "no longer" in line
        for line in lines
    ), lines


def test_hosts_in_quarantine(site: Site) -> None:
    number = serve(site)
    site.net.chain.post("/faults", {"service": "hosts", "action": "drop"})
    body = {"model": site.model, "messages": [{"role": "user", "content": "hello"}]}
    with pytest.raises(AssertionError, match="/v1/chat/completions: "):
        site.net.admin.post("/v1/chat/completions", body)
    (entry,) = [e for e in look(site)["slots"]["main"]["hosts"] if e["id"] == number]
    assert entry["available"] < entry["count"]
    assert len(entry["quarantined"]) == entry["count"] - entry["available"]


def test_what_is_free_is_measured_where_the_gateway_writes(site: Site) -> None:
    (disk,) = look(site)["disks"]
    assert disk["path"] == str(site.env_file.parent)
    assert 0 < disk["free_mb"] < 2**30


def test_backups_and_the_certificate_are_looked_at_where_they_are_named(
    site: Site, tmp_path: Path
) -> None:
    serve(site)
    plain = look(site)
    assert {"backups", "certificate"}.isdisjoint(plain["parts"])
    assert (plain["backups"], plain["certificate"]) == (None, None)
    folder = tmp_path / "backups"
    seen = look(site, backup_dir=str(folder), certificate=str(tmp_path / "none.pem"))
    assert seen["backups"] == {"count": 0, "age": None}
    assert seen["certificate"] is None
    assert "none.pem" in seen["parts"]["certificate"]["why"]
    for name in ("20260101T000000Z", "20260102T000000Z"):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text('{"storage_dir": "/s"}')
    (folder / "20260103T000000Z").mkdir()  # one that was cut off
    found = look(site, backup_dir=str(folder))["backups"]
    assert found["count"] == 2
    newest = datetime(2026, 1, 2, tzinfo=timezone.utc).timestamp()
    assert found["age"] == pytest.approx(time.time() - newest, abs=60)


def test_the_days_of_a_certificate_count_down() -> None:
    end = datetime(2026, 1, 10, tzinfo=timezone.utc)
    held = Part(value=Certificate(names=(), not_before=end, not_after=end, public_key=""))
    for hours, days in ((36, 1), (1, 0), (-1, -1)):
        result = certificate_result(held, end.timestamp() - hours * 3600)
        assert result == {"expires": "2026-01-10T00:00:00+00:00", "days_left": days}

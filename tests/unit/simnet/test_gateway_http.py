# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Routes, error shapes, who may use what, status shapes, the disabled state."""

from __future__ import annotations

from pathlib import Path

import pytest

from simnet.gateway.goish import ApiError, Struct, decode
from simnet.gateway.testing import ADMIN, KIMI, QWEN, Reply, Setup, play

GUARDED = (
    "/v1/admin/state", "/v1/admin/no-such-route", "/v1/debug/rotation", "/v1/finalize",
    "/v1/state", "/devshard/1/v1/finalize", "/devshard/1/v1/state",
    "/devshard/1/v1/debug/signatures",
)  # fmt: skip
OPEN = ("/v1/status", "/metrics", "/v1/models", "/devshard/1/v1/status", "/", "/no-such-route")
TEXT = "text/plain; charset=utf-8"


def plain_404(reply: Reply) -> bool:
    return (reply.status, reply.kind, reply.body) == (404, TEXT, b"404 page not found\n")


def test_status_has_another_shape_with_exactly_one_loaded_runtime(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        none = (await client.get("/v1/status")).json
        assert (none["runtimes"], none["devshards"], none["mode"]) == (0, [], "gateway")
        assert (await client.ask("POST", "/v1/status")).status == 200
        first = await client.create()
        for active in (True, False):
            if not active:
                await client.good("POST", f"/v1/admin/devshards/{first}/deactivate")
            one = (await client.get("/v1/status")).json
            assert (one["escrow_id"], one["nonce"], one["phase"]) == (first, 0, "active")
            assert not {"runtimes", "devshards", "capacity", "mode"} & set(one)
        assert (await client.ask("HEAD", "/v1/status")).status == 405
        wrong = await client.ask("POST", "/v1/status")
        assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD")
        await client.create(KIMI)
        two = (await client.get("/v1/status")).json
        assert two["runtimes"] == 2
        assert [item["active"] for item in two["devshards"]] == [False, True]
        assert (await client.ask("HEAD", "/v1/status")).status == 200

    play(tmp_path, scenario)


def test_zero_is_left_out_in_pool_and_admin_views(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        first, _unused = await client.create(), await client.create()
        pool = (await client.get("/v1/status")).json["devshards"][0]
        assert "nonce" not in pool
        assert pool["balance"] == 4_999_990_000
        assert "nonce" not in (await client.devshard(first))["runtime"]
        assert (await client.status_of(first))["nonce"] == 0
        client.gateway.runtimes[first].session.state.balance = 0
        assert "balance" not in (await client.devshard(first))["runtime"]
        assert (await client.status_of(first))["balance"] == 0

    play(tmp_path, scenario)


def test_pool_order_is_by_text(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        for _unused in range(10):
            await client.create()
        listed = [item["id"] for item in (await client.get("/v1/status")).json["devshards"]]
        assert listed == ["1", "10", *map(str, range(2, 10))]

    play(tmp_path, scenario)


def test_disabled_is_308_before_auth_and_spares_admin_paths(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.settings(disabled={"enabled": True, "new_url": "https://x/?a=1&b"})
        for path in OPEN:
            for key in (None, ADMIN):
                reply = await client.get(path, key)
                assert (reply.status, reply.kind) == (308, "application/json"), path
                assert "Location" not in reply.headers
                expected = {
                    "message": "please use ... base url",
                    "new_url": "https://x/?a=1&b",
                    "status": 308,
                }
                assert reply.json == expected
                assert b"\\u0026b" in reply.body
        assert (await client.chat()).status == 308
        for path in GUARDED:
            assert (await client.get(path)).status == 401, path
        assert (await client.get("/v1/admin/state", ADMIN)).status == 200
        await client.settings(disabled={"enabled": False})
        kept = await client.good("GET", "/v1/admin/settings")
        assert kept["disabled"]["new_url"] == "https://x/?a=1&b"
        assert (await client.get("/v1/status")).status == 200

    play(tmp_path, scenario)


def test_without_an_admin_key_admin_paths_do_not_exist(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway(DEVSHARD_ADMIN_API_KEY="")
        for path in GUARDED:
            for key in (None, "", ADMIN):
                assert plain_404(await client.get(path, key)), path
        assert (await client.get("/v1/status")).status == 200

    play(tmp_path, scenario)


def test_wrong_admin_key_is_labelled_json_and_other_errors_are_not(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        for path in GUARDED:
            for key in (None, "wrong", ADMIN + "x"):
                reply = await client.ask("POST", path, key=key)
                assert (reply.status, reply.kind) == (401, "application/json"), path
                assert reply.json["error"]["code"] == "invalid_api_key"
        reply = await client.admin("POST", "/v1/admin/devshards/1/deactivate")
        assert (reply.status, reply.kind) == (404, TEXT)
        assert reply.body == b'{"error":{"message":"devshard 1 is not active"}}\n'

    play(tmp_path, scenario)


def test_wrong_methods(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        for method, path in (
            ("GET", "/v1/admin/devshards/1"),
            ("POST", "/v1/admin/devshards/1"),
            ("POST", "/v1/admin/devshards/1/activate"),
            ("GET", "/v1/admin/devshards/1/deactivate"),
            ("GET", "/v1/admin/devshards/1/settle"),
            ("POST", "/v1/admin/devshards/1/participants"),
            ("GET", "/v1/admin/devshards/import"),
            ("DELETE", "/v1/admin/devshards/"),
            ("GET", "/v1/admin/other"),
        ):
            assert plain_404(await client.admin(method, path)), (method, path)
        for method, path in (
            ("POST", "/v1/admin/state"),
            ("DELETE", "/v1/admin/settings"),
            ("PUT", "/v1/admin/devshards"),
            ("GET", "/v1/admin/escrows"),
            ("GET", "/v1/admin/participants/unquarantine"),
            ("POST", "/v1/debug/rotation"),
        ):
            reply = await client.admin(method, path)
            assert (reply.status, reply.body) == (405, b"method not allowed\n"), path
        models = await client.ask("POST", "/v1/models")
        assert (models.status, models.headers["Allow"]) == (405, "GET, HEAD")
        for method, path in (
            ("POST", "/v1/status"),
            ("GET", "/v1/chat/completions"),
            ("POST", "/v1/debug/signatures"),
            ("GET", "/v1/debug/sync-hosts"),
            ("PUT", "/v1/finalize"),
        ):
            reply = await client.admin(method, "/devshard/1" + path)
            assert (reply.status, reply.body) == (405, b"Method Not Allowed\n"), path
            assert reply.headers["X-Devshard-Id"] == "1"

    play(tmp_path, scenario)


def test_paths_are_cleaned_by_redirect(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        for path, clean in (
            ("/devshard//v1/finalize", "/devshard/v1/finalize"),
            ("//v1/status", "/v1/status"),
            ("/v1//admin/state", "/v1/admin/state"),
        ):
            reply = await client.ask("POST", path)
            assert (reply.status, reply.body) == (307, b""), path
            assert reply.headers["Location"] == clean

    play(tmp_path, scenario)


def test_bare_routes_need_exactly_one_runtime(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        paths = ["/v1/state", "/v1/debug/pending", "/v1/debug/state", "/v1/debug/perf"]
        paths += ["/v1/debug/pairwise", "/v1/debug/signatures"]
        for runtimes, status in ((0, 400), (1, 200), (2, 400)):
            if runtimes:
                await client.create()
            for path in paths:
                assert (await client.get(path, ADMIN)).status == status, (runtimes, path)
        for path in paths:
            assert (await client.get("/devshard/1" + path, ADMIN)).status == 200
        assert (await client.get("/devshard/1/")).status == 200
        assert (await client.get("/devshard/1/openapi.json")).status == 200
        assert (await client.get("/devshard/1/v1/models")).json["data"][0]["id"] == QWEN
        assert plain_404(await client.get("/devshard/1"))
        assert plain_404(await client.get("/devshard/1/other"))

    play(tmp_path, scenario)


def test_metrics(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        devshard = await client.create()
        await client.get(f"/devshard/{devshard}/v1/status")
        reply = await client.get("/metrics")
        assert reply.kind.startswith("text/plain; version=0.0.4")
        text = reply.body.decode()
        label = f'{{devshard_id="{devshard}",model="{QWEN}"}}'
        assert f"devshard_runtime_active{label} 1\n" in text
        assert f"devshard_runtime_active_requests{label} 0\n" in text
        counted = 'devshard_http_requests_total{method="GET",path="/devshard/{id}/v1/status",'
        assert counted + 'status="200"} 1\n' in text

    play(tmp_path, scenario)


def test_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        await client.chat(key=ADMIN)
        client = await setup.restart(client)

    caplog.set_level("INFO", "devshardctl")
    play(tmp_path, scenario)
    assert "devshardctl gateway listening on :" in caplog.text
    assert "build_runtimes_parallel count=1 active=1 inactive=0 skipped=0" in caplog.text
    assert f"api_key_suffix={ADMIN[-8:]}" in caplog.text
    assert ADMIN not in caplog.text


KIND = Struct("thing", {"amount": "uint64", "name": "string", "on": "bool", "share": "float64"})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"amount": 1, "other": [], "NAME": "x"} trailing', {"amount": 1, "name": "x"}),
        (b'{"amount": null, "on": true, "share": 1}', {"on": True, "share": 1}),
        (b"null", {}),
        (b"", "EOF"),
        (b'{"amount":', "unexpected EOF"),
        (b'{"name": "x', "unexpected EOF"),
        (b"nope", "invalid character 'n' looking for beginning of value"),
        (b"[]", "json: cannot unmarshal array into Go value of type main.thing"),
        (
            b'{"amount": "1"}',
            "json: cannot unmarshal string into Go struct field thing.amount of type uint64",
        ),
        (
            b'{"amount": -1}',
            "json: cannot unmarshal number -1 into Go struct field thing.amount of type uint64",
        ),
        (
            b'{"on": 1}',
            "json: cannot unmarshal number into Go struct field thing.on of type bool",
        ),
    ],
)
def test_requests_are_decoded_as_go_does(body: bytes, expected: object) -> None:
    if isinstance(expected, str):
        with pytest.raises(ApiError) as caught:
            decode(body, KIND)
        assert (caught.value.status, caught.value.message) == (400, expected)
    else:
        assert decode(body, KIND) == expected

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Replays recorded exchanges: status, content type, shape and error text are the real ones'."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from simnet.gateway.testing import ADMIN, API_KEY, KIMI, QWEN, Client, Reply, Setup, play, until

RECORDED: dict[str, list[dict[str, t.Any]]] = json.loads(
    (Path(__file__).parent / "data" / "gateway_exchanges.json").read_text()
)
KEYS = {"admin": ADMIN, "client": API_KEY, None: None}
# The chain's own words are in it.
OTHER_TEXT = {"create_unknown_modelid"}


def shape(value: t.Any) -> t.Any:
    if isinstance(value, bool):
        return "bool"
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if value and all(key.isdigit() for key in value):
        return {"<number>": shape(next(iter(value.values())))}
    return {key: shape(item) for key, item in value.items()}


def _ordered(value: t.Any) -> t.Any:
    """Objects as lists of pairs, since the order of keys is part of the format."""
    if isinstance(value, dict):
        return [(key, _ordered(item)) for key, item in value.items()]
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def plain(text: str) -> str:
    text = re.sub(r"gonka1[0-9a-z]+", "ADDRESS", text)
    return re.sub(r"[0-9A-F]{64}", "HASH", text)


def compare(recorded: dict[str, t.Any], reply: Reply) -> None:
    name = recorded["name"]
    assert reply.status == recorded["status"], (name, reply.body)
    if "content_type" in recorded:
        expected = recorded["content_type"].partition(";")[0]
        assert reply.kind.partition(";")[0] == expected, name
        nosniff = reply.headers.get("X-Content-Type-Options")
        assert nosniff == ("nosniff" if reply.status >= 400 and expected == "text/plain" else None)
    if "text" in recorded and recorded["method"] != "HEAD":
        assert reply.body.decode() == recorded["text"], name
    if "shape" in recorded:
        assert _ordered(shape(reply.json)) == _ordered(recorded["shape"]), name
    if "message" in recorded and name not in OTHER_TEXT:
        assert plain(reply.message) == plain(recorded["message"]), name


async def replay(
    client: Client, part: str, *, only: t.Container[str] | None = None, skip: t.Container[str] = ()
) -> None:
    for recorded in RECORDED[part]:
        name = recorded["name"]
        if name in skip or (only is not None and name not in only):
            continue
        key = KEYS[recorded["auth"]]
        if name.endswith("badkey"):
            key = "no-such-key" if key == API_KEY else key
        body = recorded["body"]
        raw = body.encode() if isinstance(body, str) else None
        reply = await client.ask(recorded["method"], recorded["path"], body, key=key, raw=raw)
        compare(recorded, reply)
        if recorded["path"] == "/v1/admin/settings" and recorded["method"] == "POST":
            # The real poller asked again before the next recorded request.
            await client.poc_known()


def test_zero_to_three_runtimes(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await replay(client, "0-runtimes")
        await replay(client, "2-runtimes")
        await client.open_models("api_key")
        limits = [
            {"model_id": QWEN, "access_mode": "api_key"},
            {"model_id": KIMI, "access_mode": "open"},
        ]
        await client.settings(model_limits=limits)
        await client.poc_known()
        busy = {"settle_busy", "finalize_busy", "deactivate_busy", "delete_busy", "state_inflight"}
        idle = ["access_bogus", "chat_nokey", "chat_badkey", "chat_client", "chat_client_cached"]
        idle += ["chat_stream", "chat_open", "chat_badjson", "chat_nomsg"]
        await replay(client, "chat-settle", only=idle)
        stream = await client.begin_stream(devshard="2", key=API_KEY)
        runtime = client.gateway.runtimes["2"]
        await replay(client, "chat-settle", only=busy - {"state_inflight"})
        stream.cancel()
        await until(lambda: not runtime.active_requests)
        await replay(client, "chat-settle", skip=[*busy, *idle])
        await client.settings(
            disabled={"enabled": True, "message": "moved", "new_url": "https://x"}
        )
        await replay(
            client,
            "lifecycle",
            only=[entry["name"] for entry in RECORDED["lifecycle"] if "dis_" in entry["name"]],
        )
        await client.good("POST", "/v1/admin/devshards/2/deactivate")
        await client.settings(disabled={"enabled": False})
        rest = [entry["name"] for entry in RECORDED["lifecycle"] if "dis_" not in entry["name"]]
        await replay(client, "lifecycle", only=rest)

    play(tmp_path, scenario)


def test_chat(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        devshard = await client.create()
        await client.open_models("api_key")
        await client.poc_known()
        for recorded in RECORDED["chat"]:
            recorded["path"] = recorded["path"].replace("/devshard/36/", f"/devshard/{devshard}/")
            if "message" in recorded:
                recorded["message"] = recorded["message"].replace("36", devshard)
        await replay(
            client, "chat", skip=["chat_429", "chat_poc_503", "chat_poc_503_again_after_poc"]
        )
        setup.chain.set_phase("PoCGenerate")
        await client.poc_known()
        await replay(client, "chat", only=["chat_poc_503"])
        setup.chain.set_phase(None)
        await client.poc_known()
        await replay(client, "chat", only=["chat_poc_503_again_after_poc"])
        limits = [{"model_id": QWEN, "access_mode": "api_key"}]
        await client.settings(model_limits=limits, max_concurrent_requests_per_10000_weight=1)
        await replay(client, "chat", only=["chat_429"])

    play(tmp_path, scenario)


def test_rotation(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        client = await setup.gateway()
        await client.create()
        before = ["rot_enable_bad_nomodels", "rot_enable_bad_amount"]
        await replay(client, "rotation-prepare", only=before)
        await client.open_models("api_key", disabled={"new_url": "https://new.example/v1"})
        await replay(client, "rotation-prepare", only=["rot_enable_bad_env"])
        await client.settings()
        await replay(client, "rotation-prepare", only=["rot_get0"])
        model = {"model_id": QWEN, "temp_count": 1, "target_count": 2, "amount": 5_000_000_000}
        await client.settings(
            escrow_rotation={
                "settlement_enabled": True,
                "pre_poc_blocks": 30_000,
                "models": [{**model, "private_key_env": "DEVSHARD_PRIVATE_KEY"}],
            }
        )
        await client.poc_known()
        await client.gateway.rotator.one_pass()
        await replay(client, "rotation-prepare", only=["rot_get_after"])
        await client.settings(escrow_rotation={"pre_poc_blocks": 1})
        setup.chain.advance_epochs(1)
        await client.poc_known()
        await client.gateway.rotator.one_pass()
        await replay(client, "rotation-finish")

    play(tmp_path, scenario)


def test_import(tmp_path: Path) -> None:
    async def scenario(setup: Setup) -> None:
        main = await setup.gateway(SIMNET_POLL_SECONDS="0.05")
        for recorded in RECORDED["import"]:
            text = json.dumps(recorded).replace("/root/.devshardctl", str(tmp_path / "main"))
            recorded.update(json.loads(text))
        temp = await setup.gateway("main/temp")
        for _unused in range(5):
            await temp.create()
        await temp.open_models()
        for devshard in ("4", "5"):
            assert (await temp.chat(devshard=devshard)).status == 200
        await setup.stop(temp)
        await replay(main, "import")
        assert (await main.status_of("5"))["nonce"] == 1

    play(tmp_path, scenario)

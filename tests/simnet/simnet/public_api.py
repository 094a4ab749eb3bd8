# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The public API of a network node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from simnet.chain import Chain
from simnet.hosts import inference_url
from simnet.jsonbody import json_reply
from simnet.txs import b64


class PublicApi:
    def __init__(self, chain: Chain, public_url: Callable[[web.Request], str]) -> None:
        self.chain = chain
        self._public_url = public_url

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/epochs/latest", self.latest_epoch),
            web.get("/v1/epochs/current/participants", self.participants),
            web.get("/v1/governance/models", self.governance_models),
            web.get("/v1/models", self.models),
        ]

    async def latest_epoch(self, request: web.Request) -> web.Response:
        chain, epoch = self.chain, self.chain.epoch
        answer: dict[str, Any] = {
            "block_height": chain.height,
            "latest_epoch": {
                "index": epoch.index,
                "poc_start_block_height": epoch.poc_start,
            },
            "phase": chain.phase,
            "epoch_stages": epoch.stages(),
            "next_epoch_stages": epoch.next().stages(),
            "epoch_params": chain.params()["epoch_params"],
            "is_confirmation_poc_active": chain.controls.confirmation_poc,
        }
        return json_reply(answer)

    async def participants(self, request: web.Request) -> web.Response:
        chain, epoch = self.chain, self.chain.epoch
        models = [model.id for model in chain.models if model.active]
        base = self._public_url(request)
        weight, preserved = chain.controls.host_weight, chain.controls.preserved_hosts
        participants = [
            {
                "index": host.address,
                "validator_key": b64(chain.block_hash(host.index, "validator")),
                "weight": weight,
                "inference_url": inference_url(base, host),
                "models": models,
                "seed": {
                    "participant": host.address,
                    "epoch_index": epoch.index,
                    "signature": "",
                },
                "ml_nodes": [
                    {
                        "ml_nodes": [
                            {
                                "node_id": f"node{host.index}",
                                "throughput": 0,
                                "poc_weight": weight,
                                "timeslot_allocation": [
                                    True,
                                    preserved is None or host.index < preserved,
                                ],
                            }
                        ]
                    }
                    for _unused in models
                ],
            }
            for host in chain.hosts
        ]
        return json_reply(
            {
                "active_participants": {
                    "participants": participants,
                    "epoch_group_id": epoch.index,
                    "poc_start_block_height": epoch.poc_start,
                    "effective_block_height": epoch.switch_height,
                    "created_at_block_height": epoch.switch_height,
                    "epoch_id": epoch.index,
                },
                "addresses": [host.address for host in chain.hosts],
            }
        )

    async def governance_models(self, request: web.Request) -> web.Response:
        return json_reply(
            {
                "models": [
                    {
                        "id": model.id,
                        "units_of_compute_per_token": "100",
                        "hf_repo": model.id,
                        "hf_commit": "",
                        "model_args": [],
                        "v_ram": "320",
                        "throughput_per_nonce": "1000",
                        "validation_threshold": {"value": "970", "exponent": -3},
                    }
                    for model in self.chain.models
                ]
            }
        )

    async def models(self, request: web.Request) -> web.Response:
        return json_reply(
            {
                "object": "list",
                "data": [
                    {"id": model.id, "object": "model", "created": 0, "owned_by": "gonka"}
                    for model in self.chain.models
                    if model.active
                ],
            }
        )

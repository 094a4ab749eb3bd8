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


def _as_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


class PublicApi:
    def __init__(self, chain: Chain, public_url: Callable[[web.Request], str]) -> None:
        self.chain = chain
        self._public_url = public_url
        self._asked = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/epochs/latest", self.latest_epoch),
            web.get("/v1/epochs/current/participants", self.participants),
            web.get("/v1/governance/models", self.governance_models),
            web.get("/v1/models", self.models),
        ]

    async def latest_epoch(self, request: web.Request) -> web.Response:
        chain, epoch = self.chain, self.chain.epoch
        shapes = chain.controls.epochs_shapes or [chain.release.epochs_shape]
        shape = shapes[self._asked % len(shapes)]
        self._asked += 1
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
        if shape == "transition":
            answer["epoch_params"] = chain.params()
            answer["active_confirmation_poc_event"] = None
        elif shape == "flat":
            given = chain.params()["epoch_params"]
            answer["epoch_params"] = {name: _as_number(value) for name, value in given.items()}
            answer["effective_epoch_index"] = chain.effective_epoch
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
                **(self._validators() if chain.release.newer_queries else {}),
            }
        )

    def _validators(self) -> dict[str, Any]:
        """Numbers, or texts while the shape is that of the transition."""
        chain = self.chain
        transition = "transition" in chain.controls.epochs_shapes
        weight: int | str = chain.controls.host_weight
        power = str(weight) if transition else weight
        return {
            "validators": [
                {
                    "address": chain.block_hash(host.index, "validator").hex()[:40].upper(),
                    "voting_power": power,
                    "proposer_priority": "0" if transition else 0,
                }
                for host in chain.hosts
            ],
            "excluded_participants": [
                {"address": address, "reason": "downtime", "exclusion_block_height": chain.height}
                for address in chain.controls.excluded_hosts
            ],
        }

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

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the chain answers to queries, in proto JSON: the same by REST, by RPC and by gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simnet import queries, txs
from simnet.bank import DENOM
from simnet.chain import Chain
from simnet.hosts import inference_url

Data = dict[str, Any]
_ACTIVE = 1


class NotFoundError(Exception):
    """The chain does not have what was asked for."""


class Answers:
    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    # --- inference module ------------------------------------------------------

    def params(self) -> Data:
        return {"params": self.chain.params()}

    def escrow(self, number: int) -> Data:
        escrow = self.chain.escrows.get(number)
        return {"escrow": escrow, "found": escrow is not None}

    def participant(self, address: str, public_url: str) -> Data:
        host = self.chain.host_by_address.get(address)
        if host is None or address in self.chain.controls.removed_hosts:
            raise NotFoundError("not found")
        coins = str(self.chain.coin_balance(address))
        zero = {"value": "0", "exponent": 0}
        return {
            "participant": {
                "index": address,
                "address": address,
                "weight": 1000,
                "join_time": "0",
                "join_height": "0",
                "last_inference_time": "0",
                "inference_url": inference_url(public_url, host),
                "status": "ACTIVE",
                "coin_balance": coins,
                "validator_key": "",
                "consecutive_invalid_inferences": "0",
                "worker_public_key": "",
                "epochs_completed": 5,
                "current_epoch_stats": {
                    "inference_count": "0",
                    "missed_requests": "0",
                    "earned_coins": coins,
                    "rewarded_coins": "0",
                    "burned_coins": "0",
                    "validated_inferences": "0",
                    "invalidated_inferences": "0",
                    "invalidLLR": zero,
                    "inactiveLLR": zero,
                    "confirmationPoCRatio": None,
                },
            }
        }

    def epoch_group(self, index: int, model: str) -> Data:
        """The group of an epoch, or of one model in it; only the running epoch is known."""
        chain, epoch = self.chain, self.chain.epoch
        active = [each.id for each in chain.models if each.active]
        if index not in (epoch.index, chain.effective_epoch) or (model and model not in active):
            raise NotFoundError("not found")
        weight = chain.controls.host_weight
        weights: list[Data] = [
            {
                "member_address": host.address,
                "weight": str(weight * (1 if model else len(active))),
                "reputation": 100,
                "ml_nodes": [
                    {"node_id": f"node{host.index}", "throughput": "0", "poc_weight": str(weight)}
                ]
                if model
                else [],
                "confirmation_weight": "0",
                "voting_power": str(weight) if model else "0",
            }
            for host in chain.hosts
        ]
        return {
            "epoch_group_data": {
                "poc_start_block_height": str(epoch.poc_start),
                "epoch_group_id": str(epoch.index),
                "epoch_policy": "",
                "effective_block_height": str(epoch.switch_height),
                "last_block_height": "0",
                "member_seed_signatures": [],
                "validation_weights": weights,
                "unit_of_compute_price": "100",
                "number_of_requests": "0",
                "previous_epoch_requests": "0",
                "validation_params": None,
                "total_weight": str(sum(int(entry["weight"]) for entry in weights)),
                "model_id": model,
                "sub_group_models": [] if model else active,
                "epoch_index": str(index),
                "model_snapshot": None,
                "total_throughput": "0",
            }
        }

    def epoch_info(self) -> Data:
        chain, epoch = self.chain, self.chain.epoch
        return {
            "block_height": str(chain.height),
            "params": chain.params(),
            "latest_epoch": {
                "index": str(epoch.index),
                "poc_start_block_height": str(epoch.poc_start),
            },
            "is_confirmation_poc_active": chain.controls.confirmation_poc,
            "active_confirmation_poc_event": None,
        }

    def grantees(self) -> Data:
        return {"grantees": []}

    def preserved_nodes(self) -> Data:
        return {"found": False, "snapshot": None}

    # --- bank and accounts -----------------------------------------------------

    def balances(self, address: str) -> Data:
        amount = self.chain.bank.balance(address)
        coins = [{"denom": DENOM, "amount": str(amount)}] if amount else []
        return {"balances": coins, "pagination": {"next_key": None, "total": str(len(coins))}}

    def account(self, address: str) -> Data:
        """Packed, as protobuf has it."""
        account = self.chain.bank.account(address)
        if account is None:
            raise NotFoundError(f"account {address} not found: key not found")
        body: Data = {
            "address": account.address,
            "account_number": account.number,
            "sequence": account.sequence,
        }
        if account.public_key:
            key = queries.encode(queries.PUBLIC_KEY, {"key": txs.b64(account.public_key)})
            body["pub_key"] = {"type_url": txs.PUBKEY_TYPE, "value": txs.b64(key)}
        raw = queries.encode(queries.BASE_ACCOUNT, body)
        return {"account": {"type_url": queries.BASE_ACCOUNT_TYPE, "value": txs.b64(raw)}}

    # --- by the path of a query --------------------------------------------------

    def query(self, path: str, raw: bytes, public_url: str) -> bytes:
        """Bytes in, bytes out, as every protobuf service does it."""
        question, answer = queries.QUERIES[path]
        return queries.encode(answer, self._query(path, queries.decode(question, raw), public_url))

    def _query(self, path: str, asked: Mapping[str, Any], public_url: str) -> Data:
        if path == queries.PARTICIPANT:
            found = self.participant(asked["index"], public_url)
            return {"participant": {**found["participant"], "status": _ACTIVE}}
        found_by: dict[str, Callable[[], Data]] = {
            queries.PARAMS: self.params,
            queries.ESCROW: lambda: self.escrow(int(asked["id"])),
            queries.BALANCES: lambda: self.balances(asked["address"]),
            queries.ACCOUNT: lambda: self.account(asked["address"]),
            queries.EPOCH_GROUP: lambda: self.epoch_group(
                int(asked["epoch_index"]), asked["model_id"]
            ),
            queries.EPOCH_INFO: self.epoch_info,
            queries.GRANTEES: self.grantees,
            queries.PRESERVED: self.preserved_nodes,
        }
        return found_by[path]()

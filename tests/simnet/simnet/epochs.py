# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Epoch arithmetic: stages, phases and the effective epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PHASES = ("PoCGenerate", "PoCGenerateWindDown", "PoCValidate", "PoCValidateWindDown", "Inference")


@dataclass(frozen=True, slots=True)
class EpochParams:
    length: int
    poc_duration: int
    poc_exchange: int
    validation_delay: int
    validation_duration: int
    new_validators_delay: int
    validation_cutoff: int

    @classmethod
    def from_chain(cls, params: Mapping[str, Any]) -> EpochParams:
        return cls(
            int(params["epoch_length"]),
            int(params["poc_stage_duration"]),
            int(params["poc_exchange_duration"]),
            int(params["poc_validation_delay"]),
            int(params["poc_validation_duration"]),
            int(params["set_new_validators_delay"]),
            int(params["inference_validation_cutoff"]),
        )

    @property
    def switch_offset(self) -> int:
        """Blocks from PoC start to the new validators."""
        return (
            self.poc_duration
            + self.validation_delay
            + self.validation_duration
            + self.new_validators_delay
        )


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: its index and the height at which its PoC begins."""

    index: int
    poc_start: int
    params: EpochParams

    @property
    def switch_height(self) -> int:
        return self.poc_start + self.params.switch_offset

    @property
    def next_poc_start(self) -> int:
        return self.poc_start + self.params.length

    def next(self) -> Epoch:
        return Epoch(self.index + 1, self.next_poc_start, self.params)

    def effective_index(self, height: int) -> int:
        """The epoch that stamps escrows: it follows the new validators, not the PoC start."""
        return self.index if height >= self.switch_height else self.index - 1

    def phase(self, height: int) -> str:
        stages = self.stages()
        if height >= self.switch_height:
            return "Inference"
        if height < stages["poc_generation_wind_down"]:
            return "PoCGenerate"
        if height < stages["poc_validation_start"]:
            return "PoCGenerateWindDown"
        if height < stages["poc_validation_wind_down"]:
            return "PoCValidate"
        return "PoCValidateWindDown"

    def stages(self) -> dict[str, Any]:
        params, start = self.params, self.poc_start
        generation_end = start + params.poc_duration
        validation_start = generation_end + params.validation_delay
        validation_end = validation_start + params.validation_duration
        return {
            "epoch_index": self.index,
            "poc_start": start,
            "poc_generation_wind_down": generation_end - params.poc_exchange,
            "poc_generation_end": generation_end,
            "poc_validation_start": validation_start,
            "poc_validation_wind_down": validation_end - 1,
            "poc_validation_end": validation_end,
            "set_new_validators": self.switch_height,
            "claim_money": self.switch_height + 1,
            "inference_validation_cutoff": self.next_poc_start - params.validation_cutoff,
            "next_poc_start": self.next_poc_start,
            "poc_exchange_window": {
                "start": start + 1,
                "end": generation_end + params.poc_exchange,
            },
            "poc_validation_exchange_window": {
                "start": validation_start + 1,
                "end": validation_end,
            },
        }

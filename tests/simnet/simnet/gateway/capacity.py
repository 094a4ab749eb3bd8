# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Weights, the limiter and the picker: what a pool of escrows can take."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from simnet.gateway.generation import Generation
from simnet.gateway.goish import ApiError, number
from simnet.gateway.participants import Participants
from simnet.gateway.poller import Weights
from simnet.gateway.runtime import Runtime
from simnet.gateway.settings import Settings, limit_of

PER = 10_000


def access_mode(settings: Settings, model: str) -> str:
    entry = limit_of(settings, model) or {}
    return str(entry.get("access_mode") or "admin_only")


@dataclass(slots=True)
class Load:
    """What is in flight."""

    requests: int = 0
    tokens: int = 0
    requests_of: Counter[str] = field(default_factory=Counter)
    tokens_of: Counter[str] = field(default_factory=Counter)

    def add(self, model: str, tokens: int, sign: int = 1) -> None:
        self.requests += sign
        self.tokens += sign * tokens
        self.requests_of[model] += sign
        self.tokens_of[model] += sign * tokens


class Capacity:
    """Everything that follows from weights, settings and loaded runtimes."""

    def __init__(
        self,
        settings: Settings,
        weights: Weights,
        runtimes: Mapping[str, Runtime],
        participants: Participants,
        preserved: set[str] | None,
        generation: Generation,
    ) -> None:
        """``preserved``: during PoC those hosts that go on serving, else nothing."""
        self._generation = generation
        self._settings = settings
        self._weights = weights
        self._runtimes = runtimes
        self._participants = participants
        per = "max_concurrent_requests_per_10000_weight"
        self._per = settings[per if preserved is None else f"poc_{per}"]
        self._hosts = {host for runtime in runtimes.values() for host in runtime.session.links}
        self._up = {
            host
            for host in self._hosts
            if not participants.blocked(host) and (preserved is None or host in preserved)
        }

    def models(self) -> list[str]:
        return sorted({*self._weights, *(runtime.model for runtime in self._runtimes.values())})

    def _weight(self, model: str, hosts: Iterable[str]) -> int:
        known = self._weights.get(model, {})
        return sum(known.get(host, 0) for host in hosts)

    def full(self, model: str) -> int:
        return self._weight(model, self._hosts)

    def current(self, model: str) -> int:
        return self._weight(model, self._up)

    def _routable(self, model: str) -> int:
        return sum(
            runtime.routable for runtime in self._runtimes.values() if runtime.model == model
        )

    def escrow_weights(self) -> dict[str, float]:
        """A host's weight, split among the escrows by the slots that it has in them."""
        slots: Counter[str] = Counter()
        for runtime in self._runtimes.values():
            for link in runtime.session.links.values():
                slots[link.address] += len(link.slots)
        whole = {
            host: sum(of_model.get(host, 0) for of_model in self._weights.values())
            for host in self._up
        }
        return {
            runtime.id: sum(
                whole.get(link.address, 0) * len(link.slots) / slots[link.address]
                for link in runtime.session.links.values()
            )
            for runtime in sorted(self._runtimes.values(), key=lambda entry: entry.id)
        }

    # --- limits ----------------------------------------------------------------

    def request_cap(self, model: str) -> int | None:
        """How many requests of a model at once; nothing is no limit."""
        if self._weights and self.full(model) > 0:
            return self.current(model) * int(self._per) // PER
        static = (limit_of(self._settings, model) or self._settings)["max_concurrent_requests"]
        return int(static) if static > 0 else None

    def token_cap(self, model: str) -> int | None:
        static = (limit_of(self._settings, model) or self._settings)["max_input_tokens_in_flight"]
        if static <= 0:
            return None
        full = self.full(model)
        return int(static * self.current(model) / full) if full else int(static)

    def admit(self, load: Load, model: str, tokens: int) -> None:
        if self._generation.no_host_status != 429:
            self.need_hosts(model)
        cap = self.request_cap(model)
        if cap is not None and load.requests_of[model] + 1 > cap:
            counts = self._counts(load.requests_of[model], cap)
            raise ApiError(429, f"rate limit exceeded: too many concurrent requests{counts}")
        limit = self.token_cap(model)
        if limit is not None and load.tokens_of[model] + tokens > limit:
            counts = self._counts(load.tokens_of[model], limit)
            raise ApiError(429, f"rate limit exceeded: too many input tokens in flight{counts}")

    def _counts(self, now: int, most: int) -> str:
        return f" ({now}/{most})" if self._generation.limit_counts else ""

    def need_hosts(self, model: str) -> None:
        """Asked also where the limits are not in force: without any weight nobody is admitted."""
        if self._weights and self.full(model) > 0 and self.current(model) == 0:
            raise ApiError(self._generation.no_host_status, self._generation.no_host_text)

    # --- views -----------------------------------------------------------------

    def capacity_json(self) -> dict[str, t.Any]:
        full = sum(self._weight(model, self._hosts) for model in self._weights)
        current = sum(self._weight(model, self._up) for model in self._weights)
        observed = {host for of_model in self._weights.values() for host in of_model}
        scale = current / full if full else 1
        matched_now, matched = len(self._up & observed), len(self._hosts & observed)
        return {
            "total_weight": current,
            "baseline_weight": full,
            "lost_weight": full - current,
            "scale_factor": number(scale),
            "available_percent": number(scale * 100),
            "lost_percent": number(100 - scale * 100),
            "host_count": len(self._hosts),
            "available_host_count": len(self._up),
            "unavailable_host_count": len(self._hosts) - len(self._up),
            "current_weight_matched_hosts": matched_now,
            "current_weight_fallback_hosts": len(self._up) - matched_now,
            "baseline_weight_matched_hosts": matched,
            "baseline_weight_fallback_hosts": len(self._hosts) - matched,
            "observed_current_weight_keys": len(observed),
            "observed_full_weight_keys": len(observed),
            "escrow_weights": {key: number(value) for key, value in self.escrow_weights().items()},
            **({"models": self._models_json()} if self.models() else {}),
        }

    def _models_json(self) -> dict[str, t.Any]:
        return {model: self._model_json(model) for model in self.models()}

    def _model_json(self, model: str) -> dict[str, t.Any]:
        full, routable = self.full(model), self._routable(model)
        current = self.current(model) if routable else 0
        scale = self._scale(model)
        entry = limit_of(self._settings, model) or {}
        message = entry.get("access_message")
        return {
            "total_weight": current,
            "current_weight": current,
            "full_weight": full,
            "baseline_weight": full,
            "lost_weight": full - current,
            "scale_factor": number(scale),
            "limit_share": number(scale),
            "available_percent": number(scale * 100),
            "lost_percent": number(100 - scale * 100),
            "active_devshards": sum(
                runtime.active for runtime in self._runtimes.values() if runtime.model == model
            ),
            "routable_devshards": routable,
            "routable": routable > 0,
            "access_enabled": True,
            "access_mode": access_mode(self._settings, model),
            **({"access_message": message} if message else {}),
        }

    def _scale(self, model: str) -> float:
        if not self._routable(model):
            return 0
        full = self.full(model)
        return self.current(model) / full if full else 1

    def limiter_json(self, load: Load) -> dict[str, t.Any]:
        settings = self._settings
        full = sum(self._weight(model, self._hosts) for model in self._weights)
        current = sum(self._weight(model, self._up) for model in self._weights)
        scale = current / full if full else 1
        return {
            "in_flight_requests": load.requests,
            "in_flight_input_tokens": load.tokens,
            "max_concurrent_requests": settings["max_concurrent_requests"],
            "max_input_tokens_in_flight": settings["max_input_tokens_in_flight"],
            "effective_max_concurrent_requests": int(settings["max_concurrent_requests"] * scale),
            "effective_max_input_tokens_in_flight": int(
                settings["max_input_tokens_in_flight"] * scale
            ),
            "scale_factor": number(scale),
            **(
                {"models": {model: self._limit_json(model, load) for model in self.models()}}
                if self.models()
                else {}
            ),
        }

    def _limit_json(self, model: str, load: Load) -> dict[str, t.Any]:
        source = limit_of(self._settings, model) or self._settings
        full, scale = self.full(model), self._scale(model)
        weighed = bool(self._weights) and full > 0
        cap = full * self._per // PER if weighed else source["max_concurrent_requests"]
        current = self.current(model) if self._routable(model) else 0
        now = current * self._per // PER if weighed else int(cap * scale)
        tokens = source["max_input_tokens_in_flight"]
        result = {
            "in_flight_requests": load.requests_of[model],
            "in_flight_input_tokens": load.tokens_of[model],
            "max_concurrent_requests": cap,
            "max_input_tokens_in_flight": tokens,
            "effective_max_concurrent_requests": now,
            "effective_max_input_tokens_in_flight": int(tokens * scale),
            "capacity_cap_requests": cap,
            "current_capacity_cap_requests": now,
            "capacity_cap_input_tokens": tokens,
            "current_capacity_cap_input_tokens": int(tokens * scale),
            "scale_factor": number(scale),
        }
        if current:
            result["current_weight"] = current
        if full:
            result["baseline_weight"] = full
        if self._per:
            result["max_concurrent_requests_per_10000_weight"] = self._per
        return result


# --- choosing a runtime ----------------------------------------------------------


def supported_models(runtimes: Iterable[Runtime]) -> list[str]:
    return sorted({runtime.model for runtime in runtimes if runtime.routable})


def check_model(runtimes: Mapping[str, Runtime], model: str) -> None:
    """Unknown models are refused, unless nothing at all can be served."""
    known = supported_models(runtimes.values())
    if known and model not in known:
        raise ApiError(400, f'unsupported model "{model}"; supported models: {", ".join(known)}')


class Picker:
    def __init__(self) -> None:
        self._turn = 0

    def pick(
        self,
        runtimes: Mapping[str, Runtime],
        model: str | None,
        nonce_limit: int,
        participants: Participants,
        weights: Mapping[str, float],
        refused: Collection[str] = (),
    ) -> Runtime:
        """The least busy runtime by weight; of equals each in turn. No model is any model."""
        if model is not None:
            check_model(runtimes, model)
        skipped: Counter[str] = Counter()
        candidates: list[Runtime] = []
        for runtime in runtimes.values():
            if model is not None and runtime.model != model:
                continue
            if runtime.id in refused:
                skipped["cannot_fund_request"] += 1
            elif not runtime.active:
                skipped["inactive"] += 1
            elif runtime.on_hold:
                skipped["on_hold"] += 1
            elif runtime.session.phase != "active":
                skipped[runtime.session.phase] += 1
            elif runtime.session.nonce >= nonce_limit:
                skipped["high_nonce"] += 1
            else:
                candidates.append(runtime)
        if not candidates:
            text = "no devshard runtimes available for new inferences"
            if skipped:
                listed = ", ".join(f"{name}={count}" for name, count in sorted(skipped.items()))
                text += f" (skipped: {listed})"
            raise ApiError(502, text)
        usable = [
            runtime
            for runtime in candidates
            if any(not participants.blocked(host) for host in runtime.session.links)
        ]
        if not usable:
            raise ApiError(429, "no available escrows: participant request budget exhausted")
        busy = {
            runtime.id: runtime.active_requests / (weights.get(runtime.id) or 1)
            for runtime in usable
        }
        least = min(busy.values())
        best = [runtime for runtime in usable if busy[runtime.id] == least]
        chosen = best[self._turn % len(best)]
        self._turn += 1
        return chosen

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The gateway's settings: what differs, and what must be sent for it (contract gateway.md §1.6).

The gateway merges scalars, replaces lists whole, and ignores what it does not know without an
error.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ConfigurationError, ProtocolError, TransportError
from .._core.reader import Reader

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Settings = dict[str, t.Any]


class Posts(t.Protocol):
    def post_settings(self, patch: dict[str, t.Any]) -> object: ...


_ELSEWHERE: t.Final = {
    "model_limits": "access_mode in devshard_models (model_limits)",
    "disabled": "the option disabled",
    "escrow_rotation": "the module gonka.devshard.escrow_rotation",
}
_OMITTED_WHEN_ZERO: t.Final = frozenset({"tx_gas_limit"})
NOT_SETTABLE: t.Final = frozenset({("participant_throttle", "eof_transport_failure_threshold")})
_INHERITED: t.Final = ("max_concurrent_requests", "max_input_tokens_in_flight")


@dataclass(frozen=True, kw_only=True)
class SettingsWish:
    settings: Mapping[str, t.Any] = field(default_factory=dict)
    model_limits: Sequence[Mapping[str, t.Any]] | None = None
    purge_model_limits: bool = False
    disabled: Mapping[str, t.Any] | None = None


@dataclass(frozen=True, kw_only=True)
class SettingsPlan:
    """``patch`` is what is posted; empty means that nothing differs and nothing is posted.

    ``settings`` is everything as the gateway will show it.
    """

    patch: Settings
    settings: Settings
    before: Settings
    after: Settings


def _compare(current: Mapping[str, t.Any], wanted: Mapping[str, t.Any], path: str) -> Settings:
    patch: Settings = {}
    for name, value in wanted.items():
        where = f"{path}{name}"
        if name not in current and name not in _OMITTED_WHEN_ZERO:
            known = ", ".join(sorted(current))
            raise ConfigurationError(
                f"the gateway has no setting {where}, and would ignore it without an error. It "
                f"has: {known}"
            )
        found = current.get(name, 0)
        if isinstance(found, dict) or isinstance(value, dict):
            if not isinstance(value, dict) or not isinstance(found, dict):
                raise ConfigurationError(
                    f"{where}: expected {'a dict' if isinstance(found, dict) else 'no dict'}"
                )
            for part in value:
                if (name, part) in NOT_SETTABLE:
                    raise ConfigurationError(f"the gateway shows {where}.{part} but cannot set it")
            if nested := _compare(found, value, f"{where}."):
                patch[name] = nested
        elif isinstance(value, bool) != isinstance(found, bool) or (
            isinstance(value, str) != isinstance(found, str)
        ):
            raise ConfigurationError(
                f"{where}: the gateway holds {type(found).__name__}, got {type(value).__name__}"
            )
        elif value != found:
            patch[name] = value
    return patch


def merge_limits(
    current: Sequence[Mapping[str, t.Any]],
    wanted: Sequence[Mapping[str, t.Any]],
    *,
    purge: bool,
    inherited: Mapping[str, t.Any],
) -> list[Settings]:
    """The whole list after this run: entries are merged by model, the others stay.

    A new entry without limits would mean no limit at all for that model, so it gets the general
    ones.
    """
    merged: dict[str, Settings] = {str(item["model_id"]): dict(item) for item in current}
    named: list[str] = []
    for item in wanted:
        model = str(item["model_id"])
        if model in named:
            raise ConfigurationError(f"devshard_models (model_limits) names {model} twice")
        named.append(model)
        given = {key: value for key, value in item.items() if value is not None}
        base = merged.get(model) or {name: inherited[name] for name in _INHERITED}
        # as the gateway prints it, so that the prediction equals what it will show
        merged[model] = {
            key: value
            for key, value in {**base, **given}.items()
            if key in _INHERITED or value not in (0, "")
        }
    return [entry for model, entry in merged.items() if not purge or model in named]


def plan(current: Mapping[str, t.Any], wish: SettingsWish) -> SettingsPlan:
    """Pure. Raises ConfigurationError for what the gateway would ignore or cannot hold."""
    for name, instead in _ELSEWHERE.items():
        if name in wish.settings:
            raise ConfigurationError(f"settings must not hold {name}; use {instead}")
    patch = _compare(current, wish.settings, "")
    if wish.model_limits is not None:
        found = _limits(current)
        limits = merge_limits(
            found,
            wish.model_limits,
            purge=wish.purge_model_limits,
            inherited={**dict.fromkeys(_INHERITED, 0), **current, **wish.settings},
        )
        if _by_model(limits) != _by_model(found):
            patch["model_limits"] = limits
    if wish.disabled is not None:
        if wish.disabled.get("message") == "":
            raise ConfigurationError("disabled.text: the gateway cannot hold an empty message")
        given = {key: value for key, value in wish.disabled.items() if value is not None}
        held = {"new_url": "", **Reader(dict(current), "settings").child("disabled").raw()}
        if differs := {key: value for key, value in given.items() if held.get(key) != value}:
            patch["disabled"] = differs
    after = _apply(current, patch)
    return SettingsPlan(
        patch=patch, settings=after, before=_shown(current, patch), after=_shown(after, patch)
    )


def _limits(current: Mapping[str, t.Any]) -> list[Settings]:
    """The gateway's list; it is sent back whole, so a half-read one would close models."""
    entries = Reader(dict(current), "settings").children("model_limits", [])
    for entry in entries:
        entry.text("model_id")
    return [entry.raw() for entry in entries]


def _by_model(limits: Sequence[Mapping[str, t.Any]]) -> dict[str, Settings]:
    """The gateway leaves out what is zero or empty, so such fields do not count."""
    return {
        str(item["model_id"]): {key: value for key, value in item.items() if value not in (0, "")}
        for item in limits
    }


def _apply(current: Mapping[str, t.Any], patch: Mapping[str, t.Any]) -> Settings:
    after = dict(current)
    for name, value in patch.items():
        found = after.get(name)
        after[name] = {**found, **value} if isinstance(found, dict) else value
    # what is empty the gateway leaves out
    if not after.get("model_limits"):
        after.pop("model_limits", None)
    for name in _OMITTED_WHEN_ZERO:
        if after.get(name) == 0:
            del after[name]
    disabled = after.get("disabled")
    if isinstance(disabled, dict) and disabled.get("new_url") == "":
        after["disabled"] = {key: value for key, value in disabled.items() if key != "new_url"}
    return after


def _shown(settings: Mapping[str, t.Any], patch: Mapping[str, t.Any]) -> Settings:
    return {name: settings.get(name) for name in patch}


def send(gateway: Posts, patch: Settings) -> TransportError | None:
    """Post once. A lost answer is returned: only the settings afterwards show the result."""
    try:
        gateway.post_settings(patch)
    except TransportError as exc:
        if exc.details.get("sent") is False:
            raise
        return exc
    return None


def check_applied(answered: Mapping[str, t.Any], wish: SettingsWish) -> None:
    """The gateway silently drops values that it does not accept; reading back proves it."""
    left = plan(answered, wish).patch
    if left:
        raise ProtocolError(
            f"the gateway accepted the settings but did not apply {', '.join(sorted(left))}",
            not_taken=sorted(left),
        )


# who may use a model, from everybody to few
_ACCESS: t.Final = ("open", "api_key", "admin_only")


def access_modes(settings: Mapping[str, t.Any], models: Iterable[str]) -> dict[str, str]:
    """The mode of each model as the gateway's settings have it; without an entry: administrators."""
    limits = {item.get("model_id"): item for item in settings.get("model_limits") or []}
    return {model: (limits.get(model) or {}).get("access_mode") or "admin_only" for model in models}


def access_gap(default_model: str, modes: Mapping[str, str]) -> str | None:
    """What clients can use without permission because they name no model; None when nothing.

    ``modes`` are the access modes of the models that have an escrow. A request without a model is
    admitted by the mode of the default model, and then served by any escrow, of any model in turn
    (contract gateway.md §1.5).
    """

    def strictness(mode: str) -> int:
        return _ACCESS.index(mode) if mode in _ACCESS else len(_ACCESS) - 1

    allowed = modes.get(default_model, "admin_only")
    spent = sorted(
        f"{model} ({mode})"
        for model, mode in modes.items()
        if model != default_model and strictness(mode) > strictness(allowed)
    )
    if not spent:
        return None
    return (
        f"A request that names no model is admitted by the access mode of the default model"
        f" {default_model} ({allowed}) and then served by an escrow of any model. So clients of"
        f" {default_model} can also spend the escrows of {', '.join(spent)}. Give all models of"
        " this gateway the same access_mode, list the most restricted model first in devshard_models, or"
        " serve it from a gateway of its own"
    )

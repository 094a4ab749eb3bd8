# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``gateway_settings``."""

from __future__ import annotations

import typing as t

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.gateway import gateway_of
from .._core.errors import DevshardError
from .._gateway.settings import (
    SettingsWish,
    check_applied,
    plan,
    send,
)

_LIMIT = {
    "model_id": {"type": "str", "required": True},
    "access_mode": {"type": "str", "choices": ["open", "api_key", "admin_only"]},
    "access_message": {"type": "str"},
    "max_concurrent_requests": {"type": "int"},
    "max_input_tokens_in_flight": {"type": "int", "no_log": False},
    "default_request_max_tokens": {"type": "int", "no_log": False},
    "request_max_tokens_cap": {"type": "int", "no_log": False},
}
_DISABLED = {
    "enabled": {"type": "bool", "required": True},
    "text": {"type": "str"},
    "new_url": {"type": "str"},
}

SPEC = _argspec.ArgumentSpec(
    options={
        "settings": {"type": "dict", "default": {}},
        "model_limits": {"type": "list", "elements": "dict", "options": _LIMIT},
        "purge_model_limits": {"type": "bool", "default": False},
        "disabled": {"type": "dict", "options": _DISABLED},
    },
).merge(_argspec.gateway())


def disabled_state(option: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
    """The option in the gateway's own words."""
    if option is None:
        return None
    return {
        "enabled": option["enabled"],
        "message": option["text"],
        "new_url": option["new_url"],
    }


def work(context: Context) -> Outcome:
    params = context.params
    wish = SettingsWish(
        settings=params["settings"],
        model_limits=params["model_limits"],
        purge_model_limits=params["purge_model_limits"],
        disabled=disabled_state(params["disabled"]),
    )
    found = gateway_of(context).settings()
    changes = plan(found, wish)
    after = changes.settings
    if changes.patch and not context.check_mode:
        lost = send(gateway_of(context), changes.patch)
        try:
            after = gateway_of(context).settings()
            check_applied(after, wish)
        except DevshardError as exc:
            exc.details["changed"] = True
            raise (lost or exc) from exc
    return Outcome(
        changed=bool(changes.patch),
        values={
            "settings": after,
            "actions": [f"set {name}" for name in sorted(changes.patch)],
        },
        before=changes.before,
        after=changes.after,
    )

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""The proxies of a host, as ``devshard_proxy_env`` names them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.gonka.devshard.plugins.module_utils._core.urls import (
    url_faults,
    without_user,
)

NAME: t.Final = "devshard_proxy_env"
_URLS: t.Final = ("http_proxy", "https_proxy")
_NAMES: t.Final = (*_URLS, "no_proxy")
_LOOPBACK: t.Final = ("localhost", "127.0.0.1", "::1")
"""A key for the gateway stays on the host, whatever the user lists."""


def proxy_faults(given: object) -> list[str]:
    """What is wrong with the setting, each as a sentence that begins with its name."""
    if not isinstance(given, dict):
        return [f"{NAME} must be a dictionary with {', '.join(_NAMES)}"]
    faults = []
    for name, value in given.items():
        if str(name).lower() not in _NAMES:
            faults.append(f"{NAME} must not contain {name}, only {', '.join(_NAMES)}")
        elif not isinstance(value, str) or not value.isprintable():
            faults.append(f"{NAME}: {name} must be text of one line")
        elif not value or str(name).lower() == "no_proxy":
            continue
        elif "@" in value:
            faults.append(
                f"{NAME}: {name} must not contain a user name or a password:"
                f" {without_user(value)}. Tasks pass it on the command line, which every user of the"
                " host can read. Let the proxy accept the address of the host instead"
            )
        else:
            faults += url_faults({f"{NAME}: {name}": value})
    return faults


def proxy_environment(given: t.Mapping[str, str]) -> dict[str, str]:
    """The variables for tasks, in both spellings that programs read. The host itself needs none."""
    found = {name.lower(): value for name, value in given.items() if value}
    if not found.keys() & set(_URLS):
        return {}
    listed = [item.strip() for item in found.get("no_proxy", "").split(",") if item.strip()]
    found["no_proxy"] = ",".join(dict.fromkeys((*listed, *_LOOPBACK)))
    return {**found, **{name.upper(): value for name, value in found.items()}}

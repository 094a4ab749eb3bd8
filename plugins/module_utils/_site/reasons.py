# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the prediction of a module says about a part, in words. Pure: results in, reasons out."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Values = Mapping[str, t.Any]
    Reasons = Callable[[Values, bool], list[str]]


def of_gateway_plan(values: Values, changed: bool) -> list[str]:
    """The container as the role ``gateway`` judges it."""
    del changed
    plan = values["plan"]
    reasons = list(plan["refused"])
    if not plan["known"]:
        reasons.append(f"which containers run could not be checked: {plan['unknown']}")
    elif not plan["engine"]:
        reasons.append("no Docker Engine answers")
    elif not plan["exists"]:
        reasons.append("there is no container")
    elif not plan["running"]:
        reasons.append("the container does not run")
    reasons += plan["reasons"]
    if not plan["pinned"]:
        reasons.append("the image is not known by its digest yet")
    if not plan["recorded"]:
        reasons.append("there is no deploy record")
    return reasons


def of_env(values: Values, changed: bool) -> list[str]:
    if not changed:
        return []
    env = values["env"]
    if env["differing"]:
        return [f"{env['path']} differs in {', '.join(env['differing'])}"]
    return [f"{env['path']} has another form or mode"]


def of_edge(values: Values, changed: bool) -> list[str]:
    del changed
    return list(values["edge_config"]["reasons"])


def of_creator_key(values: Values, changed: bool) -> list[str]:
    del values
    if not changed:
        return []
    return ["the keyring does not hold the creator's key, or others than root can read it"]


def of_actions(values: Values, changed: bool) -> list[str]:
    """Modules that list what they would do."""
    if not changed:
        return []
    return list(values.get("actions") or ["it differs"])


def of_settings(values: Values, changed: bool) -> list[str]:
    if not changed:
        return []
    names = [action.removeprefix("set ") for action in values["actions"]]
    return [f"the gateway has other settings: {', '.join(names)}"]


def of_escrows(values: Values, changed: bool) -> list[str]:
    reasons = []
    if values["created"]:
        models = sorted({str(entry["model"]) for entry in values["created"]})
        count = len(values["created"])
        word = "escrow is" if count == 1 else "escrows are"
        reasons.append(f"{count} {word} missing for {', '.join(models)}")
    for key, text in (("adopted", "not registered"), ("reactivated", "inactive")):
        if values[key]:
            numbers = ", ".join(str(number) for number in values[key])
            reasons.append(f"paid for and {text}: escrow {numbers}")
    if values["pending"]:
        models = sorted({str(intent["model"]) for intent in values["pending"]})
        reasons.append(f"the outcome of a create is not known yet, for {', '.join(models)}")
    if changed and not reasons:
        reasons += list(values["actions"]) or ["it differs"]
    return reasons


def of_settle(values: Values, changed: bool) -> list[str]:
    """Escrows that rotation only switched off."""
    del changed
    numbers = [str(escrow["id"]) for escrow in values["escrows"]]
    return [f"out of service and not settled: escrow {', '.join(numbers)}"] if numbers else []


def nothing(values: Values, changed: bool) -> list[str]:
    """For a question that fails, or is answered for its values alone."""
    del values, changed
    return []

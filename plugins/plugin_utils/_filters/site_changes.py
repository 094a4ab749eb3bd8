# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what differs on a host from the settings, as lines for the terminal."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

SHOWN: t.Final = 4
"""Reasons of a part; all of them are in the plan."""
LONGEST: t.Final = 240

NAMES: t.Final = {
    "docker_engine": "Docker Engine",
    "inferenced": "the program inferenced",
    "environment": "the deploy directory and the environment file",
    "creator": "the creator",
    "gateway": "the gateway",
    "edge": "the edge",
    "escrow": "the escrows and the access",
    "rotation": "the rotation",
}


def plan_lines(plan: Mapping[str, t.Sequence[str]]) -> list[str]:
    """Each part with its first reasons."""
    lines = []
    for part, reasons in plan.items():
        shown = [_short(reason) for reason in reasons[:SHOWN]]
        if len(reasons) > SHOWN:
            shown.append(f"{len(reasons) - SHOWN} more")
        lines.append(f"{NAMES.get(part, part)}: {'; '.join(shown)}")
    return lines


def _short(reason: str) -> str:
    return reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 1]}…"


def site_changes(look: object, host: object, check: object = False) -> list[str]:
    """Returns the lines: what is special on the host, and each part that is worked on, and why."""
    if not isinstance(look, Mapping) or not isinstance(look.get("plan"), Mapping):
        raise AnsibleFilterError("site_changes: the result of site_plan is needed")
    lines = [f"{host}: {note}" for note in look.get("notes") or ()]
    if look["plan"]:
        would = "would be worked on" if check else "is worked on"
        lines.append(f"{host}: what differs from the settings {would}:")
        lines += [f"- {line}" for line in plan_lines(look["plan"])]
    return lines

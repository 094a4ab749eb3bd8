# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the last line of the preflight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.preflight_findings import (
    FAILED,
    NEAR,
    NOTE,
    OK,
    UNKNOWN,
    WARNING,
)


def preflight_verdict(findings: object, host: object) -> dict[str, object]:
    """The last line of preflight, and whether a deployment may begin and all is well."""
    if not isinstance(findings, Sequence) or isinstance(findings, str):
        raise AnsibleFilterError("preflight_verdict: the result of preflight_findings is needed")
    verdicts = (FAILED, UNKNOWN, NEAR, WARNING, NOTE, OK)
    by: dict[str, list[Mapping[str, str]]] = {verdict: [] for verdict in verdicts}
    for finding in findings:
        by[finding["verdict"]].append(finding)

    def named(verdict: str) -> str:
        return "; ".join(f"{item['check']}: {item['detail']}" for item in by[verdict])

    unknown = ", ".join(item["check"] for item in by[UNKNOWN])
    if by[FAILED]:
        text = f"not ready: {named(FAILED)}"
    elif unknown:
        text = f"ready as far as known; not known: {unknown}"
    else:
        text = "ready"
    if by[NEAR]:
        text += f". In danger: {named(NEAR)}"
    if by[WARNING]:
        text += f". Warning: {named(WARNING)}"
    if by[NOTE]:
        text += f". Note: {named(NOTE)}"
    return {"text": f"{host}: {text}", "ready": not by[FAILED], "safe": not by[NEAR]}

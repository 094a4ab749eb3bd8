# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the verdict about one gateway in one line."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError


def status_line(status: object, whole: object = False) -> str:
    """Return the verdict: the worst finding and what else is wrong, or ``whole``, all of them."""
    if not isinstance(status, Mapping):
        raise AnsibleFilterError("status_line: a dict is needed")
    clients = status["clients"]
    served = f"redirected to {clients['to']}" if clients["to"] else clients["state"]
    bad = [f for f in status["findings"] if f["severity"] in ("danger", "not known")]
    milder = sum(1 for finding in status["findings"] if finding["severity"] == "warning")
    if whole and bad:
        return "; ".join(f"{finding['severity']}: {finding['text']}" for finding in bad)
    if bad:
        others = ", ".join(dict.fromkeys(str(finding["about"]) for finding in bad[1:]))
        more = f"; {len(bad) - 1} more, about {others}" if others else ""
        return f"{bad[0]['severity']}: {bad[0]['text']}{more}"
    warnings = f", {milder} warning(s)" if milder else ""
    return f"clients {served}, nothing is in danger{warnings}"

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what the state of one gateway means."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._status.verdict import status_of


def status_verdict(look: object, wish: object) -> dict[str, t.Any]:
    """Return everything about one host: the observed state, what it means, the worst first."""
    if not isinstance(look, Mapping) or not isinstance(wish, Mapping):
        raise AnsibleFilterError("status_verdict: two dicts are needed")
    try:
        return status_of(look, wish)
    except TypeError as exc:
        raise AnsibleFilterError(f"status_verdict: {exc}") from exc

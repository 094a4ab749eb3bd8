# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what retiring a gateway means, given what is on its host."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._presence.retirement import (
    Seen,
    Wish,
    plan,
)


def retire_plan(
    presence: object, *, remove: bool = False, base_url: bool = False
) -> dict[str, t.Any]:
    """Return the state of the gateway with the steps to take, or why none may be taken."""
    if not isinstance(presence, Mapping) or "paths" not in presence:
        raise AnsibleFilterError("retire_plan: the presence as presence_info has it is needed")
    wish = Wish(remove=remove, base_url=base_url)
    return plan(Seen.of(presence), wish, presence["deploy_dir"]).to_result()

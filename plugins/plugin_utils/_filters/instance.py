# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The names and paths of one gateway of a host."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import Instance


def instance(name: object, state_dir: str) -> dict[str, t.Any]:
    """Return all that follows from the name of a gateway as plain data."""
    if not isinstance(name, str):
        raise AnsibleFilterError("instance: a name is needed, empty for a gateway without one")
    try:
        return Instance(name).to_result(state_dir)
    except ConfigurationError as exc:
        raise AnsibleFilterError(str(exc)) from exc

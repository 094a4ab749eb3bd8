# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Compares the names of the host's variables with those that the collection reads."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    describe,
    known_variables,
    unknown_variables,
)

Result = dict[str, t.Any]

SPEC: t.Final = _argspec.ArgumentSpec(
    options={"foreign": {"type": "list", "elements": "str", "default": []}}
)
ROLES: t.Final = Path(__file__).resolve().parents[2] / "roles"


class ActionModule(ActionBase):
    """See the documentation of module gonka.devshard.variable_check."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        validate: t.Callable[..., t.Any] = self.validate_argument_spec
        _valid, options = validate(argument_spec=SPEC.options)
        found = unknown_variables(task_vars or {}, known_variables(ROLES), options["foreign"])
        if found:
            host = (task_vars or {}).get("inventory_hostname")
            result |= {
                "failed": True,
                "msg": f"{host}: {describe(found)}",
                "unknown": [name for name, _close in found],
            }
        return result

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Checks the settings of several roles on the controller, before anything is touched."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import (
    VARIABLE,
    name_fault,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    ALLOW,
    describe,
    known_variables,
    unknown_variables,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._role_scope import (
    ROLES,
    SHARED,
    RoleScopes,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import (
    READS,
    faults_of,
    generation_of,
)

Result = dict[str, t.Any]

SPEC: t.Final = _argspec.ArgumentSpec(
    options={
        "roles": {"type": "list", "elements": "str", "default": []},
        "shared": {"type": "bool", "default": True},
    }
)


class ActionModule(ActionBase):
    """See the documentation of module gonka.devshard.settings_check."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        validate: t.Callable[..., t.Any] = self.validate_argument_spec
        _valid, options = validate(argument_spec=SPEC.options)
        given = dict(task_vars or {})
        scopes = RoleScopes(self._loader, self._templar, given)
        unknown: list[tuple[str, str | None]] = []
        faults: list[str] = []
        generation = None
        lacking: set[str] = set()
        for role in dict.fromkeys([SHARED] * options["shared"] + options["roles"]):
            spec = scopes.specs(role)["main"].get("options", {})
            values, wrong = self._values(scopes, role, spec)
            # one that is required and missing is reported once, not for each that follows from it
            wrong = [text for text in wrong if not any(f"'{name}'" in text for name in lacking)]
            if role == SHARED:
                lacking = {name for name, option in spec.items() if option.get("required")}
                lacking -= set(values)
                foreign = values.get(ALLOW) or []
                unknown = unknown_variables(given, known_variables(ROLES), foreign)
                if fault := name_fault(values.get(VARIABLE, "")):
                    # names and paths of all roles follow from it
                    faults = [fault]
                    break
                generation, fault = generation_of(values)
                if fault:
                    # what the roles read of the generation would only repeat it
                    faults = [fault]
                    break
            # a fault of the shared settings is the reason of others
            faults += wrong or faults_of(role, values, spec, generation)
        if unknown:
            faults.insert(0, describe(unknown))
        if faults:
            host = given.get("inventory_hostname")
            result |= {
                "failed": True,
                "msg": f"{host}: {'. '.join(faults)}.",
                "faults": faults,
                "unknown": [name for name, _close in unknown],
            }
        return result

    @staticmethod
    def _values(scopes: RoleScopes, role: str, spec: Result) -> tuple[Result, list[str]]:
        """The settings of a role, and what is wrong with those that have no value."""
        templar = scopes.templar(role)
        values: Result = {}
        wrong = []
        for name in (*spec, *READS.get(role, ())):
            if name in templar.available_variables:
                try:
                    values[name] = templar.template(templar.available_variables[name])
                except AnsibleError as exc:
                    wrong.append(f"{name} has no value: {exc.message.rstrip('.')}")
        return values, wrong

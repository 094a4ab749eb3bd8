# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""The variables as a role sees them, for actions that read several roles without running them."""

from __future__ import annotations

import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

Variables = dict[str, t.Any]

SHARED: t.Final = "devshard"
"""The role whose settings all others see."""
ROLES: t.Final = Path(__file__).resolve().parents[2] / "roles"


class RoleScopes:
    """Defaults, what the user set, and the roles' own variables, in Ansible's order."""

    def __init__(self, loader: DataLoader, templar: Templar, given: Variables) -> None:
        self._loader = loader
        self._templar = templar
        self._given = given
        self._files: dict[tuple[str, str], Variables] = {}

    def specs(self, role: str) -> Variables:
        """The argument specs of the role's entry points."""
        specs: Variables = self._read(role, "meta/argument_specs.yml")["argument_specs"]
        return specs

    def look(self, role: str) -> Variables:
        """What the role declares of itself for the look of the playbook site."""
        return self._read(role, "meta/look.yml")

    def variables(self, role: str, found: Variables | None = None) -> Variables:
        """``found`` is what the role's tasks would have determined by now."""
        roles = [SHARED] if role == SHARED else [SHARED, role]
        scope: Variables = {}
        for name in roles:
            scope |= self._read(name, "defaults/main.yml")
        scope |= self._given
        for name in roles:
            scope |= self._read(name, "vars/main.yml")
        place = str(ROLES / role)
        return scope | {"role_path": place, "ansible_search_path": [place]} | (found or {})

    def templar(self, role: str, found: Variables | None = None) -> Templar:
        return self._templar.copy_with_new_env(available_variables=self.variables(role, found))

    def _read(self, role: str, name: str) -> Variables:
        """Each file is read once, and never changed by those who ask for it."""
        if (role, name) not in self._files:
            path = ROLES / role / name
            self._files[role, name] = (
                self._loader.load_from_file(str(path), trusted_as_template=True) or {}
                if path.is_file()
                else {}
            )
        return self._files[role, name]

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Compares a host with the settings: what each role manages is declared beside the role."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._site.model import (
    completed,
    joined,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._role_scope import (
    SHARED,
    RoleScopes,
)

Result = dict[str, t.Any]

SPEC: t.Final = _argspec.ArgumentSpec(
    options={
        "roles": {"type": "list", "elements": "str", "default": []},
        "settings": {"type": "dict", "default": {}},
    }
)
MODULE: t.Final = "gonka.devshard.site_look_info"
ADMIN: t.Final = frozenset(
    {"escrow", "escrow_info", "escrow_rotation", "escrow_settle", "gateway_settings"}
)
"""Questions that show the admin key, which only this gateway may see."""


class Refused(Exception):
    """A run of the module on the host that failed, as it was."""

    def __init__(self, result: Result) -> None:
        super().__init__(str(result.get("msg")))
        self.result = result


class ActionModule(ActionBase):
    """See the documentation of module gonka.devshard.site_plan."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        validate: t.Callable[..., t.Any] = self.validate_argument_spec
        _valid, options = validate(argument_spec=SPEC.options)
        self._said: list[t.Any] = []
        try:
            found = self._look(options["roles"], {**(task_vars or {}), **options["settings"]})
        except Refused as exc:
            return result | exc.result
        return result | found | ({"warnings": self._said} if self._said else {})

    def _look(self, roles: list[str], given: Result) -> Result:
        scopes = RoleScopes(self._loader, self._templar, given)
        looks = {role: scopes.look(role) for role in dict.fromkeys([SHARED, *roles])}
        shared: Result = {
            name: scopes.templar(role).template(look[name])
            for role, look in looks.items()
            for name in ("common", "secrets")
            if name in look
        }
        first = self._ask(self._first(scopes, looks), shared, given)
        if "host" not in first["predictions"]:
            raise Refused({"failed": True, "msg": "; ".join(first["plan"]["host"])})
        host = first["predictions"]["host"]["presence_info"][0]
        presence, refusal = host["presence"], host["refusal"]
        found: Result = {
            "ansible_facts": {**first["host"]["ansible_facts"], **given.get("ansible_facts", {})},
            "__site_first": first,
            "__site_presence": presence,
        }
        whole: Result = {
            "changed": False,
            "presence": presence,
            "refusal": refusal or "",
            "notes": host["notes"],
            "plan": {},
            "predictions": {},
            "warnings_of_roles": [
                text
                for role, look in looks.items()
                for text in scopes.templar(role).template(look.get("warnings", []))
            ],
        }
        if refusal:
            return whole | {
                "failed": True,
                "msg": f"{given.get('inventory_hostname')}: {refusal}",
            }
        parts, reasons = self._parts(scopes, looks, found)
        if not presence["gateway_proved"]:
            parts, unasked = without_admin(parts)
            reasons += unasked
        second = self._ask({"parts": parts}, shared, given)
        known = [item for plan in (first["plan"], second["plan"]) for item in plan.items()]
        whole["plan"] = completed(joined([*known, *reasons]))
        whole["predictions"] = merged(first["predictions"], second["predictions"])
        return whole | told_others(whole["predictions"])

    @staticmethod
    def _first(scopes: RoleScopes, looks: dict[str, Result]) -> Result:
        """What has to be known before the rest can be said."""
        asked: Result = {"host": True, "parts": [], "stats": [], "texts": []}
        for role, look in looks.items():
            wanted = scopes.templar(role).template(look.get("first", {}))
            for name, items in wanted.items():
                asked[name] += items
        return asked

    @staticmethod
    def _parts(
        scopes: RoleScopes, looks: dict[str, Result], found: Result
    ) -> tuple[list[Result], list[tuple[str, list[str]]]]:
        """The parts of all roles, and why some of them cannot be compared."""
        parts, reasons = [], []
        for role, look in looks.items():
            seen: Result | None = None
            for part in look.get("parts", []):
                try:
                    if seen is None:
                        seen = found | scopes.templar(role, found).template(look.get("found", {}))
                    wanted = scopes.templar(role, seen).template(part)
                except AnsibleError as exc:
                    why = f"it could not be compared: {exc.message.rstrip('.')}"
                    reasons.append((part["name"], [why]))
                    continue
                reasons.append((part["name"], wanted.pop("reasons", [])))
                parts.append(wanted)
        return parts, reasons

    def _ask(self, asked: Result, shared: Result, given: Result) -> Result:
        result: Result = self._execute_module(
            module_name=MODULE, module_args={**asked, **shared}, task_vars=given
        )
        # both runs may say the same
        for said in result.get("warnings") or ():
            if said not in self._said:
                self._said.append(said)
        if result.get("failed") or result.get("unreachable"):
            raise Refused(result)
        return result


def merged(first: Result, second: Result) -> Result:
    """The predictions of both runs; what is on the host is in the result by itself."""
    return {
        part: {**first.get(part, {}), **second.get(part, {})}
        for part in {**first, **second}
        if part != "host"
    }


def told_others(predictions: Result) -> Result:
    """What the hosts of the play report to each other, since they may share a creator."""
    reports = predictions.get("escrow", {}).get("escrow_info")
    if not reports:
        return {}
    creator = reports[0]["creator"] or ""
    ids = [escrow["id"] for escrow in reports[0]["escrows"] if escrow["recorded"]]
    told: Result = {"held": {"creator": creator, "ids": ids}}
    rotations = predictions.get("rotation", {}).get("escrow_rotation")
    if rotations:
        rotation = rotations[0]["rotation"]
        payer = creator if rotation["enabled"] else ""
        told["rotation_need"] = {"creator": payer, "amount": rotation["funding_needed"]}
    return told


def without_admin(parts: list[Result]) -> tuple[list[Result], list[tuple[str, list[str]]]]:
    """The parts without what shows the admin key, and what was left out."""
    kept, reasons = [], []
    for part in parts:
        questions = part.get("questions", [])
        left = [item for item in questions if item["module"] not in ADMIN]
        out = [
            f"{item['what']} could not be checked: the gateway is not known to run"
            for item in questions
            if item["module"] in ADMIN
        ]
        kept.append({**part, "questions": left})
        reasons.append((part["name"], list(dict.fromkeys(out))))
    return kept, reasons

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``site_look_info``: many questions in one run."""

from __future__ import annotations

import typing as t

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import DevshardError
from .._edge.nginx import ask_loopback
from .._site import model, observe, reasons
from . import (
    allowlist,
    certificate_info,
    creator_key,
    edge_config,
    escrow,
    escrow_info,
    escrow_rotation,
    escrow_settle,
    gateway_env,
    gateway_plan_info,
    gateway_settings,
    presence_info,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Args = dict[str, t.Any]


class Question(t.NamedTuple):
    """A module that predicts, and what its prediction says."""

    spec: _argspec.ArgumentSpec
    work: Callable[[Context], Outcome]
    reasons: reasons.Reasons
    secrets: bool = False
    """Whether it takes the secrets of the gateway."""


QUESTIONS: t.Final[Mapping[str, Question]] = {
    "allowlist": Question(allowlist.SPEC, allowlist.work, reasons.nothing),
    "certificate_info": Question(certificate_info.SPEC, certificate_info.work, reasons.nothing),
    "creator_key": Question(creator_key.SPEC, creator_key.work, reasons.of_creator_key),
    "edge_config": Question(edge_config.SPEC, edge_config.work, reasons.of_edge),
    "escrow": Question(escrow.SPEC, escrow.work, reasons.of_escrows),
    "escrow_info": Question(escrow_info.SPEC, escrow_info.work, reasons.nothing),
    "escrow_rotation": Question(escrow_rotation.SPEC, escrow_rotation.work, reasons.of_actions),
    "escrow_settle": Question(escrow_settle.SPEC, escrow_settle.work, reasons.of_settle),
    "gateway_env": Question(gateway_env.SPEC, gateway_env.work, reasons.of_env, secrets=True),
    "gateway_plan_info": Question(
        gateway_plan_info.SPEC, gateway_plan_info.work, reasons.of_gateway_plan, secrets=True
    ),
    "gateway_settings": Question(gateway_settings.SPEC, gateway_settings.work, reasons.of_settings),
    "presence_info": Question(presence_info.SPEC, presence_info.work, reasons.nothing),
}

WHEN_LEFT: t.Final = "rotation_does_not_settle"

_FILE: t.Final[_argspec.Options] = {
    "path": {"type": "path", "required": True},
    "state": {
        "type": "str",
        "default": "file",
        "choices": ["file", "directory", "link", "absent"],
    },
    "sha256": {"type": "str"},
    "mode": {"type": "str"},
    "owner": {"type": "str"},
    "target": {"type": "path"},
    "entry_of": {"type": "path"},
    "fields": {"type": "dict"},
    "options": {"type": "dict"},
}
_PART: t.Final[_argspec.Options] = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "services": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "list", "elements": "dict", "options": _FILE, "default": []},
    "programs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "argv": {"type": "list", "elements": "str", "required": True},
            "says": {"type": "str", "required": True},
        },
    },
    "answers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "url": {"type": "str", "required": True},
            "name": {"type": "str"},
            "status": {"type": "list", "elements": "int", "required": True},
        },
    },
    "questions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "module": {"type": "str", "required": True, "choices": sorted(QUESTIONS)},
            "what": {"type": "str", "required": True},
            "args": {"type": "dict", "default": {}},
            "when": {"type": "str", "choices": [WHEN_LEFT]},
        },
    },
}
SPEC = _argspec.ArgumentSpec(
    options={
        "parts": {"type": "list", "elements": "dict", "options": _PART, "default": []},
        "common": {"type": "dict", "default": {}},
        "secrets": {
            "type": "dict",
            # each of them is masked by itself
            "no_log": False,
            "options": {
                name: {"type": "str", "no_log": True}
                for name in ("private_key", "api_keys", "admin_api_key")
            },
        },
        "host": {"type": "bool", "default": False},
        "stats": {"type": "list", "elements": "path", "default": []},
        "texts": {"type": "list", "elements": "path", "default": []},
    }
)
ANSWER_TIMEOUT: t.Final = 5


class Looking:
    """One look. What two parts ask for is asked once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._params = context.params
        self.predictions: dict[str, dict[str, list[Args]]] = {}
        parts = self._params["parts"]
        self._installed = self._try(
            lambda: observe.see_packages(
                [name for part in parts for name in part["packages"]], context.try_program
            )
        )
        self._services = self._try(
            lambda: observe.see_services(
                [name for part in parts for name in part["services"]], context.try_program
            )
        )

    @staticmethod
    def _try(look: Callable[[], t.Any]) -> t.Any:
        """The observed state, or why nothing could be observed, as text."""
        try:
            return look()
        except OSError as exc:
            return exc.strerror or str(exc)

    def part(self, part: Args) -> list[str]:
        found: list[str] = []
        if part["packages"]:
            found += (
                [f"packages could not be checked: {self._installed}"]
                if isinstance(self._installed, str)
                else model.package_reasons(part["packages"], self._installed)
            )
        for name in part["services"]:
            found += (
                [f"the service {name} could not be checked: {self._services}"]
                if isinstance(self._services, str)
                else model.service_reasons(name, self._services[name])
            )
        for wanted in part["files"]:
            wish = model.FileWish(**wanted)
            found += model.file_reasons(wish, observe.see_file(wish))
        for program in part["programs"]:
            found += model.program_reasons(
                program["argv"], program["says"], self._said(program["argv"])
            )
        for answer in part["answers"]:
            found += model.answer_reasons(
                answer["url"], answer["status"], self._status(answer["url"], answer["name"])
            )
        for question in part["questions"]:
            found += self._ask(part["name"], question)
        return found

    def _said(self, argv: list[str]) -> tuple[int, str] | None:
        try:
            status, stdout, stderr = self._context.try_program(argv)
        except OSError:
            return None
        return status, f"{stdout} {stderr}"

    @staticmethod
    def _status(url: str, name: str | None) -> int | str:
        try:
            return ask_loopback(url, name, ANSWER_TIMEOUT).status
        except DevshardError as exc:
            return str(exc)

    def _ask(self, part: str, question: Args) -> list[str]:
        name, what = question["module"], question["what"]
        mine = self.predictions.setdefault(part, {})
        if question["when"] == WHEN_LEFT and not _left_to_settle(mine):
            return []
        asked = QUESTIONS[name]
        args = {
            key: value for key, value in self._params["common"].items() if key in asked.spec.options
        }
        if asked.secrets:
            secrets = self._params["secrets"] or {}
            args |= {key: value for key, value in secrets.items() if value is not None}
        try:
            outcome = asked.work(self._context.inner(asked.spec, {**args, **question["args"]}))
        except (DevshardError, OSError) as exc:
            return [f"{what} could not be checked: {_text(exc)}"]
        mine.setdefault(name, []).append(outcome.values)
        return [f"{what}: {reason}" for reason in asked.reasons(outcome.values, outcome.changed)]


def _left_to_settle(mine: Mapping[str, list[Args]]) -> bool:
    """Whether rotation is on and leaves settling to others; if that is not known, it may be."""
    if not mine.get("escrow_rotation"):
        return True
    rotation = mine["escrow_rotation"][-1]["rotation"]
    return bool(rotation["enabled"]) and not rotation["settlement_enabled"]


def _text(exc: Exception) -> str:
    if isinstance(exc, PermissionError):
        return f"{exc.filename}: permission denied. Run with become: true"
    return str(exc)


def work(context: Context) -> Outcome:
    params = context.params
    looking = Looking(context)
    found = [(part["name"], looking.part(part)) for part in params["parts"]]
    values: Args = {
        "plan": model.joined(found),
        "predictions": looking.predictions,
        "stats": {path: observe.see_stat(path) for path in params["stats"]},
        "texts": {path: observe.see_text(path) for path in params["texts"]},
    }
    if params["host"]:
        values["host"] = observe.see_host(context.try_program)
    return Outcome(changed=False, values=values)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Runs a whole module in this process, from its arguments to what it prints."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import typing as t
from dataclasses import dataclass
from unittest import mock

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from ansible_collections.gonka.devshard.plugins.module_utils._core import libraries

PACKAGE = "ansible_collections.gonka.devshard.plugins"


@dataclass(frozen=True)
class ModuleRun:
    """``output`` is everything that was printed, as the controller and its log get it."""

    result: dict[str, t.Any]
    output: str
    exit_code: int

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def msg(self) -> str:
        return str(self.result["msg"])

    @property
    def kind(self) -> str:
        return str(self.result["failure"]["kind"])


def load(name: str) -> t.Any:
    return importlib.import_module(f"{PACKAGE}.modules.{name}")


def load_action(name: str) -> t.Any:
    return importlib.import_module(f"{PACKAGE}.action.{name}")


def run_module(
    name: str, params: t.Mapping[str, t.Any], *, check: bool = False, verbose: bool = False
) -> ModuleRun:
    """``verbose`` is what ``-vvv`` and ANSIBLE_DISPLAY_TRACEBACK make of it."""
    arguments = {
        **params,
        "_ansible_check_mode": check,
        "_ansible_diff": True,
        "_ansible_verbosity": 3 if verbose else 0,
        "_ansible_tracebacks_for": ["error", "warning"] if verbose else [],
    }
    out = io.StringIO()
    code: int | None = None
    with (
        mock.patch.dict(warnings._global_warnings, clear=True),
        mock.patch.dict(warnings._global_deprecations, clear=True),
        # on the managed host no display of the controller takes the warnings
        mock.patch.object(_internal, "is_controller", False),
        patch_module_args(arguments),
        contextlib.redirect_stdout(out),
    ):
        try:
            load(name).main()
        except SystemExit as exc:
            code = int(exc.code or 0)
    assert code is not None, f"{name} ended without a result"
    lines = [line for line in out.getvalue().splitlines() if line.strip()]
    assert len(lines) == 1, "a module prints one line of JSON and nothing else"
    run = ModuleRun(json.loads(lines[0]), out.getvalue(), code)
    assert run.failed == (code != 0)
    assert "deprecations" not in run.result
    return run


def succeeded(name: str, params: t.Mapping[str, t.Any], *, check: bool = False) -> dict[str, t.Any]:
    """The result, without what Ansible adds to it."""
    run = run_module(name, params, check=check)
    assert not run.failed, run.msg
    return {key: value for key, value in run.result.items() if key != "invocation"}


def failed(name: str, params: t.Mapping[str, t.Any], *, check: bool = False) -> ModuleRun:
    run = run_module(name, params, check=check)
    assert run.failed, run.output
    return run


def without(result: t.Any, paths: tuple[str, ...]) -> t.Any:
    """A copy without some fields; ``*`` in a path stands for each item of a list."""
    copied = copy.deepcopy(result)
    for path in paths:
        _remove(copied, path.split("."))
    return copied


def _remove(value: t.Any, path: list[str]) -> None:
    if path[0] == "*":
        for item in value:
            _remove(item, path[1:])
    elif len(path) == 1:
        value.pop(path[0], None)
    elif path[0] in value:
        _remove(value[path[0]], path[1:])


def without_library(monkeypatch: pytest.MonkeyPatch, *gone: str) -> None:
    """A host that lacks these Python libraries."""
    monkeypatch.setattr(
        libraries,
        "why_missing",
        lambda name: ImportError(f"No module named '{name}'") if name in gone else None,
    )

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``gateway_env``."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import ConfigurationError
from .._core.files import write_private
from .._gateway import env as _gateway_env
from .._gateway import env_file, staged_keys
from .._host import docker_cli

SPEC = _argspec.ArgumentSpec(
    options={
        "path": {"type": "path", "required": True},
        "purge": {"type": "bool", "default": False},
        "container_name": {"type": "str"},
        "adopt": {"type": "bool", "default": False},
    },
).merge(_argspec.environment())

_MODE = 0o600
HEADER = "Managed by gonka.devshard. For Compose and for 'source'; it holds secrets."


def _shown(mode: int, variables: dict[str, str]) -> dict[str, object]:
    return {"mode": f"0{mode:o}", "variables": variables}


def running(context: Context) -> dict[str, str]:
    """What the container has besides the variables of its image; empty where there is none."""
    name = context.params["container_name"]
    docker = None if name is None else docker_cli.find(context.try_program)
    if docker is None:
        return {}
    found = [one for one in docker_cli.containers(docker) if one.container.name == name]
    environment = dict(found[0].own_variables) if found else {}
    context.hide_secrets(environment)
    return environment


def work(context: Context) -> Outcome:
    return write(context, Path(context.params["path"]), adopting=context.params["adopt"])[0]


def write(context: Context, file: Path, *, adopting: bool) -> tuple[Outcome, dict[str, str]]:
    """Also the variables that the file holds now, or would hold."""
    notes = staged_keys.read(file)
    wish = _gateway_env.wish(context.params, notes.staged, context.hide_secrets)
    text, present = _gateway_env.present(file, wish, context.hide_secrets)
    plan = _gateway_env.plan(wish, present, running(context), str(file), adopting=adopting)
    context.hide_secrets(plan.variables)
    wanted = env_file.render(plan.variables, HEADER)
    there = None if text is None else file.stat()
    mode = None if there is None else stat.S_IMODE(there.st_mode)
    changed = wanted != text or mode != _MODE
    if changed and not context.check_mode:
        if not file.parent.is_dir():
            raise ConfigurationError(f"there is no directory {file.parent} for the file")
        write_private(file, wanted)
        if there is not None and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(file, there.st_uid, there.st_gid)
    if notes.staged and not context.check_mode:
        # after the file that holds them now
        staged_keys.write(file, notes.used())
    outcome = Outcome(
        changed=changed,
        values={
            "env": {
                "path": str(file),
                "names": sorted(plan.variables),
                "generated": list(plan.generated),
                "differing": sorted({*plan.added, *plan.changed, *plan.removed}),
            }
        },
        before={} if mode is None else _shown(mode, env_file.shown(present or {})),
        after=_shown(_MODE, env_file.shown(plan.variables, plan.changed)),
    )
    return outcome, dict(plan.variables)

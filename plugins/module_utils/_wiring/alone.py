# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The work of modules that only read, in a program that runs without Ansible."""

from __future__ import annotations

import asyncio
import os
import typing as t

from .._adapter import Context
from .._core.errors import ConfigurationError, UnknownStateError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._adapter import Outcome
    from .._argspec import ArgumentSpec

HIDDEN: t.Final = "********"


async def _run(argv: list[str], environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, err = await process.communicate()
    # it has ended, so it has a code
    return process.returncode or 0, out, err


class Alone:
    """What a context needs of ``AnsibleModule``."""

    check_mode = False

    def __init__(self, spec: ArgumentSpec, given: Mapping[str, t.Any]) -> None:
        self.params = filled(spec, given)
        self.no_log_values: set[str] = set()

    def run_command(
        self,
        argv: list[str],
        *,
        environ_update: Mapping[str, str],
        check_rc: bool,
        handle_exceptions: bool,
    ) -> tuple[int, str, str]:
        if check_rc:
            raise AssertionError("the code of a program is judged by its caller")
        try:
            code, out, err = asyncio.run(_run(argv, {**os.environ, **environ_update}))
        except OSError as exc:
            if not handle_exceptions:
                raise
            raise UnknownStateError(f"{argv[0]} does not run: {exc.strerror}") from exc
        return code, out.decode(errors="replace"), err.decode(errors="replace")

    def warn(self, text: str) -> None:
        """The metrics show what a warning would say."""

    def fail_json(self, msg: str, **_more: object) -> t.NoReturn:
        raise ConfigurationError(msg)


def filled(spec: ArgumentSpec, given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options with their defaults. They come from a role that has checked them."""
    if unknown := sorted(set(given) - set(spec.options)):
        raise ConfigurationError(f"unknown option(s): {', '.join(unknown)}")
    params = {name: option.get("default") for name, option in spec.options.items()}
    params |= {name: value for name, value in given.items() if value is not None}
    needed = [name for name, option in spec.options.items() if option.get("required")]
    if missing := [name for name in needed if params[name] is None]:
        raise ConfigurationError(f"missing option(s): {', '.join(missing)}")
    return params


def context_of(spec: ArgumentSpec, given: Mapping[str, t.Any]) -> Context:
    return Context(t.cast("t.Any", Alone(spec, given)))


def ask(
    spec: ArgumentSpec, work: Callable[[Context], Outcome], given: Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """What the module returns."""
    return work(context_of(spec, given)).values

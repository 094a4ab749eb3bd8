# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The program ``inferenced`` of this host, with its keyring."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

from .. import _argspec
from .._chain.inferenced import CliResult, Inferenced, runner

if t.TYPE_CHECKING:
    from .._adapter import Context


def signer_of(context: Context) -> Inferenced | None:
    """None on a host that has no ``inferenced``."""
    return context.once(signer_of, lambda: _signer(context))


def _signer(context: Context) -> Inferenced | None:
    options = context.read(_argspec.InferencedOptions)
    if not Path(options.inferenced_path).exists():
        return None
    found = Inferenced(
        run=runner(context.run_command),
        path=options.inferenced_path,
        home=options.inferenced_home,
        keyring_dir=options.keyring_dir,
        key_name=options.key_name,
        node=options.chain_rpc,
    )
    if not context.predicts:
        return found
    return _asking_once(found, context.shared.once(_asking_once, dict[tuple[str, ...], CliResult]))


def _asking_once(found: Inferenced, known: dict[tuple[str, ...], CliResult]) -> Inferenced:
    """One that asks for each key once."""
    ask = found.run

    def run(argv: list[str], data: str | None) -> CliResult:
        if data is not None or argv[1:3] != ["keys", "show"]:
            return ask(argv, data)
        key = tuple(argv)
        if key not in known:
            known[key] = ask(argv, data)
        return known[key]

    return dataclasses.replace(found, run=run)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``creator_key``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._clients.signer import signer_of
from .._core.errors import (
    ConfigurationError,
    ProtocolError,
)
from .._core.files import private_folder
from .._core.keys import (
    PRIVATE_KEY,
    check_private_key,
)
from .._escrows.creator import (
    close,
    exposed,
    plan_key,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "private_key": {"type": "str", "no_log": True},
        "env_file": {"type": "path", "default": "/srv/gonka/devshard-gateway/config.devshard.env"},
        "address": {"type": "str"},
    },
).merge(_argspec.inferenced())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    keyring_dir: str
    key_name: str
    inferenced_path: str
    address: str | None


def work(context: Context) -> Outcome:
    options = context.read(Options)
    key = check_private_key(context.secret("private_key", PRIVATE_KEY), PRIVATE_KEY)
    context.hide(key)
    name = options.key_name
    signer = signer_of(context)
    if signer is None:
        if not context.check_mode:
            raise ConfigurationError(
                f"there is no program {options.inferenced_path} on this host; apply the role"
                " gonka.devshard.inferenced first"
            )
        return Outcome(
            changed=True, values={"creator": {"address": options.address, "key_name": name}}
        )
    plan = plan_key(signer, key, options.address)
    creator = {"address": plan.address, "key_name": name}
    if not context.check_mode:
        keyring = Path(options.keyring_dir)
        if not plan.present:
            private_folder(keyring)
            signer.import_key(key)
            if signer.address() != plan.address:
                raise ProtocolError("the keyring holds another key than the one that was imported")
        close(exposed(keyring))
    before = {**creator, "only_owner": not plan.exposed} if plan.present else {}
    return Outcome(
        changed=not plan.present or bool(plan.exposed),
        values={"creator": creator},
        before=before,
        after={**creator, "only_owner": True},
    )

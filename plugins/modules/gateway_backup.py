#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_backup
short_description: Back up a gateway's state, and restore it when that is safe
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - With O(state=present), makes a new backup of C(gateway.db), the ledger and the kept settlements by SQLite's backup
    call, which is consistent while the gateway runs. Sessions are copied only from a stopped gateway.
  - With O(state=restored), restores a backup into a stopped gateway's storage. A session that served after its backup
    must never return, because its deposit could no longer be recovered. For each unsettled escrow the backup is
    compared with the newest nonce that any host knows, with the ledger and with the present storage. The restore is
    refused, with the sum at risk, when one of them is newer or unknown.
options:
  state:
    description:
      - What to do.
    type: str
    default: present
    choices:
      present: Make a new backup, then remove all but the newest O(keep) of this gateway.
      restored: Restore the backup O(name).
  storage_dir:
    description:
      - The gateway's storage folder on the host.
    type: path
    required: true
  dest:
    description:
      - Folder that holds the backups. It is created with mode 0700.
    type: path
    required: true
  sessions:
    description:
      - Copy the sessions too. Refused while a process uses the storage.
    type: bool
    default: false
  keep:
    description:
      - Number of backups of this gateway to keep. V(0) keeps all. Backups of other gateways in O(dest) are not counted
        and never removed.
    type: int
    default: 7
  name:
    description:
      - Name of the backup to restore, as RV(backup.name) gave it. Required with O(state=restored).
    type: str
  from_storage:
    description:
      - With O(state=restored), the storage that the backup was made from, if it differs from O(storage_dir) because the
        gateway was moved. A backup of another gateway is refused.
    type: path
  force:
    description:
      - With O(state=restored), restore although deposits may be lost. The value must be the sum in C(ngonka) that the
        refusal named.
    type: int
extends_documentation_fragment:
  - gonka.devshard._generation
  - gonka.devshard._attributes
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._ledger
  - gonka.devshard._swap
attributes:
  action_group:
    description: The options of its connections and of the journal can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.chain
      - gonka.devshard.ledger
      - gonka.devshard.swap
  check_mode:
    support: full
    details:
      - The name of a new backup is its time, so it is absent in the prediction.
      - Check mode does not check whether a process uses the storage, because in a play the gateway is stopped just
        before.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Each run with O(state=present) makes a new backup. O(state=restored) changes nothing when the storage already
        holds the sessions at the nonces of the backup and its C(gateway.db).
seealso:
  - module: gonka.devshard.escrow_settle
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Back up gateway.db and the ledger of a running gateway
  gonka.devshard.gateway_backup:
    storage_dir: /srv/gonka/devshard-gateway/.devshardctl
    dest: /var/backups/gonka-devshard

- name: Back up a stopped gateway with its sessions
  gonka.devshard.gateway_backup:
    storage_dir: /srv/gonka/devshard-gateway/.devshardctl
    dest: /var/backups/gonka-devshard
    sessions: true

- name: Restore the backup
  gonka.devshard.gateway_backup:
    state: restored
    storage_dir: /srv/gonka/devshard-gateway/.devshardctl
    dest: /var/backups/gonka-devshard
    name: 20260102T030405Z
"""

RETURN = r"""
backup:
  description: The backup that was made or restored. Null in check mode with O(state=present).
  returned: success
  type: dict
  contains:
    name:
      description: Its name, the time it was made.
      type: str
      sample: 20260102T030405Z
    path:
      description: Its folder on the host.
      type: str
      sample: /var/backups/gonka-devshard/20260102T030405Z
    created_at:
      description: When it was made.
      type: str
      sample: "2026-01-02T03:04:05.000000Z"
    storage_dir:
      description: The storage that it was made from.
      type: str
      sample: /srv/gonka/devshard-gateway/.devshardctl
    sessions:
      description: The sessions in it, each with its newest nonce.
      type: list
      elements: dict
      sample:
        - escrow_id: 4711
          path: escrow-4711
          nonce: 23
holds_keys:
  description: Whether the database has private keys in its records. Such a backup is a secret.
  returned: when O(state=present)
  type: bool
  sample: false
  version_added: 0.9.0
sessions:
  description: With O(state=restored), the state outside the backup of each escrow that would serve again.
  returned: success
  type: list
  elements: dict
  sample:
    - escrow_id: 4711
      nonce: 23
      unsettled: true
      amount: 5000000000
      hosts_nonce: 23
      ledger_nonce: 21
      storage_nonce: null
      refusal: null
removed:
  description: Names of older backups that were removed.
  returned: success
  type: list
  elements: str
  sample: []
replaced:
  description: Path of the previous storage after a restore, or null.
  returned: success
  type: str
  sample: null
actions:
  description: What was done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - backed up gateway.db
"""

import shutil
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.money import open_chain_ports
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.backup import (
    freshness,
    inspect,
    make,
    restore,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import DATABASE
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {"type": "str", "default": "present", "choices": ["present", "restored"]},
        "storage_dir": {"type": "path", "required": True},
        "dest": {"type": "path", "required": True},
        "sessions": {"type": "bool", "default": False},
        "keep": {"type": "int", "default": 7},
        "name": {"type": "str"},
        "from_storage": {"type": "path"},
        "force": {"type": "int"},
    },
    required_if=(("state", "restored", ("name",)),),
).merge(
    _argspec.generation(),
    _argspec.chain(),
    _argspec.http(),
    _argspec.ledger(),
    _argspec.swap(),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    state: str
    storage_dir: Path
    dest: Path
    sessions: bool
    keep: int
    name: str | None
    from_storage: str | None
    force: int | None


def present(context: Context, options: Options) -> Outcome:
    storage, target = options.storage_dir, options.dest
    what = "gateway.db and sessions" if options.sessions else "gateway.db"
    actions = [f"backed up {what}"]
    backup = None
    there = make.list_backups(target, storage)
    if (notebook := notebook_of(context)) is not None:
        notebook.begin()
    if context.check_mode:
        inspect.check_storage(storage)
        secret = inspect.holds_keys(storage / DATABASE)
    else:
        with open_chain_ports(context, None) as ports:
            backup = make.make_backup(
                storage,
                target,
                with_sessions=options.sessions,
                now=datetime.now(timezone.utc),
                ledger=ports.ledger,
            )
        secret = inspect.holds_keys(backup.storage / DATABASE)
    # in check mode the new one is not there yet, and retention counts it
    newest = [target / "the new one"] if context.check_mode else []
    removed = make.surplus([*make.list_backups(target, storage), *newest], options.keep)
    if not context.check_mode:
        for old in removed:
            shutil.rmtree(old)
    if (notebook := notebook_of(context)) is not None and backup is not None:
        notebook.result(SwapNotes(backup=backup.name))
    left = [old.name for old in there if old not in removed]
    return Outcome(
        changed=True,
        before={"backups": [old.name for old in there]},
        # the name of the new one is its time
        after={"backups": [*left, f"a new backup of {what}"]},
        values={
            "backup": None if backup is None else backup.to_result(),
            "holds_keys": secret,
            "sessions": [],
            "removed": [old.name for old in removed],
            "replaced": None,
            "actions": [*actions, *(f"removed backup {old.name}" for old in removed)],
        },
    )


def restored(context: Context, options: Options) -> Outcome:
    storage = options.storage_dir
    backup = inspect.read_backup(options.dest / str(options.name))
    inspect.refuse_other_gateway(backup, storage, options.from_storage)
    values: dict[str, t.Any] = {"backup": backup.to_result(), "removed": [], "replaced": None}
    if restore.is_restored(backup, storage):
        there = {item.escrow_id: item.nonce for item in backup.sessions}
        return Outcome(
            changed=False,
            values={**values, "sessions": [], "actions": []},
            before={"restored": True, "sessions": there},
            after={"restored": True, "sessions": there},
        )
    with open_chain_ports(context, "gateway_backup") as ports:
        ports.chain.head()
        if storage.exists() and not context.check_mode:
            inspect.refuse_in_use(storage)
        found = freshness.freshness(ports, backup, storage)
        sessions = [item.to_result() for item in found]
        if (reason := freshness.refuse_restore(found)) is not None:
            at_risk = freshness.at_risk(found)
            if options.force != at_risk:
                raise UnsafeError(
                    f"{reason}. To give that up, give force={at_risk} (backup_force={at_risk} to the"
                    " playbook)",
                    at_risk=at_risk,
                    sessions=sessions,
                )
            ports.warn(f"restored by force: {reason}")
        for item in freshness.left_without_record(ports, backup, storage):
            ports.warn(freshness.left_text(item))
        if not context.check_mode:
            kept = restore.restore(backup, storage, datetime.now(timezone.utc))
            values["replaced"] = None if kept is None else str(kept)
    return Outcome(
        changed=True,
        values={**values, "sessions": sessions, "actions": [f"restored backup {backup.name}"]},
        before={
            "restored": False,
            "sessions": {item["escrow_id"]: item["storage_nonce"] for item in sessions},
        },
        after={
            "restored": True,
            "sessions": {item["escrow_id"]: item["nonce"] for item in sessions},
        },
    )


def work(context: Context) -> Outcome:
    options = context.read(Options)
    if options.keep < 0:
        raise ConfigurationError(f"keep must be 0 or more, got {options.keep}")
    if options.dest.is_relative_to(options.storage_dir):
        raise ConfigurationError(
            f"dest {options.dest} must not lie in the storage {options.storage_dir}"
        )
    if options.state == "present":
        return present(context, options)
    return restored(context, options)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

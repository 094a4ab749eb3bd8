#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_handover
short_description: Hand over the sessions of a stopped temporary gateway
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - Two gateways that serve one escrow lose its deposit. This module makes sure that a temporary gateway whose sessions
    are about to be imported elsewhere can never serve them again. Its C(gateway.db) is moved into a folder C(archive)
    beside it, so a gateway that is started on this storage finds no record.
  - It lists the sessions with the nonce from their own files, for M(gonka.devshard.devshard).
  - Refused while the container exists, or while any process has a file of the storage open.
options:
  storage_dir:
    description:
      - The temporary gateway's storage on the host.
    type: path
    required: true
  seen_as:
    description:
      - The same folder as the importing gateway sees it, inside its container.
    type: str
    required: true
  container:
    description:
      - Name of the temporary gateway's container. It must not exist any more.
    type: str
    default: devshardctl-temp
  remove:
    description:
      - Files of the temporary gateway that are removed afterwards.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._swap
attributes:
  action_group:
    description: The options of the journal can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.swap
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - docker on the managed host
seealso:
  - module: gonka.devshard.devshard
  - module: gonka.devshard.swap_step
"""

EXAMPLES = r"""
- name: Hand over the sessions of the temporary gateway
  gonka.devshard.swap_handover:
    storage_dir: /srv/gonka/devshard-gateway/.devshardctl/temp-20260102T030405Z
    seen_as: /root/.devshardctl/temp-20260102T030405Z
  register: left

- name: Import a session
  gonka.devshard.devshard:
    id: "{{ item.id }}"
    state: imported
    storage_path: "{{ item.storage_path }}"
    expected_nonce: "{{ item.nonce }}"
  loop: "{{ left.sessions }}"
"""

RETURN = r"""
sessions:
  description: The sessions that the temporary gateway left.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The escrow.
      type: int
      sample: 4711
    nonce:
      description: Its newest nonce, read from the session's own files.
      type: int
      sample: 23
    storage_path:
      description: The session's folder as the importing gateway sees it.
      type: str
      sample: /root/.devshardctl/temp-20260102T030405Z/escrow-4711
removed:
  description: Those of O(remove) that were there.
  returned: success
  type: list
  elements: str
  sample: []
"""

from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnsafeError
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._swap.handover import hand_over
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes

SPEC = _argspec.ArgumentSpec(
    options={
        "storage_dir": {"type": "path", "required": True},
        "seen_as": {"type": "str", "required": True},
        "container": {"type": "str", "default": "devshardctl-temp"},
        "remove": {"type": "list", "elements": "path", "default": []},
    },
).merge(_argspec.swap())


def work(context: Context) -> Outcome:
    params = context.params
    context.need_docker()
    if docker.inspect(params["container"]) is not None:
        raise UnsafeError(
            f"the container {params['container']} still exists, it could serve its escrows again;"
            " remove it first"
        )
    notebook = notebook_of(context)
    if notebook is not None:
        notebook.begin()
    changed, left = hand_over(
        Path(params["storage_dir"]), params["seen_as"], check_mode=context.check_mode
    )
    if notebook is not None:
        notebook.result(SwapNotes(left=tuple(left)))
    removed = [name for name in params["remove"] if Path(name).exists()]
    if not context.check_mode:
        for name in removed:
            Path(name).unlink()
    sessions = [item.to_result() for item in left]
    return Outcome(
        changed=changed or bool(removed),
        values={"sessions": sessions, "removed": removed},
        before={"handed_over": not changed, "files": removed},
        after={"handed_over": True, "files": []},
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_temp
short_description: Write what the temporary gateway of a hot swap is started from, and offer it to the edge
version_added: 0.3.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - Makes the storage of the temporary gateway, its environment file and its compose file. It starts and stops nothing.
  - A temporary gateway that may serve already keeps the environment that it was started with, although the gateway may
    get another one meanwhile.
options:
  state:
    description:
      - What to do.
    type: str
    default: present
    choices:
      present: Write the files that it is started from.
      offered: Create O(flag_path), so that the edge hands over what the gateway itself does not take.
      withdrawn: Remove O(flag_path) again.
  storage_dir:
    description:
      - Its storage on the host. Required with O(state=present).
    type: path
  env_file:
    description:
      - The environment file of the gateway, which is copied. Required with O(state=present).
    type: path
  env_copy:
    description:
      - The environment file of the temporary gateway. Required with O(state=present).
    type: path
  compose_file:
    description:
      - Its compose file. Required with O(state=present) and O(state=withdrawn).
    type: path
  compose:
    description:
      - What O(compose_file) holds. Required with O(state=present).
    type: str
  image:
    description:
      - Its image. It is noted in O(journal), as the temporary gateway keeps it whatever becomes of the swap.
    type: str
  flag_path:
    description:
      - The flag of the edge. If omitted, the edge has none.
    type: path
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
    details:
      - It names files, and shows none of what they hold.
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.swap_step
  - module: gonka.devshard.swap_handover
"""

EXAMPLES = r"""
- name: Write the files of the temporary gateway
  gonka.devshard.swap_temp:
    storage_dir: /srv/gonka/devshard-gateway/.devshardctl/temp-20260102T030405Z
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
    env_copy: /srv/gonka/devshard-gateway/config.devshard.env.temp
    compose_file: /srv/gonka/devshard-gateway/docker-compose.temp.yml
    compose: "{{ lookup('ansible.builtin.template', 'docker-compose.temp.yml.j2') }}"
"""

RETURN = r"""
files:
  description: Files and folders that were made or removed.
  returned: success
  type: list
  elements: str
  sample:
    - /srv/gonka/devshard-gateway/docker-compose.temp.yml
composed:
  description: Whether O(compose_file) is there.
  returned: success
  type: bool
  sample: true
"""

from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step
from ansible_collections.gonka.devshard.plugins.module_utils._swap.temporary import (
    TempFiles,
    offer,
    prepare,
    withdraw,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {
            "type": "str",
            "default": "present",
            "choices": ["present", "offered", "withdrawn"],
        },
        "storage_dir": {"type": "path"},
        "env_file": {"type": "path"},
        "env_copy": {"type": "path"},
        "compose_file": {"type": "path"},
        "compose": {"type": "str"},
        "image": {"type": "str"},
        "flag_path": {"type": "path"},
    },
    required_if=(
        (
            "state",
            "present",
            ("storage_dir", "env_file", "env_copy", "compose_file", "compose"),
        ),
        ("state", "withdrawn", ("compose_file",)),
    ),
).merge(_argspec.swap())


def present(context: Context) -> list[str]:
    params = context.params
    files = TempFiles(
        storage=Path(params["storage_dir"]),
        env_file=Path(params["env_file"]),
        environment=Path(params["env_copy"]),
        compose_file=Path(params["compose_file"]),
        compose=params["compose"],
    )
    running = False
    if (notebook := notebook_of(context)) is not None:
        notes = SwapNotes(temp_image=params["image"], temp_env=str(files.environment))
        running = Step.SEED_TEMP in notebook.begin(notes).started
    return prepare(files, running=running, check_mode=context.check_mode)


def flagged(context: Context) -> list[str]:
    if (notebook := notebook_of(context)) is not None:
        notebook.begin()
    if context.params["flag_path"] is None:
        return []
    flag = Path(context.params["flag_path"])
    change = offer if context.params["state"] == "offered" else withdraw
    return [str(flag)] if change(flag, check_mode=context.check_mode) else []


def work(context: Context) -> Outcome:
    params = context.params
    making = params["state"] != "withdrawn"
    files = present(context) if params["state"] == "present" else flagged(context)
    compose_file = params["compose_file"]
    return Outcome(
        changed=bool(files),
        values={
            "files": files,
            "composed": params["state"] == "present"
            or (compose_file is not None and Path(compose_file).exists()),
        },
        before={"files": [] if making else files},
        after={"files": files if making else []},
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_keys
short_description: Make new keys for clients and for the admin API, which the next container takes into use
version_added: 0.7.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - A gateway reads its keys when it starts (guide §2.1, §2.2), so a new key needs another container. This module makes
    the keys and keeps them beside the environment file, in a file with mode 0600. The running gateway is not touched.
  - The next container takes them into use. The playbook P(gonka.devshard.hot_swap#role) starts it without cutting a
    stream, and the role P(gonka.devshard.gateway#role) refuses to do it by a restart.
  - The creator's key is not replaced. Its escrows can be settled with it alone.
options:
  env_file:
    description:
      - The environment file of the gateway.
    type: path
    required: true
  name:
    description:
      - Name of the rotation. An action that was done under this name is not done again. Required, since an interrupted
        rotation is continued by its name; a run without one reports which rotations were made here.
    type: str
  actions:
    description:
      - What is done. At most one of them is about the keys of clients.
      - V(admin) replaces the key of the admin API.
      - V(client_add) puts a new key before those that clients have. The earlier ones stay valid.
      - V(client_drop) keeps the newest key of clients alone, which is the first one. It is refused where no rotation
        has made the first one.
      - V(client_replace) replaces all keys of clients by a new one.
    type: list
    elements: str
    choices: [admin, client_add, client_drop, client_replace]
    required: true
  swap_mode:
    description:
      - How the container is replaced then, as in O(gonka.devshard.hot_swap#role:main:hot_swap_mode).
      - With V(pool) no key is made, because the other gateway would have the earlier ones.
    type: str
    choices: [temp, pool, generation]
    default: temp
    version_added: 0.9.0
  container_name:
    description:
      - Container of the gateway, which is looked at for RV(rotation.unused).
    type: str
    version_added: 0.9.0
extends_documentation_fragment:
  - gonka.devshard._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The diff shows which keys are new, never a key.
  idempotent:
    support: full
    details:
      - An action is done once for each O(name). A key that waits for a container is not replaced by another one.
seealso:
  - module: gonka.devshard.gateway_env
"""

EXAMPLES = r"""
- name: Make a new admin key, and a second key for clients
  gonka.devshard.gateway_keys:
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
    name: "2026-12"
    actions: [admin, client_add]
"""

RETURN = r"""
rotation:
  description: What was made, and what waits. Keys are not returned.
  returned: success
  type: dict
  contains:
    begun:
      description: Actions that made a new key in this run, or would make one.
      type: list
      elements: str
      sample: [admin]
    pending:
      description: Variables of the environment file whose new value waits for a container.
      type: list
      elements: str
      sample: [DEVSHARD_ADMIN_API_KEY]
    file:
      description: The file that holds the new keys until then.
      type: str
      sample: /srv/gonka/devshard-gateway/config.devshard.env.rotation.json
    unused:
      description:
        - Variables whose value the container does not have yet. They are those of RV(rotation.pending), and with
          O(container_name) also those that the environment file has and the container has not.
      type: list
      elements: str
      sample: [DEVSHARD_ADMIN_API_KEY]
    droppable:
      description: Whether there are keys of clients behind the newest one, which V(client_drop) would end.
      type: bool
      sample: true
    client_keys:
      description: Number of keys that clients may use once the container was started.
      type: int
      sample: 2
"""

from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import API_KEYS
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import (
    env_file,
    key_rotation,
    staged_keys,
)
from ansible_collections.gonka.devshard.plugins.module_utils._wiring import gateway_env

SPEC = ArgumentSpec(
    options={
        "env_file": {"type": "path", "required": True},
        "name": {"type": "str"},
        "actions": {
            "type": "list",
            "elements": "str",
            "choices": list(key_rotation.ACTIONS),
            "required": True,
            "no_log": False,
        },
        "swap_mode": {
            "type": "str",
            "default": "temp",
            "choices": ["temp", "pool", "generation"],
        },
        "container_name": {"type": "str"},
    },
)


def work(context: Context) -> Outcome:
    params = context.params
    file = Path(params["env_file"])
    text = env_file.read(file)
    if text is None:
        raise ConfigurationError(
            f"there is no environment file {file}, so no gateway is deployed here. Run the playbook"
            " gonka.devshard.site first"
        )
    present = env_file.parse(text, str(file))
    notes = staged_keys.read(file)
    key_rotation.check_wish(params["name"], params["actions"], notes)
    context.hide_secrets(present)
    context.hide_secrets(notes.staged)
    rotation = key_rotation.rotate(
        params["name"], params["actions"], notes, present, env_file.new_secret
    )
    context.hide_secrets(rotation.notes.staged)
    if (fault := key_rotation.pool_fault(params["swap_mode"], rotation.pending)) is not None:
        raise ConfigurationError(f"no key was made: {fault}")
    changed = rotation.notes != notes
    if changed and not context.check_mode:
        staged_keys.write(file, rotation.notes)
    after = {**present, **rotation.notes.staged}
    clients = after.get(API_KEYS, "")
    return Outcome(
        changed=changed,
        values={
            "rotation": {
                "begun": list(rotation.begun),
                "pending": list(rotation.pending),
                "file": str(staged_keys.place(file)),
                "unused": unused(context, present, rotation),
                "droppable": "," in clients and rotation.notes.made_first(clients),
                "client_keys": len([key for key in clients.split(",") if key]),
            }
        },
        before={"done": dict(notes.done), "waiting": sorted(notes.staged)},
        after={"done": dict(rotation.notes.done), "waiting": list(rotation.pending)},
    )


def unused(context: Context, present: dict[str, str], rotation: key_rotation.Rotation) -> list[str]:
    asked = context.params["container_name"] is not None
    has = gateway_env.running(context) if asked else None
    return list(key_rotation.waiting(rotation.pending, present, has))


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

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
      - Name of the rotation. An action that was done under this name is not done again.
    type: str
    required: true
  actions:
    description:
      - What is done. At most one of them is about the keys of clients.
      - V(admin) replaces the key of the admin API.
      - V(client_add) puts a new key before those that clients have. The earlier ones stay valid.
      - V(client_drop) keeps the newest key of clients alone.
      - V(client_replace) replaces all keys of clients by a new one.
    type: list
    elements: str
    choices: [admin, client_add, client_drop, client_replace]
    required: true
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

SPEC = ArgumentSpec(
    options={
        "env_file": {"type": "path", "required": True},
        "name": {"type": "str", "required": True},
        "actions": {
            "type": "list",
            "elements": "str",
            "choices": list(key_rotation.ACTIONS),
            "required": True,
            "no_log": False,
        },
    },
)


def work(context: Context) -> Outcome:
    params = context.params
    key_rotation.check_wish(params["name"], params["actions"])
    file = Path(params["env_file"])
    text = env_file.read(file)
    if text is None:
        raise ConfigurationError(
            f"there is no environment file {file}, so no gateway is deployed here. Run the playbook"
            " gonka.devshard.site first"
        )
    present = env_file.parse(text, str(file))
    notes = staged_keys.read(file)
    context.hide_secrets(present)
    context.hide_secrets(notes.staged)
    rotation = key_rotation.rotate(
        params["name"], params["actions"], notes, present, env_file.new_secret
    )
    context.hide_secrets(rotation.notes.staged)
    changed = rotation.notes != notes
    if changed and not context.check_mode:
        staged_keys.write(file, rotation.notes)
    after = {**present, **rotation.notes.staged}
    return Outcome(
        changed=changed,
        values={
            "rotation": {
                "begun": list(rotation.begun),
                "pending": list(rotation.pending),
                "file": str(staged_keys.place(file)),
                "client_keys": len([key for key in after.get(API_KEYS, "").split(",") if key]),
            }
        },
        before={"done": dict(notes.done), "waiting": sorted(notes.staged)},
        after={"done": dict(rotation.notes.done), "waiting": list(rotation.pending)},
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

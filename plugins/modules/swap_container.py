#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_container
short_description: Write what the replaced gateway of a hot swap is started from, and compare its container with it
version_added: 0.6.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - Writes the environment file as M(gonka.devshard.gateway_env) does, compares the container with it as
    M(gonka.devshard.gateway_drift_info) does, and writes the compose file. It starts and stops nothing.
options:
  container_name:
    description:
      - Name of the container.
    type: str
    required: true
  image:
    description:
      - The wanted image by its digest.
    type: str
    required: true
  env_file:
    description:
      - The environment file. It gets mode 0600.
    type: path
    required: true
  storage:
    description:
      - Storage directory on the host.
    type: path
    required: true
  port:
    description:
      - Port on the loopback of the host.
    type: int
    required: true
  accounting_port:
    description:
      - Port on the loopback of the host for the accounting. If omitted, the accounting is closed.
    type: int
  compose_file:
    description:
      - The compose file.
    type: path
    required: true
  compose:
    description:
      - What O(compose_file) holds.
    type: str
    required: true
  owned:
    description:
      - Keep owner and mode of O(compose_file), which belongs to the owner of an adopted deployment. Otherwise it
        belongs to the user of this task and has mode 0644.
    type: bool
    default: false
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._environment
  - gonka.devshard._generation
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The diff shows values of plain variables. For secrets it shows only that they exist.
  idempotent:
    support: full
requirements:
  - docker (Python SDK) on the managed host
seealso:
  - module: gonka.devshard.gateway_env
  - module: gonka.devshard.gateway_drift_info
"""

EXAMPLES = r"""
- name: Write what the gateway is started from
  gonka.devshard.swap_container:
    container_name: devshardctl-multi
    image: registry.example.org/gateway@sha256:79f4c0b8a0a1d3a2a7c1d0bdf0d8cf20c9c4ee0bdc2a05f3d4a9f3a1c5d7e9b1
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
    variables:
      DEVSHARDS_JSON: "[]"
    storage: /srv/gonka/devshard-gateway/.devshardctl
    port: 18080
    compose_file: /srv/gonka/devshard-gateway/docker-compose.yml
    compose: "{{ lookup('ansible.builtin.template', 'docker-compose.yml.j2') }}"
  register: found
"""

RETURN = r"""
env:
  description: The content of O(env_file), as in RV(gonka.devshard.gateway_env#module:env).
  returned: success
  type: dict
  sample:
    path: /srv/gonka/devshard-gateway/config.devshard.env
    names: [DEVSHARDS_JSON, DEVSHARD_PRIVATE_KEY]
    generated: []
    differing: [DEVSHARDS_JSON]
drift:
  description: How the container differs from the wanted one, as in RV(gonka.devshard.gateway_drift_info#module:drift).
  returned: success
  type: dict
  sample:
    exists: true
    running: true
    recreate: true
    reasons: [its image is another one]
    composed: true
"""

from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.compose_file import (
    ComposeFile,
)
from ansible_collections.gonka.devshard.plugins.module_utils._wiring import (
    gateway_drift_info,
    gateway_env,
)

SPEC = _argspec.ArgumentSpec(
    options={
        **gateway_drift_info.OPTIONS,
        "compose_file": {"type": "path", "required": True},
        "compose": {"type": "str", "required": True},
        "owned": {"type": "bool", "default": False},
    },
).merge(_argspec.environment(), _argspec.generation())


def work(context: Context) -> Outcome:
    params = context.params
    environment, variables = gateway_env.write(context, Path(params["env_file"]), adopting=False)
    drift = gateway_drift_info.drift_from(context, lambda: variables)
    compose = ComposeFile(
        path=Path(params["compose_file"]), text=params["compose"], owned=params["owned"]
    )
    before, after = compose.write(check_mode=context.check_mode)
    return Outcome(
        changed=environment.changed or before != after,
        values={**environment.values, "drift": drift.to_result()},
        before={"environment": environment.before, "compose": before},
        after={"environment": environment.after, "compose": after},
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_drift_info
short_description: Check whether a gateway's container must be recreated
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Compares a running container with the wanted settings. Recreating a gateway cuts every stream that it serves, so a
    play must know before Compose does it.
  - A variable that the gateway reads only at its very first start does not require a recreate. Such variables are
    listed separately, because M(gonka.devshard.gateway_settings) changes their settings.
options:
  container_name:
    description:
      - Name of the container.
    type: str
    required: true
  image:
    description:
      - The image by its digest.
    type: str
    required: true
  env_file:
    description:
      - The environment file. Its variables are compared with the container's, and only names are returned.
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
      - Port on the loopback of the host for the accounting, which a gateway of generation V(v4.1) has. If omitted, the
        accounting is closed.
    type: int
    version_added: 0.4.0
extends_documentation_fragment:
  - gonka.devshard._generation
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
requirements:
  - docker (Python SDK) on the managed host
seealso:
  - module: gonka.devshard.gateway_info
"""

EXAMPLES = r"""
- name: Check for differences that would cut streams
  gonka.devshard.gateway_drift_info:
    container_name: devshardctl-multi
    image: registry.example.org/gateway@sha256:79f4c0b8a0a1d3a2a7c1d0bdf0d8cf20c9c4ee0bdc2a05f3d4a9f3a1c5d7e9b1
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
    storage: /srv/gonka/devshard-gateway/.devshardctl
    port: 18080
  register: found
"""

RETURN = r"""
drift:
  description: The differences.
  returned: success
  type: dict
  contains:
    exists:
      description: Whether the container exists.
      type: bool
      sample: true
    running:
      description: Whether it runs.
      type: bool
      sample: true
    recreate:
      description: Whether it must be recreated.
      type: bool
      sample: false
    reasons:
      description: Why.
      type: list
      elements: str
      sample: []
    variables:
      description: Names of variables that differ and that only a new container gets.
      type: list
      elements: str
      sample: []
    bootstrap:
      description: Names of variables that differ and no longer have an effect in the environment.
      type: list
      elements: str
      sample: [GATEWAY_MAX_TOKENS_CAP]
    project:
      description: The Compose project of the container, or null.
      type: str
      sample: devshard-gateway
    composed:
      description: Whether Compose made the container, or no container exists.
      type: bool
      sample: true
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_drift_info import (
    SPEC,
    drift_from,
)


def work(context: Context) -> Outcome:
    drift = drift_from(context, lambda: context.environment)
    return Outcome(changed=False, values={"drift": drift.to_result()})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

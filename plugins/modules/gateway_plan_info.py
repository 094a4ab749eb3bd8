#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_plan_info
short_description: Inspect a gateway and determine what a deployment would change
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Inspects the deploy directory, the containers and the port of one gateway, and names everything that the role
    P(gonka.devshard.gateway#role) would refuse, before anything is written.
  - The running container decides. The storage is the one that the container has, and the image is the one that it was
    made from, whatever the deploy record or a file of the directory says.
  - It needs only Python and the docker program, so it also works before the role P(gonka.devshard.docker_engine#role)
    ran.
options:
  deploy_dir:
    description:
      - The deploy directory.
    type: path
    required: true
  state_dir:
    description:
      - The state directory of the collection.
    type: path
    default: /var/lib/gonka-devshard
  instance:
    description:
      - Name of the gateway among those of the host; empty for the one without a name. Its journal and the note of
        a redirect follow from it.
    type: str
    default: ''
    version_added: 0.3.0
  env_file:
    description:
      - The present environment file. By default C(config.devshard.env) in O(deploy_dir).
    type: path
  storage_dir:
    description:
      - The storage on the host, if the user chooses it. An existing container overrides it.
    type: path
  container_name:
    description:
      - Name of the container.
    type: str
    default: devshardctl-multi
  image:
    description:
      - The wanted image, by its tag or its digest.
    type: str
    required: true
  image_update:
    description:
      - Resolve the tag again at the registry.
    type: bool
    default: false
  allow_recreate:
    description:
      - The container may be recreated, which cuts every stream that it serves.
    type: bool
    default: false
  adopt:
    description:
      - A directory that was made by hand or by another tool may be taken over.
    type: bool
    default: false
  recreate_later:
    description:
      - A container that must be recreated is left as it is, for a swap that follows. It is then no reason to refuse.
    type: bool
    default: false
    version_added: 0.6.0
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
  - gonka.devshard._environment
seealso:
  - module: gonka.devshard.gateway_env
  - module: gonka.devshard.gateway_drift_info
  - module: gonka.devshard.presence_info
"""

EXAMPLES = r"""
- name: Inspect the gateway and determine what would be done
  gonka.devshard.gateway_plan_info:
    deploy_dir: /srv/gonka/devshard-gateway
    image: registry.example.org/gateway:v2
    port: 18080
    variables:
      DEVSHARDS_JSON: "[]"
  register: found

- name: Refuse a deployment that would do harm
  ansible.builtin.assert:
    that:
      - found.plan.refused | length == 0
    fail_msg: "{{ found.plan.refused | join('. ') }}."
"""

RETURN = r"""
plan:
  description: The planned changes.
  returned: success
  type: dict
  contains:
    refused:
      description: Reasons that forbid the deployment, one sentence each.
      type: list
      elements: str
      sample: []
    known:
      description: Whether the state of the engine is known. True when there is no engine.
      type: bool
      sample: true
    unknown:
      description: Why the state of the engine is unknown, or null.
      type: str
      sample: null
    engine:
      description: Whether an engine exists and answers.
      type: bool
      sample: true
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
    bootstrap:
      description: Names of variables that differ and no longer have an effect in the environment.
      type: list
      elements: str
      sample: []
    storage:
      description: The storage on the host.
      type: str
      sample: /srv/gonka/devshard-gateway/.devshardctl
    storage_exists:
      description: Whether the folder of the storage exists.
      type: bool
      sample: true
    volume:
      description: Name of the engine's volume, if the storage is one, or null.
      type: str
      sample: null
    pinned:
      description: The image by its digest. Empty when it must be pulled by its tag first.
      type: str
      sample: registry.example.org/gateway@sha256:79f4c0b8a0a1d3a2a7c1d0bdf0d8cf20c9c4ee0bdc2a05f3d4a9f3a1c5d7e9b1
    image:
      description: Whether a container can be made from the image.
      type: dict
      contains:
        there:
          description: Whether this host or its registry has it. Null when it is unknown.
          type: bool
          sample: true
        text:
          description: The state in words.
          type: str
          sample: registry.example.org/gateway:v2 is the image of the container
    adopting:
      description: Whether the deployment was made by hand or by another tool.
      type: bool
      sample: false
    project:
      description: The Compose project of the container, or null.
      type: str
      sample: devshard-gateway
    service:
      description: Its Compose service.
      type: str
      sample: devshardctl
    runs_image:
      description: The image of the container by the name that it was made from, or null.
      type: str
      sample: registry.example.org/gateway:v2
    runs_digest:
      description: The image of the container by its digest, or null.
      type: str
      sample: registry.example.org/gateway@sha256:79f4c0b8a0a1d3a2a7c1d0bdf0d8cf20c9c4ee0bdc2a05f3d4a9f3a1c5d7e9b1
    recorded:
      description: Whether there is a deploy record.
      type: bool
      sample: true
    record:
      description: The deploy record with all fields that it has on the host. Empty without one.
      type: dict
      sample: {schema: 2, image: registry.example.org/gateway:v2}
    left:
      description:
        - What earlier runs left on the host. C(directory) and C(compose) say whether the deploy directory and the
          compose file exist, C(retired) whether a retirement is recorded, C(redirected) whether a redirect keeps the
          previous state, C(docker_library) whether modules can import the Docker SDK for Python.
      type: dict
      sample: {directory: true, compose: true, retired: false, redirected: false, docker_library: true}
    differing:
      description: Names of the variables that would be added to the environment file, changed or removed.
      type: list
      elements: str
      sample: []
    owned_files:
      description: Files of the owner that would be written, to be backed up before.
      type: list
      elements: str
      sample: []
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_plan_info import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

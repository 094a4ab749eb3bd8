#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_info
short_description: Show the state of a gateway and its container
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Joins the data of the gateway's admin API with the data of the Docker Engine about its container.
  - It reads the admin state, which has one shape for any number of escrows and also answers while the gateway
    is disabled. The public C(/v1/status) loses its counters when exactly one escrow is loaded.
options:
  container_name:
    description:
      - Name of the gateway's container. Without it the Docker Engine is not queried.
    type: str
  probe:
    description:
      - Find out what the gateway really has, by questions that change nothing.
    type: bool
    default: false
    version_added: 0.4.0
  accounting_url:
    description:
      - URL of the accounting of a gateway of generation V(v4.1), asked with O(probe).
    type: str
    version_added: 0.4.0
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._http
requirements:
  - docker (Python SDK) on the managed host, with O(container_name)
seealso:
  - module: gonka.devshard.escrow_info
"""

EXAMPLES = r"""
- name: Get the state of the gateway
  gonka.devshard.gateway_info:
    container_name: devshardctl-multi
  register: found

- name: Show the escrows that serve requests now
  ansible.builtin.debug:
    msg: "{{ found.gateway | community.general.json_query('devshards[?active_requests > `0`].id') }}"
"""

RETURN = r"""
gateway:
  description: The gateway.
  returned: success
  type: dict
  contains:
    url:
      description: The URL that was queried.
      type: str
      sample: http://127.0.0.1:18080
    disabled:
      description: Whether it is in its disabled state.
      type: bool
      sample: false
    active_requests:
      description: Requests that all loaded sessions serve now.
      type: int
      sample: 2
    in_flight_requests:
      description: Requests that its limiter counts. In some phases it does not count.
      type: int
      sample: 2
    devshards:
      description: Its records, without keys. C(phase), C(nonce), C(balance) and C(active_requests) are null
        when a session is not loaded.
      type: list
      elements: dict
      sample:
        - id: "4711"
          model: some/model
          active: true
          loaded: true
          phase: active
          nonce: 15
          balance: 4999965000
          active_requests: 2
          background: 0
          protocol: null
          settle_queued: false
          held_since: null
          route: null
          requests_blocked: false
          storage_path: /root/.devshardctl/escrow-4711
          private_key_env: DEVSHARD_PRIVATE_KEY
          plain_key: false
          rotation_role: null
    settings:
      description: Its settings as stored.
      type: dict
      sample:
        default_request_max_tokens: 3072
    rotation:
      description: The state of the chain as the gateway sees it, and its last rotations. C(polled) is false in the
        seconds before its first query.
      type: dict
      sample:
        polled: true
        phase: Inference
        epoch_index: 214
        block_height: 4012345
        blocks_to_epoch_switch: 400
        blocks_until_next_rotation: 100
        latest: []
    probes:
      description: What the gateway really has, whatever its image is called. Null without O(probe).
        C(memory_statistics), C(profiler), C(chain_by_grpc), C(holds) and C(settles_batches) are null where that is
        unknown, as C(accounting_schema) is without O(accounting_url).
      type: dict
      sample:
        memory_statistics: true
        profiler: true
        chain_by_grpc: true
        holds: null
        settles_batches: false
        accounting_schema: 4
    container:
      description: Its container. Null without O(container_name), and when the engine has no such container.
      type: dict
      sample:
        name: devshardctl-multi
        image: registry.example.org/gateway@sha256:0123
        state: running
        health: healthy
        restart_count: 0
        started_at: "2026-07-02T10:11:12.123456789Z"
"""

from dataclasses import dataclass

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.gateway import gateway_of
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.probes import probe
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.report import report
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker

SPEC = _argspec.ArgumentSpec(
    options={
        "container_name": {"type": "str"},
        "probe": {"type": "bool", "default": False},
        "accounting_url": {"type": "str"},
    }
).merge(_argspec.gateway())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    container_name: str | None
    probe: bool
    accounting_url: str | None


def work(context: Context) -> Outcome:
    options = context.read(Options)
    name = options.container_name
    container = None
    if name is not None:
        context.need_docker()
        container = docker.inspect(name)
    gateway = gateway_of(context)
    state = gateway.state()
    found = report(gateway.url, state, gateway.rotation(), container)
    asked = probe(gateway, state, options.accounting_url) if options.probe else None
    found["probes"] = None if asked is None else asked.to_result()
    return Outcome(changed=False, values={"gateway": found})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

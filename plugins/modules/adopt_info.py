#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: adopt_info
short_description: Inspect a gateway that was made by hand
version_added: 0.6.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Finds the gateways of a host by the variables of their containers, and inspects the one that is meant. Asks it what
    it is, with the admin key of its own container, and asks the chain whose its escrows are.
  - Returns the inventory with which the collection has this gateway as it is. No secret is returned.
  - Changes nothing. It needs only Python and the docker program on the host.
options:
  container_name:
    description:
      - Name of the container. It may be omitted on a host with one gateway that the collection does not have yet.
    type: str
  instance:
    description:
      - Name of the gateway among those of the host; empty for the one without a name.
    type: str
    default: ''
  chain_id:
    description:
      - Id of the chain. If omitted, the one that the gateway was started with, as with the three addresses below.
    type: str
  chain_rest:
    description:
      - Base URL of the chain's REST interface.
    type: str
  chain_rpc:
    description:
      - URL of the chain's RPC interface.
    type: str
  grpc:
    description:
      - Host and port at which the gateway reaches the chain's gRPC interface, or V(none). If omitted, what the gateway
        was started with.
    type: str
    version_added: 0.9.0
  public_api:
    description:
      - Base URL of the network's public API.
    type: str
  gateway_public_api:
    description:
      - Base URL at which the gateway itself reaches the public API. If omitted, what the gateway was started with.
    type: str
    version_added: 0.9.0
  protocol:
    description:
      - The protocol of its escrows. If omitted, the one that the gateway shows.
    type: str
  models:
    description:
      - The models of the inventory, as in C(devshard_models). They are returned for a gateway that has no escrow which
        shows them.
    type: list
    elements: dict
    version_added: 0.9.0
  temp_port:
    description:
      - The first port of the host that is considered for a temporary gateway. One that is free is returned.
    type: int
    default: 18081
  edge_port:
    description:
      - Port of the edge. If omitted, it is V(80), or a free one where the owner has a site of his own on that port.
    type: int
  time_limit:
    description:
      - Seconds for all answers of the gateway and the chain together.
    type: int
    default: 30
extends_documentation_fragment:
  - gonka.devshard._http
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
seealso:
  - module: gonka.devshard.gateway_plan_info
  - module: gonka.devshard.presence_info
"""

EXAMPLES = r"""
- name: Inspect the only gateway of the host
  gonka.devshard.adopt_info:
  register: found

- name: Show the inventory for it
  ansible.builtin.debug:
    msg: "{{ found.adopt.inventory | to_nice_yaml }}"
"""

RETURN = r"""
adopt:
  description: The gateway as it is.
  returned: success
  type: dict
  contains:
    container:
      description:
        - Its container. C(variables) are those that its image does not set; the value of a secret is C((secret)).
          C(record) is the deploy record beside it, of a gateway that the collection has already. C(beyond) is what it
          has that a container of the collection would not have and that it may need, such as networks, mounts and
          rights. C(options) are its other options that the next container would not have, such as labels and limits, by
          their names in a compose file. C(beside) are containers of other projects on its Docker networks.
      type: dict
      sample: {name: devshardctl-multi, state: running, project: devshard-gateway, record: null}
    generation:
      description: The generation that it shows by its answers. Null where it could not be asked.
      type: str
      sample: v4.1
    settings:
      description: Its settings.
      type: dict
      sample: {max_concurrent_requests: 512}
    escrows:
      description:
        - Its escrows. C(key) is the name of the variable with the key, empty where the key stands in the record.
          C(settled), C(creator) and C(amount) in C(ngonka) are null where the chain was not asked, or did not answer.
        - C(pruned) says that the chain has deleted it, two epochs after its own, so that no deposit of it is out.
          C(settled) is then true where a settle event of the chain proves it, else null.
      type: list
      elements: dict
      sample:
        - {id: "4711", model: "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", active: true, key: DEVSHARD_PRIVATE_KEY}
    chain_error:
      description: Why the chain could not be asked, or null.
      type: str
      sample: null
    front:
      description:
        - The nginx of the host. C(listens) are its ports with the owner's files, C(leads) the owner's files that lead
          to the gateway, C(ours) the ports of an edge of the collection.
      type: dict
      sample: {installed: true, error: null, listens: {"80": [/etc/nginx/sites-enabled/site]}, leads: [], ours: []}
    past_edge:
      description:
        - How clients may reach the gateway past the edge, files of nginx, ports that are open to others, and a network
          of Docker that other containers are on.
      type: list
      elements: str
      sample: []
    others:
      description: Other gateways of the host.
      type: list
      elements: str
      sample: []
    owned_files:
      description: Files of the owner that he needs to start the gateway as before.
      type: list
      elements: str
      sample: [/srv/gonka/devshard-gateway/docker-compose.yml]
    inventory:
      description:
        - Variables of the inventory for this gateway. Empty where its generation is not known. While the deposit of an
          escrow is unknown, C(devshard_models) is not one of them.
      type: dict
      sample: {devshard_profile: v4.1, devshard_protocol: v4.1}
    overridden:
      description:
        - Variables of which the environment file has another value than the running container. The value in the file
          counts for the next container. A secret that differs is one of RV(adopt.problems).
      type: list
      elements: str
      sample: []
    closed:
      description: Addresses of the host on which the container is published, and the next one would not be.
      type: list
      elements: str
      sample: ["18085 on all addresses (port 8080/tcp in the container)"]
    problems:
      description: What is missing in the inventory or forbids the takeover, one sentence each.
      type: list
      elements: str
      sample: []
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.adopt_info import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

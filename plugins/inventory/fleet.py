# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventory: a fleet of gateways from one file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: fleet
short_description: A fleet of gateways from one file
version_added: 0.7.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Reads one YAML file of gateways, and makes each of them a host with the variables that the roles of this collection
    read.
  - All hosts are in the group C(devshard_gateways), which the playbooks work on. O(defaults) are variables of this
    group, so a file in C(group_vars) can override them. A gateway with a profile is also in C(generation_PROFILE), for
    example C(generation_v4_1), and one with a creator in C(creator_NAME). All these groups and the C(groups) of a
    gateway rank above C(devshard_gateways), whatever their names are.
  - Several gateways of one machine are several hosts with the same C(address). Each needs an C(instance) and ports of
    its own. The guide "Several gateways on one host" says which.
  - A secret in the file is refused. Name a variable of a vault instead.
  - An unknown key is refused with the name that it resembles. Ansible reports an inventory that it cannot read as a
    warning and goes on without it. The playbooks of this collection then stop, because no host matches. To make every
    command stop, set C(any_unparsed_is_failed=true) in the section C([inventory]) of C(ansible.cfg), or
    the environment variable C(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED).
options:
  plugin:
    description:
      - The name of this plugin.
    type: str
    required: true
    choices:
      - gonka.devshard.fleet
  defaults:
    description:
      - What all gateways have in common. A gateway overrides each field with one of its own.
    type: dict
    default: {}
    suboptions:
      profile:
        description:
          - The gateway generation, C(devshard_profile).
        type: str
      protocol:
        description:
          - The protocol of new escrows, C(devshard_protocol).
        type: str
      image:
        description:
          - The image, C(gateway_image).
        type: str
      inferenced_version:
        description:
          - The version of C(inferenced), C(inferenced_version).
        type: str
      user:
        description:
          - The user for the connection, C(ansible_user).
        type: str
      chain:
        description:
          - The chain with the fields C(id), C(rest), C(rpc), C(grpc), C(grpc_tls) and C(public_api). They become
            C(devshard_chain_id) and so on, and C(devshard_public_api).
        type: dict
      models:
        description:
          - The models, C(devshard_models), each with C(id), C(amount) in ngonka, C(count) and C(access_mode).
        type: list
        elements: dict
      creator:
        description:
          - The creator that pays, a name in O(creators).
        type: str
      vars:
        description:
          - Other variables. A name that begins like a setting of this collection and that no role reads is refused.
        type: dict
  creators:
    description:
      - The accounts that pay for escrows, by a name of letters, digits and underscores. Their settings are variables of
        the group C(creator_NAME).
      - C(address) is the address that the key must give, C(creator_address).
      - C(key) is the name of the variable, usually one of a vault, that holds the private key. The key itself is
        refused. Without it each host keeps the key that it has, or generates one.
      - C(keyring_name) is the name of the key in the keyring, C(devshard_key_name). Two creators on one machine need
        different ones.
    type: dict
    default: {}
  gateways:
    description:
      - The gateways, at least one.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the host in the inventory.
        type: str
        required: true
      address:
        description:
          - The address of the machine, C(ansible_host). Without it the name is the address.
        type: str
      instance:
        description:
          - The name of this gateway among several of one machine, C(devshard_instance).
        type: str
      port:
        description:
          - The port of slot main on the loopback of the machine. It becomes C(devshard_gateway_url).
        type: int
      temp_port:
        description:
          - The port of slot temp on the loopback of the machine. It becomes C(devshard_temp_url).
        type: int
      http_port:
        description:
          - The port of the edge for HTTP, C(edge_http_port).
        type: int
      https_port:
        description:
          - The port of the edge for HTTPS, C(edge_https_port).
        type: int
      accounting_port:
        description:
          - The port of the accounting, C(gateway_accounting_port).
        type: int
      counts:
        description:
          - The number of escrows that this gateway wants for a model, by the id of the model. The other models keep
            their number.
        type: dict
      groups:
        description:
          - More groups of this gateway, for example V(canary).
        type: list
        elements: str
      profile:
        description:
          - As in O(defaults).
        type: str
      protocol:
        description:
          - As in O(defaults).
        type: str
      image:
        description:
          - As in O(defaults).
        type: str
      inferenced_version:
        description:
          - As in O(defaults).
        type: str
      user:
        description:
          - As in O(defaults).
        type: str
      chain:
        description:
          - As in O(defaults).
        type: dict
      models:
        description:
          - As in O(defaults). It replaces the whole list.
        type: list
        elements: dict
      creator:
        description:
          - As in O(defaults).
        type: str
      vars:
        description:
          - As in O(defaults).
        type: dict
extends_documentation_fragment:
  - ansible.builtin.constructed
"""

EXAMPLES = r"""
# fleet.yml: ansible-inventory -i fleet.yml --graph
plugin: gonka.devshard.fleet

defaults:
  profile: v4.1
  protocol: v4.1
  image: ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.1
  inferenced_version: v0.2.16-post1
  creator: team_a
  chain:
    id: gonka-mainnet
    rest: https://node3.gonka.ai/chain-api
    rpc: https://rpc.gonka.gg/chain-rpc/
    grpc: none
    public_api: https://node3.gonka.ai
  models:
    - id: MiniMaxAI/MiniMax-M2.7
      amount: 5000000000
      count: 2
  vars:
    ansible_become: true

creators:
  team_a:
    address: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
    key: vault_team_a_private_key
  team_b:
    key: vault_team_b_private_key
    keyring_name: devshard-team-b

gateways:
  # it holds fewer deposits
  - name: gateway1
    address: gateway1.example.org
    groups: [canary]
    counts:
      MiniMaxAI/MiniMax-M2.7: 1
  - name: gateway2
    address: gateway2.example.org
  # a second gateway of the same machine
  - name: gateway2-blue
    address: gateway2.example.org
    instance: blue
    port: 18090
    temp_port: 18091
    http_port: 8080
    creator: team_b

keyed_groups:
  - prefix: chain
    key: devshard_chain_id
"""

import typing as t

from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.inventory.helpers import get_group_vars
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.template import trust_as_template
from ansible.utils.vars import combine_vars

from ansible_collections.gonka.devshard.plugins.plugin_utils._fleet import (
    GATEWAYS,
    Fleet,
    FleetFault,
    read_fleet,
    refuse_unknown,
)


def _trusted(value: t.Any) -> t.Any:
    """Text that was made from a field, like text of the file, which the loader trusts."""
    return trust_as_template(value) if isinstance(value, str) else value


class InventoryModule(BaseInventoryPlugin, Constructable):
    """See the documentation above."""

    NAME = "gonka.devshard.fleet"

    def verify_file(self, path: str) -> bool:
        verified: t.Callable[[str], bool] = super().verify_file
        return path.endswith((".yml", ".yaml", ".json")) and verified(path)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache=cache)
        read: t.Callable[[str], dict[str, t.Any]] = self._read_config_data
        content = read(path)
        known = constants.config.get_configuration_definitions("inventory", self._load_name)
        option: t.Callable[[str], t.Any] = self.get_option
        try:
            refuse_unknown(content, set(known))
            fleet = read_fleet(option("defaults"), option("creators"), option("gateways"))
        except FleetFault as exc:
            # without the place in the file: its lines would be shown, and may hold a secret
            raise AnsibleParserError(f"{path}: {exc}.") from None
        _fill(inventory, fleet)
        for gateway in fleet.gateways:
            self._construct(inventory, gateway.name, option)

    def _construct(self, data: t.Any, name: str, option: t.Callable[[str], t.Any]) -> None:
        steps: tuple[tuple[t.Callable[..., None], str], ...] = (
            (self._set_composite_vars, "compose"),
            (self._add_host_to_composed_groups, "groups"),
            (self._add_host_to_keyed_groups, "keyed_groups"),
        )
        for add, key in steps:
            host = data.get_host(name)
            seen = combine_vars(get_group_vars(host.get_groups()), host.get_vars())
            add(option(key), seen, name, strict=option("strict"))


def _fill(data: t.Any, fleet: Fleet) -> None:
    for group, variables in fleet.groups.items():
        data.add_group(group)
        for name, value in variables.items():
            data.set_variable(group, name, _trusted(value))
    # every other group of the same depth overrides it
    data.set_variable(GATEWAYS, "ansible_group_priority", 0)
    for gateway in fleet.gateways:
        data.add_host(gateway.name)
        for group in gateway.groups:
            data.add_group(group)
            data.add_child(group, gateway.name)
        for name, value in gateway.variables.items():
            data.set_variable(gateway.name, name, _trusted(value))

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_status
short_description: Get the state of a gateway, its edge, its chain and its deposits in one run
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Queries all parts that a client or a deposit depends on concurrently. A part that does not answer is reported as not
    known, with the reason. The other parts are reported nevertheless.
  - No part waits longer than O(time_limit) in total. The escrows are queried after the gateway and the chain, in the
    time that the chain has left.
  - It judges nothing and spends nothing. The public route is queried without a key, by C(GET /v1/models) and by C(GET
    /v1/chat/completions), which a gateway refuses because it has no body.
options:
  slot:
    description:
      - Slot of the gateway at O(gateway_url).
    type: str
    choices: [main, temp]
    default: main
  other_url:
    description:
      - URL of the gateway in the other slot, which has the same admin key. If omitted, it is not queried.
    type: str
  ask:
    description:
      - Slots whose gateway is queried. The admin key is sent only to these.
    type: list
    elements: str
    choices: [main, temp]
    default: [main, temp]
  public_url:
    description:
      - URL that clients use, without C(/v1).
    type: str
    default: http://127.0.0.1
  accounting:
    description:
      - Query the accounting that the edge publishes at O(public_url).
    type: bool
    default: false
    version_added: 0.5.0
  nginx_container:
    description:
      - Name of the container that nginx runs in. If omitted, the service C(nginx) of the host is checked.
    type: str
  creator:
    description:
      - Address of the creator. By default it is read from the keyring.
    type: str
  deadline_blocks:
    description:
      - An unsettled escrow with fewer blocks left than this is in danger. More than 0.
    type: int
    default: 1000
  backup_dir:
    description:
      - Directory with the backups of M(gonka.devshard.gateway_backup). If omitted, it is not looked at.
    type: path
    version_added: 0.7.0
  certificate:
    description:
      - Certificate chain that the edge serves, as PEM. If omitted, none is looked at.
    type: path
    version_added: 0.7.0
  time_limit:
    description:
      - Maximum time for each part in total, in seconds.
    type: int
    default: 10
  samples_path:
    description:
      - File in which the role C(gonka.devshard.monitoring) keeps samples of the sessions. The burn rates are measured
        from them. If omitted, they are not known.
    type: path
    version_added: 0.7.0
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._inferenced
  - gonka.devshard._ledger
seealso:
  - module: gonka.devshard.gateway_info
  - module: gonka.devshard.escrow_info
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Get the state of everything
  gonka.devshard.gateway_status:
    public_url: https://gateway.example.org
  register: found

- name: Show the parts that did not answer
  ansible.builtin.debug:
    msg: "{{ found.status.parts | dict2items | rejectattr('value.known') | map(attribute='key') }}"
"""

RETURN = r"""
status:
  description: The observed state. Fields of a part that is not known are null.
  returned: success
  type: dict
  contains:
    parts:
      description: For each part, whether it is known, and if not, why.
      type: dict
      sample:
        chain: {known: false, why: "GET https://node.example.org/…: no answer within the time-out"}
    slots:
      description: The gateways, by slot. V(gateway) is what M(gonka.devshard.gateway_info) returns, V(hosts) has the
        hosts of each loaded escrow, V(refused) the requests that the gateway refused since it started.
      type: dict
      sample:
        main:
          gateway: {disabled: false, active_requests: 2}
          hosts:
            - {id: 4711, model: some/model, available: 15, count: 16, quarantined: []}
          refused: 0
    route:
      description: The answer to a client. V(target) is the URL to which it is sent, V(slot) the slot that the edge
        names, V(chat) the status of a chat request without a body.
      type: dict
      sample: {url: "https://gateway.example.org", status: 200, slot: main, target: null, message: "",
               models: [some/model], chat: 400}
    accounting:
      description: The answer to a client that asks for the accounting. V(schema) is null when it is none. Null without
        O(accounting).
      type: dict
      sample: {url: "https://gateway.example.org/api/v1/accounting/epochs", status: 200, schema: 4}
    nginx:
      description: State of the service or of the container, for example V(active), V(inactive), V(running).
      type: str
      sample: active
    phase:
      description: Phase of the network's epoch, as the public API has it.
      type: str
      sample: Inference
    confirmation_poc:
      description: Whether a confirmation of proofs of compute is in progress.
      type: bool
      sample: false
    epoch:
      description: The chain's epoch and height.
      type: dict
      sample: {effective: 214, height: 4712218, next_switch: 4727609, epoch_length: 15391, block_seconds: 6.0}
    disks:
      description: Free space on the disks of the environment file, beside which the storage is, and of the ledger.
      type: list
      elements: dict
      sample: [{path: /srv/gonka/devshard-gateway, free_mb: 20480}]
    clock_offset:
      description: Number of seconds by which the clock of this host is ahead of the node's. Negative where it is
        behind, null where the node does not name its time.
      type: int
      sample: 0
    backups:
      description: How many complete backups O(backup_dir) has, and the age of the newest one in seconds, null without
        one. Null where they are not known.
      type: dict
      sample: {count: 7, age: 35000}
    certificate:
      description: When the certificate expires, and the number of whole days until then, negative after it. Null where
        it is not known.
      type: dict
      sample: {expires: "2026-12-31T12:00:00+00:00", days_left: 31}
    upgrade:
      description: Why nothing is signed now because the chain will be upgraded within the hour. Null when it is not.
      type: str
      sample: null
    clock_fault:
      description: Why this host can sign nothing because its clock differs from the chain's. Null when it does not.
      type: str
      sample: null
    creator:
      description: The creator. V(balance) is in C(ngonka).
      type: dict
      sample: {address: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6, balance: 60000000000, membership: listed}
    params:
      description: The chain's parameters for escrows.
      type: dict
      sample: {max_nonce: 20000}
    escrows:
      description: All escrows that gateway, chain or ledger name, as M(gonka.devshard.escrow_info) returns them, with
        the slot that has each. V(recorded) and V(on_chain) are null where they are unknown. V(burn) has
        C(ngonka_per_hour), C(nonces_per_hour) and C(seconds), the time that was measured. It is null where that is
        unknown.
      type: list
      elements: dict
      sample: []
    complete:
      description: Whether the chain listed all escrows of the creator.
      type: bool
      sample: true
    transactions:
      description: Transactions in the ledger whose outcome is still open.
      type: list
      elements: dict
      sample: []
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_status import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

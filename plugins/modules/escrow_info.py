#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: escrow_info
short_description: Show the present state of every deposit
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Joins what the chain, the gateway and the ledger of the host know about each escrow.
  - Each escrow has a deadline. It can be settled in its own epoch and in the next one; after that the chain prunes it
    and its deposit goes to the hosts.
options:
  ids:
    description:
      - Only these escrows. By default all that the gateway has a record of, all live ones of the creator on the
        chain, and all with an open intent in the ledger.
    type: list
    elements: int
    default: []
  model_id:
    description:
      - Only escrows of this model.
    type: str
  creator:
    description:
      - Address of the creator. By default it is read from the keyring; without either, escrows that the gateway has no
        record of are not looked up on the chain.
    type: str
  storage_dir:
    description:
      - The gateway's storage on the host. Escrows whose sessions are in it are shown too, and count as this gateway's
        in RV(escrows[].of_gateway).
    type: path
    version_added: 0.9.0
  history:
    description:
      - Show each step of each intent in the ledger too.
    type: bool
    default: false
  deadline_blocks:
    description:
      - An unsettled escrow with fewer blocks left than this is in danger, see RV(escrows[].dangers). More than 0.
      - One that only waits to be settled is in danger from the start of the last epoch in which that is possible.
    type: int
    default: 1000
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
  - module: gonka.devshard.escrow
  - module: gonka.devshard.escrow_settle
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Get all escrows
  gonka.devshard.escrow_info:
  register: found

- name: Fail when a deposit is in danger
  ansible.builtin.assert:
    that:
      - found | gonka.devshard.deadline_alarms | length == 0
    fail_msg: "{{ found | gonka.devshard.deadline_alarms | join(' ') }}"
"""

RETURN = r"""
escrows:
  description: The escrows, ordered by id.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The id, given by the chain.
      type: int
      sample: 4711
    model:
      description: The model, as the chain has it.
      type: str
      sample: some/model
    recorded:
      description: Whether the gateway has a record of it.
      type: bool
      sample: true
    active:
      description: Whether the gateway may route requests to it.
      type: bool
      sample: true
    loaded:
      description: Whether the gateway has its session in memory.
      type: bool
      sample: true
    phase:
      description: Phase of its session, C(active), C(finalizing) or C(settlement). Null when it is not loaded.
      type: str
      sample: active
    nonce:
      description: Newest nonce of its session. Null when it is not loaded.
      type: int
      sample: 15
    balance:
      description: The rest of the deposit in its session, in C(ngonka). Null when it is not loaded.
      type: int
      sample: 4999965000
    active_requests:
      description: Requests it serves now. Null when it is not loaded.
      type: int
      sample: 0
    background:
      description: Work after replies that were sent. It counts as busy. Generations before C(v4.1) do not show it.
      type: int
      sample: 0
    loadable:
      description: Whether it is not loaded and the gateway can load it again, which generations from C(v3) on can.
      type: bool
      sample: false
    settle_queued:
      description: Whether the gateway means to settle it by itself, when its work has ended.
      type: bool
      sample: false
    held_since:
      description: Since when the gateway holds it back although it is active, until reservations come back. Else null.
      type: str
      sample: null
    protocol:
      description: The protocol that its session is bound to. Null where the gateway does not show it.
      type: str
      sample: v4.1
    storage_path:
      description: Path of its session, as seen by the gateway.
      type: str
      sample: /root/.devshardctl/escrow-4711
    rotation_role:
      description: C(temp) or C(regular) for one that rotation made, else null.
      type: str
      sample: null
    on_chain:
      description: Whether the chain has it. It is pruned two epochs after its own.
      type: bool
      sample: true
    absence:
      description:
        - The outcome of an escrow that the chain does not have. Null where the chain has it.
        - V(settled) where the ledger has a settle that the chain executed, or the chain has its settle event. V(lost)
          where the ledger has it that the deposit went to the hosts. V(not_shown) where it is so young by the ledger
          that the chain cannot have pruned it, so the node is behind or of another chain. Otherwise V(unknown).
      type: str
      sample: null
      version_added: 0.10.0
    creator:
      description: The account that owns the deposit.
      type: str
      sample: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
    amount:
      description: The deposit, in C(ngonka).
      type: int
      sample: 5000000000
    epoch:
      description: The epoch it belongs to.
      type: int
      sample: 214
    settled:
      description: Whether it is settled. Of an escrow that the chain does not have it is true where that is proved, see
        RV(escrows[].absence), and null otherwise.
      type: bool
      sample: false
    deadline:
      description:
        - The last block in which it can be settled. Null when the chain does not have it.
        - C(last_epoch) says whether the epoch has begun at whose end that is.
      type: dict
      sample:
        epoch: 215
        height: 4743000
        blocks_left: 15391
        seconds_left: 92346
        last_epoch: true
    usable:
      description: Whether it can serve requests.
      type: bool
      sample: true
    why_not:
      description: Every reason why it is not usable.
      type: list
      elements: str
      sample: []
    foreign:
      description: Whether its creator on the chain is another account than RV(creator). Null when one of them is not
        known.
      type: bool
      sample: false
    of_gateway:
      description:
        - Whether it is this gateway's. The gateway has a record of it, or O(storage_dir) has its session, or the ledger
          has its create or import by this gateway and by no other one.
        - Null when none of that is the case and the storage was not searched.
      type: bool
      sample: true
    may_settle:
      description: Whether it can be settled from this host, as far as that is known before trying. Null when a state
        that decides it is unknown, see RV(not_known).
      type: bool
      sample: true
    gateway_settles:
      description: Whether the gateway still settles it by itself, when its work ends.
      type: bool
      sample: false
    dangers:
      description: Why its deposit may be lost. Empty for a settled escrow.
      type: list
      elements: dict
      sample: []
      contains:
        kind:
          description: C(deadline) is near, C(last_epoch) (it has begun, and the escrow serves nothing),
            C(too_late), C(not_listed) (the creator), C(version) (no longer approved),
            C(nonce) (above the chain's limit), C(changed) (a parameter of the chain is not as it was at the create),
            C(foreign) (another account's), C(stuck) (a finalize does not end), C(held) (the gateway holds it back), or
            C(no_session) (the gateway has not loaded it).
          type: str
          sample: not_listed
        reason:
          description: The reason in words.
          type: str
          sample: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6 is no longer on the chain's list of allowed creators,
            which also stops settling
        advice:
          description: The remedy that is left.
          type: str
          sample: Ask governance to list it again before the deadline
    ledger:
      description: Its intents in the ledger of the host, the oldest first.
      type: list
      elements: dict
      sample: []
intents:
  description: All intents in the ledger whose outcome is still open, also those that have no escrow id yet.
  returned: success
  type: list
  elements: dict
  sample: []
epoch:
  description: The chain's epoch and height. Null when they are unknown; then no deadline is known either.
  returned: success
  type: dict
  sample:
    effective: 214
    height: 4712218
    next_switch: 4727609
    epoch_length: 15391
    block_seconds: 6.0
creator:
  description: The creator whose escrows were searched, or null.
  returned: success
  type: str
  sample: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
not_known:
  description: The parts whose state is unknown, each once. While this is not empty, a missing danger proves nothing.
  returned: success
  type: list
  elements: str
  sample: []
complete:
  description:
    - Whether the chain listed all escrows of the creator, and showed each of them that it cannot have pruned yet.
  returned: success
  type: bool
  sample: true
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.escrow_info import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

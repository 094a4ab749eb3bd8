#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: escrow
short_description: Keep the wanted number of usable escrows for a model
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Ensures that a gateway has at least O(count) usable escrows for O(model_id), each with a deposit of at least
    O(amount).
  - An escrow is usable when the gateway has it active and loaded, its session is in phase C(active) and neither its
    nonce nor its balance is near the gateway's limits, and the chain has it unsettled before its deadline.
  - Each escrow that is created locks real C(ngonka) of the creator. Before it creates, the module therefore checks, in
    this order, unresolved intents in the ledger of the host, the records of the gateway, and the creator's escrows on
    the chain. When one of these is unknown, nothing is created.
  - With O(create_via=signed) the transaction is signed once on the host and written to the ledger with its hash
    before it is sent. It can be sent any number of times and locks one deposit. A run that was interrupted anywhere is
    continued by the next one.
  - An escrow that was paid for and is not registered in the gateway is registered (adopted) when the ledger proves
    that it is this gateway's. Other unsettled escrows of the creator may be served by another gateway, so they are
    only reported in RV(unclaimed) unless O(adopt) or O(adopt_orphans) says otherwise. As long as there are such escrows
    nothing is created, because a gateway with another storage or on another host may serve them.
  - An escrow in the gateway that another account owns is reported in RV(foreign) and not counted.
options:
  model_id:
    description:
      - The model, exactly as the chain spells it.
    type: str
    required: true
  amount:
    description:
      - Deposit of each escrow, in C(ngonka), a whole number. Existing escrows with a larger deposit count too.
      - Must be between the chain's C(min_amount) and C(max_amount), even while enough escrows exist.
    type: int
    required: true
  count:
    description:
      - Number of usable escrows wanted. V(0) creates nothing, but still resolves what an earlier run left open.
    type: int
    default: 1
  private_key_env:
    description:
      - Name of the variable in the gateway's environment that holds the creator's key. The key itself is never sent.
    type: str
    default: DEVSHARD_PRIVATE_KEY
  create_via:
    description:
      - How an escrow is created.
    type: str
    default: signed
    choices:
      signed: By a transaction that this host signs with C(inferenced) and keeps in the ledger.
      gateway: By the gateway's own create call. For hosts without C(inferenced). The intent is written to the ledger
        before the call, and a lost reply is resolved from the gateway, the creator's create events and the
        transaction's lifetime of nine minutes.
  creator:
    description:
      - Address of the creator. Required with O(create_via=gateway).
      - With O(create_via=signed) it is read from the keyring; when given, both must be equal.
    type: str
  adopt:
    description:
      - Ids of escrows of this creator that are to be registered in this gateway. Name only escrows that no other
        gateway serves, since two gateways that serve one escrow lose its deposit.
      - An escrow of another model than O(model_id) is refused, unless O(other_models) names its model.
    type: list
    elements: int
    default: []
  other_models:
    description:
      - Models for which this module is run as well, with the same O(adopt). Their escrows in O(adopt) are left to those
        runs.
    type: list
    elements: str
    default: []
    version_added: 0.10.0
  adopt_orphans:
    description:
      - Register every unsettled escrow of this creator for O(model_id) that this gateway has no record of.
      - Set it to V(true) only when no other gateway uses this creator, or when O(other_gateway_escrow_ids) names all
        escrows of the others.
    type: bool
    default: false
  other_gateway_escrow_ids:
    description:
      - Ids of escrows that other gateways with the same creator have. They are never adopted and not reported as
        unclaimed.
    type: list
    elements: int
    default: []
  allow_unclaimed:
    description:
      - Create although RV(unclaimed) is not empty. Set it to V(true) only when you know which gateway serves those
        escrows.
    type: bool
    default: false
  others_create_after:
    description:
      - Height of the chain when the other gateways with the same creator reported their escrows. Escrows of later
        blocks belong to them, because gateways of one play create one after the other, and a rotation may create at
        any moment. They are not reported as unclaimed, and O(adopt_orphans) does not adopt them.
    type: int
  reactivate:
    description:
      - Activate an escrow that is inactive in the gateway, paid for and able to serve, before another one is paid for.
        An escrow that rotation made, or whose session is older than the one that its hosts know, stays inactive.
      - With V(false) it stays inactive, is named, and another one is paid for.
    type: bool
    default: true
  max_creates_per_run:
    description:
      - Nothing is created when more escrows than this are missing.
      - Must not be less than O(count), because all escrows may have to be replaced in one run.
    type: int
    default: 4
  max_total_locked:
    description:
      - Upper limit for the sum of all unsettled deposits of the creator after this run, in C(ngonka). Unset means no
        limit.
    type: int
  fee_amount:
    description:
      - The most that a create transaction may cost, in C(ngonka). On a chain with fee groups (v0.2.16) exactly what the
        group of the message asks for is offered, which is nothing while the group is off. On an earlier chain this is
        the fee.
      - A create for which the chain asks more is refused before anything is signed.
    type: int
    default: 1000000
  gas_limit:
    description:
      - Gas limit of a create transaction.
    type: int
    default: 500000
  tx_lifetime:
    description:
      - Lifetime of a transaction signed by this host, in seconds, from 30 to 600 (the chain's limit). After it the
        chain no longer accepts the transaction, and a new one may be signed.
    type: int
    default: 120
  min_blocks_left:
    description:
      - An escrow whose deadline is nearer than this many blocks is not counted as usable.
    type: int
    default: 0
  min_blocks_to_poc:
    description:
      - Nothing is created while fewer than this many blocks are left to the next proof of compute, or while the chain
        is not in phase C(Inference). What is sent then may be included in the next epoch, or finds few hosts.
      - In a short epoch at most a tenth of it is required.
      - If omitted, what the guide of the gateway's generation names, 1500 for C(v4.1) and 0 for earlier ones, which is
        any moment.
    type: int
    version_added: 0.5.0
  create_pause:
    description:
      - Time from one create of this creator to the next, in seconds. It is counted in blocks of the chain, so it also
        holds for creates of other gateways.
      - If omitted, what the guide of the gateway's generation names, 8 for C(v4.1) and 0 for earlier ones.
    type: int
    version_added: 0.5.0
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._inferenced
  - gonka.devshard._ledger
  - gonka.devshard._wait
attributes:
  check_mode:
    support: full
    details:
      - The chain assigns ids and hashes, so they are absent in the prediction.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow_info
  - module: gonka.devshard.escrow_settle
  - module: gonka.devshard.devshard
"""

EXAMPLES = r"""
- name: Set the chain and the gateway once for all tasks
  module_defaults:
    group/gonka.devshard.chain:
      chain_rest: https://node.example.org/chain-api
      chain_rpc: https://node.example.org/chain-rpc
      public_api: https://node.example.org
      chain_id: gonka-mainnet
    group/gonka.devshard.admin:
      gateway_url: http://127.0.0.1:18080
      env_file: /srv/gonka/devshard-gateway/config.devshard.env
    group/gonka.devshard.inferenced:
      keyring_dir: /var/lib/gonka-devshard/inferenced/keyring-devshard
    group/gonka.devshard.ledger:
      ledger_path: /var/lib/gonka-devshard/ledger.db
  block:
    - name: Ensure two escrows of 5 GNK for a model
      gonka.devshard.escrow:
        model_id: "{{ model }}"
        amount: 5000000000
        count: 2

# The same addresses apply here.
- name: Create through the gateway on a host without inferenced
  gonka.devshard.escrow:
    model_id: "{{ model }}"
    amount: 5000000000
    create_via: gateway
    creator: "{{ creator_address }}"

- name: Register an escrow that an earlier tool made and no gateway serves
  gonka.devshard.escrow:
    model_id: "{{ model }}"
    amount: 5000000000
    adopt:
      - 4711
"""

RETURN = r"""
escrows:
  description: The usable escrows of the model in this gateway.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 4711
      model: some/model
      amount: 5000000000
      usable: true
created:
  description:
    - A receipt for each escrow created by this run, with C(amount) and C(fee) in C(ngonka), the block (C(height)) of
      its transaction, and C(settle_before), the last block in which it can be settled.
    - In check mode only model, amount and fee are known. Returned also when a later create failed.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 4711
      model: some/model
      amount: 5000000000
      fee: 1000000
      tx_hash: DD441F0073476AA46E1F2C25CCA5038BE97CC3858E31DE17B6524B304742A4DE
      height: 1234567
      settle_before:
        epoch: 215
        height: 1265000
        blocks_left: 30433
        seconds_left: 182598
        last_epoch: false
balance:
  description: The creator's balance after this run, in C(ngonka). Null when nothing was created.
  returned: success
  type: int
  sample: 54979949275
adopted:
  description: Ids of escrows that were already paid for and were registered by this run.
  returned: success
  type: list
  elements: int
  sample: [4710]
reactivated:
  description: Ids of escrows that were inactive, paid for and able to serve, and were activated by this run.
  returned: success
  type: list
  elements: int
  sample: []
surplus:
  description:
    - Usable escrows beyond O(count), those with the nearest deadline first. Escrows that rotation made are omitted,
      because rotation settles them.
  returned: success
  type: list
  elements: dict
  sample: []
foreign:
  description: Escrows in this gateway that belong to another account. Only their owner can settle them.
  returned: success
  type: list
  elements: dict
  sample: []
pending:
  description: Intents in the ledger that are still open, of any model.
  returned: success
  type: list
  elements: dict
  sample: []
unclaimed:
  description:
    - Unsettled escrows of the creator that this gateway has no record of and that nothing else explains. Another
      gateway may serve them.
    - Null when the chain did not list the creator's escrows, which also stops every create.
  returned: success
  type: list
  elements: dict
  sample: []
actions:
  description: What was done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - created escrow 4711
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.escrow import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: escrow_settle
short_description: Settle escrows and prove the refund
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Brings the deposits of escrows home. For each escrow the module deactivates it, waits for its last requests,
    finalizes its session, checks the settlement for quorum, keeps it beside the ledger, and settles. An escrow counts
    as settled only when the chain says so; the gateway's answer is only a hint.
  - Each step checks the state first, so a run that was interrupted anywhere is continued by the next one. With a kept
    settlement this works even without the gateway and its storage.
  - The chain is checked before each settle, because a second one would only burn the fee.
  - Everything that can refuse a settle is checked before an escrow is taken out of service, in check mode too. These
    are the node and this host's clock, the key, the list of creators, the approved versions, the limit of nonces, the
    fee, the wallet, and whether enough hosts answer. A refused escrow continues to serve.
  - One escrow that cannot be settled does not stop the others; the module then fails at the end, with all results
    beside C(failure).
options:
  ids:
    description:
      - The escrows to settle. Exactly one of O(ids) and O(select) is needed.
    type: list
    elements: int
  select:
    description:
      - Settle all matching escrows of this gateway and this creator that are unsettled on the chain.
    type: str
    choices:
      expiring: Those that have fewer than O(deadline_blocks) left until their deadline.
      at_risk: Those whose deposit is in danger for any reason that M(gonka.devshard.escrow_info) names in
        RV(gonka.devshard.escrow_info#module:escrows[].dangers), a near deadline among them. Where the chain refuses to
        settle one of them now, the run fails and says what must be changed by a vote.
      depleted: Those whose nonce or balance has reached the gateway's limits.
      inactive_unsettled: Those that are inactive, for example because rotation only switched them off.
      all: All of them.
  model_id:
    description:
      - With O(select), only escrows of this model.
    type: str
  deadline_blocks:
    description:
      - For O(select=expiring), the number of blocks before its deadline at which an escrow is settled. More than 0.
    type: int
    default: 1000
  settle_via:
    description:
      - Who signs and sends the settle transaction.
    type: str
    default: signed
    choices:
      signed: This host, with C(inferenced), once and recorded in the ledger.
      gateway: The gateway's own settle call. For hosts without C(inferenced).
  private_key_env:
    description:
      - With O(settle_via=gateway), the name of the variable in the gateway's environment that holds the
        creator's key.
    type: str
    default: DEVSHARD_PRIVATE_KEY
  creator:
    description:
      - Address of the creator. Required with O(settle_via=gateway), otherwise read from the keyring; when given, both
        must be equal.
    type: str
  fee_amount:
    description:
      - The most that the settle transaction may cost, in C(ngonka). On a chain with fee groups (v0.2.16) settling is
        exempt, and nothing is offered. On an earlier chain this is the fee.
    type: int
    default: 1000000
  gas_limit:
    description:
      - Gas limit of the settle transaction. A settlement of 16 hosts needs about 420000. A limit that is too low passes
        the node's first check and fails in the block, with the fee spent.
    type: int
    default: 1000000
  ask_hosts:
    description:
      - Before an escrow is taken out of service or finalized, check whether the hosts of enough of its slots answer to
        sign the settlement, and wait for them. Switch it off where the gateway reaches the hosts of the network and
        this host does not.
    type: bool
    default: true
  leave:
    description:
      - With O(select), ids of escrows that are not settled, because their owner has given them up.
    type: list
    elements: int
    default: []
    version_added: 0.6.0
  leave_foreign:
    description:
      - With O(select=all), skip escrows whose creator on the chain is another account. By default each of them is a
        failure, because this key cannot settle it. In both cases RV(foreign) names them.
    type: bool
    default: false
  tx_lifetime:
    description:
      - Lifetime of a transaction signed by this host, in seconds, from 30 to 600 (the chain's limit).
    type: int
    default: 120
  wait_timeout:
    description:
      - Maximum time to wait, in seconds, more than 0, for running requests, for signatures and for the chain. After
        that the module fails and reports the last state that it saw; running it again continues.
    type: int
    default: 1800
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
      - Refuses what the real run would refuse before its first step. The refund is exact when the settlement is already
        kept beside the ledger; otherwise it is the present balance of the session.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow
  - module: gonka.devshard.escrow_info
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Settle one escrow
  gonka.devshard.escrow_settle:
    ids:
      - 4711
  register: settled

- name: Show the refunds
  ansible.builtin.debug:
    msg: "{{ settled.escrows | sum(attribute='refund') }} ngonka"

- name: Settle the escrows that rotation only switched off
  gonka.devshard.escrow_settle:
    select: inactive_unsettled
"""

RETURN = r"""
escrows:
  description: One entry for each chosen escrow. For each settled one RV(escrows[].deposit) is the sum of
    RV(escrows[].spent), RV(escrows[].fees) and RV(escrows[].refund).
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The id, given by the chain.
      type: int
      sample: 4711
    settled:
      description: Whether the chain says that it is settled.
      type: bool
      sample: true
    deposit:
      description: The deposit, in C(ngonka).
      type: int
      sample: 5000000000
    spent:
      description: The amount paid to the hosts for requests, in C(ngonka).
      type: int
      sample: 790
    fees:
      description: The protocol's fees, in C(ngonka), taken from the deposit.
      type: int
      sample: 18000
    refund:
      description: The amount paid back to the creator, in C(ngonka), from the chain's own event. Null when it is
        unknown.
      type: int
      sample: 4999981210
    tx_fee:
      description: Fee of this host's settle transaction, in C(ngonka), paid by the wallet. Null when another host or
        account settled.
      type: int
      sample: 1000000
    tx_hash:
      description: Hash of the settle transaction.
      type: str
      sample: DA44BA5703B2A47534E2D16199116B77331F4E6AF0F2B018231B4DA9C875E2DD
    predicted:
      description: Whether this is a prediction of check mode.
      type: bool
      sample: false
    problem:
      description: Why it could not be settled, in the shape of C(failure). Null when it is settled.
      type: dict
      sample: null
foreign:
  description: With O(select), the open escrows in the gateway whose creator on the chain is another account.
  returned: success
  type: list
  elements: dict
  sample: []
  contains:
    id:
      description: The id, given by the chain.
      type: int
      sample: 24
    creator:
      description: Whose deposit it is.
      type: str
      sample: gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp
    amount:
      description: The deposit, in C(ngonka).
      type: int
      sample: 5000000000
    deadline:
      description: The last block in which it can be settled. Null when it is unknown.
      type: dict
      sample:
        epoch: 215
        height: 4743000
        blocks_left: 15391
        seconds_left: 92346
        last_epoch: true
actions:
  description: What was done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - deactivated escrow 4711
    - finalized escrow 4711
    - settled escrow 4711
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.escrow_settle import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

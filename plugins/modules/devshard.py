#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: devshard
short_description: Manage the record of one escrow in a gateway
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Registers an escrow in a gateway, switches it on or off, imports its session from another gateway, or deletes its
    record.
  - A session is money. Without it an escrow cannot be settled. Nor can a session that starts from scratch or continues
    from an older copy. Each change is therefore refused when it could cost the deposit.
  - Deleting and importing are written to the ledger of the host before they are done, so an interrupted run is
    continued by the next one.
options:
  id:
    description:
      - The escrow's id, given by the chain.
    type: int
    required: true
  state:
    description:
      - The wanted state.
    type: str
    default: present
    choices:
      present: The gateway has a record. A new one is active. It is registered only while no host of the escrow knows a
        session of it.
      active: The gateway has a record and may route requests to it. Refused when its session is older than
        O(expected_nonce) or than the nonce in the ledger, when it is finalized, or when the escrow is settled.
      inactive: The gateway has a record and sends it no new requests. Running requests are not interrupted.
      imported: The gateway has a record with the session in O(storage_path), which another gateway served before. A new
        one is inactive. The other gateway must have been stopped.
      absent: The gateway has no record and no session. Refused unless the chain says that the escrow is settled, or
        that it was pruned after it had been settled.
  model_id:
    description:
      - The escrow's model. The default is the model on the chain.
    type: str
  private_key_env:
    description:
      - Name of the variable in the gateway's environment that holds the creator's key. The key itself is never sent.
    type: str
    default: DEVSHARD_PRIVATE_KEY
  storage_path:
    description:
      - Folder of the session, as the importing gateway sees it. Required with O(state=imported).
      - An absolute path. The gateway resolves a relative path from its working directory and starts an empty session
        there.
    type: str
  perf_path:
    description:
      - The source's C(perf.db), as the importing gateway sees it, to import its accounting too. An absolute path.
    type: str
  expected_nonce:
    description:
      - The last nonce that the source reported. The session must be at exactly this nonce. Required with
        O(state=imported) unless the ledger of this host recorded the session before, because a gateway imports an empty
        folder without an error.
    type: int
  expected_balance:
    description:
      - The balance that the source reported together with O(expected_nonce), in C(ngonka).
    type: int
  force:
    description:
      - Delete although the deposit would be lost. The value must be the sum in C(ngonka) that the refusal named; any
        other number is refused.
    type: int
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._ledger
  - gonka.devshard._wait
attributes:
  check_mode:
    support: full
    details:
      - Values that the gateway decides, such as nonce and phase, are absent in the prediction.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow
  - module: gonka.devshard.escrow_settle
  - module: gonka.devshard.escrow_info
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Send no new requests to an escrow
  gonka.devshard.devshard:
    id: 4711
    state: inactive

- name: Import a session from a stopped gateway
  gonka.devshard.devshard:
    id: 4712
    state: imported
    storage_path: /root/.devshardctl/temp/escrow-4712
    expected_nonce: "{{ source.nonce }}"
    expected_balance: "{{ source.balance }}"

- name: Activate the imported session
  gonka.devshard.devshard:
    id: 4712
    state: active
    expected_nonce: "{{ source.nonce }}"

- name: Remove the record of a settled escrow
  gonka.devshard.devshard:
    id: 4711
    state: absent
"""

RETURN = r"""
devshard:
  description: The record and its escrow, as in RV(gonka.devshard.escrow_info#module:escrows). A prediction has only
    C(id), C(recorded) and C(active).
  returned: success
  type: dict
  sample:
    id: 4711
    model: some/model
    recorded: true
    active: true
    loaded: true
    phase: active
    nonce: 15
    balance: 4999965000
    on_chain: true
    settled: false
actions:
  description: What was done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - imported escrow 4712
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.money import open_ports
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.record_options import (
    DevshardOptions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.records import SetDevshard

SPEC = _argspec.ArgumentSpec(
    options={
        "id": {"type": "int", "required": True},
        "state": {
            "type": "str",
            "default": "present",
            "choices": ["present", "active", "inactive", "imported", "absent"],
        },
        "model_id": {"type": "str"},
        "private_key_env": {"type": "str", "default": "DEVSHARD_PRIVATE_KEY", "no_log": False},
        "storage_path": {"type": "str"},
        "perf_path": {"type": "str"},
        "expected_nonce": {"type": "int"},
        "expected_balance": {"type": "int"},
        "force": {"type": "int"},
    },
    required_if=(("state", "imported", ("storage_path",)),),
    required_by={"expected_balance": ("expected_nonce",)},
).merge(_argspec.money(), _argspec.wait())


def work(context: Context) -> Outcome:
    options = context.read(DevshardOptions)
    with open_ports(context, "devshard", waits=True) as ports:
        result = SetDevshard(ports, options).run()
    before, after = result.pop("before"), result.pop("after")
    return Outcome(changed=result.pop("changed"), values=result, before=before, after=after)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

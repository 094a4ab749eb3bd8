#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: creator_info
short_description: Show the creator's address, balance and place on the allowlist
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Reads the creator's address from the keyring of the host, and from the chain its balance, whether it may
    create escrows, and the limits that escrows have (guide §2.3 to §2.5).
options:
  address:
    description:
      - Address of the creator. The default is the one of O(key_name) in the keyring. When both are known, they must be
        equal.
    type: str
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._inferenced
seealso:
  - module: gonka.devshard.creator_key
  - module: gonka.devshard.allowlist
"""

EXAMPLES = r"""
- name: Get the creator
  gonka.devshard.creator_info:
    chain_rest: https://node3.gonka.ai/chain-api
    public_api: https://node3.gonka.ai
    chain_id: gonka-mainnet
  register: found

- name: Show its balance
  ansible.builtin.debug:
    msg: "{{ found.creator.address }} has {{ found.creator.balance }} ngonka"
"""

RETURN = r"""
creator:
  description: The creator as keyring and chain show it.
  returned: success
  type: dict
  contains:
    address:
      description: Its address. Null when neither the keyring nor O(address) gives it; then the fields below are null
        too.
      type: str
      sample: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
    in_keyring:
      description: Whether the keyring has a key of this name.
      type: bool
      sample: true
    balance:
      description: Its balance, in C(ngonka).
      type: int
      sample: 59980949275
    exists:
      description: Whether the chain has an account for it, which it gets with the first coins it receives.
      type: bool
      sample: true
    membership:
      description: V(listed), V(not_listed), or V(open) when the list is empty and every account may create.
      type: str
      sample: listed
params:
  description:
    - The limits that escrows have on this chain, amounts and fees in C(ngonka), prices in C(ngonka) per unit of gas.
    - With C(params.approved_known=false) the chain could not be asked which settlement versions it approves. An empty
      C(params.approved_versions) with C(params.approved_known=true) means that it approves any.
  returned: success
  type: dict
  sample:
    min_amount: 50000000
    max_amount: 100000000000
    max_escrows_per_epoch: 500000
    max_nonce: 1000000
    create_devshard_fee: 10000
    fee_per_nonce: 1000
    approved_versions: [v4.1, v5]
    approved_known: true
    min_gas_price: 0
    create_gas_price: 0
    settle_gas_price: 0
    settle_exempt: true
"""

from dataclasses import dataclass

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.chain import chain_of
from ansible_collections.gonka.devshard.plugins.module_utils._clients.signer import signer_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.creator import membership

SPEC = _argspec.ArgumentSpec(options={"address": {"type": "str"}}).merge(
    _argspec.chain(), _argspec.http(), _argspec.inferenced()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    address: str | None


def work(context: Context) -> Outcome:
    chain, signer = chain_of(context), signer_of(context)
    chain.head()
    params = chain.escrow_params()
    found = None if signer is None else signer.address()
    wanted = context.read(Options).address
    if found is not None and wanted not in (None, found):
        raise ConfigurationError(
            f"the key in the keyring belongs to {found}, but {wanted} is asked about (address)"
        )
    address = found or wanted
    creator = {
        "address": address,
        "in_keyring": found is not None,
        "balance": None if address is None else chain.balance(address),
        "exists": None if address is None else chain.account(address) is not None,
        "membership": None if address is None else membership(params, address).value,
    }
    return Outcome(changed=False, values={"creator": creator, "params": params.to_result()})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

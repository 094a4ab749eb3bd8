#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ledger_adopt
short_description: Enter the escrows of a gateway that was made by hand in the ledger
version_added: 0.6.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Writes each unsettled escrow of the gateway that the ledger does not know into the ledger, as one that was created
    through this gateway. Then every other run on this host knows whose it is, also when the database of the gateway is
    lost.
  - Escrows of another account than the one of the keyring are left out and returned.
  - Moves no coins and does not change the gateway.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - gonka.devshard._admin
  - gonka.devshard._chain
  - gonka.devshard._generation
  - gonka.devshard._http
  - gonka.devshard._inferenced
  - gonka.devshard._ledger
  - gonka.devshard._attributes
seealso:
  - module: gonka.devshard.adopt_info
  - module: gonka.devshard.escrow
"""

EXAMPLES = r"""
- name: Enter the escrows in the ledger
  gonka.devshard.ledger_adopt:
    chain_rest: https://node.example.org/chain-api
    public_api: https://node.example.org
    chain_id: gonka-mainnet
"""

RETURN = r"""
entered:
  description: Ids of the escrows that were written down. In check mode those that would be.
  returned: success
  type: list
  elements: int
  sample: [4711]
foreign:
  description: Ids of unsettled escrows of the gateway that belong to another account.
  returned: success
  type: list
  elements: int
  sample: []
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.money import open_ports
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.entries import enter_escrows

SPEC = _argspec.ArgumentSpec(options={}).merge(_argspec.signing())


def work(context: Context) -> Outcome:
    with open_ports(context, "ledger_adopt", signs=True) as ports:
        result = enter_escrows(ports)
    return Outcome(changed=bool(result["entered"]), values=result)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

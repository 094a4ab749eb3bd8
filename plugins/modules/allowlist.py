#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: allowlist
short_description: Assert that the creator may create escrows
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Asks the chain whether an address is on its list of allowed escrow creators (guide §2.4), and fails when it
    is not. An empty list means that every account may create.
  - There are three answers. Listed succeeds. Not listed fails with RV(failure.kind) V(not_listed) and says what to do.
    Unknown fails with another kind.
  - Membership is decided by a governance vote; nothing on this host changes it.
  - While it waits, it shows lines on the terminal with the time that is left, the first after 15 seconds and then less
    often, up to every 5 minutes.
options:
  address:
    description:
      - The creator's address. By default the one of O(key_name) in the keyring.
    type: str
  wait:
    description:
      - Wait until the address is listed, up to O(wait_timeout). The module also waits while the chain does not answer.
    type: bool
    default: false
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._inferenced
  - gonka.devshard._wait
seealso:
  - module: gonka.devshard.creator_info
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Stop here unless the creator is listed
  gonka.devshard.allowlist:
    address: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6

- name: Wait for the vote, a day at most
  gonka.devshard.allowlist:
    wait: true
    wait_timeout: 86400
    wait_interval: 60
"""

RETURN = r"""
allowlist:
  description: What the chain says.
  returned: success
  type: dict
  contains:
    address:
      description: The address that was checked.
      type: str
      sample: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
    membership:
      description: V(listed), or V(open) when the list is empty.
      type: str
      sample: listed
params:
  description: The limits that escrows have on this chain, amounts and fees in C(ngonka).
  returned: success
  type: dict
  sample:
    min_amount: 50000000
    max_amount: 100000000000
    max_escrows_per_epoch: 500000
    max_nonce: 1000000
failure:
  description: Why it failed.
  returned: failure
  type: dict
  contains:
    kind:
      description: V(not_listed) when the chain does not list the address, V(unknown) when the chain did not answer.
      type: str
      sample: not_listed
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.allowlist import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

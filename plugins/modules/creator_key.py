#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: creator_key
short_description: Put the creator's key into the keyring of the host
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Imports the creator's private key into the keyring of C(inferenced) (guide §2.3). The key is passed by standard
    input, never on a command line.
  - The key is checked first, because the program accepts keys of a wrong length and derives another address from them.
    Before anything is imported, the program derives the address in a keyring that is removed immediately. The address
    is compared with O(address) and with the key that the keyring holds under O(key_name).
options:
  private_key:
    description:
      - The private key, 64 hexadecimal digits without C(0x). By default C(DEVSHARD_PRIVATE_KEY) of
        O(env_file), so that the key never leaves the host.
    type: str
  env_file:
    description:
      - Environment file of the gateway on the managed host.
    type: path
    default: /srv/gonka/devshard-gateway/config.devshard.env
  address:
    description:
      - The address that the key must have. A key of another address is refused.
    type: str
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._inferenced
attributes:
  check_mode:
    support: full
    details:
      - Without C(inferenced) on the host the address cannot be derived and is null in the prediction.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - The keyring backend C(test) is not encrypted. This module makes its directory and files accessible only to their
    owner.
seealso:
  - module: gonka.devshard.creator_info
"""

EXAMPLES = r"""
- name: Import the key that the environment file holds
  gonka.devshard.creator_key:
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
    address: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
"""

RETURN = r"""
creator:
  description: The creator.
  returned: success
  type: dict
  contains:
    address:
      description: Address of the key.
      type: str
      sample: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
    key_name:
      description: Name of the key in the keyring.
      type: str
      sample: devshard-create
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.creator_key import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

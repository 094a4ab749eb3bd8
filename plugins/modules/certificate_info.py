#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certificate_info
short_description: Check whether a certificate serves the clients of an edge
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Fails for a certificate that is expired or not valid yet, that does not cover O(names), or whose key is not
    O(key_path). The message names all reasons.
  - A certificate that expires within O(warn_days) is a warning.
  - The issuer is not checked.
options:
  path:
    description:
      - The certificate chain, as PEM, the certificate of the server first.
    type: path
    required: true
  key_path:
    description:
      - Its private key, as PEM, without a passphrase.
    type: path
    required: true
  names:
    description:
      - Names and addresses that clients use. Each must be one of the certificate's.
    type: list
    elements: str
    default: []
  warn_days:
    description:
      - Number of days before the expiry at which a warning is given.
    type: int
    default: 14
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
requirements:
  - The program openssl on the managed host
seealso:
  - module: gonka.devshard.edge_config
"""

EXAMPLES = r"""
- name: Check the certificate of the edge
  gonka.devshard.certificate_info:
    path: /etc/letsencrypt/live/gateway.example.org/fullchain.pem
    key_path: /etc/letsencrypt/live/gateway.example.org/privkey.pem
    names: [gateway.example.org]
"""

RETURN = r"""
certificate:
  description: The certificate.
  returned: success
  type: dict
  contains:
    names:
      description: The names and addresses that it covers.
      type: list
      elements: str
      sample: [gateway.example.org]
    not_before:
      description: Start of its validity, in UTC.
      type: str
      sample: "2026-11-01T00:00:00Z"
    not_after:
      description: When it expires, in UTC.
      type: str
      sample: "2027-01-30T00:00:00Z"
    days_left:
      description: Whole days until it expires.
      type: int
      sample: 62
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.certificate_info import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

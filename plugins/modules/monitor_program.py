#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: monitor_program
short_description: Install the program that exports the state of a gateway as metrics
version_added: 0.7.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Writes one file that Python can run. It holds the code of M(gonka.devshard.gateway_status),
    M(gonka.devshard.presence_info) and M(gonka.devshard.certificate_info), so that a host can look at itself by the
    same rules, without Ansible.
  - The role C(gonka.devshard.monitoring) uses it, and installs the service and the timer that run the program.
  - The same version of the collection always writes the same bytes.
options:
  path:
    description:
      - The file. Its directory must exist.
    type: path
    required: true
  state:
    description:
      - Whether the file is there.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - gonka.devshard._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.gateway_status
"""

EXAMPLES = r"""
- name: Install the program
  gonka.devshard.monitor_program:
    path: /usr/local/lib/gonka-devshard/metrics.pyz
"""

RETURN = r"""
program:
  description: The program.
  returned: success
  type: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /usr/local/lib/gonka-devshard/metrics.pyz
    sha256:
      description: Digest of its content. Null with O(state=absent).
      type: str
      sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    python:
      description: The interpreter of the host that ran this module, and that can run the program.
      type: str
      sample: /usr/bin/python3
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.monitor_program import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

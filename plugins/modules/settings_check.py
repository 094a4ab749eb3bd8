#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: settings_check
short_description: Refuse unusable settings of the roles
version_added: 0.3.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Checks the settings of the roles against their argument specs, and their numbers, paths, URLs, secrets, models and
    deposits, before a playbook touches anything. The message names each setting that is wrong, what it is, and what it
    must be.
  - Also fails when a variable of the host begins with a prefix of the collection, such as C(gateway_) or C(escrow_),
    but no role reads it, and names the variable that was probably meant. Ansible itself ignores such a variable, so a
    misspelled spending cap would never take effect. A name whose prefix itself is misspelled, such as C(setle_select),
    is detected too. C(devshard_foreign_variables) names variables that belong to other software.
  - It checks everything that is defined for the host by the inventory, C(group_vars), C(host_vars) and C(-e).
  - It runs on the controller and reads only. No message shows a secret.
options:
  roles:
    description:
      - Names of roles of the collection.
    type: list
    elements: str
    default: []
  shared:
    description:
      - Whether to check the settings that all roles share too, and the names of all variables. Turn it off for a role
        that needs none of them, such as P(gonka.devshard.schedule#role).
    type: bool
    default: true
    version_added: 0.10.0
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
"""

EXAMPLES = r"""
- name: Check the settings
  gonka.devshard.settings_check:
    roles: [gateway, edge]
"""

RETURN = r"""
faults:
  description: The faults, one sentence each.
  returned: failure
  type: list
  elements: str
  sample: ["devshard_models, m: amount must be a whole number of ngonka greater than 0, not 5 GNK"]
unknown:
  description: Names of variables that no role reads.
  returned: failure
  type: list
  elements: str
  sample: [gateway_imgae]
"""

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: variable_check
short_description: Refuse variables that the collection does not know
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Fails when a variable of the host begins with a prefix of the collection, such as C(gateway_) or C(escrow_), and
    nothing reads it, and names the variable that was probably meant. Ansible itself ignores such a variable, so that a
    misspelled spending cap would never be in force.
  - A name whose prefix itself is misspelled, such as C(setle_select), is found too.
  - It looks at everything that is defined for the host, by the inventory, C(group_vars), C(host_vars) and C(-e).
  - It runs on the controller and reads only.
options:
  foreign:
    description:
      - Variables that have one of the prefixes and belong to something else. Patterns such as C(edge_site_*) are
        allowed.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
"""

EXAMPLES = r"""
- name: Refuse unknown variables
  gonka.devshard.variable_check:
    foreign: [edge_site_name]
"""

RETURN = r"""
unknown:
  description: The names that nothing reads.
  returned: failure
  type: list
  elements: str
  sample: [gateway_imgae]
"""

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: site_plan
short_description: Find out what on a host differs from the settings
version_added: 0.3.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Compares a host with everything that roles of the collection manage there, in two runs of
    M(gonka.devshard.site_look_info). What a role manages is declared in its C(meta/look.yml), with the defaults and
    variables that its tasks use.
  - A part that could not be checked is in the plan with the reason.
  - Changes nothing. It needs nothing but Python on the host.
options:
  roles:
    description:
      - Names of the roles.
    type: list
    elements: str
    default: []
  settings:
    description:
      - Variables that count in place of those of the inventory, for a comparison with settings that are not used yet.
    type: dict
    default: {}
    version_added: 0.6.0
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
seealso:
  - module: gonka.devshard.presence_info
"""

EXAMPLES = r"""
- name: Determine what differs from the settings
  gonka.devshard.site_plan:
    roles: [docker_engine, gateway, edge]
  register: devshard_look
"""

RETURN = r"""
plan:
  description:
    - The parts of the site that have work to do, in the order of the work, each with the reasons. Empty when the host
      is as the settings want it.
  returned: success
  type: dict
  sample:
    edge: [the service nginx does not run (inactive)]
presence:
  description: What of the collection is on the host, as M(gonka.devshard.presence_info) returns it.
  returned: success
  type: dict
  sample: {}
refusal:
  description: Why the playbook must not run here. Empty when it may. Then nothing else was compared.
  returned: success
  type: str
  sample: ''
notes:
  description: What the operator has to know about the host.
  returned: success
  type: list
  elements: str
  sample: []
held:
  description:
    - C(creator) of the gateway and C(ids) of its escrows, for other gateways with the same creator. Absent where it
      could not be asked.
  returned: where the escrows are known
  type: dict
  sample:
    creator: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6
    ids: [4711]
rotation_need:
  description:
    - C(amount) in C(ngonka) that the rotation of the gateway needs in the wallet of C(creator). Absent where it could
      not be asked.
  returned: where escrows and rotation are known
  type: dict
  sample:
    amount: 0
    creator: ''
warnings_of_roles:
  description: What the roles warn of, since the settings say so.
  returned: success
  type: list
  elements: str
  sample: []
predictions:
  description: What the modules returned whose prediction was asked for, by part and module.
  returned: success
  type: dict
  sample: {}
"""

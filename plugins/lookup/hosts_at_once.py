# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup: how many hosts of a play may be worked on at once."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: hosts_at_once
short_description: The number of hosts that a play may work on at once
version_added: 0.3.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - For the keyword C(throttle) of a play that changes what the gateways of one machine share, its packages, its nginx
    or its ledger.
  - Returns 1 when a host of the inventory has C(devshard_instance), since several hosts may then be one machine.
    Otherwise returns 0, which sets no limit.
options: {}
"""

EXAMPLES = r"""
- name: Retire the gateways
  hosts: devshard_gateways
  gather_facts: false
  throttle: "{{ lookup('gonka.devshard.hosts_at_once') }}"
  tasks: []
"""

RETURN = r"""
_raw:
  description:
    - The number, 0 for no limit.
  type: list
  elements: int
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import VARIABLE


class LookupModule(LookupBase):
    """See the documentation above."""

    def run(
        self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[int]:
        if terms or kwargs:
            raise AnsibleLookupError("hosts_at_once: it takes no terms and no options")
        known = variables or {}
        hostvars = known.get("hostvars", {})
        hosts = known.get("groups", {}).get("all", [])
        return [1 if any(hostvars[host].get(VARIABLE) for host in hosts) else 0]

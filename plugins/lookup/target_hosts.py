# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup: the pattern of the hosts that a playbook works on, refused where it matches none."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: target_hosts
short_description: The hosts of a playbook, at least one
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Returns the pattern that it is given, for the keyword C(hosts) of a play.
  - Fails when the pattern, together with C(--limit), matches no host of the inventory. Ansible itself skips such a
    play and ends with code 0, so that a timer with a typing error in it would never alarm anybody.
  - Fails when only playbooks of this collection are run, and C(--tags) or C(--skip-tags) names a tag that no task of
    them has. Ansible itself ends with code 0 after it has run nothing.
  - Fails when C(--start-at-task), C(--step), or a tag in C(--skip-tags) would leave out tasks of this collection. A
    task may be a check or a wait that later tasks rely on. Only the tag V(chat) can be skipped.
    In a playbook of your own that imports one of this collection, you can start at a task of your own.
  - Fails when the play needs a confirmation, matches more than one host, and the hosts were not named by the user.
options:
  _terms:
    description:
      - The pattern.
    type: str
    required: true
  named:
    description:
      - Whether the user chose the pattern, as by C(-e devshard_hosts=...). C(--limit) counts as a choice too.
    type: bool
    default: true
  confirmed:
    description:
      - The value of the variable O(confirm). V(all) confirms that all hosts are meant.
    type: str
    default: ''
  confirm:
    description:
      - The name of the variable with which the user confirms that all hosts are meant. When it is empty, no
        confirmation is needed.
    type: str
    default: ''
  action:
    description:
      - What the play would do with the hosts, for the message.
    type: str
    default: change
"""

EXAMPLES = r"""
- name: Retire the gateways
  hosts: >-
    {{ lookup('gonka.devshard.target_hosts', devshard_hosts | default('devshard_gateways'),
              named=devshard_hosts is defined, confirm='retire_confirm', confirmed=retire_confirm | default(''),
              action='retire') }}
  gather_facts: false
  tasks: []
"""

RETURN = r"""
_raw:
  description:
    - The pattern.
  type: list
  elements: str
"""

import difflib
import typing as t
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.lookup import LookupBase

from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    playbooks_of,
    refuse_part,
    refuse_tags,
)

PLAYBOOKS: t.Final = Path(__file__).resolve().parents[2] / "playbooks"
SHOWN: t.Final = 5
"""Hosts that a message names."""


def refuse(
    pattern: str, hosts: list[str], known: t.Collection[str], limit: str | None
) -> str | None:
    """Why a pattern is not usable, or None. ``hosts`` is what it matches within the limit."""
    if hosts:
        return None
    within = f" within --limit {limit}" if limit else ""
    close = difflib.get_close_matches(pattern, sorted(known), n=1, cutoff=0.6)
    if not known:
        hint = "The inventory has no hosts: name it with -i"
    elif close and close[0] != pattern:
        hint = f"Did you mean '{close[0]}'?"
    else:
        hint = "Correct devshard_hosts, --limit or the inventory"
    return f"the pattern '{pattern}' matches no host{within}. {hint}"


def ask(hosts: list[str], action: str, variable: str) -> str:
    """The refusal of a play that would change more hosts than the user named."""
    shown = ", ".join(hosts[:SHOWN]) + (", ..." if len(hosts) > SHOWN else "")
    return (
        f"this would {action} all {len(hosts)} hosts: {shown}. Name the hosts with"
        f" -e devshard_hosts=HOST or --limit HOST, or confirm all of them with -e {variable}=all"
    )


class LookupModule(LookupBase):
    """See the documentation above."""

    def run(
        self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[str]:
        take_options: t.Callable[..., None] = self.set_options
        take_options(var_options=variables, direct=kwargs)
        if len(terms) != 1:
            raise AnsibleLookupError("target_hosts: exactly one pattern is needed")
        pattern = terms[0] if isinstance(terms[0], str) else ":".join(terms[0])
        arguments = context.CLIARGS
        if arguments.get("syntax"):
            return [pattern]
        ours = playbooks_of(arguments.get("args", ()), PLAYBOOKS)
        skipped = arguments.get("skip_tags") or ()
        wrong = refuse_tags(ours, arguments.get("tags") or (), skipped) if ours else None
        wrong = wrong or refuse_part(
            ours,
            arguments.get("start_at_task"),
            bool(arguments.get("step")),
            skipped,
            PLAYBOOKS,
        )
        if wrong is not None:
            raise AnsibleLookupError(wrong)
        groups: dict[str, list[str]] = (variables or {}).get("groups", {})
        limit = arguments.get("subset")
        hosts = self._matched(groups, pattern, limit)
        names = {*groups, *(host for group in groups.values() for host in group)}
        told = refuse(pattern, hosts, names - {"all", "ungrouped"}, limit)
        option: t.Callable[[str], t.Any] = self.get_option
        chosen = option("named") or limit or option("confirmed") == "all"
        if told is None and option("confirm") and len(hosts) > 1 and not chosen:
            told = ask(hosts, option("action"), option("confirm"))
        if told is not None:
            raise AnsibleLookupError(told)
        return [pattern]

    def _matched(self, groups: dict[str, list[str]], pattern: str, limit: str | None) -> list[str]:
        manager = InventoryManager(self._loader, parse=False)
        for group, hosts in groups.items():
            manager.add_group(group)
            for host in hosts:
                manager.add_host(host, group=group)
        if limit:
            manager.subset(limit)
        return [host.name for host in manager.get_hosts(pattern=pattern)]

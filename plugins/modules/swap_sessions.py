#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_sessions
short_description: Get the state of a gateway's sessions, and compare it with an earlier state
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - With O(state=listed), returns nonce and balance of every loaded session.
  - With O(state=stoppable), does the same and refuses when the gateway must not be stopped. That is when the chain does
    not answer for each of its active escrows, because a starting gateway would then exit or take the escrow out of
    service permanently. It is also when a finalize, settle or create is running, or when its rotation could begin one.
    With O(journal) a rotation that was switched on since the swap froze it is noted, so that the next run freezes it
    once more.
  - With O(state=intact), waits until every session in O(expected) is loaded, active as it was, and not behind. A
    smaller or missing nonce means that a storage was lost or mixed up. Escrows that the chain shows as settled or no
    longer has are omitted, because no gateway can serve them.
  - With O(journal) it records what it found, with O(state=stoppable) for the gateway that is replaced and with
    O(state=listed) for the temporary one, and reads what it compares from there.
options:
  state:
    description:
      - What to check.
    type: str
    default: listed
    choices: [listed, stoppable, intact]
  idle:
    description:
      - With O(state=stoppable), refuse as well while the gateway serves requests. A swap has drained it before.
    type: bool
    default: false
  given_up:
    description:
      - Ids of escrows that a move to another generation leaves unsettled, because their owner has given them up.
    type: list
    elements: int
    default: []
    version_added: 0.6.0
  container:
    description:
      - With O(journal) and O(state=stoppable) or O(state=listed), the container of the gateway. One that does not run,
        or a new one that never served, cannot answer and is not asked.
    type: str
    default: devshardctl-multi
  expected:
    description:
      - With O(state=intact) and without O(journal), an earlier RV(sessions), by the id of the escrow. Only sessions
        that were active are compared, and a balance only where there is one.
    type: dict
    default: {}
  wait_timeout:
    default: 60
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._ledger
  - gonka.devshard._swap
  - gonka.devshard._wait
attributes:
  action_group:
    description: The options of its connections can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.admin
      - gonka.devshard.chain
      - gonka.devshard.ledger
      - gonka.devshard.swap
  check_mode:
    support: full
    details:
      - This module changes nothing but O(journal).
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
seealso:
  - module: gonka.devshard.escrow_info
  - module: gonka.devshard.swap_step
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Check whether the gateway may be stopped
  gonka.devshard.swap_sessions:
    state: stoppable
  register: before

- name: Verify after its restart that nothing was lost
  gonka.devshard.swap_sessions:
    state: intact
    expected: "{{ before.sessions }}"
"""

RETURN = r"""
sessions:
  description: The loaded sessions by the id of their escrow.
  returned: success
  type: dict
  sample:
    "4711":
      nonce: 23
      balance: 4999965000
      active: true
asked:
  description: Whether the gateway was asked. V(false) where it cannot answer, or where there is nothing to ask for.
  returned: success
  type: bool
  sample: true
"""

import dataclasses
import typing as t

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.money import open_ports
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.ports import Ports
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.models import GatewayState
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import observe
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import (
    Notebook,
    freeze_once_more,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import (
    SwapNotes,
    read_sessions,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.plan import (
    is_asked_before_its_stop,
    is_temp_asked_before_its_stop,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    ServedSession,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import (
    active_only,
    compare_sessions,
    expected_sessions,
    marks_of,
    over_on_chain,
    refuse_stop,
    refuse_unsettled,
    rotation_is_on,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {
            "type": "str",
            "default": "listed",
            "choices": ["listed", "stoppable", "intact"],
        },
        "idle": {"type": "bool", "default": False},
        "given_up": {"type": "list", "elements": "int", "default": []},
        "container": {"type": "str", "default": "devshardctl-multi"},
        "expected": {"type": "dict", "default": {}},
    },
).merge(_argspec.money(), _argspec.swap(), _argspec.wait(60))


def read_expected(raw: dict[str, t.Any]) -> dict[str, ServedSession]:
    try:
        return read_sessions(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ConfigurationError(f"expected is not what this module returned: {exc}") from exc


def is_asked(context: Context, state: str, journal: Journal) -> bool:
    """Whether the gateway has to answer before a step of the swap stops it."""
    context.need_docker()
    container = docker.inspect(context.params["container"])
    if state == "stoppable":
        seen = observe(container, None, "main", target=journal.target)
        return is_asked_before_its_stop(journal, seen)
    running = container is not None and container.state == "running"
    return is_temp_asked_before_its_stop(journal, running=running)


def may_stop(context: Context, ports: Ports, seen: GatewayState, notebook: Notebook | None) -> None:
    if notebook is not None and notebook.step is Step.RETIRE_MAIN:
        known = [] if ports.ledger is None else ports.ledger.intents(chain_id=ports.chain_id)
        refuse_unsettled(ports.chain, seen, context.params["given_up"], known)
    if notebook is not None and rotation_is_on(seen):
        freeze_once_more(notebook)
    refuse_stop(
        ports,
        ports.gateway_id,
        seen,
        idle=context.params["idle"],
        in_swap=notebook is not None,
        known_env=context.environment,
    )


def work(context: Context) -> Outcome:
    state, notebook = context.params["state"], notebook_of(context)
    expected = active_only(read_expected(context.params["expected"]))
    if notebook is not None:
        journal = notebook.begin()
        if state in ("listed", "stoppable") and not is_asked(context, state, journal):
            return result({}, asked=False)
        expected = expected_sessions(journal, notebook.step)
    with open_ports(context, None, waits=True) as ports:
        if state == "intact":
            found = compare_sessions(
                ports.gateway,
                expected,
                until=ports.deadline,
                interval=ports.interval,
                is_over=over_on_chain(ports.chain),
            )
        else:
            seen = ports.gateway.state()
            if state == "stoppable":
                may_stop(context, ports, seen, notebook)
            found = marks_of(seen)
    if notebook is not None and state == "stoppable":
        notebook.begin(SwapNotes(main_sessions=found))
    elif notebook is not None and state == "listed":
        notebook.begin(SwapNotes(temp_sessions=found))
    return result(found, asked=True)


def result(found: dict[str, ServedSession], *, asked: bool) -> Outcome:
    return Outcome(
        changed=False,
        values={
            "sessions": {number: dataclasses.asdict(mark) for number, mark in found.items()},
            "asked": asked,
        },
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

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
  - With O(state=listed), returns nonce and balance of every loaded session.
  - With O(state=stoppable), does the same and refuses when the gateway must not be stopped. That is when the chain does
    not answer for each of its active escrows, because a starting gateway would then exit or take the escrow out of
    service permanently. It is also when a finalize, settle or create is running, or when its rotation could begin one.
  - With O(state=intact), waits until every session in O(expected) is loaded, active as it was, and not behind. A
    smaller or missing nonce means that a storage was lost or mixed up. Escrows that the chain shows as settled or no
    longer has are omitted, because no gateway can serve them.
  - With O(state=past), returns those of O(ids) that no gateway can serve any more, that is those that are settled,
    pruned or finalized. Escrows for which the chain does not answer are not among them.
options:
  state:
    description:
      - What to check.
    type: str
    default: listed
    choices: [listed, stoppable, intact, past]
  idle:
    description:
      - With O(state=stoppable), refuse as well while the gateway serves requests. A swap has drained it before.
    type: bool
    default: false
  ids:
    description:
      - Escrows to check with O(state=past).
    type: list
    elements: int
    default: []
  expected:
    description:
      - An earlier RV(sessions), by the id of the escrow. Only sessions that were active are compared, and a balance
        only where there is one.
    type: dict
    default: {}
  wait_timeout:
    default: 60
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._chain
  - gonka.devshard._http
  - gonka.devshard._ledger
  - gonka.devshard._wait
attributes:
  action_group:
    description: The options of its connections can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.admin
      - gonka.devshard.chain
      - gonka.devshard.ledger
  check_mode:
    support: full
    details:
      - This module only reads.
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
past:
  description: Those of O(ids) that no gateway can serve any more.
  returned: success
  type: list
  elements: int
  sample: []
"""

import dataclasses
import typing as t

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._swap.session_rules import (
    ServedSession,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import (
    active_only,
    compare_sessions,
    marks_of,
    over_on_chain,
    past_escrows,
    refuse_stop,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {
            "type": "str",
            "default": "listed",
            "choices": ["listed", "stoppable", "intact", "past"],
        },
        "idle": {"type": "bool", "default": False},
        "ids": {"type": "list", "elements": "int", "default": []},
        "expected": {"type": "dict", "default": {}},
    },
).merge(
    _argspec.admin(),
    _argspec.chain(),
    _argspec.http(),
    _argspec.ledger(),
    _argspec.wait(60),
)


def read_marks(raw: dict[str, t.Any]) -> dict[str, ServedSession]:
    try:
        return {
            str(number): ServedSession(
                nonce=int(mark["nonce"]),
                balance=None if mark.get("balance") is None else int(mark["balance"]),
                active=bool(mark["active"]),
            )
            for number, mark in raw.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ConfigurationError(f"expected is not what this module returned: {exc}") from exc


def work(context: Context) -> Outcome:
    state = context.params["state"]
    expected = active_only(read_marks(context.params["expected"]))
    past: list[int] = []
    with context.ports(None, waits=True) as ports:
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
                refuse_stop(ports, ports.gateway_id, seen, idle=context.params["idle"])
            elif state == "past":
                past = past_escrows(ports.chain, seen, context.params["ids"])
            found = marks_of(seen)
    sessions = {number: dataclasses.asdict(mark) for number, mark in found.items()}
    return Outcome(changed=False, values={"sessions": sessions, "past": past})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_escrows
short_description: Bring the escrows that a hot swap has noted back into service
version_added: 0.6.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - Imports or activates every escrow that O(journal) holds for O(step), as M(gonka.devshard.devshard) does it for one.
    The session of an escrow that the temporary gateway left must be at exactly the nonce that was recorded.
  - Escrows that are settled, pruned or finalized are omitted with a warning, because no gateway can serve them. Escrows
    for which the chain does not answer are not omitted.
  - An escrow that fails does not keep the others back. The failure names what was done.
options:
  state:
    description:
      - The wanted state of the escrows.
    type: str
    required: true
    choices:
      imported: The gateway has a record of each escrow, with the session that the temporary gateway left. A new record
        is inactive.
      active: The gateway serves each escrow. It then waits until all of them are loaded, active and not behind. An
        escrow that the gateway has no record of is refused, because a new session would lose its deposit.
  perf_path:
    description:
      - With O(state=imported), the C(perf.db) of the temporary gateway, as the importing gateway sees it. An absolute
        path.
    type: str
  wait_timeout:
    description:
      - How long to wait at most for each escrow, and for all of them in the end, in seconds.
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
      - gonka.devshard.generation
      - gonka.devshard.ledger
      - gonka.devshard.swap
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.devshard
  - module: gonka.devshard.swap_sessions
"""

EXAMPLES = r"""
# What is not shown here is set once for all tasks, see the first example of gonka.devshard.escrow.
- name: Import the escrows of the temporary gateway
  gonka.devshard.swap_escrows:
    state: imported
    perf_path: /root/.devshardctl/temp-20260102T030405Z/perf.db
    journal: /var/lib/gonka-devshard/swap.json
    run: "471108154711"
    step: import_escrows
"""

RETURN = r"""
escrows:
  description: The escrows that the gateway is to serve.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The escrow.
      type: int
      sample: 4711
    nonce:
      description: The nonce of its session when it was recorded.
      type: int
      sample: 23
    balance:
      description: Its balance at that nonce in C(ngonka), null when it is not known.
      type: int
      sample: 4999965000
    storage_path:
      description: The session's folder as the importing gateway sees it, null for one that the gateway had itself.
      type: str
      sample: /root/.devshardctl/temp-20260102T030405Z/escrow-4711
past:
  description: Those that no gateway can serve any more.
  returned: success
  type: list
  elements: int
  sample: []
actions:
  description: What was done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - imported escrow 4711
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.money import open_ports
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._swap.escrows import (
    BroughtBack,
    bring_back,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.sessions import (
    expected_sessions,
    noted_sessions,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {"type": "str", "required": True, "choices": ["imported", "active"]},
        "perf_path": {"type": "str"},
    },
).merge(_argspec.money(), _argspec.swap(), _argspec.wait(60))


def work(context: Context) -> Outcome:
    params, notebook = context.params, notebook_of(context)
    if notebook is None:
        raise ConfigurationError("journal is required: it holds the escrows of the swap")
    journal = notebook.begin()
    noted = noted_sessions(journal, notebook.step)
    if not noted:
        return outcome(BroughtBack())
    with open_ports(context, "swap_escrows", waits=True) as ports:
        result = bring_back(
            ports,
            noted,
            params["state"],
            perf_path=params["perf_path"],
            expected=expected_sessions(journal, notebook.step),
            deadline=context.deadline,
        )
    return outcome(result)


def outcome(result: BroughtBack) -> Outcome:
    return Outcome(
        changed=result.changed,
        values=result.to_result(),
        before={"escrows": result.before},
        after={"escrows": result.after},
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

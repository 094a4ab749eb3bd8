#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_drain
short_description: Wait until a gateway serves no more requests
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Waits until a gateway can be stopped without cutting a stream. It changes no gateway; take it out of service with
    M(gonka.devshard.edge_slot) first.
  - Drained means that the sum of C(runtime.active_requests) over all loaded sessions is 0 and the limiter counts no
    request, for O(polls) checks in a row. Both are read from the admin API, which answers alike for any number of
    escrows and while the gateway is redirected. With O(edge_busy_url) the edge must hold no request for it either.
  - An error, a missing field, a field of a wrong type, a redirect or a web page is unknown. Unknown never counts as
    drained, and the row starts again.
  - After O(wait_timeout) the module fails. Nothing was stopped then, and it can be run again.
  - While it waits, it shows a line on the terminal every O(progress_interval) with the number of requests and the time
    that are left.
options:
  polls:
    description:
      - Number of checks in a row that must find the gateway drained. The gateway does not count requests yet that are
        in its first checks, so a single check proves nothing.
    type: int
    default: 5
  unknown_timeout:
    description:
      - Maximum time, in seconds, that the state may stay unknown before the drain fails. Waiting for streams does not
        help in that case.
    type: int
    default: 60
  workers:
    description:
      - Workers of nginx from before a reload, as RV(gonka.devshard.edge_slot#module:edge.workers) returned them. They
        must have ended too before the gateway counts as drained. With O(journal), the workers that it holds.
    type: list
    elements: str
    default: []
  edge_busy_url:
    description:
      - URL at which the edge reports whether it holds a request for the slot, as the role P(gonka.devshard.edge#role)
        sets it up under C(/-/busy/main) and C(/-/busy/temp). V(204) means none, V(503) means some. The edge must hold
        none before the gateway counts as drained.
      - The edge chooses the slot before it receives the body of a request, so a slow upload reaches a gateway long
        after the switch, and until then the gateway does not know about it.
      - Not needed after a reload with O(workers), because such a request keeps its worker.
    type: str
  progress_interval:
    description:
      - Time between two lines of progress, in seconds.
    type: int
    default: 10
  wait_timeout:
    default: 1800
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._http
  - gonka.devshard._swap
  - gonka.devshard._wait
attributes:
  action_group:
    description: The options of its connection can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.admin
      - gonka.devshard.swap
  check_mode:
    support: full
    details:
      - Checks once and does not wait.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
seealso:
  - module: gonka.devshard.edge_slot
"""

EXAMPLES = r"""
- name: Put slot temp in service
  gonka.devshard.edge_slot:
    slot: temp

- name: Wait until slot main serves no requests
  gonka.devshard.gateway_drain:
    gateway_url: http://127.0.0.1:18080
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
    wait_timeout: 1800
"""

RETURN = r"""
drain:
  description: How the wait ended.
  returned: success
  type: dict
  contains:
    drained:
      description: Whether the gateway serves no requests. Can be false in check mode only.
      type: bool
      sample: true
    polls:
      description: Number of checks.
      type: int
      sample: 12
    elapsed:
      description: Time that was waited, in seconds.
      type: float
      sample: 17.3
    last:
      description: The last check.
      type: dict
      contains:
        verdict:
          description: V(drained), V(busy) or V(unknown).
          type: str
          sample: drained
        requests:
          description: Requests that are served, null when unknown.
          type: int
          sample: 0
        limiter:
          description: Requests that the limiter counts, null when unknown.
          type: int
          sample: 0
        workers:
          description: Number of O(workers) that still run.
          type: int
          sample: 0
        edge:
          description: Whether the edge holds a request for the slot. Always V(false) without O(edge_busy_url).
          type: bool
          sample: false
        reason:
          description: Why it is unknown, otherwise empty.
          type: str
          sample: ""
        per_escrow:
          description: Number of requests of each escrow that serves any.
          type: dict
          sample: {}
failure:
  description: Why the module failed. RV(failure.last) holds the last check.
  returned: failure
  type: dict
  contains:
    kind:
      description: What kind of failure, for example V(timeout).
      type: str
      sample: timeout
    last:
      description: The last check, as RV(drain.last).
      type: dict
      sample:
        verdict: busy
        requests: 3
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.gateway import gateway_of
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import base_url
from ansible_collections.gonka.devshard.plugins.module_utils._edge.nginx import is_edge_busy
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain import (
    Drained,
    look,
    wait_until_drained,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drain_rules import Sample
from ansible_collections.gonka.devshard.plugins.module_utils._host import processes

SPEC = _argspec.ArgumentSpec(
    options={
        "polls": {"type": "int", "default": 5},
        "unknown_timeout": {"type": "int", "default": 60},
        "workers": {"type": "list", "elements": "str", "default": []},
        "edge_busy_url": {"type": "str"},
        "progress_interval": {"type": "int", "default": 10},
    },
).merge(_argspec.gateway(), _argspec.swap(), _argspec.wait(1800))


def work(context: Context) -> Outcome:
    params = context.params
    if params["polls"] < 1 or params["unknown_timeout"] < 1 or params["progress_interval"] < 1:
        raise ConfigurationError(
            "hot_swap_drain_polls (polls), hot_swap_drain_unknown_timeout (unknown_timeout) and"
            " progress_interval must be 1 or more"
        )
    workers = params["workers"]
    if (notebook := notebook_of(context)) is not None:
        workers = list(notebook.begin().data.workers or ())
    if strange := [key for key in workers if not processes.KEY.fullmatch(key)]:
        raise ConfigurationError(f"workers: '{strange[0]}' was not given by edge_slot")
    deadline = context.deadline()
    gateway = gateway_of(context)
    url = params["edge_busy_url"]
    busy = None if url is None else base_url(url, "edge_http_port (edge_busy_url)")
    if busy is not None:
        # one that does not report it at all is not waited for
        is_edge_busy(context.new_transport(), busy)

    def take() -> Sample:
        return look(
            gateway.state,
            lambda: len(processes.still_there(workers)),
            lambda: busy is not None and is_edge_busy(context.new_transport(), busy),
            unloads=context.profile.deactivate_unloads,
        )

    if context.check_mode:
        drained = Drained(polls=1, elapsed=deadline.elapsed, last=take())
    else:
        drained = wait_until_drained(
            take,
            needed=params["polls"],
            deadline=deadline,
            interval=params["wait_interval"],
            unknown_timeout=params["unknown_timeout"],
        )
    return Outcome(changed=False, values={"drain": drained.to_result()})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_step
short_description: Plan a hot swap, and keep its journal
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - The memory of the role P(gonka.devshard.hot_swap#role). Which steps are to be run follows from what is seen on the
    host and from a journal that outlives the controller, so a swap that was cut off anywhere is continued or rolled
    back by the next run.
  - This module starts and stops nothing. It writes the journal alone.
options:
  state:
    description:
      - What to do.
    type: str
    default: planned
    choices:
      read: Read the journal.
      planned: Compute the steps that are to be run now. The journal of a new swap is begun when there are any, and an
        open one is taken over by O(run).
      started: Note that O(step) begins, with O(data) that must outlive it. What an earlier attempt noted under the same
        name is kept. With O(finished) the same write notes that the step before is done.
      finished: Note that O(step) is done, with O(data) for later steps. The last step closes the journal.
      undone: Note that the effect of O(step) was taken back, and forget what O(forget) names.
  path:
    description:
      - The journal. Those of finished swaps lie beside it, under their id.
    type: path
    default: /var/lib/gonka-devshard/swap.json
  run:
    description:
      - A word that tells this run of the play from others. A run whose swap another one has taken over fails at its
        next step. Required unless O(state=read).
    type: str
  step:
    description:
      - The step. Required with O(state=started), O(state=finished) and O(state=undone).
    type: str
    choices:
      - preflight
      - freeze_rotation
      - start_temp
      - seed_temp
      - check_temp
      - switch_to_temp
      - drain_main
      - replace_main
      - check_main
      - switch_back
      - drain_temp
      - settle_temp
      - stop_temp
      - import_escrows
      - activate
      - restore_rotation
      - done
  data:
    description:
      - What is to be remembered with the step. No secrets.
    type: dict
    default: {}
  finished:
    description:
      - With O(state=started), the step before that is done, one of those that O(step) can be.
    type: str
  finished_data:
    description:
      - What is to be remembered with O(finished).
    type: dict
    default: {}
  forget:
    description:
      - Names in O(data) that are forgotten with O(state=undone).
    type: list
    elements: str
    default: []
  image:
    description:
      - The wanted image, by tag or by digest. Needed with O(state=planned) when no swap is open. What a tag means is
        asked of its registry, without pulling it.
    type: str
  current_image:
    description:
      - How the image that runs now was asked for.
    type: str
  previous_digest:
    description:
      - The image by digest that O(rollback=true) leads to when no swap is open.
    type: str
  previous_image:
    description:
      - How O(previous_digest) was asked for.
    type: str
  rollback:
    description:
      - Lead back to the image of before.
    type: bool
    default: false
  mode:
    description:
      - V(temp) uses a temporary gateway with escrows of its own, V(pool) a second gateway that is there already.
    type: str
    default: temp
    choices: [temp, pool]
  temp_escrows:
    description:
      - What becomes of the escrows of a temporary gateway.
    type: str
    default: import
    choices: [import, settle]
  gateway_profile:
    description:
      - Generation of the gateway. An image whose tag names another one is refused.
    type: str
    default: v2
  slot:
    description:
      - The slot whose gateway is replaced.
    type: str
    default: main
    choices: [main, temp]
  container:
    description:
      - Name of the container in O(slot).
    type: str
    default: devshardctl-multi
  other_container:
    description:
      - Name of the container in the other slot.
    type: str
    default: devshardctl-temp
  slot_in_service:
    description:
      - The slot that the edge has in service now.
    type: str
    default: main
    choices: [main, temp]
extends_documentation_fragment:
  - gonka.devshard._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - docker on the managed host
seealso:
  - module: gonka.devshard.edge_slot
  - module: gonka.devshard.gateway_drain
"""

EXAMPLES = r"""
- name: Compute the steps
  gonka.devshard.swap_step:
    run: "{{ run }}"
    image: registry.example.org/gateway:2.1
    current_image: registry.example.org/gateway:2.0
  register: swap

- name: Note that a step begins, with what has to be put back later
  gonka.devshard.swap_step:
    run: "{{ run }}"
    state: started
    step: freeze_rotation
    data:
      rotation: "{{ before.rotation }}"
"""

RETURN = r"""
swap:
  description: The swap.
  returned: success
  type: dict
  contains:
    open:
      description: Whether a swap is under way. In check mode whether one would be.
      type: bool
      sample: true
    id:
      description: Its id, null when there is none. Not known in check mode for a new one.
      type: str
      sample: 20260102T030405Z
    steps:
      description: The steps to run now, in order. Only with O(state=planned).
      type: list
      elements: str
      sample: [preflight, freeze_rotation, start_temp]
    reason:
      description: Why these.
      type: str
      sample: swap to the image asked for
    then_again:
      description: Whether another plan has to be made after these steps.
      type: bool
      sample: false
    mode:
      description: Its mode.
      type: str
      sample: temp
    temp_escrows:
      description: What becomes of the escrows of the temporary gateway.
      type: str
      sample: import
    target:
      description: The image that the gateway gets, by digest.
      type: str
      sample: registry.example.org/gateway@sha256:0123
    asked:
      description: The same as it was asked for.
      type: str
      sample: registry.example.org/gateway:2.1
    origin:
      description: The image that the gateway had.
      type: str
      sample: registry.example.org/gateway@sha256:4567
    origin_asked:
      description: The same as it was asked for.
      type: str
      sample: registry.example.org/gateway:2.0
    started:
      description: Steps that were begun.
      type: list
      elements: str
      sample: [preflight]
    done:
      description: Steps that are done.
      type: list
      elements: str
      sample: []
    rolling_back:
      description: Whether it leads back.
      type: bool
      sample: false
    data:
      description: What the steps remember.
      type: dict
      sample: {}
    seen:
      description: What was seen on the host. Only with O(state=planned).
      type: dict
      sample:
        main_image: registry.example.org/gateway@sha256:4567
        main_running: true
        main_healthy: true
        temp_exists: false
        temp_running: false
        in_service: true
"""

import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec, _docker
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._swap import (
    Journal,
    Seen,
    Step,
    SwapPlan,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap_host import (
    Wish,
    begin,
    make_plan,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap_journal import (
    JournalFile,
    note,
    note_undone,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {
            "type": "str",
            "default": "planned",
            "choices": ["read", "planned", "started", "finished", "undone"],
        },
        "path": {"type": "path", "default": f"{_argspec.STATE_DIR}/swap.json"},
        "run": {"type": "str"},
        "step": {"type": "str", "choices": [step.value for step in Step]},
        "data": {"type": "dict", "default": {}},
        "finished": {"type": "str"},
        "finished_data": {"type": "dict", "default": {}},
        "forget": {"type": "list", "elements": "str", "default": []},
        "image": {"type": "str"},
        "current_image": {"type": "str"},
        "previous_digest": {"type": "str"},
        "previous_image": {"type": "str"},
        "rollback": {"type": "bool", "default": False},
        "mode": {"type": "str", "default": "temp", "choices": ["temp", "pool"]},
        "temp_escrows": {"type": "str", "default": "import", "choices": ["import", "settle"]},
        "gateway_profile": {"type": "str", "default": "v2"},
        "slot": {"type": "str", "default": "main", "choices": ["main", "temp"]},
        "container": {"type": "str", "default": "devshardctl-multi"},
        "other_container": {"type": "str", "default": "devshardctl-temp"},
        "slot_in_service": {"type": "str", "default": "main", "choices": ["main", "temp"]},
    },
    required_if=(
        ("state", "planned", ("run",)),
        ("state", "started", ("run", "step")),
        ("state", "finished", ("run", "step")),
        ("state", "undone", ("run", "step")),
    ),
)


def described(journal: Journal | None) -> dict[str, t.Any]:
    if journal is None:
        return {"open": False, "id": None}
    shown = journal.to_dict()
    del shown["schema"]
    return {"open": journal.open, **shown}


def planned(context: Context, file: JournalFile) -> Outcome:
    params = context.params
    context.need_docker()
    wish = Wish(
        run=params["run"],
        asked=params["image"],
        resolve=_docker.resolve_tag,
        previous=params["previous_digest"],
        previous_asked=params["previous_image"],
        origin_asked=params["current_image"],
        rollback=params["rollback"],
        mode=params["mode"],
        temp_escrows=params["temp_escrows"],
        profile=context.profile.name,
    )
    before = file.read()
    found, journal, seen = make_plan(
        before,
        _docker.inspect(params["container"]),
        _docker.inspect(params["other_container"]),
        # the state machine calls the slot of the gateway that is replaced main
        "main" if params["slot_in_service"] == params["slot"] else "temp",
        wish,
    )
    if journal is None and found.steps:
        journal = begin(found, seen, wish, datetime.now(timezone.utc))
    changed = journal != before and bool(found.steps)
    if changed and journal is not None and not context.check_mode:
        file.write(journal)
    return Outcome(changed=changed, values={"swap": _plan_result(context, found, journal, seen)})


def _plan_result(
    context: Context, found: SwapPlan, journal: Journal | None, seen: Seen
) -> dict[str, t.Any]:
    result = described(journal)
    if context.check_mode and not result.get("started"):
        # another id is given when it really begins
        result["id"] = None
    return {
        **result,
        "target": found.target,
        "steps": [step.value for step in found.steps],
        "reason": found.reason,
        "then_again": found.then_again,
        "seen": {
            "main_image": seen.main_image,
            "main_running": seen.main_running,
            "main_healthy": seen.main_healthy,
            "temp_exists": seen.temp_exists,
            "temp_running": seen.temp_running,
            "in_service": seen.flag == "main",
        },
    }


def step_before(params: dict[str, t.Any]) -> tuple[Step, dict[str, t.Any]] | None:
    name = params["finished"]
    if not name:
        return None
    try:
        return Step(name), params["finished_data"]
    except ValueError as exc:
        raise ConfigurationError(f"finished: there is no step {name}") from exc


def work(context: Context) -> Outcome:
    params = context.params
    file = JournalFile(Path(params["path"]))
    state = params["state"]
    if state == "read":
        return Outcome(changed=False, values={"swap": described(file.read())})
    if state == "planned":
        return planned(context, file)
    run, step, dry = params["run"], Step(params["step"]), context.check_mode
    if state == "undone":
        journal, changed = note_undone(file, run, step, params["forget"], check_mode=dry)
    elif state == "started":
        journal, changed = note(
            file,
            run,
            finished=step_before(params),
            started=(step, params["data"]),
            check_mode=dry,
        )
    else:
        journal, changed = note(
            file, run, finished=(step, params["data"]), started=None, check_mode=dry
        )
    return Outcome(changed=changed, values={"swap": described(journal)})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

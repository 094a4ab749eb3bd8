#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

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
      planned: Compute the steps that are to be run now. An open swap is taken over by O(run). Nothing is written for
        a new one, so that a swap that is refused in its preflight leaves no journal.
      begun: Begin the journal of the new swap that was planned, once its preflight has passed.
      observed: Read the journal, look at the containers, and decide what the next step needs to know.
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
        next step. Required unless O(state=read) or O(state=observed).
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
      - The wanted image, by tag or by digest. Needed with O(state=planned) when no swap is open. What a tag means, and
        whether a digest exists, is asked of its registry without pulling it.
    type: str
  record:
    description:
      - The deploy record of the gateway. It names the image that runs, the one that O(rollback=true) leads to when no
        swap is open, and the storage.
    type: dict
    default: {}
  env_file:
    description:
      - The environment file. Its variables are compared with the container's, and only names are returned. A container
        that differs is replaced although its image stays.
    type: path
  drift:
    description:
      - Names of variables of the inventory that the container does not have and that only another container gets,
        beside those of O(env_file).
    type: list
    elements: str
    default: []
  port:
    description:
      - Port of the gateway on the loopback of the host. A swap does not move it. Needed with O(env_file).
    type: int
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
    record: "{{ record }}"
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
      description: Whether a swap is under way.
      type: bool
      sample: true
    id:
      description: Its id, null when there is none or it was not begun yet.
      type: str
      sample: 20260102T030405Z
    steps:
      description: The steps to run now, in order. Only with O(state=planned) and O(state=begun).
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
    target_shown:
      description: RV(swap.target) for people, with the tag.
      type: str
      sample: registry.example.org/gateway:2.1 (sha256:79f4c0b8a0a1)
    origin_shown:
      description: RV(swap.origin) for people, with the tag.
      type: str
      sample: registry.example.org/gateway:2.0 (sha256:0f1e2d3c4b5a)
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
    gives_rotation_back:
      description: Whether a run that fails now restores the rotation at once, since the gateway itself serves.
      type: bool
      sample: false
    ask_before_stop:
      description:
        - Whether the gateway has to allow its stop before it is replaced. One that cannot answer is not asked. Only
          with O(state=observed).
      type: bool
      sample: true
    record:
      description: What the deploy record has to say. Not before a new swap was begun.
      type: dict
      sample: {}
    seen:
      description: What was seen on the host. Only with O(state=planned), O(state=begun) and O(state=observed).
      type: dict
      sample:
        main_image: registry.example.org/gateway@sha256:4567
        main_running: true
        main_healthy: true
        main_drift: []
        temp_exists: false
        temp_running: false
        in_service: true
"""

import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drift import (
    Drift,
    Wanted,
    find_drift,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.image import described, is_image
from ansible_collections.gonka.devshard.plugins.module_utils._host.storage import same_place
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import (
    RecreateWish,
    begin,
    lasting,
    make_plan,
    observe,
    record_repaired,
    refuse_overtaken,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import (
    JournalFile,
    note,
    note_undone,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.plan import (
    SwapPlan,
    gives_rotation_back,
    is_asked_before_its_stop,
    record_after,
    way_back,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import (
    Journal,
    Slot,
    Step,
    SwapSeen,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {
            "type": "str",
            "default": "planned",
            "choices": ["read", "planned", "begun", "observed", "started", "finished", "undone"],
        },
        "path": {"type": "path", "default": f"{_argspec.STATE_DIR}/swap.json"},
        "run": {"type": "str"},
        "step": {"type": "str", "choices": [step.value for step in Step]},
        "data": {"type": "dict", "default": {}},
        "finished": {"type": "str"},
        "finished_data": {"type": "dict", "default": {}},
        "forget": {"type": "list", "elements": "str", "default": []},
        "image": {"type": "str"},
        "record": {"type": "dict", "default": {}},
        "env_file": {"type": "path"},
        "port": {"type": "int"},
        "drift": {"type": "list", "elements": "str", "default": []},
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
        ("state", "begun", ("run",)),
        ("state", "started", ("run", "step")),
        ("state", "finished", ("run", "step")),
        ("state", "undone", ("run", "step")),
    ),
)


def journal_result(journal: Journal | None) -> dict[str, t.Any]:
    if journal is None:
        return {"open": False, "id": None}
    shown = journal.to_dict()
    del shown["schema"]
    return {
        "open": journal.open,
        **shown,
        "target_shown": described(journal.asked, journal.target),
        "origin_shown": described(journal.origin_asked, journal.origin),
        "gives_rotation_back": gives_rotation_back(journal),
    }


def wish_of(context: Context) -> RecreateWish:
    params = context.params
    record = params["record"]
    previous, previous_asked = way_back(record)
    return RecreateWish(
        run=params["run"],
        asked=params["image"],
        resolve=docker.resolve,
        previous=previous,
        previous_asked=previous_asked,
        recorded=record.get("digest"),
        recorded_asked=record.get("image"),
        rollback=params["rollback"],
        mode=params["mode"],
        temp_escrows=params["temp_escrows"],
        profile=context.profile.name,
    )


def slot_of(params: dict[str, t.Any]) -> Slot:
    """The state machine calls the slot of the gateway that is replaced main."""
    return "main" if params["slot_in_service"] == params["slot"] else "temp"


def drift_of(context: Context, main: docker.Container | None) -> Drift | None:
    """What only another container changes; None where it was not asked for."""
    params = context.params
    if main is None or params["env_file"] is None or params["port"] is None:
        return None
    storage = str(params["record"].get("storage") or "")
    mounted = main.mounts.get(context.profile.storage_dir)
    if mounted is not None and storage and same_place(Path(mounted), Path(storage)):
        # by another name
        storage = mounted
    wanted = Wanted(
        # the image is compared with the target
        image=main.image,
        environment=context.environment,
        storage=storage,
        address=f"127.0.0.1:{params['port']}",
    )
    if wanted.environment is None:
        raise ConfigurationError(f"there is no {params['env_file']}; run the playbook site first")
    found = find_drift(main, wanted, context.profile)
    return found.with_variables(params["drift"])


def planned(context: Context, file: JournalFile) -> Outcome:
    before = file.read()
    found, journal, seen, wish = _planned(context, before)
    changed = before is not None and journal is None
    if changed and before is not None and not context.check_mode:
        # nothing was begun, or it was only not put away any more
        file.archive(before)
    if journal is not None and found.steps and journal != before:
        changed = True
        if not context.check_mode:
            file.write(journal)
    values = _plan_result(context, found, journal, seen, wish)
    return Outcome(changed=changed, values={"swap": values})


def begun(context: Context, file: JournalFile) -> Outcome:
    """A second look, as the preflight may have waited for hours."""
    before = file.read()
    refuse_overtaken(before)
    found, journal, seen, wish = _planned(context, before)
    if found.steps:
        now = datetime.now(timezone.utc)
        journal = begin(found, seen, wish, now).finish(Step.PREFLIGHT)
        if not context.check_mode:
            file.write(journal)
    values = _plan_result(context, found, journal, seen, wish)
    values["steps"] = [step for step in values["steps"] if step != Step.PREFLIGHT.value]
    return Outcome(changed=bool(found.steps), values={"swap": values})


def _planned(
    context: Context, before: Journal | None
) -> tuple[SwapPlan, Journal | None, SwapSeen, RecreateWish]:
    params = context.params
    context.need_docker()
    wish = wish_of(context)
    main = docker.inspect(params["container"])
    temp = docker.inspect(params["other_container"])
    drift = drift_of(context, main)
    return *make_plan(before, main, temp, slot_of(params), wish, drift), wish


def _plan_result(
    context: Context, found: SwapPlan, journal: Journal | None, seen: SwapSeen, wish: RecreateWish
) -> dict[str, t.Any]:
    record = context.params["record"]
    if journal is not None:
        result = {**journal_result(journal), "record": dict(record)}
    elif found.steps:
        new = begin(found, seen, wish, datetime.now(timezone.utc))
        result = {**journal_result(new), "open": False, "id": None}
    else:
        result = {"open": False, "id": None, "record": record_repaired(wish, seen, record)}
        result["target_shown"] = described(result["record"].get("image"), found.target)
    return {
        **result,
        "target": found.target,
        "steps": [step.value for step in found.steps],
        "reason": found.reason,
        "then_again": found.then_again,
        "seen": seen_result(seen),
    }


def seen_result(seen: SwapSeen) -> dict[str, t.Any]:
    return {
        "main_image": seen.main_image,
        "main_running": seen.main_running,
        "main_healthy": seen.main_healthy,
        "main_drift": list(seen.drift),
        "temp_exists": seen.temp_exists,
        "temp_running": seen.temp_running,
        "in_service": seen.flag == "main",
    }


def observed(context: Context, file: JournalFile) -> Outcome:
    params = context.params
    context.need_docker()
    journal = lasting(file.read())
    if journal is None:
        raise ConfigurationError(f"no swap is open: there is no {file.path}")
    main = docker.inspect(params["container"])
    temp = docker.inspect(params["other_container"])
    drift = drift_of(context, main)
    seen = observe(main, temp, slot_of(params), target=journal.target, drift=drift)
    values = {
        **journal_result(journal),
        "ask_before_stop": is_asked_before_its_stop(journal, seen),
        "record": record_after(journal, params["record"]),
        "seen": seen_result(seen),
    }
    return Outcome(changed=False, values={"swap": values})


def refuse_another_image(context: Context, journal: Journal | None) -> None:
    """A swap ends on the image that its journal names, or it is not finished."""
    context.need_docker()
    main = docker.inspect(context.params["container"])
    if journal is None or (main and is_image(journal.target, main.image, main.digests)):
        return
    found = "there is no such container" if main is None else f"it has {main.image}"
    raise UnsafeError(
        f"{context.params['container']} should have the image"
        f" {described(journal.asked, journal.target)}, but {found}. Run the same again"
    )


def step_before(params: dict[str, t.Any]) -> tuple[Step, dict[str, t.Any]] | None:
    name = params["finished"]
    if not name:
        return None
    try:
        return Step(name), params["finished_data"]
    except ValueError as exc:
        raise ConfigurationError(f"finished: there is no step {name}") from exc


_LOOKS: t.Final = {"planned": planned, "begun": begun, "observed": observed}


def work(context: Context) -> Outcome:
    params = context.params
    file = JournalFile(Path(params["path"]))
    state = params["state"]
    if state == "read":
        return Outcome(changed=False, values={"swap": journal_result(file.read())})
    if state in _LOOKS:
        return _LOOKS[state](context, file)
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
        if step is Step.DONE:
            refuse_another_image(context, file.read())
        journal, changed = note(
            file, run, finished=(step, params["data"]), started=None, check_mode=dry
        )
    return Outcome(changed=changed, values={"swap": journal_result(journal)})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

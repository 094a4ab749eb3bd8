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
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - The memory of the role P(gonka.devshard.hot_swap#role). Which steps are to be run follows from the observed state of
    the host and from a journal that outlives the controller, so a swap that was interrupted anywhere is continued or
    rolled back by the next run.
  - This module starts and stops nothing. It writes the journal, and the deploy record of the gateway once another
    container is its container.
options:
  state:
    description:
      - What to do.
    type: str
    default: planned
    choices:
      planned: Compute the steps that are to be run now. An open swap is taken over by O(run). Nothing is written for
        a new one, so that a swap that is refused in its preflight leaves no journal. Where no step is to be run, a
        deploy record that does not name what runs is corrected.
      begun: Begin the journal of the new swap that was planned, once its preflight has passed.
      started: Note that O(step) begins, and that O(finished) is done.
      moved: Write into the deploy record that the directory belongs to the new generation now. The gateway of the
        earlier one is gone, and that of the new one is not started yet.
      recorded: Verify that the gateway is what the swap leads to, and write that and the way back into the deploy
        record.
      ended: Note that O(step) is done. The last step closes the journal.
      aftermath: After O(step) has failed, return what is to be done, and name the container that should serve then and
        does not run. Nothing is written.
  deploy_dir:
    description:
      - The directory of the gateway. Its deploy record names the image that runs, the one that O(rollback=true) leads
        to when no swap is open, and the storage. One without a record is nothing to swap in check mode, where the
        playbook site may have been predicted only, and is refused otherwise.
    type: path
    default: /srv/gonka/devshard-gateway
  temp_escrow_ids:
    description:
      - Escrows of the temporary gateway, to be noted with O(state=ended).
    type: list
    elements: int
  main_escrow_ids:
    description:
      - Escrows of the new gateway of a move, to be noted with O(state=ended).
    type: list
    elements: int
    version_added: 0.6.0
  origin_escrow_ids:
    description:
      - Escrows of the earlier generation that a move settles, to be noted with O(state=started) once its rotation
        creates no other one. What an earlier attempt at the step has noted stays.
    type: list
    elements: int
    version_added: 0.6.0
  given_up:
    description:
      - Those of them that it leaves unsettled, to be noted with O(state=begun) or O(state=started). They are added to
        the noted ones.
    type: list
    elements: int
    version_added: 0.6.0
  balance:
    description:
      - What the creator has before anything is paid for, in C(ngonka), to be noted with O(state=started) together with
        O(origin_escrow_ids).
    type: int
    version_added: 0.6.0
  archive:
    description:
      - Where the storage of the earlier generation was archived, to be noted with O(state=moved).
    type: path
    version_added: 0.6.0
  image:
    description:
      - The wanted image, by tag or by digest. Needed with O(state=planned) when no swap is open. What a tag means, and
        whether a digest exists, is asked of its registry without pulling it.
    type: str
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
  accounting_port:
    description:
      - Port on the loopback of the host for the accounting, which a gateway of generation V(v4.1) has. If omitted, the
        accounting is closed.
    type: int
    version_added: 0.4.0
  rollback:
    description:
      - Roll back to the previous image.
    type: bool
    default: false
  mode:
    description:
      - V(temp) uses a temporary gateway with escrows of its own, V(pool) a second gateway that is there already.
      - V(generation) leads to the generation of O(gateway_profile) and O(gateway_protocol), with a temporary gateway of
        that generation and a new storage. The escrows of the earlier one are settled.
    type: str
    default: temp
    choices: [temp, pool, generation]
  temp_escrows:
    description:
      - What to do with the escrows of a temporary gateway.
    type: str
    default: import
    choices: [import, settle]
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
  - gonka.devshard._generation
  - gonka.devshard._attributes
  - gonka.devshard._swap
attributes:
  action_group:
    description: The options of the journal can be set once with C(module_defaults).
    support: full
    membership:
      - gonka.devshard.swap
  check_mode:
    support: full
  diff_mode:
    support: full
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
    journal: /var/lib/gonka-devshard/swap.json
    run: "{{ run }}"
    image: registry.example.org/gateway:2.1
  register: swap

- name: Record that a step begins, and that the previous one is done
  gonka.devshard.swap_step:
    journal: /var/lib/gonka-devshard/swap.json
    run: "{{ run }}"
    state: started
    step: seed_temp
    finished: start_temp
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
      description: What to do with the escrows of the temporary gateway.
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
      description: What the steps noted.
      type: dict
      sample: {}
    deployed:
      description: Whether there is a gateway to swap. V(false) in check mode only, and only with O(state=planned).
      type: bool
      sample: true
    storage:
      description: The storage of the gateway on the host.
      type: str
      sample: /srv/gonka/devshard-gateway/.devshardctl
    temp_image:
      description: The image of the temporary gateway.
      type: str
      sample: registry.example.org/gateway@sha256:0123
    temp_env:
      description: The environment file of the temporary gateway.
      type: str
      sample: /srv/gonka/devshard-gateway/config.devshard.env.temp
    main_env:
      description:
        - The environment file with the admin key that the container in slot main was started with. O(env_file) holds
          the next one already where a run was interrupted while it replaced the container. Only with O(state=planned),
          O(state=begun) and O(state=aftermath).
      type: str
      sample: /srv/gonka/devshard-gateway/config.devshard.env
    seed_needed:
      description: Whether escrows of the temporary gateway are still to be paid.
      type: bool
      sample: true
    generations:
      description: For each step, of which generation the gateway is that it works on, and for which protocol.
      type: dict
      sample: {drain_main: {gateway_profile: v2, gateway_protocol: null}}
    generation:
      description: With O(state=aftermath), the same for the gateway in slot main.
      type: dict
      sample: {gateway_profile: v2, gateway_protocol: null}
    temp_generation:
      description: The same for the temporary gateway.
      type: dict
      sample: {gateway_profile: v4.1, gateway_protocol: v4.1}
    temp_escrow_ids:
      description: Escrows of the temporary gateway, as far as they are noted.
      type: list
      elements: int
      sample: [4711]
    given_up:
      description: Escrows of the earlier generation that are left unsettled.
      type: list
      elements: int
      sample: []
    origin_storage:
      description: The storage of the earlier generation, null where the generation stays.
      type: str
      sample: /srv/gonka/devshard-gateway/.devshardctl
    emptied:
      description: Storages that a move has archived and that it removes in the end. One that its owner made is left.
      type: list
      elements: str
      sample: []
    gives_rotation_back:
      description: With O(state=aftermath), whether the rotation is restored at once, since the gateway itself serves.
      type: bool
      sample: false
    advice:
      description: With O(state=aftermath), what still serves and how to go on.
      type: str
      sample: The gateway serves. Run this again.
    took:
      description: With O(state=ended), how long each step of this run took, in seconds, in their order.
      type: list
      elements: dict
      sample:
        - step: freeze_rotation
          seconds: 0.4
    record:
      description: What the deploy record says, or would say in check mode.
      type: dict
      sample: {}
    seen:
      description: The observed state of the host. Only with O(state=planned) and O(state=begun).
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
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core import libraries
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    TransportError,
    UnsafeError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import ADMIN_API_KEY
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.drift import (
    Drift,
    Wanted,
    find_drift,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.instance import DATABASE
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.record_file import RecordFile
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._host.image import described
from ansible_collections.gonka.devshard.plugins.module_utils._host.storage import same_place
from ansible_collections.gonka.devshard.plugins.module_utils._swap.aftermath import after_failure
from ansible_collections.gonka.devshard.plugins.module_utils._swap.host import (
    RecreateWish,
    begin,
    make_plan,
    move_of,
    record_repaired,
    refuse_another_image,
    refuse_drift,
    refuse_overtaken,
    refuse_record,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal import (
    JournalFile,
    Notebook,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import (
    Kind,
    Move,
    SwapNotes,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.plan import (
    SwapPlan,
    record_after,
    record_of_move,
    way_back,
    works_on_origin,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Slot, Step, SwapSeen
from ansible_collections.gonka.devshard.plugins.module_utils._swap.temporary import (
    environment_of_main,
    temp_environment,
)

STATES: t.Final = ("planned", "begun", "started", "moved", "recorded", "ended", "aftermath")

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {"type": "str", "default": "planned", "choices": list(STATES)},
        "deploy_dir": {"type": "path", "default": "/srv/gonka/devshard-gateway"},
        "temp_escrow_ids": {"type": "list", "elements": "int"},
        "image": {"type": "str"},
        "env_file": {"type": "path"},
        "port": {"type": "int"},
        "drift": {"type": "list", "elements": "str", "default": []},
        "rollback": {"type": "bool", "default": False},
        "accounting_port": {"type": "int"},
        "mode": {"type": "str", "default": "temp", "choices": ["temp", "pool", "generation"]},
        "main_escrow_ids": {"type": "list", "elements": "int"},
        "origin_escrow_ids": {"type": "list", "elements": "int"},
        "given_up": {"type": "list", "elements": "int"},
        "balance": {"type": "int"},
        "archive": {"type": "path"},
        "temp_escrows": {"type": "str", "default": "import", "choices": ["import", "settle"]},
        "slot": {"type": "str", "default": "main", "choices": ["main", "temp"]},
        "container": {"type": "str", "default": "devshardctl-multi"},
        "other_container": {"type": "str", "default": "devshardctl-temp"},
        "slot_in_service": {"type": "str", "default": "main", "choices": ["main", "temp"]},
    },
    required_if=tuple(("state", state, ("journal", "run")) for state in STATES),
).merge(_argspec.generation(), _argspec.swap())


def journal_result(context: Context, journal: Journal) -> dict[str, t.Any]:
    shown = journal.to_dict()
    del shown["schema"], shown["began"]
    temp_env = temp_env_of(context, journal)
    return {
        "open": journal.open,
        **shown,
        "target_shown": described(journal.asked, journal.target),
        "origin_shown": described(journal.origin_asked, journal.origin),
        "temp_image": journal.data.temp_image or journal.target,
        "temp_env": None if temp_env is None else str(temp_env),
        "seed_needed": journal.has_temp and Step.SEED_TEMP not in journal.started,
        "temp_escrow_ids": list(journal.data.temp_escrow_ids or ()),
        "given_up": list(journal.data.given_up or ()),
        **generations_of(context, journal),
    }


def temp_env_of(context: Context, journal: Journal) -> Path | None:
    """The environment file of the temporary gateway; that of the gateway where there is none."""
    if context.params["env_file"] is None:
        return None
    of_main = Path(context.params["env_file"])
    if not journal.has_temp:
        return of_main
    started = Step.START_TEMP in journal.started
    temp_env = temp_environment(journal.data.temp_env, of_main, started=started)
    if Step.STOP_TEMP in journal.started and not temp_env.exists():
        # it is gone with the temporary gateway
        return of_main
    return temp_env


def main_env_of(
    context: Context, journal: Journal | None, main: docker.Container | None
) -> str | None:
    """The environment file with the admin key of the container in slot main."""
    if context.params["env_file"] is None:
        return None
    held = {Path(context.params["env_file"]): (context.environment or {}).get(ADMIN_API_KEY)}
    copy = None if journal is None else temp_env_of(context, journal)
    if copy is not None and copy not in held:
        held[copy] = (context.environment_in(copy) or {}).get(ADMIN_API_KEY)
    running = None if main is None else main.environment.get(ADMIN_API_KEY)
    return str(environment_of_main(running, held))


def generations_of(context: Context, journal: Journal) -> dict[str, t.Any]:
    """Of which generation the gateway is that a step works on, as modules take it."""
    wanted = Kind.of(context.profile).to_result()
    move = journal.data.move
    origin, target = (
        (wanted, wanted) if move is None else (move.origin.to_result(), move.target.to_result())
    )
    return {
        "generations": {
            step.value: origin if works_on_origin(journal, step) else target for step in Step
        },
        "temp_generation": target,
        "origin_storage": None if move is None else move.origin_storage,
        "emptied": emptied(journal),
    }


def emptied(journal: Journal) -> list[str]:
    """The storage that is left behind: that of the earlier generation, or of the one given up."""
    move = journal.data.move
    if move is None:
        return []
    if journal.rolling_back:
        return [move.storage]
    return [move.origin_storage] if move.ours else []


def wish_of(context: Context, record: dict[str, t.Any]) -> RecreateWish:
    params = context.params
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
        kind=Kind.of(context.profile),
        temp_container=params["other_container"],
        move=None if params["mode"] != "generation" else moved(context, record),
    )


def moved(context: Context, record: dict[str, t.Any]) -> Move | None:
    """The move that the record and the options ask for; it needs a storage of its own."""
    move = move_of(
        record,
        Kind.of(context.profile),
        Path(context.params["deploy_dir"]),
        generations=list(profiles.known()),
    )
    if move is None:
        return None
    storage = Path(move.storage)
    if same_place(storage, Path(move.origin_storage)) or (storage / DATABASE).exists():
        raise UnsafeError(
            f"no move: the new gateway needs the storage {storage}, and that holds the database of a"
            " gateway already. Move it away if no escrow in it is open"
        )
    return move


def profile_of_record(context: Context) -> str | None:
    """The generation that the deploy record must have; a move leads to another one."""
    return None if context.params["mode"] == "generation" else context.profile.name


def slot_of(params: dict[str, t.Any]) -> Slot:
    """The state machine calls the slot of the gateway that is replaced main."""
    return "main" if params["slot_in_service"] == params["slot"] else "temp"


def drift_of(
    context: Context, record: dict[str, t.Any], main: docker.Container | None
) -> Drift | None:
    """What only another container changes; None where it was not asked for."""
    params = context.params
    if main is None or params["env_file"] is None or params["port"] is None:
        return None
    if record.get("profile") not in (None, context.profile.name):
        # one that a move leaves behind is not compared with what is wanted
        return None
    storage = str(record.get("storage") or "")
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
        accounting_port=params["accounting_port"],
    )
    if wanted.environment is None:
        raise ConfigurationError(f"there is no {params['env_file']}; run the playbook site first")
    found = find_drift(main, wanted, context.profile)
    return found.with_variables(params["drift"])


class Look:
    """A plan from what the host shows now."""

    def __init__(self, context: Context, file: JournalFile, record: dict[str, t.Any]) -> None:
        params = context.params
        context.need_docker()
        self.context, self.record = context, record
        self.before = file.read()
        self.wish = wish_of(context, record)
        main = docker.inspect(params["container"])
        temp = docker.inspect(params["other_container"])
        self.main = main
        self.plan: SwapPlan
        self.journal: Journal | None
        self.seen: SwapSeen
        self.plan, self.journal, self.seen = make_plan(
            self.before,
            main,
            temp,
            slot_of(params),
            self.wish,
            drift_of(context, record, main),
        )
        move = self.journal.data.move if self.journal is not None else self.wish.move
        self.storage = record.get("storage") if move is None else move.storage

    def result(self) -> dict[str, t.Any]:
        found = self.plan
        if self.journal is not None:
            result = {**journal_result(self.context, self.journal), "record": self.record}
        elif found.steps:
            new = begin(found, self.seen, self.wish, datetime.now(timezone.utc))
            result = {
                **journal_result(self.context, new),
                "open": False,
                "id": None,
                "record": self.record,
            }
        else:
            record = record_repaired(self.wish, self.seen, self.record)
            result = {"open": False, "id": None, "mode": self.wish.mode, "record": record}
            result["target_shown"] = described(record.get("image"), found.target)
        return {
            **result,
            "deployed": True,
            "main_env": main_env_of(self.context, self.journal, self.main),
            "storage": self.storage,
            "target": found.target,
            "steps": [step.value for step in found.steps],
            "reason": found.reason,
            "then_again": found.then_again,
            "seen": seen_result(self.seen),
        }


def planned(context: Context, file: JournalFile) -> Outcome:
    records = RecordFile(Path(context.params["deploy_dir"]))
    record = records.read()
    if record is None and context.check_mode:
        nothing: dict[str, t.Any] = {
            "open": False,
            "id": None,
            "deployed": False,
            "steps": [],
            "record": {},
        }
        return Outcome(changed=False, values={"swap": {**nothing, "then_again": False}})
    record = refuse_record(record, records.folder, profile_of_record(context))
    look = Look(context, file, record)
    before, journal = look.before, look.journal
    put_away = before is not None and journal is None
    if put_away and before is not None and not context.check_mode:
        # nothing was begun, or it was only not put away any more
        file.archive(before)
    taken_over = journal is not None and bool(look.plan.steps) and journal != before
    if taken_over and journal is not None and not context.check_mode:
        file.write(journal)
    values = look.result()
    repaired = not values["steps"] and not values["open"] and values["record"] != record
    if repaired and not context.check_mode:
        records.write(values["record"])
    return Outcome(
        changed=put_away or taken_over or repaired,
        values={"swap": values},
        before=record,
        after=values["record"],
    )


def begun(context: Context, file: JournalFile) -> Outcome:
    """A second look, as the preflight may have waited for hours."""
    refuse_overtaken(file.read())
    records = RecordFile(Path(context.params["deploy_dir"]))
    record = refuse_record(records.read(), records.folder, profile_of_record(context))
    look = Look(context, file, record)
    steps = [step for step in look.plan.steps if step is not Step.PREFLIGHT]
    if steps:
        new = begin(look.plan, look.seen, look.wish, datetime.now(timezone.utc))
        notes = SwapNotes(given_up=ids_of(context, "given_up"))
        look.journal = new.finish(Step.PREFLIGHT).remember(notes)
        if not context.check_mode:
            file.write(look.journal)
    values = {**look.result(), "steps": [step.value for step in steps]}
    return Outcome(changed=bool(steps), values={"swap": values})


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


def steps_of(journal: Journal | None) -> dict[str, t.Any]:
    """For the diff: how far the swap is."""
    if journal is None:
        return {}
    return {
        "started": [step.value for step in journal.started],
        "done": [step.value for step in journal.done],
    }


def ids_of(context: Context, name: str) -> tuple[int, ...] | None:
    given = context.params[name]
    return None if given is None else tuple(given)


def started(context: Context, file: JournalFile) -> Outcome:
    before = file.read()
    notes = SwapNotes(
        balance=context.params["balance"],
        origin_escrow_ids=ids_of(context, "origin_escrow_ids"),
        given_up=ids_of(context, "given_up"),
    )
    journal = own_notebook(context).begin(notes)
    return noted(context, before, journal)


def noted(context: Context, before: Journal | None, journal: Journal) -> Outcome:
    return Outcome(
        changed=steps_of(before) != steps_of(journal),
        values={"swap": journal_result(context, journal)},
        before=steps_of(before),
        after=steps_of(journal),
    )


def moved_record(context: Context, _file: JournalFile) -> Outcome:
    """What is started next has the storage of the record, wherever a run is interrupted."""
    params = context.params
    journal = own_notebook(context).begin(SwapNotes(archive=params["archive"]))
    if journal.data.move is None:
        raise ConfigurationError(f"the swap {journal.id} moves to no other generation")
    context.need_docker()
    if (main := docker.inspect(params["container"])) is not None:
        raise UnsafeError(
            f"the container {main.name} of the earlier generation still exists; remove it first"
        )
    records = RecordFile(Path(params["deploy_dir"]))
    record = refuse_record(records.read(), records.folder, None)
    after = record_of_move(journal.data.move, record)
    return written(context, journal, records, record, after)


def written(
    context: Context,
    journal: Journal,
    records: RecordFile,
    record: dict[str, t.Any],
    after: dict[str, t.Any],
) -> Outcome:
    if after != record and not context.check_mode:
        records.write(after)
    return Outcome(
        changed=after != record,
        values={"swap": {**journal_result(context, journal), "record": after}},
        before=record,
        after=after,
    )


def recorded(context: Context, _file: JournalFile) -> Outcome:
    """After the start, so that the record always names what runs."""
    journal = own_notebook(context).begin()
    context.need_docker()
    container = context.params["container"]
    main = docker.inspect(container)
    refuse_another_image(journal, main, container)
    records = RecordFile(Path(context.params["deploy_dir"]))
    record = refuse_record(records.read(), records.folder, profile_of_record(context))
    refuse_drift(drift_of(context, record, main), container)
    return written(context, journal, records, record, record_after(journal, record))


def ended(context: Context, file: JournalFile) -> Outcome:
    notebook = own_notebook(context)
    before = file.read()
    if notebook.step is Step.DONE and before is not None:
        # a swap ends on the image that its journal names, or it is not finished
        context.need_docker()
        container = context.params["container"]
        refuse_another_image(before, docker.inspect(container), container)
    notes = SwapNotes(
        temp_escrow_ids=ids_of(context, "temp_escrow_ids"),
        main_escrow_ids=ids_of(context, "main_escrow_ids"),
    )
    journal = notebook.end(notes)
    outcome = noted(context, before, journal)
    outcome.values["swap"]["took"] = [
        {"step": step.value, "seconds": round(seconds, 1)}
        for step, seconds in journal.durations(notebook.now())
    ]
    return outcome


def known_containers(context: Context) -> dict[str, docker.Container | None]:
    """The two containers by their names; none where the engine cannot be asked."""
    if libraries.why_missing("docker") is not None:
        return {}
    names = [context.params["container"], context.params["other_container"]]
    try:
        return {name: docker.inspect(name) for name in names}
    except TransportError:
        return {}


def aftermath(context: Context, file: JournalFile) -> Outcome:
    params = context.params
    journal = file.read()
    containers = known_containers(context)
    found = after_failure(
        journal,
        Step(params["step"]) if params["step"] else None,
        run=params["run"],
        container=params["container"],
        other_container=params["other_container"],
        down=[name for name, one in containers.items() if one is None or one.state != "running"],
    )
    step = (
        Step.RESTORE_ROTATION if journal is not None and journal.main_is_target else Step.PREFLIGHT
    )
    generation = {} if journal is None else generations_of(context, journal)["generations"][step]
    main_env = main_env_of(context, journal, containers.get(params["container"]))
    values = {**found.to_result(), "generation": generation, "main_env": main_env}
    return Outcome(changed=False, values={"swap": values})


def own_notebook(context: Context) -> Notebook:
    if (notebook := notebook_of(context)) is None:
        raise AssertionError("the journal is required")
    return notebook


_WORK: t.Final = dict(
    zip(STATES, (planned, begun, started, moved_record, recorded, ended, aftermath), strict=True)
)


def work(context: Context) -> Outcome:
    return _WORK[context.params["state"]](context, JournalFile(Path(context.params["journal"])))


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_rotation
short_description: Freeze a gateway's escrow rotation for a hot swap, and restore it exactly
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - During a swap no gateway may create or settle escrows by itself. This module switches the rotation off and returns
    its previous settings, or restores them field by field.
  - It checks no funding, because it only restores the previous settings. To set a rotation use
    M(gonka.devshard.escrow_rotation).
options:
  state:
    description:
      - What to do.
    type: str
    required: true
    choices:
      frozen: Switch the rotation off. The gateway answers only after a pass of the rotation that runs has ended, which
        can take minutes.
      restored: Put back what was there before.
      given_back: After a step of a swap has failed, put it back where the gateway itself serves. The swap that is
        continued freezes it again. Nothing is done where a temporary gateway serves.
  rotation:
    description:
      - RV(rotation.before) from the time when it was frozen. Required with O(state=restored), unless O(journal) holds
        it.
    type: dict
  storage_dir:
    description:
      - The folder on this host where the gateway keeps its C(gateway.db). With O(state=frozen), the module waits until
        the rotation has no create whose outcome the gateway does not know.
    type: path
    version_added: 0.5.0
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
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow_rotation
  - module: gonka.devshard.swap_step
"""

EXAMPLES = r"""
- name: Freeze the rotation
  gonka.devshard.swap_rotation:
    state: frozen
  register: found

- name: Restore the rotation
  gonka.devshard.swap_rotation:
    state: restored
    rotation: "{{ found.rotation.before }}"
"""

RETURN = r"""
rotation:
  description: The settings of the rotation. Both parts are empty where there was nothing to put back.
  returned: success
  type: dict
  contains:
    before:
      description: Before this run.
      type: dict
      sample:
        enabled: true
        settlement_enabled: true
        pre_poc_blocks: 300
        models: []
    after:
      description: After this run.
      type: dict
      sample:
        enabled: false
        settlement_enabled: true
        pre_poc_blocks: 300
        models: []
"""

import dataclasses
import typing as t

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.commitments import (
    watch_commitments,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.gateway import gateway_of
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.rotation import (
    freeze_rotation,
    give_rotation_back,
    restore_rotation,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step

SPEC = _argspec.ArgumentSpec(
    options={
        "state": {"type": "str", "required": True, "choices": ["frozen", "restored", "given_back"]},
        "rotation": {"type": "dict"},
        "storage_dir": {"type": "path"},
    },
    required_if=(
        ("state", "restored", ("rotation", "journal"), True),
        ("state", "given_back", ("journal",)),
    ),
).merge(_argspec.gateway(), _argspec.swap(), _argspec.wait())


def frozen(context: Context) -> dict[str, t.Any] | None:
    notebook = notebook_of(context)

    def intend(before: dict[str, t.Any]) -> None:
        if notebook is not None:
            notebook.begin(SwapNotes(rotation=before))

    return freeze_rotation(
        gateway_of(context),
        intend=intend,
        commitments=watch_commitments(context, context.deadline()),
        check_mode=context.check_mode,
    )


def restored(context: Context) -> dict[str, t.Any] | None:
    saved = context.params["rotation"]
    if (notebook := notebook_of(context)) is not None:
        saved = notebook.begin().data.rotation
    if saved is None:
        return None
    return restore_rotation(gateway_of(context), saved, check_mode=context.check_mode)


def given_back(context: Context) -> dict[str, t.Any] | None:
    if (notebook := notebook_of(context)) is None:
        raise AssertionError("the journal is required")
    notebook = dataclasses.replace(notebook, step=Step.FREEZE_ROTATION)
    return give_rotation_back(notebook, lambda: gateway_of(context), check_mode=context.check_mode)


_STATES: t.Final = {"frozen": frozen, "restored": restored, "given_back": given_back}


def work(context: Context) -> Outcome:
    found = _STATES[context.params["state"]](context)
    if found is None:
        found = {"changed": False, "before": {}, "after": {}}
    before, after = found["before"], found["after"]
    return Outcome(
        changed=found["changed"],
        values={"rotation": {"before": before, "after": after}},
        before=before,
        after=after,
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

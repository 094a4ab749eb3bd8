#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swap_settings
short_description: Wait for the temporary gateway of a hot swap, and give it the settings of the gateway
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Internal to the role P(gonka.devshard.hot_swap#role), with which it changes.
  - Waits until O(container_name) answers, as M(gonka.devshard.gateway_wait) does it.
  - Then copies every setting that clients depend on from the gateway at O(source_url), access modes and limits of all
    models included. The redirect and the rotation are not copied. The rotation is switched off, because two rotations
    on one wallet pay twice.
  - Settings are compared first, and nothing is sent when nothing differs. Afterwards the gateway's settings are
    compared with the requested ones.
  - With the O(journal) of a move to another generation, the new gateway keeps the settings that only one of the two
    has, groups of settings that its generation is tuned by, and the address of the chain where its environment has it.
  - With O(journal), a temporary gateway that got escrows before has the settings already, and is not changed.
  - Refuses a gateway that behaves like another generation than O(gateway_profile).
options:
  source_url:
    description:
      - URL of the gateway whose settings are copied.
    type: str
    required: true
  source_env_file:
    description:
      - Environment file that the gateway at O(source_url) was started with, for its admin key. If omitted, both
        gateways have the same key.
    type: path
    version_added: 0.9.0
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._http
  - gonka.devshard._startup
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
  - module: gonka.devshard.gateway_settings
  - module: gonka.devshard.gateway_wait
  - module: gonka.devshard.swap_step
"""

EXAMPLES = r"""
- name: Wait for the temporary gateway, and copy the settings of the gateway to it
  gonka.devshard.swap_settings:
    container_name: devshardctl-temp
    gateway_url: http://127.0.0.1:18081
    source_url: http://127.0.0.1:18080
    env_file: /srv/gonka/devshard-gateway/config.devshard.env
"""

RETURN = r"""
set:
  description: Names of the settings that were set.
  returned: success
  type: list
  elements: str
  sample: [default_model, model_limits]
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.gateway import gateway_of
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._clients.startup import wait_until_up
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import ADMIN_API_KEY
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.api import GatewayApi
from ansible_collections.gonka.devshard.plugins.module_utils._swap.settings_copy import (
    copy_settings,
    refuse_foreign,
)
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step

SPEC = _argspec.ArgumentSpec(
    options={
        "source_url": {"type": "str", "required": True},
        "source_env_file": {"type": "path"},
    }
).merge(_argspec.gateway(), _argspec.startup(), _argspec.swap(), _argspec.wait())


def work(context: Context) -> Outcome:
    notebook = notebook_of(context)
    journal = None if notebook is None else notebook.begin()
    seeded = (
        notebook is not None
        and journal is not None
        and notebook.step is Step.START_TEMP
        and Step.SEED_TEMP in journal.started
    )
    target = gateway_of(context)
    # one that is started again has the settings, and the gateway that they are from may be down
    source = None if seeded else source_of(context, target)
    # deposits are paid next, so the health check has to succeed as well
    wait_until_up(context, health_check=True)
    if source is None:
        return Outcome(changed=False, values={"set": []}, before={}, after={})
    refuse_foreign(target, context.profile)
    found = copy_settings(
        source,
        target,
        moves_to=context.profile if journal is not None and journal.moves else None,
        check_mode=context.check_mode,
    )
    return Outcome(
        changed=found["changed"],
        values={"set": found["set"]},
        before=found["before"],
        after=found["after"],
    )


def source_of(context: Context, target: GatewayApi) -> GatewayApi:
    source = GatewayApi(
        context.transport,
        url=context.params["source_url"],
        admin_key=context.secret("admin_api_key", ADMIN_API_KEY, context.params["source_env_file"]),
        profile=context.profile,
    )
    if source.url == target.url:
        raise ConfigurationError(
            "the URLs of both slots lead to the same gateway. Correct devshard_gateway_url or"
            " devshard_temp_url"
        )
    return source


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

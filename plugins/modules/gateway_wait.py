#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_wait
short_description: Wait until a started gateway answers
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Waits until the container runs, its health check succeeds where it has one, and the gateway answers over HTTP. A
    gateway replays every session before it listens.
  - Fails at once when the gateway can no longer come up, that is when the container has exited, or exits again each
    time it is started. The message then has the end of its log, without the secrets of O(env_file).
  - The whole wait never exceeds O(wait_timeout), however slowly the gateway answers. While it waits, lines on the
    terminal show the time that is left.
options:
  gateway_url:
    description:
      - URL of the gateway.
    type: str
    required: true
  env_file:
    description:
      - The environment file of the gateway. Its secrets are removed from the log. A missing file has none.
    type: path
    default: /srv/gonka/devshard-gateway/config.devshard.env
  health_check:
    description:
      - The health check of the container has to succeed too. Docker runs it some seconds after the start for the first
        time. Until then the module runs its command in the container by itself.
      - With V(false) an answer of the gateway is enough, for a caller that checks more than that afterwards.
      - A container that is unhealthy never counts as up.
    type: bool
    default: true
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._http
  - gonka.devshard._startup
  - gonka.devshard._wait
attributes:
  check_mode:
    support: full
    details:
      - This module only reads. In check mode it does not wait, because nothing was started.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
seealso:
  - module: gonka.devshard.gateway_info
"""

EXAMPLES = r"""
- name: Wait until the gateway answers
  gonka.devshard.gateway_wait:
    container_name: devshardctl-multi
    gateway_url: http://127.0.0.1:18080
    wait_timeout: 120
"""

RETURN = r"""
waited:
  description: Time that was waited, in seconds.
  returned: success
  type: float
  sample: 4.2
dropped:
  description:
    - The escrows that the gateway took out of service at its last start, each with the reason from its log. Generations
      from V(v3) on go on without them, and answer as if nothing had happened.
    - Empty in check mode, and where the log cannot be read, which is a warning.
  returned: success
  type: list
  elements: dict
  sample: [{id: 4711, why: local state unrecoverable}]
  version_added: 0.4.0
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.startup import wait_until_up
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import DevshardError
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import parse_time
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.startup import (
    Dropped,
    dropped,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker

STARTUP_LINES = 20_000
"""One that has been started long ago has written more since; its start was checked then."""

SPEC = _argspec.ArgumentSpec(
    options={
        "gateway_url": {"type": "str", "required": True},
        "env_file": {
            "type": "path",
            "default": "/srv/gonka/devshard-gateway/config.devshard.env",
        },
        "health_check": {"type": "bool", "default": True},
    },
).merge(
    _argspec.startup(),
    _argspec.http(),
    _argspec.wait(),
)


def work(context: Context) -> Outcome:
    waited = wait_until_up(context, health_check=context.params["health_check"])
    name = context.params["container_name"]
    lost = () if context.check_mode else dropped_at_start(context, name)
    return Outcome(
        changed=False,
        values={"waited": round(waited, 1), "dropped": [one.to_result() for one in lost]},
    )


def dropped_at_start(context: Context, name: str) -> tuple[Dropped, ...]:
    """What the log of this start says; the records alone do not show that there was another one."""
    container = docker.inspect(name)
    if container is None or not container.started_at:
        return ()
    try:
        began = int(parse_time(container.started_at).timestamp())
        return dropped(docker.log(name, STARTUP_LINES, began))
    except DevshardError as exc:
        context.warn(f"it is unknown whether the gateway took an escrow out of service: {exc}")
        return ()


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

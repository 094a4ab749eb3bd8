#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: edge_slot
short_description: Put a slot in service at the edge
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Makes nginx send new requests to the gateway in slot C(main) or in slot C(temp), and proves through the public
    route that it does. Requests that are being served stay where they are; wait for them with
    M(gonka.devshard.gateway_drain).
  - A slot that does not answer is refused before anything is changed. When the public route does not follow, the
    previous slot is restored and the module fails with RV(failure.rolled_back=true).
options:
  slot:
    description:
      - The slot to put in service. If omitted, nothing is changed or contacted, and RV(edge.slot) is the slot that is
        in service.
    type: str
    choices: [main, temp]
  via:
    description:
      - How nginx is switched.
    type: str
    default: flag
    choices:
      flag: By a file that nginx tests for each request, as the role P(gonka.devshard.edge#role) sets it up. Nothing is
        reloaded and no connection is closed. Refused when the configuration of nginx does not test the file.
      reload: By an include file that defines one upstream, and a reload. For an nginx that others manage. Refused
        unless the chat location already closes client connections (C(keepalive_timeout 0)) and
        C(worker_shutdown_timeout) is unset or at least O(drain_budget), because a reload would otherwise cut requests.
  flag_path:
    description:
      - The flag file, as nginx sees it. The file exists while slot C(temp) is in service.
    type: path
    default: /etc/nginx/devshard/temp-in-service
  alias_path:
    description:
      - The include file, as nginx sees it. Required with O(via=reload). The previous file is kept beside it, with the
        suffix C(.previous).
    type: path
  alias_name:
    description:
      - Name of the upstream in the include file. The file also defines a variable of this name with the suffix
        C(_served), for the header O(slot_header).
    type: str
    default: devshard
  drain_budget:
    description:
      - Maximum time for which requests may continue after a reload, in seconds.
    type: int
    default: 1800
  main_url:
    description:
      - URL of the gateway in slot main.
    type: str
    default: http://127.0.0.1:18080
  temp_url:
    description:
      - URL of the gateway in slot temp.
    type: str
    default: http://127.0.0.1:18081
  public_url:
    description:
      - URL of the public route, seen from the managed host.
    type: str
    default: http://127.0.0.1
  probe_path:
    description:
      - Path that is requested to see which slot answers. The status of the answer does not matter.
    type: str
    default: /v1/models
  chat_path:
    description:
      - Path of the location whose keep-alive is checked before a reload.
    type: str
    default: /v1/chat/completions
  edge_busy_url:
    description:
      - URL at which the edge reports whether it holds a request for a slot, see M(gonka.devshard.gateway_drain). An
        edge that does not report it is refused before anything is changed.
    type: str
  slot_header:
    description:
      - Header of the edge's answers that names the slot that answered.
    type: str
    default: X-Devshard-Slot
  confirmations:
    description:
      - Number of answers in a row, each over a connection of its own, that must come from the slot.
    type: int
    default: 5
  nginx_path:
    description:
      - The program nginx, on the host or in O(nginx_container).
    type: path
    default: /usr/sbin/nginx
  nginx_container:
    description:
      - Name of the container that nginx runs in. Omit it if nginx runs on the host itself. The directory of
        O(flag_path) or O(alias_path) must be mounted from the host.
    type: str
  wait_timeout:
    default: 30
  wait_interval:
    default: 1
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._http
  - gonka.devshard._swap
  - gonka.devshard._wait
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
  - docker on the managed host, with O(nginx_container)
seealso:
  - module: gonka.devshard.gateway_drain
"""

EXAMPLES = r"""
- name: Put slot temp in service
  gonka.devshard.edge_slot:
    slot: temp

- name: Put slot temp in service at an nginx in a container that others manage
  gonka.devshard.edge_slot:
    slot: temp
    via: reload
    alias_path: /etc/nginx/aliases/devshard.conf
    nginx_container: nginx
    public_url: https://gateway.example.org
"""

RETURN = r"""
edge:
  description: The state of the edge.
  returned: success
  type: dict
  contains:
    slot:
      description: The slot in service.
      type: str
      sample: temp
    previous:
      description: The slot that was in service before.
      type: str
      sample: main
    proved:
      description:
        - Number of answers in a row that came from the slot. V(0) in check mode, in which nothing is requested after
          the change.
      type: int
      sample: 5
    workers:
      description:
        - With O(via=reload), the workers from before the reload that still serve requests. When nothing had to be
          changed, the workers that are shutting down.
      type: list
      elements: str
      sample: []
failure:
  description: Why the module failed. RV(failure.rolled_back) is true when something had been changed and was restored.
  returned: failure
  type: dict
  contains:
    kind:
      description: What kind of failure, for example V(unknown).
      type: str
      sample: unknown
    rolled_back:
      description: Whether something had been changed and was restored.
      type: bool
      sample: true
"""

import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._clients.notebook import notebook_of
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    DevshardError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import base_url
from ansible_collections.gonka.devshard.plugins.module_utils._edge.nginx import (
    Nginx,
    host_path,
    is_edge_busy,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.reload import (
    leaving,
    reload_and_prove,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.selectors import (
    AliasInclude,
    FlagFile,
    Selector,
    Slot,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.switch import (
    RouteAnswer,
    Switch,
    refuse_unconfigured,
    refuse_unsafe_reload,
)
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes

SPEC = _argspec.ArgumentSpec(
    options={
        "slot": {"type": "str", "choices": ["main", "temp"]},
        "via": {"type": "str", "default": "flag", "choices": ["flag", "reload"]},
        "flag_path": {"type": "path", "default": "/etc/nginx/devshard/temp-in-service"},
        "alias_path": {"type": "path"},
        "alias_name": {"type": "str", "default": "devshard"},
        "drain_budget": {"type": "int", "default": 1800},
        "main_url": {"type": "str", "default": "http://127.0.0.1:18080"},
        "temp_url": {"type": "str", "default": "http://127.0.0.1:18081"},
        "public_url": {"type": "str", "default": "http://127.0.0.1"},
        "probe_path": {"type": "str", "default": "/v1/models"},
        "chat_path": {"type": "str", "default": "/v1/chat/completions"},
        "edge_busy_url": {"type": "str"},
        "slot_header": {"type": "str", "default": "X-Devshard-Slot"},
        "confirmations": {"type": "int", "default": 5},
        "nginx_path": {"type": "path", "default": "/usr/sbin/nginx"},
        "nginx_container": {"type": "str"},
    },
    required_if=(("via", "reload", ("alias_path",)),),
).merge(
    _argspec.http(),
    _argspec.swap(),
    _argspec.wait(30, 1),
)


def find_nginx(context: Context) -> tuple[Nginx, t.Callable[[str], Path]]:
    """nginx, and how a path that it sees is reached from here."""
    program = context.params["nginx_path"]
    name = context.params["nginx_container"]
    if name is None:
        return Nginx(context.run, program=program, pid=None), Path
    context.need_docker()
    container = docker.inspect(name)
    if container is None or not container.pid:
        raise ConfigurationError(f"the container {name} (hot_swap_nginx_container) does not run")
    nginx = Nginx(lambda argv: docker.execute(name, argv), program=program, pid=container.pid)
    return nginx, lambda path: host_path(container, path)


def ask(context: Context, url: str) -> RouteAnswer:
    """One answer, over a new connection."""
    response = context.new_transport().send(Request(method="GET", url=url, retry=False))
    return RouteAnswer(
        status=response.status,
        slot=response.headers.get(context.params["slot_header"]),
        closes=response.headers.get("Connection", "").lower() == "close",
    )


def alive(context: Context, url: str) -> bool:
    """Whether a gateway answers there; one that redirects is alive."""
    try:
        response = context.transport.send(Request(method="GET", url=f"{url}/v1/status"))
    except DevshardError:
        return False
    return response.status in (200, 308)


def result(slot: Slot, previous: Slot, *, proved: int, workers: list[str]) -> Outcome:
    return Outcome(
        changed=slot != previous,
        values={"edge": {"slot": slot, "previous": previous, "proved": proved, "workers": workers}},
        before={"slot": previous},
        after={"slot": slot},
    )


def work(context: Context) -> Outcome:
    params = context.params
    if params["confirmations"] < 1:
        raise ConfigurationError("hot_swap_confirmations (confirmations) must be 1 or more")
    context.deadline()
    public = base_url(params["public_url"], "devshard_client_base_url (public_url)")
    slots: dict[Slot, str] = {
        "main": base_url(params["main_url"], "devshard_gateway_url (main_url)"),
        "temp": base_url(params["temp_url"], "devshard_temp_url (temp_url)"),
    }
    nginx, reach = find_nginx(context)
    workers: list[str] = []
    selector: Selector
    if params["via"] == "flag":
        selector = FlagFile(reach(params["flag_path"]))
    else:
        servers: dict[Slot, str] = {slot: urlsplit(url).netloc for slot, url in slots.items()}
        selector = AliasInclude(reach(params["alias_path"]), params["alias_name"], servers)
    written = selector.read()
    if params["slot"] is None:
        return result(written, written, proved=0, workers=workers)
    if (notebook := notebook_of(context)) is not None:
        notebook.begin()
    if (busy := params["edge_busy_url"]) is not None:
        is_edge_busy(context.new_transport(), base_url(busy, "edge_http_port (edge_busy_url)"))
    if params["via"] == "flag":
        refuse_unconfigured(nginx.dump(), params["flag_path"])
    else:
        chat = ask(context, public + params["chat_path"])
        refuse_unsafe_reload(nginx.dump(), chat, params["drain_budget"])

    def force() -> None:
        workers[:] = reload_and_prove(
            nginx, deadline=WaitBudget(params["wait_timeout"]), interval=params["wait_interval"]
        )

    change = Switch(
        selector=selector,
        route=lambda: ask(context, public + params["probe_path"]),
        alive=lambda slot: alive(context, slots[slot]),
        confirmations=params["confirmations"],
        timeout=params["wait_timeout"],
        interval=params["wait_interval"],
        force=force if params["via"] == "reload" else None,
    ).put(params["slot"], check_mode=context.check_mode)
    if params["via"] == "reload" and not change.changed:
        # the run that switched may have been cut off before it could tell
        workers = leaving(nginx)
    if (notebook := notebook_of(context)) is not None:
        notebook.result(SwapNotes(workers=tuple(workers)))
    return result(change.slot, change.previous, proved=change.proved, workers=workers)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

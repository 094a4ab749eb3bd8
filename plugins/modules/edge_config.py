#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: edge_config
short_description: Put one nginx configuration file into effect, and prove it
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Writes the file, tests the configuration, reloads nginx and proves that its workers run it. If any of this fails,
    the previous file is restored.
  - nginx is reloaded when the file differs, when its answer does not match the file, and when the file or one of
    O(watch) was changed after its workers were started. So a file that was changed by hand is corrected in the running
    nginx too.
  - C(nginx -s reload) returns 0 even when nginx keeps its previous configuration. A reload is proved by new workers and
    by several answers in a row.
  - Needs only the Python standard library.
options:
  path:
    description:
      - The file.
    type: path
    required: true
  content:
    description:
      - Content of the file. C(@GENERATION@) in it becomes a checksum of the content. If omitted, the file is removed.
    type: str
  probe_url:
    description:
      - A URL of this nginx, on the loopback of the host, that is requested for the proof. The certificate is not
        checked and no redirect is followed.
    type: str
    required: true
  probe_name:
    description:
      - Server name of the request, if nginx serves several.
    type: str
  expect:
    description:
      - Kind of answer that proves the file. Without O(content), any other answer proves that the file is gone.
    type: str
    default: generation
    choices:
      generation: JSON with the key C(generation), the checksum of O(content).
      location: A redirect to O(location). Without O(content), a redirect to any location.
      status: The status O(status).
  location:
    description:
      - The exact C(Location) with O(expect=location). Then it is required together with O(content).
    type: str
  status:
    description:
      - The status with O(expect=status).
    type: int
    default: 410
  watch:
    description:
      - Additional files, and directories whose files C(*.conf) nginx includes. A change after the workers of nginx were
        started makes a reload necessary.
    type: list
    elements: path
    default: []
  default_site:
    description:
      - The distribution's link to its example site. A file or link of your own in its place is never removed. It is
        refused when it claims the same port as default server as O(content).
    type: path
  remove_default_site:
    description:
      - Remove O(default_site) when it is the distribution's own link to its unchanged example.
    type: bool
    default: false
  keep_backup:
    description:
      - Keep the previous file beside the new one, with the time and C(~) at the end of its name.
    type: bool
    default: false
  allow_shutdown_timeout:
    description:
      - Reload even if nginx has C(worker_shutdown_timeout) set, which cuts the streams that are in flight.
    type: bool
    default: false
  error_log:
    description:
      - The error log of nginx. When a reload did not take effect, the module reads the reason there.
    type: path
    default: /var/log/nginx/error.log
  confirmations:
    description:
      - Number of answers in a row, each over a connection of its own, that must prove the file.
    type: int
    default: 5
  nginx_path:
    description:
      - The program nginx.
    type: path
    default: /usr/sbin/nginx
  wait_timeout:
    default: 30
  wait_interval:
    default: 1
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._wait
attributes:
  check_mode:
    support: full
    details:
      - nginx can test the whole configuration only when the file is in place, so not in check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.edge_slot
"""

EXAMPLES = r"""
- name: Apply the configuration of the edge
  gonka.devshard.edge_config:
    path: /etc/nginx/conf.d/gonka-devshard.conf
    content: "{{ lookup('ansible.builtin.template', 'gonka-devshard.conf.j2') }}"
    probe_url: http://127.0.0.1/-/edge
    watch: [/etc/nginx/devshard/server.d]
"""

RETURN = r"""
edge_config:
  description: What was done.
  returned: success
  type: dict
  contains:
    reasons:
      description: Why nginx was reloaded, or would be in check mode. Empty when nothing differs.
      type: list
      elements: str
      sample: [the file differs]
    default_site:
      description: Whether O(default_site) is V(absent), the distribution's (V(packaged)) or your own (V(owners)).
      type: str
      sample: absent
    backup_file:
      description: Path of the previous file, if it was kept.
      type: str
      sample: /etc/nginx/conf.d/gonka-devshard.conf.2026-11-29T04-00-00Z~
    workers:
      description: The workers from before the reload that still serve requests.
      type: list
      elements: str
      sample: []
"""

import json
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._edge.config import (
    Applying,
    judge_default_site,
    plan,
    stamped,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.nginx import (
    LoopbackAnswer,
    Nginx,
    ask_loopback,
    packaged_md5,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "probe_url": {"type": "str", "required": True},
        "probe_name": {"type": "str"},
        "expect": {
            "type": "str",
            "default": "generation",
            "choices": ["generation", "location", "status"],
        },
        "location": {"type": "str"},
        "status": {"type": "int", "default": 410},
        "watch": {"type": "list", "elements": "path", "default": []},
        "default_site": {"type": "path"},
        "remove_default_site": {"type": "bool", "default": False},
        "keep_backup": {"type": "bool", "default": False},
        "allow_shutdown_timeout": {"type": "bool", "default": False},
        "error_log": {"type": "path", "default": "/var/log/nginx/error.log"},
        "confirmations": {"type": "int", "default": 5},
        "nginx_path": {"type": "path", "default": "/usr/sbin/nginx"},
    },
    required_if=(("expect", "generation", ("content",)),),
).merge(_argspec.wait(30, 1))

PROBE_TIMEOUT: t.Final = 5


def proof(params: dict[str, t.Any], generation: str) -> t.Callable[[LoopbackAnswer], bool]:
    """What an answer must be like that proves the file."""

    def told_generation(answer: LoopbackAnswer) -> bool:
        try:
            body = json.loads(answer.body)
        except ValueError:
            return False
        return isinstance(body, dict) and body.get("generation") == generation

    if params["expect"] == "generation":
        return told_generation
    if params["expect"] == "location":
        wanted = params["location"] if params["content"] is not None else None
        return lambda answer: answer.headers.get("Location") == wanted
    present = params["content"] is not None
    return lambda answer: (answer.status == params["status"]) is present


def work(context: Context) -> Outcome:
    params = context.params
    context.positive("confirmations")
    if params["expect"] == "location" and params["content"] and not params["location"]:
        raise ConfigurationError("location is needed with expect=location and content")
    wanted, generation = None, ""
    if params["content"] is not None:
        wanted, generation = stamped(params["content"])
    site = None if params["default_site"] is None else Path(params["default_site"])
    example = Path("/etc/nginx/sites-available/default")
    applying = Applying(
        nginx=Nginx(context.run, program=params["nginx_path"], pid=None),
        path=Path(params["path"]),
        ask=lambda: ask_loopback(params["probe_url"], params["probe_name"], PROBE_TIMEOUT),
        is_live=proof(params, generation),
        watched=[Path(item) for item in params["watch"]],
        error_log=Path(params["error_log"]),
        allow_shutdown_timeout=params["allow_shutdown_timeout"],
        keep_backup=params["keep_backup"],
        confirmations=params["confirmations"],
        deadline=context.deadline(),
        interval=params["wait_interval"],
        default_site=site,
        example_site=example,
        packaged_md5=packaged_md5(context.run, "nginx-common", str(example)) if site else None,
        remove_default=params["remove_default_site"],
    )
    applying.refuse(wanted)
    seen = applying.look()
    planned = plan(seen, wanted)
    values: dict[str, t.Any] = {
        "reasons": list(planned.reasons),
        "default_site": (
            judge_default_site(site, example, applying.packaged_md5).value if site else "absent"
        ),
        "backup_file": None,
        "workers": [],
    }
    if planned.reload and context.check_mode and not planned.write:
        applying.refuse_reload()
    if planned.reload and not context.check_mode:
        change = applying.apply(wanted, planned)
        values |= {"backup_file": change.backup_file, "workers": list(change.workers)}
    return Outcome(
        changed=planned.reload,
        values={"edge_config": values},
        before=seen.text or "",
        after=wanted or "",
    )


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

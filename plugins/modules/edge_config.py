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

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.edge_config import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

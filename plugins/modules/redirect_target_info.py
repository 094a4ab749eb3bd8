#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redirect_target_info
short_description: Check the target of a redirect for the clients of a gateway
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Refuses a base URL that is not usable, and one that leads back to the edge or the gateway of this host, because
    clients would be sent in circles.
  - A name that this host cannot resolve is a warning, because clients may be able to resolve it.
  - Needs only the Python standard library.
options:
  url:
    description:
      - The target for clients, without a path.
    type: str
    required: true
  own_urls:
    description:
      - The URL of the edge as clients know it, and the URLs of the gateways of this host.
    type: list
    elements: str
    default: []
  names:
    description:
      - The server names of the edge.
    type: list
    elements: str
    default: []
  ports:
    description:
      - The ports on which the edge and the gateways of this host listen.
    type: list
    elements: int
    default: []
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
seealso:
  - module: gonka.devshard.edge_config
"""

EXAMPLES = r"""
- name: Check the target of the redirect
  gonka.devshard.redirect_target_info:
    url: https://other-gateway.example.org
    own_urls: [https://gateway.example.org, "http://127.0.0.1:18080"]
    names: [gateway.example.org]
    ports: [80, 443, 18080]
"""

RETURN = r"""
redirect_target:
  description: The target.
  returned: success
  type: dict
  contains:
    host:
      description: Its name or address.
      type: str
      sample: other-gateway.example.org
    port:
      description: Its port.
      type: int
      sample: 443
    resolved:
      description: Whether this host can resolve the name.
      type: bool
      sample: true
"""

import errno
import socket
from dataclasses import dataclass, replace

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._edge.redirect import (
    Target,
    refuse_own_address,
    target_of,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "url": {"type": "str", "required": True},
        "own_urls": {"type": "list", "elements": "str", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
        "ports": {"type": "list", "elements": "int", "default": []},
    }
)


def is_ours(family: int, address: str) -> bool:
    """Whether an address is one of this host: only such a one can be bound."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as exc:
            if exc.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
                return False
            raise
    return True


def resolved(target: Target) -> Target:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return replace(target, resolved=False)
    addresses = {(family, str(address[0])) for family, _type, _proto, _name, address in found}
    local = sorted(address for family, address in addresses if is_ours(family, address))
    return replace(target, local=tuple(local))


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    url: str
    own_urls: tuple[str, ...]
    names: tuple[str, ...]
    ports: tuple[int, ...]


def work(context: Context) -> Outcome:
    options = context.read(Options)
    target = resolved(target_of(options.url))
    refuse_own_address(target, own_urls=options.own_urls, names=options.names, ports=options.ports)
    if not target.resolved:
        context.warn(
            f"this host cannot resolve {target.host}, where clients are sent. Check that clients can"
        )
    values = {"host": target.host, "port": target.port, "resolved": target.resolved}
    return Outcome(changed=False, values={"redirect_target": values})


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

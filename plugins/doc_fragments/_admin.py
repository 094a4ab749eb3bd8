# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  gateway_url:
    description:
      - URL of the gateway on the managed host. The gateway listens on its loopback.
    type: str
    default: http://127.0.0.1:18080
  env_file:
    description:
      - Environment file of the gateway on the managed host. The admin key and, where needed, other secrets are
        read from it.
    type: path
    default: /srv/gonka/devshard-gateway/config.devshard.env
  admin_api_key:
    description:
      - Key of the admin API. By default C(DEVSHARD_ADMIN_API_KEY) of O(env_file), so that no play needs to know it.
    type: str
notes:
  - The options of the gateway can be set once for all modules that have them, in C(module_defaults) with the
    action group C(group/gonka.devshard.admin).
"""

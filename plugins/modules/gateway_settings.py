#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gateway_settings
short_description: Set a gateway's access modes, limits and disabled state
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Changes settings of a running gateway through its admin API (guide §4.2, §7.2). Most variables of the environment
    file are read only at the very first start; later these settings are in effect.
  - Settings are read and compared first, and nothing is posted when nothing differs, because each post makes the
    gateway forget the chain's phase for some seconds and may delay new requests.
  - The gateway ignores settings that it does not know and drops values that it does not accept, both without an error.
    This module refuses unknown settings, and compares the gateway's settings afterwards with the requested ones.
options:
  settings:
    description:
      - Settings, by the names that the gateway's C(GET /v1/admin/settings) shows. Dicts are merged; other values are
        replaced.
      - Not for C(model_limits) and C(disabled), which have options of their own, nor for C(escrow_rotation),
        which has the module M(gonka.devshard.escrow_rotation).
    type: dict
    default: {}
  model_limits:
    description:
      - Access and limits of models. They are merged by O(model_limits[].model_id) with the existing ones, whereas the
        gateway's own API replaces the whole list and so closes every model that is not named.
      - A model that is new in the list gets the general limit for each limit that is not given, whereas the gateway
        would apply no limit.
    type: list
    elements: dict
    suboptions:
      model_id:
        description:
          - The model, exactly as the chain spells it.
        type: str
        required: true
      access_mode:
        description:
          - Who may use the model.
        type: str
        choices:
          open: Every client.
          api_key: Clients with one of the gateway's client keys.
          admin_only: Clients with the admin key.
      access_message:
        description:
          - Message for clients that may not use the model.
        type: str
      max_concurrent_requests:
        description:
          - Maximum number of concurrent requests, V(0) for no limit. Has no effect once the gateway knows the chain's
            weights.
        type: int
      max_input_tokens_in_flight:
        description:
          - Maximum number of input tokens of concurrent requests, V(0) for no limit.
        type: int
      default_request_max_tokens:
        description:
          - Number of output tokens of a request that does not set it.
        type: int
      request_max_tokens_cap:
        description:
          - Maximum number of output tokens of a request.
        type: int
  purge_model_limits:
    description:
      - Remove models that O(model_limits) does not name. Then only the admin key may use them.
    type: bool
    default: false
  disabled:
    description:
      - The disabled state. While it is on, everything but the admin API answers 308 with a message; running requests
        continue. The gateway sends no C(Location), so for clients use the playbook C(gonka.devshard.redirect).
    type: dict
    suboptions:
      enabled:
        description:
          - Whether the gateway is disabled.
        type: bool
        required: true
      text:
        description:
          - Message for clients. The gateway calls it C(message), a name that Ansible reserves.
        type: str
      new_url:
        description:
          - URL to which clients are sent.
        type: str
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._admin
  - gonka.devshard._generation
  - gonka.devshard._http
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: gonka.devshard.escrow_rotation
  - module: gonka.devshard.gateway_info
"""

EXAMPLES = r"""
- name: Open a model to the client keys
  gonka.devshard.gateway_settings:
    model_limits:
      - model_id: "{{ model }}"
        access_mode: api_key

- name: Change the caps
  gonka.devshard.gateway_settings:
    settings:
      default_request_max_tokens: 3072
      request_max_tokens_cap: 4096
"""

RETURN = r"""
settings:
  description: All settings of the gateway after this run. It holds names of environment variables, no secrets.
  returned: success
  type: dict
  sample:
    default_request_max_tokens: 3072
    request_max_tokens_cap: 4096
actions:
  description: The settings that were changed, or would be.
  returned: success
  type: list
  elements: str
  sample:
    - set model_limits
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_settings import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

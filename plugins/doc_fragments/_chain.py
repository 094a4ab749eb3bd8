# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  chain_rest:
    description:
      - Base URL of the chain's REST interface.
    type: str
    required: true
  chain_rpc:
    description:
      - URL of the chain's CometBFT RPC interface. It is passed to C(inferenced), which does not connect to it for its
        tasks here, and asked for the release of the chain where the REST interface does not name it.
    type: str
  public_api:
    description:
      - Base URL of the network's public API.
    type: str
    required: true
  chain_id:
    description:
      - Id of the chain, such as V(gonka-mainnet). A node of another chain is refused. There is no default, so
        that nothing happens on the main network by accident.
    type: str
    required: true
  max_block_age:
    description:
      - Maximum age of a node's newest block, in seconds. An older node is refused, because an event that it does not
        know yet must not be treated as not having happened.
    type: int
    default: 120
notes:
  - The options of the chain can be set once for all modules that have them, in C(module_defaults) with the
    action group C(group/gonka.devshard.chain).
"""

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the proxies of a host as the environment of tasks."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils import _proxy


def proxy_environment(given: dict[str, str]) -> dict[str, str]:
    """The variables of ``devshard_proxy_env`` with this host itself excluded."""
    if faults := _proxy.proxy_faults(given):
        raise AnsibleFilterError("; ".join(faults))
    return _proxy.proxy_environment(given)

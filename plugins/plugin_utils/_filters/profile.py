# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What roles need to know of a gateway generation."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles


def profile(name: object, *protocol: object) -> dict[str, t.Any]:
    """Return the profile of a generation as plain data, for one protocol where one is given.

    None as the protocol says that none is known, which from v3 on is refused.
    """
    if not isinstance(name, str):
        raise AnsibleFilterError("profile: the name of a generation is needed, such as v2")
    if len(protocol) > 1:
        raise AnsibleFilterError("profile: one protocol is taken")
    try:
        if not protocol:
            return profiles.generation(name).to_result()
        (named,) = protocol
        return profiles.profile(name, None if named is None else str(named)).to_result()
    except ConfigurationError as exc:
        raise AnsibleFilterError(f"profile: {exc}") from exc

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what is wrong with the secrets of a gateway, without showing them."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core import keys as _keys


def key_faults(given: object) -> list[str]:
    """Returns a sentence for each variable that is not usable."""
    if not isinstance(given, Mapping) or set(given) - set(_keys.SETTINGS):
        raise AnsibleFilterError(
            f"key_faults: a dict is needed, with the keys {', '.join(_keys.SETTINGS)}"
        )
    return _keys.key_faults(given)


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"key_faults": key_faults}

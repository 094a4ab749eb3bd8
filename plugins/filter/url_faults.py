# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what is wrong with URLs, without showing a user or a password in them."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._core import urls


def url_faults(given: object) -> list[str]:
    """Returns a sentence for each variable that is not usable."""
    if not isinstance(given, Mapping):
        raise AnsibleFilterError("url_faults: a dict of names and URLs is needed")
    return urls.url_faults({str(name): value for name, value in given.items()})


class FilterModule:
    """See the side-car documentation."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"url_faults": url_faults}

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: a JMESPath expression on data."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible.module_utils.basic import missing_required_lib

try:
    import jmespath
except ImportError as exc:
    JMESPATH_ERROR: ImportError | None = exc
else:
    JMESPATH_ERROR = None


def _plain(value: object) -> object:
    """Ansible's tagged containers and strings as plain ones, by which JMESPath recognizes types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value


def query(data: object, expression: str) -> object:
    """Return what the JMESPath expression selects from the data."""
    if JMESPATH_ERROR is not None:
        raise AnsibleFilterError(missing_required_lib("jmespath")) from JMESPATH_ERROR
    try:
        return jmespath.search(str(expression), _plain(data))
    except jmespath.exceptions.JMESPathError as exc:
        raise AnsibleFilterError(f"query: '{expression}': {exc}") from exc

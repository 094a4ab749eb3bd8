# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: rows as an aligned table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(item) for item in value) or "-"
    return str(value)


def table(rows: object, columns: object) -> list[str]:
    """Return the lines of a table: a heading, a rule, and a line for each row."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise AnsibleFilterError(f"table: a list of rows is needed, not {type(rows).__name__}")
    if not isinstance(columns, Sequence) or isinstance(columns, str) or not columns:
        raise AnsibleFilterError("table: a list of column names is needed")
    names = [str(name) for name in columns]
    lines = [names]
    for row in rows:
        if not isinstance(row, Mapping):
            raise AnsibleFilterError(f"table: each row is a dict, not {type(row).__name__}")
        lines.append([_cell(row.get(name)) for name in names])
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    lines.insert(1, ["-" * width for width in widths])
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]

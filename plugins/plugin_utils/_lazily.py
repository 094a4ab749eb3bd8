# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Filters whose code is imported when they are used."""

from __future__ import annotations

import importlib
import typing as t

Filter = t.Callable[..., t.Any]

_CODE: t.Final = "ansible_collections.gonka.devshard.plugins.plugin_utils._filters"


def lazily(file: str, name: str) -> Filter:
    """The function ``name`` of ``file``.

    Ansible loads every filter of a collection to find one of them, and does so again for each task.
    """

    def code(*args: t.Any, **options: t.Any) -> t.Any:
        return getattr(importlib.import_module(f"{_CODE}.{file}"), name)(*args, **options)

    return code

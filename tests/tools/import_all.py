# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Imports every plugin of the collections in a folder, with nothing but their requirements.

    python tests/tools/import_all.py FOLDER REQUIREMENT...

Of what pip installed there are only ansible-core and the requirements, with what these need.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.metadata
import sys
import typing as t
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(requirements: t.Iterable[str]) -> set[str]:
    waiting, found = [Requirement(one) for one in requirements], set[str]()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            found.add(name)
            waiting += [Requirement(one) for one in importlib.metadata.requires(name) or []]
    return found


OWNERS = importlib.metadata.packages_distributions()


def owners(module: str) -> set[str]:
    return {canonicalize_name(one) for one in OWNERS.get(module.partition(".")[0], ())}


class Missing(importlib.abc.MetaPathFinder):
    """Finds nothing, and says so for what is installed without need."""

    def __init__(self, allowed: set[str]) -> None:
        self.allowed = allowed

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        found = owners(fullname)
        if found and not found & self.allowed:
            raise ModuleNotFoundError(f"{fullname} is not required", name=fullname)


def main(folder: Path, requirements: list[str]) -> str:
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, Missing(closure(["ansible-core", *requirements])))
    paths = sorted(folder.glob("ansible_collections/*/*/plugins/**/*.py"))
    for path in paths:
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        try:
            module = importlib.import_module(name)
        except ImportError as problem:
            return f"{path}: {problem}"
        if module.__file__ != str(path):
            return f"{name} is not in this folder, but {module.__file__}"
    used = {owner for name in list(sys.modules) for owner in owners(name)}
    unused = [one for one in requirements if canonicalize_name(Requirement(one).name) not in used]
    if unused or not paths:
        return f"of {len(paths)} files none imports what is required: {', '.join(unused)}"
    return ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]) or 0)

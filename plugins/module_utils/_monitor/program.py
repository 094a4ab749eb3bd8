# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""A program in one file, of the same code that the modules run: only what it imports, nothing twice."""

from __future__ import annotations

import ast
import importlib.util
import io
import typing as t
import zipfile
from pathlib import PurePosixPath

from .._core.errors import UnknownStateError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: t.Final = "ansible_collections.gonka.devshard.plugins.module_utils"
_OLDEST: t.Final = (1980, 1, 1, 0, 0, 0)
_MAIN: t.Final = """# SPDX-License-Identifier: GPL-3.0-or-later
import sys

from {start} import main

sys.exit(main())
"""


def source_of(name: str) -> tuple[str, bool] | None:
    """The text of a module and whether it is a package; None where it has no text of its own."""
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    # a folder without a file of its own has another loader, and that of a zip file has no common class
    read = getattr(None if found is None else found.loader, "get_source", None)
    if found is None or read is None:
        return None
    text: str | None = read(name)
    return None if text is None else (text, found.submodule_search_locations is not None)


def imports_in(text: str, package: str) -> Iterator[str]:
    """Every name below :data:`ROOT` that may be a module, also of imports in functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.startswith(f"{ROOT}."))


def needed(
    start: str, source: Callable[[str], tuple[str, bool] | None] = source_of
) -> dict[str, tuple[str, bool]]:
    """The modules that the start needs, itself among them, by name."""
    found: dict[str, tuple[str, bool]] = {}
    open_ones = [start]
    while open_ones:
        name = open_ones.pop()
        if name in found or (read := source(name)) is None:
            continue
        found[name] = read
        text, is_package = read
        package = name if is_package else name.rpartition(".")[0]
        for other in imports_in(text, package):
            # what lies in a package is imported with it
            open_ones += [other, other.rpartition(".")[0]]
    return found


def build(start: str) -> bytes:
    """A program that runs ``main`` of the start. The same bytes for the same code, wherever and
    whenever."""
    files: dict[str, str] = {"__main__.py": _MAIN.format(start=start)}
    found = needed(start)
    if start not in found:
        raise UnknownStateError(f"the text of {start} cannot be read, so no program was written")
    for name, (text, is_package) in found.items():
        place = PurePosixPath(*name.split("."))
        files[str(place / "__init__.py") if is_package else f"{place}.py"] = text
        for folder in place.parents:
            if folder.name:
                files.setdefault(str(folder / "__init__.py"), "")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for path, text in sorted(files.items()):
            target.writestr(zipfile.ZipInfo(path, _OLDEST), text)
    return out.getvalue()

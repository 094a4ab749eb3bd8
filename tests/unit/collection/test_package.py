# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What is published is whole: no shipped file imports one that stays behind."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    parse,
    read_yaml,
)

COLLECTION = "ansible_collections.gonka.devshard."
IGNORED: list[str] = read_yaml(ROOT / "galaxy.yml")["build_ignore"]


def ships(path: Path) -> bool:
    """As ``ansible-galaxy collection build`` decides: each folder above it, and the file."""
    parts = path.relative_to(ROOT).parts
    wholes = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return path.exists() and not any(
        fnmatch.fnmatch(whole, pattern) for whole in wholes for pattern in IGNORED
    )


def shipped(folder: Path = ROOT) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not ships(path):
            continue
        if path.is_dir():
            yield from shipped(path)
        elif path.suffix == ".py":
            yield path


def wanted(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Imported modules, with the names that may be modules too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, [alias.name for alias in node.names]


def resolves(module: str) -> bool:
    if not module.startswith(COLLECTION):
        return True
    base = ROOT.joinpath(*module.removeprefix(COLLECTION).split("."))
    return ships(base.with_suffix(".py")) or ships(base)


def test_every_import_of_the_package_resolves_inside_it() -> None:
    paths = list(shipped())
    missing = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in paths
        for module, names in wanted(parse(path))
        if not resolves(module) and not (names and all(resolves(f"{module}.{n}") for n in names))
    ]
    assert missing == []
    found = {str(path.relative_to(ROOT)) for path in paths}
    assert "plugins/modules/escrow.py" in found
    assert not any(name.startswith(("benchmarks/", "molecule/", "tests/")) for name in found)


# What a user of the collection needs. Whoever works on it has the repository, where the tests are.
WHOLE = {
    *("CHANGELOG.md", "CHANGELOG.rst", "CONTRIBUTING.md", "COPYING", "LICENSES", "README.md"),
    *("REUSE.toml", "SECURITY.md", "changelogs", "docs", "execution-environment.yml", "extensions"),
    *("galaxy.yml", "inventories"),
    *("meta", "playbooks", "plugins", "requirements.txt", "requirements.yml", "roles", "tests"),
}


def test_only_what_users_need_is_published() -> None:
    # galaxy.yml becomes MANIFEST.json; .git is a file in a second work tree
    assert {path.name for path in ROOT.iterdir() if ships(path)} == WHOLE
    # of the tests only the settings by which ansible-test judges an installed collection
    assert [path.name for path in (ROOT / "tests").iterdir() if ships(path)] == ["config.yml"]

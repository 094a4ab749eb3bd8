# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""All gates that look at the files without running the product. Stops at the first failure.

Without arguments every gate; with arguments only those whose name contains one of them. With
`--all` it goes on after a failure.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

import prometheus
import published
import tarball
from _gates import BUILD, NAME, NAMESPACE, ROOT, Failed, Step, link_tree, list_files, run_all

import docs

FULL_NAME = f"{NAMESPACE}.{NAME}"
SHEBANGS = (b"#!/usr/bin/python", b"#!/usr/bin/env bash", b"#!/bin/bash", b"#!/bin/sh")
PACKAGES = ("plugins", "extensions", "tests", "benchmarks", "docs", "molecule")


def python_paths() -> list[str]:
    return [name for name in PACKAGES if (ROOT / name).is_dir()]


def ruff_check(step: Step) -> None:
    step.call("ruff", "check", *python_paths())


def ruff_format(step: Step) -> None:
    step.call("ruff", "format", "--check", "--quiet", "--diff", *python_paths())


def mypy(step: Step) -> None:
    inside = Path(".tree", "ansible_collections", NAMESPACE, NAME)
    step.call(
        "mypy",
        *("--no-error-summary", "--cache-dir", ".cache/mypy"),
        *[str(inside / name) for name in python_paths() if name != "tests"],
        "tests/simnet/simnet",
        *[str(inside / name) for name in python_tests()],
    )


def python_tests() -> list[str]:
    """Test folders with their place in the collection; the simulator is a package of its own."""
    return sorted(
        f"tests/{folder.name}"
        for folder in (ROOT / "tests").iterdir()
        if folder.is_dir()
        and folder.name not in ("simnet", "hosts", "tools", "output")
        and any(name.startswith(f"tests/{folder.name}/") and name.endswith(".py") for name in FILES)
    )


def mypy_tools(step: Step) -> None:
    step.call(
        "mypy",
        *("--no-error-summary", "--cache-dir", ".cache/mypy-tools"),
        # the oldest that tests/tools/setup takes; what runs on hosts is older
        *("--python-version", "3.11"),
        *[
            name
            for name in FILES
            if name.startswith(("tests/tools/", "tests/hosts/")) and is_python(name)
        ],
        env={"MYPYPATH": "tests/tools:tests/hosts"},
    )


def yamllint(step: Step) -> None:
    step.call("yamllint", "--strict", ".")


def ansible_lint(step: Step) -> None:
    step.call("ansible-lint", "--offline", "--nocolor", "-q")


def shellcheck(step: Step) -> None:
    scripts = [name for name in FILES if is_shell(name)]
    if scripts:
        step.call("shellcheck", "--external-sources", *scripts)


def references(step: Step) -> None:
    """The guides, and every reference to a module, an option or a return value."""
    step.call(
        "antsibull-docs",
        # it means the pages of plugins only, and those are read by Sphinx, see docs.py
        *("lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "--check-extra-docs-refs"),
        *("--validate-collection-refs", "dependent", "--disallow-unknown-collection-refs", "."),
    )


def changelog(step: Step) -> None:
    step.call("antsibull-changelog", "lint")


def reuse(step: Step) -> None:
    """Every file says its licence, or REUSE.toml does for those that cannot."""
    step.call("reuse", "--root", ROOT, "lint-file", "--lines", *FILES)


def quick_sanity(step: Step) -> None:
    """In a second what ansible-test would say after minutes."""
    for name in FILES:
        line = first_line(name).rstrip()
        if line.startswith(b"#!") and line not in SHEBANGS:
            step.output.append(f"{name}:1: {line.decode()}: start it through bash or by python3\n")
        if not line.startswith(b"#!") and os.access(ROOT / name, os.X_OK):
            step.output.append(f"{name}:1: can be executed, but has no #! line\n")
        if not is_python(name):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            bound = (isinstance(node, ast.arg) and node.arg == "_") or (
                isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)
            )
            if bound:
                step.output.append(f"{name}:{getattr(node, 'lineno', 0)}: not _ but _unused\n")
    if step.output:
        raise Failed("ansible-test would refuse this")


def package(step: Step) -> None:
    """Builds the collection twice, installs what was built, and reads the documentation of that."""
    work = BUILD / "package"
    shutil.rmtree(work, ignore_errors=True)
    seconds = tarball.commit_time()
    built = tarball.build(step, ROOT, work, seconds)
    with tarfile.open(built) as archive:
        shipped = {m.name for m in archive if m.isfile()} - {tarball.MANIFEST, tarball.FILES}
    strays = sorted(shipped - set(FILES))
    if strays:
        raise Failed(f"files that git ignores are in the package, see build_ignore: {strays}")
    again = tarball.build(step, other_folder(work / "other"), work / "again", seconds)
    if tarball.checksum(again) != tarball.checksum(built):
        raise Failed("two builds of the same files in two folders differ")
    # without this ansible-galaxy finds the checkout, and has nothing to install
    alone = {"ANSIBLE_COLLECTIONS_PATH": str(work)}
    galaxy = ("ansible-galaxy", "collection")
    step.call(*galaxy, "install", "--offline", "--no-deps", "-p", work, built, env=alone)
    step.call(*galaxy, "verify", "--offline", FULL_NAME, env=alone)
    installed = work / "ansible_collections" / NAMESPACE / NAME
    documented(step, content(installed), alone)


def other_folder(target: Path) -> Path:
    """The files again, made in another order, at another time and with other permissions."""
    for name in reversed(FILES):
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
        copy.chmod(0o700 if os.access(ROOT / name, os.X_OK) else 0o600)
        os.utime(copy, (0, 0))
    return target


def documented(step: Step, wanted: dict[str, list[str]], alone: dict[str, str]) -> None:
    shown = step.call("ansible-doc", "--metadata-dump", "--no-fail-on-errors", FULL_NAME, env=alone)
    found = json.loads(shown[shown.index("{") :])["all"]
    for kind, names in wanted.items():
        known = {name for name, doc in found[kind].items() if doc and "error" not in doc}
        missing = sorted({f"{FULL_NAME}.{name}" for name in names} - known)
        if missing or not names:
            raise Failed(f"ansible-doc cannot read the package's {kind}: {missing or 'none there'}")


def content(installed: Path) -> dict[str, list[str]]:
    plugins = installed / "plugins"
    return {
        "module": sorted(p.stem for p in (plugins / "modules").glob("*.py")),
        "filter": sorted(p.stem for p in (plugins / "filter").glob("*.yml")),
        "inventory": sorted(p.stem for p in (plugins / "inventory").glob("*.py")),
        "lookup": sorted(p.stem for p in (plugins / "lookup").glob("*.py")),
        "test": sorted(p.stem for p in (plugins / "test").glob("*.yml")),
        "role": sorted(
            p.parent.parent.name for p in installed.glob("roles/*/meta/argument_specs.yml")
        ),
    }


def first_line(name: str) -> bytes:
    with (ROOT / name).open("rb") as stream:
        return stream.readline(200)


def is_python(name: str) -> bool:
    return name.endswith(".py")


def is_shell(name: str) -> bool:
    line = first_line(name)
    return name.endswith(".sh") or (line.startswith(b"#!") and line.split()[-1].endswith(b"sh"))


FILES = list_files()
# what fails within seconds comes first, and of the others the slow ones
GATES = {
    "yamllint": yamllint,
    "ruff check": ruff_check,
    "ruff format": ruff_format,
    "reuse": reuse,
    "shellcheck": shellcheck,
    "changelog": changelog,
    "ansible-lint": ansible_lint,
    "mypy": mypy,
    "package": package,
    "importer": published.importer,
    "navigator": published.navigator,
    "documentation site": docs.build,
    "documentation references": references,
    "quick sanity": quick_sanity,
    "monitoring": prometheus.check,
    "execution environment": published.execution_environment,
    "mypy tools": mypy_tools,
}


def main(words: list[str]) -> int:
    keep_going = "--all" in words
    words = [word for word in words if word != "--all"]
    link_tree()
    steps = [
        Step(name, work)
        for name, work in GATES.items()
        if not words or any(word in name for word in words)
    ]
    return run_all("lint", steps, keep_going=keep_going)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

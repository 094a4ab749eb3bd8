# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The collection's metadata agree with each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
)

GALAXY = read_yaml(ROOT / "galaxy.yml")
RUNTIME = read_yaml(ROOT / "meta/runtime.yml")
HEADER = """\
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text().splitlines()
    return [line for line in text if line and not line.startswith("#")]


def test_ansible_has_a_lower_bound_only() -> None:
    assert re.fullmatch(r">=\d+\.\d+\.0", RUNTIME["requires_ansible"])


def test_python_requirement_names_the_same_ansible() -> None:
    lowest = RUNTIME["requires_ansible"].removesuffix(".0")
    assert f"ansible-core{lowest}" in lines("requirements.txt")


def test_versions_agree() -> None:
    version = GALAXY["version"]
    releases = read_yaml(ROOT / "changelogs/changelog.yaml")["releases"]
    newest = max(releases, key=lambda release: [int(part) for part in release.split(".")])
    assert newest == version
    for name, heading in (("CHANGELOG.md", f"## v{version}"), ("CHANGELOG.rst", f"v{version}")):
        assert heading in (ROOT / name).read_text().replace("\\", "").splitlines()
    assert f"Version {version}" in (ROOT / "README.md").read_text()


def test_required_collections_agree() -> None:
    listed = read_yaml(ROOT / "requirements.yml")["collections"]
    assert {item["name"]: item["version"] for item in listed} == GALAXY["dependencies"]


def test_execution_environment_has_what_the_controller_needs() -> None:
    wanted = {line for line in lines("requirements.txt") if not line.startswith("ansible-core")}
    described = read_yaml(ROOT / "meta/execution-environment.yml")["dependencies"]
    assert set(lines(described["python"])) == wanted
    assert (ROOT / described["system"]).is_file()


def test_files_of_execution_environment_are_shipped() -> None:
    described = read_yaml(ROOT / "meta/execution-environment.yml")["dependencies"]
    assert not {"meta", *described.values()} & set(GALAXY["build_ignore"])


def python_files() -> list[Path]:
    places = ("plugins", "extensions", "tests", "benchmarks", "docs", "molecule")
    found = [path for place in places for path in (ROOT / place).rglob("*.py")]
    return sorted(path for path in found if "output" not in path.parts)


def test_python_files_begin_alike() -> None:
    """The licence and the holder, in this order; modules start with what Ansible wants."""
    others = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if (text := path.read_text().removeprefix("#!/usr/bin/python\n"))
        and not text.startswith(HEADER)
    ]
    assert others == []


def test_there_are_no_sanity_ignore_files() -> None:
    assert sorted((ROOT / "tests/sanity").glob("ignore-*")) == []


def test_lint_skips_nothing() -> None:
    config = read_yaml(ROOT / ".ansible-lint")
    assert (config["profile"], config["strict"]) == ("production", True)
    assert (config["skip_list"], config["warn_list"]) == ([], [])
    assert "role-argument-spec" in config["enable_list"]


# Words that switch a rule off for a line or a file, each of another tool.
SWITCHES = r"#\s*(noqa|pragma:|nosec|ruff:|flake8:|pylint:|mypy:|yamllint disable)"


def texts(*places: str) -> Iterator[tuple[str, str]]:
    for path in sorted(path for place in places for path in (ROOT / place).rglob("*")):
        if path.suffix in (".py", ".yml", ".j2") and not {"output", ".git"} & set(path.parts):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_no_line_switches_a_rule_off() -> None:
    places = ("plugins", "roles", "playbooks", "inventories", "tests", "molecule", "benchmarks")
    found = [
        f"{name}: {match[0]}"
        for name, text in texts(*places, "docs", "meta")
        for match in re.finditer(SWITCHES, text)
    ]
    assert found == []


def test_the_product_has_no_type_that_is_not_checked() -> None:
    assert [name for name, text in texts("plugins") if "type: ignore" in text] == []


def test_documents_name_the_tarball_of_this_version() -> None:
    tarball = f"gonka-devshard-{GALAXY['version']}.tar.gz"
    rst = ROOT / "docs/docsite/rst"
    guides = (rst / "getting_started.rst", rst / "execution_environments.rst")
    for path in (ROOT / "README.md", ROOT / "execution-environment.yml", *guides):
        named = set(re.findall(r"gonka-devshard-[\d.]+\.tar\.gz", path.read_text()))
        assert named == {tarball}, path.name

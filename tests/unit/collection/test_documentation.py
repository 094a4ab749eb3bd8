# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Documentation says what is there: attributes, examples, side-cars, the README's tables."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.module_utils._monitor.metrics import FAMILIES
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    EVENT_SOURCES,
    FILTERS,
    FULL_NAME,
    INVENTORIES,
    LOOKUPS,
    MODULES,
    PLAYBOOKS,
    ROLES,
    ROOT,
    RULEBOOKS,
    TESTS,
    Data,
    doc_constants,
    module_docs,
    read_yaml,
    rendered,
    role_settings,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_monitoring import unknowns

README = (ROOT / "README.md").read_text()
TASK_WORDS = {
    *("name", "register", "when", "loop", "loop_control", "until", "retries", "delay", "vars"),
    *("no_log", "become", "delegate_to", "run_once", "tags", "changed_when", "failed_when"),
    *("module_defaults", "environment", "check_mode", "diff", "notify", "async", "poll"),
}
BLOCK_WORDS = ("block", "rescue", "always")


def sections(text: str) -> dict[str, str]:
    """The parts of the README by their heading."""
    parts = re.split(r"^#+ +(.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_column(heading: str) -> list[str]:
    """The names in the first column of the table below a heading."""
    rows = re.findall(r"^\| *`([^`]+)`", sections(README)[heading], flags=re.MULTILINE)
    return [row.removeprefix(f"{FULL_NAME}.") for row in rows]


# parts of one role, which no playbook of a user names
INTERNAL = [name for name in MODULES if name.startswith("swap_")]


@pytest.mark.parametrize(
    ("heading", "present"),
    [
        ("Playbooks", PLAYBOOKS),
        ("Modules", [name for name in MODULES if name not in INTERNAL]),
        ("Internal modules", INTERNAL),
        ("Roles", ROLES),
        ("Filters", FILTERS),
        ("Inventory plugins", INVENTORIES),
        ("Lookups", LOOKUPS),
        ("Test plugins", TESTS),
        ("Event sources and rulebooks", sorted([*EVENT_SOURCES, *RULEBOOKS])),
    ],
)
def test_readme_lists_what_is_there(heading: str, present: list[str]) -> None:
    listed = first_column(heading)
    assert len(listed) == len(set(listed))
    assert sorted(listed) == present


def test_readme_says_with_which_cores_it_is_tested() -> None:
    gate = (ROOT / "tests/tools/sanity.py").read_text()
    tested = re.findall(r'^    Core\("([\d.]+)"', gate, flags=re.MULTILINE)
    assert tested
    said = re.findall(r"^\| ansible-core ([\d.]+)", README, flags=re.MULTILINE)
    assert said == tested


def test_badges_are_true() -> None:
    """Each is a fixed picture, so that it holds nothing that is measured elsewhere."""
    badges = re.findall(
        r"^\[!\[(.+?)\]\(https://img\.shields\.io/badge/(\S+)\)\]\((\S+)\)$", README, re.MULTILINE
    )
    said = {}
    for text, picture, _target in badges:
        title, value, colour = re.split(r"(?<!-)-(?!-)", unquote(picture).replace("--", "\0"))
        assert colour == "blue"
        said[title.replace("\0", "-")] = value.replace("\0", "-")
        assert text.endswith(said[title.replace("\0", "-")].replace(" | ", ", "))
    assert said == {
        "version": read_yaml(ROOT / "galaxy.yml")["version"],
        "ansible-core": " | ".join(re.findall(r"^\| ansible-core (\S+)", README, re.MULTILINE)),
        "python": " | ".join(re.findall(r"^\| ansible-core \S+ \| (\S+)", README, re.MULTILINE)),
        "scenarios": "Debian 13",
        "licence": read_yaml(ROOT / "galaxy.yml")["license"][0],
    }
    assert "scenarios on real systemd hosts with Debian 13" in " ".join(README.split())
    for _text, _picture, target in badges:
        anchors = {one.lower().replace(" ", "-") for one in sections(README)}
        assert (ROOT / target).is_file() or target.removeprefix("#") in anchors
    assert README.count("![") == len(badges)


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_supports(name: str) -> None:
    attributes = module_docs(name)["attributes"]
    assert {"check_mode", "diff_mode", "idempotent"} <= set(attributes)
    assert attributes["check_mode"]["support"] == "full"
    for key, value in attributes.items():
        assert value["support"] in ("full", "partial", "none", "N/A"), key
        assert value["support"] != "partial" or value.get("details"), key


@pytest.mark.parametrize("name", MODULES)
def test_readers_write_nothing(name: str) -> None:
    if name.endswith("_info"):
        assert module_docs(name)["attributes"]["idempotent"]["support"] == "full"
        assert module_docs(name)["attributes"]["diff_mode"]["support"] == "N/A"


def tasks_of(items: t.Iterable[Data]) -> t.Iterator[Data]:
    for item in items:
        nested = [key for key in (*BLOCK_WORDS, "tasks") if key in item]
        for key in nested:
            yield from tasks_of(item[key])
        if not nested:
            yield item


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_complete_tasks(name: str) -> None:
    tasks = list(tasks_of(yaml.safe_load(doc_constants(name)["EXAMPLES"])))
    used = set()
    options = module_docs(name)["options"]
    for task in tasks:
        assert task["name"][0].isupper()
        actions = [key for key in task if key not in TASK_WORDS]
        assert len(actions) == 1, task["name"]
        action = actions[0]
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+\.[a-z_]+", action), action
        used.add(action)
        if action == f"{FULL_NAME}.{name}":
            assert set(task[action] or {}) <= set(options), task["name"]
    assert f"{FULL_NAME}.{name}" in used


@pytest.mark.parametrize("name", MODULES)
def test_what_is_returned_has_a_sample(name: str) -> None:
    returned: Data = yaml.safe_load(doc_constants(name)["RETURN"])

    def without_sample(values: Data) -> list[str]:
        return [
            key
            for key, value in values.items()
            if "sample" not in value
            and (not value.get("contains") or without_sample(value["contains"]))
        ]

    assert without_sample(returned) == []


BESIDE = [("filter", name) for name in FILTERS] + [("test", name) for name in TESTS]


@pytest.mark.parametrize(("kind", "name"), BESIDE)
def test_a_plugin_has_documentation_beside_it(kind: str, name: str) -> None:
    data = read_yaml(ROOT / "plugins" / kind / f"{name}.yml")
    assert set(data) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    assert data["DOCUMENTATION"]["name"] == name
    assert f"{FULL_NAME}.{name}" in data["EXAMPLES"]
    assert rendered(kind, name)["short_description"]


@pytest.mark.parametrize(("kind", "name"), BESIDE)
def test_examples_of_a_plugin_are_tasks(kind: str, name: str) -> None:
    examples = read_yaml(ROOT / "plugins" / kind / f"{name}.yml")["EXAMPLES"]
    assert all(task["name"] for task in yaml.safe_load(examples))


@pytest.mark.parametrize("name", ROLES)
def test_role_readme_begins_with_its_name(name: str) -> None:
    assert (ROOT / "roles" / name / "README.md").read_text().startswith(f"# Role `{name}`")


PROSE = {
    str(path.relative_to(ROOT)): path.read_text()
    for pattern in ("*.md", "docs/docsite/rst/*.rst", "roles/*/README.md", "molecule/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
}


def playbook_text() -> str:
    return "".join((ROOT / "playbooks" / f"{name}.yml").read_text() for name in PLAYBOOKS)


@pytest.mark.parametrize("name", PROSE)
def test_prose_names_content_that_is_there(name: str) -> None:
    content = {*PLAYBOOKS, *MODULES, *ROLES, *FILTERS, *INVENTORIES, *LOOKUPS}
    content |= {*TESTS, *EVENT_SOURCES, *RULEBOOKS, "admin", "chain", "NAME"}
    named = set(re.findall(rf"\b{re.escape(FULL_NAME)}\.([A-Za-z]\w*)", PROSE[name]))
    assert named - content - {"docsite"} == set()


@pytest.mark.parametrize("name", PROSE)
def test_prose_names_targets_that_are_there(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|[`$] *)make ([a-z-]+)", PROSE[name], re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("name", PROSE)
def test_prose_names_settings_that_are_there(name: str) -> None:
    known = {*role_settings()}
    given = set(re.findall(r"-e '?\{?\"?([a-z]\w+)(?:=|\":)", PROSE[name]))
    assert {one for one in given - known if one not in playbook_text()} == set()
    roles = "|".join(sorted(ROLES, key=len, reverse=True))
    quoted = set(re.findall(rf"`((?:{roles})_\w+)(?:[=:][^`]*)?`", PROSE[name]))
    metrics = {name for family in FAMILIES for name in (family.name, *family.labels)}
    others = {*MODULES, *ROLES, *FILTERS, *EVENT_SOURCES, *playbook_words(), *metrics, *unknowns()}
    assert quoted - known - others == set()


def playbook_words() -> set[str]:
    """Words of the playbooks and of the roles' tasks, such as tags and results."""
    tasks = [path.read_text() for path in (ROOT / "roles").rglob("tasks/*.yml")]
    return set(re.findall(r"\w+", playbook_text() + "".join(tasks)))


@pytest.mark.parametrize("name", INTERNAL)
def test_an_internal_module_says_so(name: str) -> None:
    text = " ".join(module_docs(name)["description"])
    assert "Internal to the role P(gonka.devshard.hot_swap#role)" in text

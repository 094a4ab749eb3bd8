# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The YAML of the documentation can be pasted: inventories are accepted, variables and options exist."""

from __future__ import annotations

import json
import re
import textwrap
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    known_variables,
    unknown_variables,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    MODULES,
    ROLES,
    ROOT,
    Data,
    module_docs,
    role_settings,
    run_ansible,
)

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/docsite/rst/*.rst", "roles/*/README.md")
    for path in ROOT.glob(pattern)
)
FENCED = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^\.\. code-block:: yaml\n\n((?: {3,}.*\n|\n)+)", re.MULTILINE)
KNOWN = known_variables(ROOT / "roles")
# what the inventories take from the vault of their owner
VAULT = "4a" * 32


@dataclass(frozen=True)
class Block:
    page: str
    number: int
    text: str

    def data(self) -> t.Any:
        return yaml.safe_load(self.text)


def blocks() -> t.Iterator[Block]:
    for path in PAGES:
        text = path.read_text()
        found = [*FENCED.findall(text), *map(textwrap.dedent, DIRECTIVE.findall(text))]
        for number, one in enumerate(found, 1):
            yield Block(str(path.relative_to(ROOT)), number, one)


BLOCKS = list(blocks())


def those(wanted: t.Callable[[t.Any], bool]) -> list[t.Any]:
    found = [block for block in BLOCKS if wanted(block.data())]
    assert found
    return [pytest.param(block, id=f"{block.page}-{block.number}") for block in found]


OPTIONS = role_settings()


def mappings(part: t.Any) -> t.Iterator[Data]:
    """Every mapping of a block, except what is given to a module or a plugin of others."""
    if isinstance(part, list):
        for item in part:
            yield from mappings(item)
    elif isinstance(part, dict):
        yield part
        for key, value in part.items():
            if not re.fullmatch(r"[a-z_]+\.[a-z_]+\.[a-z_]+", str(key)):
                yield from mappings(value)


@pytest.mark.parametrize("block", those(lambda _data: True))
def test_variables_exist_and_have_their_types(block: Block) -> None:
    for one in mappings(block.data()):
        names = [str(key) for key in one if key != "devshard_gateways"]
        assert unknown_variables(names, KNOWN) == []
        # a template has a value only on a host
        fixed = {key: value for key, value in one.items() if "{{" not in str(value)}
        spec = {
            key: {what: OPTIONS[key][what] for what in ("type", "choices") if what in OPTIONS[key]}
            for key in set(fixed) & set(OPTIONS)
        }
        checked = ArgumentSpecValidator(spec).validate({key: fixed[key] for key in spec})
        assert checked.error_messages == []


def given_to_modules(part: t.Any) -> t.Iterator[tuple[str, Data]]:
    for one in mappings(part):
        for key, value in one.items():
            name = str(key).removeprefix(f"{FULL_NAME}.")
            if name != key and isinstance(value, dict):
                yield name, value


@pytest.mark.parametrize("block", those(lambda data: bool(list(given_to_modules(data)))))
def test_options_of_modules_exist(block: Block) -> None:
    for name, value in given_to_modules(block.data()):
        assert name in MODULES
        assert set(value) <= set(module_docs(name)["options"])


def roles_of(part: t.Any) -> t.Iterator[str]:
    for one in mappings(part):
        for word in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
            if word in one:
                yield one[word]["name"]
        for role in one.get("roles") or ():
            yield role["role"] if isinstance(role, dict) else role


@pytest.mark.parametrize("block", those(lambda data: bool(list(roles_of(data)))))
def test_roles_exist(block: Block) -> None:
    named = {name.removeprefix(f"{FULL_NAME}.") for name in roles_of(block.data())}
    assert named <= set(ROLES)


@pytest.mark.parametrize(
    "block", those(lambda data: isinstance(data, dict) and "devshard_gateways" in data)
)
def test_an_inventory_passes_the_check_of_the_settings(block: Block, tmp_path: Path) -> None:
    """As the playbook site begins, before it asks any host."""
    # what the README shows is whole, the guides show what is different
    whole = next(one for one in BLOCKS if one.page == "README.md" and "hosts:" in one.text)
    (tmp_path / "1.yml").write_text(whole.text)
    (tmp_path / "2.yml").write_text(block.text)
    (tmp_path / "play.json").write_text(
        json.dumps(
            [
                {
                    "hosts": "devshard_gateways",
                    "gather_facts": False,
                    "tasks": [{f"{FULL_NAME}.settings_check": {"roles": ["gateway", "escrow"]}}],
                }
            ]
        )
    )
    secrets = dict.fromkeys(re.findall(r"\bvault_\w+", whole.text + block.text), VAULT)
    done = run_ansible(
        *("playbook", "-i", tmp_path / "1.yml", "-i", tmp_path / "2.yml", tmp_path / "play.json"),
        *("-e", json.dumps(secrets)),
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", those(lambda data: isinstance(data, dict) and "plugin" in data))
def test_a_fleet_becomes_an_inventory(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(block.text)
    shown = run_ansible("inventory", "-i", path, "--graph")
    assert shown.returncode == 0, shown.stderr
    assert "@devshard_gateways:" in shown.stdout

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A play that would run nothing, or read a setting that nobody gave, does not end well."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import (
    CHOICES,
    PLAYBOOK_TAGS,
    PREFIXES,
    RESULTS,
    known_variables,
    refuse_tags,
    unknown_variables,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    names,
    read_yaml,
    run_ansible,
)

CONFIRMED = [word for name in ("retire", "restore") for word in ("-e", f"{name}_confirm=all")]
FLEET = "inventories/fleet"
KNOWN = known_variables(ROOT / "roles")


class Run(t.NamedTuple):
    code: int
    text: str


def play(name: str, *arguments: str, inventory: str = FLEET) -> Run:
    done = run_ansible(
        "playbook", "--inventory", inventory, f"{FULL_NAME}.{name}", "--list-tags", *arguments
    )
    return Run(done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_each_play_refuses_hosts_that_are_not_there(name: str) -> None:
    for item in read_yaml(ROOT / "playbooks" / f"{name}.yml"):
        if "hosts" in item:
            assert f"lookup('{FULL_NAME}.target_hosts', devshard_hosts |" in item["hosts"]


@pytest.mark.parametrize("name", ["status", "hot_swap"])
def test_hosts_that_are_not_there_are_refused(name: str) -> None:
    run = play(name, "-e", "devshard_hosts=gatway1")
    assert run.code != 0
    assert "the pattern 'gatway1' matches no host. Did you mean 'gateway1'?" in run.text


def test_a_limit_that_leaves_no_host_is_refused() -> None:
    run = play("status", "-e", "devshard_hosts=canary", "--limit", "gateway2")
    assert run.code != 0
    assert "'canary' matches no host within --limit gateway2" in run.text
    assert play("status", "-e", "devshard_hosts=canary", "--limit", "gateway1").code == 0


def test_an_inventory_without_gateways_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[web]\nhost1\n")
    run = play("site", inventory=str(tmp_path / "hosts"))
    assert run.code != 0
    assert "'devshard_gateways' matches no host" in run.text


@pytest.mark.parametrize("name", ["retire", "restore", "settle"])
def test_a_whole_inventory_wants_a_confirmation(name: str) -> None:
    everything = ("-e", "settle_select=all") if name == "settle" else ()
    asked = play(name, *everything)
    assert asked.code != 0
    assert "all 3 hosts: " in asked.text
    advice = re.search(rf"-e ({name}_confirm=all)", asked.text)
    assert advice
    assert play(name, *everything, "-e", advice[1]).code == 0


def test_hosts_that_are_named_want_none() -> None:
    for choice in ("devshard_hosts=gateway1", "devshard_hosts=all"):
        assert play("retire", "-e", choice).code == 0
    assert play("retire", "--limit", "gateway1").code == 0
    assert play("retire", inventory="inventories/mainnet").code == 0


def test_settling_what_expires_wants_none() -> None:
    assert play("settle").code == 0


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_tags_that_no_task_has_are_refused(name: str) -> None:
    for option, given in (("--tags", (["edeg"], [])), ("--skip-tags", ([], ["edeg"]))):
        assert f"{option} edeg: no task of {name} has this tag" in str(refuse_tags([name], *given))


def test_a_tag_of_another_playbook_is_refused() -> None:
    assert "no task of status has this tag" in play("status", "--tags", "edge").text
    assert "did you mean edge?" in play("site", "--tags", "edeg,gateway").text
    assert play("site", "--tags", "edge,gateway").code == 0


def test_tags_of_a_playbook_of_the_users_own_are_his(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([{"import_playbook": f"{FULL_NAME}.status", "tags": ["mine"]}]))
    done = run_ansible("playbook", "-i", FLEET, str(path), "--tags", "mine", "--list-tags")
    assert done.returncode == 0, done.stderr


def test_all_tags_are_known() -> None:
    listed = run_ansible(
        "playbook",
        *("--inventory", FLEET, "--list-tags", *CONFIRMED),
        *(f"{FULL_NAME}.{name}" for name in PLAYBOOKS),
    )
    assert listed.returncode == 0, listed.stderr
    found: dict[str, set[str]] = {}
    for part in listed.stdout.split("playbook: ")[1:]:
        path, _line, text = part.partition("\n")
        lines = re.findall(r"TAGS: \[(.*)\]", text)
        found[Path(path).stem] = {tag.strip() for line in lines for tag in line.split(",")}
    known = {name: set(tags) for name, tags in PLAYBOOK_TAGS.items()}
    assert {name: tags - {"", "always"} for name, tags in found.items()} == known


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gateway_imgae", "gateway_image"),
        ("rotation_enable", "rotation_enabled"),
        ("escrow_max_create_per_run", "escrow_max_creates_per_run"),
        ("hot_swap_iamge", "hot_swap_image"),
        ("setle_select", "settle_select"),
        ("settle_id", "settle_ids"),
        ("devshrd_models", "devshard_models"),
        ("hotswap_image", "hot_swap_image"),
        ("gateway_private_ky", "gateway_private_key"),
        ("edge_something", None),
    ],
)
def test_a_misspelled_variable_is_found(name: str, meant: str | None) -> None:
    assert unknown_variables([name, "gateway_image"], KNOWN) == [(name, meant)]


@pytest.mark.parametrize(
    "name",
    [
        *("gateway1_address", "vault_gateway_private_key", "ansible_user", "__gateway_record"),
        *("inventory_hostname", "groups", "schedule", "my_edge_site", "gather_subset"),
        *sorted(KNOWN),
    ],
)
def test_a_variable_of_others_or_of_ours_is_left_alone(name: str) -> None:
    assert unknown_variables([name], KNOWN) == []


def test_variables_of_the_users_own_can_be_named() -> None:
    given = ["edge_site_name", "edge_site_rack", "gateway_imgae"]
    assert [name for name, _close in unknown_variables(given, KNOWN, ["edge_site_*"])] == [
        "gateway_imgae"
    ]


def test_each_setting_has_one_of_the_prefixes() -> None:
    assert [name for name in KNOWN if not name.startswith(PREFIXES)] == []


def words(*patterns: str) -> set[str]:
    text = "".join(path.read_text() for pattern in patterns for path in ROOT.glob(pattern))
    return set(re.findall(r"[a-z]\w+", text))


def test_choices_and_results_are_used() -> None:
    """What is allowed as a name is read by a playbook or made by a role."""
    assert set(CHOICES) - words("playbooks/*.yml", "roles/devshard/tasks/*.yml") == set()
    assert set(RESULTS) - words("roles/*/tasks/*.yml") == set()


def test_what_roles_leave_behind_is_known() -> None:
    made: set[str] = set()
    for path in ROOT.glob("roles/*/tasks/**/*.yml"):
        text = path.read_text()
        made |= set(re.findall(r"register: ([a-z]\w+)", text))
        for block in re.findall(r"set_fact:\n((?: +.*\n)+)", text):
            indent = len(block) - len(block.lstrip())
            made |= set(re.findall(rf"(?m)^ {{{indent}}}([a-z]\w+):", block))
    assert made - KNOWN == set()


@pytest.mark.parametrize("name", names("inventories/*"))
def test_inventories_hold_no_unknown_variable(name: str) -> None:
    listed = run_ansible("inventory", "--inventory", f"inventories/{name}", "--list")
    data = json.loads(listed.stdout)
    for given in data["_meta"]["hostvars"].values():
        assert unknown_variables(given, KNOWN) == []


def test_a_text_names_variables_as_a_list_does() -> None:
    """By its characters it would be the pattern of every name."""
    names = ["edge_site_name", "backup_nas_a", "rotation_enable"]
    left = [("rotation_enable", "rotation_enabled")]
    assert unknown_variables(names, KNOWN, "edge_site_*, backup_nas_*") == left
    assert unknown_variables(names, KNOWN, ["edge_site_*", "backup_nas_*"]) == left


def test_a_play_refuses_a_misspelled_variable(tmp_path: Path) -> None:
    """Wherever it comes from, before anything else is looked at."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.json").write_text(json.dumps({"rotation_enable": True}))
    host = {"ansible_connection": "local", "escrow_max_create_per_run": 1}
    hosts = {"devshard_gateways": {"hosts": {"host1": host}}}
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    done = run_ansible(
        "playbook",
        *("--inventory", tmp_path / "hosts.json", f"{FULL_NAME}.status"),
        *("-e", "gateway_imgae=x", "-e", "edge_rack=north"),
        *("-e", '{"devshard_foreign_variables": ["edge_r*"]}'),
    )
    assert done.returncode != 0
    assert "gateway_imgae (did you mean gateway_image?)" in done.stdout
    assert "rotation_enable (did you mean rotation_enabled?)" in done.stdout
    assert "escrow_max_create_per_run (did you mean escrow_max_creates_per_run?)" in done.stdout
    assert "edge_rack" not in done.stdout
    assert "undefined" not in done.stdout

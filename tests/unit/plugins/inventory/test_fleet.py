# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A fleet from one file: the variables that the roles read, and one clear refusal."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.inventory import fleet as plugin
from ansible_collections.gonka.devshard.plugins.plugin_utils._fleet import (
    CHAIN,
    COMMON,
    PORTS,
    FleetFault,
    holds_secret,
    read_fleet,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import known_variables
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    run_ansible,
)

Data = dict[str, t.Any]

EXAMPLE: Data = yaml.safe_load(plugin.EXAMPLES)
HEX = "b43ecb01b4d5630227750b88ab9fad60138baba36e8be96c839b1dd406880613"


def written(folder: Path, content: Data) -> Path:
    path = folder / "fleet.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def graph(listed: Data) -> dict[str, list[str]]:
    return {name: group["hosts"] for name, group in listed.items() if "hosts" in group}


def test_the_example_is_a_fleet(tmp_path: Path) -> None:
    shown = run_ansible("inventory", "-i", written(tmp_path, EXAMPLE), "--list")
    assert shown.returncode == 0, shown.stderr
    assert "WARNING" not in shown.stderr
    listed: Data = json.loads(shown.stdout)
    everyone = ["gateway1", "gateway2", "gateway2-blue"]
    assert graph(listed) == {
        "canary": ["gateway1"],
        "chain_gonka_mainnet": everyone,
        "creator_team_a": ["gateway1", "gateway2"],
        "creator_team_b": ["gateway2-blue"],
        "devshard_gateways": everyone,
        "generation_v4_1": everyone,
    }
    hosts = listed["_meta"]["hostvars"]
    blue = hosts["gateway2-blue"]
    assert blue["ansible_host"] == hosts["gateway2"]["ansible_host"] == "gateway2.example.org"
    assert blue["gateway_private_key"] == "{{ vault_team_b_private_key }}"
    assert blue["devshard_gateway_url"] == "http://127.0.0.1:18090"
    assert [hosts[name]["devshard_models"][0]["count"] for name in everyone] == [1, 2, 2]
    ours = {name for host in hosts.values() for name in host if not name.startswith("ansible_")}
    assert ours <= known_variables(ROOT / "roles")


PLAY: list[Data] = [
    {
        "hosts": "devshard_gateways",
        "gather_facts": False,
        "connection": "local",
        "tasks": [
            {
                "gonka.devshard.settings_check": {
                    "roles": ["gateway", "creator", "edge", "escrow", "inferenced"]
                }
            },
            {
                "ansible.builtin.debug": {
                    "msg": "{{ [inventory_hostname, devshard_models[0].count] }}"
                }
            },
            {
                "ansible.builtin.assert": {
                    "that": [
                        "gateway_private_key | gonka.devshard.key_address is match('gonka1')",
                        "devshard_key_name | default('') == wanted_key",
                    ],
                    "quiet": True,
                },
                "vars": {
                    "wanted_key": "{{ 'devshard-team-b' if 'blue' in inventory_hostname else '' }}"
                },
            },
        ],
    }
]


def test_the_roles_accept_a_fleet_whose_group_vars_override_its_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, EXAMPLE)
    # the address in the example is not that of this key
    keys = {f"vault_team_{team}_private_key": HEX for team in "ab"}
    for group, variables in {
        "devshard_gateways": keys,
        # it comes before devshard_gateways in the alphabet, and after it in rank
        "chain_gonka_mainnet": {"devshard_models": [{"id": "m", "amount": 1, "count": 7}]},
    }.items():
        folder = tmp_path / "group_vars"
        folder.mkdir(exist_ok=True)
        (folder / f"{group}.yml").write_text(yaml.safe_dump(variables))
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump(PLAY))
    ran = run_ansible("playbook", "-i", path, play)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = "".join(ran.stdout.split())
    # the gateway's own count stands; that of the group replaces the default of the others
    assert '["gateway1",1]' in said
    assert '["gateway2",7]' in said


def test_a_refused_file_is_reported_without_the_key_in_it(tmp_path: Path) -> None:
    content = copy.deepcopy(EXAMPLE)
    content["creators"]["team_a"]["key"] = HEX
    path = written(tmp_path, content)
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump(PLAY))
    ran = run_ansible("playbook", "-i", path, play)
    assert f"{path}: creators, team_a, field key: must be the name of a variable" in " ".join(
        ran.stderr.split()
    )
    assert HEX not in ran.stdout + ran.stderr


def fault(content: Data) -> str:
    with pytest.raises(FleetFault) as seen:
        read_fleet(content.get("defaults"), content.get("creators"), content.get("gateways"))
    return str(seen.value)


def changed(place: list[t.Any], value: t.Any) -> Data:
    content = copy.deepcopy(EXAMPLE)
    inner: t.Any = content
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return content


FIRST, BLUE = "gateways, entry 1 (gateway1), ", "gateways, entry 3 (gateway2-blue), "


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["gateways"], [], "gateways must be a list with at least one gateway"),
        (["gateways", 0], "x", "gateways, entry 1 must be a mapping"),
        (["gateways", 0, "count"], 1, f"{FIRST}field count: this name is unknown; did you mean c"),
        (["gateways", 0, "name"], None, "gateways, entry 1, field name: it is missing"),
        (["gateways", 0, "name"], "gateway2", "entry 2 (gateway2), field name: another gateway"),
        (["gateways", 0, "name"], "a b", "field name: must consist of letters"),
        (["gateways", 0, "name"], "canary", "field name: a group has this name too"),
        (["gateways", 0, "address"], 5, f"{FIRST}field address: must be text"),
        (["gateways", 0, "port"], "80", f"{FIRST}field port: must be a port, a whole number"),
        (["gateways", 0, "temp_port"], 18080, "field temp_port: port 18080 is that of the field p"),
        (
            ["gateways", 0, "profile"],
            "v9",
            f"{FIRST}field profile: there is no gateway profile 'v9'",
        ),
        (["gateways", 0, "profile"], "v2", f"{FIRST}field profile: devshard_protocol is v4.1, but"),
        (["gateways", 0, "protocol"], "/v4", f"{FIRST}field protocol: devshard_protocol must be a"),
        (
            ["gateways", 0, "groups"],
            ["creator_team_b"],
            "this group follows from the field creator",
        ),
        (["gateways", 0, "groups"], "canary", f"{FIRST}field groups: must be a list of names"),
        (["gateways", 0, "counts"], {"MiniMax": 1}, "field counts: MiniMax: this name is unknown"),
        (
            ["gateways", 0, "counts"],
            {"MiniMaxAI/MiniMax-M2.7": -1},
            "counts: MiniMaxAI/MiniMax-M2.7: must be a whole number",
        ),
        (
            ["gateways", 0, "creator"],
            "team",
            f"{FIRST}field creator: team: this name is unknown; did",
        ),
        (["gateways", 0, "vars"], {"edge_http_prt": 1}, "edge_http_prt: no role reads it; did you"),
        (["gateways", 0, "vars"], {"edge_mine": 1}, "name it in devshard_foreign_variables"),
        (
            ["gateways", 2, "vars"],
            {"edge_http_port": 1},
            f"{BLUE}field vars: edge_http_port is set",
        ),
        (["gateways", 2, "instance"], "Blue", f"{BLUE}field instance: devshard_instance must be"),
        (["gateways", 2, "instance"], None, "gateway2 has the instance (none) on gateway2.example"),
        (["gateways", 2, "port"], None, "field port: gateway2 has port 18080 on gateway2.example"),
        (["gateways", 2, "http_port"], None, "field http_port: gateway2 has port 80 on gateway2"),
        (["creators", "team_b", "keyring_name"], None, "Set keyring_name of creators, team_b"),
        (["creators", "team_a", "address"], "gonka1x", "creators, team_a, field address: this"),
        (["creators", "a-b"], {}, "creators, a-b: the name must consist of letters"),
        (["defaults", "models", 0, "amount"], "5 GNK", "defaults, field models: MiniMaxAI/MiniMax"),
        (
            ["defaults", "models", 0, "amout"],
            1,
            "models, entry 1, field amout: this name is unknown",
        ),
        (
            ["defaults", "models", 0, "access_mode"],
            "x",
            "access_mode: must be one of open, api_key",
        ),
        (["defaults", "models"], [{"id": "m"}], "models, entry 1, field amount: it is missing"),
        (
            ["defaults", "chain", "rest"],
            "node:80",
            "field chain: rest must be an http or https URL",
        ),
        (
            ["defaults", "chain", "url"],
            "x",
            "defaults, field chain, field url: this name is unknown",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(place: list[t.Any], value: t.Any, said: str) -> None:
    assert said in fault(changed(place, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gateway_private_key", HEX),
        ("gateway_private_key", f"{{{{ '{HEX}' }}}}"),
        ("gateway_api_keys", "one-that-is-long-enough"),
        ("gateway_api_keys", ["one-that-is-long-enough"]),
        ("ansible_password", "letmein"),
        ("vault_team_a_private_key", HEX),
        ("gateway_env_extra", {"MY_TOKEN": "letmein"}),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(name: str, value: t.Any) -> None:
    for place in (["defaults", "vars"], ["gateways", 0, "vars"]):
        said = fault(changed(place, {name: value}))
        assert f"field vars: {name}: a secret must not stand in this file" in said
        assert HEX not in said
        assert "letmein" not in said
        assert "long-enough" not in said


@pytest.mark.parametrize("foreign", [["edge_m*"], "edge_m*, backup_nas"])
def test_variables_of_other_software_are_named_in_a_list_or_a_text(foreign: object) -> None:
    own = {"edge_mine": 1, "devshard_foreign_variables": foreign}
    good = changed(["gateways", 0, "vars"], own)
    read_fleet(good.get("defaults"), good.get("creators"), good.get("gateways"))
    assert "edge_other: no role reads it" in fault(
        changed(["gateways", 0, "vars"], {**own, "edge_other": 1})
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gateway_private_key", "{{ vault_gateway_private_key }}"),
        ("gateway_private_key", None),
        ("ansible_ssh_private_key_file", "~/.ssh/id_ed25519"),
        ("devshard_key_name", "other"),
        ("edge_tls_key", "/etc/ssl/key.pem"),
        ("gateway_env_extra", {"LEVEL": "debug"}),
        ("gateway_api_keys", object()),
    ],
)
def test_what_only_names_a_secret_is_accepted(name: str, value: t.Any) -> None:
    assert not holds_secret(name, value)


@pytest.mark.parametrize("key", [HEX, f"0x{HEX}", int(HEX, 16), "{{ vault_key }}", ["a"]])
def test_the_key_of_a_creator_is_a_name(key: t.Any) -> None:
    said = fault(changed(["creators", "team_a", "key"], key))
    assert "creators, team_a, field key: must be the name of a variable" in said
    assert HEX not in said


def test_each_field_is_documented_and_becomes_a_variable_that_a_role_reads() -> None:
    options = yaml.safe_load(plugin.DOCUMENTATION)["options"]
    fields = set(options["gateways"]["suboptions"])
    assert {*COMMON, *PORTS} < fields
    assert set(options["defaults"]["suboptions"]) < fields
    variables = {*COMMON.values(), *CHAIN.values(), *(name for name, _default in PORTS.values())}
    assert variables - known_variables(ROOT / "roles") == {"ansible_user"}


def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {**EXAMPLE, "gateway": []})
    shown = run_ansible("inventory", "-i", path, "--list")
    assert f"{path}: key gateway: this name is unknown; did you mean gateways?" in " ".join(
        shown.stderr.split()
    )

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Every playbook can be read, with each inventory that the collection brings."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    Data,
    names,
    read_yaml,
    run_ansible,
)
from ansible_collections.gonka.devshard.tests.unit.collection.test_hot_swap_role import evaluated

INVENTORIES = names("inventories/*")


def play_it(folder: Path, *extra_vars: str) -> subprocess.CompletedProcess[str]:
    """Runs ``play.yml`` of a folder with its ``hosts.yml``."""
    return run_ansible(
        "playbook",
        *("--inventory", folder / "hosts.yml", folder / "play.yml"),
        *(word for given in extra_vars for word in ("--extra-vars", given)),
    )


def test_syntax_of_all_playbooks() -> None:
    checked = run_ansible(
        "playbook",
        "--syntax-check",
        *("--inventory", "inventories/mainnet"),
        *(f"{FULL_NAME}.{name}" for name in PLAYBOOKS),
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("playbook: ") == len(PLAYBOOKS)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_hosts_can_be_chosen(name: str) -> None:
    plays = read_yaml(ROOT / "playbooks" / f"{name}.yml")
    for play in plays:
        if "hosts" in play:
            assert "devshard_hosts" in play["hosts"], play["name"]
            assert play["gather_facts"] is False, play["name"]


PROXIES = "{{ devshard_proxy_env | default({}) | gonka.devshard.proxy_environment }}"


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_proxies_of_a_host_hold_for_all_tasks(name: str) -> None:
    plays = read_yaml(ROOT / "playbooks" / f"{name}.yml")
    assert {play["environment"] for play in plays if "hosts" in play} <= {PROXIES}


@pytest.mark.parametrize("name", INVENTORIES)
def test_inventory_can_be_read(name: str) -> None:
    listed = run_ansible("inventory", "--inventory", f"inventories/{name}", "--list")
    assert listed.returncode == 0, listed.stderr
    assert '"devshard_gateways"' in listed.stdout
    assert "[WARNING]" not in listed.stderr


def settings_checks(name: str) -> list[Data]:
    """The tasks of a playbook that check settings before a host is touched."""
    return [
        task
        for play in read_yaml(ROOT / "playbooks" / f"{name}.yml")
        for task in play.get("tasks", [])
        if f"{FULL_NAME}.settings_check" in task
    ]


def checked_roles(task: Data) -> list[str]:
    """Those of a run without a choice of tags."""
    roles = task[f"{FULL_NAME}.settings_check"].get("roles", [])
    found: list[str] = (
        evaluated(roles, {"ansible_run_tags": ["all"]}) if isinstance(roles, str) else roles
    )
    return found


SETTINGS_OF = sorted(
    {role for name in PLAYBOOKS for task in settings_checks(name) for role in checked_roles(task)}
)


SHARED = {
    "devshard_chain_id": "c",
    "devshard_chain_rest": "http://rest.example.org/chain-api",
    "devshard_chain_rpc": "http://rpc.example.org",
    "devshard_public_api": "http://api.example.org",
    "devshard_models": [{"id": "m", "amount": 5}],
}


def run_here(
    folder: Path, tasks: list[object], given: dict[str, object], *options: str
) -> tuple[int, str]:
    """Run tasks on this machine; they change nothing."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {**SHARED, **given},
        "tasks": tasks,
    }
    file = folder / "play.json"
    file.write_text(json.dumps([play]))
    done = run_ansible("playbook", "--inventory", "localhost,", str(file), *options)
    return done.returncode, done.stdout + done.stderr


def check_settings(folder: Path, **given: object) -> str:
    """What the check of all roles' settings complains about."""
    task = {f"{FULL_NAME}.settings_check": {"roles": SETTINGS_OF}}
    status, told = run_here(folder, [task], given)
    assert (status == 0) == ("failed=0" in told), told
    return "" if status == 0 else told


@pytest.mark.parametrize("name", ["fleet", "mainnet"])
@pytest.mark.parametrize("public", [True, False])
def test_the_settings_of_an_inventory_are_accepted(name: str, public: bool, tmp_path: Path) -> None:
    """Both are to be copied; the commented lines of one make the accounting public."""
    play = {
        "hosts": "devshard_gateways",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{f"{FULL_NAME}.settings_check": {"roles": SETTINGS_OF}}],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    given = {"vault_gateway_private_key": "0f" * 32, "vault_gateway_api_keys": "sk-" + "x" * 32}
    if public:
        text = (ROOT / "inventories/mainnet/group_vars/devshard_gateways/main.yml").read_text()
        asked = re.findall(r"(?m)^# ((?:gateway|edge)_accounting.*)$", text)
        given |= yaml.safe_load("\n".join(asked))
        assert len(asked) == 2
    done = run_ansible(
        "playbook",
        *("--inventory", f"inventories/{name}", str(tmp_path / "play.json")),
        *("--extra-vars", json.dumps({**given, "ansible_become": False})),
    )
    assert done.returncode == 0, done.stdout


def test_a_setting_may_name_a_default_of_its_role(tmp_path: Path) -> None:
    url = "http://releases.example.org/{{ inferenced_version }}"
    # a swap needs an image, and the role that has a default for it is another one
    given = {"inferenced_release_url": url, "gateway_image": "devshardctl:test"}
    assert check_settings(tmp_path, **given) == ""


@pytest.mark.parametrize("name", ["hot_swap", "rotate_keys"])
@pytest.mark.parametrize(
    ("tags", "swaps"),
    [((), True), (("--tags", "hot_swap"), True), (("--tags", "rotate_keys"), False)],
)
def test_a_run_without_a_swap_needs_no_image(
    name: str, tags: tuple[str, ...], swaps: bool, tmp_path: Path
) -> None:
    (check,) = settings_checks(name)
    given: dict[str, object] = {"rotate_keys_actions": "admin"}
    status, told = run_here(tmp_path, [check], given, *tags)
    assert ("hot_swap_image is not set" in told) is swaps
    assert (status != 0) is swaps, told


def test_settings_are_checked_before_the_roles_run(tmp_path: Path) -> None:
    told = check_settings(tmp_path, inferenced_release_url="{{ no_such_variable }}")
    assert "no_such_variable" in told
    assert "edge_http_port" in check_settings(tmp_path, edge_http_port="none")


def test_all_settings_that_are_wrong_are_named_at_once(tmp_path: Path) -> None:
    told = check_settings(
        tmp_path,
        devshard_chain_id=None,
        devshard_temp_url="http://gw.example.org:18081",
        edge_http_port="none",
        escrow_max_total_lokced=5,
    )
    assert "localhost: unknown variable: escrow_max_total_lokced (did you mean" in told
    assert "devshard_temp_url: http://gw.example.org:18081 must be http://127.0.0.1:PORT" in told
    assert "edge_http_port" in told


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("gateway_api_keys", ["sk-0123456789abcdef"], "gateway_api_keys is a list"),
        ("gateway_api_keys", "sk-hunter2-1", "gateway_api_keys: a key in it has 12 characters"),
        ("gateway_admin_api_key", "hunter2-short", "gateway_admin_api_key: a key in it has 13"),
        ("gateway_private_key", "0x" + "0f" * 32, "gateway_private_key: the key begins with 0x"),
        ("gateway_private_key", "0f" * 32 + "\n", "gateway_private_key: the value begins or ends"),
        ("devshard_chain_rest", "https://op:hunter2@node.example.org", "devshard_chain_rest must"),
        (
            "docker_engine_repo_url",
            "https://op:hunter2@m.example.org",
            "docker_engine_repo_url must",
        ),
        (
            "inferenced_release_url",
            "https://op:hunter2@m.example.org",
            "inferenced_release_url must",
        ),
    ],
)
def test_an_unusable_secret_is_named_and_not_shown(
    tmp_path: Path, name: str, value: object, reason: str
) -> None:
    told = check_settings(tmp_path, **{name: value})
    assert reason in told
    assert "hidden due to" not in told
    for secret in ("0123456789abcdef", "hunter2", "0f" * 32):
        assert secret not in told


def test_the_gateway_gets_no_slash_at_the_end_of_its_addresses(tmp_path: Path) -> None:
    """It would ask for '//', and a 404 at its start takes an escrow out of service for ever."""
    files = [
        str(ROOT / "roles" / role / name / "main.yml")
        for role in ("devshard", "gateway")
        for name in ("defaults", "vars")
    ]
    text = "{{ __gateway_env | combine(__gateway_chain_env, __gateway_settings) | to_json }}"
    tasks: list[object] = [
        *({"ansible.builtin.include_vars": {"file": file}} for file in files),
        {"ansible.builtin.debug": {"msg": f"[[{text}]]"}},
    ]
    given: dict[str, object] = {
        "devshard_chain_rest": "http://rest.example.org/chain-api//",
        "devshard_public_api": "http://api.example.org/",
        "devshard_chain_rpc": "http://rpc.example.org",
    }
    status, told = run_here(tmp_path, tasks, given)
    assert status == 0, told
    (line,) = [line for line in told.splitlines() if "[[" in line]
    found = json.loads(json.loads(line.split('"msg": ')[1])[2:-2])
    addresses = {name: value for name, value in found.items() if "example.org" in str(value)}
    # the guide's commands append to this one
    assert addresses.pop("NODE_RPC") == "http://rpc.example.org/"
    assert set(addresses.values()) == {
        "http://rest.example.org/chain-api",
        "http://api.example.org",
    }
    assert {"DEVSHARD_CHAIN_REST", "chain_rest", "public_api", "NODE_CHAIN_API"} <= set(addresses)


# What the swap of one host does, without one: it fails on host2, or host2 cannot be reached.
STAND_IN = [
    {
        "block": [
            {"ansible.builtin.ping": {}},
            {
                "ansible.builtin.fail": {"msg": "the swap fails"},
                "when": "inventory_hostname == 'host2'",
            },
            {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is swapped"}},
        ],
        "rescue": [
            {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is told what to do"}},
            {"ansible.builtin.fail": {"msg": "the swap stopped"}},
        ],
    }
]


def swap_a_fleet(
    tmp_path: Path, *, batch: int, reachable: bool
) -> subprocess.CompletedProcess[str]:
    """The playbook with the stand-in, on six hosts with a canary."""
    play = read_yaml(ROOT / "playbooks/hot_swap.yml")[1]
    assert play["tasks"][-1]["ansible.builtin.import_role"]["name"] == f"{FULL_NAME}.hot_swap"
    play["tasks"][-1:] = STAND_IN
    (tmp_path / "play.json").write_text(json.dumps([play]))
    local: dict[str, object] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    silent = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {f"host{number}": local for number in range(1, 7)}
    if not reachable:
        hosts["host2"] = silent
    groups = {"canary": {"hosts": {"host3": {}}}, "devshard_gateways": {"hosts": hosts}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"children": groups}}))
    return run_ansible(
        "playbook",
        *("--inventory", tmp_path / "hosts.json"),
        *("--extra-vars", f"hot_swap_batch={batch}"),
        tmp_path / "play.json",
    )


@pytest.mark.parametrize("reachable", [True, False])
def test_no_host_begins_after_one_that_did_not_finish(tmp_path: Path, reachable: bool) -> None:
    """Not even when it only could not be reached, and its batch goes on to the end."""
    run = swap_a_fleet(tmp_path, batch=2, reachable=reachable)
    assert run.returncode != 0
    swapped = [number for number in range(1, 7) if f"host{number} is swapped" in run.stdout]
    # the canary alone, then the batch of the host that fails
    assert swapped == [1, 3]
    assert "host4 was not touched, since the swap of host2 did not finish" in run.stdout
    assert ("host2 is told what to do" in run.stdout) is reachable


def test_a_batch_of_no_hosts_is_refused_since_it_would_mean_all(tmp_path: Path) -> None:
    run = swap_a_fleet(tmp_path, batch=0, reachable=True)
    assert run.returncode != 0
    assert "hot_swap_batch is 0" in run.stdout
    assert "is swapped" not in run.stdout


@pytest.mark.parametrize(
    ("chosen", "order"),
    [
        (None, "gw1 gw2 gw3"),
        ("rest", "gw2 gw3"),
        ("gw3:gw1", "gw1 gw3"),
        ("gw3,gw1", "gw1 gw3"),
        ("devshard_gateways:!gw2", "gw1 gw3"),
    ],
)
def test_a_swap_takes_all_chosen_hosts_the_canary_first(
    chosen: str | None, order: str, tmp_path: Path
) -> None:
    swap = next(
        play
        for play in read_yaml(ROOT / "playbooks/hot_swap.yml")
        if play["name"] == "Swap the gateways"
    )
    play = {name: swap[name] for name in ("name", "hosts", "gather_facts", "serial")}
    play |= {"tasks": [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}"}}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text(
        "devshard_gateways: {children: {rest: {hosts: {gw2: , gw3: }}, canary: {hosts: {gw1: }}}}"
    )
    run = play_it(tmp_path, *([f"devshard_hosts={chosen}"] if chosen else []))
    assert run.returncode == 0, run.stderr
    assert " ".join(re.findall(r"ok: \[(\w+)\]", run.stdout)) == order


def test_a_host_that_would_be_left_out_for_its_name_is_refused(tmp_path: Path) -> None:
    """The hosts are named one by one, and a blank divides a pattern."""
    names = ["gw-ü.Example.org", "10.0.0.1", "fe80::1", "gw~2", "Gateway One"]
    first = read_yaml(ROOT / "playbooks/hot_swap.yml")[0]
    play = {name: first[name] for name in ("name", "hosts", "gather_facts")}
    play |= {"tasks": first["tasks"][:1]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    hosts = {name: {"ansible_connection": "local"} for name in names}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"devshard_gateways": {"hosts": hosts}}))
    run = play_it(tmp_path)
    assert run.returncode != 0
    assert "The host 'Gateway One' would be skipped" in run.stdout
    assert sorted(re.findall(r"ok: \[(.+)\]", run.stdout)) == sorted(names[:-1])


@pytest.mark.parametrize(
    ("name", "said", "given", "wanted"),
    [
        ("settle", {}, [], {"settlement_ids": [], "settlement_select": "expiring"}),
        ("settle", {"settlement_select": "all"}, [], {"settlement_select": "all"}),
        (
            "settle",
            {"settlement_select": "all"},
            ["settle_select=depleted"],
            {"settlement_select": "depleted"},
        ),
        ("settle", {}, ["settle_ids=7,12"], {"settlement_ids": ["7", "12"]}),
        ("settle", {}, ['{"settle_ids": [7, 12]}'], {"settlement_ids": ["7", "12"]}),
        ("settle", {}, ["settle_ids=x"], {"settlement_ids": ["x"]}),
    ],
)
def test_short_names_go_before_the_inventory(
    name: str, said: Data, given: list[str], wanted: Data, tmp_path: Path
) -> None:
    """An ``x`` for a role's setting is not a number, and the role's own check says so."""
    play = read_yaml(ROOT / "playbooks" / f"{name}.yml")[-1]
    task = {"name": "Show", "vars": play["tasks"][-1]["vars"]}
    shown = "{{ {" + ", ".join(f"'{key}': {key}" for key in wanted) + "} | to_json }}"
    task |= {"ansible.builtin.debug": {"msg": f"<<{shown}>>"}}
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump([{"name": "P", "hosts": "gw1", "gather_facts": False, "tasks": [task]}])
    )
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"gw1": said}}}))
    run = play_it(tmp_path, *given)
    assert run.returncode == 0, run.stderr
    found = json.loads(re.findall(r"<<(.*)>>", run.stdout)[0].replace('\\"', '"'))
    assert {
        key: found[key] if isinstance(found[key], list) else str(found[key]) for key in found
    } == wanted

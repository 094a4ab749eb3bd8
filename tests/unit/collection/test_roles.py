# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Each role is described once, in its argument specs, and everything else agrees with them."""

from __future__ import annotations

import re
import typing as t

import pytest
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    ROLES,
    ROOT,
    Data,
    read_yaml,
)

SECRET = re.compile(r"(^|_)(password|passphrase|token|secret|private_key|api_keys?)($|_)")
SHARED = f"{FULL_NAME}.devshard"


def entry_points(role: str) -> dict[str, Data]:
    specs: dict[str, Data] = read_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")[
        "argument_specs"
    ]
    return specs


def role_defaults(role: str) -> Data:
    """A role without settings of its own has none."""
    path = ROOT / "roles" / role / "defaults/main.yml"
    return (read_yaml(path) or {}) if path.is_file() else {}


def all_options(options: Data) -> t.Iterator[tuple[str, Data]]:
    for name, spec in options.items():
        yield name, spec
        yield from all_options(spec.get("options", {}))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "meta/argument_specs.yml",
        "meta/main.yml",
        "tasks/main.yml",
    ],
)
def test_role_is_complete(role: str, name: str) -> None:
    assert (ROOT / "roles" / role / name).is_file()


@pytest.mark.parametrize("role", ROLES)
def test_defaults_equal_the_argument_specs(role: str) -> None:
    described: Data = {}
    for name, point in entry_points(role).items():
        for option, spec in point.get("options", {}).items():
            if "default" not in spec:
                continue
            seen = described.setdefault(option, spec["default"])
            assert seen == spec["default"], f"{option} of entry point {name} has another default"
    defaults = role_defaults(role)
    assert sorted(defaults) == sorted(described)
    different = {
        option: (defaults[option], value)
        for option, value in described.items()
        # True == 1 in Python, but not for who reads the documentation
        if (type(defaults[option]), defaults[option]) != (type(value), value)
    }
    assert different == {}


@pytest.mark.parametrize("role", ROLES)
def test_required_options_have_no_default(role: str) -> None:
    for point in entry_points(role).values():
        for option, spec in all_options(point.get("options", {})):
            assert not (spec.get("required") and "default" in spec), option


@pytest.mark.parametrize("role", ROLES)
def test_options_carry_the_role_name_and_are_described(role: str) -> None:
    for point in entry_points(role).values():
        assert point["short_description"]
        assert not point["short_description"].endswith(".")
        assert point["description"]
        for option in point.get("options", {}):
            assert option.startswith(f"{role}_"), option
        for option, spec in all_options(point.get("options", {})):
            assert spec["type"], option
            assert all(line.endswith((".", ":")) for line in spec["description"]), option


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_not_logged(role: str) -> None:
    for point in entry_points(role).values():
        for option, spec in all_options(point.get("options", {})):
            if SECRET.search(option) and spec["type"] == "str":
                assert spec.get("no_log") is True, option


@pytest.mark.parametrize("role", ROLES)
def test_entry_points_have_task_files(role: str) -> None:
    for name in entry_points(role):
        assert (ROOT / "roles" / role / "tasks" / f"{name}.yml").is_file(), name


@pytest.mark.parametrize("role", ROLES)
def test_role_metadata(role: str) -> None:
    meta = read_yaml(ROOT / "roles" / role / "meta/main.yml")
    required = read_yaml(ROOT / "meta/runtime.yml")["requires_ansible"]
    assert required == f">={meta['galaxy_info']['min_ansible_version']}.0"
    assert meta["galaxy_info"]["license"] == "GPL-3.0-or-later"
    needed = [dependency["role"] for dependency in meta.get("dependencies", [])]
    # these need none of the shared settings and can be used alone
    alone = role in ("adopt", "devshard", "docker_engine", "notify", "schedule")
    assert needed == ([] if alone else [SHARED])


def entered(value: object) -> t.Iterator[tuple[str, str]]:
    """Each role that a playbook or a task file enters elsewhere than at its beginning."""
    if isinstance(value, list):
        for item in value:
            yield from entered(item)
    elif isinstance(value, dict):
        if "tasks_from" in value:
            yield value["name"].removeprefix(f"{FULL_NAME}."), value["tasks_from"]
        for inner in value.values():
            yield from entered(inner)


def test_what_is_entered_elsewhere_is_described() -> None:
    paths = [*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "roles").rglob("tasks/**/*.yml")]
    used = {point for path in paths for point in entered(read_yaml(path))}
    assert len(used) > 5
    # where the role is a variable, the settings of several are checked, by tasks that do nothing else
    used = {(role, name) for role, name in used if "{{" not in role}
    assert [(role, name) for role, name in used if name not in entry_points(role)] == []


def requests_of(value: object) -> t.Iterator[Data]:
    """The arguments of every HTTP request below a task file."""
    if isinstance(value, list):
        for item in value:
            yield from requests_of(item)
    elif isinstance(value, dict):
        if "ansible.builtin.uri" in value:
            yield value["ansible.builtin.uri"]
        for key in ("block", "rescue", "always"):
            yield from requests_of(value.get(key, []))


def test_what_listens_on_the_host_is_not_asked_through_a_proxy() -> None:
    """A proxy of the host would answer for the gateway, and would see what is asked."""
    paths = [*(ROOT / "roles").rglob("tasks/**/*.yml")]
    asked = [request for path in paths for request in requests_of(read_yaml(path))]
    assert len(asked) > 4
    outside = [request for request in asked if "use_proxy" not in request]
    assert [request["url"] for request in outside] == []


def conditions(value: object) -> t.Iterator[str]:
    """Everything below a task file that must be true or false."""
    if isinstance(value, list):
        for item in value:
            yield from conditions(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("when", "that", "until", "failed_when", "changed_when"):
                yield from map(str, inner if isinstance(inner, list) else [inner])
            else:
                yield from conditions(inner)


@pytest.mark.parametrize("role", ROLES)
def test_booleans_from_the_command_line_work_in_conditions(role: str) -> None:
    """``-e name=true`` is a string, and a condition on it alone is an error since 2.19."""
    flags = [
        name
        for point in entry_points(role).values()
        for name, spec in point.get("options", {}).items()
        if spec.get("type") == "bool"
    ]
    raw = [
        f"{path.name}: {condition}"
        for path in (ROOT / "roles" / role / "tasks").rglob("*.yml")
        for condition in conditions(read_yaml(path))
        for flag in flags
        if re.search(rf"\b{flag}\b(?!\s*(\| bool|is (not )?defined))", condition)
    ]
    assert raw == []


def test_nginx_is_reloaded_by_the_module_that_proves_it() -> None:
    paths = [*(ROOT / "roles").rglob("tasks/**/*.yml")]
    assert [path for path in paths if "-s, reload" in path.read_text(encoding="utf-8")] == []


def value_of(template: str, **told: t.Any) -> t.Any:
    """What a template is worth, as Ansible has it: a list stays a list."""
    engine = NativeEnvironment()
    engine.filters["gonka.devshard.deadline_alarms"] = lambda escrows, *_rest: escrows
    return engine.from_string(template).render(told)


@pytest.mark.parametrize(
    ("models", "asked"),
    [
        ([{"id": "a/1"}, {"id": "b/2"}], ["a/1", "b/2"]),
        ([{"id": "a/1", "access_mode": "admin_only"}, {"id": "b/2", "count": 2}], ["b/2"]),
        ([{"id": "a/1", "count": 0}, {"id": "b/2", "access_mode": "open"}], ["b/2"]),
        ([{"id": "a/1", "access_mode": "admin_only"}], []),
    ],
)
def test_the_request_at_the_end_of_site_is_one_that_a_client_may_send(
    models: list[Data], asked: list[str]
) -> None:
    (task,) = read_yaml(ROOT / "roles/devshard/tasks/chat.yml")
    assert task[f"{FULL_NAME}.chat_completion"]["models"] == "{{ __devshard_models_of_clients }}"
    constants = read_yaml(ROOT / "roles/devshard/vars/main.yml")
    served = value_of(constants["__devshard_models_in_service"], devshard_models=models)
    found = value_of(constants["__devshard_models_of_clients"], __devshard_models_in_service=served)
    assert list(found) == asked


def test_a_swap_pays_for_wanted_models_only() -> None:
    variables = read_yaml(ROOT / "roles/hot_swap/vars/main.yml")
    models: list[Data] = [
        {"id": "a/1", "amount": 5},
        {"id": "b/2", "amount": 6, "count": 0},
        {"id": "c/3", "amount": 7, "count": 2, "access_mode": "admin_only"},
    ]
    told = {"hot_swap_temp_count": 1}
    told["__hot_swap_wanted"] = value_of(variables["__hot_swap_wanted"], devshard_models=models)
    assert value_of(variables["__hot_swap_needs"], **told) == [
        {"model_id": "a/1", "amount": 5, "count": 1},
        {"model_id": "c/3", "amount": 7, "count": 1},
    ]


def test_only_check_mode_passes_over_a_host_that_is_not_ready() -> None:
    """In a real run what is missing makes the role fail, it does not make it do nothing."""
    ready = [
        (path.parent.parent.name, template)
        for path in (ROOT / "roles").rglob("vars/main.yml")
        for name, template in read_yaml(path).items()
        if name.endswith("_ready")
    ]
    assert len(ready) > 5
    for role, template in ready:
        # what the first check found is looked at in any case, so that it cannot be left out
        checked = re.match(r"(?s)\{\{ \(.*\)\s+or not ansible_check_mode }}", template)
        assert checked or re.match(r"\{\{ not ansible_check_mode\s+or ", template), role
        assert bool(checked) == ("__devshard_checked" in template), role


def test_status_asks_for_the_slot_as_the_swap_does() -> None:
    """An edge of others has no flag file, and without one a stat would always say main."""
    tasks = read_yaml(ROOT / "roles/status/tasks/main.yml")
    asked = next(task for task in tasks if f"{FULL_NAME}.edge_slot" in task)
    main = read_yaml(ROOT / "roles/hot_swap/tasks/main.yml")
    swap = next(task["module_defaults"] for task in main if "module_defaults" in task)
    where = {"via", "flag_path", "alias_path", "alias_name", "nginx_container"}
    where |= {"main_url", "temp_url"}
    assert set(asked[f"{FULL_NAME}.edge_slot"]) == where
    assert where <= set(swap[f"{FULL_NAME}.edge_slot"])


def names_in(tasks: t.Any) -> t.Iterator[tuple[str, str]]:
    """What tasks store for later (``fact``), and what they name for themselves (``own``)."""
    for task in tasks or ():
        for word in ("block", "rescue", "always"):
            yield from names_in(task.get(word))
        stored = task.get("ansible.builtin.set_fact")
        yield from (("fact", name) for name in stored or {} if isinstance(stored, dict))
        if "register" in task:
            yield "fact", task["register"]
        yield from (("own", name) for name in task.get("vars") or {})


@pytest.mark.parametrize("role", ROLES)
def test_no_task_names_a_variable_as_a_fact(role: str) -> None:
    """A fact of an earlier run in the same play would be taken in its place."""
    found = [
        item
        for path in (ROOT / "roles" / role / "tasks").rglob("*.yml")
        for item in names_in(read_yaml(path))
    ]
    facts = {name for kind, name in found if kind == "fact"}
    assert sorted({name for kind, name in found if kind == "own"} & facts) == []

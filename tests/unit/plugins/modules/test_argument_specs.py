# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""Documentation and argument specs say the same, and each constraint refuses what it should."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.gonka.devshard.plugins.module_utils._core.options import (
    OptionTypeError,
    _read,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    MODULES,
    module_docs,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import (
    failed,
    load,
    load_action,
)

Spec = dict[str, t.Any]
SECRETS = {"admin_api_key", "api_key", "api_keys", "private_key"}
SECRET_WORDS = {"key", "keys", "password", "secret", "token"}


def spec_of(name: str) -> ArgumentSpec:
    module = load(name)
    # of a module that is only documentation the action does the work, on the controller
    found = module.SPEC if hasattr(module, "main") else load_action(name).SPEC
    assert isinstance(found, ArgumentSpec)
    return found


def options_of(spec: Spec, path: str = "") -> t.Iterator[tuple[str, Spec]]:
    for name, option in spec.items():
        yield f"{path}{name}", option
        yield from options_of(option.get("options", {}), f"{path}{name}.")


def documented(options: Spec, path: str = "") -> t.Iterator[tuple[str, Spec]]:
    for name, option in options.items():
        yield f"{path}{name}", option
        yield from documented(option.get("suboptions", {}), f"{path}{name}.")


def told_by_spec(option: Spec) -> Spec:
    return {
        "type": option.get("type", "str"),
        "elements": option.get("elements"),
        "required": option.get("required", False),
        "default": option.get("default"),
        "choices": sorted(option["choices"]) if "choices" in option else None,
        "aliases": option.get("aliases", []),
    }


def told_by_docs(option: Spec) -> Spec:
    choices = option.get("choices")
    return {
        "type": option["type"],
        "elements": option.get("elements"),
        "required": option.get("required", False),
        "default": option.get("default"),
        "choices": sorted(choices) if choices else None,
        "aliases": option.get("aliases", []),
    }


@pytest.mark.parametrize("name", MODULES)
def test_documentation_equals_the_spec(name: str) -> None:
    by_spec = {key: told_by_spec(option) for key, option in options_of(spec_of(name).options)}
    by_docs = {
        key: told_by_docs(option) for key, option in documented(module_docs(name)["options"])
    }
    assert by_docs == by_spec


@pytest.mark.parametrize("name", MODULES)
def test_every_secret_is_decided_about(name: str) -> None:
    for path, option in options_of(spec_of(name).options):
        leaf = path.rsplit(".", 1)[-1]
        if leaf in SECRETS:
            assert option.get("no_log") is True, path
        elif SECRET_WORDS & set(leaf.split("_")):
            assert option.get("no_log") is False, f"{path} only names one: say so"
        else:
            assert not option.get("no_log"), path


@pytest.mark.parametrize("name", MODULES)
def test_required_options_have_no_default(name: str) -> None:
    for path, option in options_of(spec_of(name).options):
        assert not (option.get("required") and "default" in option), path


# constraints

SAMPLES: dict[str, t.Any] = {
    "str": "x",
    "path": "/nowhere/x",
    "int": 1,
    "bool": True,
    "dict": {},
    "float": 1.5,
    "raw": "x",
}


def sample(option: Spec) -> t.Any:
    if "choices" in option:
        return option["choices"][0]
    if option.get("type") == "list":
        return [sample({**option, "type": option["elements"]})]
    if option.get("options"):
        return {key: sample(sub) for key, sub in option["options"].items() if sub.get("required")}
    return SAMPLES[option.get("type", "str")]


def needed(spec: ArgumentSpec) -> Spec:
    """A value for each option that is required anyway."""
    return {key: sample(o) for key, o in spec.options.items() if o.get("required")}


Breach = tuple[str, str, Spec, tuple[str, ...]]


def breaches(name: str) -> t.Iterator[Breach]:
    """For each constraint of a module: arguments that break it, and the names it must tell."""
    spec = spec_of(name)
    base = needed(spec)
    base |= {names[0]: sample(spec.options[names[0]]) for names in spec.required_one_of}

    def given(*names: str) -> Spec:
        return {**base, **{key: sample(spec.options[key]) for key in names}}

    for group in spec.mutually_exclusive:
        for first, second in zip(group, group[1:], strict=False):
            yield name, f"{first} excludes {second}", given(first, second), (first, second)
    for group in spec.required_together:
        for left_out in group:
            others = [key for key in group if key != left_out]
            yield name, f"{group} without {left_out}", given(*others), tuple(group)
    for group in spec.required_one_of:
        yield name, f"none of {group}", needed(spec), tuple(group)
    for rule in spec.required_if:
        option, value, names = rule[:3]
        for left_out in names if len(rule) < 4 or not rule[3] else [""]:
            others = [key for key in names if key != left_out and left_out]
            yield name, f"{option}={value} no {left_out}", {**given(*others), option: value}, names
    for option, names in spec.required_by.items():
        yield name, f"{option} without {names}", given(option), tuple(names)


CONSTRAINTS = [breach for name in MODULES for breach in breaches(name)]


@pytest.mark.parametrize(("name", "what", "params", "told"), CONSTRAINTS)
def test_each_constraint_refuses(name: str, what: str, params: Spec, told: tuple[str, ...]) -> None:
    run = failed(name, params)
    assert any(word in run.msg for word in told), run.msg
    assert "failure" not in run.result, "refused before any work"


def required_options() -> t.Iterator[tuple[str, str]]:
    for name in MODULES:
        for key, option in spec_of(name).options.items():
            if option.get("required"):
                yield name, key


@pytest.mark.parametrize(("name", "option"), list(required_options()))
def test_each_required_option_is_missed(name: str, option: str) -> None:
    params = needed(spec_of(name))
    del params[option]
    run = failed(name, params)
    assert run.msg.startswith("missing required arguments: ")
    assert option in run.msg


def choices() -> t.Iterator[tuple[str, str, Spec]]:
    for name in MODULES:
        spec = spec_of(name)
        for key, option in spec.options.items():
            if "choices" in option:
                yield name, key, {**needed(spec), key: "nonsense"}
            for sub, inner in option.get("options", {}).items():
                if "choices" in inner:
                    entry = {**sample({**option, "type": "dict"}), sub: "nonsense"}
                    value = [entry] if option["type"] == "list" else entry
                    yield name, sub, {**needed(spec), key: value}


@pytest.mark.parametrize(("name", "option", "params"), list(choices()))
def test_each_choice_is_checked(name: str, option: str, params: Spec) -> None:
    run = failed(name, params)
    # a list has another wording
    assert re.search(rf"value of {option} must be one (of|or more of)", run.msg)


@pytest.mark.parametrize(
    ("name", "option"),
    [("escrow", "amount"), ("escrow", "count"), ("gateway_drift_info", "port")],
)
@pytest.mark.parametrize("value", ["much", 1.5, "1.5", "5 000", [], ""])
def test_whole_numbers_are_whole(name: str, option: str, value: object) -> None:
    run = failed(name, {**needed(spec_of(name)), option: value})
    assert f"'{option}' is of type" in run.msg
    assert "int" in run.msg


# merging


def test_merging_keeps_every_constraint() -> None:
    one = ArgumentSpec(
        options={"a": {}, "b": {}},
        mutually_exclusive=(("a", "b"),),
        required_by={"a": ("b",)},
    )
    two = ArgumentSpec(
        options={"c": {}, "d": {}},
        required_together=(("c", "d"),),
        required_one_of=(("c", "d"),),
        required_if=(("c", "x", ("d",)),),
    )
    assert one.merge(two).to_kwargs() == {
        "argument_spec": {"a": {}, "b": {}, "c": {}, "d": {}},
        "mutually_exclusive": [["a", "b"]],
        "required_together": [["c", "d"]],
        "required_one_of": [["c", "d"]],
        "required_if": [["c", "x", ("d",)]],
        "required_by": {"a": ["b"]},
    }


def test_an_option_comes_from_one_part() -> None:
    with pytest.raises(ValueError, match="options given twice: request_timeout"):
        _argspec.http().merge(ArgumentSpec(options={"request_timeout": {}}))


def test_parts_are_not_shared() -> None:
    """A module that changed its spec would change all others."""
    first = _argspec.http()
    first.options["request_timeout"]["default"] = 99
    assert _argspec.http().options["request_timeout"]["default"] == 10


OF_TYPE: Spec = {
    "int": 7,
    "float": 0.5,
    "bool": True,
    "str": "text",
    "path": "/text",
    "dict": {},
}


def read_by(name: str) -> t.Iterator[t.Any]:
    """The dataclasses in which a module, or the unit that does its work, reads its options."""
    module = load(name)
    units = [module, *(value for value in vars(module).values() if inspect.ismodule(value))]
    for unit in units:
        for value in vars(unit).values():
            named = inspect.isclass(value) and value.__name__.endswith("Options")
            if named and dataclasses.is_dataclass(value):
                yield value


def test_each_option_is_read_as_the_type_that_the_spec_gives_it() -> None:
    """A number that the spec makes a fraction is no whole number to whoever reads it."""
    wrong = set()
    checked = 0
    for name in MODULES:
        spec = spec_of(name).options
        for kind in read_by(name):
            hints = t.get_type_hints(kind)
            if not set(hints) <= set(spec):
                # it is made of options, and not read from them
                continue
            for key, hint in hints.items():
                option = spec[key]
                kind_of = option.get("type", "str")
                choices = option.get("choices") if kind_of != "list" else None
                sample = choices[0] if choices else OF_TYPE.get(kind_of, [])
                checked += 1
                try:
                    _read(hint, sample, key)
                except OptionTypeError:
                    wrong.add((name, kind.__name__, key))
    assert checked > 50
    assert sorted(wrong) == []

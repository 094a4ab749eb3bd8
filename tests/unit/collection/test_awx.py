# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The surveys for AWX ask for variables that exist, with their types, choices and defaults."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.plugin_utils._invocation import CHOICES
from ansible_collections.gonka.devshard.plugins.plugin_utils._setting_forms import (
    FORMS,
    form_faults,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    PLAYBOOKS,
    ROLES,
    ROOT,
    Data,
    names,
    read_yaml,
)

SURVEYS = names("extensions/awx/*.json")
GUIDE = (ROOT / "docs/docsite/rst/execution_environments.rst").read_text()
# what a playbook has by itself: the role's variable whose choices it has, and its default
PLAYBOOKS_OWN: dict[str, tuple[str | None, object]] = {
    "devshard_hosts": (None, "devshard_gateways"),
    "hot_swap_batch": (None, 1),
    "settle_select": ("settlement_select", "expiring"),
}
TYPES = {"text": "str", "integer": "int", "multiplechoice": "str"}


def questions(survey: str) -> list[Data]:
    data = json.loads((ROOT / f"extensions/awx/{survey}.json").read_text())
    assert set(data) == {"name", "description", "spec"}
    spec: list[Data] = data["spec"]
    return spec


ALL = [(survey, item) for survey in SURVEYS for item in questions(survey)]
IDS = [f"{survey}-{item['variable']}" for survey, item in ALL]


def options() -> Data:
    found: Data = {}
    for role in ROLES:
        specs = read_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
        found.update(specs.get("main", {}).get("options", {}))
    return found


def test_each_survey_has_its_playbook() -> None:
    assert SURVEYS == ["hot_swap", "settle", "site"]
    assert set(SURVEYS) < set(PLAYBOOKS)


@pytest.mark.parametrize(("survey", "question"), ALL, ids=IDS)
def test_a_question_fits_its_variable(survey: str, question: Data) -> None:
    variable = question["variable"]
    playbook = (ROOT / "playbooks" / f"{survey}.yml").read_text()
    if variable in PLAYBOOKS_OWN:
        role_variable, default = PLAYBOOKS_OWN[variable]
        assert variable in CHOICES
        assert re.search(rf"\b{variable}\b", playbook)
        assert f"default('{default}')" in playbook or f"default({default})" in playbook
        known = options()[role_variable] if role_variable else {"type": type(default).__name__}
    else:
        known = options()[variable]
        default = known.get("default")
    if known["type"] == "bool":
        assert (question["type"], question["choices"]) == ("multiplechoice", ["false", "true"])
        default = str(default).lower()
    else:
        assert TYPES[question["type"]] == known["type"]
        assert set(question.get("choices", ())) <= set(known.get("choices", ()))
    assert question.get("default") == default


@pytest.mark.parametrize(("survey", "question"), ALL, ids=IDS)
def test_a_number_that_can_be_answered_is_not_refused(survey: str, question: Data) -> None:
    if question["type"] == "integer":
        variable = question["variable"]
        for value in (question["min"], question["max"]):
            for role in FORMS:
                assert form_faults(role, {variable: value}) == [], survey


@pytest.mark.parametrize(("survey", "question"), ALL, ids=IDS)
def test_a_question_has_what_awx_needs(survey: str, question: Data) -> None:
    assert question["question_name"].endswith("?")
    assert question["question_description"].endswith(".")
    # AWX gives an empty text for what need not be answered
    described = str(options().get(question["variable"], {}).get("description"))
    assert question["required"] is ("If omitted or empty," not in described)
    if question["type"] == "multiplechoice":
        assert question["default"] in question["choices"]
    else:
        assert question["required"] or question["min"] == 0
        assert 0 <= question["min"] < question["max"]


def test_a_rollback_needs_no_image() -> None:
    (image,) = [one for one in questions("hot_swap") if one["variable"] == "hot_swap_image"]
    assert (image["required"], image["min"]) == (False, 0)


@pytest.mark.parametrize("survey", SURVEYS)
def test_a_question_is_asked_once_and_documented(survey: str) -> None:
    asked = [item["variable"] for item in questions(survey)]
    assert len(asked) == len(set(asked))
    row = re.search(rf"\* - ``{survey}\.json``\n +- (.+)", GUIDE)
    assert row
    shown = re.findall(r"``([a-z_]+)``", row[1])
    assert [name for name in shown if name != "all"] == asked


def test_a_survey_does_not_take_the_place_of_a_confirmation() -> None:
    """A named pattern confirms; a survey would name one each time."""
    asked = {item["variable"]: item for item in questions("settle")}
    assert "devshard_hosts" not in asked
    assert "all" not in asked["settle_select"]["choices"]


def test_guide_shows_the_execution_environment() -> None:
    blocks = re.findall(r"^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)", GUIDE, re.MULTILINE)
    assert yaml.safe_load(blocks[0]) == read_yaml(ROOT / "execution-environment.yml")

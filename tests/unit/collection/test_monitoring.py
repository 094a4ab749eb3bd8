# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Rules, dashboard and guide name metrics that the program writes, and the guide names all of them."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._monitor.metrics import (
    BY_NAME,
    FAMILIES,
    MEASURED,
    PREFIX,
)
from ansible_collections.gonka.devshard.tests.dashboard.metrics import GATEWAYS, scraped
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    FULL_NAME,
    PLAYBOOKS,
    ROOT,
    read_yaml,
)

FOLDER = ROOT / "extensions" / "monitoring"
GUIDES = ROOT / "docs" / "docsite" / "rst"
NAME = re.compile(rf"{PREFIX}(\w+)(?:\{{([^}}]*)\}})?")
RECORDED = re.compile(r"gonka_devshard:\w+")
RULES = [
    rule
    for group in read_yaml(FOLDER / "gonka_devshard.rules.yml")["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS = read_yaml(FOLDER / "tests" / "gonka_devshard.rules.test.yml")["tests"]
GUIDE = (GUIDES / "monitoring.rst").read_text()
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
# what Prometheus gives to each series of a host
OF_TARGET = {"gateway", "instance"}


def in_dashboard() -> list[str]:
    panels = [
        target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
    ]
    asked = [
        item["query"]["query"]
        for item in DASHBOARD["templating"]["list"]
        if item["type"] == "query"
    ]
    return panels + asked


def expressions() -> list[str]:
    return [rule["expr"] for rule in RULES] + in_dashboard()


def test_there_is_something_to_check() -> None:
    assert (len(ALERTS), len(DASHBOARD["panels"])) > (20, 30)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("part", ["presence", "status"])
def test_the_program_knows_of_which_generation_the_gateway_is(part: str) -> None:
    """Later ones are not known without their protocol, and nothing of such a gateway would be."""
    settings = read_yaml(ROOT / "roles/monitoring/vars/main.yml")["__monitoring_settings"]
    assert "gateway_profile" in str(settings[part])
    assert "gateway_protocol" in str(settings[part])


def test_every_metric_that_is_asked_for_exists() -> None:
    asked = {name for text in expressions() for name, _labels in NAME.findall(text)}
    assert asked - set(BY_NAME) == set()


def test_every_recorded_series_is_recorded() -> None:
    used = {name for text in expressions() for name in RECORDED.findall(text)}
    assert used == {rule["record"] for rule in RULES if "record" in rule}


def test_every_label_that_is_asked_for_exists() -> None:
    wrong = [
        f"{name}: {label}"
        for text in expressions()
        for name, labels in NAME.findall(text)
        for label in re.findall(r"(\w+)\s*[=!]", labels)
        if label not in {*BY_NAME[name].labels, *OF_TARGET}
    ]
    assert wrong == []


def test_every_metric_is_shown_or_watched() -> None:
    asked = {name for text in expressions() for name, _labels in NAME.findall(text)}
    # what explains others, and what a person looks up
    extra = {
        "redirected",
        "escrows_omitted",
        "chain_height_blocks",
        "chain_epoch",
        "rotation_enabled",
    }
    extra |= {"funding_horizon_seconds"}
    assert set(BY_NAME) - asked == extra


@pytest.mark.parametrize(
    "panel",
    [
        pytest.param(panel, id=panel["title"])
        for panel in DASHBOARD["panels"]
        if panel["type"] == "table"
    ],
)
def test_a_table_shows_its_labels_as_they_are(panel: dict[str, t.Any]) -> None:
    """Grafana applies the unit of a panel to text that looks like a number: escrow 4709 was 4.71 K."""
    assert "unit" not in panel["fieldConfig"]["defaults"]


def test_the_picture_in_the_guide_is_of_this_dashboard() -> None:
    picture = ROOT / "docs" / "docsite" / "images" / "grafana_dashboard.png"
    checksum = hashlib.sha256((FOLDER / "grafana-dashboard.json").read_bytes()).hexdigest()
    assert f"sha256 {checksum}".encode() in picture.read_bytes(), "run make dashboard-picture"
    assert f"/{picture.name}\n" in GUIDE


def test_the_picture_has_data_for_all_panels() -> None:
    written = {line.split("{")[0] for gateway in GATEWAYS for line in scraped(gateway)}
    asked = {PREFIX + name for text in in_dashboard() for name, _labels in NAME.findall(text)}
    assert asked - written == set()


def rows(title: str) -> dict[str, list[str]]:
    """The rows of a table of the guide, by their first cell."""
    table = GUIDE.split(f"\n{title}\n{'-' * len(title)}\n")[1].split("\n\n")
    lines = "\n".join(table)
    found = re.findall(r"   \* - ``(\w+)``\n((?:     - .*\n)+)", lines + "\n")
    return {name: re.findall(r"     - (.*)", cells) for name, cells in found}


def test_the_guide_describes_all_metrics_as_the_program_does() -> None:
    expected = {
        family.name: [", ".join(f"``{label}``" for label in family.labels) or "\\-", family.help]
        for family in FAMILIES
    }
    found = {name: cells for name, cells in rows("Metrics").items() if name in BY_NAME}
    assert found == expected


def unknowns() -> set[str]:
    """What the program calls unknown, the names of parts excepted."""
    source = (ROOT / "plugins/module_utils/_monitor/exposition.py").read_text()
    named = set(re.findall(r"(?:unknown|known_or)\(\s*\"(\w+)\"", source))
    assert 'page.unknown(f"gateway_{slot}")' in source
    return {*named, *MEASURED, "gateway_main", "gateway_temp"}


def test_the_guide_says_which_unknowns_fail_a_look() -> None:
    named = unknowns() - {*MEASURED}
    table, measured = GUIDE.split("   * - ``what``\n")[1].split("\n\nThree values ")
    cells = re.findall(r"^   \* - (.*)$", table, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"``(\w+)``", cell)}
    assert named - listed == set()
    waits = set(re.findall(r"``(\w+)``", measured.split("\n\n")[0]))
    assert waits == set(MEASURED)
    assert listed & waits == set()


def test_the_guide_describes_all_alarms() -> None:
    found = {name: cells[:2] for name, cells in rows("Alarms").items() if name in ALERTS}
    assert found == {
        name: [rule["labels"]["severity"], rule["for"]] for name, rule in ALERTS.items()
    }


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alarm_says_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    notes: dict[str, t.Any] = rule["annotations"]
    assert sorted(notes) == ["description", "guide", "run", "summary"]
    assert rule["labels"]["severity"] in ("critical", "warning")
    playbook = re.match(rf"ansible-playbook {FULL_NAME}\.(\w+)", notes["run"])
    assert playbook is not None
    assert playbook[1] in PLAYBOOKS
    assert (GUIDES / f"{notes['guide']}.rst").is_file()
    assert notes["description"].endswith((".", "timer"))


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alarm_is_tested_both_ways(name: str) -> None:
    mine = [one for test in TESTS for one in test["alert_rule_test"] if one["alertname"] == name]
    assert sorted(bool(one["exp_alerts"]) for one in mine) == [False, True]

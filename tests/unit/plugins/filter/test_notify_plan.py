# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Which alarms are sent: once, again after hours, and when they are gone for certain."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.notify_plan import (
    notify_plan,
)

Data = dict[str, t.Any]

HOUR = 3600


def status(*findings: tuple[str, str], about: str = "escrows", run: str = "") -> Data:
    return {
        "escrows": [{"id": 7}, {"id": 12}],
        "findings": [
            {"severity": severity, "about": about, "text": text, "run": run}
            for severity, text in findings
        ],
    }


NEAR = status(("danger", "escrow 7: 900 blocks left"))


def states(plan: Data) -> list[tuple[str, str]]:
    return [(alarm["host"], alarm["state"]) for alarm in plan["body"]["alarms"]]


def test_nothing_wrong_sends_nothing() -> None:
    plan = notify_plan({"a": status(("ok", "fine"), ("warning", "mild"))})
    assert (plan["send"], states(plan)) == (False, [])


def test_an_alarm_that_stays_is_sent_again_after_hours() -> None:
    first = notify_plan({"a": NEAR}, now=0)
    assert states(first) == [("a", "new")]
    soon = notify_plan({"a": NEAR}, first["state"], 23 * HOUR)
    assert not soon["send"]
    later = notify_plan({"a": NEAR}, soon["state"], 24 * HOUR)
    assert states(later) == [("a", "still there")]
    assert later["body"]["alarms"][0]["since"] == "1970-01-01T00:00:00Z"
    # the pause begins again
    assert not notify_plan({"a": NEAR}, later["state"], 47 * HOUR)["send"]
    assert not notify_plan({"a": NEAR}, first["state"], 99 * HOUR, "danger", 0)["send"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("escrow 7: 12.5 blocks left", True),
        ("escrow 7: 1,899 blocks left", True),
        ("escrow 12: 900 blocks left", False),
        ("escrow 7: 900 blocks left of M2.7", False),
    ],
)
def test_only_numbers_that_are_not_ids_may_change(text: str, same: bool) -> None:
    first = notify_plan({"a": NEAR})
    again = notify_plan({"a": status(("danger", text))}, first["state"], 1)
    assert again["send"] is not same


def test_models_whose_names_differ_in_a_number_are_two() -> None:
    both = status(("danger", "no usable escrow for M2.7"), ("danger", "no usable escrow for M2.6"))
    assert len(notify_plan({"a": both})["body"]["alarms"]) == 2


def test_what_is_gone_is_cleared_once() -> None:
    first = notify_plan({"a": NEAR})
    gone = notify_plan({"a": status()}, first["state"], HOUR)
    assert states(gone) == [("a", "cleared")]
    assert not notify_plan({"a": status()}, gone["state"], 2 * HOUR)["send"]


@pytest.mark.parametrize("blind", [None, "", {}, status(("not known", "the chain did not answer"))])
def test_what_is_not_known_clears_nothing(blind: t.Any) -> None:
    first = notify_plan({"a": NEAR})
    plan = notify_plan({"a": blind}, first["state"], HOUR, "danger")
    assert not plan["send"]
    back = notify_plan({"a": NEAR}, plan["state"], 2 * HOUR)
    assert not back["send"]


def test_a_host_without_a_status_is_an_alarm() -> None:
    plan = notify_plan({"a": None})
    assert states(plan) == [("a", "new")]
    assert plan["body"]["alarms"][0]["severity"] == "not known"


def test_hosts_of_another_run_are_left_alone() -> None:
    first = notify_plan({"a": NEAR, "b": NEAR})
    assert len(first["body"]["alarms"]) == 2
    only = notify_plan({"b": status()}, first["state"], HOUR)
    assert states(only) == [("b", "cleared")]
    assert len(json.loads(only["state"])["alarms"]) == 1


@pytest.mark.parametrize(("severity", "count"), [("danger", 1), ("not known", 2), ("warning", 3)])
def test_the_threshold(severity: str, count: int) -> None:
    found = status(("danger", "a"), ("not known", "b"), ("warning", "c"), ("ok", "d"))
    assert len(notify_plan({"a": found}, severity=severity)["body"]["alarms"]) == count


@pytest.mark.parametrize(
    "state",
    ["no json", "[]", "{}", '{"schema": 2, "alarms": {}}', '{"schema": 1, "alarms": {"a": {}}}'],
)
def test_a_state_that_cannot_be_read_hides_nothing(state: str) -> None:
    plan = notify_plan({"a": NEAR}, state)
    assert states(plan) == [("a", "new")]
    assert "each alarm counts as new" in plan["text"]


def test_the_command_names_the_host() -> None:
    run = "gonka.devshard.settle -e settle_ids=7"
    plan = notify_plan({"a": status(("danger", "x"), run=run)})
    assert plan["body"]["alarms"][0]["command"] == (
        "ansible-playbook gonka.devshard.settle -e devshard_hosts=a -e settle_ids=7"
    )


@pytest.mark.parametrize(("hosts", "severity"), [([], "danger"), ({}, "mild")])
def test_what_makes_no_sense_is_refused(hosts: t.Any, severity: str) -> None:
    with pytest.raises(AnsibleFilterError, match="notify_plan: "):
        notify_plan(hosts, severity=severity)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The tests of Jinja: an address by its checksum, and a gateway that is known to be idle."""

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.modules import gateway_drain, gateway_info
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.tests import (
    creator_address,
    drained,
)
from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import run_ansible

Data = dict[str, t.Any]

ADDRESS = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


def sample(module: t.Any) -> Data:
    """What a module returns, as its documentation shows it."""

    def value(field: Data) -> t.Any:
        inner = field.get("contains")
        return {name: value(part) for name, part in inner.items()} if inner else field["sample"]

    return {
        name: value(field)
        for name, field in yaml.safe_load(module.RETURN).items()
        if name != "failure"
    }


WAITED = sample(gateway_drain)
SEEN = sample(gateway_info)


def seen(*, limiter: t.Any = 0, **row: t.Any) -> Data:
    found = copy.deepcopy(SEEN)
    found["gateway"]["in_flight_requests"] = limiter
    found["gateway"]["devshards"][0] |= {"active_requests": 0, **row}
    return found


def test_an_address_is_one_by_its_checksum() -> None:
    assert creator_address(ADDRESS)
    for other in (ADDRESS[:-1] + "q", ADDRESS.upper(), "cosmos1abc", "", None, 5, [ADDRESS]):
        assert not creator_address(other)


def test_a_finished_wait_is_drained() -> None:
    assert drained(WAITED)


@pytest.mark.parametrize(
    "change",
    [
        {"drained": False},
        {"drained": None},
        {"last": {"verdict": "unknown"}},
        {"last": {"verdict": "busy"}},
        {"last": None},
    ],
)
def test_a_wait_that_ended_otherwise_is_not(change: Data) -> None:
    assert not drained({"drain": WAITED["drain"] | change})


def test_one_look_at_an_idle_gateway_is_drained() -> None:
    assert drained(seen())
    assert drained(seen(active=False, loaded=False, active_requests=None))


@pytest.mark.parametrize(
    "found",
    [
        SEEN,
        seen(limiter=1),
        seen(limiter=None),
        seen(limiter=-1),
        seen(active_requests=2),
        seen(active_requests=-1),
        seen(background=1),
        seen(active_requests=None),
        seen(active_requests=None, loaded=False),
        seen(active=None),
        {"gateway": {}},
        {"gateway": {"devshards": [], "in_flight_requests": "0"}},
        {"gateway": {"devshards": [None], "in_flight_requests": 0}},
    ],
)
def test_a_busy_or_unknown_gateway_is_not(found: Data) -> None:
    assert not drained(found)


@pytest.mark.parametrize("state", ["failed", "skipped", "unreachable"])
def test_a_result_without_an_answer_is_not(state: str) -> None:
    assert not drained({**WAITED, state: True})


@pytest.mark.parametrize("result", ["drained", None, {}, {"edge": {"slot": "temp", "workers": []}}])
def test_what_does_not_say_it_is_refused(result: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="drained: "):
        drained(result)


def test_a_play_uses_them_by_their_names(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    checks = [
        f"'{ADDRESS}' is gonka.devshard.creator_address",
        "'gonka1x' is not gonka.devshard.creator_address",
        "waited is gonka.devshard.drained",
        "seen is not gonka.devshard.drained",
        "'5.001 GNK' | gonka.devshard.ngonka == 5001000000",
        "5001000000 | gonka.devshard.gonka == '5.001 GNK'",
    ]
    play.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "vars": {"waited": WAITED, "seen": SEEN},
                    "tasks": [{"ansible.builtin.assert": {"that": checks}}],
                }
            ]
        )
    )
    ran = run_ansible("playbook", play)
    assert ran.returncode == 0, ran.stdout + ran.stderr

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What retiring a gateway means, for every state of what is left of it."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import fields, replace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._presence.retirement import (
    STEPS,
    Plan,
    Seen,
    Wish,
    plan,
)

PLACE = "/srv/gateway"
SERVING = Seen(
    running=True,
    note=False,
    unchanged=None,
    archived=None,
    compose=True,
    database=True,
    storage=True,
    edge=True,
    redirected=False,
)
RETIRED = replace(SERVING, running=False, note=True, unchanged=True, archived=True)
SETTLED = replace(RETIRED, archived=False)
NOTHING = Seen(
    running=False,
    note=False,
    unchanged=None,
    archived=None,
    compose=False,
    database=False,
    storage=False,
    edge=False,
    redirected=False,
)
ANSWERS = (True, False, None)
NAMES = [field.name for field in fields(Seen)]
STATES = [
    Seen(**dict(zip(NAMES, found, strict=True)))
    for found in itertools.product(ANSWERS, repeat=len(NAMES))
]
WISHES = [Wish(remove=remove, base_url=url) for remove in (True, False) for url in (True, False)]


def planned(seen: Seen, **wish: bool) -> Plan:
    return plan(seen, Wish(**wish), PLACE)


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_no_state_lets_a_deposit_go(wish: Wish) -> None:
    assert len(STATES) == 3**9
    for seen in STATES:
        found = plan(seen, wish, PLACE)
        assert (found.refusal == "") is (found.state != "unknown"), seen
        if found.refusal:
            assert found.steps == (), seen
        # a storage goes only after it was settled and archived: in this run, or by a record of
        # which the database is proved to be the one that was archived
        if "remove" in found.steps:
            archived = seen.running is False and seen.note is True and seen.unchanged is True
            assert wish.remove
            assert archived or found.steps[:2] == ("settle", "stop"), seen
            assert (seen.archived is True) or "stop" in found.steps, seen
        # nothing is stopped unsettled, and only what runs is settled and stopped
        assert ("settle" in found.steps) is (seen.running is True), seen
        assert ("stop" in found.steps) is (found.state in ("serving", "settled")), seen
        if found.state == "settled":
            left = (seen.running, seen.note, seen.unchanged, seen.archived)
            assert left == (False, True, True, False)
        assert [step for step in STEPS if step in found.steps] == list(found.steps), seen
        # what is not known is never taken for retired or for nothing
        if found.state == "retired":
            assert (seen.running, seen.note, seen.unchanged) == (False, True, True)
            assert seen.archived is True
        if found.state == "absent":
            left = (seen.running, seen.note, seen.compose, seen.database)
            assert left == (False, False, False, False)
            assert found.steps == ()


@pytest.mark.parametrize(
    ("seen", "wish", "state", "steps"),
    [
        (SERVING, {}, "serving", ("settle", "stop", "edge")),
        (SERVING, {"remove": True}, "serving", STEPS),
        # clients are sent to another gateway, by this run or since before it
        (SERVING, {"base_url": True}, "serving", ("settle", "stop")),
        (replace(SERVING, redirected=True), {}, "serving", ("settle", "stop")),
        (replace(SERVING, edge=False), {}, "serving", ("settle", "stop")),
        # a note beside a running container is left from an interrupted run of site
        (replace(SERVING, note=True), {}, "serving", ("settle", "stop", "edge")),
        # stopped after the record, before the edge answered: the next run completes it
        (RETIRED, {}, "retired", ("edge",)),
        (RETIRED, {"remove": True, "base_url": True}, "retired", ("remove",)),
        (replace(RETIRED, storage=False), {"remove": True, "base_url": True}, "retired", ()),
        # interrupted after everything was settled: the gateway is not asked again
        (SETTLED, {}, "settled", ("stop", "edge")),
        (SETTLED, {"remove": True, "base_url": True}, "settled", ("stop", "remove")),
        (replace(SETTLED, running=True), {}, "serving", ("settle", "stop", "edge")),
        (NOTHING, {}, "absent", ()),
        (NOTHING, {"remove": True}, "absent", ()),
    ],
)
def test_what_is_done(seen: Seen, wish: dict[str, t.Any], state: str, steps: object) -> None:
    found = planned(seen, **wish)
    assert (found.state, found.steps, found.refusal) == (state, steps, "")


@pytest.mark.parametrize(
    ("seen", "wish", "words"),
    [
        (replace(SERVING, running=None), {}, "it is unknown whether the gateway"),
        (replace(RETIRED, running=None), {}, "it is unknown whether the gateway"),
        (replace(SERVING, running=False), {}, "has not settled and archived it"),
        (replace(NOTHING, compose=True), {}, "has not settled and archived it"),
        (replace(NOTHING, database=True), {}, "has not settled and archived it"),
        (replace(NOTHING, database=None), {}, "has not settled and archived it"),
        (replace(NOTHING, note=None), {}, "has not settled and archived it"),
        (replace(NOTHING, storage=True), {"remove": True}, "is not removed"),
        (replace(RETIRED, unchanged=False), {}, "has served again"),
        (replace(SETTLED, unchanged=False), {}, "escrows that it did not have then"),
        (replace(SETTLED, unchanged=None), {}, "could not be compared"),
        (replace(RETIRED, archived=None), {}, "could not be compared"),
        (replace(RETIRED, unchanged=None), {}, "could not be compared"),
    ],
)
def test_what_is_refused(seen: Seen, wish: dict[str, t.Any], words: str) -> None:
    found = planned(seen, **wish)
    assert words in found.refusal
    assert PLACE in found.refusal
    assert found.to_result() == {"state": "unknown", "steps": [], "refusal": found.refusal}

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A new key is made once, waits for a container, and is never the only copy of an old one."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import (
    ADMIN_API_KEY,
    API_KEYS,
    PRIVATE_KEY,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import key_rotation
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.key_rotation import (
    ACTIONS,
    KeyNotes,
    rotate,
)

ADMIN = "sk-admin-" + "a" * 24
CLIENT = "sk-" + "c" * 24
OLDER = "sk-" + "o" * 24
PRESENT = {ADMIN_API_KEY: ADMIN, API_KEYS: CLIENT, PRIVATE_KEY: "1" * 64}


NOTES_OF_0_8_0 = KeyNotes(done={"client_add": "2026-11-01"})


def maker() -> t.Callable[[str], str]:
    count = itertools.count(1)
    return lambda name: f"sk-new-{name[-4:].lower()}-{next(count):020d}"


@pytest.mark.parametrize(
    ("action", "keys"),
    [
        ("client_add", 3),
        ("client_replace", 1),
        ("client_drop", 1),
    ],
)
def test_what_becomes_of_the_keys_of_clients(action: t.Any, keys: int) -> None:
    there = {**PRESENT, API_KEYS: f"{CLIENT},{OLDER}"}
    found = rotate("one", [action], NOTES_OF_0_8_0, there, maker())
    value = found.notes.staged[API_KEYS].split(",")
    assert len(value) == keys
    assert (value[0] == CLIENT) is (action == "client_drop")
    assert (CLIENT in value) is (action != "client_replace")
    assert set(found.notes.staged) == {API_KEYS}
    assert found.begun == (action,)


def test_one_key_of_clients_is_not_dropped() -> None:
    found = rotate("one", ["client_drop"], KeyNotes(), PRESENT, maker())
    assert (found.begun, found.pending) == ((), ())
    assert found.notes.done == {"client_drop": "one"}


def test_only_keys_behind_one_that_was_made_are_dropped() -> None:
    """An owner's list may have any order, and a client with the second key would be refused."""
    adopted = {**PRESENT, API_KEYS: f"{CLIENT},{OLDER}"}
    told = r"client_drop keeps only the first.*Run client_add first.*gateway_api_keys"
    for notes in (KeyNotes(), KeyNotes(done={"admin": "x", "client_replace": "x"})):
        with pytest.raises(ConfigurationError, match=told) as refused:
            rotate("one", ["client_drop"], notes, adopted, maker())
        assert CLIENT not in str(refused.value)
    made = maker()
    added = rotate("one", ["client_add"], KeyNotes(), adopted, made)
    there = {**adopted, **added.notes.staged}
    used = key_rotation.parse(added.notes.used().to_json(), "notes")
    assert used.made_first(there[API_KEYS])
    dropped = rotate("one", ["client_drop"], used, there, made)
    assert dropped.notes.staged == {API_KEYS: there[API_KEYS].partition(",")[0]}
    # and not any more once the inventory has given others
    with pytest.raises(ConfigurationError, match="client_drop keeps only the first"):
        rotate("one", ["client_drop"], used, adopted, made)
    assert there[API_KEYS].partition(",")[0] not in used.to_json()


def test_what_was_done_under_a_name_is_not_done_again() -> None:
    made = maker()
    first = rotate("one", ["admin"], KeyNotes(), PRESENT, made)
    there = {**PRESENT, **first.notes.staged}
    again = rotate("one", ["admin"], first.notes.used(), there, made)
    assert again.notes == first.notes.used()
    assert again.begun == ()
    other = rotate("two", ["admin"], first.notes.used(), there, made)
    assert other.begun == ("admin",)


def test_a_key_that_waits_is_kept_whatever_the_name() -> None:
    made = maker()
    first = rotate("one", ["client_add"], KeyNotes(), PRESENT, made)
    for name in ("one", "two"):
        again = rotate(name, ["client_add", "admin"], first.notes, PRESENT, made)
        assert again.notes.staged[API_KEYS] == first.notes.staged[API_KEYS]
        assert again.begun == ("admin",)


def test_another_action_waits_for_the_swap_of_the_first() -> None:
    first = rotate("one", ["client_add"], KeyNotes(), PRESENT, maker())
    with pytest.raises(ConfigurationError, match=r"client_add made waits.*hot_swap") as told:
        rotate("one", ["client_drop"], first.notes, PRESENT, maker())
    assert first.notes.staged[API_KEYS] not in str(told.value)


def test_a_gateway_without_the_key_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no DEVSHARD_ADMIN_API_KEY.*gonka\.devshard\.site"
    ):
        rotate("one", ["admin"], KeyNotes(), {API_KEYS: CLIENT}, maker())


@pytest.mark.parametrize("name", ["", "-x", "a b", "a" * 65])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="the name of a rotation"):
        key_rotation.check_wish(name, ["admin"], KeyNotes())


def test_a_rotation_without_a_name_is_told_which_one_it_would_continue() -> None:
    """By the date as its name, the same command made second keys behind midnight."""
    made = maker()
    waits = rotate("2026-11-30", ["client_replace"], KeyNotes(), PRESENT, made).notes
    for notes, told in (
        (KeyNotes(), "rotate_keys_name is not set, so no key was made.*rotate_keys_name=2026-12$"),
        (waits, "still waits for a container.*on another one.*rotate_keys_name=2026-11-30"),
        # where it is done, another host may not be
        (waits.used(), "client_replace was done here under.*rotate_keys_name=2026-11-30"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            key_rotation.check_wish(None, ["client_replace"], notes)
    with pytest.raises(ConfigurationError, match="client_replace was done here"):
        # which has to be finished first
        key_rotation.check_wish(None, ["admin", "client_add"], waits)
    with pytest.raises(ConfigurationError, match=r"name it|Name it"):
        key_rotation.check_wish(None, ["admin"], waits.used())
    # with its name, each host is continued or left alone
    again = rotate("2026-11-30", ["client_replace"], waits.used(), PRESENT, made)
    assert (again.begun, again.notes) == ((), waits.used())


@pytest.mark.parametrize("mode", ["temp", "pool", "generation"])
@pytest.mark.parametrize("names", [(), ("GATEWAY_EXTRA",), (API_KEYS,), (ADMIN_API_KEY, API_KEYS)])
def test_a_pair_of_gateways_gets_no_other_keys_by_a_swap(mode: str, names: tuple[str, ...]) -> None:
    found = key_rotation.pool_fault(mode, names)
    refused = mode == "pool" and API_KEYS in names
    assert (found is not None) is refused
    if found is not None:
        assert "gateway_allow_recreate=true" in found
        assert ("gateway_admin_api_key" in found) is (ADMIN_API_KEY in names)


def test_two_things_at_once_with_the_keys_of_clients_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="client_add and client_drop"):
        key_rotation.check_wish("one", ["client_add", "client_drop"], KeyNotes())
    key_rotation.check_wish("one", ["admin", "client_drop"], KeyNotes())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two"]),
            st.sampled_from([*((action,) for action in ACTIONS), ("admin", "client_add")]),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_any_row_of_rotations_and_swaps(
    row: list[tuple[str, tuple[key_rotation.Action, ...], bool]],
) -> None:
    """Notes survive their file, the creator's key is never touched, no key is made twice."""
    made = maker()
    present = {**PRESENT, API_KEYS: f"{CLIENT},{OLDER}"}
    notes = KeyNotes()
    for name, actions, swapped in row:
        try:
            found = rotate(name, actions, notes, present, made)
        except ConfigurationError:
            foreign = actions == ("client_drop",) and not notes.made_first(present[API_KEYS])
            assert API_KEYS in notes.staged or foreign
            continue
        assert rotate(name, actions, found.notes, present, made).notes == found.notes
        notes = key_rotation.parse(found.notes.to_json(), "notes")
        assert notes == found.notes
        assert PRIVATE_KEY not in notes.staged
        if swapped:
            present = {**present, **notes.staged}
            # a file that could not be written after the swap is as good as one that was
            assert rotate(name, actions, notes, present, made).pending == ()
            notes = notes.used()
        assert all(present[API_KEYS].split(","))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "done": {}, "staged": {}}',
        '{"schema": 1, "done": [], "staged": {}, "waiting": {}}',
        '{"schema": 1, "done": {}, "staged": {"DEVSHARD_PRIVATE_KEY": "1"}, "waiting": {}}',
        (
            '{"schema": 1, "done": {}, "staged": {"DEVSHARD_API_KEYS": "short-s3cret"},'
            ' "waiting": {"DEVSHARD_API_KEYS": "client_add"}}'
        ),
        '{"schema": 1, "done": {}, "staged": {}, "waiting": {"DEVSHARD_API_KEYS": "admin"}}',
        '{"schema": 1, "done": {"admin": 1}, "staged": {}, "waiting": {}}',
        '{"schema": 1, "done": {}, "staged": {}, "waiting": {}, "newest": 1}',
    ],
)
def test_a_file_that_cannot_be_read_is_not_taken_for_none(broken: str) -> None:
    with pytest.raises(
        UnknownStateError, match=r"x\.json cannot be read.*rotate_keys_name"
    ) as told:
        key_rotation.parse(broken, "x.json")
    assert "s3cret" not in str(told.value)
    assert told.value.__cause__ is None or "s3cret" not in str(told.value.__cause__)


def test_notes_of_an_earlier_release_are_taken_over() -> None:
    text = '{"done": {"client_add": "2026-11-01"}, "schema": 1, "staged": {}, "waiting": {}}'
    assert key_rotation.parse(text, "notes") == NOTES_OF_0_8_0


def test_keys_are_not_shown() -> None:
    notes = KeyNotes(staged={ADMIN_API_KEY: ADMIN}, waiting={ADMIN_API_KEY: "admin"})
    assert ADMIN not in repr(notes)
    assert json.loads(notes.to_json())["staged"] == {ADMIN_API_KEY: ADMIN}

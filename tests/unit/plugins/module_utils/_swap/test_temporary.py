# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The temporary gateway's files: written once, told truly in check mode, kept while it serves."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._swap.temporary import (
    TempFiles,
    environment_of_main,
    offer,
    prepare,
    temp_environment,
    withdraw,
)


@pytest.fixture
def files(tmp_path: Path) -> TempFiles:
    env_file = tmp_path / "gateway.env"
    env_file.write_text("KEY=1\n")
    return TempFiles(
        storage=tmp_path / "storage" / "temp",
        env_file=env_file,
        environment=tmp_path / "gateway.env.temp",
        compose_file=tmp_path / "docker-compose.temp.yml",
        compose="services: {}\n",
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def listing(files: TempFiles) -> list[str]:
    return sorted(str(path) for path in files.env_file.parent.rglob("*"))


def test_what_a_start_needs_is_made_once(files: TempFiles) -> None:
    made = [str(files.storage), str(files.environment), str(files.compose_file)]
    before = listing(files)
    assert prepare(files, running=False, check_mode=True) == made
    assert listing(files) == before
    assert prepare(files, running=False, check_mode=False) == made
    assert [mode(path) for path in (files.storage, files.environment, files.compose_file)] == [
        0o700,
        0o600,
        0o644,
    ]
    assert files.environment.read_text() == "KEY=1\n"
    assert files.compose_file.read_text() == files.compose
    assert prepare(files, running=False, check_mode=False) == []


def test_what_serves_keeps_its_environment(files: TempFiles) -> None:
    prepare(files, running=False, check_mode=False)
    files.env_file.write_text("KEY=2\n")
    assert prepare(files, running=True, check_mode=False) == []
    assert files.environment.read_text() == "KEY=1\n"
    assert prepare(files, running=False, check_mode=False) == [str(files.environment)]
    assert files.environment.read_text() == "KEY=2\n"


def test_an_environment_that_was_lost_is_copied_again_although_it_runs(files: TempFiles) -> None:
    prepare(files, running=False, check_mode=False)
    files.environment.unlink()
    assert prepare(files, running=True, check_mode=False) == [str(files.environment)]
    assert mode(files.environment) == 0o600


def test_a_shared_environment_is_left_alone(files: TempFiles) -> None:
    """Swaps of early versions gave both gateways the same file."""
    shared = dataclasses.replace(files, environment=files.env_file)
    assert prepare(shared, running=False, check_mode=False) == [
        str(files.storage),
        str(files.compose_file),
    ]
    assert files.env_file.read_text() == "KEY=1\n"


def test_another_compose_file_is_written_anew(files: TempFiles) -> None:
    prepare(files, running=False, check_mode=False)
    changed = dataclasses.replace(files, compose="services: {gateway: {}}\n")
    assert prepare(changed, running=True, check_mode=False) == [str(files.compose_file)]
    assert files.compose_file.read_text() == changed.compose


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_the_gateways_environment_nothing_is_copied(
    files: TempFiles, check_mode: bool
) -> None:
    files.env_file.unlink()
    with pytest.raises(ConfigurationError, match=r"gonka\.devshard\.site first"):
        prepare(files, running=False, check_mode=check_mode)
    assert not files.environment.exists()
    assert not files.compose_file.exists()


def test_the_environment_of_a_swap_that_goes_on_is_the_one_it_began_with() -> None:
    env_file = Path("/d/gateway.env")
    assert temp_environment(None, env_file, started=False) == Path("/d/gateway.env.temp")
    assert temp_environment(None, env_file, started=True) == env_file
    assert temp_environment("/d/other", env_file, started=True) == Path("/d/other")


def test_the_offer_to_the_edge(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    assert withdraw(flag, check_mode=False) is False
    assert offer(flag, check_mode=True) is True
    assert not flag.exists()
    assert offer(flag, check_mode=False) is True
    # nginx, which runs as another user, asks whether it is there
    assert mode(flag) == 0o644
    assert offer(flag, check_mode=False) is False
    assert withdraw(flag, check_mode=True) is True
    assert flag.exists()
    assert withdraw(flag, check_mode=False) is True
    assert not flag.exists()


FILE, COPY = Path("gateway.env"), Path("gateway.env.temp")


@pytest.mark.parametrize(
    ("running", "in_file", "in_copy", "wanted"),
    [
        ("old", "old", "old", FILE),
        # interrupted between the write and the new container
        ("old", "new", "old", COPY),
        # replaced while the temporary gateway serves, and asked once more before another recreate
        ("new", "new", "old", FILE),
        # a move gave the temporary gateway a new key first
        ("old", "old", "new", FILE),
        # nothing tells the key: it is asked with the file, and does not answer
        ("old", "new", "newer", FILE),
        ("old", None, None, FILE),
        # no container, or one without the variable
        (None, "new", "old", FILE),
        ("", "new", "", FILE),
    ],
)
def test_main_is_asked_with_the_key_that_it_was_started_with(
    running: str | None, in_file: str | None, in_copy: str | None, wanted: Path
) -> None:
    assert environment_of_main(running, {FILE: in_file, COPY: in_copy}) == wanted
    assert environment_of_main(running, {FILE: in_file}) == FILE

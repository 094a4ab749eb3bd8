# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A backup comes to the controller, and the key with it only when it is encrypted."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    run_ansible,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    refused_url,
    running,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "5ecre7" * 10
# stands in for age: what it writes cannot be read as what it was given
SEALER = """#!/bin/sh
test "$1" = --version && exit 0
test "$3" = age1wrong && { echo "age: error: malformed recipient" >&2; exit 1; }
echo "sealed for $3"
# what Ansible has written by then
grep -rlsF Y29uZmlnLmVud "${0%/*}/../tmp" > "${0%/*}/../seen"
exec base64
"""


class Host:
    """A host and a controller in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.controller = folder / "controller"
        (folder / "backups" / "one").mkdir(parents=True)
        (folder / "backups" / "one" / "gateway.db").write_text("database")
        (folder / "keyring").mkdir()
        (folder / "keyring" / "key.info").write_text("key")
        (folder / "config.env").write_text(f"PRIVATE={SECRET}\n")

    def run(self, point: str, *, check: bool = False, **given: object) -> tuple[bool, str]:
        settings = {
            "backup_dir": str(self.folder / "backups"),
            "backup_fetch_dir": str(self.controller),
            "devshard_env_file": str(self.folder / "config.env"),
            "devshard_keyring_dir": str(self.folder / "keyring"),
            "devshard_deploy_dir": str(self.folder),
            "devshard_secure_logging": True,
            "__devshard_checked": "{{ devshard_presence }}",
            "__backup_made": {"backup": {"name": "one"}, "holds_keys": False},
            "ansible_python_interpreter": sys.executable,
            **given,
        }
        path = self.folder / "vars.json"
        path.write_text(json.dumps({key: value for key, value in settings.items() if value}))
        # without the settings of the role's dependency, which want a chain
        tasks = Path(__file__).parents[3] / "roles" / "backup"
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(tasks / "vars/main.yml")],
            "tasks": [{"ansible.builtin.import_tasks": str(tasks / f"tasks/{point}.yml")}],
        }
        (self.folder / "play.json").write_text(json.dumps([play]))
        play_file = self.folder / "play.json"
        options = ["-vvv", "-i", "localhost,", "-e", f"@{path}", *(["--check"] if check else [])]
        done = run_ansible("playbook", *options, play_file)
        return done.returncode == 0, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "age").write_text(SEALER)
    (programs / "age").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{Path('/usr/bin')}:/bin")
    return Host(tmp_path)


def changes(said: str) -> int:
    (found,) = re.findall(r"localhost : ok=\d+ changed=(\d+) ", said)
    return int(found)


@pytest.mark.parametrize(
    ("keys", "recipient"), [(False, None), (False, "age1right"), (True, "age1right")]
)
def test_check_mode_counts_the_changes_of_the_copy(
    host: Host, keys: bool, recipient: str | None
) -> None:
    given: dict[str, t.Any] = {
        "__backup_made": {"backup": {"name": "one"}, "holds_keys": keys},
        "backup_recipient": recipient,
    }
    done, predicted = host.run("predict_fetch", check=True, **given)
    assert done, predicted
    assert not host.controller.exists()
    done, said = host.run("fetch", **given)
    assert done, said
    assert changes(predicted) == changes(said) > 1


def test_a_backup_comes_without_the_key(host: Host) -> None:
    done, said = host.run("fetch")
    assert done, said
    assert "It does not contain the key of the creator" in said
    (packed,) = host.controller.rglob("*.*")
    assert packed.name == "one.tar"
    with tarfile.open(packed) as archive:
        assert archive.getnames() == ["one", "one/gateway.db"]
    assert [path.name for path in (host.folder / "backups").iterdir()] == ["one"]


WITH_KEYS = {"backup": {"name": "one"}, "holds_keys": True}


def test_a_database_with_keys_is_refused_without_a_recipient(host: Host) -> None:
    done, said = host.run("fetchable", __backup_made=WITH_KEYS)
    assert not done
    assert "holds private keys in its records" in said
    assert "Set backup_recipient" in said
    done, said = host.run("fetchable")
    assert done, said


def test_a_database_with_keys_comes_encrypted(host: Host) -> None:
    done, said = host.run("fetch", __backup_made=WITH_KEYS, backup_recipient="age1right")
    assert done, said
    assert "one.keys.tar.age, with the backup and the keys, encrypted" in said
    (sealed,) = host.controller.rglob("*.*")
    _first, _line, rest = sealed.read_text().partition("\n")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(rest))) as archive:
        assert {"config.env", "keyring/key.info", "one/gateway.db"} <= set(archive.getnames())


def test_a_copy_that_could_not_be_fetched_is_removed_from_the_host(host: Host) -> None:
    (host.controller / "localhost" / "one.tar").mkdir(parents=True)
    done, said = host.run("fetch")
    assert not done, said
    assert [path.name for path in (host.folder / "backups").iterdir()] == ["one"]


def test_the_key_comes_encrypted(host: Host) -> None:
    done, said = host.run("fetch", backup_recipient="age1right")
    assert done, said
    sealed = host.controller / "localhost" / "one.keys.tar.age"
    assert sealed.stat().st_mode & 0o077 == 0
    first, _line, rest = sealed.read_text().partition("\n")
    assert first == "sealed for age1right"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(rest))) as archive:
        assert archive.getnames() == ["config.env", "keyring", "keyring/key.info"]
        member = archive.extractfile("config.env")
        assert member is not None
        assert SECRET in member.read().decode()
    plain = base64.b64encode(SECRET.encode()).decode()[:20]
    assert SECRET not in said
    assert plain not in said


def test_the_key_is_never_unencrypted_on_the_controller(host: Host) -> None:
    """Without pipelining Ansible writes the arguments of a module, its input too, into a file."""
    done, said = host.run(
        "fetch", backup_recipient="age1right", ansible_remote_tmp=str(host.folder / "tmp")
    )
    assert done, said
    assert (host.folder / "tmp").is_dir()
    assert (host.folder / "seen").read_text() == ""


def test_a_controller_that_keeps_the_files_of_modules_gets_no_key(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It disables pipelining."""
    monkeypatch.setenv("HOME", str(host.folder))
    (host.folder / ".ansible.cfg").write_text("[defaults]\nkeep_remote_files = true\n")
    done, said = host.run("preflight", backup_recipient="age1right")
    assert not done
    assert "unset ANSIBLE_KEEP_REMOTE_FILES" in said
    assert not host.controller.exists()


def test_a_wrong_recipient_is_named(host: Host) -> None:
    done, said = host.run("fetch", backup_recipient="age1wrong")
    assert not done
    assert "did not encrypt the creator's key for backup_recipient age1wrong" in said
    assert "malformed recipient" in said
    assert [path.name for path in host.controller.rglob("*.*")] == ["one.tar"]


def test_a_recipient_without_a_folder_or_a_program_is_refused(host: Host) -> None:
    done, said = host.run("preflight", backup_recipient="age1right", backup_fetch_dir="")
    assert not done
    assert "backup_recipient is set without backup_fetch_dir" in said
    (host.folder / "programs" / "age").unlink()
    done, said = host.run("preflight", backup_recipient="age1right")
    assert not done
    assert "needs the program age, which does not run on the controller" in said
    assert not host.controller.exists()


GONE = {"known": True, "exists": False}
STOPPED = {"known": True, "exists": True, "state": "exited"}
PAUSED = {"known": True, "exists": True, "state": "paused"}
RUNNING = {"known": True, "exists": True, "state": "running"}
UNKNOWN = {"known": False, "exists": False}


def stoppable(host: Host, url: str, container: Mapping[str, object]) -> tuple[bool, str]:
    presence = {"container": {"name": "devshardctl-multi", **container}}
    return host.run("stoppable", devshard_gateway_url=url, devshard_presence=presence)


@pytest.mark.parametrize("container", [RUNNING, PAUSED, UNKNOWN], ids=["runs", "paused", "unknown"])
def test_a_gateway_that_does_not_answer_is_not_stopped(
    host: Host, container: Mapping[str, object]
) -> None:
    """It may serve streams; a connection without an answer is not a closed port."""
    with running() as server:
        server.answers(Answer(reset=True))
        done, said = stoppable(host, server.url, container)
    assert not done
    assert "devshardctl-multi did not answer" in said
    assert "docker stop devshardctl-multi" in said


@pytest.mark.parametrize("container", [GONE, STOPPED], ids=["gone", "stopped"])
def test_a_container_that_does_not_run_serves_no_stream(
    host: Host, container: Mapping[str, object]
) -> None:
    with running() as server:
        server.answers(Answer(reset=True))
        done, said = stoppable(host, server.url, container)
    assert done, said


def test_a_port_that_refuses_the_connection_serves_no_stream(host: Host) -> None:
    done, said = stoppable(host, refused_url(), UNKNOWN)
    assert done, said

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The address of a creator on the controller; the key is never shown."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import run_ansible

KEY = "b43ecb01b4d5630227750b88ab9fad60138baba36e8be96c839b1dd406880613"
ADDRESS = "gonka162sa29w9w7yc683e6q2awp74rzwsq4rzfauvzy"
OTHER = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"
HOSTS: dict[str, t.Any] = {
    "all": {
        "hosts": {
            "by_key": {"gateway_private_key": "{{ vault_key }}", "vault_key": KEY},
            "by_address": {"creator_address": OTHER},
            "both": {"gateway_private_key": KEY, "creator_address": ADDRESS},
            "differ": {"gateway_private_key": KEY, "creator_address": OTHER},
            "misspelled": {"creator_address": OTHER[:-1] + "q"},
            "short": {"gateway_private_key": KEY[1:]},
            "from_role": {"creator_address_found": OTHER},
            "unknown": {},
        },
        "vars": {"ansible_connection": "local"},
    }
}


def shown(folder: Path, hosts: str, expression: str) -> subprocess.CompletedProcess[str]:
    (folder / "hosts.yml").write_text(yaml.safe_dump(HOSTS))
    play = {
        "hosts": hosts,
        "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"msg": f"{{{{ {expression} }}}}"}}],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    ran = run_ansible("playbook", "-i", folder / "hosts.yml", folder / "play.yml")
    assert KEY[1:] not in ran.stdout + ran.stderr
    return ran


def test_each_host_knows_its_own(tmp_path: Path) -> None:
    ran = shown(tmp_path, "all", "lookup('gonka.devshard.creator_address')")
    said = " ".join((ran.stdout + ran.stderr).split())
    for host, address in (
        ("by_key", ADDRESS),
        ("by_address", OTHER),
        ("both", ADDRESS),
        ("from_role", OTHER),
    ):
        assert f'ok: [{host}] => {{ "msg": "{address}" }}' in said
    for text in (
        f"differ: gateway_private_key is the key of {ADDRESS}, but creator_address is {OTHER}",
        "misspelled: creator_address: gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsygq is misspelled",
        "short: gateway_private_key: the key must be exactly 64 hexadecimal digits, it has 63",
        "unknown: neither gateway_private_key nor creator_address is set",
    ):
        assert text in said, text


def test_those_of_other_hosts(tmp_path: Path) -> None:
    names = "'by_key', 'by_address'"
    ran = shown(tmp_path, "unknown", f"query('gonka.devshard.creator_address', {names})")
    assert ran.stdout.index(ADDRESS) < ran.stdout.index(OTHER)


def test_a_file_may_be_a_vault(tmp_path: Path) -> None:
    (tmp_path / "plain.key").write_text(f"{KEY}\n")
    (tmp_path / "password").write_text("secret")
    (tmp_path / "vault.key").write_text(f"{KEY}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "vault", "encrypt"),
            *("--vault-password-file", tmp_path / "password", tmp_path / "vault.key"),
        ],
        check=True,
        capture_output=True,
    )
    for name, said in (
        ("plain.key", ADDRESS),
        ("vault.key", "cannot be read as text, or decrypted"),
        ("none.key", "cannot be read as text, or decrypted"),
    ):
        path = tmp_path / name
        ran = shown(
            tmp_path, "unknown", f"lookup('gonka.devshard.creator_address', key_file='{path}')"
        )
        assert said in " ".join((ran.stdout + ran.stderr).split())


def test_an_environment_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_CREATOR", KEY)
    expression = "lookup('gonka.devshard.creator_address', key_env='NEW_CREATOR')"
    assert ADDRESS in shown(tmp_path, "unknown", expression).stdout
    monkeypatch.delenv("NEW_CREATOR")
    ran = shown(tmp_path, "unknown", expression)
    assert "environment variable NEW_CREATOR is not set" in " ".join(
        (ran.stdout + ran.stderr).split()
    )


def test_one_source_at_a_time(tmp_path: Path) -> None:
    ran = shown(
        tmp_path, "unknown", "lookup('gonka.devshard.creator_address', 'by_key', key_env='A')"
    )
    assert "exclude each other" in " ".join((ran.stdout + ran.stderr).split())

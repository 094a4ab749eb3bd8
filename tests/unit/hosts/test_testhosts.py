# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Images of the test hosts, and the inventories that fit them, without an engine."""

from __future__ import annotations

import importlib
import subprocess
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.module_utils._gateway import profiles
from simnet.gateway import generation as simulated

HOSTS = Path(__file__).resolve().parents[2] / "hosts"
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], t.Any]:
    monkeypatch.syspath_prepend(HOSTS)
    return lambda name: importlib.import_module(f"testhosts.{name}")


@pytest.fixture
def catalogue(load: t.Callable[[str], t.Any], tmp_path: Path) -> t.Any:
    return load("images").catalogue(tmp_path)


def test_every_generation_of_the_simulator_has_its_images(load: t.Callable[[str], t.Any]) -> None:
    assert set(load("images").GENERATIONS) == set(simulated.GENERATIONS)


def test_the_collection_knows_each_of_them(load: t.Callable[[str], t.Any]) -> None:
    assert set(load("images").GENERATIONS) == set(profiles.known())


def test_the_scenario_of_generations_goes_through_all_but_the_default(
    load: t.Callable[[str], t.Any],
) -> None:
    images = load("images")
    scenario = yaml.safe_load((HOSTS.parents[1] / "molecule/generations/molecule.yml").read_text())
    _unused, _colon, wanted = scenario["ansible"]["env"]["GENERATIONS"].strip("${}").partition(":-")
    assert [images.DEFAULT_GENERATION, *wanted.split()] == list(images.GENERATIONS)


def test_an_image_of_a_gateway_says_its_generation_and_its_version(catalogue: t.Any) -> None:
    changes = {image.name: image.changes for image in catalogue.gateways}
    assert "ENV SIMNET_GATEWAY=v2" in changes["gonka-devshard-gateway-sim:1.0"]
    newer = changes["gonka-devshard-gateway-sim-v4.1:1.1"]
    assert {"ENV SIMNET_GATEWAY=v4.1", "ENV SIMNET_IMAGE_VERSION=1.1"} <= set(newer)


def test_no_two_images_are_one(catalogue: t.Any) -> None:
    assert len({image.reference for image in catalogue.all}) == len(catalogue.all)
    assert len({image.name for image in catalogue.all}) == len(catalogue.all)


def test_an_image_of_other_sources_has_another_reference(
    load: t.Callable[[str], t.Any], tmp_path: Path
) -> None:
    images = load("images")
    before = {image.name: image.reference for image in images.catalogue(tmp_path).all}
    (tmp_path / "more.py").write_text("more = 1\n")
    after = {image.name: image.reference for image in images.catalogue(tmp_path).all}
    changed = {name for name, reference in before.items() if after[name] != reference}
    assert changed == {name for name in before if "-simnet" in name or "-gateway-sim" in name}


def test_only_old_images_of_other_sources_are_removed(load: t.Callable[[str], t.Any]) -> None:
    old, young = NOW - timedelta(days=2), NOW - timedelta(hours=2)
    there = {
        "gonka-devshard-simnet:aaa": old,
        "gonka-devshard-simnet:bbb": old,
        "gonka-devshard-simnet:ccc": young,
        "gonka-devshard-debian:latest": old,
        "<none>:<none>": old,
    }
    found = load("images").outdated(there, {"gonka-devshard-simnet:aaa"}, NOW)
    assert found == ["gonka-devshard-simnet:bbb"]


def test_a_real_gateway_takes_the_place_of_one_generation(
    load: t.Callable[[str], t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = load("images")
    monkeypatch.setenv(images.STAND_INS, "1.0=real:1 v4:1.1=real:2")
    assert images.stand_ins() == {
        "gonka-devshard-gateway-sim:1.0": "real:1",
        "gonka-devshard-gateway-sim-v4:1.1": "real:2",
    }


@pytest.mark.parametrize("entry", ["v5:1.0=real", "v4:2.0=real", "1.0", "=real", "v4=real"])
def test_what_is_no_stand_in_is_refused(
    load: t.Callable[[str], t.Any], monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    images = load("images")
    monkeypatch.setenv(images.STAND_INS, entry)
    with pytest.raises(load("shell").HostsError, match="GENERATION:TAG=IMAGE"):
        images.stand_ins()


def test_the_default_generation_adds_nothing_to_an_inventory(
    load: t.Callable[[str], t.Any],
) -> None:
    assert load("inventory").generation_variables("v2") == {}


def test_a_later_generation_is_told_its_protocol_and_where_the_chain_has_grpc(
    load: t.Callable[[str], t.Any],
) -> None:
    assert load("inventory").generation_variables("v4.1") == {
        "devshard_profile": "v4.1",
        "devshard_protocol": "v4.1",
        "devshard_chain_grpc": "net.gonka.test:9090",
        "gateway_image": "registry.gonka.test:5000/gonka-devshard-gateway-sim-v4.1:1.0",
        "gateway_accounting_port": 9091,
        "edge_accounting": True,
    }


def test_the_network_is_started_with_the_port_that_inventories_name(
    load: t.Callable[[str], t.Any],
) -> None:
    project = load("project")
    command = project._net_command(["--chain=v0.2.16"])
    assert command[-3:] == ["--chain-grpc-port", "9090", "--chain=v0.2.16"]
    assert project.GRPC == "net.gonka.test:9090"


def test_the_slash_of_newer_releases_is_escaped(load: t.Callable[[str], t.Any]) -> None:
    url = load("inventory").release_url
    end = "{{ inferenced_version }}"
    assert url("http://n", "v0.2.13").endswith(f"/download/release/{end}")
    assert url("http://n", "v0.2.16-post1").endswith(f"/download/release%2F{end}")


def test_a_generation_is_given_to_one_host_or_to_all(load: t.Callable[[str], t.Any]) -> None:
    cli = load("cli")
    names = ["one", "two"]
    assert cli.generations(names, []) == {"one": "v2", "two": "v2"}
    assert cli.generations(names, [("", "v4.1"), ("two", "v3")]) == {"one": "v4.1", "two": "v3"}
    with pytest.raises(load("shell").HostsError, match="no host three; there are one, two"):
        cli.generations(names, [("three", "v3")])


def test_molecule_remembers_nothing_from_a_run_before_or_another_checkout() -> None:
    """Its own folder for that is named after the last part of the path, and lies in the user's home."""
    project = HOSTS.parents[1]
    told = subprocess.run(
        ["make", "--dry-run", "molecule", "SCENARIOS=site"],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    state = project / ".cache/molecule/state"
    removed = told.index(f"rm -rf {state}")
    [started] = [at for at, line in enumerate(told) if " molecule test " in line]
    assert removed < started
    assert f"MOLECULE_EPHEMERAL_DIRECTORY='{state}' " in told[started]

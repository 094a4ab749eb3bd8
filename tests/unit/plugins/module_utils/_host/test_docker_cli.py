# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Containers as the docker program lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import FakeHost, run_program


def test_variables_of_the_image_are_not_the_containers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost(tmp_path)
    host.container("gw", None)
    host.containers[0]["Config"]["Env"] = ["PATH=/bin", "LANG=C", "OWN=a=b", "ODD"]
    host.images = [
        {
            "Id": host.containers[0]["Image"],
            "RepoDigests": ["r/i@sha256:1"],
            "Config": {"Env": ["PATH=/bin", "LANG=en"]},
        }
    ]
    host.install()
    monkeypatch.setenv("PATH", str(host.bin))
    docker = docker_cli.find(run_program)
    assert docker is not None
    (one,) = docker_cli.containers(docker)
    # with another value than the image's it is the owner's
    assert one.own_variables == {"LANG": "C", "OWN": "a=b"}
    assert one.container.digests == ("r/i@sha256:1",)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The look at a gateway that somebody made by hand."""

from __future__ import annotations

import dataclasses
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.plan import make
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.plan_model import (
    GatewaySeen,
    GatewayWish,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker as _docker
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.module_utils._presence.gateway import (
    Subject,
    available,
    relation,
    see,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import (
    IMAGE,
    INSIDE,
    SECRET,
    FakeHost,
    run_program,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import without_library


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def look(
    host: FakeHost,
    *,
    in_file: dict[str, str] | None = None,
    storage_dir: Path | None = None,
    **asked: t.Any,
) -> GatewaySeen:
    host.install()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(host.bin))
        subject = Subject(
            asked=host.asked(**asked),
            image=IMAGE,
            image_update=False,
            storage_dir=None if storage_dir is None else str(storage_dir),
            in_file=in_file or {},
        )
        return see(subject, host.host)[0]


def refused(seen: GatewaySeen, host: FakeHost, **changes: t.Any) -> tuple[str, ...]:
    values: dict[str, t.Any] = {
        "deploy_dir": str(host.deploy),
        "container": "devshardctl-multi",
        "image": IMAGE,
        "port": 18080,
        "environment": {},
        "adopt": True,
    }
    return make(GatewayWish(**{**values, **changes}), seen, profile("v2")).refused


def test_a_bare_host(host: FakeHost) -> None:
    seen = look(host)
    assert (seen.own, seen.record, seen.files, seen.uses) == (None, None, (), ())
    assert refused(seen, host) == ()


@pytest.mark.parametrize("how", ["name", "symlink", "child", "parent"])
def test_a_storage_that_another_gateway_serves(host: FakeHost, how: str) -> None:
    served = host.folder / "data/gw"
    host.write(served / "gateway.db")
    place = {"name": served, "symlink": served, "child": served / "in", "parent": served.parent}
    place[how].mkdir(exist_ok=True)
    host.container("devshardctl-multi", place[how])
    if how == "name":
        other = look(host, container="other", storage_dir=served)
    else:
        host.storage.symlink_to(served)
        other = look(host, container="other")
    (told,) = (
        text
        for text in refused(other, host, container="other", port=18090)
        if "two" in text.lower()
    )
    assert "the container devshardctl-multi" in told


def test_what_lies_beside_is_no_rival(host: FakeHost) -> None:
    host.write(host.storage / "gateway.db")
    host.write(host.folder / "data/gw/gateway.db")
    host.container("devshardctl-multi", host.storage)
    host.container("other", host.folder / "data/gw", number=2, port=18090)
    # the temporary gateway of a swap
    temp = host.storage / "temp-20260731T101500Z"
    temp.mkdir()
    label = {"gonka.devshard.swap": "20260731T101500Z"}
    host.container("devshardctl-temp", temp, number=3, port=18081, labels=label)
    assert look(host).uses == ()


def test_what_a_stopped_container_has_is_nobodys(host: FakeHost) -> None:
    host.write(host.storage / "gateway.db")
    host.container("other", host.storage, running=False)
    assert look(host).uses == ()


def test_the_container_says_where_its_storage_is(host: FakeHost) -> None:
    data = host.folder / "data"
    host.write(data / "gateway.db")
    host.write(host.deploy / "config.devshard.env")
    host.container("devshardctl-multi", data)
    seen = look(host)
    assert seen.own is not None
    assert seen.own.storage is not None
    assert (seen.own.storage.path, seen.own.storage.database) == (str(data), True)
    assert not seen.own.moved
    assert seen.own.container.environment["DEVSHARD_ADMIN_API_KEY"] == SECRET
    assert SECRET not in repr(seen)
    assert refused(seen, host) == ()


def test_what_a_hand_made_container_has_beyond_ours_is_refused(host: FakeHost) -> None:
    host.write(host.folder / "data/gateway.db")
    host.container("devshardctl-multi", host.folder / "data")
    host.containers[0]["NetworkSettings"]["Networks"] = {"gateway_default": {}, "chain": {}}
    (why,) = refused(look(host), host)
    assert "is on the Docker network chain," in why


def test_a_link_that_was_turned_after_the_start(host: FakeHost) -> None:
    real, new = host.folder / "real", host.folder / "new"
    host.write(real / "gateway.db")
    new.mkdir()
    host.storage.symlink_to(new)
    host.container("devshardctl-multi", host.storage, seen=real)
    seen = look(host)
    assert seen.own is not None
    assert seen.own.moved
    assert "leads to now" in refused(seen, host)[0]


def test_the_folder_of_the_environment_file(host: FakeHost) -> None:
    host.write(host.deploy / "data/gateway.db")
    seen = look(host, in_file={"DEVSHARD_STORAGE_HOST_DIR": "data"})
    plan = make(
        GatewayWish(
            deploy_dir=str(host.deploy),
            container="devshardctl-multi",
            image=IMAGE,
            port=18080,
            environment={},
            adopt=True,
        ),
        seen,
        profile("v2"),
    )
    assert (plan.refused, plan.storage.path) == ((), str(host.deploy / "data"))


def test_a_database_beside_is_found(host: FakeHost) -> None:
    host.write(host.deploy / "data/gateway.db")
    host.write(host.deploy / ".devshardctl.before-20260101T000000Z/gateway.db")
    (told,) = refused(look(host), host)
    assert str(host.deploy / "data") in told
    assert "before-" not in told


def test_the_owner_of_the_port_is_named(host: FakeHost) -> None:
    host.container("by-hand", host.folder / "elsewhere")
    (told,) = refused(look(host), host)
    assert "port 18080 on 127.0.0.1 is taken by container by-hand" in told
    assert "gateway_container_name" in told


def test_an_engine_that_does_not_answer(host: FakeHost) -> None:
    host.container("by-hand", host.folder / "elsewhere")
    host.engine_fails("permission denied")
    seen = look(host)
    assert seen.engine is not None
    assert "permission denied" in seen.engine
    assert refused(seen, host) == ()


def test_a_folder_is_known_by_its_inode(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert relation(tmp_path / "a", tmp_path / "link", tmp_path / "link") == "same"
    assert relation(tmp_path / "link", inner, inner) == "inside"
    assert relation(inner, tmp_path / "link", tmp_path / "link") == "around"
    assert relation(inner, tmp_path / "none", tmp_path / "none") is None


COMPOSE = """#!{python}
import sys
if sys.argv[1:3] == ["compose", "--file"]:
    print('''{answer}''')
else:
    sys.exit("Error: no such volume")
"""


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            '{"services": {"x": {"volumes": [{"type": "bind", "source": "/a", "target": "T"}]}}}',
            ("bind", "/a"),
        ),
        (
            (
                '{"services": {"x": {"volumes": [{"type": "volume", "source": "v", "target": "T"}]}},'
                ' "volumes": {"v": {"name": "prod_v"}}}'
            ),
            ("volume", "prod_v"),
        ),
        ('{"services": {"x": {}}}', None),
        ('{"services": {"x": {"volumes": ["odd"]}}}', None),
        ("no JSON", None),
    ],
)
def test_what_a_compose_file_mounts(
    tmp_path: Path, answer: str, found: tuple[str, str] | None
) -> None:
    docker = tmp_path / "docker"
    text = answer.replace('"T"', f'"{INSIDE}"')
    docker.write_text(COMPOSE.replace("{python}", sys.executable).replace("{answer}", text))
    docker.chmod(0o755)
    program = docker_cli.Docker(str(docker), run_program)
    assert docker_cli.compose_mount(program, "compose.yaml", INSIDE) == found
    assert docker_cli.mountpoint(program, "prod_v") is None


@pytest.mark.parametrize(
    ("program", "seconds", "why"),
    [("exec sleep 600", 0.1, "does not answer within"), ("exit 3", 600, "status 3")],
)
def test_an_engine_that_hangs_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, seconds: float, why: str
) -> None:
    monkeypatch.setattr(docker_cli, "SECONDS", seconds)
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{program}\n")
    docker.chmod(0o755)
    with pytest.raises(TransportError, match=why):
        docker_cli.containers(docker_cli.Docker(str(docker), run_program))


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        ("gw@sha256:1", True),
        (ConfigurationError("the registry has no image gw:9; correct its name"), False),
        (TransportError("the registry does not describe gw:9: denied"), None),
    ],
)
def test_the_registry_is_asked_for_an_image_that_must_be_pulled(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, answer: str | Exception, there: bool | None
) -> None:
    asked: list[str] = []

    def resolve(image: str) -> str:
        asked.append(image)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_docker, "resolve", resolve)
    seen = look(host)
    monkeypatch.setenv("PATH", str(host.bin))
    wish = GatewayWish(
        deploy_dir=str(host.deploy),
        container="devshardctl-multi",
        image="gw:9",
        port=18080,
        environment={},
    )
    plan = make(wish, seen, profile("v2"))
    found = available("gw:9", plan, run_program)
    assert (found.there, asked) == (there, ["gw:9"])
    # without its SDK, or without an engine, it is not known
    without_library(monkeypatch, "docker")
    assert available("gw:9", plan, run_program).there is None
    assert available("gw:9", dataclasses.replace(plan, engine=False), run_program).there is None
    assert asked == ["gw:9"]

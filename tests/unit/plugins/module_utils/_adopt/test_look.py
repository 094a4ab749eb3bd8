# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The look at a host with gateways that were made by hand."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._adopt import look
from ansible_collections.gonka.devshard.plugins.module_utils._adopt.model import (
    EnvFile,
    Front,
    HandMade,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.beyond import Beyond
from ansible_collections.gonka.devshard.plugins.module_utils._host import docker_cli
from ansible_collections.gonka.devshard.plugins.module_utils._presence.asked import Host
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import SECRET, FakeHost

EDGE = "/etc/nginx/conf.d/gonka-devshard.conf"
SITE = "server { listen 80; location / { proxy_pass http://127.0.0.1:18080/v1; } }"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr(docker_cli, "PATH", ("/nonexistent",))
    return made


def gateways(host: FakeHost) -> list[HandMade]:
    host.install()
    return look.gateways(look.containers(host.host), host.asked(), host.host)


def test_a_host_without_docker(host: FakeHost) -> None:
    host.docker = False
    host.install()
    with pytest.raises(ConfigurationError, match="no docker program"):
        look.containers(host.host)


def test_a_gateway_is_known_by_its_variables(host: FakeHost) -> None:
    labels = {
        "com.docker.compose.project.working_dir": "/opt/gw",
        "com.docker.compose.project.config_files": "/opt/gw/compose.yaml",
        "com.docker.compose.service": "llm",
    }
    host.container("mine", host.folder / "data", labels=labels)
    host.container("temp", host.folder / "temp", number=2, labels={"gonka.devshard.swap": "1"})
    host.container("web", None, number=3)
    host.containers[2]["Config"]["Env"] = ["PATH=/bin"]
    (found,) = gateways(host)
    assert (found.name, found.working_dir, found.service) == ("mine", "/opt/gw", "llm")
    assert found.compose_files == ("/opt/gw/compose.yaml",)
    assert found.storage == str(host.folder / "data")
    assert SECRET not in str(found.to_result())
    assert found.to_result()["variables"]["DEVSHARD_ADMIN_API_KEY"] == "(secret)"


def test_other_services_of_the_project_are_seen(host: FakeHost) -> None:
    project = {"com.docker.compose.project": "prod"}
    services = [("mine", "llm"), ("web", "nginx"), ("again", "llm")]
    for number, (name, service) in enumerate(services, 1):
        labels = {**project, "com.docker.compose.service": service}
        host.container(name, None, number=number, port=18000 + number, labels=labels)
    host.container("alone", None, number=4, port=18009)
    for one in host.containers[1:]:
        one["Config"]["Env"] = []
    (found,) = gateways(host)
    assert found.neighbours == ("nginx",)


def test_what_the_image_sets_is_not_the_owners(host: FakeHost) -> None:
    host.container("mine", None)
    host.containers[0]["Config"]["Env"] += ["PATH=/bin", "LANG=C", "OWN=1"]
    host.images = [
        {
            "Id": host.containers[0]["Image"],
            "RepoDigests": [],
            "Config": {"Env": ["PATH=/bin", "LANG=en"]},
        }
    ]
    (found,) = gateways(host)
    assert {"LANG", "OWN"} <= set(found.variables)
    assert "PATH" not in found.variables


# what another container would not have

LABELS = {"com.docker.compose.project": "gateway"}
NAMES = ("ExtraHosts", "Links", "Dns", "DnsSearch", "DnsOptions")


def beyond(host: FakeHost, **changes: t.Any) -> Beyond:
    """Of a container with more: ``networks`` and ``mounts`` by name, the others as the engine has them."""
    host.container("mine", host.folder / "data", labels=LABELS)
    attrs = host.containers[0]
    networks: dict[str, t.Any] = {name: {} for name in changes.pop("networks", ["gateway_default"])}
    attrs["NetworkSettings"]["Networks"] = networks
    attrs["HostConfig"]["NetworkMode"] = changes.pop("mode", next(iter(networks), "default"))
    for target in changes.pop("mounts", []):
        attrs["Mounts"].append({"Destination": target, "Source": "/x", "Type": "bind"})
    for key in (*NAMES, "CapAdd", "Sysctls"):
        attrs["HostConfig"][key] = changes.pop(key, None)
    of_image = {"Entrypoint": ["/usr/bin/devshardctl"], "Cmd": ["serve"], "User": ""}
    host.images = [{"Id": attrs["Image"], "RepoDigests": [], "Config": of_image}]
    attrs["Config"] |= {**of_image, **changes}
    (found,) = gateways(host)
    return found.beyond


def test_a_container_by_a_guide_has_nothing_beyond(host: FakeHost) -> None:
    assert beyond(host, mounts=["/etc/localtime"]) == Beyond()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"networks": ["bridge"], "mode": "default"}, Beyond()),
        ({"networks": []}, Beyond()),
        ({"networks": ["gateway_default", "chain"]}, Beyond(networks=("chain",))),
        ({"networks": ["gateway_backend"]}, Beyond(networks=("gateway_backend",))),
        ({"networks": ["gateway_default", "web_default"]}, Beyond(networks=("web_default",))),
        ({"networks": ["host"]}, Beyond(networks=("host",))),
        ({"networks": [], "mode": "container:ab"}, Beyond(networks=("container:ab",))),
        ({"networks": ["bridge"], "mode": "container:ab"}, Beyond(networks=("container:ab",))),
        (
            {"ExtraHosts": ["node:10.0.0.5"], "Dns": ["10.0.0.2"], "DnsSearch": ["lan"]},
            Beyond(names=("node:10.0.0.5", "10.0.0.2", "lan")),
        ),
        (
            {"Links": ["/node:/me/node"], "DnsOptions": ["ndots:2"]},
            Beyond(names=("/node:/me/node", "ndots:2")),
        ),
        ({"mounts": ["/certs"]}, Beyond(mounts=("/certs",))),
        ({"Entrypoint": ["/bin/sh"], "Cmd": None}, Beyond(process=("entrypoint", "command"))),
        ({"User": "1000"}, Beyond(process=("user",))),
        ({"WorkingDir": "/srv"}, Beyond(process=("working_dir",))),
        (
            {"CapAdd": ["NET_ADMIN"], "Sysctls": {"net.core.somaxconn": "1024"}},
            Beyond(rights=("cap_add", "sysctls")),
        ),
    ],
)
def test_what_a_container_has_beyond_ours(
    host: FakeHost, changes: dict[str, t.Any], found: Beyond
) -> None:
    assert beyond(host, **changes) == found


def test_a_volume_that_the_image_asks_for_is_of_each_container(host: FakeHost) -> None:
    host.container("mine", host.folder / "data")
    host.containers[0]["Mounts"] += [
        {"Destination": "/cache", "Source": "/x", "Type": "volume", "Name": "ab" * 32},
        {"Destination": "/named", "Source": "/y", "Type": "volume", "Name": "own"},
    ]
    config: dict[str, t.Any] = {"Volumes": {"/cache": {}, "/named": {}}}
    host.images = [{"Id": host.containers[0]["Image"], "RepoDigests": [], "Config": config}]
    (found,) = gateways(host)
    assert found.beyond.mounts == ("/named",)
    assert found.to_result()["beyond"]["mounts"] == ["/named"]


def on_networks(host: FakeHost, number: int, **networks: dict[str, t.Any] | None) -> None:
    host.containers[number]["NetworkSettings"]["Networks"] = networks


def test_names_that_only_a_network_of_docker_resolves(host: FakeHost) -> None:
    host.container("mine", host.folder / "data", labels=LABELS)
    for number, name in enumerate(("api", "squid", "stranger", "proxy"), 2):
        host.container(name, None, number=number, port=18000 + number)
        host.containers[-1]["Config"]["Env"] = []
        host.containers[-1]["Config"]["Labels"] = {"com.docker.compose.project": name}
    host.containers[4]["Config"]["Labels"] = dict(LABELS)
    on_networks(host, 0, gateway_default={}, bridge={})
    on_networks(host, 1, gateway_default={"Aliases": ["Node.API"]})
    on_networks(host, 2, gateway_default={"DNSNames": ["proxy.internal"]}, own={"Aliases": ["x"]})
    on_networks(host, 3, bridge={"Aliases": ["public.example.org"]}, own={})
    on_networks(host, 4, gateway_default=None)
    (found,) = gateways(host)
    assert found.peers["node.api"] == "api"
    assert found.peers["api.gateway_default"] == "api"
    assert found.peers["proxy.internal"] == "squid"
    assert found.peers["proxy"] == "proxy"
    assert not {"x", "public.example.org", "stranger", "mine"} & set(found.peers)
    assert found.beside == ("api", "squid")
    assert "peers" not in found.to_result()


def test_options_are_shown_without_their_values(host: FakeHost) -> None:
    labels = {**LABELS, "traefik.auth": "me:hush", "com.centurylinklabs.watchtower.enable": "true"}
    host.container("mine", host.folder / "data", labels=labels)
    host.containers[0]["HostConfig"]["RestartPolicy"] = {"Name": "always"}
    (found,) = gateways(host)
    shown = found.to_result()["options"]
    assert shown == [
        "labels (com.centurylinklabs.watchtower.enable, traefik.auth)",
        "restart (always)",
    ]


# files


def made_in(folder: Path, key: str = SECRET) -> HandMade:
    return HandMade(
        name="a",
        state="running",
        image="g:1",
        digest=None,
        restart_policy="no",
        ports={},
        storage=None,
        inside="/root/.devshardctl",
        working_dir=str(folder),
        variables={"DEVSHARD_ADMIN_API_KEY": key},
    )


def file_of(gateway: HandMade, own: Path = Path("/nonexistent/config.devshard.env")) -> EnvFile:
    return look.find_env_file(gateway, own)


def test_the_file_with_the_keys_is_found(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DEVSHARD_ADMIN_API_KEY={SECRET}\n")
    (tmp_path / "earlier.env").write_text(f"DEVSHARD_ADMIN_API_KEY=a\n# {SECRET}\n")
    (tmp_path / "other.env").write_text("DEVSHARD_ADMIN_API_KEY=another\n")
    assert file_of(made_in(tmp_path)) == EnvFile()
    mine = tmp_path / "gateway.env"
    mine.write_text(f"export DEVSHARD_ADMIN_API_KEY={SECRET}\nA='b'\n")
    found = {"DEVSHARD_ADMIN_API_KEY": SECRET, "A": "b"}
    assert file_of(made_in(tmp_path)) == EnvFile(path=str(mine), variables=found)


def test_two_files_with_the_keys_that_differ_are_refused(tmp_path: Path) -> None:
    for name, keys in (("gateway.env", "sk-now"), ("gateway-old.env", "sk-earlier")):
        (tmp_path / name).write_text(f"DEVSHARD_ADMIN_API_KEY={SECRET}\nDEVSHARD_API_KEYS={keys}\n")
    found = file_of(made_in(tmp_path))
    assert found.variables == {}
    assert f"{tmp_path}/gateway-old.env and {tmp_path}/gateway.env all hold" in str(found.fault)
    assert SECRET not in str(found.fault)


def test_of_two_files_that_say_the_same_the_first_counts(tmp_path: Path) -> None:
    for name in ("b.env", "a.env", "config.devshard.env"):
        (tmp_path / name).write_text(f"# {name}\nDEVSHARD_ADMIN_API_KEY={SECRET}\n")
    assert file_of(made_in(tmp_path)).path == str(tmp_path / "config.devshard.env")
    (tmp_path / "config.devshard.env").unlink()
    assert file_of(made_in(tmp_path)).path == str(tmp_path / "a.env")


def test_a_file_of_the_collections_name_counts_with_other_keys_too(tmp_path: Path) -> None:
    """It is the one that the role would read, so its keys are compared."""
    own = tmp_path / "config.devshard.env"
    own.write_text("DEVSHARD_ADMIN_API_KEY=another\n")
    found = EnvFile(path=str(own), variables={"DEVSHARD_ADMIN_API_KEY": "another"})
    assert file_of(made_in(tmp_path), own) == found


def test_a_file_beside_other_services_is_left_to_them(tmp_path: Path) -> None:
    (tmp_path / "gateway.env").write_text(f"DEVSHARD_ADMIN_API_KEY={SECRET}\n")
    beside = dataclasses.replace(made_in(tmp_path), neighbours=("nginx",))
    assert file_of(beside) == EnvFile()


def test_a_file_that_cannot_be_read_as_one_is_said(tmp_path: Path) -> None:
    mine = tmp_path / "config.devshard.env"
    mine.write_text(f"DEVSHARD_ADMIN_API_KEY={SECRET}\nnot an assignment\n")
    found = file_of(made_in(tmp_path))
    assert (found.path, found.variables) == (str(mine), {})
    assert "line 2" in str(found.fault)
    assert SECRET not in str(found.fault)


def test_the_owners_files_are_those_that_are_there(tmp_path: Path) -> None:
    for name in ("compose.yaml", ".env", "site"):
        (tmp_path / name).write_text("")
    front = Front(installed=True, leads=(str(tmp_path / "site"),))
    mine = dataclasses.replace(made_in(tmp_path), compose_files=(str(tmp_path / "compose.yaml"),))
    found = look.owned_files(mine, front, str(tmp_path / "missing.env"))
    assert found == [str(tmp_path / name) for name in ("compose.yaml", ".env", "site")]


# nginx


def nginx(**files: str) -> Front:
    names = {
        "site": "/etc/nginx/sites-enabled/site",
        "edge": EDGE,
        "another": "/etc/nginx/conf.d/gonka-devshard-b.conf",
        "main": "/etc/nginx/nginx.conf",
    }
    dump = "".join(f"# configuration file {names[key]}:\n{text}\n" for key, text in files.items())
    return front_of(0, dump)


def front_of(status: int, stdout: str, stderr: str = "") -> Front:
    def run(_argv: list[str]) -> tuple[int, str, str]:
        return status, stdout, stderr

    return look.front(18080, EDGE, dataclasses.replace(EMPTY, run=run))


EMPTY = Host(run=lambda _argv: (127, "", ""))


def test_which_files_lead_to_the_gateway() -> None:
    found = nginx(main="events {} http { include x; }", site=SITE)
    assert found.leads == ("/etc/nginx/sites-enabled/site",)
    assert found.listens == {80: ("/etc/nginx/sites-enabled/site",)}
    assert found.ours == ()


def test_an_upstream_leads_to_it_too() -> None:
    text = "upstream gw { server localhost:18080; } server { listen 443 ssl; }"
    assert nginx(site=text).leads == ("/etc/nginx/sites-enabled/site",)
    assert nginx(site=text.replace("18080", "18081")).leads == ()


def test_our_own_edge_is_no_file_of_the_owner() -> None:
    edge = "server { listen 8080; location / { proxy_pass http://127.0.0.1:18080; } }"
    found = nginx(edge=edge, another=edge.replace("8080;", "8090;"), site=SITE)
    assert found.ours == (8080,)
    assert found.leads == ("/etc/nginx/sites-enabled/site",)
    assert 8090 not in found.listens


def test_an_nginx_that_cannot_be_read_is_said() -> None:
    assert front_of(1, "", "x\nnginx: [emerg] bad").error == "nginx -T fails: nginx: [emerg] bad"
    assert "site: cannot" in str(nginx(site='server { "').error)


def test_a_host_without_nginx() -> None:
    def missing(_argv: list[str]) -> t.NoReturn:
        raise FileNotFoundError

    found = look.front(18080, EDGE, dataclasses.replace(EMPTY, run=missing))
    assert found == Front(installed=False)


# ports


def test_the_edge_gets_the_usual_port_unless_the_owner_has_it(host: FakeHost) -> None:
    host.install()
    site = ("/etc/nginx/sites-enabled/site",)
    assert look.edge_port(Front(installed=False), (), host.host) == 80
    assert look.edge_port(Front(installed=True, listens={80: site}), (), host.host) == 8080
    assert look.edge_port(Front(installed=True, listens={80: site}), (8080,), host.host) == 8081
    assert look.edge_port(Front(installed=False), (80,), host.host) == 8080
    assert look.edge_port(Front(installed=True, ours=(8443, 8090)), (80,), host.host) == 8090


def test_debians_own_site_is_not_the_owners(host: FakeHost) -> None:
    host.install()
    default = host.nginx / "sites-enabled/default"
    default.parent.mkdir()
    default.symlink_to("../sites-available/default")
    front = Front(installed=True, listens={80: (str(default),)})
    assert look.edge_port(front, (), host.host) == 80
    default.unlink()
    default.write_text("his own")
    assert look.edge_port(front, (), host.host) == 8080


def test_a_port_that_is_free(host: FakeHost) -> None:
    host.listens(18081, None)
    host.install()
    assert look.free_port(18081, (18082,), host.host) == 18083

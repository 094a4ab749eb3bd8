# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Builds every image without an image registry: from Debian packages, and ours.

An image is built again only when what goes into it changed: its tag has the hash of that, the hash
of its parent included. So checkouts with other sources share an engine, each with its own images.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import typing as t
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path

from testhosts.engine import docker, install, need
from testhosts.shell import ROOT, HostsError, cache_dir, exclusive, run, say, step

PREFIX = "gonka-devshard"
# Tests reach it with: docker exec CONTAINER curl http://127.0.0.1:9101/requests
GATEWAY_FAULTS_PORT = 9101
STAND_INS = "GONKA_DEVSHARD_GATEWAYS"
DEFAULT_GENERATION = "v2"
# Of the gateway, as the simulator names them.
GENERATIONS = (DEFAULT_GENERATION, "v3", "v4", "v4.1")
_LABEL = "gonka-devshard.hash"
# Images of other sources are kept so long, since another checkout may use them.
_KEPT = timedelta(days=1)
_SUITE = "trixie"
_BECH32 = "bech32==1.2.0"

# What the roles install, fetched beforehand so that a bare host gets it within seconds.
_HOST_PACKAGES = (
    "docker.io docker-cli docker-compose nginx procps python3-apt python3-docker "
    "python3-requests unzip"
)

_BASE_SCRIPT = """
/debootstrap/debootstrap --second-stage
rm -rf /debootstrap /var/log/bootstrap.log
apt-get clean
# Every project pushes its gateways to its own registry, and every host pulls one: two fifths of this is for nothing.
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/locale/* /usr/share/man/*
"""

_HOST_SCRIPT = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends dbus systemd systemd-sysv
apt-get clean
apt-get install --yes --no-install-recommends --download-only {_HOST_PACKAGES}
# Kernel modules are the machine's business; there is no console to log in at.
systemctl mask systemd-modules-load.service console-getty.service getty@.service
chmod 0755 /usr/local/sbin/host-entry
"""

_SIM_SCRIPT = """
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends python3-aiohttp python3-ecdsa \
    python3-grpcio python3-six
apt-get clean
rm -rf /var/lib/apt/lists/*
"""

_SIMNET_SCRIPT = """
chmod -R a+rX /opt/simnet
python3 -m compileall -q /opt/simnet
PYTHONPATH=/opt/simnet python3 -c 'import simnet.__main__'
"""

_REGISTRY_SCRIPT = """
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends docker-registry
apt-get clean
rm -rf /var/lib/apt/lists/*
# The packaged settings ask for a password.
cat >/etc/docker/registry/config.yml <<'END'
version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/docker-registry
  delete:
    enabled: true
http:
  addr: :5000
END
"""


@dataclass(frozen=True)
class Image:
    """One image: its parent, files put into it, a script run in it, settings."""

    name: str
    parent: Image | None = None
    script: str = ""
    files: t.Mapping[str, Path] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """Under which the engine has it."""
        name, _unused, variant = self.name.partition(":")
        return f"{name}:{variant and variant + '-'}{self.hash[:12]}"

    @cached_property
    def hash(self) -> str:
        digest = hashlib.sha256()
        for part in (self.parent.hash if self.parent else "", self.script, *self.changes):
            digest.update(part.encode() + b"\0")
        for target, source in sorted(self.files.items()):
            for name, content in _contents(source):
                digest.update(f"{target}/{name}\0".encode())
                digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()


def _contents(source: Path) -> t.Iterator[tuple[str, bytes]]:
    if source.is_file():
        yield "", source.read_bytes()
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(source)), path.read_bytes()


def gateway_image(variant: str, generation: str = DEFAULT_GENERATION) -> str:
    """In the registry: a repository for each generation, with the same tags."""
    more = "" if generation == DEFAULT_GENERATION else f"-{generation}"
    return f"{PREFIX}-gateway-sim{more}:{variant}"


@dataclass(frozen=True)
class Catalogue:
    host: Image
    registry: Image
    libraries: Image
    simnet: Image
    gateways: tuple[Image, ...]

    @property
    def all(self) -> tuple[Image, ...]:
        return (BASE, self.host, self.registry, self.libraries, self.simnet, *self.gateways)


# What makes the variants of the gateway image differ; a broken one fails in the way it is named.
_VARIANTS: t.Mapping[str, t.Mapping[str, str]] = {
    "1.0": {},
    "1.1": {},
    "broken-exit": {"SIMNET_FAIL": "exit"},
    "broken-unhealthy": {"SIMNET_FAIL": "unhealthy"},
    "broken-deactivate": {"SIMNET_FAIL": "deactivate"},
}


BASE = Image(f"{PREFIX}-debian", script=_BASE_SCRIPT, changes=(f"LABEL {PREFIX}.suite={_SUITE}",))


def catalogue(bech32: Path) -> Catalogue:
    host = Image(
        f"{PREFIX}-host",
        BASE,
        _HOST_SCRIPT,
        {"/usr/local/sbin/host-entry": ROOT / "tests" / "hosts" / "host-entry"},
        ('ENTRYPOINT ["/usr/local/sbin/host-entry"]',),
    )
    registry = Image(
        f"{PREFIX}-registry",
        BASE,
        _REGISTRY_SCRIPT,
        changes=('CMD ["docker-registry", "serve", "/etc/docker/registry/config.yml"]',),
    )
    libraries = Image(f"{PREFIX}-sim-libraries", BASE, _SIM_SCRIPT)
    simnet = Image(
        f"{PREFIX}-simnet",
        libraries,
        _SIMNET_SCRIPT,
        {
            "/opt/simnet/simnet": ROOT / "tests" / "simnet" / "simnet",
            "/opt/simnet/bech32": bech32,
        },
        ("ENV PYTHONPATH=/opt/simnet", "ENV PYTHONUNBUFFERED=1"),
    )
    gateways = tuple(
        Image(
            gateway_image(variant, generation),
            simnet,
            changes=(
                f"ENV SIMNET_GATEWAY={generation}",
                f"ENV SIMNET_IMAGE_VERSION={variant}",
                f"ENV SIMNET_FAULTS_PORT={GATEWAY_FAULTS_PORT}",
                f"LABEL org.opencontainers.image.version={variant}",
                *(f"ENV {name}={value}" for name, value in settings.items()),
                'CMD ["python3", "-m", "simnet", "gateway"]',
            ),
        )
        for generation in GENERATIONS
        for variant, settings in _VARIANTS.items()
    )
    return Catalogue(host, registry, libraries, simnet, gateways)


def stand_ins() -> dict[str, str]:
    """Images that take the place of simulated gateways in the registry, by their tags."""
    found = {}
    for entry in os.environ.get(STAND_INS, "").split():
        name, separator, image = entry.partition("=")
        generation, colon, variant = name.rpartition(":")
        if not colon:
            generation = DEFAULT_GENERATION
        known = variant in _VARIANTS and generation in GENERATIONS
        if not (separator and image and known):
            raise HostsError(
                f"{STAND_INS} names {entry!r}: TAG=IMAGE or GENERATION:TAG=IMAGE is wanted, with one of the"
                f" tags {', '.join(_VARIANTS)}, one of the generations {', '.join(GENERATIONS)} and an"
                " image that the Docker Engine has"
            )
        found[gateway_image(variant, generation)] = image
    return found


def _bech32() -> Path:
    """The one library of the simulator that Debian does not package."""
    target = cache_dir() / "python" / _BECH32
    if target.exists():
        return target / "bech32"
    with step(f"Fetching {_BECH32}"), tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch, "fetched")
        pip = [str(_python(Path(scratch, "venv"))), "-m", "pip", "--quiet", "download", "--no-deps"]
        run([*pip, "--only-binary=:all:", "--dest", str(fetched), _BECH32])
        unpacked = Path(scratch, "unpacked")
        for wheel in fetched.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(unpacked)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(unpacked, target)
    return target / "bech32"


def _python(scratch: Path) -> Path:
    """An interpreter that has pip."""
    ready = ROOT / ".venv" / "bin"
    if (ready / "pip").exists():
        return ready / "python"
    if importlib.util.find_spec("ensurepip") is None:
        # Debian packages this part of Python on its own.
        install(["python3-venv"])
    run([sys.executable, "-m", "venv", str(scratch)])
    return scratch / "bin" / "python"


def _ours() -> dict[str, datetime]:
    """Our images that the engine has, and when they were made."""
    form = "{{.Repository}}:{{.Tag}}|{{.CreatedAt}}"
    listed = docker("image", "ls", "--filter", f"label={_LABEL}", "--format", form)
    found = {}
    for line in listed.splitlines():
        reference, _unused, created = line.partition("|")
        # 2026-11-29 09:15:00 +0000 UTC
        found[reference] = datetime.strptime(created[:25], "%Y-%m-%d %H:%M:%S %z")
    return found


def outdated(
    there: t.Mapping[str, datetime], wanted: t.Collection[str], now: datetime
) -> list[str]:
    """What neither these sources nor those of a checkout at work need."""
    return sorted(
        reference
        for reference, created in there.items()
        if reference not in wanted
        and not reference.startswith("<none>")
        and reference != f"{BASE.name}:latest"
        and now - created > _KEPT
    )


def _remove_outdated(wanted: Catalogue) -> None:
    named = {image.reference for image in wanted.all}
    for reference in outdated(_ours(), named, datetime.now(timezone.utc)):
        # a container may still use it
        with contextlib.suppress(HostsError):
            docker("rmi", reference)
    docker("image", "prune", "--force", "--filter", f"label={_LABEL}")


def _log(image: Image) -> Path:
    return cache_dir() / "logs" / f"image-{image.name.replace(':', '-')}.log"


def _import_base(name: str, log: Path) -> None:
    """Debootstrap's first stage needs no root but for the owners in the archive."""
    needed = {"debootstrap": "debootstrap"}
    need(needed if os.geteuid() == 0 else {**needed, "fakeroot": "fakeroot"})
    mirror = os.environ.get("GONKA_DEVSHARD_MIRROR", "http://deb.debian.org/debian")
    with tempfile.TemporaryDirectory(prefix="gonka-devshard-") as scratch:
        script = f"""
            debootstrap --foreign --variant=minbase \
                --include=ca-certificates,curl,iproute2,python3 {_SUITE} root {mirror} >&2
            # The image is rebuilt rather than repaired, and nobody reads manuals in it.
            mkdir -p root/etc/dpkg/dpkg.cfg.d
            printf '%s\\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' \
                'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/locale/*' \
                >root/etc/dpkg/dpkg.cfg.d/small
            tar -C root -c . | docker import - {name} >&2
        """
        root = [] if os.geteuid() == 0 else ["fakeroot"]
        shell = ["sh", "-euc", f"cd {scratch}\n{script}"]
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        run([*root, *shell], env={"PATH": path}, log=log)


def _build(image: Image) -> None:
    """Run the script in a container of the parent and keep the result."""
    log = _log(image)
    log.unlink(missing_ok=True)
    raw = f"{PREFIX}-raw-{os.getpid()}"
    work = f"{PREFIX}-build-{image.name.replace(':', '-')}-{os.getpid()}"
    if image.parent is None:
        _import_base(raw, log)
    changes = [*image.changes, f"LABEL {_LABEL}={image.hash}"]
    parent = raw if image.parent is None else image.parent.reference
    # The second stage of debootstrap and systemd's scripts mount things.
    caps = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"]
    caps += ["--security-opt", "apparmor=unconfined"]
    try:
        docker("create", "--name", work, "--interactive", *caps, parent, "sh", "-eux", log=log)
        for target, source in image.files.items():
            _copy_in(work, source, target, log)
        if image.script:
            docker("start", "--attach", "--interactive", work, stdin=image.script, log=log)
        settings = [part for change in changes for part in ("--change", change)]
        if image.parent is None:
            _flatten(work, image.reference, settings, log)
            # for a Dockerfile, see the README
            docker("tag", image.reference, f"{image.name}:latest", log=log)
        else:
            # The shell that ran the script is not what the image runs.
            settings = ["--change", "CMD []", *settings]
            docker("commit", *settings, work, image.reference, log=log)
    finally:
        docker("rm", "--force", "--volumes", work, log=log)
        if image.parent is None:
            docker("rmi", "--force", raw, log=log)


def _copy_in(container: str, source: Path, target: str, log: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        clean = Path(scratch, target.lstrip("/"))
        clean.parent.mkdir(parents=True)
        if source.is_file():
            shutil.copy2(source, clean)
        else:
            shutil.copytree(source, clean, ignore=shutil.ignore_patterns("__pycache__"))
        for path in Path(scratch).rglob("*"):
            path.chmod(0o755 if path.is_dir() else path.stat().st_mode & 0o755 | 0o644)
        docker("cp", f"{scratch}/.", f"{container}:/", log=log)


def _flatten(container: str, tag: str, settings: list[str], log: Path) -> None:
    """One layer, without what later steps removed."""
    shell = 'docker export "$1" | docker import "${@:3}" - "$2" >&2'
    run(["bash", "-euo", "pipefail", "-c", shell, "sh", container, tag, *settings], log=log)


def _ensure(image: Image, there: t.Collection[str]) -> bool:
    """Build unless it is there already; true if it was built."""
    if image.reference in there:
        return False
    if not image.script:
        # Only settings differ from the parent: not worth a line.
        _build(image)
        return True
    with step(f"Building the image {image.name}"):
        _build(image)
    return True


def ensure() -> Catalogue:
    """All images are there and are what the sources say."""
    with exclusive("images"), ThreadPoolExecutor(max_workers=3) as pool:
        there = _ours()
        # The base needs nothing but Debian, so fetch what else there is meanwhile.
        base = pool.submit(_ensure, BASE, there)
        wanted = catalogue(_bech32())
        built = [base.result()]
        branches = [
            pool.submit(_ensure, wanted.host, there),
            pool.submit(_ensure, wanted.registry, there),
            pool.submit(_ensure_simulator, wanted, there),
        ]
        built += [branch.result() for branch in branches]
        if any(built):
            _remove_outdated(wanted)
        else:
            say("All images are there")
    return wanted


def _ensure_simulator(wanted: Catalogue, there: t.Collection[str]) -> bool:
    built = False
    for image in (wanted.libraries, wanted.simnet, *wanted.gateways):
        built = _ensure(image, there) or built
    return built


def remove() -> None:
    """Remove every image of ours."""
    found = docker("image", "ls", "--quiet", "--filter", f"label={_LABEL}").split()
    if found:
        docker("rmi", "--force", *sorted(set(found)))

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Builds the simulated ``inferenced`` and serves it like a GitHub release.

The same inputs give the same bytes, so checksums hold as long as the code does.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import marshal
import os
import sys
import zipfile
from pathlib import Path

from aiohttp import web

from simnet.jsonbody import json_reply

ARCHITECTURES = ("amd64", "arm64")
VERSIONS = ("v0.2.13", "v0.2.14")
# Their tag keeps its slash as %2F, and the client's files name the system.
NEWER_VERSIONS = ("v0.2.15", "v0.2.16-post1")
DEFAULT_VERSION = "v0.2.13"
DOWNLOADS = "/gonka-ai/gonka/releases/download"
RELEASE_PATH = f"{DOWNLOADS}/release"
# A file for another C library: "No such file or directory" although it is there.
_NODE_BUILD = b"#!/lib/ld-musl-x86_64.so.1\n"
_OWN_MODULES = (
    "__init__",
    "_ripemd160",
    "cliflags",
    "crypto",
    "inferenced",
    "keyring",
    "queries",
    "timestamps",
    "txs",
)
_VENDORED = ("ecdsa", "bech32", "six")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = """\
import sys

from simnet.inferenced import main

sys.exit(main(sys.argv[1:]))
"""


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = zipfile.ZipInfo(name, date_time=_LONG_AGO)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o100000 | mode) << 16
    info.create_system = 3
    archive.writestr(info, content)


def _vendored_files(name: str) -> list[tuple[str, bytes]]:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed")
    origin = Path(spec.origin)
    if origin.name != "__init__.py":
        return [(origin.name, origin.read_bytes())]
    return [
        (f"{name}/{path.name}", path.read_bytes())
        for path in sorted(origin.parent.glob("*.py"))
        if not path.name.startswith("test_")
    ]


def _bytecode(name: str, source: bytes) -> tuple[str, bytes]:
    """The module as this Python compiles it; another one passes over it and reads the source."""
    unchecked_hash = (1).to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + unchecked_hash + importlib.util.source_hash(source)
    code = compile(source, name, "exec", dont_inherit=True)
    return f"{name}c", head + marshal.dumps(code)


def build_inferenced(version: str, arch: str, *, bytecode: bool = False) -> bytes:
    """Return the executable: one file that any Python 3.10 or newer runs.

    With bytecode it starts in half the time here, but its bytes depend on this Python.
    """
    own = Path(__file__).parent
    stamp = json.dumps({"version": version, "arch": arch}, sort_keys=True)
    files = [("__main__.py", _MAIN.encode()), ("simnet/_stamp.json", stamp.encode())]
    files += [(f"simnet/{name}.py", (own / f"{name}.py").read_bytes()) for name in _OWN_MODULES]
    for name in _VENDORED:
        files += _vendored_files(name)
    if bytecode:
        files += [_bytecode(name, source) for name, source in files if name.endswith(".py")]
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files):
            _add(archive, name, content)
    return buffer.getvalue()


def build_zip(version: str, arch: str) -> bytes:
    """Return the release asset: a zip that holds the binary ``inferenced``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, "inferenced", build_inferenced(version, arch), 0o755)
    return buffer.getvalue()


def build_node_zip() -> bytes:
    """The generic file of newer releases is the node's, which does not run elsewhere."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, "inferenced", _NODE_BUILD, 0o755)
    return buffer.getvalue()


def write_inferenced(target: Path, version: str = DEFAULT_VERSION, arch: str = "amd64") -> Path:
    """Write the executable where it can be run."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    fresh.write_bytes(build_inferenced(version, arch, bytecode=True))
    fresh.chmod(0o755)
    os.replace(fresh, target)
    return target


class ReleaseApi:
    """``<base>/<version>/inferenced-<arch>.zip`` and ``<base>/<version>/checksums.txt``."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, str], bytes] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(RELEASE_PATH + "/{version}/{file}", self.asset),
            web.get(DOWNLOADS + "/{tag}/{file}", self.newer_asset),
            web.get("/checksums.json", self.checksums),
        ]

    def zip_file(self, version: str, arch: str) -> bytes:
        if (version, arch) not in self._built:
            self._built[version, arch] = build_zip(version, arch)
        return self._built[version, arch]

    def digest(self, version: str, arch: str) -> str:
        return hashlib.sha256(self.zip_file(version, arch)).hexdigest()

    async def asset(self, request: web.Request) -> web.Response:
        return self._older(request.match_info["version"], request.match_info["file"])

    def _older(self, version: str, name: str) -> web.Response:
        if version not in VERSIONS:
            raise web.HTTPNotFound(text="Not Found")
        if name == "checksums.txt":
            lines = [
                f"{self.digest(version, arch)}  inferenced-{arch}.zip" for arch in ARCHITECTURES
            ]
            return web.Response(text="\n".join(lines) + "\n")
        for arch in ARCHITECTURES:
            if name == f"inferenced-{arch}.zip":
                return web.Response(
                    body=self.zip_file(version, arch), content_type="application/octet-stream"
                )
        raise web.HTTPNotFound(text="Not Found")

    async def newer_asset(self, request: web.Request) -> web.Response:
        """The tag is one part of the path: ``release%2Fv0.2.16-post1``."""
        base, _unused, version = request.match_info["tag"].partition("/")
        name = request.match_info["file"]
        if base == "release" and version in VERSIONS:
            return self._older(version, name)
        if base != "release" or version not in NEWER_VERSIONS:
            raise web.HTTPNotFound(text="Not Found")
        clients = {f"inferenced-linux-{arch}.zip": arch for arch in ARCHITECTURES}
        if name in clients:
            body = self.zip_file(version, clients[name])
        elif name == "inferenced-amd64.zip":
            body = build_node_zip()
        else:
            raise web.HTTPNotFound(text="Not Found")
        return web.Response(body=body, content_type="application/octet-stream")

    async def checksums(self, request: web.Request) -> web.Response:
        table = {
            version: {arch: self.digest(version, arch) for arch in ARCHITECTURES}
            for version in (*VERSIONS, *NEWER_VERSIONS)
        }
        return json_reply(table)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="build_inferenced", description="Write the simulated inferenced as one file."
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--version", default=DEFAULT_VERSION)
    parser.add_argument("--arch", default="amd64", choices=ARCHITECTURES)
    parser.add_argument("--zip", action="store_true", help="write the release zip")
    options = parser.parse_args(argv)
    if options.zip:
        options.output.write_bytes(build_zip(options.version, options.arch))
    else:
        write_inferenced(options.output, options.version, options.arch)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

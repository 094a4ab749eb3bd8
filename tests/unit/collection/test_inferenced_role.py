# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Which file of a release is downloaded, from which URL, and that another one is refused."""

from __future__ import annotations

import hashlib
import http.server
import json
import sys
import threading
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    run_ansible,
)

ROLE = ROOT / "roles" / "inferenced"
CONTENT = b"a zip file"
GITHUB = "https://github.com/gonka-ai/gonka/releases/download"


def play(folder: Path, tasks: list[dict[str, t.Any]], **given: object) -> tuple[int, str]:
    settings = {"ansible_python_interpreter": sys.executable, **given}
    content = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": tasks,
    }
    file = folder / "play.json"
    file.write_text(json.dumps([content]))
    done = run_ansible("playbook", "-i", "localhost,", "-e", json.dumps(settings), str(file))
    return done.returncode, done.stdout + done.stderr


RELEASES = [
    ("v0.2.13", "amd64", "inferenced-amd64.zip", "ea7dea6c"),
    ("v0.2.13", "arm64", "inferenced-arm64.zip", ""),
    ("v0.2.14", "amd64", "inferenced-amd64.zip", "ce857ef9"),
    ("v0.2.15", "amd64", "inferenced-linux-amd64.zip", "4e506d74"),
    ("v0.2.15", "arm64", "inferenced-linux-arm64.zip", "31dac132"),
    ("v0.2.16-post1", "amd64", "inferenced-linux-amd64.zip", "50b333ea"),
    ("v0.2.16-post1", "arm64", "inferenced-linux-arm64.zip", "7e0a21c5"),
    ("v0.3.0", "arm64", "inferenced-linux-arm64.zip", ""),
]


def test_each_release_has_its_file_its_url_and_its_checksum(tmp_path: Path) -> None:
    told = [
        {
            "ansible.builtin.debug": {
                "msg": "{{ [__inferenced_download, __inferenced_sum] | to_json }}"
            },
            "vars": {"inferenced_version": version, "__inferenced_arch": arch},
        }
        for version, arch, _file, _sum in RELEASES
    ]
    _status, text = play(tmp_path, told)
    for version, _arch, file, digest in RELEASES:
        url = f"{GITHUB}/release%2F{version}/{file}"
        wanted = json.dumps(json.dumps([url, f"sha256:{digest}" if digest else ""]))[1:-1]
        assert wanted.removesuffix("]").removesuffix('\\"') in text


class Server:
    """Tells the paths that it was asked for as they came."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                found = "/release%2F" in self.path
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(CONTENT) if found else 0))
                self.end_headers()
                if found:
                    self.wfile.write(CONTENT)

            def log_message(self, *_args: object) -> None:
                return

        self.asked = asked
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/d/release%2Fv0.2.16-post1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.mark.parametrize(("content", "fine"), [(CONTENT, True), (b"another one", False)])
def test_the_url_keeps_its_escaped_slash_and_a_wrong_checksum_is_refused(
    tmp_path: Path, server: Server, content: bytes, *, fine: bool
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    target = tmp_path / "file.zip"
    download = {
        "ansible.builtin.get_url": {
            "url": "{{ __inferenced_download }}",
            "dest": str(target),
            "checksum": "{{ __inferenced_sum | lower }}",
        }
    }
    status, told = play(
        tmp_path,
        [download],
        inferenced_version="v0.2.16-post1",
        inferenced_release_url=server.url,
        inferenced_checksum=f"sha256:{digest.upper()}",
        __inferenced_arch="arm64",
    )
    assert set(server.asked) == {"/d/release%2Fv0.2.16-post1/inferenced-linux-arm64.zip"}
    assert (status == 0, target.exists()) == (fine, fine), told
    assert ("checksum" in told) is not fine

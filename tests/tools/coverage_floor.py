# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""How much of the packages that move coins or swap gateways is run by their own unit tests.

Lines and branches count alike. What only the tests of a module or a role run counts as not tested:
a package's rules are tested beside its name. Only these packages are measured, since measuring
makes every test two thirds slower.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from _gates import BUILD, ROOT, Failed, Step, link_tree, run_all

# In percent: what was covered, rounded down, less 1. Raise a floor when more is covered.
FLOORS = {"_escrows": 93, "_swap": 95}
PACKAGES = Path("plugins", "module_utils")
TESTS = Path("tests", "unit", "plugins", "module_utils")
WORK = BUILD / "coverage"


def covered(files: dict[str, dict[str, int]], package: str) -> float:
    mine = [counts for name, counts in files.items() if name.startswith(f"{PACKAGES}/{package}/")]
    hit = sum(counts["covered_lines"] + counts["covered_branches"] for counts in mine)
    return 100 * hit / sum(counts["num_statements"] + counts["num_branches"] for counts in mine)


def measure(step: Step) -> dict[str, dict[str, int]]:
    """The counts of coverage for each file that the tests of these packages could have run."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    step.call(
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "4"),
        *("--cov", "--cov-config", "pyproject.toml", "--cov-report", f"json:{WORK / 'all.json'}"),
        *(TESTS / package for package in FLOORS),
        env={
            "COVERAGE_FILE": str(WORK / "data"),
            "PYTHONPATH": os.pathsep.join([str(ROOT / ".tree"), str(ROOT / "tests" / "simnet")]),
        },
    )
    report = json.loads((WORK / "all.json").read_text())
    return {name: values["summary"] for name, values in report["files"].items()}


def check(step: Step) -> None:
    files = measure(step)
    low = []
    for package, floor in FLOORS.items():
        percent = covered(files, package)
        print(f"{package}: {percent:.1f} % of lines and branches, at least {floor} %")
        if percent < floor:
            low.append(package)
    if low:
        for name, counts in sorted(files.items(), key=lambda item: item[1]["percent_covered"]):
            step.output.append(f"{counts['percent_covered']:5.1f} %  {name}\n")
        raise Failed(f"below the floor: {', '.join(low)}")


def main() -> int:
    link_tree()
    return run_all("coverage", [Step("coverage of the money and swap packages", check)])


if __name__ == "__main__":
    sys.exit(main())

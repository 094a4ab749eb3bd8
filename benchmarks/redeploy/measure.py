# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs a playbook and takes its time, its processor time and what it prints."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.benchmarks.redeploy.report import Timing
from ansible_collections.gonka.devshard.tests.swap.lab import Lab, Run

HERE = Path(__file__).resolve().parent
GUIDE = str(HERE / "guide.yml")
SITE = "gonka.devshard.site"
PAIRS = str(HERE / "pairs.yml")
SWAP = "gonka.devshard.hot_swap"

# What is measured is Ansible as it comes, with pipelining, which Lab.play sets.
PLAIN = {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(
    lab: Lab,
    playbook: str,
    *,
    forks: int | None = None,
    settings: t.Mapping[str, str] | None = None,
    changes: bool = False,
    **variables: t.Any,
) -> tuple[Timing, Run]:
    """``changes`` allows that something is changed. A run that fails ends the benchmark."""
    environment = {**PLAIN, **(settings or {})}
    if forks is not None:
        environment["ANSIBLE_FORKS"] = str(forks)
    cpu = _children()
    begin = time.monotonic()
    done = lab.play(playbook, settings=environment, **variables)
    wall = time.monotonic() - begin
    cpu = _children() - cpu
    timing = Timing(wall_s=wall, cpu_s=cpu, lines=len(done.lines))
    if done.rc != 0 or (done.changed and not changes):
        # what it said last tells why
        sys.exit(f"{playbook}: rc {done.rc}, changed {done.changed}\n{done.text[-3000:]}")
    return timing, done


def recorded(lab: Lab, playbook: str, **variables: t.Any) -> tuple[list[dict[str, t.Any]], Timing]:
    """A run that changes nothing, with all that the callback wrote down of it."""
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch, "record")
        settings = {
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "bench_record",
            "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
            "BENCH_RECORD": str(record),
        }
        timing, _unused = run(lab, playbook, settings=settings, **variables)
        return [json.loads(line) for line in record.read_text().splitlines()], timing


def load() -> float:
    """How busy the machine is; others that work on it make every figure worse."""
    return round(os.getloadavg()[0], 2)

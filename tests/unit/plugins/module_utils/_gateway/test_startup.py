# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A start that goes on without an escrow is seen."""

from __future__ import annotations

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.startup import dropped

LOG = """\
2026/11/29 10:00:00 build_runtimes_parallel count=3 active=3 inactive=1 skipped=0
2026/11/29 10:00:00 devshard 31 local state unrecoverable, marking inactive and skipping runtime: gap at 7
time=2026-11-29T10:00:00Z level=INFO msg="devshard 9 private key missing, marking inactive: \\"X\\""
2026/11/29 10:00:00 devshard 12 escrow missing on chain, marking inactive: not found
2026/11/29 10:00:00 devshard 13 escrow settled on chain, marking inactive
2026/11/29 10:00:00 devshard 31 local state unrecoverable, marking inactive and skipping runtime: gap at 7
2026/11/29 10:00:00 devshardctl gateway listening on :8080 (devshards=1)
"""


def test_each_escrow_that_a_start_dropped_is_named_with_the_reason() -> None:
    assert [one.to_result() for one in dropped(LOG)] == [
        {"id": 9, "why": "private key missing"},
        {"id": 12, "why": "escrow missing on chain"},
        {"id": 31, "why": "local state unrecoverable"},
    ]


def test_an_orderly_start_drops_none() -> None:
    assert dropped("") == ()
    assert dropped("devshard 7 inactive\ndevshardctl gateway listening on :8080") == ()

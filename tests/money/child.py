# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Runs modules of the collection with shortened sleeps, as forks.py tells."""

from __future__ import annotations

import importlib
import time

NAP = 0.1
_sleep = time.sleep


if __name__ == "__main__":
    # before the collection is imported: it takes the function as a default argument
    time.sleep = lambda seconds: _sleep(min(float(seconds), NAP))
    importlib.import_module("ansible_collections.gonka.devshard.tests.money.forks").main()

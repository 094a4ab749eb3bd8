# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Points in time with nanoseconds, in the forms that the chain prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)"
)
NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Seconds and nanoseconds since 1970, UTC."""

    seconds: int
    nanos: int = 0

    @classmethod
    def from_ns(cls, value: int) -> Timestamp:
        return cls(*divmod(value, NANOS))

    @property
    def ns(self) -> int:
        return self.seconds * NANOS + self.nanos

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(f"not an RFC 3339 time: {text!r}")
        year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        if match[8] != "Z":
            offset = timedelta(hours=int(match[8][1:3]), minutes=int(match[8][4:]))
            moment += -offset if match[8][0] == "+" else offset
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
        return cls(seconds, int((match[7] or "").ljust(9, "0")))

    def _moment(self) -> datetime:
        return _EPOCH + timedelta(seconds=self.seconds)

    def rfc3339(self) -> str:
        """Go's RFC3339Nano: no trailing zeros."""
        return f"{self._moment():%Y-%m-%dT%H:%M:%S}{self._fraction()}Z"

    def rfc3339_seconds(self) -> str:
        return f"{self._moment():%Y-%m-%dT%H:%M:%S}Z"

    def go_string(self) -> str:
        """What Go's ``Time.String`` prints for a UTC time."""
        return f"{self._moment():%Y-%m-%d %H:%M:%S}{self._fraction()} +0000 UTC"

    def _fraction(self) -> str:
        return f".{self.nanos:09d}".rstrip("0") if self.nanos else ""

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Whether a certificate serves the names that clients use, now: what ``openssl`` says, judged."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from .._core.errors import ConfigurationError

if t.TYPE_CHECKING:
    from collections.abc import Sequence

_DATE: t.Final = "%b %d %H:%M:%S %Y %Z"
_SAN: t.Final = re.compile(r"\b(DNS|IP Address):([^,\s]+)")
_COMMON_NAME: t.Final = re.compile(r"\bCN\s*=\s*([^,/\n]+)")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """``names`` are DNS names and addresses, in lower case."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    public_key: str

    def covers(self, name: str) -> bool:
        """Whether a client that asks for this name accepts it; a star stands for one label."""
        name = name.lower().rstrip(".")
        parent = name.partition(".")[2]
        return name in self.names or bool(parent and f"*.{parent}" in self.names)


def parse_certificate(text: str, public_key: str) -> Certificate:
    """What ``openssl x509 -noout -subject -startdate -enddate -ext subjectAltName`` prints."""
    dates = dict(re.findall(r"(?m)^(notBefore|notAfter)=(.+)$", text))
    try:
        start, end = (
            datetime.strptime(dates[name].strip(), _DATE).replace(tzinfo=timezone.utc)
            for name in ("notBefore", "notAfter")
        )
    except (KeyError, ValueError) as exc:
        raise ConfigurationError(
            "openssl printed no dates for the certificate (edge_tls_certificate)"
        ) from exc
    names = [value.lower() for _kind, value in _SAN.findall(text)]
    if not names:
        # very old certificates; clients of today do not look there
        names = [value.strip().lower() for value in _COMMON_NAME.findall(text)]
    return Certificate(names=tuple(names), not_before=start, not_after=end, public_key=public_key)


def faults_of(
    certificate: Certificate, key_public: str, names: Sequence[str], now: datetime
) -> list[str]:
    """Every reason for which clients would refuse it, with dates and names."""
    faults = []
    if now > certificate.not_after:
        days = (now - certificate.not_after).days
        faults.append(
            f"it expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC, {days} days ago. Renew it"
        )
    if now < certificate.not_before:
        faults.append(
            f"it is valid only from {certificate.not_before:%Y-%m-%d %H:%M} UTC on, and this host"
            f" has {now:%Y-%m-%d %H:%M} UTC. Correct the host's clock, or wait"
        )
    missing = [name for name in dict.fromkeys(names) if not certificate.covers(name)]
    if missing:
        faults.append(
            f"it is for {', '.join(certificate.names) or 'no name'}, not for {', '.join(missing)},"
            " which clients use (devshard_client_base_url, edge_server_name)"
        )
    if key_public != certificate.public_key:
        faults.append("edge_tls_key is the key of another certificate")
    return faults

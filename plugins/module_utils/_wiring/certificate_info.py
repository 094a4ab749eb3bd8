# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``certificate_info``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import ConfigurationError
from .._edge.certificate import (
    Certificate,
    faults_of,
    parse_certificate,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "path": {"type": "path", "required": True},
        "key_path": {"type": "path", "required": True, "no_log": False},
        "names": {"type": "list", "elements": "str", "default": []},
        "warn_days": {"type": "int", "default": 14},
    }
)


def ask_openssl(context: Context, *arguments: str, what: str) -> str:
    rc, stdout, stderr = context.run(["openssl", *arguments])
    if rc != 0:
        reason = (stderr.strip().splitlines() or ["it said nothing"])[0]
        if "No such file or directory" in reason and "openssl" in reason and not stdout:
            raise ConfigurationError(
                "this host has no openssl, with which the certificate is checked: install the"
                " package openssl"
            )
        raise ConfigurationError(f"{what} cannot be read: {reason}")
    return stdout


def read(context: Context, path: str) -> Certificate:
    what = f"the certificate {path} (edge_tls_certificate)"
    parts = ["-noout", "-subject", "-startdate", "-enddate", "-ext", "subjectAltName"]
    text = ask_openssl(context, "x509", "-in", path, *parts, what=what)
    key = ask_openssl(context, "x509", "-in", path, "-noout", "-pubkey", what=what)
    return parse_certificate(text, key.strip())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    path: str
    key_path: str
    names: tuple[str, ...]
    warn_days: int


def work(context: Context) -> Outcome:
    options = context.read(Options)
    for path, variable in (
        (options.path, "edge_tls_certificate"),
        (options.key_path, "edge_tls_key"),
    ):
        if not Path(path).is_file():
            raise ConfigurationError(f"there is no {path} on this host ({variable})")
    certificate = read(context, options.path)
    # an empty passphrase: nginx could not ask for one at boot
    key = ask_openssl(
        context,
        *("pkey", "-in", options.key_path, "-passin", "pass:", "-pubout"),
        what=f"the private key {options.key_path} (edge_tls_key), which must have no passphrase,",
    )
    now = datetime.now(timezone.utc)
    faults = faults_of(certificate, key.strip(), options.names, now)
    if faults:
        raise ConfigurationError(
            f"clients would refuse the certificate {options.path} (edge_tls_certificate):"
            f" {'; '.join(faults)}",
            faults=faults,
        )
    days = (certificate.not_after - now).days
    if days < options.warn_days:
        context.warn(
            f"the certificate {options.path} expires in {days} days, on"
            f" {certificate.not_after:%Y-%m-%d}. Renew it and run the role edge again"
        )
    return Outcome(
        changed=False,
        values={
            "certificate": {
                "names": list(certificate.names),
                "not_before": f"{certificate.not_before:%Y-%m-%dT%H:%M:%SZ}",
                "not_after": f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}",
                "days_left": days,
            }
        },
    )

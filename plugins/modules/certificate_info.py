#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certificate_info
short_description: Check whether a certificate serves the clients of an edge
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Fails for a certificate that is expired or not valid yet, that does not cover O(names), or whose key is not
    O(key_path). The message names all reasons.
  - A certificate that expires within O(warn_days) is a warning.
  - The issuer is not checked.
options:
  path:
    description:
      - The certificate chain, as PEM, the certificate of the server first.
    type: path
    required: true
  key_path:
    description:
      - Its private key, as PEM, without a passphrase.
    type: path
    required: true
  names:
    description:
      - Names and addresses that clients use. Each must be one of the certificate's.
    type: list
    elements: str
    default: []
  warn_days:
    description:
      - Number of days before the expiry at which a warning is given.
    type: int
    default: 14
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
requirements:
  - The program openssl on the managed host
seealso:
  - module: gonka.devshard.edge_config
"""

EXAMPLES = r"""
- name: Check the certificate of the edge
  gonka.devshard.certificate_info:
    path: /etc/letsencrypt/live/gateway.example.org/fullchain.pem
    key_path: /etc/letsencrypt/live/gateway.example.org/privkey.pem
    names: [gateway.example.org]
"""

RETURN = r"""
certificate:
  description: The certificate.
  returned: success
  type: dict
  contains:
    names:
      description: The names and addresses that it covers.
      type: list
      elements: str
      sample: [gateway.example.org]
    not_before:
      description: Start of its validity, in UTC.
      type: str
      sample: "2026-11-01T00:00:00Z"
    not_after:
      description: When it expires, in UTC.
      type: str
      sample: "2027-01-30T00:00:00Z"
    days_left:
      description: Whole days until it expires.
      type: int
      sample: 62
"""

from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._edge.certificate import (
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


def work(context: Context) -> Outcome:
    params = context.params
    for option, variable in (("path", "edge_tls_certificate"), ("key_path", "edge_tls_key")):
        if not Path(params[option]).is_file():
            raise ConfigurationError(f"there is no {params[option]} on this host ({variable})")
    certificate = read(context, params["path"])
    # an empty passphrase: nginx could not ask for one at boot
    key = ask_openssl(
        context,
        *("pkey", "-in", params["key_path"], "-passin", "pass:", "-pubout"),
        what=f"the private key {params['key_path']} (edge_tls_key), which must have no passphrase,",
    )
    now = datetime.now(timezone.utc)
    faults = faults_of(certificate, key.strip(), params["names"], now)
    if faults:
        raise ConfigurationError(
            f"clients would refuse the certificate {params['path']} (edge_tls_certificate):"
            f" {'; '.join(faults)}",
            faults=faults,
        )
    days = (certificate.not_after - now).days
    if days < params["warn_days"]:
        context.warn(
            f"the certificate {params['path']} expires in {days} days, on"
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


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

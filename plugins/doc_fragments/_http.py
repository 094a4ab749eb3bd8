# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  request_timeout:
    description:
      - Time to wait for a connection and between two parts of an answer, in seconds. Calls of the gateway that
        are known to take long have longer times of their own.
    type: int
    default: 10
  validate_certs:
    description:
      - Check TLS certificates. Say V(false) only on a network of your own.
    type: bool
    default: true
  ca_path:
    description:
      - File or directory with certificates of authorities, on the managed host. By default those that
        C(requests) has.
    type: path
requirements:
  - requests on the managed host
"""

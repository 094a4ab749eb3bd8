# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This fragment is private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  request_timeout:
    description:
      - Maximum time to wait for a connection and between two parts of an answer, in seconds. Calls of the gateway that
        are known to take long have their own, longer limits.
    type: int
    default: 10
  validate_certs:
    description:
      - Check TLS certificates. Set it to V(false) only on a network of your own.
    type: bool
    default: true
  ca_path:
    description:
      - File or directory with certificates of authorities, on the managed host. The default is the set that C(requests)
        uses.
    type: path
requirements:
  - requests on the managed host
"""

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup: the address of the account that pays for escrows."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: creator_address
short_description: The address of the account that pays for escrows
version_added: 0.7.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Returns the C(gonka1...) address of a creator, without showing its key.
  - With O(key_file) or O(key_env) it is the address of the key in that file or environment variable of the controller.
  - Otherwise it is the address of each host that is named, or of the current host. The variable C(gateway_private_key)
    gives it, or C(creator_address) where that is not set. If both are set and differ, the lookup fails. Without both it
    is the address that the role P(gonka.devshard.creator#role) has determined in this run.
  - It fails where the address is not known on the controller, because the host has made the key itself.
  - To derive an address from a key, C(cryptography) is needed on the controller.
options:
  _terms:
    description:
      - Names of hosts of the inventory.
    type: list
    elements: str
    default: []
  key_file:
    description:
      - A file on the controller that holds the private key, 64 hexadecimal digits. It may be encrypted with
        C(ansible-vault).
    type: path
  key_env:
    description:
      - The name of an environment variable of the controller that holds the private key.
    type: str
"""

EXAMPLES = r"""
- name: Show which address must be on the allowlist
  ansible.builtin.debug:
    msg: "{{ lookup('gonka.devshard.creator_address') }}"

- name: Show the accounts of the fleet
  ansible.builtin.debug:
    msg: "{{ query('gonka.devshard.creator_address', *groups['devshard_gateways']) | unique }}"
  run_once: true

- name: Show the address of a key that is not in the inventory yet
  ansible.builtin.debug:
    msg: "{{ lookup('gonka.devshard.creator_address', key_file='~/new_creator.key') }}"
"""

RETURN = r"""
_raw:
  description:
    - The addresses, in the order of the hosts.
  type: list
  elements: str
"""

import os
import typing as t

from ansible.errors import AnsibleError, AnsibleFilterError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.gonka.devshard.plugins.module_utils._core.address import refuse_address
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.key_address import (
    key_address,
)

Value = t.Callable[[str], t.Any]

KEY: t.Final = "gateway_private_key"
EXPECTED: t.Final = "creator_address"
FOUND: t.Final = "creator_address_found"


def address_of_key(key: object, where: str) -> str:
    """The address of a key. The message says where the key stands, and never shows it."""
    try:
        return key_address(key)
    except AnsibleFilterError as exc:
        raise AnsibleLookupError(
            f"creator_address: {where}: {exc.message.removeprefix('key_address: ')}"
        ) from None


def address_of_host(host: str, value: Value) -> str:
    """The address that the variables of a host give."""
    key, expected = value(KEY), value(EXPECTED)
    if expected and (fault := refuse_address(str(expected), EXPECTED)) is not None:
        raise AnsibleLookupError(f"creator_address: {host}: {fault}")
    found = address_of_key(key, f"{host}: {KEY}") if key else None
    if found and expected and found != expected:
        raise AnsibleLookupError(
            f"creator_address: {host}: {KEY} is the key of {found}, but {EXPECTED} is {expected}."
            " Correct the one that is wrong"
        )
    known: str | None = found or expected or value(FOUND)
    if not known:
        raise AnsibleLookupError(
            f"creator_address: {host}: neither {KEY} nor {EXPECTED} is set, so its address is not"
            " known on the controller. The host has its key; the playbook gonka.devshard.status"
            " shows the address"
        )
    return str(known)


class LookupModule(LookupBase):
    """See the documentation above."""

    def run(
        self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[str]:
        take_options: t.Callable[..., None] = self.set_options
        take_options(var_options=variables, direct=kwargs)
        option: t.Callable[[str], t.Any] = self.get_option
        path, env = option("key_file"), option("key_env")
        if sum(1 for given in (terms, path, env) if given) > 1:
            raise AnsibleLookupError(
                "creator_address: names of hosts, key_file and key_env exclude each other"
            )
        if path:
            return [address_of_key(self._read(path), str(path))]
        if env:
            if env not in os.environ:
                raise AnsibleLookupError(
                    f"creator_address: the environment variable {env} is not set on the controller"
                )
            return [address_of_key(os.environ[env], f"environment variable {env}")]
        given = variables or {}
        if not terms:
            host = str(given.get("inventory_hostname", "localhost"))
            return [address_of_host(host, lambda name: self._templated(given.get(name)))]
        return [self._of(host, given.get("hostvars", {})) for host in terms]

    def _of(self, host: str, hostvars: t.Any) -> str:
        if host not in hostvars:
            raise AnsibleLookupError(f"creator_address: the inventory has no host {host}")
        return address_of_host(host, hostvars[host].get)

    def _templated(self, value: t.Any) -> t.Any:
        return None if value is None or self._templar is None else self._templar.template(value)

    def _read(self, path: str) -> str:
        """The content of a file, decrypted where it is a vault."""
        loader: t.Any = self._loader
        read: t.Callable[[str], str] = loader.get_text_file_contents
        try:
            return read(path).strip()
        except (AnsibleError, UnicodeDecodeError):
            # its own message may quote the file
            raise AnsibleLookupError(
                f"creator_address: {path} cannot be read as text, or decrypted"
            ) from None

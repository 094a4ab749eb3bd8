#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: site_look_info
short_description: Compare a host with what the roles want, in one run
version_added: 0.3.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Looks at packages, services, files, programs and answers, and asks other modules of the collection for their
    prediction, all in one run. Each of them looks and decides as it does in check mode.
  - Returns for each part why it is not as wanted. What could not be checked is a reason too, never a match.
  - Usually it is run by M(gonka.devshard.site_plan), which knows from the roles what they want.
  - Needs nothing but Python on the host. What a question needs besides is a reason where it is missing.
options:
  parts:
    description:
      - What is wanted, in parts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the part.
        type: str
        required: true
      packages:
        description:
          - Packages of the distribution that must be installed.
        type: list
        elements: str
        default: []
      services:
        description:
          - Services that must run and start at boot.
        type: list
        elements: str
        default: []
      files:
        description:
          - Paths. What is left out of a path does not count.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description:
              - The path.
            type: path
            required: true
          state:
            description:
              - What must be there.
            type: str
            choices: [file, directory, link, absent]
            default: file
          sha256:
            description:
              - Checksum of the content.
            type: str
          mode:
            description:
              - Mode, four octal digits.
            type: str
          owner:
            description:
              - User and group, by name.
            type: str
          target:
            description:
              - Where a link leads.
            type: path
          entry_of:
            description:
              - A zip file whose entry of the same name the file must be.
            type: path
          fields:
            description:
              - All fields of a file whose lines are C(NAME) and C(VALUE) with a colon between them.
            type: dict
          options:
            description:
              - Options that a JSON file must have among others.
            type: dict
      programs:
        description:
          - Programs and what they must say.
        type: list
        elements: dict
        default: []
        suboptions:
          argv:
            description:
              - The program and its arguments. It must change nothing.
            type: list
            elements: str
            required: true
          says:
            description:
              - Regular expression that its output must hold.
            type: str
            required: true
      answers:
        description:
          - URLs of the loopback and the HTTP status that they must answer. No certificate is checked and no redirect is
            followed.
        type: list
        elements: dict
        default: []
        suboptions:
          url:
            description:
              - The URL.
            type: str
            required: true
          name:
            description:
              - Name of the server that is asked for.
            type: str
          status:
            description:
              - The statuses that are right.
            type: list
            elements: int
            required: true
      questions:
        description:
          - Modules of the collection that are asked for their prediction.
        type: list
        elements: dict
        default: []
        suboptions:
          module:
            description:
              - The module.
            type: str
            required: true
            choices: [allowlist, certificate_info, creator_key, edge_config, escrow, escrow_info, escrow_rotation,
                      escrow_settle, gateway_env, gateway_plan_info, gateway_settings, presence_info]
          what:
            description:
              - What it is about, for the reason.
            type: str
            required: true
          args:
            description:
              - Its options, without those of O(common) and O(secrets).
            type: dict
            default: {}
          when:
            description:
              - Ask only then. V(rotation_does_not_settle) is when the question M(gonka.devshard.escrow_rotation) of the
                part said that rotation is on and leaves settling to others.
            type: str
            choices: [rotation_does_not_settle]
  common:
    description:
      - Options that each question takes which has them, such as C(gateway_url).
    type: dict
    default: {}
  secrets:
    description:
      - Secrets for the questions about the environment of the gateway.
    type: dict
    suboptions:
      private_key:
        description:
          - The private key of the creator.
        type: str
      api_keys:
        description:
          - The keys of clients.
        type: str
      admin_api_key:
        description:
          - The key of the operator.
        type: str
  host:
    description:
      - Return a few facts of the host.
    type: bool
    default: false
  stats:
    description:
      - Paths to look at.
    type: list
    elements: path
    default: []
  texts:
    description:
      - Files whose text is returned. They must hold no secret.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
seealso:
  - module: gonka.devshard.site_plan
"""

EXAMPLES = r"""
- name: Compare nginx
  gonka.devshard.site_look_info:
    parts:
      - name: edge
        packages: [nginx]
        services: [nginx]
        files:
          - {path: /etc/nginx/devshard, state: directory, mode: "0755", owner: root}
"""

RETURN = r"""
plan:
  description: The parts that are not as wanted, each with the reasons.
  returned: success
  type: dict
  sample:
    edge: [the service nginx does not run (inactive)]
predictions:
  description: What each question returned, by part and module.
  returned: success
  type: dict
  sample: {}
host:
  description: Facts of the host, under Ansible's names, its user and the version of nginx.
  returned: when O(host=true)
  type: dict
  sample:
    ansible_facts:
      distribution: Debian
    nginx_version: 1.26.3
    uid: 0
stats:
  description: Each of O(stats), in the words of M(ansible.builtin.stat).
  returned: success
  type: dict
  sample:
    /usr/bin/docker:
      exists: true
      isreg: true
texts:
  description: The text of each of O(texts), null where there is no such file.
  returned: success
  type: dict
  sample: {}
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.site_look_info import (
    SPEC,
    work,
)


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: presence_info
short_description: Inspect what the collection, and what others, have deployed on a host
version_added: 0.2.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - The first check of every playbook. It finds the deploy record, the records of a retirement, of a redirect and of an
    unfinished swap, the gateway's container with the storage that it really mounts, other gateways, and the programs
    that have the ports.
  - It needs only Python and the docker program. If there is no docker program or the engine does not answer, everything
    that only the engine knows is unknown, and never counts as absent.
  - It contacts neither the gateway nor the chain, and discloses no secret.
  - Each part of the result has C(known), which is V(false) where it could not be inspected, and most have C(exists).
options:
  deploy_dir:
    description:
      - Directory of the gateway.
    type: path
    required: true
  state_dir:
    description:
      - Directory of the ledger, the keyring and the notes.
    type: path
    default: /var/lib/gonka-devshard
  instance:
    description:
      - Name of the gateway among those of the host; empty for the one without a name. Its journal and the note of a
        redirect, and its edge, follow from it.
    type: str
    default: ''
    version_added: 0.3.0
  env_file:
    description:
      - The gateway's environment file. The default is V(config.devshard.env) in O(deploy_dir).
    type: path
  keyring:
    description:
      - The creator's key in the keyring. The default is the usual place in O(state_dir).
    type: path
  ledger_path:
    description:
      - The ledger. The default is V(ledger.db) in O(state_dir).
    type: path
  container_name:
    description:
      - Name of the gateway's container.
    type: str
    default: devshardctl-multi
  temp_container_name:
    description:
      - Name of the temporary gateway's container in a hot swap.
    type: str
    default: devshardctl-temp
  gateway_port:
    description:
      - Port of the gateway on this host.
    type: int
    default: 18080
  temp_port:
    description:
      - Port of the temporary gateway on this host.
    type: int
    default: 18081
  edge_ports:
    description:
      - Ports of the edge.
    type: list
    elements: int
    default: [80]
  paths:
    description:
      - Paths that are looked at besides, by names of your choice. RV(presence.paths) has them by the same names.
    type: dict
    default: {}
    version_added: 0.4.0
  play:
    description:
      - The playbook that is about to run. With it RV(refusal) and RV(notes) are returned.
    type: str
    choices:
      - site
      - preflight
      - escrow
      - rotation
      - hot_swap
      - rotate_keys
      - generation_upgrade
      - settle
      - redirect
      - retire
      - status
      - monitoring
      - backup
      - restore
  unretire:
    description:
      - Whether a retired gateway may be brought back.
    type: bool
    default: false
  adopt:
    description:
      - The container was made by hand and is about to be taken over. Without a deploy record its name and its variables
        then prove that it is the gateway.
    type: bool
    default: false
    version_added: 0.6.0
extends_documentation_fragment:
  - gonka.devshard._generation
  - gonka.devshard._attributes
  - gonka.devshard._attributes.info_module
seealso:
  - module: gonka.devshard.gateway_info
"""

EXAMPLES = r"""
- name: Inspect the host
  gonka.devshard.presence_info:
    deploy_dir: /srv/gonka/devshard-gateway
  register: found

- name: Check whether escrows may be settled here
  gonka.devshard.presence_info:
    deploy_dir: /srv/gonka/devshard-gateway
    play: settle
  register: found
  failed_when: found.refusal is not none
"""

RETURN = r"""
refusal:
  description: Why the playbook must not run on this host, and what to do instead. V(null) when it may run.
  returned: when O(play) is given
  type: str
  sample: null
notes:
  description: What the operator has to know, although it goes on.
  returned: when O(play) is given
  type: list
  elements: str
  sample: []
presence:
  description: The inspected state of the host.
  returned: success
  type: dict
  contains:
    deploy_dir:
      description: The directory that was inspected.
      type: str
      sample: /srv/gonka/devshard-gateway
    state_dir:
      description: The state directory that was inspected.
      type: str
      sample: /var/lib/gonka-devshard
    record:
      description:
        - The deploy record, with C(path), C(known), C(exists) and C(error), which says why an existing record cannot be
          read. Its fields are C(schema), C(instance), C(profile), C(protocol), C(storage), C(image), C(digest),
          C(previous_image), C(previous_digest), C(rolled_back_digest), C(state_dir), C(ledger), C(container), C(port)
          and C(probes); each is V(null) where the record does not have it.
      type: dict
      sample: {path: /srv/gonka/devshard-gateway/.gonka-devshard.json, known: true, exists: true, error: null}
    retired:
      description:
        - The record of a retirement. C(retired) is V(false) when that record was left beside a running container.
        - C(unchanged) says whether the database is the one that was archived then, or was removed since. It is V(null)
          without a record, beside a running container, and where the two could not be compared.
        - C(archived) is V(false) when everything was settled and the archive is still to be made. C(unchanged) then
          says whether the database has only records that it had when everything was settled.
      type: dict
      sample: {path: /srv/gonka/devshard-gateway/.retired.json, known: true, exists: false, retired: false,
               unchanged: null, archived: null}
    redirect:
      description:
        - Whether the edge sends clients elsewhere, and where, in C(base_url). C(noted) says whether the previous state
          is kept.
      type: dict
      sample: {known: true, exists: false, base_url: null, noted: false,
               path: /etc/nginx/devshard/server.d/redirect.conf}
    swap:
      description:
        - The unfinished hot swap. C(open) is V(true) when a swap has begun to change something, C(touched) is V(false)
          for one that got no further than its preflight. C(error) says why a journal cannot be read; then C(known) is
          V(false). With a journal also C(path), C(slot), C(id), C(run), C(mode), C(temp_escrows), C(target), C(asked),
          C(origin), C(origin_asked), C(started), C(done), C(step), C(since), C(rolling_back) and C(temp_escrow_ids).
      type: dict
      sample: {known: true, error: null, open: false}
    container:
      description:
        - The gateway's container by its name, with C(known), C(exists), C(running), and C(ours), which is V(true) only
          when the storage that it really mounts is the one of the deploy record, by device and inode.
        - If it exists, also C(id), C(image), C(image_id), C(digest), C(digests), C(generation), C(state), C(health),
          C(exit_code), C(pid), C(started_at), C(restart_count), C(restart_policy), C(project) and C(working_dir) of
          Compose, C(swap_id), C(published) ports, C(mounts) as pairs of target and source, C(storage),
          C(storage_target), C(storage_holds_database), C(record_path) of the deploy record beside its storage,
          C(instance), the name of the gateway in that record, and C(text), a description for messages.
      type: dict
      sample: {name: devshardctl-multi, known: true, exists: true, running: true, ours: true}
    temp:
      description:
        - The temporary gateway's container, likewise. It is ours when its storage is inside the gateway's storage and
          it has the label of a swap.
      type: dict
      sample: {name: devshardctl-temp, known: true, exists: false, running: false, ours: null}
    others:
      description:
        - Other containers that look like gateways or mount the database of one, each like RV(presence.container).
      type: list
      elements: dict
      sample: []
    others_known:
      description: Whether the engine could list them.
      type: bool
      sample: true
    ports:
      description:
        - For each port C(name) (V(gateway), V(temp), V(edge)), C(port), C(state) (V(free), V(ours), V(foreign) or
          V(unknown)), C(known), C(text) for a table, and C(owner) with C(kind) (V(container), V(nginx), V(process) or
          V(unknown)), C(name), C(pid), C(nginx) (whose site it has, V(collection), V(another) for the edge of
          another gateway of the host, V(debian) or V(owner)), C(container_id), C(storage), C(record_path) and C(text).
      type: list
      elements: dict
      sample: [{name: gateway, port: 18080, known: true, state: free, text: free, owner: null}]
    keyring:
      description: The creator's key.
      type: dict
      sample: {path: /var/lib/gonka-devshard/inferenced/keyring-devshard/keyring-test/devshard-create.info,
               known: true, exists: true}
    ledger:
      description: The ledger.
      type: dict
      sample: {path: /var/lib/gonka-devshard/ledger.db, known: true, exists: true}
    env_file:
      description: The environment file.
      type: dict
      sample: {path: /srv/gonka/devshard-gateway/config.devshard.env, known: true, exists: true}
    waiting_keys:
      description:
        - New keys of clients and of the admin API that the container does not have yet. C(names) are their variables,
          never a key. C(error) says why that is unknown; then C(known) is V(false).
      type: dict
      sample: {known: true, error: null, names: [DEVSHARD_ADMIN_API_KEY]}
      version_added: 0.10.0
    restoring:
      description: Backups whose restore was interrupted, by name. The gateway may have the rotation of such a backup.
      type: list
      elements: str
      sample: []
      version_added: 0.10.0
    storage:
      description: The database in the storage that the deploy record names.
      type: dict
      sample: {path: /srv/gonka/devshard-gateway/.devshardctl/gateway.db, known: true, exists: true}
    other_ledgers:
      description: The ledger of earlier runs, when it is not the configured one.
      type: list
      elements: str
      sample: []
    engine:
      description: Whether a Docker Engine is here, with its C(program), C(known), C(exists) and C(error).
      type: dict
      sample: {program: /usr/bin/docker, known: true, exists: true, error: null}
    instance:
      description: Name of the gateway, as O(instance) gives it.
      type: str
      sample: ''
    other_edges:
      description:
        - Edges of the host's other gateways that listen on a port of O(edge_ports), with C(path) of the file and
          C(port).
      type: list
      elements: dict
      sample: []
    paths:
      description:
        - The paths of O(paths), and C(compose), the compose file, C(storage), the folder of the storage, and C(edge),
          the folder for the rules of the edge. Each has C(path), C(known), C(exists) and C(directory). A link counts
          as what it leads to.
      type: dict
      sample: {edge: {path: /etc/nginx/devshard/server.d, known: true, exists: true, directory: true}}
    libraries:
      description:
        - Whether the modules of the collection can import the Python libraries that they need, by the interpreter that
          runs them.
      type: dict
      sample: {requests: true, docker: true}
    gateway_proved:
      description: Whether the program on the gateway's port is proved to be this gateway. No secret may go to any other
        program.
      type: bool
      sample: true
"""

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import run_module
from ansible_collections.gonka.devshard.plugins.module_utils._wiring.presence_info import SPEC, work


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What others make of the built collection: Galaxy's importer, ansible-builder, ansible-navigator.

Their requirements contradict ours, so they have an environment of their own, .venv-package.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import threading
import typing as t
from pathlib import Path

import tarball
from _gates import BUILD, CACHE, NAME, NAMESPACE, ROOT, VENV, Failed

if t.TYPE_CHECKING:
    from _gates import Step

FULL_NAME = f"{NAMESPACE}.{NAME}"
TOOLS = ROOT / ".venv-package"
WORK = BUILD / "published"

# A host without a gateway, so that the play ends with a verdict of its own.
INVENTORY = """
devshard_gateways:
  hosts:
    gateway1:
      ansible_connection: local
      ansible_python_interpreter: {python}
  vars:
    devshard_chain_id: gonka-mainnet
    devshard_chain_rest: http://127.0.0.1:1/chain-api
    devshard_chain_rpc: http://127.0.0.1:1/chain-rpc
    devshard_chain_grpc: none
    devshard_public_api: http://127.0.0.1:1
    devshard_profile: v4.1
    devshard_protocol: v4.1
    devshard_models:
      - id: example/model
        amount: 5000000000
    devshard_deploy_dir: {folder}
    devshard_state_dir: {folder}
    gateway_image: ghcr.io/gonka-ai/devshard-gateway:mainnet-v0.2.15-v4.1.1
    inferenced_version: v0.2.16-post1
"""

VERDICT = "the collection has deployed no gateway in"

_built: list[Path] = []
_lock = threading.Lock()


def prepare(step: Step) -> Path:
    """The environment of the tools, and a tarball; both are made once for all gates."""
    with _lock:
        if not _built:
            shutil.rmtree(WORK, ignore_errors=True)
            step.call(ROOT / "tests" / "tools" / "setup", "package")
            _built.append(tarball.build(step, ROOT, WORK, tarball.commit_time()))
    return _built[0]


def environment(collections: Path) -> dict[str, str]:
    return {
        "PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_LOCAL_TEMP": str(WORK / "ansible"),
        # some thirty starts of Ansible: compiled once
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(CACHE / "package-bytecode"),
    }


def fresh(name: str) -> Path:
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def importer(step: Step) -> None:
    """What Ansible Galaxy does with an upload; ansible-lint is a gate of its own."""
    galaxy_importer(step, prepare(step), lint=False)


def galaxy_importer(step: Step, built: Path, *, lint: bool) -> None:
    folder = fresh("importer")
    # with lint: community.docker is looked for in the importer's own folder, then where Python looks
    packages = next((TOOLS / "lib").glob("python*/site-packages"))
    (packages / "dependencies.pth").write_text(f"{CACHE / 'collections'}\n")
    (folder / "importer.cfg").write_text(
        f"[galaxy-importer]\nrun_ansible_lint = {lint}\nansible_local_tmp = {folder / 'tmp'}\n"
    )
    said = step.call(
        *(TOOLS / "bin" / "python", "-m", "galaxy_importer.main", built),
        cwd=folder,
        env={**environment(folder), "GALAXY_IMPORTER_CONFIG": str(folder / "importer.cfg")},
    )
    found = re.findall(r"^(?:WARNING|ERROR|CRITICAL): .*", said, re.MULTILINE)
    if any("Timeout on call to ansible-lint" in one for one in found):
        raise Failed("galaxy-importer gives ansible-lint three minutes: this machine was too busy")
    if found:
        raise Failed(f"galaxy-importer has {len(found)} complaints, the first: {found[0]}")
    with tarfile.open(built) as archive:
        shipped = set(archive.getnames())
    result = json.loads((folder / "importer_result.json").read_text())
    listed = {(one["content_type"], one["name"]) for one in result["contents"]}
    wanted = {
        *named(shipped, "module", r"plugins/modules/(\w+)\.py"),
        *named(shipped, "filter", r"plugins/filter/(\w+)\.py"),
        *named(shipped, "role", r"roles/(\w+)"),
        *named(shipped, "playbook", r"playbooks/(\w+\.yml)"),
    }
    if wanted - listed:
        raise Failed(f"galaxy-importer did not find {sorted(wanted - listed)}")


def named(shipped: set[str], kind: str, pattern: str) -> set[tuple[str, str]]:
    found = [re.fullmatch(pattern, name) for name in shipped]
    return {(kind, match[1]) for match in found if match}


def execution_environment(step: Step) -> None:
    """The build context, and the step in it that needs no base image; then what was declared."""
    built = prepare(step)
    folder = fresh("environment")
    shutil.copy(ROOT / "execution-environment.yml", folder)
    (folder / "build").mkdir()
    shutil.copy(built, folder / "build")
    context, collections = folder / "context", folder / "collections"
    step.call(
        *(TOOLS / "bin" / "ansible-builder", "create", "--file", "execution-environment.yml"),
        *("--context", context, "--output-filename", "Containerfile"),
        cwd=folder,
    )
    step.call(
        *("ansible-galaxy", "collection", "install", "--offline", "--no-deps"),
        *("-r", "requirements.yml", "-p", collections),
        cwd=context / "_build",
        env=environment(collections),
    )
    said = step.call(TOOLS / "bin" / "ansible-builder", "introspect", collections)
    python = re.findall(rf"^- '(\S+) +# from collection {FULL_NAME}'$", said, re.MULTILINE)
    system = re.findall(r"^- '(\S+) \[platform:", said, re.MULTILINE)
    if not python or "openssh-client" not in system:
        raise Failed(f"ansible-builder does not find the requirements: {python} {system}")
    step.call("python", ROOT / "tests" / "tools" / "import_all.py", collections, *python)


def navigator(step: Step) -> None:
    """A play by ansible-navigator, with the settings that the guide shows, from the tarball."""
    built = prepare(step)
    folder = fresh("navigator")
    (folder / "inventory.yml").write_text(
        INVENTORY.format(python=VENV / "bin" / "python", folder=folder / "none")
    )
    (folder / "ansible-navigator.yml").write_text(documented_settings())
    alone = {**environment(folder / "collections"), "HOME": str(folder)}
    step.call(
        *("ansible-galaxy", "collection", "install", "--offline", "--no-deps"),
        *("-p", folder / "collections", built),
        env=alone,
    )
    (folder / "collections" / "ansible_collections" / "community").symlink_to(
        CACHE / "collections" / "ansible_collections" / "community"
    )
    said = step.call(
        *("bash", "-c", 'ansible-navigator run "$@" && exit 9 || exit 0', "bash"),
        *(f"{FULL_NAME}.status", "-i", "inventory.yml", "--execution-environment", "false"),
        cwd=folder,
        env=alone,
    )
    for words in (VERDICT, "gateway1 ", "changed=0", "unreachable=0"):
        if words not in said:
            raise Failed(f"ansible-navigator did not show: {words}")
    if list(folder.glob("*artifact*")):
        raise Failed("ansible-navigator wrote an artifact, which holds the keys of clients")


def documented_settings() -> str:
    """The file that the guide shows, as it is there."""
    guide = (ROOT / "docs/docsite/rst/execution_environments.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)", guide, re.MULTILINE)
    found = [block for block in blocks if block.lstrip().startswith("ansible-navigator:")]
    if len(found) != 1:
        raise Failed("the guide does not show one ansible-navigator.yml")
    return re.sub(r"^   ", "", found[0], flags=re.MULTILINE)

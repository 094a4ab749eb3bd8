# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""Which variables and tags the collection knows, and what the user may have meant."""

from __future__ import annotations

import difflib
import fnmatch
import typing as t
from pathlib import Path

import yaml

PREFIXES: t.Final = (
    *(
        "adopt",
        "backup",
        "creator",
        "devshard",
        "docker_engine",
        "edge",
        "escrow",
        "gateway",
        "hot_swap",
    ),
    *(
        "inferenced",
        "monitoring",
        "notify",
        "preflight",
        "redirect",
        "restore",
        "retire",
        "rotate_keys",
        "rotation",
        "schedule",
        "settle",
        "settlement",
        "status",
    ),
)
"""What the names of the collection's variables begin with, before the first underscore."""

ALLOW: t.Final = "devshard_foreign_variables"
"""The variable with which a user names variables of his own that have one of the prefixes."""

CHOICES: t.Final = (
    *("devshard_hosts", "hot_swap_batch", "restore_confirm"),
    *("retire_confirm", "settle_confirm", "settle_ids", "settle_select"),
)
"""Variables of the playbooks themselves, beside the settings of the roles."""

RESULTS: t.Final = (
    *("adopt_found", "adopt_needs_swap", "adopt_swap_left"),
    *("creator_address_found", "creator_balance", "creator_missing", "creator_needed"),
    *("devshard_chat", "preflight_findings", "devshard_first_play", "devshard_look"),
    *("devshard_look_after", "devshard_presence"),
    *("devshard_refusal", "status_result", "escrow_held"),
    *(
        "rotate_keys_pending",
        "rotation_funding",
        "rotation_need",
        "settlement_escrows",
        "settlement_foreign",
    ),
)
"""What roles leave behind for later roles, plays and hosts."""

LOADER: t.Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

COLLECTION: t.Final = "gonka.devshard"

_SITE_TAGS: t.Final = (
    *("chat", "creator", "creator_allowlist", "creator_funds", "creator_key"),
    *("creator_preflight", "docker_engine", "docker_engine_configure"),
    *("docker_engine_install", "docker_engine_preflight", "docker_engine_service"),
    *("docker_engine_verify", "edge", "edge_configure", "edge_install", "edge_preflight"),
    *("edge_service", "edge_verify", "escrow", "escrow_access", "escrow_create", "gateway"),
    *("gateway_configure", "gateway_preflight", "gateway_service", "gateway_verify"),
    *("inferenced", "inferenced_configure", "inferenced_install", "inferenced_preflight"),
    *("inferenced_verify", "preflight", "rotation"),
)

PLAYBOOK_TAGS: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    # it runs site and hot_swap
    "adopt": (*_SITE_TAGS, "devshard", "hot_swap"),
    "backup": ("backup", "devshard"),
    "escrow": ("devshard", "escrow", "escrow_access", "escrow_create"),
    "hot_swap": ("devshard", "hot_swap"),
    "generation_upgrade": ("devshard", "hot_swap"),
    "monitoring": ("monitoring",),
    "preflight": (),
    "redirect": ("devshard", "redirect"),
    "restore": ("backup", "devshard"),
    "retire": ("devshard", "retire"),
    "rotate_keys": ("devshard", "hot_swap", "rotate_keys"),
    "rotation": ("devshard", "rotation"),
    "settle": ("devshard", "settlement"),
    "site": _SITE_TAGS,
    "status": (),
}
"""The tags of each playbook's tasks, as ``ansible-playbook --list-tags`` shows them."""

SKIPPABLE: t.Final = frozenset({"chat"})
"""Tags of tasks that no other task relies on."""

_UNSKIPPABLE: t.Final = ("all", "always", "tagged", "untagged")

CLOSE: t.Final = 0.75
VERY_CLOSE: t.Final = 0.9


def known_variables(roles: Path) -> set[str]:
    """All names that the collection reads or leaves behind; the roles say theirs themselves."""
    known = {*CHOICES, *RESULTS}
    for path in roles.glob("*/meta/argument_specs.yml"):
        specs = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["argument_specs"]
        known.update(*(point.get("options", {}) for point in specs.values()))
    return known


def unknown_variables(
    names: t.Iterable[str], known: t.Collection[str], foreign: t.Sequence[str] | str = ()
) -> list[tuple[str, str | None]]:
    """Names that nothing reads, each with the known name that it resembles most, or None.

    A name counts when it begins with a prefix of ours, or nearly so and resembles a known name.
    """
    usable = [name for name in sorted(set(names) - set(known)) if _ours(name)]
    # as Ansible takes a text for a list
    patterns = foreign.split(",") if isinstance(foreign, str) else foreign
    found = []
    for name in usable:
        if any(fnmatch.fnmatchcase(name, str(pattern).strip()) for pattern in patterns):
            continue
        exact = _prefix(name) in PREFIXES
        close = difflib.get_close_matches(name, known, n=1, cutoff=CLOSE if exact else VERY_CLOSE)
        if exact or close:
            found.append((name, close[0] if close else None))
    return found


def playbooks_of(arguments: t.Iterable[str], folder: Path) -> list[str] | None:
    """The names of our playbooks, when nothing but ours is run; None otherwise."""
    found = []
    for argument in arguments:
        path = Path(argument)
        if argument.startswith(f"{COLLECTION}."):
            found.append(argument.removeprefix(f"{COLLECTION}."))
        elif path.suffix == ".yml" and path.resolve().parent == folder.resolve():
            found.append(path.stem)
        else:
            return None
    return found


def refuse_tags(
    playbooks: t.Iterable[str], chosen: t.Collection[str], skipped: t.Collection[str]
) -> str | None:
    """Why a selection of tags is not what the user means, or None.

    Ansible takes any tag, and ends well where no task has it.
    """
    names = list(playbooks)
    known = {tag for name in names for tag in PLAYBOOK_TAGS.get(name, ())}
    special = {"all", "always", "never", "tagged", "untagged"}
    for option, asked in (("--tags", chosen), ("--skip-tags", skipped)):
        wrong = sorted(set(asked) - known - special)
        if wrong:
            close = difflib.get_close_matches(wrong[0], sorted(known), n=1, cutoff=CLOSE)
            hint = f"; did you mean {close[0]}?" if close else ""
            tags = f"has the tags {', '.join(sorted(known))}" if known else "has no tags"
            return (
                f"{option} {','.join(wrong)}: no task of {' and '.join(names)} has this tag{hint}."
                f" The playbook {tags}"
            )
    return None


def refuse_part(
    playbooks: t.Iterable[str] | None,
    start: str | None,
    step: bool,
    skipped: t.Collection[str],
    folder: Path,
) -> str | None:
    """Why a run that leaves tasks out is not safe, or None.

    ``playbooks`` are those of :func:`playbooks_of`. In a playbook of the user's own, an option that
    is about his tasks alone is his.
    """
    if step:
        return (
            "--step can leave out single tasks, such as a check or a wait that later tasks rely on."
            " Run the playbook without it, and with --check to see what would be done"
        )
    if start and (playbooks is not None or _named(start, folder)):
        return (
            f"--start-at-task '{start}' leaves out the tasks before it, which check and plan what"
            " the later ones do. Run the playbook from its beginning: what is done already is not"
            " done again, or choose a part with --tags"
        )
    wrong = sorted({*skipped} & {*_UNSKIPPABLE, *_all_tags()} - SKIPPABLE)
    if wrong:
        return (
            f"--skip-tags {','.join(wrong)} can leave out checks that other tasks rely on. Choose"
            f" the parts to run with --tags. Only {', '.join(sorted(SKIPPABLE))} can be skipped"
        )
    return None


def task_names(folder: Path) -> set[str]:
    """The names with which ``--start-at-task`` finds the tasks of our playbooks and roles."""
    found: set[str] = set()
    for path in folder.glob("**/*.yml"):
        for play in yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER) or ():
            found.update(_names([play]))
    for role in (folder.parent / "roles").iterdir():
        specs = yaml.load((role / "meta/argument_specs.yml").read_text("utf-8"), Loader=LOADER)
        names = {
            f"Validating arguments against arg spec '{point}' - {spec.get('short_description')}"
            for point, spec in specs["argument_specs"].items()
        }
        for path in role.glob("tasks/**/*.yml"):
            names.update(_names(yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)))
        found |= names | {f"{COLLECTION}.{role.name} : {name}" for name in names}
    return found


def describe(found: t.Sequence[tuple[str, str | None]]) -> str:
    """The refusal of unknown variables."""
    shown = [f"{name} (did you mean {close}?)" if close else name for name, close in found]
    word = "variable" if len(found) == 1 else "variables"
    return (
        f"unknown {word}: {', '.join(shown)}. Nothing reads"
        f" {'it' if len(found) == 1 else 'them'}, so a setting that you want would not be in force."
        f" Correct the name. A variable of your own that begins with a prefix of this collection"
        f" is named in the list {ALLOW}, which takes patterns such as 'edge_site_*'"
    )


def _names(items: list[dict[str, t.Any]] | None) -> t.Iterator[str]:
    for item in items or ():
        if "name" in item and not item.keys() & {"hosts", "ansible.builtin.import_playbook"}:
            yield item["name"]
        for word in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from _names(item.get(word))


def _named(pattern: str, folder: Path) -> bool:
    return any(name == pattern or fnmatch.fnmatch(name, pattern) for name in task_names(folder))


def _all_tags() -> set[str]:
    return {tag for tags in PLAYBOOK_TAGS.values() for tag in tags}


def _prefix(name: str) -> str | None:
    fitting = [prefix for prefix in PREFIXES if name.startswith(f"{prefix}_")]
    return max(fitting, key=len, default=None)


def _ours(name: str) -> bool:
    if name.startswith(("_", "ansible_")):
        return False
    if _prefix(name) is not None:
        return True
    begin = name.split("_")
    heads = {"_".join(begin[:count]) for count in (1, 2) if len(begin) > count}
    return any(
        difflib.SequenceMatcher(None, head, prefix).ratio() >= CLOSE
        for head in heads
        for prefix in PREFIXES
    )

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What differs between the generations of the gateway: data, and a strategy where behaviour does.

The rest of the gateway asks the one :class:`Generation` of its process and never its name. The
sections in the comments are those of ``generations.md`` and ``gateway-v4.1.md``.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

MINUTE = 60_000
# The name at the end of a prefix, a trailing slash is tolerated.
_NAMED = re.compile(r"/devshard/([^/]+)/?")


class PrefixError(Exception):
    """A route prefix that this generation does not take."""


class PathError(Exception):
    """A storage path that this generation does not take."""


# --- storage paths -------------------------------------------------------------


def any_path(base: Path, text: str) -> Path:
    """As it is; a relative one is relative to the process's working directory."""
    return Path(text)


def below_base(base: Path, text: str) -> Path:
    """Relative to the storage directory, and inside it."""
    path = Path(text)
    if path.is_absolute():
        raise PathError("storage_path must be relative to the gateway base dir")
    if ".." in path.parts:
        raise PathError("storage_path must not contain ..")
    whole = base / path
    if whole == base:
        raise PathError(f"refusing to use base storage dir as escrow path: {whole}")
    return whole


# --- tags ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tags:
    """What one escrow is bound to for life (§1)."""

    # where its hosts are asked
    prefix: str
    # stored with the session
    bind: str
    # hashed into every state root, and the settlement's version
    state: str


def legacy_tags(prefix: str) -> Tags:
    """v2: whatever the prefix, the session is bound to v1 and settles as v2."""
    return Tags(prefix, "v1", "v2")


def named(prefix: str) -> str:
    found = _NAMED.fullmatch(prefix)
    if found is None:
        raise PrefixError(f'resolve route version: unsupported devshard route prefix "{prefix}"')
    return found[1]


def stamped_tags(prefix: str) -> Tags:
    """v3: bound to the prefix, settles with the tag that it was linked with."""
    return Tags(prefix.rstrip("/"), named(prefix), "v3")


def prefix_tags(prefix: str) -> Tags:
    """v4 and later: the last segment of the prefix is all of them."""
    name = named(prefix)
    return Tags(prefix.rstrip("/"), name, name)


# --- rotation ------------------------------------------------------------------


class UntilRestart:
    """v2: a create that failed is tried again in the next epoch or by the next process."""

    def __init__(self) -> None:
        self._failed: set[tuple[str, str, int]] = set()

    def suppressed(self, key: tuple[str, str, int]) -> bool:
        return key in self._failed

    def failed(self, key: tuple[str, str, int]) -> None:
        self._failed.add(key)

    def succeeded(self, key: tuple[str, str, int]) -> None:
        self._failed.discard(key)


class BackOff:
    """v3 and later: 1, 2, 4, 4, … ticks, whatever the epoch (§5)."""

    _LONGEST = 4

    def __init__(self) -> None:
        self._wait: dict[tuple[str, str], int] = {}
        self._left: dict[tuple[str, str], int] = {}

    def suppressed(self, key: tuple[str, str, int]) -> bool:
        left = self._left.get(key[:2], 0)
        self._left[key[:2]] = max(0, left - 1)
        return left > 0

    def failed(self, key: tuple[str, str, int]) -> None:
        wait = min(self._LONGEST, self._wait.get(key[:2], 0) * 2 or 1)
        # The tick that comes next is the first one that may be left out.
        self._wait[key[:2]], self._left[key[:2]] = wait, wait - 1

    def succeeded(self, key: tuple[str, str, int]) -> None:
        self._wait.pop(key[:2], None)
        self._left.pop(key[:2], None)


class Suppression(t.Protocol):
    """Whether a create that failed is tried again."""

    def suppressed(self, key: tuple[str, str, int]) -> bool: ...

    def failed(self, key: tuple[str, str, int]) -> None: ...

    def succeeded(self, key: tuple[str, str, int]) -> None: ...


# --- the generations -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Generation:
    name: str

    # --- tags and prefixes (§1)
    default_prefix: str
    tags: t.Callable[[str], Tags]
    # a prefix of its own for each escrow, in requests and in the record
    prefix_per_escrow: bool = False
    # what a request may say as protocol_version; None: the field is not known
    protocol_versions: Collection[str] | None = ("", "1", "v1")
    # how a runtime tells its version: the key, and whether it is the session's real tag
    version_field: str = "protocol_version"
    real_version: bool = False
    # the number that a reloaded or rotated escrow shows
    protocol_number: str = "1"

    # --- the chain (§2)
    chain: str = "rest"
    default_chain_id: str = ""
    # the chain's words or the gateway's own
    fixed_config: Mapping[str, int] | None = None
    second_tx_endpoint: bool = True

    # what cannot be reached by gRPC is asked by RPC
    rpc_fallback: bool = False
    # `none` as the public API: the chain is asked, and the word is kept
    api_may_be_none: bool = False
    # a public API that fails is replaced by the chain
    api_fallback: bool = False

    # --- settings
    redundancy: Mapping[str, int | bool]
    redundancy_gone: tuple[str, ...] = ()
    suspicious_in_state: bool = False

    # --- routes (§3)
    activates: bool = False
    admin_prefixes: tuple[str, ...] = ()
    inferences_apart: bool = False
    all_stats: bool = True
    logprobs: bool = False
    reads_unloaded: bool = False
    # of who asks without the admin's key
    unloaded_header: str = "X-Devshard-Readonly"
    shows_keys: bool = True
    shows_cleanup: bool = False
    # a status of its own where nothing is loaded
    empty_status: bool = False
    settles_batches: bool = False
    accounting: bool = False

    # --- chat
    # the limiter's numbers in its texts
    limit_counts: bool = False
    no_host_status: int = 429
    no_host_text: str = "rate limit exceeded: too many concurrent requests"
    # a request that its escrow cannot pay is offered to the others
    offers_around: bool = False
    caches_truncated: bool = True

    # --- storage (§4)
    storage_path: t.Callable[[Path, str], Path] = any_path
    # refused before the deposit is paid
    path_first: bool = False
    storage_path_required: str = "storage_path is required for import"
    journal: str = "DELETE"
    more_columns: tuple[str, ...] = ("protocol_version",)
    more_tables: bool = False
    loads_inactive: bool = True
    tolerates_broken_state: bool = False

    # --- lifecycle
    unloads: bool = False
    # background work after a reply counts as busy
    cleanup_is_busy: bool = False
    delete_sees_cleanup: bool = False
    suppression: type[UntilRestart] | type[BackOff] = UntilRestart
    suppressed_text: str = "escrow rotation create already failed for this epoch"
    commitments: bool = False
    skips_absent_models: bool = False
    settles_pending: bool = False
    # a busy settle takes the escrow out of service and is made up for when its work has ended
    remembers_busy: bool = False
    # a settle is answered when its transaction is in a block
    confirms: bool = False
    # signatures that are missing are asked for again
    collects_again: bool = False
    # the chain is asked whether a failed settle was none
    recognises_settled: bool = False
    # adding, activating and settling forget a wish to settle
    forgets_pending: bool = False
    # one request of its own to every new session
    warms_up: bool = False
    # escrows of the rotation keep the prefix of their birth, and so much of it as a version
    pins_rotation: bool = False
    rotation_version: t.Callable[[str], str] | None = None
    tells_unpinned: bool = False
    # escrows whose reservations would do are held instead of replaced
    holds: bool = False
    # loaded escrows older than so many epochs are dropped
    retention: int | None = None


V2 = Generation(
    name="v2",
    default_prefix="/v1/devshard",
    tags=legacy_tags,
    redundancy={},
)
V3 = Generation(
    name="v3",
    # stamped apart from the tag, and `dev` where nobody did
    default_prefix="/devshard/dev",
    tags=stamped_tags,
    protocol_versions=("", "1", "v1", "2", "v2", "3", "v3"),
    protocol_number="3",
    redundancy={
        "streaming_attempt_hard_timeout_ms": 30 * MINUTE,
        "non_stream_no_content_timeout_ms": 30 * MINUTE,
    },
    suspicious_in_state=True,
    activates=True,
    admin_prefixes=("/debug/pprof/",),
    inferences_apart=True,
    all_stats=False,
    reads_unloaded=True,
    journal="WAL",
    more_columns=("protocol_version", "settlement_pending"),
    more_tables=True,
    loads_inactive=False,
    tolerates_broken_state=True,
    unloads=True,
    cleanup_is_busy=True,
    delete_sees_cleanup=True,
    suppression=BackOff,
    suppressed_text="escrow rotation create suppressed (backoff)",
    commitments=True,
    skips_absent_models=True,
    settles_pending=True,
)
V4 = replace(
    V3,
    name="v4",
    default_prefix="/devshard/v4",
    tags=prefix_tags,
    prefix_per_escrow=True,
    protocol_versions=None,
    version_field="session_version",
    real_version=True,
    chain="grpc",
    default_chain_id="gonka-mainnet",
    fixed_config={"refusal_timeout": 60, "execution_timeout": 1200, "validation_rate": 5000},
    second_tx_endpoint=False,
    redundancy={},
    suspicious_in_state=False,
    admin_prefixes=(),
    logprobs=True,
    storage_path=below_base,
    storage_path_required="storage_path is required",
    more_columns=("settlement_pending", "route_prefix"),
    loads_inactive=True,
    tolerates_broken_state=False,
    delete_sees_cleanup=False,
    suppressed_text=V2.suppressed_text,
)


def _major(tag: str) -> str:
    return tag.removeprefix("v").partition(".")[0]


def _whole(tag: str) -> str:
    return tag.removeprefix("v")


# The three faces of 4.1, by reading: what an image really has is to be probed. 4.0 lacks what a busy
# settle does, base is the nearest to 4.1.x, late has what may be in 4.1.2 and later.
V4_1_0 = replace(
    V4,
    name="v4.1",
    default_prefix="/devshard/v4.1",
    rpc_fallback=True,
    api_may_be_none=True,
    redundancy={"force_upstream_streaming": True, "streaming_attempt_hard_timeout_ms": 30 * MINUTE},
    redundancy_gone=(
        "non_stream_response_floor_ms",
        "non_stream_no_content_timeout_ms",
        "non_stream_max_attempt_wait_ms",
    ),
    admin_prefixes=("/debug/pprof/",),
    unloaded_header="X-Devshard-Metadata-Only",
    shows_keys=False,
    shows_cleanup=True,
    logprobs=False,
    limit_counts=True,
    path_first=True,
    more_columns=("protocol_version", "settlement_pending", "route_prefix"),
    loads_inactive=False,
    tolerates_broken_state=True,
    confirms=True,
    collects_again=True,
    warms_up=True,
    accounting=True,
    rotation_version=_major,
    tells_unpinned=True,
)
V4_1 = replace(V4_1_0, remembers_busy=True, pins_rotation=True)
V4_1_LATE = replace(
    V4_1,
    api_fallback=True,
    empty_status=True,
    settles_batches=True,
    no_host_status=503,
    no_host_text="no live host capacity",
    offers_around=True,
    caches_truncated=False,
    more_columns=(*V4_1.more_columns, "on_hold_since"),
    recognises_settled=True,
    forgets_pending=True,
    rotation_version=_whole,
    holds=True,
    retention=3,
)
GENERATIONS: Mapping[str, Mapping[str, Generation]] = {
    "v2": {"": V2},
    "v3": {"": V3},
    "v4": {"": V4},
    "v4.1": {"": V4_1, "base": V4_1, "4.0": V4_1_0, "late": V4_1_LATE},
}
FACES = ("base", "4.0", "late")


class UnknownGenerationError(Exception):
    """No such generation, or no such face of it."""


def generation_of(name: str, face: str = "") -> Generation:
    """By its name; only 4.1 has faces."""
    faces = GENERATIONS.get(name or "v2")
    if faces is None:
        raise UnknownGenerationError(f"SIMNET_GATEWAY must be one of {', '.join(GENERATIONS)}")
    if face not in faces:
        raise UnknownGenerationError(
            f"SIMNET_FACE must be one of {', '.join(FACES)}, for v4.1 only"
        )
    return faces[face]

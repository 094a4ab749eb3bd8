# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Which image a gateway runs, and when it gets another one. Pure."""

from __future__ import annotations

import re
import typing as t

from .._host.image import digest_of
from .plan_model import GatewaySeen, GatewayWish

if t.TYPE_CHECKING:
    from .._host.docker import Container
    from .profiles import Profile
    from .record import DeployRecord


_RELEASE: t.Final = re.compile(r"v0\.[0-9]+\.[0-9]+-v(?P<numbers>[1-9][0-9]*(?:\.[0-9]+)*)(?:-|$)")


def release_of(image: str) -> tuple[int, ...] | None:
    """The release that a tag of the project names, as mainnet-v0.2.15-v4.1.2 does; else None."""
    name = image.partition("@")[0].rpartition("/")[2]
    found = _RELEASE.search(name.partition(":")[2])
    return None if found is None else tuple(int(part) for part in found["numbers"].split("."))


def rotation_danger(image: str | None, profile: Profile) -> str | None:
    """What the rotation of a release does, by its tag; None where nothing is known against it."""
    least = profile.rotates_since
    release = None if image is None else release_of(image)
    # a tag without the last number is any of them
    if least is None or release is None or len(release) < len(least) or release >= least:
        return None
    wanted = ".".join(str(part) for part in least)
    return (
        f"with rotation a release before {wanted} pays for another escrow whenever a request is too"
        " large for one, until the wallet is empty"
    )


def rotation_fault(image: str | None, profile: Profile) -> str | None:
    """Why the rotation of a running release must not be switched on; None where it may be."""
    if (danger := rotation_danger(image, profile)) is None:
        return None
    return (
        f"the gateway runs {image}, and {danger}. Change gateway_image"
        " with the playbook gonka.devshard.hot_swap first"
    )


def repository(reference: str) -> str:
    """An image reference without tag and digest."""
    name = reference.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def running_digest(container: Container, asked: str) -> str:
    """The container's image, by digest: under the asked name where the engine knows it so."""
    own = repository(asked)
    fitting = [item for item in container.digests if repository(item) == own]
    if fitting:
        return fitting[0]
    if digest_of(container.image) is not None:
        return container.image
    return next(iter(container.digests), container.image)


def _is_running(wish: GatewayWish, seen: GatewaySeen, container: Container) -> bool:
    """Whether the container was made from the wanted image."""
    digests = {digest_of(item) for item in (container.image, *container.digests)} - {None}
    if (asked := digest_of(wish.image)) is not None:
        return asked in digests
    if wish.image_update:
        return seen.asked_is_running is True
    if wish.image == container.image:
        return True
    record = seen.record
    if (
        record is not None
        and record.image == wish.image
        and record.digest is not None
        and (digest_of(record.digest) in digests or record.digest == container.image_id)
    ):
        return True
    return seen.asked_is_running is True


def running_tag(container: Container, record: DeployRecord | None) -> str:
    """The name of the running image, as a user gave it, or the reference where none is known."""
    digests = {digest_of(item) for item in (container.image, *container.digests)} - {None}
    if record is not None:
        for image, digest in (
            (record.image, record.digest),
            (record.previous_image, record.previous_digest),
        ):
            if image is not None and digest is not None and digest_of(digest) in digests:
                return image
    return container.image


def plan_image(wish: GatewayWish, seen: GatewaySeen) -> tuple[str | None, list[str]]:
    if seen.own is None:
        return _image_anew(wish, seen.record)
    container = seen.own.container
    if _is_running(wish, seen, container):
        return running_digest(container, wish.image), []
    target = wish.image if digest_of(wish.image) is not None else None
    if wish.allow_recreate:
        return target, []
    tag = running_tag(container, seen.record)
    digest = running_digest(container, tag)
    shown = tag if digest == tag else f"{tag} ({digest})"
    return target, [
        (
            f"the gateway runs {shown}, and"
            f" {'what its tag means now' if wish.image == tag else wish.image} is wanted. To keep "
            f"the running image, set gateway_image to {tag}{_update(wish)}. To change it run the "
            f"playbook"
            " gonka.devshard.hot_swap, which cuts no stream, or set gateway_allow_recreate: true to"
            " replace it in place"
        )
    ]


def _update(wish: GatewayWish) -> str:
    return " and gateway_image_update to false" if wish.image_update else ""


def _image_anew(wish: GatewayWish, record: DeployRecord | None) -> tuple[str | None, list[str]]:
    """There is no container: only the record knows what wrote the storage."""
    asked = wish.image if digest_of(wish.image) is not None else None
    if record is None or record.image is None or record.digest is None:
        return asked, []
    same = record.image == wish.image or (
        asked is not None and digest_of(asked) == digest_of(record.digest)
    )
    if same and not wish.image_update:
        return record.digest, []
    if wish.allow_recreate:
        return asked, []
    return asked, [
        (
            f"the gateway in {wish.deploy_dir} was last started from {record.image} ({record.digest}),"
            f" and {'what its tag means now' if same else wish.image} is wanted. To start it as it "
            f"was, set gateway_image to {record.image}{_update(wish)}, and then change it with the "
            f"playbook gonka.devshard.hot_swap; or set gateway_allow_recreate: true to start the "
            f"other"
            " image on its storage"
        )
    ]

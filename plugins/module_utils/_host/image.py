# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The identity of images: two references mean the same image when they have the same digest."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHOWN = 12


def digest_of(image: str | None) -> str | None:
    """The digest in an image reference; None for one by tag."""
    _unused, found, digest = (image or "").rpartition("@")
    return digest if found and digest.startswith("sha256:") else None


def same_image(one: str | None, other: str | None) -> bool:
    """The name does not count: a mirror has the same image under another one."""
    if one is None or other is None:
        return False
    digest = digest_of(one)
    return one == other if digest is None else digest == digest_of(other)


def is_image(wanted: str | None, image: str, digests: Iterable[str]) -> bool:
    """Whether a container of ``image``, which the engine knows by ``digests``, has ``wanted``."""
    return any(same_image(wanted, item) for item in (image, *digests))


def described(asked: str | None, image: str) -> str:
    """An image as an operator knows it, with the start of its digest beside the tag."""
    digest = digest_of(image)
    if digest is None:
        return image
    name = asked if asked and digest_of(asked) is None else image.rpartition("@")[0]
    return f"{name} ({digest[: len('sha256:') + _SHOWN]})"


def refused_form(image: str) -> str | None:
    """Why this is not an image that can be asked for, or None."""
    if re.search(r"\s", image):
        return "holds a blank or a line break"
    if "://" in image:
        return "begins with a scheme such as https://; give the name alone"
    name, at, digest = image.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        return "has a digest that is not 'sha256:' and 64 hexadecimal digits"
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        if not at:
            return "has neither a tag nor a digest; give NAME:TAG or NAME@sha256:DIGEST"
        head = name
    elif _TAG.fullmatch(tag) is None:
        return f"has the tag '{tag}', which no registry accepts"
    if _NAME.fullmatch(head) is None:
        return f"has the name '{head}', which no registry accepts (lower case letters, digits and ._-/)"
    return None

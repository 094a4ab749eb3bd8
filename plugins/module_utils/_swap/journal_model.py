# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What the journal of a swap holds."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .notes import SwapNotes
from .steps import Mode, Step, SwapRefused, TempEscrows

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping


SCHEMA: t.Final = 3
"""Journals of 0.1.0 and 0.2.0 have 1, those before 0.6.0 have 2, which knows no move to another
generation; their notes have the same names, and are carried over."""


_TIME: t.Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Journal:
    """What one swap has done so far.

    ``target`` and ``origin`` are image references by digest. ``data`` holds what later steps and
    a rollback need. No secrets.
    """

    id: str
    mode: Mode
    temp_escrows: TempEscrows
    target: str
    origin: str
    asked: str
    origin_asked: str
    started: tuple[Step, ...] = ()
    done: tuple[Step, ...] = ()
    rolling_back: bool = False
    data: SwapNotes = field(default_factory=SwapNotes)
    began: tuple[tuple[Step, str], ...] = ()
    """When each step began the last time, in that order."""

    @property
    def open(self) -> bool:
        return Step.DONE not in self.done

    @property
    def has_temp(self) -> bool:
        """Whether a temporary gateway serves meanwhile."""
        return self.mode != "pool"

    @property
    def moves(self) -> bool:
        """Whether it leads to another generation."""
        return self.mode == "generation"

    @property
    def only_forward(self) -> bool:
        """Whether escrows of the earlier generation may be settled already."""
        return Step.SETTLE_MAIN in self.started and not self.rolling_back

    @property
    def main_is_target(self) -> bool:
        """Whether the container in slot main is, or is about to be, of the new generation."""
        return not self.rolling_back and Step.RETIRE_MAIN in self.started

    @property
    def touched(self) -> bool:
        """Whether anything was begun that a later run would have to finish or undo."""
        return any(step is not Step.PREFLIGHT for step in self.started)

    def undo(self, step: Step, forget: Collection[str]) -> Journal:
        """As if the step had not been run: its effect was taken back."""
        return dataclasses.replace(
            self,
            started=tuple(item for item in self.started if item is not step),
            done=tuple(item for item in self.done if item is not step),
            data=self.data.without(forget),
        )

    @property
    def begun_last(self) -> Step | None:
        return self.began[-1][0] if self.began else None

    def begun_at(self, step: Step, now: datetime) -> Journal:
        others = tuple(item for item in self.began if item[0] is not step)
        return dataclasses.replace(self, began=(*others, (step, now.strftime(_TIME))))

    def durations(self, now: datetime) -> list[tuple[Step, float]]:
        """How long each step took, in seconds; the last one until ``now``."""
        times = [
            datetime.strptime(at, _TIME).replace(tzinfo=timezone.utc) for _step, at in self.began
        ]
        ends = [*times[1:], now]
        return [
            (step, max(0.0, (end - at).total_seconds()))
            for (step, _at), at, end in zip(self.began, times, ends, strict=True)
        ]

    def start(self, step: Step) -> Journal:
        if step in self.started:
            return self
        return dataclasses.replace(self, started=(*self.started, step))

    def finish(self, step: Step) -> Journal:
        journal = self.start(step)
        if step in journal.done:
            return journal
        return dataclasses.replace(journal, done=(*journal.done, step))

    def remember(self, notes: SwapNotes, *, keep: bool = False) -> Journal:
        """``keep`` leaves what an earlier attempt has noted as it is."""
        return dataclasses.replace(self, data=self.data.merged(notes, keep=keep))

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "schema": SCHEMA,
            "id": self.id,
            "mode": self.mode,
            "temp_escrows": self.temp_escrows,
            "target": self.target,
            "origin": self.origin,
            "asked": self.asked,
            "origin_asked": self.origin_asked,
            "started": [step.value for step in self.started],
            "done": [step.value for step in self.done],
            "rolling_back": self.rolling_back,
            "data": self.data.to_dict(),
            "began": {step.value: at for step, at in self.began},
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, t.Any]) -> Journal:
        schema = raw.get("schema")
        if isinstance(schema, bool) or schema not in range(1, SCHEMA + 1):
            raise SwapRefused(
                f"the swap journal has schema {schema}, this version reads 1 to {SCHEMA};"
                " finish the swap with the version of the collection that began it"
            )
        try:
            return cls(
                id=str(raw["id"]),
                mode=raw["mode"],
                temp_escrows=raw["temp_escrows"],
                target=str(raw["target"]),
                origin=str(raw["origin"]),
                asked=str(raw["asked"]),
                origin_asked=str(raw["origin_asked"]),
                started=tuple(Step(name) for name in raw["started"]),
                done=tuple(Step(name) for name in raw["done"]),
                rolling_back=bool(raw["rolling_back"]),
                data=SwapNotes.from_dict(raw["data"]),
                began=_times(raw.get("began", {})),
            )
        except KeyError as exc:
            raise SwapRefused(f"the swap journal lacks the field '{exc.args[0]}'") from exc


def _times(raw: Mapping[str, str]) -> tuple[tuple[Step, str], ...]:
    """Journals of earlier versions have none. A file sorts names, so the times give the order."""
    for at in raw.values():
        datetime.strptime(at, _TIME)
    return tuple((Step(name), at) for name, at in sorted(raw.items(), key=lambda item: item[1]))

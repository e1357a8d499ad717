"""What carrying out a plan will take on a machine, by what a part of it took there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

# On an H100 in bfloat16 a compiled ViT-B/16 takes 14 % less time and an L/14 12 %, and each takes 17 to 20 s to compile.
COMPILED_SAVES, COMPILING = 0.12, 20.0
# Below this share of waiting the towers are the limit, above it reading and decoding are.
HALF = 0.5


@dataclass(frozen=True)
class Pace:
    """How fast the networks of a group went.

    Attributes:
        load: seconds until the networks were there.
        item: seconds for each item, from its file to its rows.
        waiting: the share of them in which the networks waited for pixels.
        text: seconds for each text.
        row_bytes: bytes of each item in the store.
        sampled: items that it was measured with.
    """

    load: float
    item: float
    waiting: float
    text: float
    row_bytes: float
    sampled: int


@dataclass(frozen=True)
class GroupCost:
    """What a group of networks that share one decode will take.

    Attributes:
        networks: their methods.
        items: that one of them or another lacks.
        texts: that they lack.
        compilable: how many of the networks could go through `torch.compile` on this device with profit, and do not.
    """

    networks: str
    items: int
    texts: int
    pace: Pace
    compilable: int = 0

    @property
    def seconds(self) -> float:
        """From loading the networks to the last row."""
        return self.pace.load + self.items * self.pace.item + self.texts * self.pace.text


@dataclass(frozen=True)
class Cost:
    """What a plan will take.

    Attributes:
        device: what was measured on, as its driver calls it, and how many of them share the items.
        devices: how many share them.
        groups: of networks.
        left_out: what is not in it, and why.
    """

    device: str
    devices: int = 1
    groups: Sequence[GroupCost] = ()
    left_out: Sequence[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What a run will take, without what is left out."""
        return sum(group.pace.load + (group.seconds - group.pace.load) / self.devices for group in self.groups)

    @property
    def store_bytes(self) -> int:
        """By how much the store will grow."""
        return round(sum(group.items * group.pace.row_bytes for group in self.groups))

    @property
    def waiting(self) -> float:
        """The share of the time in which networks wait for pixels."""
        total = sum(group.items * group.pace.item for group in self.groups)
        return (
            sum(group.items * group.pace.item * group.pace.waiting for group in self.groups) / total if total else 0.0
        )

    @property
    def compiling_saves(self) -> float:
        """Seconds that `--compile` would save; negative where compiling takes longer than it saves."""
        return sum(
            COMPILED_SAVES * group.items * group.pace.item * (1 - group.pace.waiting) - COMPILING * group.compilable
            for group in self.groups
            if group.compilable
        )

    def lines(self) -> list[str]:
        """For a person to read; none where nothing is to be done."""
        said = []
        if self.groups:
            sampled = sum(group.pace.sampled for group in self.groups)
            count = f"{self.devices} x " if self.devices > 1 else ""
            limit = "reading and decoding" if self.waiting > HALF else "the towers"
            said.append(
                f"Expected on {count}{self.device}: {in_words(self.seconds)}, measured with {sampled:,} of the items; the limit is {limit}."
            )
            if self.compiling_saves > 0:
                said.append(f"--compile would save about {in_words(self.compiling_saves)} of it.")
            said.append(f"The store will grow by {size_in_words(self.store_bytes)}.")
        return [*said, *(f"Not in it: {line}." for line in self.left_out)]

    def facts(self) -> dict[str, object]:
        """For a program to read."""
        return {
            "device": self.device,
            "devices": self.devices,
            "seconds": round(self.seconds, 1),
            "waiting": round(self.waiting, 3),
            "store_bytes": self.store_bytes,
            "left_out": list(self.left_out),
            "groups": [
                {
                    "methods": group.networks,
                    "items": group.items,
                    "texts": group.texts,
                    "seconds": round(group.seconds, 1),
                    "seconds_per_item": group.pace.item,
                    "sampled": group.pace.sampled,
                }
                for group in self.groups
            ],
        }


def size_in_words(count: float) -> str:
    """Bytes to two or three figures: `4.2 MB`, `310 GB`."""
    units = iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while count >= 999.5 and unit != "TB":
        count, unit = count / 1000, next(units)
    return f"{count:.1f} {unit}" if count < 9.95 and unit != "bytes" else f"{count:,.0f} {unit}"


def in_words(seconds: float) -> str:
    """A span of time to two figures: `42 s`, `7 min`, `3 h 20 min`, `2 days, 3 h`."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    span = timedelta(minutes=round(seconds / 60))
    hours, minutes = divmod(span.seconds // 60, 60)
    if span.days:
        return f"{span.days} {'day' if span.days == 1 else 'days'}, {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

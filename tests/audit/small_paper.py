"""A small paper that is right in every number, and may be bent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.audit.findings import Audit, Finding
from bench.audit.run import audit
from bench.audit.sources import of_paper
from bench.cards.catalog import load

SIZES = {"faces": (400, 350, 250), "scenes": (300, 250, 150)}
DATASET = """
kind = "dataset"
name = "{name}"
title = "{title}"
media = "image"
classes = ["happiness", "sadness", "anger"]
[counts.evaluated]
source = "whoever counted"
folds.1 = [{counts}]
[obtain]
page = "https://example.org"
licence = "none"
how = "Draw it"
[[layouts]]
name = "class folders"
reader = "bench.data.readers.folders:read"
needs = ["happiness"]
"""
TABLE = """
kind = "table"
name = "{name}"
stub = ["Method"]
best = "{best}"
printed = "table-{name}.csv"
columns = [{{ title = "All", datasets = ["faces", "scenes"] }}]
rows = [
{rows}
]
"""
ROWS = {
    "1": [
        '{ id = "old", cells = ["Old"], method = "old" }',
        '{ id = "new", cells = ["New"], method = "new", variant = { size = "B" } }',
        '{ id = "gain", cells = ["gain"], minus = ["new", "old"], rank = false }',
    ],
    "2": [
        '{ id = "plain", cells = ["plain"], method = "old" }',
        *(
            f'{{ id = "run {n}", cells = ["{n}"], method = "new", variant = {{ size = "B", how = "{n}" }} }}'
            for n in (1, 2, 3)
        ),
        '{ id = "mean", cells = ["mean"], of = ["run 1", "run 2", "run 3"], rank = false }',
        '{ id = "variance", cells = ["variance"], of = ["run 1", "run 2", "run 3"], statistic = "variance", rank = false }',
    ],
}
# Right samples of each class, a dataset: UAR and WAR follow.
RIGHT = {
    "old": {"faces": (251, 170, 93), "scenes": (190, 101, 66)},
    "new": {"faces": (313, 284, 199), "scenes": (233, 199, 121)},
    "run 1": {"faces": (309, 281, 203), "scenes": (229, 207, 113)},
    "run 2": {"faces": (301, 269, 187), "scenes": (241, 187, 109)},
    "run 3": {"faces": (317, 277, 191), "scenes": (227, 193, 117)},
}
CLAIMS = """
kind = "claims"
[[claims]]
test = "average"
id = "gain"
says = "the UAR gains so much on average"
table = "1"
rows = ["gain"]
metrics = ["uar"]
equals = "{gain}"
[[claims]]
test = "above"
id = "better"
says = "the new one is better everywhere"
table = "1"
rows = ["new"]
than = ["old"]
[[claims]]
test = "size"
id = "faces"
says = "there are so many faces"
dataset = "faces"
samples = {samples}
[[claims]]
test = "runs"
id = "runs"
says = "the new one's numbers are means of {runs} runs"
methods = ["new"]
runs = {runs}
"""


@dataclass
class SmallPaper:
    """A paper's folder to be written: change what is in it, then audit it.

    Attributes:
        texts: (table, row, dataset, metric) -> as printed.
        marks: likewise -> `**` or `_`.
    """

    folder: Path
    texts: dict[tuple[str, str, str, str], str]
    marks: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    samples: int = 1000
    runs: int = 1
    gain: str = ""
    best: str = "table"

    def audit(self) -> Audit:
        """Write it and audit it."""
        self._write()
        catalog = load([self.folder])
        assert [card for card in catalog.broken if str(self.folder) in card.path] == []
        return audit(of_paper(catalog.paper("small"), catalog))

    def only_finding(self) -> Finding:
        """The one finding that there is."""
        (finding,) = self.audit().findings
        return finding

    def _write(self) -> None:
        (self.folder / "paper.toml").write_text('kind = "paper"\nname = "small"\n')
        for name, counts in SIZES.items():
            text = DATASET.format(name=name, title=name.title(), counts=", ".join(map(str, counts)))
            (self.folder / f"{name}.toml").write_text(text)
        for name, rows in ROWS.items():
            listed = "\n".join(f"    {row}," for row in rows)
            best = self.best if name == "1" else "none"
            (self.folder / f"table-{name}.toml").write_text(TABLE.format(name=name, rows=listed, best=best))
            ids = list(dict.fromkeys(key[1] for key in self.texts if key[0] == name))
            columns = [(dataset, metric) for dataset in SIZES for metric in ("uar", "war")]
            lines = ["row,Method," + ",".join(f"{dataset} {metric}" for dataset, metric in columns)]
            for row in ids:
                keys = [(name, row, *column) for column in columns]
                cells = [f"{self.marks.get(key, '')}{self.texts[key]}{self.marks.get(key, '')}" for key in keys]
                lines.append(f"{row},{row},{','.join(cells)}")
            (self.folder / f"table-{name}.csv").write_text("\n".join(lines) + "\n")
        gain = self.gain or f"{np.mean([float(self.texts['1', 'gain', dataset, 'uar']) for dataset in SIZES]):.2f}"
        (self.folder / "claims.toml").write_text(CLAIMS.format(gain=gain, samples=self.samples, runs=self.runs))


def scores(right: tuple[int, ...], sizes: tuple[int, ...]) -> dict[str, float]:
    """UAR and WAR in percent."""
    shares = np.array(right) / np.array(sizes)
    return {"uar": 100 * float(shares.mean()), "war": 100 * sum(right) / sum(sizes)}


def printed(right: dict[str, dict[str, tuple[int, ...]]] = RIGHT) -> dict[tuple[str, str, str, str], str]:
    """Every number of the paper, rounded at the end."""
    found: dict[tuple[str, str, str, str], str] = {}
    exact: dict[tuple[str, str, str], float] = {}
    for row, datasets in right.items():
        for dataset, counts in datasets.items():
            for metric, value in scores(counts, SIZES[dataset]).items():
                exact[row, dataset, metric] = value
    for dataset in SIZES:
        for metric in ("uar", "war"):
            at = (dataset, metric)
            runs = [exact[f"run {n}", *at] for n in (1, 2, 3)]
            for row in ("old", "new"):
                found["1", row, *at] = f"{exact[row, *at]:.2f}"
            # From rounded numbers, so that the perfect paper has no difference of one digit.
            found["1", "gain", *at] = f"{float(found['1', 'new', *at]) - float(found['1', 'old', *at]):.2f}"
            found["2", "plain", *at] = found["1", "old", *at]
            for n in (1, 2, 3):
                found["2", f"run {n}", *at] = f"{runs[n - 1]:.2f}"
            rounded = [float(found["2", f"run {n}", *at]) for n in (1, 2, 3)]
            found["2", "mean", *at] = f"{np.mean(rounded):.2f}"
            found["2", "variance", *at] = f"{np.var(rounded):.2f}"
    return found

"""The schema of what a paper's text says about its numbers, so that a program can hold it against the tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from bench.cards.schema import Card, Facts

NUMBER = r"^-?\d+(\.\d+)?$"
Metric = Literal["uar", "war"]


class Statement(Facts):
    """What every claim has.

    Attributes:
        id: unique in the paper.
        says: the claim in our own words.
        where: the section it stands in.
    """

    id: str
    says: str
    where: str = ""


class CellsStatement(Statement):
    """A claim about cells of one table.

    Attributes:
        table: its name.
        rows: row ids.
        datasets: columns; all by default.
        metrics: metrics; all by default.
    """

    table: str
    rows: tuple[str, ...] = Field(min_length=1)
    datasets: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ("uar", "war")


class AverageClaim(CellsStatement):
    """The mean of the cells is `equals`, as printed."""

    test: Literal["average"]
    equals: str = Field(pattern=NUMBER)


class AboveClaim(CellsStatement):
    """The cells of `rows` are above those of `than` in the same column.

    Attributes:
        than: row ids.
        pairs: `all`: every row against each of `than`; `each`: the first against the first, and so on.
        exceptions: how many cells the text itself excepts.
    """

    test: Literal["above"]
    than: tuple[str, ...] = Field(min_length=1)
    pairs: Literal["all", "each"] = "all"
    exceptions: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _paired(self) -> AboveClaim:
        if self.pairs == "each" and len(self.rows) != len(self.than):
            raise ValueError(f"claim {self.id!r}: {len(self.rows)} rows and {len(self.than)} in `than` make no pairs")
        return self


class ExtremeClaim(CellsStatement):
    """The largest or smallest of the cells has the stated value; without one it is only reported."""

    test: Literal["extreme"]
    statistic: Literal["largest", "smallest"]
    equals: str = Field(default="", pattern=rf"{NUMBER}|^$")


class RunsClaim(Statement):
    """The numbers of these methods are means of so many runs.

    Attributes:
        methods: names of method cards.
        runs: how many.
        besides: variants that nothing was drawn for, as axis -> value other than the method's default.
    """

    test: Literal["runs"]
    methods: tuple[str, ...] = Field(min_length=1)
    runs: int = Field(ge=1)
    besides: tuple[dict[str, str], ...] = ()


class SizeClaim(Statement):
    """A test set has so many samples in all its folds."""

    test: Literal["size"]
    dataset: str
    samples: int = Field(gt=0)


CellsClaim = AverageClaim | AboveClaim | ExtremeClaim
Claim = AverageClaim | AboveClaim | ExtremeClaim | RunsClaim | SizeClaim


class ClaimsCard(Card):
    """What a paper's text says about its tables; lies beside its paper.toml."""

    kind: Literal["claims"]
    claims: tuple[Annotated[Claim, Field(discriminator="test")], ...] = Field(min_length=1)

    @field_validator("claims")
    @classmethod
    def _ids_differ(cls, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        ids = [claim.id for claim in claims]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"claim ids {sorted(twice)} are used twice")
        return claims

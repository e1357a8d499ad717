"""`bench train`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options
from bench.errors import BenchError, UnknownName

if TYPE_CHECKING:
    from bench.cards.method_schema import MethodCard

EXTRA = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command(short_help="Train a method's heads and store them.", context_settings=EXTRA)
@click.argument("method", metavar="METHOD[:AXIS=VALUE]")
@click.option("--seeds", default="", metavar="N,N", help="Instead of the card's own.")
@click.option(
    "--set",
    "facts",
    multiple=True,
    metavar="FACT=VALUE",
    help="Another fact of [head.training], as loss=squared-error.",
)
@click.option(
    "--to", type=options.FOLDER, help="Copy the heads into this folder too, under names that say what they are."
)
@click.option("--published-format", is_flag=True, help="With --to: as the authors' .pth files; linear heads only.")
@options.as_json
@options.devices
@options.compute
@options.world
@click.pass_context
def train(
    context: click.Context,
    /,
    *,
    method: str,
    seeds: str,
    facts: tuple[str, ...],
    to: Path | None,
    published_format: bool,
    as_json: bool,
    device: str,
    dtype: str,
    batch: int | None,
    workers: int | None,
    **world: Any,
) -> int:
    """Train the heads of METHOD as its card states, and store them.

    Each axis of the card is an option that takes one value, several separated by commas, or `all`.

    \b
    bench train METHOD --backbone L14
    bench train METHOD --backbone all --instruction NAME,OTHER --set dropout=false
    bench train METHOD:backbone=B32 --set instruction.text="Describe the mouth." --seeds 1
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    from bench.cards.variant import parse
    from bench.engine.device_encoder import Machine
    from bench.run.session import cores
    from bench.run.train_heads import train_heads
    from bench.store.files import check_writable

    if published_format and to is None:
        raise BenchError("--published-format without --to", "name the folder that the files go to")
    where = options.devices_of(device)
    if to is not None:
        check_writable(to, "--to")
    session = options.open_session(world, dtype=dtype, workers=workers)
    name, axes = parse(method)
    card = with_facts(session.catalog.method(name), facts)
    variants = chosen(card, axes, list(context.args))
    machine = Machine(where[0], batch, workers or cores(), beside=where[1:])
    found = train_heads(session, variants, machine, whole_numbers(seeds))
    paths = {key: path if to is None else copied(path, to, key, published_format) for key, path in found.items()}
    if as_json:
        rows = [{"variant": key.variant, "seed": key.seed, "file": str(path)} for key, path in paths.items()]
        click.echo(json.dumps(rows, indent=1))
        return 0
    for key, path in paths.items():
        click.echo(f"{key.variant}  seed {key.seed}  {path}")
    return 0


def whole_numbers(text: str) -> list[int]:
    """`1,2` as numbers."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise BenchError(f"--seeds {text}: {error}", "write whole numbers, separated by commas") from error


def with_facts(card: MethodCard, facts: tuple[str, ...]) -> MethodCard:
    """The card with other facts in its training.

    Raises:
        BenchError: it has no such fact, or it cannot have that value.
    """
    import tomllib

    from pydantic import ValidationError

    from bench.cards.method_schema import MethodCard
    from bench.cards.variant import merged

    stated: dict[str, Any] = {}
    for fact in facts:
        key, equals, value = fact.partition("=")
        if not equals:
            raise BenchError(f"--set {fact!r} is not FACT=VALUE", "write, for example, --set dropout=false")
        for written in (value, json.dumps(value)):  # a text may come without its quotation marks
            try:
                stated = merged(stated, tomllib.loads(f"{key} = {written}"))
                break
            except tomllib.TOMLDecodeError:
                continue
        else:
            raise BenchError(f"--set {fact!r}: {key!r} is not a fact", "write, for example, --set dropout=false")
    if not stated:
        return card
    try:
        changed = MethodCard.model_validate(merged(card.model_dump(), {"head": {"training": stated}}))
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(str(part) for part in item["loc"])
        raise BenchError(
            f"--set: {where}: {item['msg']}", f"`bench show {card.name}` shows its [head.training]"
        ) from error
    changed._path = card.path
    return changed


def chosen(card: MethodCard, axes: dict[str, str], words: list[str]) -> list[Any]:
    """The variants that `--AXIS VALUES` mean.

    Raises:
        BenchError: an option that is not an axis of the card, or a value that the axis does not have.
    """
    from bench.cards.variant import all_variants

    values: dict[str, list[str]] = {axis: [value] for axis, value in axes.items()}
    while words:
        word = words.pop(0)
        axis, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or axis not in card.axes:
            raise UnknownName(f"axis of {card.name}", word.removeprefix("--"), card.axes)
        if not equals and not words:
            raise BenchError(f"{word} without a value", f"one of all, {', '.join(card.axes[axis])}")
        text = value if equals else words.pop(0)
        values[axis] = list(card.axes[axis]) if text == "all" else [part for part in text.split(",") if part]
    combinations: list[dict[str, str]] = [{}]
    for axis, some in values.items():
        combinations = [{**done, axis: value} for done in combinations for value in some]
    found = [variant for combination in combinations for variant in all_variants(card, combination)]
    return list({str(variant): variant for variant in found}.values())


def copied(path: Path, folder: Path, key: Any, published_format: bool) -> Path:
    """A head's file under a name that says what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{key.variant.replace(':', '-').replace(',', '-')}-seed{key.seed}"
    written = folder / f"{stem}.{'pth' if published_format else 'safetensors'}"
    if published_format:
        from safetensors.numpy import load_file

        from bench.heads.modules import export_published

        export_published(written, load_file(path))
    else:
        with options.writing(written) as beside:
            shutil.copyfile(path, beside)
    return written

"""A contact sheet: forty samples on one page with labels and boxes, for a person to see whether all is as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bench.cards.dataset_schema import DatasetCard
from bench.crops.load import Detector
from bench.crops.look import drawn, largest_face, some_frames
from bench.data.samples import Sample, Still
from bench.errors import BenchError, DataError

SAMPLES = 40
FRAMES = 3
THUMB = 120
LINE = 14
GAP = 8
TEXT = 12
COLUMNS = {True: 8, False: 4}
INK, PAPER, BOX, WRONG = (20, 20, 20), (255, 255, 255), (0, 200, 0), (200, 0, 0)


@dataclass(frozen=True)
class _Cell:
    pictures: tuple[Image.Image, ...]
    label: str
    name: str


def contact_sheet(card: DatasetCard, samples: Sequence[Sample], detector: Detector | None, file: Path) -> None:
    """Write one page of `SAMPLES` samples drawn at random: a picture each, or a clip's first, middle and last frame.

    Under each stand its label and its id; where there is a detector, the face that a crop would be cut by is framed.

    Raises:
        BenchError: the file cannot be written.
    """
    chosen = sorted(drawn(samples, SAMPLES), key=lambda sample: (sample.label, sample.id))
    cells = [_cell(card, sample, detector) for sample in chosen]
    still = card.media == "image"
    columns = COLUMNS[still]
    width = (1 if still else FRAMES) * THUMB
    height = THUMB + 2 * LINE
    rows = -(-len(cells) // columns)
    page = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP + LINE + GAP), PAPER)
    font = ImageFont.load_default(TEXT)
    draw = ImageDraw.Draw(page)
    seen_by = "" if detector is None else f"; boxes by {detector.name}"
    draw.text((GAP, GAP), f"{card.label}: {len(cells)} of {len(samples)} samples at random{seen_by}", INK, font)
    for number, cell in enumerate(cells):
        left = GAP + number % columns * (width + GAP)
        top = 2 * GAP + LINE + number // columns * (height + GAP)
        for index, picture in enumerate(cell.pictures):
            page.paste(picture, (left + index * THUMB, top))
        draw.text((left, top + THUMB), _fitting(cell.label, width, font), INK, font)
        draw.text((left, top + THUMB + LINE), _fitting(cell.name, width, font), INK if cell.pictures else WRONG, font)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        page.save(file, quality=90)
    except OSError as error:
        raise BenchError(f"{file} cannot be written: {error.strerror or error}", "name another folder") from None


def _cell(card: DatasetCard, sample: Sample, detector: Detector | None) -> _Cell:
    label = card.classes[sample.label] if sample.label >= 0 else "no label"
    try:
        pictures = some_frames(sample.media, 1 if isinstance(sample.media, Still) else FRAMES)
    except DataError:
        return _Cell((), label, f"unreadable: {sample.id}")
    return _Cell(tuple(_thumb(picture, detector) for picture in pictures), label, sample.id)


def _thumb(picture: Image.Image, detector: Detector | None) -> Image.Image:
    face = None if detector is None else largest_face(picture, detector)
    scale = THUMB / max(picture.size)
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    if face is not None:
        ImageDraw.Draw(small).rectangle([value * scale for value in face.box], outline=BOX, width=2)
    return small


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, or its end behind an ellipsis where it is too long."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"...{text}") > width:
        text = text[1:]
    return f"...{text}"

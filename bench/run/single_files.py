"""Files that belong to no dataset: what they are, whether they are whole scenes, and their faces cut out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.crops.clip import CropRules, survey
from bench.crops.load import Detector, load_detector, missing_here
from bench.crops.look import LOOKED_AT, scene_note
from bench.data.datasets import unread_note
from bench.data.formats import PICTURES, VIDEOS, suffix
from bench.data.samples import Blob, Frames, Media, Still, Video
from bench.errors import DataError
from bench.run.checks import MINIATURE
from bench.run.session import Session

log = logging.getLogger(__name__)


def media_of(path: Path) -> Media:
    """What a path holds: a folder is a clip's frames, a video by its ending, anything else a picture.

    Raises:
        DataError: the folder holds no picture.
    """
    if path.is_dir():
        files = sorted(file.name for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        names = tuple(name for name in files if suffix(name) in PICTURES)
        if not names:
            raise DataError(f"{path} holds no picture of a format that is read", "name a folder with a clip's frames")
        if note := unread_note(path, [name for name in files if name not in names]):
            log.warning("%s", note)
        return Frames(str(path), names, len(names))
    return Video(str(path)) if suffix(path.name) in VIDEOS else Still(Blob(str(path)))


@contextmanager
def opened(session: Session, paths: Sequence[Path], detector: str) -> Iterator[list[Media]]:
    """What the files hold, or their faces where a detector is to cut them out; tells what is odd about them.

    The faces are cut as `bench prepare` cuts them, but without loss, and are gone afterwards.

    Raises:
        DataError: a file cannot be read.
        BenchError: the detector cannot be had here.
    """
    media = [media_of(path) for path in paths]
    if not detector:
        if session.settings.miniature:
            log.warning("%s", MINIATURE)
        else:
            _tell_scenes(session, paths, media)
        yield media
        return
    finds = load_detector(session.catalog.detector(detector), session.settings, "cpu")
    with TemporaryDirectory(prefix="fer-bench-faces-") as folder:
        yield [
            _cut(each, path, finds, Path(folder) / str(number))
            for number, (each, path) in enumerate(zip(media, paths, strict=True))
        ]


def _tell_scenes(session: Session, paths: Sequence[Path], media: Sequence[Media]) -> None:
    """Remark on whole scenes among the first files, where the default detector is at hand."""
    card = session.catalog.detector()
    if lacking := missing_here(card, session.settings):
        log.info("not checked whether these are face crops: %s", lacking.partition("\n")[0])
        return
    finds = load_detector(card, session.settings, "cpu")
    for path, each in zip(paths[:LOOKED_AT], media, strict=False):
        if note := scene_note(each, finds):
            log.warning("%s: %s\n  fix: --detector %s cuts the face out", path, note, card.name)


def _cut(media: Media, path: Path, detector: Detector, folder: Path) -> Media:
    """A file's faces as picture files in a folder of its own."""
    rules = CropRules(suffix=".png")
    found = survey(media, detector, rules)
    if found.without_face:
        log.warning("%s: no face was found, the whole picture is seen", path)
    folder.mkdir()
    names = []
    for number, crop in enumerate(found.crops(rules), 1):
        names.append(f"{number:06d}.png")
        crop.save(folder / names[-1])
    if isinstance(media, Still):
        return Still(Blob(str(folder / names[0])))
    return Frames(str(folder), tuple(names), len(names))

"""Writes the miniature's datasets, each as its authors distribute it: folders, lists, label codes and file formats.

A layout writes its lists at once and returns the pictures and clips still to be drawn as `Job`s, which any process may
carry out in any order.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.mini import clips
from bench.mini.captions import viewer_caption
from bench.mini.census import CAER_S, CLASSES, COUNTS, FOLDERS, SEVEN
from bench.mini.expressions import generator
from bench.mini.faces import draw
from bench.mini.people import Face, random_face

SHORT_EVERY = 9
"""One FERV39k clip in so many has at most 16 frames (in the real set, 11.4 %)."""
SILENT_EVERY = 8
"""One MAFW clip in so many has no caption (of the real set's 9,172, the paper's figure shows 8,034)."""


@dataclass(frozen=True)
class Sample:
    """One sample to be drawn: its random stream, what it shows, and its size in pixels."""

    stream: tuple[str | int, ...]
    expression: str
    size: int
    short: bool = False


@dataclass(frozen=True)
class Job:
    """Samples to be drawn into one file or folder; `write(path, samples)` does it."""

    write: Callable[[Path, Sequence[Sample]], None]
    path: Path
    samples: tuple[Sample, ...]

    def __call__(self) -> None:
        """Draw and write."""
        self.write(self.path, self.samples)


def samples_of(dataset: str, fold: str, size: int) -> list[Sample]:
    """The samples of a fold in the order of its lists, classes mixed."""
    counts = COUNTS[dataset][fold]
    classes = np.repeat(np.arange(len(counts)), counts)
    generator("test", dataset, fold, "order").shuffle(classes)
    names = CLASSES[dataset]
    return [Sample(("test", dataset, fold, i), names[c], size) for i, c in enumerate(classes)]


def picture(sample: Sample) -> NDArray[np.uint8]:
    """The face of a still sample, `[size, size, 3]`."""
    return draw(random_face(sample.expression, generator(*sample.stream)), sample.size)


def clip(sample: Sample) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip."""
    rng = generator(*sample.stream)
    return clips.frames(sample.expression, _length(sample, rng), sample.size, rng)


def face_of_clip(sample: Sample) -> Face:
    """Who is seen in a clip, at the apex."""
    rng = generator(*sample.stream)
    _length(sample, rng)  # drawn from the stream before the face
    return random_face(sample.expression, rng)


def _length(sample: Sample, rng: np.random.Generator) -> int:
    return int(rng.integers(9, 17)) if sample.short else clips.length(rng)


def write_jpeg(path: Path, samples: Sequence[Sample]) -> None:
    """One JPEG picture."""
    Image.fromarray(picture(samples[0])).save(path, quality=88)


def write_png(path: Path, samples: Sequence[Sample]) -> None:
    """One PNG picture."""
    Image.fromarray(picture(samples[0])).save(path)


def grey(sample: Sample) -> Image.Image:
    """A grey picture, drawn at twice its size as the original challenge's photographs were larger."""
    large = Sample(sample.stream, sample.expression, 2 * sample.size)
    return Image.fromarray(picture(large)).convert("L").reduce(2)


def write_grey_png(path: Path, samples: Sequence[Sample]) -> None:
    """One grey PNG picture."""
    grey(samples[0]).save(path)


def write_frames(path: Path, samples: Sequence[Sample]) -> None:
    """One clip as a folder of JPEG frames."""
    path.mkdir()
    for index, frame in enumerate(clip(samples[0])):
        Image.fromarray(frame).save(path / f"{index + 1:04d}.jpg", quality=82)


def write_h264(path: Path, samples: Sequence[Sample]) -> None:
    """One clip as an mp4 file."""
    _write_video(path, samples[0], "libx264", _X264, 0)


def write_mpeg4(path: Path, samples: Sequence[Sample]) -> None:
    """One clip as an avi file."""
    _write_video(path, samples[0], "mpeg4", {"threads": "1"}, 1_200_000)


def _write_video(path: Path, sample: Sample, codec: str, options: dict[str, str], bit_rate: int) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream: av.VideoStream = container.add_stream(codec, rate=25, options=options)  # type: ignore[assignment]
        stream.width = stream.height = sample.size
        stream.pix_fmt = "yuv420p"
        if bit_rate:
            stream.bit_rate = bit_rate
        for frame in clip(sample):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_yuv420(frame), format="yuv420p")))
        container.mux(stream.encode())


# x264's assembly writes other bytes in about one encoding of thirty (seen with core 165), and its adaptive quantiser and
# macroblock tree decide by floating-point arithmetic, which differs between processors.
_X264 = {"qp": "20", "preset": "veryfast", "threads": "1", "x264-params": "asm=0:aq-mode=0:mbtree=0"}


def _yuv420(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BT.601 planes in video range, `[3 S / 2, S]`, in whole numbers, which round alike everywhere."""
    planes = np.moveaxis(rgb.astype(np.int64) @ _BT601.T, -1, 0)
    half = len(rgb) // 2
    small = planes[1:].reshape(2, half, 2, half, 2).sum(axis=(2, 4))
    y = 16 + (planes[0] + _ONE // 2) // _ONE
    uv = 128 + (small + 2 * _ONE) // (4 * _ONE)
    return np.concatenate([y.ravel(), uv.ravel()]).reshape(3 * half, 2 * half).astype(np.uint8)


_ONE = 255_000
_BT601 = np.array([[65481, 128553, 24966], [-37797, -74203, 112000], [112000, -93786, -18214]], np.int64)


def write_shard(path: Path, samples: Sequence[Sample]) -> None:
    """A webdataset shard of grey JPEG pictures with their class numbers."""
    names = sorted(_FER2013_NAMES.values())
    with tarfile.open(path, "w") as tar:
        for sample in samples:
            key = f"s{int(sample.stream[-1]):07d}"
            buffer = io.BytesIO()
            grey(sample).save(buffer, "JPEG", quality=90)
            _member(tar, f"{key}.jpg", buffer.getvalue())
            _member(tar, f"{key}.cls", str(names.index(_FER2013_NAMES[sample.expression])).encode())


def _member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _lines(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding, newline="")


def raf_db(root: Path) -> list[Job]:
    """RAF-DB: one list of train and test pictures, aligned 100 px crops, codes 1 to 7."""
    codes = {name: code for code, name in enumerate(("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), 1)}  # fmt: skip
    train = [Sample(("train", "raf-db", i), name, 100) for i, name in enumerate(SEVEN)]
    images = root / "basic/Image/aligned"
    images.mkdir(parents=True)
    lines, jobs = [], []
    for part, samples in (("train", train), ("test", samples_of("raf-db", "1", 100))):
        for number, sample in enumerate(samples, 1):
            stem = f"{part}_{number:0{5 if part == 'train' else 4}d}"
            lines.append(f"{stem}.jpg {codes[sample.expression]}")
            jobs.append(Job(write_jpeg, images / f"{stem}_aligned.jpg", (sample,)))
    _lines(root / "basic/EmoLabel/list_patition_label.txt", lines)
    return jobs


def affectnet(root: Path) -> list[Job]:
    """AffectNet-8: a validation folder of pictures, and for each a NumPy file with its code as text."""
    codes = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    for folder in ("images", "annotations"):
        (root / "val_set" / folder).mkdir(parents=True)
    jobs = []
    for number, sample in enumerate(samples_of("affectnet-8", "1", 112), 1):
        np.save(root / f"val_set/annotations/{number}_exp.npy", np.array(str(codes.index(sample.expression))))
        jobs.append(Job(write_jpeg, root / f"val_set/images/{number}.jpg", (sample,)))
    return jobs


def ferplus(root: Path) -> list[Job]:
    """FERPlus: 48 px grey pictures and a table of ten votes each, some of which agree on nothing or on no class."""
    columns = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
    folder = root / "data/FER2013Test"
    folder.mkdir(parents=True)
    samples = samples_of("ferplus", "1", 48)
    jobs, rows = [], []
    for number, sample in enumerate(samples):
        votes = _majority(columns.index(sample.expression), generator(*sample.stream, "votes"))
        rows.append((f"fer{number:07d}.png", votes))
        jobs.append(Job(write_grey_png, folder / f"fer{number:07d}.png", (sample,)))
    dropped = (
        [2, 2, 2, 2, 0, 0, 0, 0, 2, 0],
        [1] * 10,
        [0, 0, 0, 0, 1, 0, 0, 1, 8, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    )
    for offset, votes in enumerate(dropped):
        number = len(samples) + offset
        sample = Sample(("test", "ferplus", "dropped", offset), "neutral", 48)
        rows.append((f"fer{number:07d}.png", votes))
        jobs.append(Job(write_grey_png, folder / f"fer{number:07d}.png", (sample,)))
    with (folder / "label.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([name, "(0, 0, 48, 48)", *votes] for name, votes in rows)
    return jobs


def _majority(winner: int, rng: np.random.Generator) -> list[int]:
    """Ten votes, six to ten of them for `winner`."""
    votes = np.zeros(10, np.int64)
    votes[winner] = rng.integers(6, 11)
    for column in rng.choice(8, size=10 - int(votes[winner])):
        votes[column] += 1
    return [int(vote) for vote in votes]


_FER2013_NAMES = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}


def fer2013(root: Path) -> list[Job]:
    """FER2013 as the hub's webdataset: two shards and the names of the class numbers."""
    (root / "test").mkdir(parents=True)
    _lines(root / "classnames.txt", sorted(_FER2013_NAMES.values()))
    _lines(root / "test/nshards.txt", ["2"])
    samples = samples_of("fer2013", "1", 48)
    half = len(samples) // 2
    parts = (samples[:half], samples[half:])
    return [Job(write_shard, root / f"test/{shard}.tar", tuple(part)) for shard, part in enumerate(parts)]


def dfew(root: Path) -> list[Job]:
    """DFEW: a csv a fold with codes 1 to 7 and bare clip numbers, and frame folders with five-digit names."""
    folder = root / "Clip/clip_224x224"
    folder.mkdir(parents=True)
    jobs: list[Job] = []
    for fold in COUNTS["dfew"]:
        lines = ["video_name,label"]
        for sample in samples_of("dfew", fold, 112):
            number = len(jobs) + 1
            lines.append(f"{number},{SEVEN.index(sample.expression) + 1}")
            jobs.append(Job(write_frames, folder / f"{number:05d}", (sample,)))
        _lines(root / f"EmoLabel_DataSplit/test(single-labeled)/set_{fold}.csv", lines)
    return jobs


def ferv39k(root: Path) -> list[Job]:
    """FERV39k: clips under scene and class, numbered from 1 in each, and one list without a heading."""
    words = dict(zip(SEVEN, ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear"), strict=True))
    scenes = ("Action", "Crime", "DailyLife", "Speech")
    lines, jobs = [], []
    used: dict[str, int] = {}
    for index, sample in enumerate(samples_of("ferv39k", "1", 96)):
        place = f"{scenes[index % len(scenes)]}/{words[sample.expression]}"
        used[place] = used.get(place, 0) + 1
        name = f"{place}/{used[place]:04d}"
        lines.append(f"{name} {words[sample.expression]}")
        path = root / "2_ClipsforFaceCrop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        short = index % SHORT_EVERY == SHORT_EVERY - 1
        jobs.append(Job(write_frames, path, (Sample(sample.stream, sample.expression, sample.size, short),)))
    _lines(root / "4_setups/All_scenes/test_All.csv", lines)
    return jobs


def mafw(root: Path) -> list[Job]:
    """MAFW: mp4 clips and tab separated GBK lists that name classes by words, one with captions in two languages."""
    folder = root / "data/clips"
    folder.mkdir(parents=True)
    jobs: list[Job] = []
    for fold in COUNTS["mafw"]:
        plain, captioned = [], []
        for sample in samples_of("mafw", fold, 112):
            name = f"{len(jobs) + 1:05d}.mp4"
            plain.append(f"{name}\t{sample.expression}")
            if len(jobs) % SILENT_EVERY != SILENT_EVERY - 1:
                said = viewer_caption(face_of_clip(sample), sample.expression, generator(*sample.stream, "caption"))
                captioned.append(f"{plain[-1]}\t一张画出来的脸。\t{said}")
            jobs.append(Job(write_h264, folder / name, (sample,)))
        for kind, lines in (("no_caption", plain), ("with_caption", captioned)):
            _lines(root / f"Train & Test Set/single/{kind}/set_{fold}/test.txt", lines, "gbk")
    return jobs


def afew(root: Path) -> list[Job]:
    """AFEW: avi clips in class folders of the validation part."""
    words = dict(zip(SEVEN, ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear"), strict=True))
    jobs = []
    for number, sample in enumerate(samples_of("afew", "1", 112)):
        folder = root / "Val_AFEW" / words[sample.expression]
        folder.mkdir(parents=True, exist_ok=True)
        jobs.append(Job(write_mpeg4, folder / f"{1040 + 320 * number:09d}.avi", (sample,)))
    return jobs


def caer_s(root: Path) -> list[Job]:
    """CAER-S: training faces in class folders, drawn from a stream that no test sample comes from."""
    words = dict(zip(SEVEN, ("Happy", "Sad", "Neutral", "Anger", "Surprise", "Disgust", "Fear"), strict=True))
    jobs = []
    for index in range(CAER_S):
        expression = SEVEN[index % len(SEVEN)]
        folder = root / "CAERS_Face/train" / words[expression]
        folder.mkdir(parents=True, exist_ok=True)
        sample = Sample(("train", "caer-s", index), expression, 72)
        jobs.append(Job(write_png, folder / f"{index // len(SEVEN) + 1:04d}.png", (sample,)))
    return jobs


LAYOUTS: dict[str, Callable[[Path], list[Job]]] = {
    "raf-db": raf_db,
    "affectnet-8": affectnet,
    "ferplus": ferplus,
    "fer2013": fer2013,
    "dfew": dfew,
    "ferv39k": ferv39k,
    "mafw": mafw,
    "afew": afew,
    "caer-s": caer_s,
}


def prepare(root: Path) -> list[Job]:
    """Write every dataset's lists below `root` and return what is still to be drawn."""
    return [job for name, layout in LAYOUTS.items() for job in layout(root / FOLDERS[name])]

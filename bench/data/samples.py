"""What a dataset is made of once it has been read: samples, and where their pictures lie.

A reader turns an on-disk layout into `Sample`s without opening a picture. The frame sampler turns a sample's
`Media` into `FrameRef`s, and only the decoder opens them.

Files are held as text: a dataset has hundreds of thousands, and a `Path` takes four times the memory of its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Blob:
    """Some bytes on disk: a whole file, a slice of one (a member of a tar, a field of a CSV), or a value in a Parquet file.

    Attributes:
        file: where they are.
        offset: first byte; the row, for `parquet`.
        length: number of bytes; None is the rest of the file; the number of the leaf column, for `parquet`.
        codec: `image` is anything Pillow opens; `gray48` is FER2013's text of 48x48 grey values in decimal; `parquet` is an
            image too, which is no slice since Parquet compresses: its two numbers say where it is in the table.
    """

    file: str
    offset: int = 0
    length: int | None = None
    codec: Literal["image", "gray48", "parquet"] = "image"

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.file)

    @property
    def pictured(self) -> bool:
        """Whether the bytes are a picture's, or a video's, file: their digest is then that of the same file in a folder."""
        return self.codec != "gray48"

    @property
    def whole(self) -> bool:
        """Whether it is a file of its own that is a picture or a video, and no slice of one."""
        return self.offset == 0 and self.length is None and self.codec == "image"


@dataclass(frozen=True, slots=True)
class Still:
    """One picture."""

    blob: Blob


@dataclass(frozen=True, slots=True)
class Frames:
    """A clip as a folder of picture files.

    Attributes:
        folder: where they lie.
        names: of the files, in time order.
        count: the number of frames the sampler is told; an authors' list may state another number than lies on
            disk, and then the list rules (an index past the last file is an error, never a clamp).
    """

    folder: str
    names: tuple[str, ...]
    count: int

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The pictures, in time order."""
        return tuple(Blob(f"{self.folder}/{name}") for name in self.names)


@dataclass(frozen=True, slots=True)
class Video:
    """A clip as a video file; its number of frames is known only once it is opened."""

    file: str

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.file)


Media = Still | Frames | Video


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture or clip.

    Attributes:
        id: unique inside its dataset and fold, stable across machines (never an absolute path).
        label: index into the dataset card's `classes`; -1 where a layout has no labels (training data).
        media: where the pictures are.
    """

    id: str
    label: int
    media: Media


@dataclass(frozen=True, slots=True)
class FrameRef:
    """One picture to be decoded: a blob, or frame `index` of the video file in it."""

    blob: Blob
    index: int | None = None

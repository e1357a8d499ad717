"""The file formats that are read, and no others: a library's further ones start programs or open other files.

Pillow's EPS starts Ghostscript; FFmpeg's playlists (HLS, concat, DASH, SDP) and numbered pictures open what they name. So
both libraries are told what they may take a file for, whatever its ending is.
"""

from __future__ import annotations

from functools import cache

from PIL import Image, features

PICTURES = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".heic",
        ".heif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".qoi",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
VIDEOS = frozenset([".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"])
MEDIA = PICTURES | VIDEOS

# As Pillow calls them; HEIF is there once its plug-in is.
PILLOW = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "TIFF", "WEBP")
# As FFmpeg calls its demuxers: of the endings above, and raw streams under one of them.
FFMPEG = ("asf", "avi", "flv", "h264", "hevc", "m4v", "matroska", "mov", "mpeg", "mpegts", "mpegvideo", "webm")


def suffix(name: str) -> str:
    """The lower-case suffix of a file name with its dot, or an empty text."""
    # By hand: a folder has millions, and `os.path.splitext` or a Path per file costs more than its listing.
    stem, _, ending = name[name.rfind("/") + 1 :].rpartition(".")
    return f".{ending.lower()}" if stem.strip(".") else ""


def lacking(name: str) -> str:
    """What to install so that Pillow reads a file of that name; empty where nothing is lacking."""
    ending = suffix(name)
    if ending in (".heic", ".heif") and "HEIF" not in pillow():
        return "install the extra: pip install 'fer-bench[heic]'"
    if ending == ".avif" and not features.check("avif"):
        return "install a Pillow of 11.3 or later"
    return ""


@cache
def pillow() -> tuple[str, ...]:
    """The formats that Pillow may take a picture for, of those that are here."""
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except (ImportError, OSError):
        pass
    Image.init()
    return tuple(name for name in PILLOW if name in Image.OPEN)

"""Damage to files, drawn from a seed: what a broken download, a failing disk, a careless editor or an enemy makes of them."""

from __future__ import annotations

import io
import random
import re
import zipfile
import zlib
from collections.abc import Callable

EDGES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x80")
NUMBERS = (b"-1", b"0", b"1e999", b"nan", b"999999999999999999999999", b"1.5", b"\xc2\xb2", b"0x10", b"")
WORDS = (b"../../etc/passwd", b"/etc/passwd", b"{}", b"{0.__class__}", b'"', b"'''", b",", b"\t", b"\r", b"\0",
         b"\xe2\x80\xa8", b"\xff\xfe", b"[[x]]", b"=", b"%s", b"a" * 5000, b"(" * 300, b"[" * 3000, b"true")  # fmt: skip

Change = Callable[[bytes, random.Random], bytes]


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The bytes after one to four changes."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = draw.choice(CHANGES)(data, draw)
    return data


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 8))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _edge(data: bytes, draw: random.Random) -> bytes:
    edge = draw.choice(EDGES)
    start = draw.randrange(len(data) + 1)
    return data[:start] + edge + data[start + len(edge) :]


def _drop(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data) + 1)
    return data[:start] + data[start + draw.choice((1, 4, 64, 1024)) :]


def _double(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data) + 1)
    part = data[start : start + draw.choice((1, 16, 256))]
    return data[:start] + part * draw.choice((2, 2, 50)) + data[start + len(part) :]


def _noise(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data) + 1)
    return data[:start] + draw.randbytes(draw.choice((1, 8, 512))) + data[start:]


def _head(data: bytes, draw: random.Random) -> bytes:
    """A change within the first bytes, where formats keep their sizes."""
    return _edge(data[:64], draw) + data[64:] if draw.random() < 0.5 else _flip(data[:256], draw) + data[256:]


def _number(data: bytes, draw: random.Random) -> bytes:
    return _instead(rb"\d+", NUMBERS, data, draw)


def _word(data: bytes, draw: random.Random) -> bytes:
    return _instead(rb"[A-Za-z_.]+", WORDS, data, draw)


def _instead(pattern: bytes, others: tuple[bytes, ...], data: bytes, draw: random.Random) -> bytes:
    found = [match.span() for match in re.finditer(pattern, data[:100_000])]
    if not found:
        return _noise(data, draw)
    start, stop = draw.choice(found)
    return data[:start] + draw.choice(others) + data[stop:]


def _lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return _double(data, draw)
    spot, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[spot] = draw.choice((lines[other], b"\n", lines[spot] * 2, lines[spot].strip() + lines[other]))
    return b"".join(lines)


def _member(data: bytes, draw: random.Random) -> bytes:
    """A change inside a zip archive's member, with the archive whole around it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, RuntimeError, ValueError):
        return _flip(data, draw)
    if not members:
        return _flip(data, draw)
    name = draw.choice(list(members))
    members[name] = draw.choice(CHANGES)(members[name], draw)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CHANGES: tuple[Change, ...] = (_cut, _flip, _edge, _drop, _double, _noise, _head, _number, _word, _lines, _member)

"""`bench fetch` from servers that answer anything: an error that says what came, and nothing taken that nobody vouched for."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

CARD = """
kind = "method"
name = "served"
[encoder]
adapter = "package.module:Class"
weights = { model = "model.pth" }
[weights."model.pth"]
url = "https://weights.example.org/model.pth"
"""
CHECKPOINT = b"PK\x03\x04" + b"weights" * 100


class Wire(urllib.request.BaseHandler):
    """Gives what a server would send, byte by byte as it stands, to the standard library's own reader."""

    def __init__(self) -> None:
        self.said = b""

    def https_open(self, request: urllib.request.Request) -> Any:
        reply = http.client.HTTPResponse(SimpleNamespace(makefile=lambda mode: io.BytesIO(self.said)), method="GET")
        reply.begin()
        reply.url, reply.msg = request.full_url, reply.reason
        return reply


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Let the address give these bytes, as they go over the wire."""
    wire = Wire()
    opener = urllib.request.build_opener(wire)
    opener.handle_open["https"] = [wire]
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: opener.open(url, timeout=timeout))
    return lambda said: setattr(wire, "said", said)


def sent(body: bytes, *more: str, length: str = "") -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {length or len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def fetch(bench: Any, tmp_path: Path) -> Callable[..., Any]:
    """`bench fetch served`."""
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "served.toml").write_text(CARD)
    return lambda *args: bench("fetch", "served", "--cards", tmp_path / "cards", "--to", tmp_path / "weights", *args)


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "weights").iterdir())


BROKEN = {
    "no HTTP": b"\x00\x01\x02\x03 what is this\r\n\r\n",
    "nothing": b"",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "an endless line": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    "too many lines": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    "an error": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    "half a file": sent(CHECKPOINT, length=str(2 * len(CHECKPOINT))),
    "an empty file": sent(b""),
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "an address that is none": b"HTTP/1.1 302 Found\r\nLocation: https://[nowhere\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_broken_server_is_told_and_leaves_nothing(
    fetch: Callable[..., Any], serve: Callable[[bytes], None], tmp_path: Path, said: str
) -> None:
    serve(BROKEN[said])
    answer = fetch()
    assert answer.code == 2 and "served: model.pth: https://weights.example.org/model.pth" in answer.err, answer
    assert left(tmp_path) == []


def test_a_length_that_is_no_number_does_no_harm(
    fetch: Callable[..., Any], serve: Callable[[bytes], None], tmp_path: Path
) -> None:
    serve(sent(CHECKPOINT, "Connection: close", length="many"))
    assert fetch("--sha256", hashlib.sha256(CHECKPOINT).hexdigest()).code == 0
    assert (tmp_path / "weights" / "model.pth").read_bytes() == CHECKPOINT


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><title>Sign in</title>", b'{"error": "no"}', b"version https://git-lfs"]
)
def test_a_page_is_not_taken_for_a_checkpoint(
    fetch: Callable[..., Any], serve: Callable[[bytes], None], tmp_path: Path, page: bytes
) -> None:
    serve(sent(page))
    answer = fetch("--sha256", hashlib.sha256(page).hexdigest())
    assert answer.code == 2 and "is not a .pth file: it begins with" in answer.err and page.decode()[:20] in answer.err
    assert left(tmp_path) == []


def test_a_file_whose_hash_nobody_stated_waits_until_it_is_confirmed(
    fetch: Callable[..., Any], serve: Callable[[bytes], None], tmp_path: Path
) -> None:
    found = hashlib.sha256(CHECKPOINT).hexdigest()
    serve(sent(CHECKPOINT))
    for wrong in ((), ("--sha256", "0" * 64), ("--sha256", found[:4])):
        answer = fetch(*wrong)
        assert answer.code == 2 and f"--sha256 {found}" in answer.err
        assert left(tmp_path) == ["model.pth.unconfirmed"]
    serve(b"")  # it is not asked for again
    assert fetch("--sha256", found).code == 0
    assert left(tmp_path) == ["known-hashes.json", "model.pth"]
    assert fetch().code == 0  # once is enough

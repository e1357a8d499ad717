"""A decoder that crashes, hangs or eats the memory costs one video, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cards.input_protocol import Pixels
from bench.data import decoders, video, video_pool
from bench.data.loader import stream
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.errors import DataError
from bench.process.workers import Pool

MakeFilm = Callable[..., Path]

# Takes PyAV's place in the decoding process: what a file is called says what its decoder does.
DECODER = """
import os, signal, time
import numpy as np
import bench.data.video as video

class Decoder(video.AvVideo):
    def __init__(self, path):
        self.name = path.name
        self.react("open")
        super().__init__(path)

    def decode(self, indices):
        for number, found in enumerate(super().decode(indices)):
            if number == 1:
                self.react("frame")
            yield found

    def react(self, when):
        if self.name.startswith(f"crash-{when}"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.name.startswith(f"abort-{when}"):
            os.write(2, b"corrupted double-linked list\\n")
            os.abort()
        if self.name.startswith(f"hang-{when}"):
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            while True: time.sleep(1)
        if self.name.startswith(f"eat-{when}"):
            np.ones((10, 2**30))
        if self.name.startswith(f"print-{when}"):
            print("a line that is not a message", flush=True)

video.OpenedVideo.__init__.__defaults__ = ((Decoder,),)
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """Processes in which decoders do as the files' names say."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DECODER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    pool = Pool(decoders.started)
    monkeypatch.setattr(decoders, "POOL", pool)
    monkeypatch.setattr(video_pool, "PATIENCE", 2.5)
    yield pool
    pool.close()


def pid(pool: Pool) -> int:
    (process,) = pool.idle()
    return process


def gone(process: int) -> bool:
    """Whether a process ends within two seconds; one that waits to be buried has ended."""
    for _ in range(40):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_frames_are_those_that_the_reader_gives_here(film: MakeFilm) -> None:
    path = film("a.mp4", "libx264", bf="3")
    wanted = [30, 3, 3, 17]
    here = video.in_order(video.AvVideo(path).decode(wanted), wanted)
    assert all(np.array_equal(a, b) for a, b in zip(video_pool.frames(path, wanted), here, strict=True))
    assert video_pool.length(path) == 40


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash-open.avi", "its decoder crashed (SIGSEGV)"),
        ("crash-frame.avi", "its decoder crashed (SIGSEGV)"),
        ("abort-frame.avi", "its decoder crashed (SIGABRT: corrupted double-linked list)"),
        ("hang-frame.avi", "gave no frame within"),
        ("eat-frame.avi", "Unable to allocate"),
    ],
)
def test_what_a_decoder_does_to_its_process_is_an_error_that_names_the_file(
    pool: Pool, film: MakeFilm, name: str, said: str
) -> None:
    good, bad = film("good.avi", "mpeg4"), film(name, "mpeg4")
    with pytest.raises(DataError) as caught:
        video_pool.frames(bad, [1, 2, 3])
    assert str(bad) in caught.value.what and said in caught.value.what
    assert len(video_pool.frames(good, [1, 2, 3])) == 3


def test_a_crash_costs_one_item_of_a_stream(pool: Pool, film: MakeFilm) -> None:
    paths = [film(name, "mpeg4") for name in ("a.avi", "crash-frame.avi", "c.avi", "hang-open.avi", "e.avi")]
    items = [Item(bytes([n]), tuple(FrameRef(Blob(str(path)), i) for i in (1, 5))) for n, path in enumerate(paths)]
    batches = list(stream(items, Pixels(), 16, workers=2, batch=8))
    assert [key[0] for batch in batches for key in batch.keys] == [0, 2, 4]
    assert [failure.key[0] for batch in batches for failure in batch.failures] == [1, 3]


def test_what_a_library_prints_is_no_message(pool: Pool, film: MakeFilm) -> None:
    assert len(video_pool.frames(film("print-frame.avi", "mpeg4"), [1, 2, 3])) == 3


def test_one_process_decodes_one_video_after_another(pool: Pool, film: MakeFilm, tmp_path: Path) -> None:
    path = film("a.avi", "mpeg4")
    video_pool.length(path)
    first = pid(pool)
    video_pool.frames(path, [1])
    (tmp_path / "text.avi").write_text("this is not a video\n" * 100)
    with pytest.raises(DataError, match=r"text\.avi cannot be read as a video"):
        video_pool.length(tmp_path / "text.avi")
    assert pid(pool) == first


def test_a_process_that_ended_while_it_was_idle_is_replaced(pool: Pool, film: MakeFilm) -> None:
    path = film("a.avi", "mpeg4")
    video_pool.length(path)
    process = pid(pool)
    os.kill(process, signal.SIGKILL)
    assert gone(process)
    assert video_pool.length(path) == 40


def test_frames_that_nobody_waits_for_end_the_process(pool: Pool, film: MakeFilm) -> None:
    path = film("a.avi", "mpeg4")
    frames = video_pool.decode(path, range(40))
    assert next(frames)[0] == 0
    frames.close()
    assert pool.idle() == []
    assert [index for index, _ in video_pool.decode(path, [3, 5])] == [3, 5]


def test_threads_have_a_process_each_and_no_more(pool: Pool, film: MakeFilm) -> None:
    path = film("a.avi", "mpeg4")
    threads = [threading.Thread(target=video_pool.length, args=(path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(pool.idle()) <= 3


def test_no_process_is_left_when_the_run_is_killed(film: MakeFilm) -> None:
    code = (
        "import sys, time; from pathlib import Path; from bench.data import decoders as d, video_pool as p;"
        "p.length(Path(sys.argv[1])); print(d.POOL.idle()[0], flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code, film("a.avi", "mpeg4")], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    process = int(run.stdout.readline())
    run.kill()
    run.wait()
    run.stdout.close()
    assert gone(process)


def test_a_video_of_enormous_frames_is_refused_by_every_reader(film: MakeFilm, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film("a.avi", "mpeg4", width=96, height=80)
    monkeypatch.setattr(video, "MAX_PIXELS", 96 * 80 - 1)
    with pytest.raises(DataError, match=r"a\.avi announces frames of 96 x 80 pixels, more than 7,679"):
        video.OpenedVideo(path)

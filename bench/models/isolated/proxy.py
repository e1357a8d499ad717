"""An adapter in another environment, under the same protocols: every call goes to a worker process and back.

A worker that dies, hangs or raises ends in an error that names the card and quotes the worker's last lines. Nothing of
the run is lost by it: what was stored stays, and the same command goes on from there.
"""

from __future__ import annotations

import collections
import importlib.util
import os
import signal
import subprocess
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cards.environment import EnvironmentFacts
from bench.errors import BenchError, DeviceError
from bench.models import contract
from bench.models.contract import FaceDetector
from bench.models.isolated.environment import clean, ensure
from bench.models.resolve import moved_to
from bench.models.source import source_hash
from bench.process import wire

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cards.head_training import Instruction

_WORKER = Path(__file__).with_name("worker.py")
_LAST_LINES = 12
_GRACE = 5.0  # by so much later the worker ends itself, where nobody here did
_AGAIN = "mend it and run the same command again: what was computed before is kept"


def load_isolated(
    facts: EnvironmentFacts,
    adapter: str,
    weights: Mapping[str, Path],
    device: str,
    dtype: str,
    options: Mapping[str, Any],
    *,
    contract: type[Any],
    method: str,
    root: Path,
) -> Any:
    """Build an adapter in its own environment.

    Args:
        facts: the environment; built first where it is not there.
        adapter: `package.module:Class` or `file.py:Class`. A module that is a file here is run from that file; any
            other has to be in the environment.
        weights: role -> file, as for an adapter here; likewise `device`, `dtype` and `options`.
        contract: the protocol of `bench.models.contract` that the adapter implements.
        method: the card, for messages.
        root: the folder that holds all environments.

    Returns:
        An object that implements the contract. The worker ends with it.

    Raises:
        BenchError: the environment cannot be built, or the adapter in it, or it does not implement the contract.
    """
    located = _location(adapter)
    python = ensure(facts, root, method=method)
    link = _Link(python, method, facts.timeout)
    request = {
        "call": "load",
        "adapter": located,
        "weights": {role: str(path.resolve()) for role, path in weights.items()},
        "device": device,
        "dtype": dtype,
        "options": dict(options),
    }
    has = set(link.call(request, timeout=facts.loading).body["members"])
    wanted = {name for name in (*dir(contract), *contract.__annotations__) if not name.startswith("_")}
    if not wanted <= has:
        link.close()
        raise BenchError(
            f"{method}: {adapter} is not a {contract.__name__}: it lacks {', '.join(sorted(wanted - has))}",
            f"write what {contract.__module__} describes",
        )
    return _PROXIES[contract](link)


def isolated_identity(adapter: str, facts: EnvironmentFacts) -> dict[str, str]:
    """What stands for the adapter's code in a store key: its environment, and its source where that is here."""
    stated, _, class_name = adapter.rpartition(":")
    found, _, _ = _location(adapter).rpartition(":")
    if not found.endswith(".py"):
        return {"adapter": adapter, "environment": facts.key}
    name = class_name if stated.endswith(".py") else adapter
    return {"adapter": name, "version": f"source-{source_hash(Path(found))}", "environment": facts.key}


def _location(adapter: str) -> str:
    """The adapter with its module replaced by the file it lies in, where it is here. Nothing of it is imported."""
    module, _, class_name = adapter.rpartition(":")
    if not module:
        raise BenchError(f"adapter = {adapter!r} names no module", "name it package.module:Class or file.py:Class")
    if module.endswith(".py"):
        if not Path(module).is_file():
            raise BenchError(f"adapter {adapter!r}: {module} does not exist", "correct the path in the card")
        return f"{Path(module).resolve()}:{class_name}"
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None and (now := moved_to(module, class_name)):
        raise BenchError(f"adapter {adapter!r}: there is no such module", f"write adapter = {now!r}")
    return f"{spec.origin}:{class_name}" if spec is not None and spec.origin else adapter


class _Link:
    """The worker process, and one call at a time to it."""

    def __init__(self, python: Path, method: str, timeout: float) -> None:
        self._method, self._timeout = method, timeout
        self._process = subprocess.Popen(
            [str(python), str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **clean(os.environ),
                "PYTHONNOUSERSITE": "1",
                "PYTHONUNBUFFERED": "1",
                "HF_HUB_OFFLINE": "1",
                "TRANSFORMERS_OFFLINE": "1",
            },
            start_new_session=True,
        )
        self._lines: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        self._listener = threading.Thread(target=_listen, args=(self._process, self._lines), daemon=True)
        self._listener.start()
        self.close = weakref.finalize(self, _stop, self._process)

    def call(self, body: dict[str, Any], arrays: Sequence[Any] = (), timeout: float | None = None) -> wire.Message:
        """Send a request and wait for its reply.

        Raises:
            BenchError: the worker raised, died, or did not answer in time (and is ended then).
            torch.OutOfMemoryError: the worker's device has too little memory for this batch.
        """
        seconds = timeout or self._timeout
        what = "building the adapter" if body["call"] == "load" else body["call"]
        late = threading.Event()
        watch = threading.Timer(seconds, _too_late, (self._process, late))
        watch.daemon = True
        watch.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            wire.send(self._process.stdin, {**body, "seconds": seconds + _GRACE}, arrays)  # type: ignore[arg-type]
            reply = wire.receive(self._process.stdout)  # type: ignore[arg-type]
        except (OSError, EOFError, ValueError) as error:
            self.close()
            self._listener.join(timeout=5)
            how = f"did not answer within {seconds:g} s" if late.is_set() else f"ended with code {self._process.wait()}"
            fix = f"raise `timeout` in [environment] of its card, or {_AGAIN}" if late.is_set() else _AGAIN
            raise BenchError(f"{self._method}: in {what}, its worker {how}{self._quoted()}", fix) from error
        except BaseException:
            self.close()  # half a message may lie on the wire
            raise
        finally:
            watch.cancel()
        if "error" in reply.body:
            self._refuse(what, reply.body)
        return reply

    def _refuse(self, what: str, error: Mapping[str, Any]) -> None:
        if error["error"] == "OutOfMemoryError":
            import torch

            raise torch.OutOfMemoryError(f"{self._method}: {error['message']}")
        trace = "".join(f"\n    {line}" for line in error["trace"])
        kind = DeviceError if error["error"] == "AcceleratorError" else BenchError
        raise kind(f"{self._method}: {what} failed in its worker: {error['error']}: {error['message']}{trace}", _AGAIN)

    def _quoted(self) -> str:
        lines = [line for line in self._lines if line.strip()]
        return "; its last lines:" + "".join(f"\n    {line}" for line in lines) if lines else ", and said nothing"


def _listen(process: subprocess.Popen[bytes], lines: collections.deque[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line.decode(errors="replace").rstrip())


def _too_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it started: a read from any of them ends with that."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:  # they are gone already
        return


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _kill(process)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was not sent yet has nobody to go to
                continue


class _Proxy:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def _rows(self, call: str, arrays: Sequence[Tensor], *arguments: Any) -> Tensor:
        import torch

        sent = [pixels.detach().to("cpu", torch.float32).numpy() for pixels in arrays]
        reply = self._link.call({"call": call, "arguments": arguments}, sent)
        if not reply.arrays:
            raise TypeError(f"{call} returned {reply.body.get('value')!r:.80}, not an array")
        return torch.from_numpy(reply.arrays[0].astype("float32", copy=False))


class _TextSide(_Proxy):
    @property
    def logit_scale(self) -> float:
        return float(self._link.call({"call": "logit_scale"}).body["value"])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return self._rows("encode_texts", (), list(texts))


class _Images(_TextSide):
    def encode_images(self, pixels: Tensor) -> Tensor:
        return self._rows("encode_images", (pixels,))


class _Clips(_TextSide):
    def encode_clips(self, pixels: Tensor) -> Tensor:
        return self._rows("encode_clips", (pixels,))


class _Scorer(_Proxy):
    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        return self._rows("score", (pixels,), list(texts))


class _Generator(_Proxy):
    def answer(self, pixels: Tensor, question: str) -> list[str]:
        sent = [pixels.detach().cpu().float().numpy()]
        answers: list[str] | None = self._link.call({"call": "answer", "arguments": [question]}, sent).body.get("value")
        if answers is None:
            raise TypeError("answer returned an array, not a list of texts")
        return answers

    def loglikelihood(self, pixels: Tensor, question: str, options: Sequence[str]) -> Tensor:
        return self._rows("loglikelihood", (pixels,), question, list(options))


class _Teacher(_Proxy):
    """A teacher; the other side is told texts and seeds, since it knows nothing of `Instruction`."""

    logit_scale = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        count, width = self._link.call({"call": "shape"}).body["value"]
        return int(count), int(width)

    def see(self, pixels: Tensor) -> Tensor:
        return self._rows("see", (pixels,))

    def queries(self, seen: Tensor, seeds: Sequence[int], *, dropout: bool = False) -> Tensor:
        return self._rows("queries", (seen,), list(seeds), dropout)

    def targets(
        self, queries: Tensor, instruction: Instruction, seeds: Sequence[int], *, dropout: bool = False
    ) -> Tensor:
        from bench.models.draws import mixed

        noise = None if instruction.noise is None else [mixed(seed, instruction.noise) for seed in seeds]
        return self._rows("targets", (queries,), instruction.text, list(seeds), noise, dropout)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return self._rows("encode_texts", (), list(texts))


class _Detector(_Proxy):
    def __init__(self, link: _Link) -> None:
        super().__init__(link)
        self._one_call = threading.Lock()

    def detect(self, pictures: Any) -> Any:
        with self._one_call:
            reply = self._link.call({"call": "detect", "arguments": []}, [pictures])
        if not reply.arrays:
            raise TypeError(f"detect returned {reply.body.get('value')!r:.80}, not an array")
        return reply.arrays[0]


_PROXIES: Mapping[type[Any], type[_Proxy]] = {
    contract.ImageEncoder: _Images,
    contract.ClipEncoder: _Clips,
    contract.JointScorer: _Scorer,
    contract.Generator: _Generator,
    contract.TeacherModel: _Teacher,
    FaceDetector: _Detector,
}

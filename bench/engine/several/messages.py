"""Jobs and what came of them as messages of `bench.process.wire`: words and numbers, and no code on either side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cards.environment import EnvironmentFacts
from bench.cards.input_protocol import Pixels
from bench.cards.method_schema import EncoderFacts
from bench.data.loader import Failure
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.engine.batch_size import Trial, TrialNetwork
from bench.engine.shards import Asks, NetworkWork, Rows, Shard, Step, TextRows
from bench.engine.worker import TextJob
from bench.models.ask import Ask
from bench.models.network import Network
from bench.process.wire import Message
from bench.store.digests import KIND

Array = npt.NDArray[Any]
Said = tuple[dict[str, Any], list[Array]]


def request_of(method: str, job: Any) -> Message:
    """A job for one of the methods of `bench.engine.worker.Worker`."""
    said: dict[str, Callable[[Any], Said]] = {"texts": _text_job, "batch_size": _trial, "shard": _shard}
    body, arrays = said[method](job)
    return Message({"call": method, **body}, arrays)


def job_of(request: Message) -> Any:
    """What `request_of` was given."""
    made: dict[str, Callable[..., Any]] = {"texts": _text_job_of, "batch_size": _trial_of, "shard": _shard_of}
    return made[request.body["call"]](request.body, request.arrays)


def answer_of(method: str, result: Any) -> Message:
    """What a method gave."""
    if method == "batch_size":
        return Message({"call": method, "batch": result}, [])
    if method == "texts":
        return Message({"call": method, "logit_scale": result.logit_scale}, result.rows)
    steps, arrays = [], []
    for step in result:
        rows = []
        for found in step.rows:
            rows.append([{"inputs": part.inputs, "text": part.rows.dtype.kind == "S"} for part in found])
            arrays += [array for part in found for array in (_bytes_of(part.digests), _numbers(part.rows))]
        failures = [[failure.key.hex(), failure.reason] for failure in step.failures]
        times = {"seconds": step.seconds, "waited": step.waited}
        steps.append({"items": step.items, "rows": rows, "failures": failures, **times})
    return Message({"call": method, "steps": steps}, arrays)


def result_of(answer: Message) -> Any:
    """What `answer_of` was given."""
    body = answer.body
    if body["call"] == "batch_size":
        return body["batch"]
    if body["call"] == "texts":
        return TextRows(answer.arrays, body["logit_scale"])
    arrays = iter(answer.arrays)
    steps = []
    for step in body["steps"]:
        rows = [[_rows_of(part, next(arrays), next(arrays)) for part in found] for found in step["rows"]]
        failures = [Failure(bytes.fromhex(key), reason) for key, reason in step["failures"]]
        steps.append(Step(step["items"], rows, failures, step["seconds"], step["waited"]))
    return steps


def _rows_of(facts: dict[str, Any], digests: Array, rows: Array) -> Rows:
    if facts["text"]:
        rows = rows.view(f"S{rows.shape[1]}")[:, 0]
    return Rows([digest.tobytes() for digest in digests], rows, facts["inputs"])


def _bytes_of(texts: Sequence[bytes]) -> Array:
    """Bytes of one length as `[N, length]`."""
    return np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1)


def _numbers(rows: Array) -> Array:
    """Rows as numbers: answers as their bytes, `[N, longest]`."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1) if rows.dtype.kind == "S" else rows


def _network(network: Network) -> dict[str, Any]:
    environment = network.environment
    return {
        "method": network.method,
        "facts": network.facts.model_dump(mode="json"),
        "weights": {role: str(path) for role, path in network.weights.items()},
        "hashes": dict(network.hashes),
        "dtype": network.dtype,
        "environment": None if environment is None else environment.model_dump(mode="json"),
        "compiled": network.compiled,
        "identity": network.identity,
    }


def _network_of(facts: dict[str, Any]) -> Network:
    environment = facts["environment"]
    return Network(
        facts["method"],
        EncoderFacts(**facts["facts"]),
        {role: Path(path) for role, path in facts["weights"].items()},
        facts["hashes"],
        facts["dtype"],
        None if environment is None else EnvironmentFacts(**environment),
        facts["compiled"],
        facts["identity"],
    )


def _text_job(job: TextJob) -> Said:
    return {"network": _network(job.network), "texts": list(job.texts), "beside": list(job.beside)}, []


def _text_job_of(body: dict[str, Any], _: Sequence[Array]) -> TextJob:
    return TextJob(_network_of(body["network"]), body["texts"], body["beside"])


def _trial(trial: Trial) -> Said:
    networks = [[_network(each.network), _pixels(each.pixels), each.asks] for each in trial.networks]
    return {"networks": networks, "frames": trial.frames, "size": trial.size, "largest": trial.largest}, []


def _trial_of(body: dict[str, Any], _: Sequence[Array]) -> Trial:
    networks = [
        TrialNetwork(_network_of(network), Pixels(**pixels), _asks_of(asks))
        for network, pixels, asks in body["networks"]
    ]
    return Trial(networks, body["frames"], body["size"], body["largest"])


def _shard(shard: Shard) -> Said:
    items = [[item.key.hex(), [_frame(ref) for ref in item.frames]] for item in shard.items]
    works: list[dict[str, Any]] = []
    arrays: list[Array] = []
    for work in shard.works:
        works.append({"network": _network(work.network), "pixels": _pixels(work.pixels), "sets": work.asks.sets})
        arrays += [np.ascontiguousarray(work.asks.keys).view(np.uint8), work.asks.chosen]
    return {
        "items": items,
        "pixels": _pixels(shard.pixels),
        "size": shard.size,
        "batch": shard.batch,
        "works": works,
    }, arrays


def _shard_of(body: dict[str, Any], arrays: Sequence[Array]) -> Shard:
    items = [Item(bytes.fromhex(key), tuple(_frame_of(frame) for frame in frames)) for key, frames in body["items"]]
    works = []
    for at, facts in enumerate(body["works"]):
        keys, chosen = arrays[2 * at : 2 * at + 2]
        asks = Asks(keys.view(KIND), [_asks_of(some) for some in facts["sets"]], chosen)
        works.append(NetworkWork(_network_of(facts["network"]), Pixels(**facts["pixels"]), asks))
    return Shard(items, Pixels(**body["pixels"]), body["size"], works, body["batch"])


def _frame(ref: FrameRef) -> list[Any]:
    return [ref.blob.file, ref.blob.offset, ref.blob.length, ref.blob.codec, ref.index]


def _frame_of(facts: Sequence[Any]) -> FrameRef:
    *blob, index = facts
    return FrameRef(Blob(*blob), index)


def _pixels(pixels: Pixels) -> dict[str, Any]:
    return pixels.model_dump(mode="json")


def _asks_of(facts: Sequence[Sequence[Any]]) -> tuple[Ask, ...]:
    return tuple(Ask(text, option) for text, option in facts)

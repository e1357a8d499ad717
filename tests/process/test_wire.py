"""Messages between the two processes: what goes in comes out, and nothing is unpickled."""

from __future__ import annotations

import io
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.process import wire

anything = arrays.arrays(
    st.sampled_from([np.dtype(kind) for kind in ("f4", "f8", ">f4", "u1", "i8", "?", "f2")]),
    arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@given(st.lists(anything, max_size=3), st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_words_and_arrays_arrive_as_they_were_sent(sent: list[np.ndarray], body: dict) -> None:
    stream = io.BytesIO()
    wire.send(stream, body, sent)
    wire.send(stream, {"next": 1})
    stream.seek(0)
    message = wire.receive(stream)
    assert message.body == body
    assert [array.shape for array in message.arrays] == [array.shape for array in sent]
    for found, array in zip(message.arrays, sent, strict=True):
        assert found.dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(found, array)
        assert found.flags.writeable
    assert wire.receive(stream).body == {"next": 1}


def test_arrays_larger_than_a_pipe_arrive_whole() -> None:
    read, write = os.pipe()
    sent = np.random.default_rng(0).random((64, 3, 32, 32), dtype=np.float32).transpose(0, 2, 3, 1)
    with os.fdopen(read, "rb") as source, os.fdopen(write, "wb") as sink:
        thread = threading.Thread(target=wire.send, args=(sink, {}, [sent]))
        thread.start()
        np.testing.assert_array_equal(wire.receive(source).arrays[0], sent)
        thread.join()


def test_objects_are_refused_on_both_sides() -> None:
    with pytest.raises(TypeError, match="object"):
        wire.send(io.BytesIO(), {}, [np.array([{}])])
    head = b'{"body": {}, "arrays": [["|O", [1]]]}'
    with pytest.raises(ValueError, match="object"):
        wire.receive(io.BytesIO(len(head).to_bytes(8, "little") + head + bytes(8)))


@pytest.mark.parametrize("length", [0, 3, 20, 60])
def test_a_message_cut_short_is_an_end_of_file(length: int) -> None:
    stream = io.BytesIO()
    wire.send(stream, {"a": 1}, [np.zeros(8)])
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(stream.getvalue()[:length]))

"""The safetensors format, beside the library of that name."""

import json

import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nids_jax.bundle.tensors import DTYPES, decode, encode, parse_json
from nids_jax.errors import InputError

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__" and name.isprintable()),
    st.sampled_from([*DTYPES.values()]).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    max_size=4,
)


@given(ARRAYS)
def test_the_library_reads_what_is_written_and_the_other_way_round(given_arrays):
    for found in (safetensors.numpy.load(encode(given_arrays)), decode(safetensors.numpy.save(given_arrays))):
        assert sorted(found) == sorted(given_arrays)
        for name, array in given_arrays.items():
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape
            assert found[name].tobytes() == array.tobytes()


def block(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (2**60).to_bytes(8, "little") + b"{}",
        block(b"[]"),
        block(b"{"),
        block({"a": 1}),
        block({"a": entry("F16")}, b"1234"),
        block({"a": entry(shape=[2])}, b"1234"),
        block({"a": entry(shape=[2**40, 2**40], offsets=[0, 4])}, b"1234"),
        block({"a": entry(shape=[-1])}, b"1234"),
        block({"a": entry(shape=[True])}, b"1234"),
        block({"a": entry(offsets=[0, 8])}, b"1234"),
        block({"a": entry(offsets=[4, 0])}, b"1234"),
        block({"a": entry()}, b"12345"),
        block({"a": entry(), "b": entry()}, b"1234"),
        block({"a": entry(), "b": entry(offsets=[8, 12])}, b"123456789012"),
        block(
            b'{"a": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}, "a": {"dtype":"F32","shape":[1],'
            b'"data_offsets":[0,4]}}',
            b"1234",
        ),
        block({"a": {**entry(), "more": 1}}, b"1234"),
    ],
)
def test_what_is_no_such_block_is_refused(content):
    with pytest.raises(InputError):
        decode(content)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": Infinity}',
        "[1]",
        '{"a": 1, "a": 2}',
        "{" * 100_000,
        '{"a":' * 9999,
        '{"a": ' + "9" * 5000 + "}",
        "\xff",
    ],
)
def test_json_is_strict(text):
    with pytest.raises(InputError):
        parse_json(text.encode("latin-1"))

"""Class names in every spelling that the published files hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.data.io.labels import clean_label, decode, label_key, natural_order


@pytest.mark.parametrize(
    "published",
    [
        b"Web Attack \x96 XSS",  # cp1252
        b"Web Attack \x97 XSS",
        "Web Attack – XSS".encode(),
        "Web Attack — XSS".encode(),
        "Web Attack − XSS".encode(),
        "Web Attack \ufffd XSS".encode(),  # a lossy decoder was here
        "Web Attack \x96 XSS".encode(),  # read as latin-1, written as UTF-8
        "Web Attack – XSS".encode().decode("cp1252").encode(),  # read as cp1252, written as UTF-8
        b"Web Attack - XSS",
        b"  Web  Attack -\tXSS \r",
        "\u00a0Web Attack – XSS".encode(),
    ],
)
def test_every_dash_becomes_a_hyphen(published: bytes) -> None:
    assert clean_label(decode(published)) == "Web Attack - XSS"


def test_a_file_may_mix_encodings() -> None:
    assert decode("a – b".encode() + b"|a \x96 b|\x81") == "a – b|a – b|\ufffd"


def test_other_letters_stay() -> None:
    assert clean_label("атака  №1") == "атака №1"
    assert clean_label("UDP–lag") == "UDP-lag"


def test_whole_numbers_sort_by_value() -> None:
    assert natural_order(["10", "9", "-1", "0"]) == ["-1", "0", "9", "10"]
    assert natural_order(["10", "9", "x"]) == ["10", "9", "x"]
    assert natural_order([]) == []


@given(st.integers(-(10**400), 10**400), st.sampled_from(["", ".", ".0", ".000"]), st.sampled_from(["", "0", "00"]))
def test_whole_numbers_of_any_length_are_one_class_however_written(number: int, end: str, zeros: str):
    sign, digits = ("-" if number < 0 else "", str(abs(number)))
    assert label_key(f"{sign}{zeros}{digits}{end}") == str(number)

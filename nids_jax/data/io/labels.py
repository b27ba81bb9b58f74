"""Class names as the published files spell them → one ASCII spelling."""

import codecs
import re

from nids_jax.sheets import unguarded

LONGEST_NAME = 1000  # characters of the name of a class or column: what is longer is none

_DASH = re.compile(
    "\u00e2\u20ac[\u201c\u201d]"  # an en or em dash of UTF-8 that was read as cp1252 and written again
    "|[\u2010-\u2015\u2212\ufffd\x96\x97]"  # dashes; the mark a lossy decoder leaves; cp1252's dashes read as latin-1
)
_NUMBER = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf)", re.ASCII | re.IGNORECASE)


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that are not UTF-8 as cp1252, byte by byte (CIC wrote its dashes so)."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("nids_jax_cp1252", _as_cp1252)

UNLABELLED = "(no label)"  # what rows without a label are called where they are kept


def decode(text: bytes) -> str:
    """Bytes of a published file → str: UTF-8, and cp1252 wherever the bytes are not UTF-8.

    One file can hold both: the redistributed CIC-IDS2017 mixes U+FFFD (three UTF-8 bytes) with the byte 0x96.
    """
    return text.decode("utf-8", "nids_jax_cp1252")


def clean_label(text: str) -> str:
    """A class name without outer blanks, with single blanks and ASCII hyphens: `Web Attack \\x96 XSS` → `… - XSS`."""
    return unguarded(" ".join(_DASH.sub("-", text).split()))


_NONE = ("needmanuallabel", "nolabel", "unlabelled", "unlabeled", UNLABELLED.replace(" ", ""))


def is_unlabelled(name: str) -> bool:
    """Whether a label says that nobody has labelled the row, as CICFlowMeter writes it."""
    return label_key(name).replace(" ", "") in _NONE


def label_key(name: str) -> str:
    """What spellings of one class have in common: case, blanks, hyphens and underscores apart, 1.0 as 1."""
    if whole := re.fullmatch(r"([+-]?)0*(\d+)(?:\.0*)?", name, re.ASCII):
        return whole[2] if whole[1] != "-" or whole[2] == "0" else f"-{whole[2]}"
    if _NUMBER.fullmatch(name):  # whose minus is no hyphen
        return name.casefold()
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip() or name


def natural_order(names: list[str]) -> list[str]:
    """Sorted names; by value where every one is a whole number, so that class 10 follows class 9."""
    if all(re.fullmatch(r"[+-]?\d+", name, re.ASCII) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)

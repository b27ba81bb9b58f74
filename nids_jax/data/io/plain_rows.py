"""Lines of plain cells → rows, compiled: what most blocks of a large CSV hold, at several times the speed of a parser.

Cells of text are coded by their bytes.  Numbers that are written in an unusual way (`Infinity`, `1e-320`, twenty
digits, blanks around them, anything that is none) are left to the general way, one by one.  A block with quotation
marks, or with a line that has more or fewer fields than the header, is left to it altogether.  So both agree in every
row.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nids_jax.compiled import compiled
from nids_jax.data.io.columns import NO_LABEL, Chunk, Coded, Layout, to_numbers, unlabelled
from nids_jax.data.io.decimals import is_short, nearest_bits, short
from nids_jax.data.io.labels import clean_label, decode
from nids_jax.data.io.notation import MISSING

_LINE = np.uint64(1 << 20)  # bytes: longer lines are left to the parser, which refuses them
_ODD = 1 << 16  # cells of a block that are read one by one: with more it is left to the parser
_SKIPPED = -1  # the place of a column that is not read
_NEWLINE, _MINUS, _PLUS, _POINT, _ZERO = np.frombuffer(b"\n-+.0", np.uint8)
_UPPER_E, _LOWER_E = np.frombuffer(b"Ee", np.uint8)
_NINE = np.uint8(9)
_0, _1, _10, _63 = np.uint64(0), np.uint64(1), np.uint64(10), np.uint64(63)


class _Unusual(NamedTuple):
    """Where a cell of a numeric column is that is read by the general way."""

    row: int
    place: int
    start: int
    stop: int


def read_rows(text: bytes, delimiter: str, layout: Layout) -> Chunk | None:
    """The rows of whole lines in UTF-8 whose numbers have a decimal point; None where the general way is to read them.

    Args:
      text: the lines, ended by `\\n` alone.
      delimiter: between cells.
      layout: where the columns are.
    """
    columns = [*layout.features, *([] if layout.label == NO_LABEL else [layout.label])]
    is_text = [*layout.text, *([] if layout.label == NO_LABEL else [True])]
    if b'"' in text or len(set(columns)) < len(columns) or not text:
        return None
    if not text.endswith(b"\n"):
        text += b"\n"
    data = np.frombuffer(text, np.uint8)
    lines = text.count(b"\n")
    places = np.full(layout.width, _SKIPPED, np.int64)
    numeric = [column for column, names in zip(columns, is_text, strict=True) if not names]
    textual = [column for column, names in zip(columns, is_text, strict=True) if names]
    # A number's place is its feature's; text is put after the last of these.
    for index, column in enumerate(layout.features):
        places[column] = index
    places[textual] = len(layout.features) + np.arange(len(textual))
    x = np.empty((lines, len(layout.features)))
    if len(numeric) < x.shape[1]:
        x[:, np.array(layout.text, bool)] = np.nan
    cells = np.empty((len(textual), lines, 2), np.int64)
    unusual = np.empty((_ODD, len(_Unusual._fields)), np.int64)
    rows, blank, odd = _parse(data, np.uint8(ord(delimiter)), places, x, x.view(np.uint64), cells, unusual)
    if rows < 0:
        return None
    x = x[:rows]
    garbled = None
    if odd:
        found = [_Unusual(*map(int, cell)) for cell in unusual[:odd]]
        numbers, wrong = to_numbers(pa.array([text[cell.start : cell.stop].decode() for cell in found], pa.string()))
        at = unusual[:odd, 0], unusual[:odd, 1]
        x[at] = numbers
        if wrong is not None:
            garbled = np.zeros(x.shape, bool)
            garbled[at] = wrong
    coded = {column: _coded(text, data, cells[place, :rows]) for place, column in enumerate(textual)}
    labels = unlabelled(rows) if layout.label == NO_LABEL else coded[layout.label]
    names = {index: coded[column] for index, column in enumerate(layout.features) if layout.text[index]}
    return Chunk(x, garbled, names, labels, blank=blank)


def _coded(text: bytes, data: np.ndarray, cells: np.ndarray) -> Coded:
    """Cells of text as codes and names."""
    codes, firsts = _code(data, cells)
    raw = [decode(text[start:stop]) for start, stop in cells[firsts].tolist()]
    names = [clean_label(each) for each in raw]
    known = np.array([one not in MISSING and other not in MISSING for one, other in zip(raw, names, strict=True)], bool)
    return Coded(np.where(known[codes], codes, np.int32(-1)), names) if len(names) else Coded(codes, names)


@compiled
def _parse(
    data: np.ndarray,
    delimiter: np.uint8,
    places: np.ndarray,
    x: np.ndarray,
    bits: np.ndarray,
    cells: np.ndarray,
    unusual: np.ndarray,
) -> tuple[int, int, int]:
    """Rows, blank lines and unusual cells; -1 rows where the block is left to the parser.

    Args:
      data: bytes of the lines, the last of which is ended.
      delimiter: between cells.
      places: of each column, where it is put: a column of `x`, one of `cells` after these, or _SKIPPED.
      x: [lines, d], to be filled.
      bits: the same memory as integers.
      cells: of each column of text the start and end of each row's cell, to be filled.
      unusual: as _Unusual, to be filled.
    """
    width, features = len(places), x.shape[1]
    row = blank = odd = 0
    position, end = np.uint64(0), np.uint64(len(data))  # unsigned: a negative index would count from the end
    while position < end:
        if data[position] == _NEWLINE:
            blank += 1
            position += _1
            continue
        beginning = position
        for column in range(width):
            place, start = places[column], position
            understood = False
            if 0 <= place < features:
                negative = data[position] == _MINUS
                if negative:
                    position += _1
                digits, count = _0, 0  # count: of digits, without leading zeros
                first = position
                digit = data[position] - _ZERO  # eight bits without sign: what is no digit is more than 9
                while digit <= _NINE:
                    digits = digits * _10 + digit
                    count += digits > _0
                    position += _1
                    digit = data[position] - _ZERO
                seen, power = position - first, 0
                if data[position] == _POINT:
                    position += _1
                    first = position
                    digit = data[position] - _ZERO
                    while digit <= _NINE:
                        digits = digits * _10 + digit
                        count += digits > _0
                        position += _1
                        digit = data[position] - _ZERO
                    seen += position - first
                    power = -np.int64(position - first)
                if seen and (data[position] == _LOWER_E or data[position] == _UPPER_E):
                    position += _1
                    falling = data[position] == _MINUS
                    if falling or data[position] == _PLUS:
                        position += _1
                    first, exponent = position, 0
                    digit = data[position] - _ZERO
                    while digit <= _NINE and exponent < 10_000:
                        exponent = exponent * 10 + np.int64(digit)
                        position += _1
                        digit = data[position] - _ZERO
                    if position == first:
                        seen = _0
                    power += -exponent if falling else exponent
                ended = data[position] == delimiter or data[position] == _NEWLINE
                if ended and position == start:
                    x[row, place] = np.nan
                    understood = True
                elif ended and seen and count <= 19:
                    if digits == _0:
                        x[row, place] = -0.0 if negative else 0.0
                        understood = True
                    elif is_short(digits, power):
                        value = short(digits, power)
                        x[row, place] = -value if negative else value
                        understood = True
                    else:
                        found = nearest_bits(digits, power)
                        understood = found != _0
                        bits[row, place] = found | (np.uint64(negative) << _63)
            while data[position] != delimiter and data[position] != _NEWLINE:
                position += _1
            if place >= features:
                cells[place - features, row, 0] = start
                cells[place - features, row, 1] = position
            elif place >= 0 and not understood:
                if odd == len(unusual):
                    return -1, 0, 0
                unusual[odd, 0], unusual[odd, 1], unusual[odd, 2], unusual[odd, 3] = row, place, start, position
                odd += 1
            if (data[position] == _NEWLINE) != (column == width - 1):
                return -1, 0, 0
            position += _1
        if position - beginning > _LINE:
            return -1, 0, 0
        row += 1
    return row, blank, odd


@compiled
def _code(data: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A code [n] for each cell, in order of appearance, and the first row of each.

    Args:
      data: bytes.
      cells: start and end of each cell [n, 2].
    """
    size = 16
    while size < 2 * len(cells):
        size *= 2
    codes, firsts = np.empty(len(cells), np.int32), np.empty(len(cells), np.int64)
    table = np.full(size, -1, np.int32)
    known = 0
    for row in range(len(cells)):
        start, stop = cells[row]
        key = np.uint64(14695981039346656037)
        for place in range(start, stop):
            key = (key ^ np.uint64(data[place])) * np.uint64(1099511628211)
        slot = np.int64((key ^ (key >> np.uint64(32))) & np.uint64(size - 1))
        while table[slot] >= 0:
            other = cells[firsts[table[slot]], 0]
            same = cells[firsts[table[slot]], 1] - other == stop - start
            place = 0
            while same and place < stop - start:
                same = data[other + place] == data[start + place]
                place += 1
            if same:
                break
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = known
            firsts[known] = row
            known += 1
        codes[row] = table[slot]
    return codes, firsts[:known]

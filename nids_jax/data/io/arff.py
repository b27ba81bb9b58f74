"""ARFF: the attributes of the header; the data section is CSV with `%` comments and either quotation mark.

Source: the format's description in Weka's documentation; the gas pipeline data of Mississippi State University.
"""

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from nids_jax.data.io.columns import Chunk, Kind, Layout, check_header
from nids_jax.data.io.delimited import DelimitedFile
from nids_jax.data.io.labels import clean_label
from nids_jax.errors import InputError

_TOKEN = r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+\""""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_TOKEN}|\S+?)\s*(\{{.*|\s\S.*)$", re.IGNORECASE)
# A quotation mark counts at a value's beginning alone, so that no part of a line is looked through more than twice.
_VALUE = re.compile(rf"\s*+(?:({_TOKEN})\s*+(?=,|\Z)|([^,]*+))(?:,|\Z)")
_QUOTED = re.compile(rb"""(^|,)[ \t]*+("(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')[ \t]*+(?=,|$)""", re.MULTILINE)
_COMMENT = re.compile(rb"^[ \t]*+%.*\n?", re.MULTILINE)
_SPARSE = re.compile(rb"^[ \t]*+\{", re.MULTILINE)
_NUMERIC = ("numeric", "real", "integer")


class ArffFile(DelimitedFile):
    """An ARFF file: attributes first, the rows by `chunks`."""

    always_plain = True

    def _read_header(self) -> list[str]:
        block = self._first_block()
        names: list[str] = []
        self._kinds: list[Kind] = []
        end = 0
        while end < len(block.text):
            start, end = end, block.text.find(b"\n", end) + 1 or len(block.text)
            line = block.text[start:end]
            text = line.decode().strip()
            if not text or text.startswith("%") or text.lower().startswith("@relation"):
                continue
            if text.lower() == "@data":
                if not names:
                    raise InputError(f"{self.path} declares no @attribute before @data")
                self._pending.append(block._replace(text=block.text[end:]))
                nominal = [index for index in self.declared if index < len(names)]
                self.default_label = nominal[-1] if nominal else None
                check_header(names, self.path)
                return names
            if not text.lower().startswith("@attribute"):
                raise InputError(f"{self.path} is not ARFF: {text[:60]!r} stands before @data")
            self._declare(text, names)
        raise InputError(f"{self.path} is not ARFF: it has no @data line")

    def _declare(self, text: str, names: list[str]) -> None:
        match = _ATTRIBUTE.match(text)
        if match is None:
            raise InputError(f"{self.path} declares an attribute without a type: {text[:60]!r}")
        name, kind = match[1], match[2].strip()
        if kind.startswith("{"):
            if not kind.endswith("}"):
                raise InputError(f"{self.path} lists the values of {name[:60]} without a closing brace")
            values = [clean_label(_unquote(quoted or plain)) for quoted, plain in _VALUE.findall(kind[1:-1])]
            self.declared[len(names)] = tuple(dict.fromkeys(value for value in values if value))
            self._kinds.append("text")
        elif kind.lower().split()[0] in _NUMERIC:
            self._kinds.append("number")
        elif kind.lower() == "string":
            self._kinds.append("text")
        elif kind.lower().startswith("date"):
            self._kinds.append("other")
        else:
            raise InputError(
                f"{self.path} declares {name[:60]} as {kind[:40]!r}, which is not read; use numbers or names"
            )
        names.append(_unquote(name))

    def _chunk(self, text: bytes, layout: Layout, long: bool) -> Chunk:
        chunk = super()._chunk(text, layout, long)
        for column, coded in [(layout.label, chunk.labels), *((layout.features[i], c) for i, c in chunk.text.items())]:
            declared = frozenset(self.declared.get(column, ()))
            for code in np.unique(coded.codes[coded.codes >= 0]) if column in self.declared else ():
                if coded.names[code] not in declared:
                    value = coded.names[code]
                    raise InputError(f"{self.path} does not declare the value {value!r} of {self.header[column]!r}")
        return chunk

    def kinds(self, sample: Mapping[int, pa.Array]) -> list[Kind]:
        """What each attribute was declared to hold."""
        return self._kinds

    def prepare(self, text: bytes) -> bytes:
        """The lines as CSV: without comments, and with double quotation marks only."""
        if b"%" in text:
            text = _COMMENT.sub(b"", text)
        if b"{" in text and _SPARSE.search(text):
            raise InputError(f"{self.path} holds sparse rows; only dense ARFF is read")
        if b"'" in text or b'"' in text:
            text = _QUOTED.sub(_double_quoted, text)
        return text


def _double_quoted(match: re.Match[bytes]) -> bytes:
    inner = match[2][1:-1]
    return match[1] + b'"' + re.sub(rb"\\(.)", rb"\1", inner).replace(b'"', b'""') + b'"'


def _unquote(token: str) -> str:
    token = token.strip()
    if len(token) >= 2 and token[0] == token[-1] and token[0] in "'\"":
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token

"""What the payloads of simulated packets say, where a protocol is short to write; zeros elsewhere.

A message is what one side says up to PSH, or one datagram; its length is the simulator's.  Its text is padded to that
length, or is only its head, before zeros.  The protocol is that of the server's port.

Sources: RFC 9112 (HTTP), 1035 and 7830 (DNS), 5905 (NTP), 7252 (CoAP), 1350 (TFTP), 4253 (SSH), 959 (FTP); MySQL's
client/server protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nids_jax.flows.packets import FIN, PSH, SYN, TCP, UDP, Packets

_LONGEST_NAME = 271  # bytes of a DNS question at most
_PLAIN = 255  # bytes of one that needs padding, without it
_LONGEST = (1 << 24) - 1  # bytes of a message whose length its text may speak of
_INDEX = 15  # messages of a side that are told apart; more are taken for this one


@dataclass(frozen=True, kw_only=True)
class Text:
    """Where in `pool` the payload of each of `p` packets begins, and for how many bytes it stands there."""

    begin: np.ndarray  # [p] int64
    length: np.ndarray  # [p] int64
    pool: np.ndarray  # [t] uint8


@dataclass(frozen=True, kw_only=True)
class _Message:
    """What a text depends on."""

    size: int
    index: int  # among the messages of its side, _INDEX at most
    served: bool  # whether the server says it
    more: bool  # whether the same side goes on, unanswered
    goes_on: bool  # whether it goes on itself
    question: int  # bytes of the question that it answers, a datagram's
    number: int  # of question and answer


def _http(m: _Message) -> bytes:
    line = b"HTTP/1.1 200 OK\r\nServer: Apache\r\n" if m.served else b"GET / HTTP/1.1\r\nHost: www.example.org\r\n"
    if m.goes_on:  # of an answer, or of a request's head, line by line
        if m.served or m.size < 6:
            return b""
        return b"X-a: " + b"b" * (m.size - 7) + b"\r\n" if 7 < m.size < 100 else _body(b"", m.size)
    if not m.served and (m.more or m.size > 1400):
        line = b"POST / HTTP/1.1\r\nHost: www.example.org\r\n"
    if m.more:
        end = b"Connection: close\r\n\r\n" if m.served else b""
        return _padded(line, b"X-Id: ", m.size - len(end)) + end if m.size > len(line) + len(end) + 8 else b""
    if m.served or m.size > 1400:
        return _body(line, m.size)
    if m.size > len(line) + 10:
        return _padded(line, b"X-Id: ", m.size - 2) + b"\r\n"
    return b"GET /" + b"a" * (m.size - 18) + b" HTTP/1.0\r\n\r\n" if m.size >= 18 else b""


def _body(line: bytes, size: int) -> bytes:
    """A head that says how many bytes follow it, within `size`."""
    for digits in range(1, 9):
        head = line + b"Content-Type: application/octet-stream\r\nContent-Length: %0*d\r\n\r\n"
        length = len(head % (digits, 0))
        if size >= length and len(str(size - length)) <= digits:
            return head % (digits, size - length)
    return (line + b"\r\n") if size == len(line) + 2 else b""


def _padded(line: bytes, name: bytes, size: int) -> bytes:
    """`line` and one more header, `size` bytes in all."""
    return line + name + b"a" * (size - len(line) - len(name) - 2) + b"\r\n"


def _question(size: int) -> bytes:
    """A question for the address of a name, so long that with DNS's head it has `size` bytes; none if there is none."""
    left = size - 12 - 5  # the name's labels, each after its length
    if not 2 <= left <= 254:
        return b""
    name = b""
    while left:
        label = left if left <= 64 else min(64, left - 2)
        name += bytes([label - 1]) + b"a" * (label - 1)
        left -= label
    return name + b"\0\0\1\0\1"


def _dns(m: _Message) -> bytes:
    number = m.number.to_bytes(2)
    if not m.served and m.size > _LONGEST_NAME:  # too long for a name: padded (RFC 7830)
        padding = m.size - _PLAIN - 15
        question = _question(_PLAIN) + b"\0\0\x29\x10\0\0\0\0\0" + (padding + 4).to_bytes(2)
        return number + b"\1\0\0\1\0\0\0\0\0\1" + question + b"\0\x0c" + padding.to_bytes(2)
    size = m.question if m.served else m.size
    question = _question(size if size <= _LONGEST_NAME else _PLAIN)
    if not question:
        return _refused(m) if m.served else b""
    if not m.served:
        return number + b"\1\0\0\1\0\0\0\0\0\0" + question
    left = m.size - 12 - len(question)
    if left < 0:
        return _refused(m)
    # Addresses of 16 bytes, and what is left as EDNS padding of 15 bytes or more, or EDNS's 11.
    answers = next((n for n in range(left // 16, -1, -1) if left - 16 * n in (0, 11) or left - 16 * n >= 15), -1)
    if answers < 0:
        return _refused(m)
    left -= 16 * answers
    records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc6\x33\x64" + bytes([1 + i % 254]) for i in range(answers))
    if left:
        records += b"\0\0\x29\x10\0\0\0\0\0" + (left - 11).to_bytes(2)
        records += b"\0\x0c" + (left - 15).to_bytes(2) if left >= 15 else b""
    extra = (1 if left else 0).to_bytes(2)
    return number + b"\x81\x80\0\1" + answers.to_bytes(2) + b"\0\0" + extra + question + records


def _dns_stream(m: _Message) -> bytes:
    """DNS over TCP: a length, and a message of nothing but its head."""
    flags = b"\x81\x80" if m.served else b"\1\0"
    return min(m.size - 2, 0xFFFF).to_bytes(2) + b"\0\1" + flags if m.size >= 14 else b""


def _refused(m: _Message) -> bytes:
    """An answer without a question, with padding alone."""
    if m.size < 27:
        return m.number.to_bytes(2) + b"\x81\x85" + bytes(8) if m.size >= 12 else b""
    return (
        m.number.to_bytes(2)
        + b"\x81\x85"
        + bytes(7)
        + b"\1\0\0\x29\x10"
        + bytes(5)
        + (m.size - 23).to_bytes(2)
        + (b"\0\x0c" + (m.size - 27).to_bytes(2))
    )


def _ntp(m: _Message) -> bytes:
    if m.size == 48:
        return b"\x24\2\6\xe9" if m.served else b"\x23\0\6\xe9"
    return (b"\x97\0\3\x2a" if m.served else b"\x17\0\3\x2a") if m.size >= 8 else b""  # monlist, for reflection


def _coap(m: _Message) -> bytes:
    head = b"\x60\x45" if m.served else b"\x40\1"
    return head + m.index.to_bytes(2) + b"\xff" * (m.size > 4) if m.size == 4 or m.size > 5 else b""


def _tftp(m: _Message) -> bytes:
    if m.served:
        return b"\0\3\0\1" if m.size >= 4 else b""
    return b"\0\1" + b"a" * (m.size - 9) + b"\0octet\0" if m.size >= 10 else b""


def _ssh(m: _Message) -> bytes:
    """Banners, key exchange up to the client's NEWKEYS, then what may be the encryption of anything."""
    if not m.index:
        return (b"SSH-2.0-OpenSSH_7.4 " + b"a" * m.size)[: m.size - 2] + b"\r\n" if m.size > 10 else b""
    if m.index == 1 and m.size >= 80:  # KEXINIT: a cookie, ten lists of names (here one name), two numbers
        name = b"a" * (m.size - 4 - 1 - 1 - 16 - 40 - 1 - 4 - 6)
        return _binary(b"\x14" + bytes(16) + _long(len(name)) + name + bytes(36 + 1 + 4), m.size)
    if m.index == 2 and not m.served and 20 <= m.size <= 200:
        key = m.size - 4 - 1 - 1 - 4 - 6
        return _binary(b"\x1e" + _long(key) + b"a" * key, m.size)
    if m.index == 2 and m.served and 200 <= m.size <= 2000:
        size = m.size - 16  # NEWKEYS follows at once
        kind = _long(7) + b"ssh-rsa"
        host, proof = kind + _long(3) + b"\1\0\1" + _long(32) + b"a" * 32, kind + _long(32) + b"a" * 32
        key = size - 4 - 1 - 1 - 3 * 4 - len(host) - len(proof) - 6
        reply = b"\x1f" + _long(len(host)) + host + _long(key) + b"a" * key + _long(len(proof)) + proof
        return _binary(reply, size) + _binary(b"\x15", 16)
    if m.index == 3 and not m.served and m.size == 16:
        return _binary(b"\x15", 16)
    return bytes(range(128, 256)) * (m.size // 128 + 1) if m.size < 4096 else b""


def _binary(content: bytes, size: int) -> bytes:
    """SSH's packet of `size` bytes."""
    return _long(size - 4) + bytes([size - 5 - len(content)]) + content + bytes(size - 5 - len(content))


def _long(number: int) -> bytes:
    return number.to_bytes(4)


def _mysql(m: _Message) -> bytes:
    """The server's refusal of a stranger; what the client says is no MySQL."""
    if m.served and 13 <= m.size < 1 << 24:
        return (m.size - 4).to_bytes(3, "little") + b"\0\xff\x6a\4Host " + b"a" * (m.size - 12)
    return (m.size - 4).to_bytes(3, "little") + b"\0\3" + b"a" * (m.size - 5) if m.size >= 5 else b""


def _ftp(m: _Message) -> bytes:
    if m.served:
        known = {14: b"221 Goodbye.", 23: b"230 Login successful.", 34: b"331 Please specify the password."}
        code = b"220 " if not m.index else b"331 " if m.index % 2 else b"530 " if m.size < 29 else b"200 "
        line = known.get(m.size, code) if m.index else code
    else:
        line = b"QUIT" if m.size == 6 else b"USER " if m.index % 2 == 0 else b"PASS "
    return (line + b"a" * m.size)[: m.size - 2] + b"\r\n" if m.size > 6 or line == b"QUIT" else b""


# protocol, ports, text; the first is of no kind
_KINDS: tuple[tuple[int, tuple[int, ...], Callable[[_Message], bytes]], ...] = (
    (TCP, (80, 8000, 8080), _http),
    (UDP, (53, 5353), _dns),
    (UDP, (123,), _ntp),
    (UDP, (69,), _tftp),
    (TCP, (22, 2222), _ssh),
    (TCP, (21, 2121), _ftp),
    (TCP, (3306,), _mysql),
    (UDP, (5683,), _coap),
    (TCP, (53,), _dns_stream),
)


@lru_cache(maxsize=1 << 16)
def _text(code: int) -> bytes:
    kind, rest = code & 15, code >> 4
    flags, rest = rest & 7, rest >> 3
    index, rest = rest & 15, rest >> 4
    number, rest = rest & 0xFFFF, rest >> 16
    question, size = rest & 0x3FF, rest >> 10
    message = _Message(
        size=size,
        index=index,
        served=bool(flags & 1),
        more=bool(flags & 2),
        goes_on=bool(flags & 4),
        question=question,
        number=number,
    )
    return _KINDS[kind - 1][2](message)[:size]


def write_text(
    p: Packets, side: np.ndarray, conversation: np.ndarray, first: np.ndarray, original: np.ndarray, number: np.ndarray
) -> Text:
    """The text of packets that lie conversation after conversation.

    Args:
      side: [p] 0 the client's, 1 the server's.
      first: [c] row of each conversation's first packet.
      original: [p] the row whose bytes each packet carries.
      number: [c] at random, below 2^15, from which DNS counts its questions.
    """
    kind, swapped = _kinds(p, first)
    served = (side == 1) ^ swapped[conversation]
    rows = np.flatnonzero((p.payload > 0) & (kind[conversation] > 0) & (original == np.arange(len(side))))
    begin, length = np.zeros(len(side), np.int64), np.zeros(len(side), np.int64)
    if not len(rows):
        return Text(begin=begin, length=length, pool=np.zeros(0, np.uint8))

    # Messages are numbered end by end, side after side.
    by_side = rows[np.argsort(conversation[rows] * 2 + side[rows], kind="stable")]
    end = conversation[by_side] * 2 + side[by_side]
    stops = (p.flags[by_side] & (PSH | SYN | FIN) != 0) | (p.protocol[by_side] != TCP)
    stops |= np.diff(end, append=-1) != 0
    begins = np.append(True, stops[:-1])
    message = np.cumsum(begins) - 1
    start = np.flatnonzero(begins)
    size = np.add.reduceat(p.payload[by_side].astype(np.int64), start)
    offset = np.cumsum(p.payload[by_side], dtype=np.int64) - p.payload[by_side]
    offset -= offset[start][message]
    row, of = by_side[start], end[start]
    fresh = np.diff(of, prepend=-1) != 0
    place = np.arange(len(row))
    index = place - np.maximum.accumulate(np.where(fresh, place, 0))

    # In order of time: which side spoke before and after.
    order = np.argsort(row)
    same = np.zeros(len(row) + 1, bool)
    same[1:-1] = of[order][1:] == of[order][:-1]
    goes_on, more = np.empty(len(row), bool), np.empty(len(row), bool)
    goes_on[order], more[order] = same[:-1], same[1:]

    # Datagrams: the question of the same index.
    asks = np.flatnonzero(~served[row])
    asked = conversation[row[asks]] << 20 | index[asks]  # rises
    wants = conversation[row] << 20 | index
    found = np.minimum(np.searchsorted(asked, wants), max(len(asks) - 1, 0))
    there = asked[found] == wants if len(asks) else np.zeros(len(row), bool)
    question = np.where(there, np.minimum(size[asks][found] if len(asks) else 0, 0x3FF), 0)
    kinds = kind[conversation[row]]
    dns = kinds == 2
    code = np.minimum(size, _LONGEST) << 10 | np.where(dns & served[row], question, 0)
    code = code << 16 | np.where(dns, (number[conversation[row]] + index) & 0xFFFF, 0)
    code = code << 4 | np.minimum(index, _INDEX)
    code = (code << 3 | goes_on * 4 | more * 2 | served[row]) << 4 | kinds
    codes, of_code = np.unique(code, return_inverse=True)
    texts = [_text(each) for each in codes.tolist()]
    lengths = np.array([len(each) for each in texts])
    places = np.cumsum(lengths) - lengths

    begin[by_side] = places[of_code][message] + offset
    length[by_side] = np.clip(lengths[of_code][message] - offset, 0, p.payload[by_side])
    begin, length = np.where(length > 0, begin, 0)[original], length[original]
    return Text(begin=begin, length=length, pool=np.frombuffer(b"".join(texts) + b"\0", np.uint8))


def _kinds(p: Packets, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The protocol of each conversation [c], counted from 1, 0 for none; whether the client has the server's port."""
    protocol, target, origin = p.protocol[first], p.destination_port[first], p.source_port[first]
    kind, swapped = np.zeros(len(first), np.int64), np.zeros(len(first), bool)
    for number, (carrier, ports, _) in enumerate(_KINDS, 1):
        serves, asks = np.isin(target, ports), np.isin(origin, ports)
        here = (protocol == carrier) & (kind == 0) & (serves | asks)
        kind[here], swapped[here] = number, (asks & ~serves)[here]
    return kind, swapped

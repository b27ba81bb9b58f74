"""Packets to flow records one packet at a time, in compiled code: the table of connections and the rules of their ends.

Two tables: of connections (who began one, how far its close has come), which outlive records, and of records at work.
A record holds sums, from which its features are computed when it ends (`record`).

Rules (RFC 9293 for the close):
1. A connection is its two end points (address and port) and its protocol; whoever sent its first packet is the
   initiator.
2. TCP: it is closed once both sides' FINs are acknowledged, or by RST.  What comes later belongs to it still, until
   a SYN without ACK comes or nothing has come for LINGER.
3. A record ends with its connection, or before the first packet that comes more than `timeout` after its first; the
   connection goes on in a further record, with the same initiator.  After REMEMBERED of silence it is forgotten.
4. Where more records are at work than `most`, the one that began first ends.
"""

import numpy as np

from nids_jax.compiled import compiled
from nids_jax.flows.hashing import mixed
from nids_jax.flows.meter import record as rec
from nids_jax.flows.packets import ACK, FIN, RST, SYN, TCP

LINGER = 5_000_000  # µs; as long as Zeek waits after a close (tcp_close_delay)
REMEMBERED = 600_000_000  # µs; as Suricata's flow-timeouts.tcp.established

# Columns of the table of connections.
(LOW, HIGH, PORTS, PROTOCOL, REVERSED, BEGAN, LAST, RECORD, LIVE, CLOSED, FIN_UP, FIN_DOWN, ACK_UP, ACK_DOWN) = range(
    14
)
CONNECTION = 14

# Numbers that the tables keep beside their rows.
(CONNECTIONS, FREE, OLDEST, NEWEST, CLOSING_OLDEST, CLOSING_NEWEST, CLOCK, EVICTED, PACKETS) = range(9)
COUNTERS = 9

DONE, NO_ROOM_OUT, NO_ROOM_CONNECTIONS, NO_ROOM_RECORDS = range(4)  # why `take` returns

TIMED_OUT, FINISHED, RESET, STOPPED, CROWDED_OUT = range(5)  # why a record ended


@compiled
def place_of(connections, buckets, low, high, ports, protocol, salt):
    """The place in `buckets` of the connection with this key, or of a free one."""
    mask = np.uint64(len(buckets) - 1)
    key = mixed(np.uint64(high), mixed(np.uint64(low), salt))
    place = mixed(np.uint64(ports) ^ np.uint64(protocol) << np.uint64(32), key) & mask
    while True:
        row = buckets[place]
        if row < 0:
            return place
        if (
            connections[row, LOW] == low
            and connections[row, HIGH] == high
            and connections[row, PORTS] == ports
            and connections[row, PROTOCOL] == protocol
        ):
            return place
        place = (place + np.uint64(1)) & mask


@compiled
def sweep(connections, buckets, counters, salt, records, all_idle):
    """Drop the connections that no record and no rule needs any more, and fill `buckets` anew.

    `all_idle`: drop all without a record at work.
    """
    kept, now = 0, counters[CLOCK]
    buckets[:] = -1
    for i in range(counters[CONNECTIONS]):
        row = connections[i]
        silent = now - row[LAST]
        past = silent > REMEMBERED or (row[CLOSED] and silent > LINGER)
        if row[RECORD] < 0 and (all_idle or past or not row[LIVE]):
            continue
        if kept != i:
            connections[kept] = connections[i]
        row = connections[kept]
        if row[RECORD] >= 0:
            records[row[RECORD], rec.OWNER] = kept
        buckets[place_of(connections, buckets, row[LOW], row[HIGH], row[PORTS], row[PROTOCOL], salt)] = kept
        kept += 1
    counters[CONNECTIONS] = kept


@compiled
def _unlink(records, counters, i, before, after, oldest, newest):
    """Take record `i` out of the list that these columns and counters hold."""
    p, n = records[i, before], records[i, after]
    if p >= 0:
        records[p, after] = n
    else:
        counters[oldest] = n
    if n >= 0:
        records[n, before] = p
    else:
        counters[newest] = p


@compiled
def _append(records, counters, i, before, after, oldest, newest):
    records[i, before], records[i, after] = counters[newest], -1
    if counters[newest] >= 0:
        records[counters[newest], after] = i
    else:
        counters[oldest] = i
    counters[newest] = i


@compiled
def _end(connections, records, sums, counters, i, why, corrected, out, named, count):
    """Write record `i` to row `count` of the results and free its place; the next row."""
    owner = records[i, rec.OWNER]
    rec.write(records, sums, i, connections[owner, BEGAN], why, corrected, out, named, count)
    connections[owner, RECORD] = -1
    _unlink(records, counters, i, rec.BEFORE, rec.AFTER, OLDEST, NEWEST)
    if records[i, rec.CLOSING] >= 0:
        _unlink(records, counters, i, rec.CLOSING_BEFORE, rec.CLOSING_AFTER, CLOSING_OLDEST, CLOSING_NEWEST)
    records[i, rec.AFTER] = counters[FREE]
    counters[FREE] = i
    return count + 1


@compiled
def _closing(records, counters, i, since):
    """Put record `i` at the end of those whose connection is closed."""
    records[i, rec.CLOSING] = since
    _append(records, counters, i, rec.CLOSING_BEFORE, rec.CLOSING_AFTER, CLOSING_OLDEST, CLOSING_NEWEST)


@compiled
def _reason(connections, owner, otherwise):
    closed = connections[owner, CLOSED]
    return closed if closed else otherwise


@compiled
def _expire(connections, records, sums, counters, timeout, corrected, out, named, count, room):
    """End the records that no packet can join any more, up to `room` results; how many there are then."""
    now = counters[CLOCK]
    while count < room:
        i = counters[OLDEST]
        if i < 0 or now - records[i, rec.START] <= timeout:
            break
        why = _reason(connections, records[i, rec.OWNER], TIMED_OUT)
        count = _end(connections, records, sums, counters, i, why, corrected, out, named, count)
    while count < room:
        i = counters[CLOSING_OLDEST]
        if i < 0 or now - records[i, rec.CLOSING] <= LINGER:
            break
        owner, last = records[i, rec.OWNER], records[i, rec.LAST]
        if now - last <= LINGER:  # something came after the close: look again when that has lain as long
            _unlink(records, counters, i, rec.CLOSING_BEFORE, rec.CLOSING_AFTER, CLOSING_OLDEST, CLOSING_NEWEST)
            _closing(records, counters, i, last)
            continue
        connections[owner, LIVE] = 0
        count = _end(connections, records, sums, counters, i, connections[owner, CLOSED], corrected, out, named, count)
    return count


@compiled
def take(
    columns,
    begin,
    connections,
    buckets,
    records,
    sums,
    counters,
    salt,
    timeout,
    activity_timeout,
    most,
    corrected,
    out,
    named,
):
    """Meter the packets from number `begin` on: the next packet, how many records have ended, why it returns.

    `columns`: those of `packets.Packets`, in its order.
    """
    times, sources, destinations, source_ports, destination_ports, protocols = columns[:6]
    payloads, headers, all_flags, windows, icmps = columns[6:]
    count, room = 0, len(out) - 3  # a packet itself ends at most one record of its connection and one for its place
    for k in range(begin, len(times)):
        time = max(times[k], counters[CLOCK])
        counters[CLOCK] = time
        count = _expire(connections, records, sums, counters, timeout, corrected, out, named, count, room)
        if count >= room:
            return k, count, NO_ROOM_OUT
        source, destination, protocol = sources[k], destinations[k], np.int64(protocols[k])
        source_port, destination_port = np.int64(source_ports[k]), np.int64(destination_ports[k])
        turned = source > destination or (source == destination and source_port > destination_port)
        if turned:
            low, high, ports = destination, source, destination_port << 16 | source_port
        else:
            low, high, ports = source, destination, source_port << 16 | destination_port
        flags = np.int64(all_flags[k])
        hello = protocol == TCP and flags & (SYN | ACK) == SYN
        place = place_of(connections, buckets, low, high, ports, protocol, salt)
        c = buckets[place]
        fresh = c < 0
        if fresh:
            c = counters[CONNECTIONS]
            if c == len(connections):
                return k, count, NO_ROOM_CONNECTIONS
            counters[CONNECTIONS] += 1
            buckets[place] = c
            row = connections[c]
            row[LOW], row[HIGH], row[PORTS], row[PROTOCOL], row[RECORD] = low, high, ports, protocol, -1
        else:
            row = connections[c]
            silent = time - row[LAST]
            closed = row[CLOSED] > 0
            if closed or (row[FIN_UP] and row[FIN_DOWN]):
                fresh = hello or (closed and silent > LINGER)
            if not row[LIVE] or (row[RECORD] < 0 and (hello or silent > REMEMBERED)):
                fresh = True
            if fresh and row[RECORD] >= 0:
                why = _reason(connections, c, FINISHED)
                count = _end(connections, records, sums, counters, row[RECORD], why, corrected, out, named, count)
        if fresh:
            row[REVERSED], row[BEGAN], row[LIVE], row[CLOSED] = turned, time, 1, 0
            row[FIN_UP] = row[FIN_DOWN] = row[ACK_UP] = row[ACK_DOWN] = 0
        row[LAST] = time
        up = turned == (row[REVERSED] > 0)
        i = row[RECORD]
        if i < 0:
            if counters[FREE] < 0:
                if len(records) < most:
                    return k, count, NO_ROOM_RECORDS
                oldest = counters[OLDEST]
                why = _reason(connections, records[oldest, rec.OWNER], CROWDED_OUT)
                count = _end(connections, records, sums, counters, oldest, why, corrected, out, named, count)
                counters[EVICTED] += 1
            i = counters[FREE]
            counters[FREE] = records[i, rec.AFTER]
            row[RECORD] = i
            rec.begin(records, sums, i, c, time, counters[PACKETS] + k, np.int64(icmps[k]))
            new = records[i]
            if up:
                new[rec.SOURCE], new[rec.DESTINATION] = source, destination
                new[rec.SOURCE_PORT], new[rec.DESTINATION_PORT] = source_port, destination_port
            else:
                new[rec.SOURCE], new[rec.DESTINATION] = destination, source
                new[rec.SOURCE_PORT], new[rec.DESTINATION_PORT] = destination_port, source_port
            new[rec.PROTOCOL] = protocol
            _append(records, counters, i, rec.BEFORE, rec.AFTER, OLDEST, NEWEST)
            if row[CLOSED]:
                _closing(records, counters, i, time)
        window = np.int64(windows[k])
        rec.add(
            records, sums, i, time, up, np.int64(payloads[k]), np.int64(headers[k]), flags, window, activity_timeout
        )
        if protocol == TCP and flags & (FIN | RST | ACK):
            _close(row, up, flags)
            if row[CLOSED] and records[i, rec.CLOSING] < 0:
                _closing(records, counters, i, time)
    counters[PACKETS] += len(times)
    return len(times), count, DONE


@compiled
def _close(connection, up, flags):
    """How far a packet brings the close of its connection."""
    if flags & ACK:  # of the other side's FIN, if that has come
        if up:
            connection[ACK_UP] |= connection[FIN_DOWN]
        else:
            connection[ACK_DOWN] |= connection[FIN_UP]
    if flags & FIN:
        connection[FIN_UP if up else FIN_DOWN] = 1
    if connection[CLOSED]:
        return
    if flags & RST:
        connection[CLOSED] = RESET
    elif connection[ACK_UP] and connection[ACK_DOWN]:
        connection[CLOSED] = FINISHED


@compiled
def finish(connections, records, sums, counters, corrected, out, named):
    """End the records at work, oldest first, as far as there is room: how many, which is none when all have ended."""
    count = 0
    while count < len(out) and counters[OLDEST] >= 0:
        i = counters[OLDEST]
        why = _reason(connections, records[i, rec.OWNER], STOPPED)
        count = _end(connections, records, sums, counters, i, why, corrected, out, named, count)
    return count

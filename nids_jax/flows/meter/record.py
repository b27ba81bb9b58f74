"""A flow record at work: the sums that are kept of its packets, and the features that follow from them.

The features mean what their names say, unlike CICFlowMeter's (see `records`):
- of bulks: runs of at least four packets with payload in one direction, none more than 1 s after the one before, that
  no payload of the other direction interrupts; bytes and packets for each bulk, and bytes for each second of them;
- initial windows are those of the first packet in each direction;
- subflows are parted by pauses of more than 1 s: n pauses give n + 1;
- an active period ends with a pause longer than the activity timeout; the last one, which no pause ends, is left out;
- `down_up_ratio` is a ratio of packets, not rounded; rates over no time at all, and what has nothing to be over, are 0.

The corrected CIC-IDS2017 differs in this: `bwd_init_win_bytes` is the window of the last packet backward, subflow
features are totals divided by the number of packets, and averages of bulks are rounded down.  Its rows say so: all
37,556 of a sample keep the second and third rule, and nine flows whose packets are at hand agree in all features.
"""

import numpy as np

from nids_jax.compiled import compiled, inlined
from nids_jax.flows.meter.statistics import BULK_PACKETS, GAP
from nids_jax.flows.packets import NO_ICMP, PSH, RST, TCP, URG

# Columns of whole numbers.
(OWNER, BEFORE, AFTER, CLOSING_BEFORE, CLOSING_AFTER, CLOSING) = range(6)  # CLOSING: since when, or −1
(START, LAST, FIRST, SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, PROTOCOL, ICMP) = range(6, 15)
(LAST_UP, LAST_DOWN, ACTIVE_SINCE, PAUSES, DATA_UP, SEGMENT_MIN, WINDOW_UP, WINDOW_DOWN) = range(15, 23)
(HEADER_UP, HEADER_DOWN, PSH_UP, PSH_DOWN, URG_UP, URG_DOWN, RST_UP, RST_DOWN) = range(23, 31)
FLAGS = 31  # … 38: packets with each flag, from the lowest bit on
(RUN_SIDE, RUN_START, RUN_LAST, RUN_PACKETS, RUN_BYTES) = range(39, 44)  # the run of payload that is going on
BULK_UP, BULK_DOWN = 44, 48  # and three more: bulks, packets, bytes, µs
WINDOW_LAST = 52  # of the last packet backward
NUMBERS = 53

# Columns of floats: six of each statistic.
(LENGTH, LENGTH_UP, LENGTH_DOWN, PAUSE, PAUSE_UP, PAUSE_DOWN, ACTIVE, IDLE) = range(0, 48, 6)
COUNT, TOTAL, MEAN, SQUARES, MAX, MIN = range(6)  # SQUARES: of differences from the mean
SUMS = 48

# What is written of a record beside its features.
(OUT_SOURCE, OUT_DESTINATION, OUT_SOURCE_PORT, OUT_DESTINATION_PORT, OUT_PROTOCOL) = range(5)
(OUT_START, OUT_PACKETS, OUT_FIRST, OUT_WHY) = range(5, 9)
NAMED = 9


@inlined
def _count(sums, i, at, value):
    """Add a value to a statistic (Welford's algorithm, which loses nothing to cancellation)."""
    n = sums[i, at] + 1.0
    sums[i, at] = n
    sums[i, at + TOTAL] += value
    before = sums[i, at + MEAN]
    mean = before + (value - before) / n
    sums[i, at + MEAN] = mean
    sums[i, at + SQUARES] += (value - before) * (value - mean)
    if n == 1.0 or value > sums[i, at + MAX]:
        sums[i, at + MAX] = value
    if n == 1.0 or value < sums[i, at + MIN]:
        sums[i, at + MIN] = value


@compiled
def begin(records, sums, i, owner, time, first, icmp):
    """Make row `i` a record without packets; who it is of is written by the caller."""
    row = records[i]
    row[:] = 0
    sums[i] = 0.0
    row[OWNER], row[CLOSING] = owner, -1
    row[START] = row[LAST] = row[ACTIVE_SINCE] = time
    row[FIRST], row[ICMP] = first, icmp
    row[LAST_UP] = row[LAST_DOWN] = row[SEGMENT_MIN] = row[RUN_SIDE] = -1
    row[WINDOW_UP] = row[WINDOW_DOWN] = -1


@compiled
def _close_run(row):
    """Count the run of payload that has ended, where it is a bulk."""
    if row[RUN_PACKETS] >= BULK_PACKETS:
        at = BULK_UP if row[RUN_SIDE] else BULK_DOWN
        row[at] += 1
        row[at + 1] += row[RUN_PACKETS]
        row[at + 2] += row[RUN_BYTES]
        row[at + 3] += row[RUN_LAST] - row[RUN_START]
    row[RUN_PACKETS] = 0


@compiled
def add(records, sums, i, time, up, payload, header, flags, window, activity_timeout):
    """Add a packet, from the initiator where `up`, to record `i`."""
    row = records[i]
    known = sums[i, LENGTH] > 0
    _count(sums, i, LENGTH, np.float64(payload))
    if known:
        pause = time - row[LAST]
        _count(sums, i, PAUSE, np.float64(pause))
        if pause > GAP:
            row[PAUSES] += 1
        if pause > activity_timeout:
            if row[LAST] > row[ACTIVE_SINCE]:
                _count(sums, i, ACTIVE, np.float64(row[LAST] - row[ACTIVE_SINCE]))
            _count(sums, i, IDLE, np.float64(pause))
            row[ACTIVE_SINCE] = time
    row[LAST] = time
    if up:
        if sums[i, LENGTH_UP] > 0:
            _count(sums, i, PAUSE_UP, np.float64(time - row[LAST_UP]))
        _count(sums, i, LENGTH_UP, np.float64(payload))
        row[LAST_UP] = time
        row[HEADER_UP] += header
        row[DATA_UP] += payload > 0
        if row[SEGMENT_MIN] < 0 or header < row[SEGMENT_MIN]:
            row[SEGMENT_MIN] = header
        if row[WINDOW_UP] < 0:
            row[WINDOW_UP] = window
    else:
        if sums[i, LENGTH_DOWN] > 0:
            _count(sums, i, PAUSE_DOWN, np.float64(time - row[LAST_DOWN]))
        _count(sums, i, LENGTH_DOWN, np.float64(payload))
        row[LAST_DOWN] = time
        row[HEADER_DOWN] += header
        if row[WINDOW_DOWN] < 0:
            row[WINDOW_DOWN] = window
        row[WINDOW_LAST] = window
    if flags:
        for bit in range(8):
            row[FLAGS + bit] += flags >> bit & 1
        row[PSH_UP if up else PSH_DOWN] += flags & PSH > 0
        row[URG_UP if up else URG_DOWN] += flags & URG > 0
        row[RST_UP if up else RST_DOWN] += flags & RST > 0
    if payload:
        side = np.int64(up)
        if side != row[RUN_SIDE] or time - row[RUN_LAST] > GAP:
            _close_run(row)
            row[RUN_SIDE], row[RUN_START], row[RUN_BYTES] = side, time, 0
        row[RUN_PACKETS] += 1
        row[RUN_BYTES] += payload
        row[RUN_LAST] = time


@inlined
def _deviation(sums, i, at):
    return np.sqrt(sums[i, at + SQUARES] / (sums[i, at] - 1.0)) if sums[i, at] > 1 else 0.0


@inlined
def _over(value, by):
    return value / by if by > 0 else 0.0


@compiled
def _four_of(sums, i, at, x, j):
    """Write mean, standard deviation, greatest and least from column `j` on; the next column."""
    x[j], x[j + 1], x[j + 2], x[j + 3] = (
        sums[i, at + MEAN],
        _deviation(sums, i, at),
        sums[i, at + MAX],
        sums[i, at + MIN],
    )
    return j + 4


@compiled
def write(records, sums, i, began, why, corrected, out, named, count):
    """Write the features of record `i` to `out[count]`, in the order of schema.FEATURES, and the rest to `named`.

    `began`: when its connection began; `corrected`: as in the corrected CIC-IDS2017.
    """
    row, x = records[i], out[count]
    _close_run(row)
    duration = row[LAST] - row[START]
    seconds = duration / 1e6
    up, down, packets = sums[i, LENGTH_UP], sums[i, LENGTH_DOWN], sums[i, LENGTH]
    bytes_up, bytes_down = sums[i, LENGTH_UP + TOTAL], sums[i, LENGTH_DOWN + TOTAL]
    x[0], x[1] = row[DESTINATION_PORT], duration
    x[2], x[3], x[4], x[5] = up, down, bytes_up, bytes_down
    j = 6
    for at in (LENGTH_UP, LENGTH_DOWN):
        x[j], x[j + 1], x[j + 2] = sums[i, at + MAX], sums[i, at + MIN], sums[i, at + MEAN]
        x[j + 3] = _deviation(sums, i, at)
        j += 4
    x[14], x[15] = _over(bytes_up + bytes_down, seconds), _over(packets, seconds)
    j = _four_of(sums, i, PAUSE, x, 16)
    for at in (PAUSE_UP, PAUSE_DOWN):
        x[j] = sums[i, at + TOTAL]
        j = _four_of(sums, i, at, x, j + 1)
    x[30], x[31], x[32], x[33] = row[PSH_UP], row[PSH_DOWN], row[URG_UP], row[URG_DOWN]
    x[34], x[35] = row[HEADER_UP], row[HEADER_DOWN]
    x[36], x[37] = _over(up, seconds), _over(down, seconds)
    deviation = _deviation(sums, i, LENGTH)
    x[38], x[39], x[40] = sums[i, LENGTH + MIN], sums[i, LENGTH + MAX], sums[i, LENGTH + MEAN]
    x[41], x[42] = deviation, deviation * deviation
    # FIN, SYN, RST, PSH, ACK and URG stand in the order of their bits; then CWR comes before ECE.
    for bit in range(6):
        x[43 + bit] = row[FLAGS + bit]
    x[49], x[50] = row[FLAGS + 7], row[FLAGS + 6]
    x[51] = _over(down, up)
    x[52] = sums[i, LENGTH + MEAN]
    x[53], x[54] = sums[i, LENGTH_UP + MEAN], sums[i, LENGTH_DOWN + MEAN]
    x[55] = row[HEADER_UP]
    j = 56
    for at in (BULK_UP, BULK_DOWN):
        bulks, size = row[at], np.float64(row[at + 2])
        x[j], x[j + 1] = _over(size, bulks), _over(np.float64(row[at + 1]), bulks)
        x[j + 2] = _over(size, row[at + 3] / 1e6)
        if corrected:
            x[j], x[j + 1], x[j + 2] = np.floor(x[j]), np.floor(x[j + 1]), np.floor(x[j + 2])
        j += 3
    subflows = packets if corrected else row[PAUSES] + 1.0
    x[62], x[63] = up // subflows, bytes_up // subflows
    x[64], x[65] = down // subflows, bytes_down // subflows
    x[66], x[67] = max(row[WINDOW_UP], 0), row[WINDOW_LAST] if corrected else max(row[WINDOW_DOWN], 0)
    x[68], x[69] = row[DATA_UP], max(row[SEGMENT_MIN], 0)
    j = _four_of(sums, i, ACTIVE, x, 70)
    _four_of(sums, i, IDLE, x, j)
    x[78] = row[PROTOCOL]
    x[79], x[80] = row[RST_UP], row[RST_DOWN]
    known = row[ICMP] != NO_ICMP
    x[81], x[82] = (row[ICMP] & 255 if known else -1), (row[ICMP] >> 8 if known else -1)
    x[83] = row[LAST] - began if row[PROTOCOL] == TCP else 0
    named[count, OUT_SOURCE], named[count, OUT_DESTINATION] = row[SOURCE], row[DESTINATION]
    named[count, OUT_SOURCE_PORT], named[count, OUT_DESTINATION_PORT] = row[SOURCE_PORT], row[DESTINATION_PORT]
    named[count, OUT_PROTOCOL], named[count, OUT_START] = row[PROTOCOL], row[START]
    named[count, OUT_PACKETS], named[count, OUT_FIRST], named[count, OUT_WHY] = np.int64(packets), row[FIRST], why

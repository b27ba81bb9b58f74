"""Which packets make one flow: CICFlowMeter's flow table, without a loop over packets.

A flow is looked up by its 5-tuple in either direction.  Packets are taken in order of capture, and for the packet `j`
that finds a flow begun by packet `i`, FlowGenerator.addPacket (CICFlowMeter, Java) decides, in this order:

1. time[j] − time[i] > timeout: the flow ends before `j`; `j` begins the next one, which inherits the end points.
2. FIN from the responder: `j` is the last packet of the flow.
3. FIN from the initiator: the flow goes on; only the first such FIN is counted, repeats are dropped.
4. RST: `j` is the last packet.
5. Anything else joins the flow.

The flags of a flow's first packet are not looked at.  After 2 and 4 the next packet of that 5-tuple begins a flow with
itself as the initiator.
"""

from dataclasses import dataclass

import numpy as np

from nids_jax.flows.packets import FIN, RST, Packets


@dataclass(frozen=True, kw_only=True)
class Split:
    """`n` flows over the `k` packets that are counted, one flow after another, each in order of capture."""

    rows: np.ndarray  # [k] index into the packets
    begin: np.ndarray  # [n] where each flow begins in `rows`
    flow: np.ndarray  # [k] which flow a packet belongs to
    forward: np.ndarray  # [k] whether the packet counts as the initiator's
    terminated: np.ndarray  # [n] whether a FIN or RST ended the flow
    connection: np.ndarray  # [n] the flow that began the connection which timeouts have cut


def split_flows(packets: Packets, *, timeout: int, by_host: bool) -> Split:
    """Flows of `packets` by the rules above.

    Args:
      packets: in order of capture; times may go backwards.
      timeout: µs from the first packet of a flow, after which a packet begins a new one.
      by_host: the initiator is told by its address alone, as CICFlowMeter does, so that every packet which a host sends
        to itself counts as forward; otherwise by address and port.
    """
    key, reverse = _keys(packets, by_host=by_host)
    order = np.argsort(key, kind="stable")
    key, reverse = key[order], reverse[order]
    time, flags = packets.time[order], packets.flags[order]
    p = len(order)
    fin = flags & FIN != 0
    ends = ~fin & (flags & RST != 0)

    first_of_key = np.flatnonzero(np.diff(key, prepend=key[:1] - 1))
    sizes = np.diff(first_of_key, append=p)
    stop = np.repeat(first_of_key + sizes, sizes)  # [p] one past the last packet of the 5-tuple
    expiry = _expiry(time, stop, first_of_key, sizes, timeout)

    # A flow is a node (first packet i, initiator's direction d), numbered 2i + d; 2p stands for "no further flow".
    following = np.full(2 * p + 1, 2 * p, np.int64)
    ended = np.zeros(2 * p, bool)
    for direction in (0, 1):
        last = _next_true(ends | (fin & (reverse != bool(direction))), stop)
        closes = last < expiry
        fresh = np.minimum(last + 1, p - 1)
        after = np.where(closes, 2 * fresh + reverse[fresh], 2 * expiry + direction)
        exhausted = np.where(closes, last + 1, expiry) >= stop
        following[direction : 2 * p : 2] = np.where(exhausted, 2 * p, after)
        ended[direction::2] = closes
    nodes = _reachable(2 * first_of_key + reverse[first_of_key], following)
    begin, direction = nodes >> 1, (nodes & 1).astype(bool)

    flow = np.repeat(np.arange(len(begin)), np.diff(begin, append=p))
    forward = reverse == direction[flow]
    forward[begin] = True  # whoever sends it: CICFlowMeter files a flow's first packet before it inherits a source
    is_first = np.zeros(p, bool)
    is_first[begin] = True

    # A flow begins fresh at the first packet of its 5-tuple and after FIN or RST, else it continues the one before.
    continues = np.zeros(len(begin), bool)
    continues[1:] = ~ended[nodes[:-1]] & (key[begin[1:]] == key[begin[:-1]])
    connection = np.maximum.accumulate(np.where(continues, 0, np.arange(len(begin))))

    initiator_fin = fin & forward & ~is_first
    earlier = np.cumsum(initiator_fin) - initiator_fin
    kept = ~(initiator_fin & (earlier > earlier[begin][flow]))
    rows, flow, forward = order[kept], flow[kept], forward[kept]
    return Split(
        rows=rows,
        begin=np.searchsorted(flow, np.arange(len(begin))),
        flow=flow,
        forward=forward,
        terminated=ended[nodes],
        connection=connection,
    )


def _keys(packets: Packets, *, by_host: bool) -> tuple[np.ndarray, np.ndarray]:
    """One number per two-way 5-tuple [p], and whether the packet runs from the greater end point to the lesser [p]."""
    p = len(packets)
    host = np.unique(np.concatenate([packets.source, packets.destination]), return_inverse=True)[1]
    port = np.concatenate([packets.source_port, packets.destination_port]).astype(np.int64)
    end = np.unique(host * 65536 + port, return_inverse=True)[1]
    source, destination = end[:p], end[p:]
    reverse = host[:p] > host[p:] if by_host else source > destination
    low, high = np.minimum(source, destination), np.maximum(source, destination)
    return (low * (end.max(initial=0) + 1) + high) * 256 + packets.protocol, reverse


def _next_true(mask: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """For each i the first j > i with mask[j], at most stop[i]."""
    p = len(mask)
    at = np.where(mask, np.arange(p), p)
    at_or_after = np.minimum.accumulate(at[::-1])[::-1]
    return np.minimum(np.append(at_or_after[1:], p), stop)


def _expiry(time: np.ndarray, stop: np.ndarray, first: np.ndarray, sizes: np.ndarray, timeout: int) -> np.ndarray:
    """For each i the first j > i with time[j] − time[i] > timeout, at most stop[i]."""
    expiry = stop.copy()
    if not len(time):
        return expiry
    latest = np.repeat(np.maximum.reduceat(time, first), sizes)
    candidates = np.flatnonzero(latest - time > timeout)
    if len(candidates):
        found = _next_above(time, candidates, time[candidates] + timeout)
        expiry[candidates] = np.minimum(found, stop[candidates])
    return expiry


def _next_above(values: np.ndarray, after: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """For each query the first j > after with values[j] > bound, len(values) where there is none.

    Walks up and down a tree of block maxima, all queries abreast: 2 log₂ n passes, and no assumption that values rise.
    """
    n = len(values)
    levels = [values]
    while len(levels[-1]) > 1:
        level = levels[-1]
        if len(level) % 2:
            level = np.append(level, level[-1])  # repeating the last block leaves every maximum as it is
        levels.append(np.maximum(level[::2], level[1::2]))
    block = after + 1  # the first block not yet ruled out, counted in blocks of the level at hand
    height = np.full(len(after), -1)
    active = np.arange(len(after))
    for depth, level in enumerate(levels):
        here = block[active]
        odd = (here % 2 == 1) | (depth == len(levels) - 1)
        inside = here < len(level)
        hit = odd & inside & (level[np.minimum(here, len(level) - 1)] > bound[active])
        height[active[hit]] = depth
        active, here, odd = active[~hit], here[~hit], odd[~hit]
        block[active] = (here + odd) >> 1
    for depth in range(len(levels) - 1, 0, -1):
        active = np.flatnonzero(height >= depth)
        left = 2 * block[active]
        block[active] = left + (levels[depth - 1][left] <= bound[active])
    return np.where(height < 0, n, block)


def _reachable(starts: np.ndarray, following: np.ndarray) -> np.ndarray:
    """The nodes on the paths from `starts` along `following`, sorted; the last node ends every path.

    Pointer doubling: after r rounds the first 2ʳ nodes of each path are known.
    """
    known = starts
    while True:
        ahead = following[known]
        ahead = ahead[ahead < len(following) - 1]
        if not len(ahead):
            return np.sort(known)
        known = np.concatenate([known, ahead])
        following = following[following]

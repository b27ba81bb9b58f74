"""nfstream's flow records of a capture, to be timed beside: `python -m benchmarks.rivals.nfstream_meter CAPTURE`."""

import sys

from nfstream import NFStreamer


def count(capture: str) -> tuple[int, int]:
    """Flows and packets, with statistics of each flow and no look into payloads, on one core."""
    streamer = NFStreamer(source=capture, statistical_analysis=True, n_dissections=0, n_meters=1, accounting_mode=3)
    flows = packets = 0
    for flow in streamer:
        flows += 1
        packets += flow.bidirectional_packets
    return flows, packets


if __name__ == "__main__":
    print(*count(sys.argv[1]))

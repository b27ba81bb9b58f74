"""Captures (pcap, pcapng) → packet columns.

`reader` puts it together: `walk` finds the frames in a file, `decode` takes them apart, `fragments` gives the later
fragments of a packet the ports of the first, and `hosts` numbers the addresses.
"""

from nids_jax.flows.capture.hosts import Hosts
from nids_jax.flows.capture.reader import Capture, CaptureReader, read_capture

__all__ = ["Capture", "CaptureReader", "Hosts", "read_capture"]

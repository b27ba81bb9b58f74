"""Captures (pcap, pcapng) → packet columns: `reader` finds the frames in a file, `frames` takes them apart."""

from nids_jax.flows.capture.reader import Capture, read_capture

__all__ = ["Capture", "read_capture"]

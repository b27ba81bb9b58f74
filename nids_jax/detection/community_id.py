"""Community ids: one name for a flow in every tool that saw it.

Source: the Community ID Flow Hashing specification, version 1 (github.com/corelight/community-id-spec).
"""

import base64
import hashlib

from nids_jax.flows.packets import ICMP, ICMPV6, TCP, UDP

_PORTED = {TCP, UDP, 132}  # SCTP
# ICMP's type → that of the answer to it, of kinds that are answered; and the same of ICMPv6.
_ANSWERS = {
    ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10},
    ICMPV6: {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 144: 145, 145: 144}
    | {139: 140, 140: 139},
}


def community_id(
    source: bytes, destination: bytes, source_port: int, destination_port: int, protocol: int, icmp: tuple[int, int]
) -> str:
    """The community id of a flow: "1:" and the base64 text of a SHA-1.

    Args:
      source, destination: addresses of 4 or 16 bytes.
      source_port, destination_port: 0 without ports.
      protocol: IP protocol number.
      icmp: type and code, where the protocol is ICMP.
    """
    one_way = False
    if protocol in _ANSWERS:
        kind, code = (max(each, 0) for each in icmp)  # −1: its header was not captured
        answer = _ANSWERS[protocol].get(kind)
        one_way = answer is None
        source_port, destination_port = kind, code if answer is None else answer
    turned = not one_way and (source, source_port) > (destination, destination_port)
    if turned:
        source, destination, source_port, destination_port = destination, source, destination_port, source_port
    content = b"\0\0" + source + destination + bytes([protocol, 0])  # the first two: the seed
    if protocol in _PORTED or protocol in _ANSWERS:
        content += source_port.to_bytes(2) + destination_port.to_bytes(2)
    return "1:" + base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()

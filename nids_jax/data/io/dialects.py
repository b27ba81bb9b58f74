"""How other tools and datasets call a flow's columns: what means the same as one of `flows.schema`, and in which unit.

Only columns that mean the same are renamed.  Bytes that count headers are no payload, packet lengths whose layer is a
setting are no CICFlowMeter lengths, means over windows of packets are no flows: these keep their own names, and are
features like any other.

Sources: the documentation of Zeek (conn.log), Suricata (EVE), nfstream, nfdump and Argus; the descriptions published
with CICIoT2023, UNSW-NB15, NSL-KDD and Edge-IIoTset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nids_jax.flows.schema import normalise

# Names of protocols as these tools write them → numbers of IANA.
PROTOCOLS: Mapping[str, int] = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmp6": 58,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}
_S, _MS = 1e6, 1e3  # in µs


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What one source calls its columns; all headers as `normalise` spells them."""

    name: str
    marks: tuple[str, ...]  # headers that tell it, all of them there
    columns: Mapping[str, str]  # header → canonical name
    factors: Mapping[str, float] = field(default_factory=dict)  # header → what its numbers are multiplied with
    identifiers: frozenset[str] = frozenset()  # headers that name a flow, a host, a site or a moment
    names: frozenset[str] = frozenset()  # headers that hold names, though these may look like numbers
    absent: Mapping[str, float] | None = None  # not None: what a flow lacks is no fault: 0, or this; of names "-"
    unlabelled: Mapping[str, str] = field(default_factory=dict)  # label's header → class of rows without one

    def __str__(self) -> str:
        """What is read as what, for people."""
        said = [
            f"{header} as {name}" + (f" (× {self.factors[header]:,.0f})" if header in self.factors else "")
            for header, name in self.columns.items()
        ]
        lacking = ["what a flow lacks as 0, or as the name '-'"] if self.absent is not None else []
        return f"{self.name}: {', '.join([*said, *lacking])}"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ZEEK = Dialect(
    name="Zeek's conn.log",
    marks=("id_orig_h", "id_resp_h", "id_resp_p", "proto", "conn_state"),
    columns={
        "ts": "timestamp",
        "id_orig_h": "source_ip",
        "id_orig_p": "source_port",
        "id_resp_h": "destination_ip",
        "id_resp_p": "destination_port",
        "proto": "protocol",
        "duration": "flow_duration",
        "orig_bytes": "total_length_of_fwd_packets",
        "resp_bytes": "total_length_of_bwd_packets",
        "orig_pkts": "total_fwd_packets",
        "resp_pkts": "total_bwd_packets",
    },
    factors={"duration": _S},
    identifiers=_words("uid tunnel_parents community_id orig_l2_addr resp_l2_addr vlan inner_vlan"),
    absent={},
)
EVE = Dialect(
    name="Suricata's flow events",
    marks=("flow_pkts_toserver", "flow_pkts_toclient", "src_ip", "dest_ip", "proto"),
    columns={
        "flow_start": "timestamp",
        "src_ip": "source_ip",
        "src_port": "source_port",
        "dest_ip": "destination_ip",
        "dest_port": "destination_port",
        "proto": "protocol",
        "flow_pkts_toserver": "total_fwd_packets",
        "flow_pkts_toclient": "total_bwd_packets",
    },
    identifiers=_words("event_time flow_id flow_end in_iface event_type host community_id pcap_filename parent_id"),
    names=_words("tcp_tcp_flags tcp_tcp_flags_ts tcp_tcp_flags_tc vlan"),
    absent={"icmp_type": -1, "icmp_code": -1},
)
_TIMES = {"mean": "mean", "stddev": "std", "max": "max", "min": "min"}
_FLAGS = ("syn", "cwr", "ece", "urg", "ack", "psh", "rst", "fin")
_SIDES = {"src2dst": "fwd", "dst2src": "bwd"}
NFSTREAM = Dialect(
    name="nfstream",
    marks=("bidirectional_packets", "src2dst_packets", "dst2src_packets"),
    columns={
        "bidirectional_first_seen_ms": "timestamp",
        "bidirectional_duration_ms": "flow_duration",
        **{f"{side}_packets": f"total_{ours}_packets" for side, ours in _SIDES.items()},
        **{f"bidirectional_{theirs}_piat_ms": f"flow_iat_{ours}" for theirs, ours in _TIMES.items()},
        **{
            f"{side}_{theirs}_piat_ms": f"{way}_iat_{ours}"
            for side, way in _SIDES.items()
            for theirs, ours in _TIMES.items()
        },
        **{f"bidirectional_{flag}_packets": f"{flag}_flag_count" for flag in _FLAGS},
        **{f"{side}_{f}_packets": f"{way}_{f}_flags" for side, way in _SIDES.items() for f in ("psh", "urg", "rst")},
    },
    factors={
        "bidirectional_duration_ms": _MS,
        **{f"{side}_{each}_piat_ms": _MS for side in ("bidirectional", *_SIDES) for each in _TIMES},
    },
    identifiers=_words("id expiration_id src_oui dst_oui vlan_id tunnel_id")
    | _words("requested_server_name client_fingerprint server_fingerprint user_agent bidirectional_last_seen_ms")
    | {f"{side}_{each}_seen_ms" for side in _SIDES for each in ("first", "last")},
)
_NFDUMP_SITE = _words("te in out nh nhb ra eng exid tr svln dvln ismc odmc idmc osmc sas das smk dmk cnt")
NFDUMP = Dialect(
    name="nfdump's CSV",
    marks=("ts", "td", "sa", "da", "sp", "dp", "pr", "ipkt", "ibyt"),
    columns={
        "ts": "timestamp",
        "sa": "source_ip",
        "sp": "source_port",
        "da": "destination_ip",
        "dp": "destination_port",
        "pr": "protocol",
        "td": "flow_duration",
        "ipkt": "total_fwd_packets",
        "opkt": "total_bwd_packets",
    },
    factors={"td": _S},
    identifiers=_NFDUMP_SITE,
)
NFDUMP_17 = Dialect(
    name="nfdump's CSV (1.7.3 and later)",
    marks=("firstseen", "proto", "srcaddr", "srcport", "dstaddr", "dstport", "packets", "bytes"),
    columns={
        "firstseen": "timestamp",
        "srcaddr": "source_ip",
        "srcport": "source_port",
        "dstaddr": "destination_ip",
        "dstport": "destination_port",
        "proto": "protocol",
        "duration": "flow_duration",
        "packets": "total_fwd_packets",
    },
    factors={"duration": _S},
    identifiers=_words("lastseen cnt af"),
)


def _argus(name: str, start: str, hosts: tuple[str, str], packets: tuple[str, str]) -> Dialect:
    """Argus, which has two spellings of these columns."""
    return Dialect(
        name=name,
        marks=("dur", "proto", *hosts, "sport", "dport", "state"),
        columns={
            "proto": "protocol",
            "sport": "source_port",
            "dport": "destination_port",
            "dur": "flow_duration",
            "sappbytes": "total_length_of_fwd_packets",
            "dappbytes": "total_length_of_bwd_packets",
            start: "timestamp",
            **dict(zip(hosts, ("source_ip", "destination_ip"), strict=True)),
            **dict(zip(packets, ("total_fwd_packets", "total_bwd_packets"), strict=True)),
        },
        factors={"dur": _S},
        identifiers=_words("lasttime ltime rank seq srcid smac dmac pkseqid stcpb dtcpb soui doui sco dco"),
    )


ARGUS = _argus("Argus", "stime", ("saddr", "daddr"), ("spkts", "dpkts"))
ARGUS_LONG = _argus("Argus (long names)", "starttime", ("srcaddr", "dstaddr"), ("srcpkts", "dstpkts"))
UNSW_NB15 = Dialect(
    name="UNSW-NB15",
    marks=("dur", "proto", "spkts", "dpkts", "sttl", "ct_state_ttl"),
    columns={
        "stime": "timestamp",
        "srcip": "source_ip",
        "sport": "source_port",
        "dstip": "destination_ip",
        "dsport": "destination_port",
        "proto": "protocol",
        "dur": "flow_duration",
        "spkts": "total_fwd_packets",
        "dpkts": "total_bwd_packets",
        "sinpkt": "fwd_iat_mean",
        "sintpkt": "fwd_iat_mean",
        "dinpkt": "bwd_iat_mean",
        "dintpkt": "bwd_iat_mean",
    },
    factors={"dur": _S, **dict.fromkeys(("sinpkt", "sintpkt", "dinpkt", "dintpkt"), _MS)},
    identifiers=_words("id ltime stcpb dtcpb"),
    unlabelled={"attack_cat": "Normal"},
)
NSL_KDD = Dialect(
    name="NSL-KDD",
    marks=("duration", "protocol_type", "service", "flag", "src_bytes", "dst_bytes", "same_srv_rate"),
    columns={
        "duration": "flow_duration",
        "protocol_type": "protocol",
        "src_bytes": "total_length_of_fwd_packets",
        "dst_bytes": "total_length_of_bwd_packets",
    },
    factors={"duration": _S},
    identifiers=_words("difficulty difficulty_level"),  # how many published classifiers got the row right
)
CICIOT2023 = Dialect(
    name="CICIoT2023",
    marks=("flow_duration", "header_length", "protocol_type", "rate", "tot_sum", "iat"),
    columns={"flow_duration": "flow_duration"},
    factors={"flow_duration": _S},
)
EDGE_IIOTSET = Dialect(
    name="Edge-IIoTset",
    marks=("frame_time", "ip_src_host", "ip_dst_host", "tcp_dstport", "mqtt_topic"),
    columns={},
    # Those that its authors advise to drop.
    identifiers=_words("frame_time ip_src_host ip_dst_host arp_src_proto_ipv4 arp_dst_proto_ipv4 http_file_data")
    | _words("http_request_full_uri icmp_transmit_timestamp http_request_uri_query tcp_options tcp_payload")
    | _words("tcp_srcport tcp_dstport udp_port mqtt_msg"),
)
DIALECTS = (*(ZEEK, EVE, NFSTREAM, NFDUMP, NFDUMP_17, UNSW_NB15, ARGUS, ARGUS_LONG, NSL_KDD, CICIOT2023, EDGE_IIOTSET),)


def find_dialect(header: Sequence[str]) -> Dialect | None:
    """Whose columns these are; None where nobody's that is known."""
    keys = {normalise(cell) for cell in header}
    return next((each for each in DIALECTS if keys.issuperset(each.marks)), None)


def _listed(names: str) -> list[str]:
    return names.split(",")


# The columns of files that are published without a header line.
_KDD = _listed(
    "duration,protocol_type,service,flag,src_bytes,dst_bytes,land,wrong_fragment,urgent,hot,num_failed_logins,logged_in,"
    "num_compromised,root_shell,su_attempted,num_root,num_file_creations,num_shells,num_access_files,num_outbound_cmds,"
    "is_host_login,is_guest_login,count,srv_count,serror_rate,srv_serror_rate,rerror_rate,srv_rerror_rate,"
    "same_srv_rate,diff_srv_rate,srv_diff_host_rate,dst_host_count,dst_host_srv_count,dst_host_same_srv_rate,"
    "dst_host_diff_srv_rate,dst_host_same_src_port_rate,dst_host_srv_diff_host_rate,dst_host_serror_rate,"
    "dst_host_srv_serror_rate,dst_host_rerror_rate,dst_host_srv_rerror_rate,label"
)
_UNSW = _listed(
    "srcip,sport,dstip,dsport,proto,state,dur,sbytes,dbytes,sttl,dttl,sloss,dloss,service,Sload,Dload,Spkts,Dpkts,swin,"
    "dwin,stcpb,dtcpb,smeansz,dmeansz,trans_depth,res_bdy_len,Sjit,Djit,Stime,Ltime,Sintpkt,Dintpkt,tcprtt,synack,"
    "ackdat,is_sm_ips_ports,ct_state_ttl,ct_flw_http_mthd,is_ftp_login,ct_ftp_cmd,ct_srv_src,ct_srv_dst,ct_dst_ltm,"
    "ct_src_ltm,ct_src_dport_ltm,ct_dst_sport_ltm,ct_dst_src_ltm,attack_cat,label"
)
_KDD_FLAGS = _words("SF S0 S1 S2 S3 REJ RSTO RSTR RSTOS0 RSTRH SH OTH")


def missing_header(first: Sequence[str]) -> list[str] | None:
    """The names of the columns of a file whose first line is a row of KDD Cup 1999, NSL-KDD or UNSW-NB15; else None."""
    cells = [cell.strip() for cell in first]
    if len(cells) in (42, 43) and cells[1] in ("tcp", "udp", "icmp") and cells[3] in _KDD_FLAGS:
        return [*_KDD, "difficulty"][: len(cells)]
    if len(cells) == 49 and cells[-1] in ("0", "1") and cells[0].count(".") == cells[2].count(".") == 3:
        return [*_UNSW]
    return None

"""The flow record: every CICFlowMeter feature with its unit, kind and the headers it has been published under.

Three generations of CICFlowMeter name the same quantity differently (`Total Backward Packets`, `Tot Bwd Pkts`,
`Total Bwd packets`, `tot_bwd_pkts`), and the published CSVs add blanks of their own.  `canonical_name` maps all of
them to one snake_case name, which is the only name used inside the package.  Names only: where a
release writes other units (some versions of the Python port count durations in seconds), the values are as written.

Sources: the headers of the CIC-IDS2017, CSE-CIC-IDS2018 and CIC-DDoS2019 releases, of the corrected CIC-IDS2017
(Engelen et al. 2021, Liu et al. 2022), of CICFlowMeter (Java) and of its Python port.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["1", "bytes", "bytes²", "µs", "bytes/s", "packets/s", "packets"]
Kind = Literal["count", "bytes", "time", "rate", "ratio", "flag", "port", "category"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column of a flow record."""

    name: str  # canonical snake_case
    unit: Unit
    kind: Kind
    integer: bool  # only whole numbers occur
    signed: bool = False  # -1 (or a wrapped counter) is a genuine value
    aliases: tuple[str, ...] = ()  # further headers, normalised by `normalise`
    in_2017: bool = True  # one of the 78 columns of CIC-IDS2017


def normalise(header: str) -> str:
    """Lower case, runs of anything but letters and digits as one underscore: ` Flow Bytes/s` → `flow_bytes_s`."""
    return re.sub(r"[^0-9a-z]+", "_", header.lower()).strip("_")


def _feature(
    name: str,
    unit: Unit,
    kind: Kind,
    aliases: str = "",
    *,
    integer: bool = False,
    signed: bool = False,
    v4: bool = False,
) -> Feature:
    return Feature(
        name=name, unit=unit, kind=kind, integer=integer, signed=signed, aliases=tuple(aliases.split()), in_2017=not v4
    )


def _count(name: str, aliases: str = "", unit: Unit = "packets") -> Feature:
    return _feature(name, unit, "count", aliases, integer=True)


def _size(name: str, aliases: str = "", *, integer: bool = True, signed: bool = False) -> Feature:
    return _feature(name, "bytes", "bytes", aliases, integer=integer, signed=signed)


def _time(name: str, aliases: str = "", *, integer: bool = False) -> Feature:
    return _feature(name, "µs", "time", aliases, integer=integer)


def _flag(name: str, aliases: str = "", *, v4: bool = False) -> Feature:
    return _feature(name, "packets", "flag", aliases, integer=True, v4=v4)


# The 78 columns in the order CIC-IDS2017 publishes them, then what later releases added.
FEATURES: tuple[Feature, ...] = (
    _feature("destination_port", "1", "port", "dst_port", integer=True),
    _time("flow_duration", integer=True),
    _count("total_fwd_packets", "total_fwd_packet tot_fwd_pkts"),
    _count("total_bwd_packets", "total_backward_packets tot_bwd_pkts"),
    _size("total_length_of_fwd_packets", "total_length_of_fwd_packet totlen_fwd_pkts fwd_packets_length_total"),
    _size("total_length_of_bwd_packets", "total_length_of_bwd_packet totlen_bwd_pkts bwd_packets_length_total"),
    _size("fwd_packet_length_max", "fwd_pkt_len_max"),
    _size("fwd_packet_length_min", "fwd_pkt_len_min"),
    _size("fwd_packet_length_mean", "fwd_pkt_len_mean", integer=False),
    _size("fwd_packet_length_std", "fwd_pkt_len_std", integer=False),
    _size("bwd_packet_length_max", "bwd_pkt_len_max"),
    _size("bwd_packet_length_min", "bwd_pkt_len_min"),
    _size("bwd_packet_length_mean", "bwd_pkt_len_mean", integer=False),
    _size("bwd_packet_length_std", "bwd_pkt_len_std", integer=False),
    _feature("flow_bytes_s", "bytes/s", "rate", "flow_byts_s flow_bytes_per_s"),
    _feature("flow_packets_s", "packets/s", "rate", "flow_pkts_s flow_packets_per_s"),
    _time("flow_iat_mean"),
    _time("flow_iat_std"),
    _time("flow_iat_max", integer=True),
    _time("flow_iat_min", integer=True),
    _time("fwd_iat_total", "fwd_iat_tot", integer=True),
    _time("fwd_iat_mean"),
    _time("fwd_iat_std"),
    _time("fwd_iat_max", integer=True),
    _time("fwd_iat_min", integer=True),
    _time("bwd_iat_total", "bwd_iat_tot", integer=True),
    _time("bwd_iat_mean"),
    _time("bwd_iat_std"),
    _time("bwd_iat_max", integer=True),
    _time("bwd_iat_min", integer=True),
    _flag("fwd_psh_flags"),
    _flag("bwd_psh_flags"),
    _flag("fwd_urg_flags"),
    _flag("bwd_urg_flags"),
    _size("fwd_header_length", "fwd_header_len", signed=True),
    _size("bwd_header_length", "bwd_header_len", signed=True),
    _feature("fwd_packets_s", "packets/s", "rate", "fwd_pkts_s fwd_packets_per_s"),
    _feature("bwd_packets_s", "packets/s", "rate", "bwd_pkts_s bwd_packets_per_s"),
    _size("packet_length_min", "min_packet_length pkt_len_min"),
    _size("packet_length_max", "max_packet_length pkt_len_max"),
    _size("packet_length_mean", "pkt_len_mean", integer=False),
    _size("packet_length_std", "pkt_len_std", integer=False),
    _feature("packet_length_variance", "bytes²", "bytes", "pkt_len_var"),
    _flag("fin_flag_count", "fin_flag_cnt"),
    _flag("syn_flag_count", "syn_flag_cnt"),
    _flag("rst_flag_count", "rst_flag_cnt"),
    _flag("psh_flag_count", "psh_flag_cnt"),
    _flag("ack_flag_count", "ack_flag_cnt"),
    _flag("urg_flag_count", "urg_flag_cnt"),
    _flag("cwr_flag_count", "cwe_flag_count cwr_flag_cnt cwe_flag_cnt"),
    _flag("ece_flag_count", "ece_flag_cnt"),
    _feature("down_up_ratio", "1", "ratio"),
    _size("average_packet_size", "avg_packet_size pkt_size_avg", integer=False),
    _size("fwd_segment_size_avg", "avg_fwd_segment_size fwd_seg_size_avg", integer=False),
    _size("bwd_segment_size_avg", "avg_bwd_segment_size bwd_seg_size_avg", integer=False),
    _size("fwd_header_length_1", "fwd_header_length_2", signed=True),
    _size("fwd_bytes_bulk_avg", "fwd_avg_bytes_bulk fwd_byts_b_avg", integer=False),
    _feature("fwd_packets_bulk_avg", "packets", "count", "fwd_avg_packets_bulk fwd_packet_bulk_avg fwd_pkts_b_avg"),
    _feature("fwd_bulk_rate_avg", "bytes/s", "rate", "fwd_avg_bulk_rate fwd_blk_rate_avg"),
    _size("bwd_bytes_bulk_avg", "bwd_avg_bytes_bulk bwd_byts_b_avg", integer=False),
    _feature("bwd_packets_bulk_avg", "packets", "count", "bwd_avg_packets_bulk bwd_packet_bulk_avg bwd_pkts_b_avg"),
    _feature("bwd_bulk_rate_avg", "bytes/s", "rate", "bwd_avg_bulk_rate bwd_blk_rate_avg"),
    _count("subflow_fwd_packets", "subflow_fwd_pkts"),
    _size("subflow_fwd_bytes", "subflow_fwd_byts"),
    _count("subflow_bwd_packets", "subflow_bwd_pkts"),
    _size("subflow_bwd_bytes", "subflow_bwd_byts"),
    _size("fwd_init_win_bytes", "init_win_bytes_forward init_fwd_win_byts init_fwd_win_bytes", signed=True),
    _size("bwd_init_win_bytes", "init_win_bytes_backward init_bwd_win_byts init_bwd_win_bytes", signed=True),
    _count("fwd_act_data_packets", "act_data_pkt_fwd fwd_act_data_pkts fwd_act_data_pkt"),
    _size("fwd_segment_size_min", "min_seg_size_forward fwd_seg_size_min", signed=True),
    _time("active_mean"),
    _time("active_std"),
    _time("active_max", integer=True),
    _time("active_min", integer=True),
    _time("idle_mean"),
    _time("idle_std"),
    _time("idle_max", integer=True),
    _time("idle_min", integer=True),
    _feature("protocol", "1", "category", integer=True, v4=True),
    _flag("fwd_rst_flags", v4=True),
    _flag("bwd_rst_flags", v4=True),
    _feature("icmp_code", "1", "category", integer=True, signed=True, v4=True),
    _feature("icmp_type", "1", "category", integer=True, signed=True, v4=True),
    _feature("total_tcp_flow_time", "µs", "time", integer=True, v4=True),
)

FEATURE_NAMES: frozenset[str] = frozenset(f.name for f in FEATURES)
CICIDS2017: tuple[str, ...] = tuple(f.name for f in FEATURES if f.in_2017)

# Columns that name the flow, the hosts or the moment instead of describing the traffic.  In a laboratory capture they
# give the answer away (one attacker, one victim port, one afternoon), so they are never features by default.
IDENTIFIERS: frozenset[str] = frozenset(
    [
        "id",
        "flow_id",
        "src_ip",
        "source_ip",
        "dst_ip",
        "destination_ip",
        "src_port",
        "source_port",
        "destination_port",
        "src_mac",
        "dst_mac",
        "timestamp",
        "simillarhttp",
        "similarhttp",
        "inbound",
        "attempted_category",
        "external_ip",
        # NetFlow, Argus and Zeek exports (UNSW-NB15, Bot-IoT, ToN-IoT, NF-* sets) and row numbers left by pandas.
        "srcip",
        "dstip",
        "saddr",
        "daddr",
        "ipv4_src_addr",
        "ipv4_dst_addr",
        "sport",
        "dport",
        "dsport",
        "l4_src_port",
        "l4_dst_port",
        "smac",
        "dmac",
        "stime",
        "ltime",
        "ts",
        "seq",
        "pkseqid",
        "uid",
        "index",
        "index_level_0",
    ]
)

_BY_NAME = {f.name: f for f in FEATURES}
_CANONICAL = {alias: f.name for f in FEATURES for alias in (f.name, *f.aliases)}


def canonical_name(header: str) -> str:
    """The canonical name of a header as published; a header that no release uses comes back normalised."""
    key = normalise(header)
    return _CANONICAL.get(key, key)


def meant_names(headers: Sequence[str]) -> list[str]:
    """`canonical_names`, but of a header without latin letters, of which nothing would be left, the header itself."""
    return [name if normalise(cell) else cell for cell, name in zip(headers, canonical_names(headers), strict=True)]


def canonical_names(headers: Iterable[str]) -> tuple[str, ...]:
    """`canonical_name` of each header; a header that repeats (`Fwd Header Length` in CIC-IDS2017) gets `_1`, `_2`, …

    Spreadsheets and pandas number repeats themselves (`Fwd Header Length.1`); both spellings end as the same name.
    """
    names: dict[str, None] = {}
    seen: dict[str, int] = {}
    for header in headers:
        plain = name = canonical_name(header)
        while name in names:
            seen[plain] = seen.get(plain, 0) + 1
            name = f"{plain}_{seen[plain]}"
        names[name] = None
    return tuple(names)


def feature(name: str) -> Feature:
    """The feature called `name` (any published spelling).

    Raises:
      KeyError: no release of CICFlowMeter writes such a column.
    """
    try:
        return _BY_NAME[canonical_name(name)]
    except KeyError:
        raise KeyError(f"{name!r} is not a CICFlowMeter feature; see nids_jax.flows.schema.FEATURES") from None


def is_identifier(header: str) -> bool:
    """Whether a column identifies a flow rather than describes it."""
    key = normalise(header)
    # A column without a header is a row number that some tool saved along; pandas calls it `Unnamed: 0`.
    nameless = re.fullmatch(r"(unnamed(_\d+)*)?", key) is not None
    return nameless or key in IDENTIFIERS or canonical_name(header) in IDENTIFIERS

"""Every published spelling of a feature ends as one name."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.flows.schema import (
    CICIDS2017,
    FEATURES,
    canonical_name,
    canonical_names,
    feature,
    is_identifier,
    normalise,
)

# CIC-IDS2017 | CICFlowMeter v4 (Java, and the corrected CIC-IDS2017) | CSE-CIC-IDS2018 | Python port.  CIC-DDoS2019 has
# the headers of 2017, with other blanks.
PUBLISHED = """
Destination Port|Dst Port|Dst Port|dst_port
Flow Duration|Flow Duration|Flow Duration|flow_duration
Total Fwd Packets|Total Fwd Packet|Tot Fwd Pkts|tot_fwd_pkts
Total Backward Packets|Total Bwd packets|Tot Bwd Pkts|tot_bwd_pkts
Total Length of Fwd Packets|Total Length of Fwd Packet|TotLen Fwd Pkts|totlen_fwd_pkts
Total Length of Bwd Packets|Total Length of Bwd Packet|TotLen Bwd Pkts|totlen_bwd_pkts
Fwd Packet Length Max|Fwd Packet Length Max|Fwd Pkt Len Max|fwd_pkt_len_max
Fwd Packet Length Min|Fwd Packet Length Min|Fwd Pkt Len Min|fwd_pkt_len_min
Fwd Packet Length Mean|Fwd Packet Length Mean|Fwd Pkt Len Mean|fwd_pkt_len_mean
Fwd Packet Length Std|Fwd Packet Length Std|Fwd Pkt Len Std|fwd_pkt_len_std
Bwd Packet Length Max|Bwd Packet Length Max|Bwd Pkt Len Max|bwd_pkt_len_max
Bwd Packet Length Min|Bwd Packet Length Min|Bwd Pkt Len Min|bwd_pkt_len_min
Bwd Packet Length Mean|Bwd Packet Length Mean|Bwd Pkt Len Mean|bwd_pkt_len_mean
Bwd Packet Length Std|Bwd Packet Length Std|Bwd Pkt Len Std|bwd_pkt_len_std
Flow Bytes/s|Flow Bytes/s|Flow Byts/s|flow_byts_s
Flow Packets/s|Flow Packets/s|Flow Pkts/s|flow_pkts_s
Flow IAT Mean|Flow IAT Mean|Flow IAT Mean|flow_iat_mean
Flow IAT Std|Flow IAT Std|Flow IAT Std|flow_iat_std
Flow IAT Max|Flow IAT Max|Flow IAT Max|flow_iat_max
Flow IAT Min|Flow IAT Min|Flow IAT Min|flow_iat_min
Fwd IAT Total|Fwd IAT Total|Fwd IAT Tot|fwd_iat_tot
Fwd IAT Mean|Fwd IAT Mean|Fwd IAT Mean|fwd_iat_mean
Fwd IAT Std|Fwd IAT Std|Fwd IAT Std|fwd_iat_std
Fwd IAT Max|Fwd IAT Max|Fwd IAT Max|fwd_iat_max
Fwd IAT Min|Fwd IAT Min|Fwd IAT Min|fwd_iat_min
Bwd IAT Total|Bwd IAT Total|Bwd IAT Tot|bwd_iat_tot
Bwd IAT Mean|Bwd IAT Mean|Bwd IAT Mean|bwd_iat_mean
Bwd IAT Std|Bwd IAT Std|Bwd IAT Std|bwd_iat_std
Bwd IAT Max|Bwd IAT Max|Bwd IAT Max|bwd_iat_max
Bwd IAT Min|Bwd IAT Min|Bwd IAT Min|bwd_iat_min
Fwd PSH Flags|Fwd PSH Flags|Fwd PSH Flags|fwd_psh_flags
Bwd PSH Flags|Bwd PSH Flags|Bwd PSH Flags|bwd_psh_flags
Fwd URG Flags|Fwd URG Flags|Fwd URG Flags|fwd_urg_flags
Bwd URG Flags|Bwd URG Flags|Bwd URG Flags|bwd_urg_flags
Fwd Header Length|Fwd Header Length|Fwd Header Len|fwd_header_len
Bwd Header Length|Bwd Header Length|Bwd Header Len|bwd_header_len
Fwd Packets/s|Fwd Packets/s|Fwd Pkts/s|fwd_pkts_s
Bwd Packets/s|Bwd Packets/s|Bwd Pkts/s|bwd_pkts_s
Min Packet Length|Packet Length Min|Pkt Len Min|pkt_len_min
Max Packet Length|Packet Length Max|Pkt Len Max|pkt_len_max
Packet Length Mean|Packet Length Mean|Pkt Len Mean|pkt_len_mean
Packet Length Std|Packet Length Std|Pkt Len Std|pkt_len_std
Packet Length Variance|Packet Length Variance|Pkt Len Var|pkt_len_var
FIN Flag Count|FIN Flag Count|FIN Flag Cnt|fin_flag_cnt
SYN Flag Count|SYN Flag Count|SYN Flag Cnt|syn_flag_cnt
RST Flag Count|RST Flag Count|RST Flag Cnt|rst_flag_cnt
PSH Flag Count|PSH Flag Count|PSH Flag Cnt|psh_flag_cnt
ACK Flag Count|ACK Flag Count|ACK Flag Cnt|ack_flag_cnt
URG Flag Count|URG Flag Count|URG Flag Cnt|urg_flag_cnt
CWE Flag Count|CWR Flag Count|CWE Flag Count|cwr_flag_count
ECE Flag Count|ECE Flag Count|ECE Flag Cnt|ece_flag_cnt
Down/Up Ratio|Down/Up Ratio|Down/Up Ratio|down_up_ratio
Average Packet Size|Average Packet Size|Pkt Size Avg|pkt_size_avg
Avg Fwd Segment Size|Fwd Segment Size Avg|Fwd Seg Size Avg|fwd_seg_size_avg
Avg Bwd Segment Size|Bwd Segment Size Avg|Bwd Seg Size Avg|bwd_seg_size_avg
Fwd Header Length.1|||
Fwd Avg Bytes/Bulk|Fwd Bytes/Bulk Avg|Fwd Byts/b Avg|fwd_byts_b_avg
Fwd Avg Packets/Bulk|Fwd Packet/Bulk Avg|Fwd Pkts/b Avg|fwd_pkts_b_avg
Fwd Avg Bulk Rate|Fwd Bulk Rate Avg|Fwd Blk Rate Avg|fwd_blk_rate_avg
Bwd Avg Bytes/Bulk|Bwd Bytes/Bulk Avg|Bwd Byts/b Avg|bwd_byts_b_avg
Bwd Avg Packets/Bulk|Bwd Packet/Bulk Avg|Bwd Pkts/b Avg|bwd_pkts_b_avg
Bwd Avg Bulk Rate|Bwd Bulk Rate Avg|Bwd Blk Rate Avg|bwd_blk_rate_avg
Subflow Fwd Packets|Subflow Fwd Packets|Subflow Fwd Pkts|subflow_fwd_pkts
Subflow Fwd Bytes|Subflow Fwd Bytes|Subflow Fwd Byts|subflow_fwd_byts
Subflow Bwd Packets|Subflow Bwd Packets|Subflow Bwd Pkts|subflow_bwd_pkts
Subflow Bwd Bytes|Subflow Bwd Bytes|Subflow Bwd Byts|subflow_bwd_byts
Init_Win_bytes_forward|FWD Init Win Bytes|Init Fwd Win Byts|init_fwd_win_byts
Init_Win_bytes_backward|Bwd Init Win Bytes|Init Bwd Win Byts|init_bwd_win_byts
act_data_pkt_fwd|Fwd Act Data Pkts|Fwd Act Data Pkts|fwd_act_data_pkts
min_seg_size_forward|Fwd Seg Size Min|Fwd Seg Size Min|fwd_seg_size_min
Active Mean|Active Mean|Active Mean|active_mean
Active Std|Active Std|Active Std|active_std
Active Max|Active Max|Active Max|active_max
Active Min|Active Min|Active Min|active_min
Idle Mean|Idle Mean|Idle Mean|idle_mean
Idle Std|Idle Std|Idle Std|idle_std
Idle Max|Idle Max|Idle Max|idle_max
Idle Min|Idle Min|Idle Min|idle_min
"""
ROWS = [line.split("|") for line in PUBLISHED.strip().splitlines()]


def test_the_headers_of_2017_are_the_first_78_features_in_order() -> None:
    assert canonical_names(row[0] for row in ROWS) == CICIDS2017
    assert tuple(f.name for f in FEATURES[:78]) == CICIDS2017


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_releases_agree(row: list[str]) -> None:
    assert len({canonical_name(header) for header in row if header}) == 1


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_each_release_names_each_feature_once(generation: int) -> None:
    names = canonical_names(row[generation] for row in ROWS if row[generation])
    assert set(names) == set(CICIDS2017) - {"fwd_header_length_1"}
    assert len(names) == 77


def test_features_have_distinct_spellings() -> None:
    spellings = [spelling for f in FEATURES for spelling in {f.name, *f.aliases}]
    assert len(spellings) == len(set(spellings))
    assert spellings == [normalise(spelling) for spelling in spellings]
    assert len(FEATURES) == 84


def test_the_repeated_header_of_2017_is_told_apart_in_both_spellings() -> None:
    expected = ("fwd_header_length", "fwd_header_length_1")
    assert canonical_names([" Fwd Header Length", " Fwd Header Length"]) == expected
    assert canonical_names([" Fwd Header Length", " Fwd Header Length.1"]) == expected
    assert len(set(canonical_names(["Fwd Header Length", "Fwd Header Length.1", "Fwd Header Length"]))) == 3
    assert len(set(canonical_names([""] * 16_384))) == 16_384  # a spreadsheet's empty columns, in no time


@given(st.lists(st.text("aA1 .é", max_size=4) | st.sampled_from(["Fwd Header Length", "Idle Max"]), max_size=12))
def test_names_never_collide(headers: list[str]) -> None:
    names = canonical_names(headers)
    assert len(names) == len(set(names)) == len(headers)


@pytest.mark.parametrize(
    "header",
    [
        *("Flow ID", " Source IP", "Src IP", " Source Port", "src_port", " Destination Port", "Dst Port", "Timestamp"),
        *("id", "Unnamed: 0", "Unnamed: 0.1", "", "SimillarHTTP", " Inbound", "Attempted Category"),
    ],
)
def test_what_names_a_flow_is_an_identifier(header: str) -> None:
    assert is_identifier(header)


@pytest.mark.parametrize(
    "header", ["Protocol", " Flow Duration", "Label", "Idle Min", "Total TCP Flow Time", "unnamed tool"]
)
def test_what_describes_a_flow_is_not(header: str) -> None:
    assert not is_identifier(header)


def test_a_feature_is_found_under_any_spelling() -> None:
    assert feature("Tot Fwd Pkts") is feature(" Total Fwd Packets") is feature("total_fwd_packets")
    assert (feature("Flow IAT Mean").unit, feature("Flow IAT Mean").integer) == ("µs", False)
    with pytest.raises(KeyError, match="'Totl Fwd Pkts' is not a CICFlowMeter feature"):
        feature("Totl Fwd Pkts")


def test_the_headers_of_the_real_files(data_dir: Path) -> None:
    known = {f.name for f in FEATURES}
    files = [
        path for folder in ("cicids2017*/raw", "cicddos2019/raw", "pcap") for path in data_dir.glob(f"{folder}/*.csv")
    ]
    assert len(files) > 20
    for path in files:
        with path.open(encoding="cp1252", newline="") as lines:
            headers = next(csv.reader(lines))
        names = canonical_names(headers)
        assert len(set(names)) == len(names), path
        assert set(CICIDS2017) - set(names) <= {"fwd_header_length_1"}, path
        rest = [name for name in names if name not in known and name != "label"]
        assert all(is_identifier(name) for name in rest), (path, rest)

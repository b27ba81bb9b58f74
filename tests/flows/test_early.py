"""The versions of CICFlowMeter that published datasets were made with: rules by hand, and published rows again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nids_jax
from nids_jax.flows.meter import Flows, meter
from nids_jax.flows.meter.cicflowmeter import EARLY
from nids_jax.flows.packets import ACK, FIN, PSH, RST, SYN, UDP
from nids_jax.flows.schema import FEATURES, canonical_names
from tests.flows.plain_meter import to_columns
from tests.flows.test_meter import packet, value

FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "cwr", "ece")


def run(*packets, compat) -> Flows:
    return meter(to_columns([*packets]), compat=compat)


def hash_of(text: str) -> int:
    """Java's String.hashCode, spread as HashMap does it."""
    code = 0
    for letter in text:
        code = (31 * code + ord(letter)) & 0xFFFFFFFF
    return code ^ code >> 16


def test_flags_stand_as_a_java_hash_map_lists_them() -> None:
    listed = sorted((name.upper() for name in FLAGS), key=lambda name: hash_of(name) & 15)  # SYN and ACK share a bucket
    assert EARLY["cicids2017"].flags == dict(zip(FLAGS, [name.lower() for name in listed], strict=True))


@pytest.mark.parametrize(
    ("flags", "told"),
    [(SYN, {"psh"}), (ACK, {"ack"}), (ACK | FIN, {"ack", "urg"}), (ACK | PSH, {"ack", "syn"}), (RST, {"fin"})],
)
def test_flags_of_the_first_packet_under_other_names(flags: int, told: set[str]) -> None:
    flows = run(packet(0, flags=flags), packet(1, flags=ACK | PSH | FIN), compat="cicids2017")
    assert {name for name in FLAGS if value(flows, f"{name}_flag_count")} == told
    assert max(value(flows, f"{name}_flag_count") for name in FLAGS) == 1


def test_shifted_flags_of_the_2019_release() -> None:
    flows = run(packet(0, flags=SYN), packet(1), compat="cicddos2019")
    assert {name for name in FLAGS if value(flows, f"{name}_flag_count")} == {"ack"}


def test_totals_windows_and_padding() -> None:
    talk = [packet(0, flags=SYN, header=24), packet(0.1, payload=3), packet(0.2, payload=100), packet(9, flags=FIN)]
    flows = run(*talk, compat="cicids2017")
    assert value(flows, "subflow_fwd_packets") == 4
    assert value(flows, "total_length_of_fwd_packets") == 2 + 6 + 100 + 6  # frames of less than 60 bytes are padded
    assert value(flows, "subflow_fwd_bytes") == 114
    assert value(flows, "bwd_init_win_bytes") == -1
    assert value(run(*talk, compat="cicids2018"), "total_length_of_fwd_packets") == 103
    datagrams = run(packet(0, protocol=UDP, payload=40), packet(1, protocol=UDP, payload=40), compat="cicids2017")
    assert value(datagrams, "fwd_init_win_bytes") == -1


def test_a_pause_before_the_end_is_no_idle_time() -> None:
    end = packet(20, back=True, flags=RST)
    early, today = (run(packet(0), packet(1), end, compat=mode) for mode in ("cicids2017", "cicflowmeter"))
    assert value(early, "idle_max") == 0
    assert value(today, "idle_max") == 19e6
    assert value(run(packet(0), packet(20), end, compat="cicids2017"), "idle_max") == 20e6


def test_published_rows_come_back(data_dir: Path) -> None:
    """Rows of CIC-IDS2017 whose packets are at hand, found by their durations where only one row has that."""
    published = pd.read_parquet(data_dir / "cicids2017" / "flows.parquet")
    published.columns = list(canonical_names(published.columns))
    published = published.loc[published["label"].str.contains("Sql")]
    published = published.loc[published.groupby("flow_duration")["label"].transform("size") == 1]
    frame = nids_jax.meter(data_dir / "pcap" / "WebattackSQLinj.pcap", compat="cicids2017")
    both = published.merge(frame, on="flow_duration", suffixes=("_published", ""))
    assert len(both) >= 13
    for feature in FEATURES:
        name = f"{feature.name}_published"
        if name in both:
            np.testing.assert_allclose(both[name].astype(float), both[feature.name], rtol=1e-6, err_msg=feature.name)


@pytest.mark.parametrize("dataset", ["cicids2017", "cicddos2019", "cicids2018_sample"])
def test_published_rows_keep_the_rules(data_dir: Path, dataset: str) -> None:
    published = pd.read_parquet(data_dir / dataset / "flows.parquet")
    published.columns = list(canonical_names(published.columns))
    for side in ("fwd", "bwd"):
        packets = published[[f"subflow_{side}_packets", f"total_{side}_packets"]].to_numpy(float)
        np.testing.assert_array_equal(packets[:, 0], packets[:, 1])
        assert not published[f"{side}_bytes_bulk_avg"].to_numpy(float).any()
    columns = [f"{name}_flag_count" for name in FLAGS]
    assert set(np.unique(published[columns].dropna())) <= {0, 1}
    pushed = {"cicddos2019": "rst_flag_count"}.get(dataset, "syn_flag_count")  # where PSH stands
    assert (published.loc[published["fwd_psh_flags"] == 1, pushed] == 1).mean() > 0.99

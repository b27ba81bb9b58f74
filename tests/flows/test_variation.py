"""Varied packets: metered again they are the same flows, but for their times; and what is sent again counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nids_jax.errors import InputError
from nids_jax.flows.consistency import violations
from nids_jax.flows.meter import meter_mended
from nids_jax.flows.packets import ACK, SYN, TCP, UDP, Packets, concatenate
from nids_jax.flows.simulate import SIMULATED_CLASSES, simulate_packets
from nids_jax.flows.variation import Variation, first_flows, meter_separately, packets_of, vary

STILL = Variation(timing=0.0)


@pytest.fixture(scope="module")
def capture() -> tuple[Packets, np.ndarray, tuple[str, ...], list[Packets]]:
    """A simulated capture, the records of its conversations' first flows, their columns and their packets."""
    packets, _ = simulate_packets(dict.fromkeys(SIMULATED_CLASSES, 20), seed=3)
    flows = meter_mended(packets)
    first = first_flows(flows)
    return packets, flows.x[first], flows.features, packets_of(packets, flows, first)


def test_there_is_a_first_flow_of_each_conversation(capture):
    assert len(capture[3]) == 20 * len(SIMULATED_CLASSES)


def test_unvaried_packets_give_the_record_that_they_gave(capture):
    _, records, _, parts = capture
    again = meter_separately([vary(part, STILL, np.random.default_rng(0)) for part in parts])
    np.testing.assert_array_equal(again, records)


def test_varied_times_change_times_alone_and_keep_every_rule(capture):
    _, records, features, parts = capture
    rng = np.random.default_rng(1)
    short = [n for n, part in enumerate(parts) if part.time[-1] - part.time[0] < 20e6]  # not cut by the meter's timeout
    varied = meter_separately([vary(parts[n], Variation(), rng) for n in short])
    timeless = [n for n, name in enumerate(features) if "packet_length" in name or name.endswith("flag_count")]
    assert len(timeless) > 10
    np.testing.assert_array_equal(varied[:, timeless], records[short][:, timeless])
    duration = features.index("flow_duration")
    lasting = records[short][:, duration] > 1000
    assert (varied[lasting, duration] != records[short][lasting, duration]).mean() > 0.95
    columns = [n for n, name in enumerate(features) if np.isfinite(varied[:, n]).all()]
    broken = violations(varied[:, columns], [features[n] for n in columns])
    assert not any(rows.any() for rows in broken.values())


def _talk(times: list[int], protocol: int = TCP) -> Packets:
    """Client and server in turns, 100 bytes each."""
    n = len(times)
    up = np.arange(n) % 2 == 0
    return Packets(
        time=np.array(times, np.int64),
        source=np.where(up, 7, 9),
        destination=np.where(up, 9, 7),
        source_port=np.where(up, 40000, 80).astype(np.int32),
        destination_port=np.where(up, 80, 40000).astype(np.int32),
        protocol=np.full(n, protocol, np.int16),
        payload=np.full(n, 100, np.int32),
        header=np.full(n, 20, np.int32),
        flags=np.where(np.arange(n) == 0, SYN, ACK).astype(np.uint8),
        window=np.full(n, 500, np.int32),
        icmp=np.full(n, -1, np.int32),
    )


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_gaps_are_stretched_and_the_order_stays(gaps: list[int], seed: int):
    flow = _talk(np.cumsum(gaps).tolist())
    varied = vary(flow, Variation(timing=0.5), np.random.default_rng(seed))
    assert varied.time[0] == flow.time[0]
    assert (np.diff(varied.time) >= 0).all()
    np.testing.assert_array_equal(varied.source, flow.source)
    np.testing.assert_array_equal(np.diff(flow.time) == 0, np.diff(varied.time) == 0)


def test_the_factors_are_log_normal():
    flow = _talk([0, 10**7])
    rng = np.random.default_rng(0)
    logs = [np.log(vary(flow, Variation(timing=0.3), rng).time[1] / 1e7) for _ in range(4000)]
    assert abs(np.mean(logs)) < 0.03
    assert np.std(logs) == pytest.approx(0.3 * np.sqrt(2), rel=0.05)


def test_what_is_sent_again_is_counted_twice_and_only_tcp_is():
    flow = _talk([0, 1000, 2000, 3000])
    everything = Variation(timing=0.0, resent=1.0)
    for protocol, expected in ((TCP, 8), (UDP, 4)):
        varied = vary(_talk([0, 1000, 2000, 3000], protocol), everything, np.random.default_rng(0))
        assert len(varied) == expected
    varied = vary(flow, everything, np.random.default_rng(0))
    assert (np.diff(varied.time) >= 0).all()
    assert varied.time[-1] >= 200_000
    row = dict(zip(meter_mended(flow).features, meter_separately([varied])[0], strict=True))
    assert row["total_fwd_packets"] + row["total_bwd_packets"] == 8
    assert row["total_length_of_fwd_packets"] == 400


def test_parts_are_metered_apart():
    one, other = _talk([0, 1000, 5000]), _talk([500, 700])
    both = meter_separately([one, other, one])
    np.testing.assert_array_equal(both, np.concatenate([meter_mended(part).x for part in (one, other, one)]))
    assert meter_separately([]).shape == (0, both.shape[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"timing": -0.1},
        {"timing": 3},
        {"timing": float("nan")},
        {"resent": 1.5},
        {"wait": (5.0, 1.0)},
        {"wait": (0, np.inf)},
    ],
)
def test_variations_out_of_range_are_refused(settings: dict):
    with pytest.raises(InputError):
        Variation(**settings)


def test_flows_of_another_capture_are_refused(capture):
    packets, _, _, parts = capture
    flows = meter_mended(packets)
    with pytest.raises(InputError, match="the capture that was metered"):
        packets_of(concatenate(parts[:2]), flows, np.array([len(flows) - 1]))
    early = meter_mended(packets, timeout_us=1_000_000)
    with pytest.raises(InputError, match="the meter's own timeout"):
        packets_of(packets, early, np.arange(len(early)))


def test_short_gaps_stay_gaps_and_times_may_go_backwards():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert vary(_talk([0, 1]), Variation(timing=1.0), rng).time[1] >= 1
    backwards = _talk([5000, 1000, 2000, 400_000])
    np.testing.assert_array_equal(vary(backwards, STILL, rng).time, backwards.time)
    again = vary(backwards, Variation(timing=0.0, resent=1.0, wait=(1e6, 1e6)), rng)
    np.testing.assert_array_equal(again.time[:4], backwards.time)
    assert len(again) == 8


def test_a_part_without_packets_is_refused():
    with pytest.raises(InputError, match="part 1 has no packets"):
        meter_separately([_talk([0]), concatenate([])])

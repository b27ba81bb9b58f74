"""The meter that goes by CICFlowMeter's rules against values done by hand (see test_meter_agreement, too)."""

import math
from collections import Counter
from typing import Any, Literal, get_args

import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.flows.meter import Flows, meter, meter_mended
from nids_jax.flows.packets import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, URG, Packets
from nids_jax.flows.schema import CICIDS2017, FEATURES
from tests.flows.plain_meter import Packet, to_columns

Mode = Literal["mended", "cicflowmeter"]
MODES: tuple[Mode, ...] = get_args(Mode)
SECOND = 1_000_000
CLIENT, SERVER = 1, 2
START = 1_500_000_000 * SECOND


def packet(
    seconds: float,
    *,
    back: bool = False,
    flags: int = ACK,
    payload: int = 0,
    protocol: int = TCP,
    port: int = 5000,
    **other,
) -> Packet:
    """A packet from client to server (`back`: from server to client), `seconds` after the start."""
    fields = {
        "time": START + round(seconds * SECOND),
        "source": SERVER if back else CLIENT,
        "destination": CLIENT if back else SERVER,
        "source_port": 80 if back else port,
        "destination_port": port if back else 80,
        "protocol": protocol,
        "payload": payload,
        "header": 20 if protocol == TCP else 8,
        "flags": flags if protocol == TCP else 0,
        "window": 1000 if protocol == TCP else 0,
    }
    return Packet(**fields | other)


def run(*packets: Packet, **options) -> Flows:
    return metered(to_columns(list(packets)), **options)


def metered(packets: Packets, *, compat: Mode = "mended", **options) -> Flows:
    """The records of CICFlowMeter's rules, with that program's defects or without."""
    return meter_mended(packets, **options) if compat == "mended" else meter(packets, compat=compat, **options)


def value(flows: Flows, name: str, row: int = 0) -> float:
    return float(flows.x[row, flows.features.index(name)])


def test_flows_do_not_depend_on_what_runs_between_them() -> None:
    rng = np.random.default_rng(0)
    apart = [
        [
            packet(float(t), back=bool(rng.integers(2)), payload=int(rng.integers(9)), flags=int(flags), port=port)
            for t, flags in zip(
                np.sort(rng.uniform(0, 400, 60)), rng.choice([ACK, ACK, PSH, FIN, RST], 60), strict=True
            )
        ]
        for port in range(5000, 5020)
    ]
    mixed = run(*sorted((p for stream in apart for p in stream), key=lambda p: p.time))
    for port, stream in zip(range(5000, 5020), apart, strict=True):
        alone = run(*stream)
        among = (mixed.source_port == port) | (mixed.destination_port == port)
        np.testing.assert_array_equal(mixed.x[among], alone.x)


def test_one_flow_of_many_packets_and_many_flows_of_one_key() -> None:
    n = 5_000
    steady = run(*(packet(i / 1000, payload=1) for i in range(n)))
    assert len(steady) == 1
    assert value(steady, "total_length_of_fwd_packets") == n
    assert value(steady, "flow_iat_max") == value(steady, "flow_iat_min") == 1000
    resets = run(*(packet(i / 1000, flags=RST) for i in range(n)))
    assert len(resets) == n // 2  # the first packet of a flow is not looked at: every second RST ends one
    assert set(resets.packets) == {2}


# --- How packets are split into flows --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_responders_fin_ends_a_flow(mode: Mode) -> None:
    flows = run(
        packet(0, flags=SYN), packet(1, back=True, flags=FIN), packet(2, flags=FIN), packet(3, back=True), compat=mode
    )
    assert list(flows.packets) == [2, 2]
    assert list(flows.first_packet) == [0, 2]


@pytest.mark.parametrize("mode", MODES)
def test_the_initiators_fin_does_not_and_its_repeats_are_dropped(mode: Mode) -> None:
    flows = run(*(packet(t, flags=FIN) for t in range(4)), packet(4), packet(5, back=True, flags=FIN), compat=mode)
    assert list(flows.packets) == [4]  # the first packet, the first FIN after it, the ACK, the responder's FIN
    assert value(flows, "fin_flag_count") == 3


@pytest.mark.parametrize("back", [False, True])
def test_a_reset_from_either_side_ends_a_flow(back: bool) -> None:
    flows = run(packet(0), packet(1, back=back, flags=RST), packet(2, back=True))
    assert list(flows.packets) == [2, 1]
    assert list(flows.source) == [CLIENT, SERVER]


def test_a_timeout_counts_from_the_start_and_keeps_the_end_points() -> None:
    flows = run(packet(0), packet(100), packet(120), packet(120.000001, back=True), packet(121), packet(122, back=True))
    assert list(flows.packets) == [3, 3]
    assert list(flows.source) == [CLIENT, CLIENT]
    assert list(flows.destination_port) == [80, 80]
    assert value(flows, "total_fwd_packets", 1) == 2  # a flow's first packet counts as forward whoever sent it
    assert [value(flows, "total_tcp_flow_time", i) for i in (0, 1)] == [120e6, 122e6]


def test_a_timeout_is_the_longest_time_that_is_still_one_flow() -> None:
    assert list(run(packet(0), packet(120)).packets) == [2]
    assert list(run(packet(0), packet(120.000001)).packets) == [1, 1]
    assert list(run(packet(0), packet(0.000002), timeout_us=1).packets) == [1, 1]


def test_connection_time_begins_anew_after_a_reset_and_is_tcps_alone() -> None:
    flows = run(packet(0), packet(1, flags=RST), packet(200), packet(201))
    assert [value(flows, "total_tcp_flow_time", i) for i in (0, 1)] == [1e6, 1e6]
    assert value(run(packet(0, protocol=UDP), packet(1, protocol=UDP)), "total_tcp_flow_time") == 0


def test_a_clock_that_jumps_ahead_and_back() -> None:
    flows = run(packet(0), packet(500), packet(1), packet(2), packet(620), packet(621))
    assert list(flows.packets) == [1, 4, 1]
    assert value(flows, "flow_iat_min", 1) == -499e6
    assert value(flows, "flow_duration", 1) == 120e6
    backwards = run(packet(5, payload=10), packet(3, back=True))
    assert value(backwards, "flow_duration") == -2e6
    assert value(backwards, "flow_bytes_s") == -5
    assert value(backwards, "fwd_packets_s") == 0


@pytest.mark.parametrize("mode", MODES)
def test_protocols_and_ports_keep_flows_apart(mode: Mode) -> None:
    stream = [packet(t, port=port, protocol=protocol) for t in (0, 1) for port in (1, 2) for protocol in (TCP, UDP)]
    flows = run(*stream, compat=mode)
    assert list(flows.packets) == [2] * 4
    assert Counter(flows.protocol) == {TCP: 2, UDP: 2}


def test_one_packet_flows_are_kept_by_default_and_dropped_as_cicflowmeter_does() -> None:
    flows = run(packet(0, payload=5))
    assert list(flows.packets) == [1]
    assert np.isfinite(flows.x).all()
    assert value(flows, "flow_bytes_s") == value(flows, "flow_duration") == 0
    assert value(flows, "packet_length_mean") == value(flows, "average_packet_size") == 5
    assert len(run(packet(0), compat="cicflowmeter")) == 0


def test_traffic_of_a_host_with_itself() -> None:
    here: dict[str, Any] = {"source": CLIENT, "destination": CLIENT}
    stream = [
        packet(0, **here),
        packet(1, back=True, **here),
        packet(2, back=True, flags=FIN, **here),
        packet(3, **here),
    ]
    flows = run(*stream)
    assert [value(flows, f"total_{side}_packets") for side in ("fwd", "bwd")] == [1, 2]
    assert list(flows.packets) == [3, 1]
    java = run(*stream, compat="cicflowmeter")  # tells directions by address alone
    assert [value(java, f"total_{side}_packets") for side in ("fwd", "bwd")] == [4, 0]


def test_what_is_neither_tcp_nor_udp() -> None:
    bare: dict[str, Any] = {"source_port": 0, "destination_port": 0}
    stream = [
        packet(0, protocol=ICMP, payload=56, **bare),
        packet(1, protocol=ICMP, payload=56, back=True, **bare),
        packet(2, protocol=47, payload=9, **bare),
        packet(3, protocol=UDP, header=0, payload=99, **bare),  # a later fragment
    ]
    flows = run(*stream)
    assert list(flows.protocol) == [ICMP, 47, UDP]
    assert value(flows, "total_length_of_fwd_packets") == 56
    java = run(*stream, compat="cicflowmeter")
    assert list(java.protocol) == [0]
    assert list(java.packets) == [4]
    assert value(java, "total_length_of_fwd_packets") == value(java, "fwd_header_length") == 0


# --- Features by hand ------------------------------------------------------------------------------------------------


def test_features_of_a_short_exchange() -> None:
    flows = run(
        packet(0, flags=SYN, header=40, window=1),
        packet(0.5, back=True, flags=SYN | ACK, header=32, window=2),
        packet(1, flags=ACK | PSH, payload=100, window=3),
        packet(2, back=True, flags=ACK | PSH | URG, payload=300, window=4),
    )
    expected = {
        "destination_port": 80,
        "protocol": 6,
        "flow_duration": 2e6,
        "total_fwd_packets": 2,
        "fwd_packet_length_mean": 50,
        "fwd_packet_length_std": math.sqrt(5000),
        "bwd_packet_length_max": 300,
        "flow_bytes_s": 200,
        "flow_packets_s": 2,
        "flow_iat_mean": 2e6 / 3,
        "fwd_iat_total": 1e6,
        "bwd_iat_std": 0,
        "fwd_psh_flags": 1,
        "bwd_psh_flags": 1,
        "bwd_urg_flags": 1,
        "fwd_header_length": 60,
        "fwd_header_length_1": 60,
        "bwd_header_length": 52,
        "fwd_segment_size_min": 20,
        "packet_length_min": 0,
        "packet_length_mean": 100,
        "packet_length_variance": 20_000,
        "average_packet_size": 100,
        "syn_flag_count": 2,
        "ack_flag_count": 3,
        "down_up_ratio": 1,
        "fwd_init_win_bytes": 1,
        "bwd_init_win_bytes": 4,
        "fwd_act_data_packets": 1,
        "icmp_type": -1,
    }
    assert {name: value(flows, name) for name in expected} == pytest.approx(expected)


def test_the_first_packet_twice_and_psh_on_the_first_packet_only() -> None:
    stream = [packet(0, payload=90, flags=PSH), packet(1, payload=30, flags=PSH), packet(2, back=True, flags=PSH)]
    expected = {"fwd_psh_flags": 1, "bwd_psh_flags": 0, "packet_length_mean": 210 / 4, "average_packet_size": 70}
    java = run(*stream, compat="cicflowmeter")
    assert {name: value(java, name) for name in expected} == expected
    expected = {"fwd_psh_flags": 2, "bwd_psh_flags": 1, "packet_length_mean": 40, "average_packet_size": 40}
    assert {name: value(run(*stream), name) for name in expected} == expected


def test_a_bulk_is_four_data_packets_with_no_pause_over_a_second() -> None:
    def bulk(times: list[float]) -> list[float]:
        flows = run(*(packet(t, payload=10, back=bool(i % 2)) for i, t in enumerate(times)), packet(50))
        return [value(flows, f"bwd_{name}") for name in ("bytes_bulk_avg", "packets_bulk_avg", "bulk_rate_avg")]

    assert bulk([0, 1, 2]) == [0, 0, 0]
    assert bulk([0, 1, 2, 3]) == [40, 4, 13]
    assert bulk([0, 1, 2.000001, 3, 4]) == [0, 0, 0]  # runs of two and three
    assert bulk([0, 1, 2, 3, 10, 11, 12, 13, 14]) == [45, 4, 12]  # of 4 and 5 packets, 90 bytes in 7 s


def test_a_bulk_that_begins_at_time_zero_begins_again() -> None:
    def packets(*times: int) -> float:
        return value(run(*(packet(0, time=time, payload=1) for time in times)), "bwd_packets_bulk_avg")

    assert packets(1, 2, 3, 4) == 4
    assert packets(0, 1, 2, 3) == 0  # three from time 1 on
    assert packets(0, 0, 0, 1, 2, 3, 4) == 4
    assert packets(5, 0, 1, 2) == 4  # begun at 5, before the clock went back to 0
    assert packets(0, 2_000_000, 2_000_001, 2_000_002, 2_000_003) == 4


def test_subflows_are_parted_by_pauses_over_a_second() -> None:
    flows = run(packet(0, payload=7), packet(1), packet(3, payload=4), packet(5, back=True))
    assert [value(flows, f"subflow_{name}") for name in ("fwd_packets", "fwd_bytes", "bwd_packets")] == [1, 5, 0]
    assert value(run(packet(0), packet(1)), "subflow_fwd_packets") == 0


def test_active_and_idle_periods() -> None:
    flows = run(*(packet(t) for t in (0, 2, 7, 12.5, 13, 20, 30, 31)))
    # Active 0–7 and 12.5–13; at 20 a single packet is not a period; the last one, 30–31, is never closed.
    assert [value(flows, f"active_{name}") for name in ("mean", "max", "min")] == [3.75e6, 7e6, 0.5e6]
    assert [value(flows, f"idle_{name}") for name in ("mean", "max", "min")] == [7.5e6, 10e6, 5.5e6]
    assert value(flows, "active_std") == pytest.approx(6.5e6 / math.sqrt(2))
    assert value(flows, "idle_std") == pytest.approx(np.std([5.5e6, 7e6, 10e6], ddof=1))


def test_rates_over_no_time() -> None:
    full = run(packet(0, payload=1), packet(0))
    assert value(full, "flow_bytes_s") == value(full, "flow_packets_s") == math.inf
    assert value(full, "fwd_packets_s") == 0
    assert math.isnan(value(run(packet(0), packet(0)), "flow_bytes_s"))


@pytest.mark.parametrize("mode", MODES)
def test_no_packets_give_no_flows(mode: Mode) -> None:
    flows = run(compat=mode)
    assert len(flows) == len(flows.start) == 0
    assert flows.x.shape == (0, len(FEATURES))
    assert set(CICIDS2017) < set(flows.features)


def test_hosts_are_any_64_bit_numbers() -> None:
    far: dict[str, Any] = {"source": -(2**63), "destination": 2**63 - 1}
    near: dict[str, Any] = {"source": 2**63 - 1, "destination": 2**63 - 2}
    flows = run(packet(0, **far), packet(1, **near), packet(2, **far))
    assert list(flows.packets) == [2, 1]
    assert list(flows.destination) == [2**63 - 1, 2**63 - 2]


# --- Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("time", [0.5, 1.5], "'time' holds float64"),
        ("time", [-1, 5], "'time' holds -1"),
        ("payload", [1, -7], "'payload' holds -7"),
        ("destination_port", [80, 65536], "'destination_port' holds 65536"),
        ("protocol", [6, 256], "'protocol' holds 256"),
        ("window", [5], r"'window' has shape \(1,\), but there are 2 times"),
        ("flags", [[1], [2]], "'flags' has shape"),
        ("source", np.array([1, 2**64 - 1], np.uint64), "'source' holds 18446744073709551615"),
    ],
)
def test_columns_that_make_no_sense(name: str, column: list, message: str) -> None:
    good = vars(to_columns([packet(0), packet(1)]))
    with pytest.raises(InputError, match=message):
        meter(Packets(**good | {name: np.asarray(column)}))


def test_narrow_unsigned_columns_do_not_wrap() -> None:
    plain = to_columns([packet(0, payload=200), packet(1, back=True, payload=100)])
    small = {name: getattr(plain, name).astype(np.uint16) for name in ("payload", "header", "window", "source_port")}
    small |= {"time": np.array([5, 3], np.uint32), "protocol": plain.protocol.astype(np.uint8)}
    flows = meter_mended(Packets(**vars(plain) | small))
    assert value(flows, "flow_duration") == -2
    assert value(flows, "packet_length_std") == pytest.approx(math.sqrt(5000))


@pytest.mark.parametrize("option", [{"timeout_us": 0}, {"activity_timeout_us": -1}, {"compat": "java"}])
def test_options_that_make_no_sense(option: dict) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        run(packet(0), **option)

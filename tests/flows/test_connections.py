"""The default meter against a plain program, in one piece and in many, and against values done by hand."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nids_jax
from nids_jax.errors import InputError
from nids_jax.flows.meter import ENDS, Flows, Ordered, StreamMeter, meter, stream
from nids_jax.flows.meter.flows import join
from nids_jax.flows.packets import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, URG, Packets
from nids_jax.flows.schema import FEATURES, canonical_names
from tests.flows.plain_connections import plain_connections
from tests.flows.plain_meter import Packet, Stream, to_columns
from tests.flows.test_meter import CLIENT, SERVER, START, packet, value

PAUSES = (0, 1, 1000, 999_999, 1_000_000, 1_000_001, 5_000_000, 5_000_001, 60_000_000, 120_000_000, 700_000_000)
FLAGS = (0, SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, FIN | ACK, RST, RST | ACK, URG | 64 | 128, SYN | FIN)
STREAM = Stream(PAUSES, FLAGS)

streams = st.builds(
    STREAM.packets,
    st.just(START),
    st.integers(1, 3),
    st.lists(st.integers(0, STREAM.codes - 1), max_size=60),
    st.sampled_from([1000, 2_000_000, 700_000_000]),
)
timeouts = st.sampled_from([1, 10_000_000, 120_000_000])
pauses = st.sampled_from([1, 300_000, 5_000_000])


def run(*packets: Packet, **options) -> Flows:
    return meter(to_columns(list(packets)), **options)


def agree(flows: Flows, want: list[dict[str, float]]) -> None:
    assert len(flows) == len(want)
    for i, record in enumerate(want):
        assert set(flows.features) <= set(record)
        for name, expected in record.items():
            column = flows.x[:, flows.features.index(name)] if name in flows.features else getattr(flows, name)
            assert float(column[i]) == pytest.approx(expected, rel=1e-9, abs=1e-6), (i, name)


@settings(max_examples=300, deadline=None)
@given(streams, timeouts, pauses, st.randoms(use_true_random=False), st.booleans())
def test_agrees_with_a_plain_program_in_any_order(
    packets: list[Packet], timeout: int, pause: int, random, corrected: bool
) -> None:
    if random.random() < 0.5:
        random.shuffle(packets)
    want = plain_connections(packets, timeout=timeout, activity_timeout=pause, corrected=corrected)
    compat = "corrected" if corrected else "none"
    agree(run(*packets, timeout_us=timeout, activity_timeout_us=pause, compat=compat), want)


def pieces_of(packets: Packets, cuts: list[int]) -> list[Packets]:
    ends = sorted({*(cut % (len(packets) + 1) for cut in cuts), 0, len(packets)})
    return [packets.take(np.arange(a, b)) for a, b in itertools.pairwise(ends)]


@settings(max_examples=150, deadline=None)
@given(streams, timeouts, st.lists(st.integers(0, 60), max_size=5))
def test_pieces_give_the_same_records_as_the_whole(packets: list[Packet], timeout: int, cuts: list[int]) -> None:
    columns = to_columns(packets)
    whole = StreamMeter(timeout_us=timeout)
    want = join([*whole.take(columns), *whole.finish()])
    parts = StreamMeter(timeout_us=timeout)
    got = join([*(f for piece in pieces_of(columns, cuts) for f in parts.take(piece)), *parts.finish()])
    for name, column in vars(want).items():
        np.testing.assert_array_equal(getattr(got, name), column, err_msg=name)
    agree(
        want.take(np.lexsort([want.first_packet, want.start])),
        plain_connections(packets, timeout=timeout, activity_timeout=stream.ACTIVITY_TIMEOUT),
    )


def test_many_flows_at_work_and_many_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that grow, are swept, and results that take several turns."""
    monkeypatch.setattr(stream, "_OUT", 50)
    rng = np.random.default_rng(3)
    n = 40_000
    packets = Packets(
        time=START + np.sort(rng.integers(0, 400_000_000, n)),
        source=rng.integers(0, 100, n),
        destination=rng.integers(100, 110, n),
        source_port=rng.integers(1, 300, n).astype(np.int32),
        destination_port=rng.integers(1, 3, n).astype(np.int32),
        protocol=rng.choice([TCP, UDP], n).astype(np.int16),
        payload=rng.integers(0, 1000, n).astype(np.int32),
        header=np.full(n, 20, np.int32),
        flags=rng.choice([SYN, ACK, FIN | ACK, RST], n).astype(np.uint8),
        window=np.zeros(n, np.int32),
        icmp=np.full(n, -1, np.int32),
    )
    work = StreamMeter(timeout_us=30_000_000, most_flows=10_000)
    flows = join([*work.take(packets), *work.finish()])
    assert work.evicted == 0
    assert flows.packets.sum() == n
    columns = [c.tolist() for c in vars(packets).values()]
    plain = plain_connections(
        [Packet(*row) for row in zip(*columns, strict=True)], timeout=30_000_000, activity_timeout=5_000_000
    )
    order = np.lexsort([flows.first_packet, flows.start])
    assert flows.first_packet[order].tolist() == [record["first_packet"] for record in plain]
    assert flows.packets[order].tolist() == [record["packets"] for record in plain]


def test_where_there_is_no_room_the_oldest_flow_ends_and_is_counted() -> None:
    work = StreamMeter(most_flows=2)
    talk = [packet(i, port=5000 + i, protocol=UDP) for i in range(4)] + [packet(9, port=5000, protocol=UDP, back=True)]
    flows = join([*work.take(to_columns(talk)), *work.finish()])
    assert work.evicted == 3
    assert sorted(flows.source_port.tolist()) == [5000, 5000, 5001, 5002, 5003]
    assert [ENDS[end] for end in flows.end[:3]] == ["crowded out"] * 3
    assert flows.source.tolist() == [CLIENT] * 5  # the responder's packet goes on the connection, which is remembered


def test_nine_published_rows_of_the_corrected_release_come_back(data_dir: Path) -> None:
    """The packets of these flows are in a capture; the published features are what its mode gives."""
    published = pd.read_parquet(data_dir / "cicids2017_improved" / "flows.parquet")
    published.columns = list(canonical_names(published.columns))
    published = published[published["label"].str.contains("SQL")]
    frame = nids_jax.meter(data_dir / "pcap" / "WebattackSQLinj.pcap", compat="corrected")
    both = published.merge(frame, left_on=["src_port"], right_on=["source_port"], suffixes=("_published", ""))
    assert len(both) == len(frame) == 9
    for feature in FEATURES:
        name = f"{feature.name}_published" if f"{feature.name}_published" in both else feature.name
        np.testing.assert_allclose(both[name].astype(float), both[feature.name], rtol=1e-6, atol=1e-6, err_msg=name)


# --- Ends ------------------------------------------------------------------------------------------------------------


def close(t: float, *, by_client: bool = True, port: int = 5000) -> list[Packet]:
    """A handshake, a request with its answer, and the close."""
    steps = [(False, SYN, 0), (True, SYN | ACK, 0), (False, ACK, 0), (False, ACK | PSH, 90), (True, ACK | PSH, 900)]
    first = not by_client
    steps += [(first, FIN | ACK, 0), (not first, ACK, 0), (not first, FIN | ACK, 0), (first, ACK, 0)]
    return [
        packet(t + i / 100, back=back, flags=flags, payload=payload, port=port)
        for i, (back, flags, payload) in enumerate(steps)
    ]


@pytest.mark.parametrize("by_client", [True, False])
def test_a_connection_is_one_record(by_client: bool) -> None:
    flows = run(*close(0, by_client=by_client))
    assert flows.packets.tolist() == [9]
    assert ENDS[flows.end[0]] == "closed"


def test_ports_that_are_used_again() -> None:
    twice = run(*close(0), *close(1))
    assert twice.packets.tolist() == [9, 9]
    assert value(twice, "bwd_init_win_bytes", 1) == 1000
    late = run(*close(0), packet(2, back=True, flags=ACK), packet(4, flags=RST))
    assert late.packets.tolist() == [11]  # retransmissions belong to what they repeat
    after = run(*close(0), packet(5.2, back=True, flags=ACK))
    assert after.packets.tolist() == [9, 1]  # after the linger
    assert after.source.tolist() == [CLIENT, SERVER]
    half = run(*close(0)[:-3], packet(1, flags=SYN))
    assert half.packets.tolist() == [7]  # only one side has closed
    both = run(*close(0)[:-1], packet(1, flags=SYN))
    assert both.packets.tolist() == [8, 1]  # the last acknowledgement was lost
    reset = run(packet(0, flags=SYN), packet(1, back=True, flags=RST), packet(2, flags=SYN), packet(3, flags=ACK))
    assert reset.packets.tolist() == [2, 2]


def test_every_fin_counts() -> None:
    flood = run(*(packet(i / 100, flags=FIN, payload=20) for i in range(1000)))
    assert flood.packets.tolist() == [1000]
    assert value(flood, "total_length_of_fwd_packets") == 20_000
    assert value(flood, "flow_duration") == 9_990_000
    resets = run(*(packet(i / 10, back=bool(i % 2), flags=RST if i % 2 else FIN) for i in range(400)))
    assert resets.packets.tolist() == [400]  # every answer resets; the flood goes on within the linger


def test_the_initiator_stays_the_initiator() -> None:
    talk = [packet(0, protocol=UDP, payload=5), packet(119.6, protocol=UDP, payload=5)]
    talk += [packet(120.5 + i, protocol=UDP, back=bool(i != 1), payload=10 if i == 1 else 200) for i in range(3)]
    flows = run(*talk)
    assert flows.packets.tolist() == [2, 3]
    assert value(flows, "total_fwd_packets", 1) == 1
    assert value(flows, "total_length_of_bwd_packets", 1) == 400
    exact = run(packet(0, protocol=UDP), packet(120, protocol=UDP))
    assert exact.packets.tolist() == [2]
    forgotten = run(packet(0, protocol=UDP), packet(600.000001, protocol=UDP, back=True))
    assert forgotten.source.tolist() == [CLIENT, SERVER]


def test_a_connection_is_timed_from_its_beginning() -> None:
    flows = run(*(packet(t) for t in (0, 100, 200, 300)))
    assert [value(flows, "total_tcp_flow_time", i) for i in range(2)] == [100e6, 300e6]


def test_names_mean_what_they_say() -> None:
    upload = [packet(0, flags=SYN), packet(0.01, back=True, flags=SYN | ACK, window=5000)]
    upload += [packet(0.1 + i / 100, payload=1000) for i in range(10)] + [packet(0.3, back=True, window=7000)]
    flows = run(*upload)
    assert value(flows, "fwd_bytes_bulk_avg") == 10_000
    assert value(flows, "fwd_packets_bulk_avg") == 10
    assert value(flows, "fwd_bulk_rate_avg") == pytest.approx(10_000 / 0.09)
    assert value(flows, "bwd_bytes_bulk_avg") == 0
    assert value(flows, "bwd_init_win_bytes") == 5000
    echo = run(packet(0, protocol=ICMP, icmp=3 << 8 | 1), packet(1, protocol=ICMP, icmp=0))
    assert (value(echo, "icmp_type"), value(echo, "icmp_code")) == (3, 1)


# --- Order -----------------------------------------------------------------------------------------------------------


def times(packets: list[Packets]) -> list[int]:
    return np.concatenate([each.time for each in packets]).tolist() if packets else []


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=80), st.integers(1, 9))
def test_packets_of_a_file_are_put_in_order_within_a_window(moments: list[int], size: int) -> None:
    columns = to_columns([packet(t, port=i + 1) for i, t in enumerate(moments)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "WINDOW", 10)
        order = Ordered()
        pieces = pieces_of(columns, list(range(0, len(moments), size)))
        got = [out for piece in pieces for out in order.put(piece)] + [*order.finish()]
    assert sorted(times(got)) == sorted(columns.time.tolist())
    running = np.maximum.accumulate(columns.time) if moments else columns.time
    assert order.out_of_order == np.count_nonzero(columns.time < running)
    if len(moments) <= 20:
        assert times(got) == sorted(columns.time.tolist())
        assert order.late == 0
    down = sum(a.time[-1] > b.time[0] for a, b in itertools.pairwise(got))
    assert (order.late > 0) == (down > 0)


def test_a_live_stream_waits_as_long_as_it_is_told() -> None:
    order = Ordered(live_us=1_000_000)
    first = [*order.put(to_columns([packet(0), packet(0.9), packet(0.5)]))]
    assert times(first) == []
    second = [*order.put(to_columns([packet(1.7), packet(0.8)]))]
    assert times(second) == [START, START + 500_000]
    late = [*order.put(to_columns([packet(0.2), packet(3)]))]
    assert (order.out_of_order, order.late) == (3, 1)
    assert len(times(late) + times([*order.finish()])) == 5


def test_a_capture_that_follows_from_an_earlier_time_is_metered_by_itself() -> None:
    work = StreamMeter()
    later, earlier = to_columns([packet(1000), packet(1001)]), to_columns([packet(0), packet(1)])
    flows = join([*work.take(later), *work.take(earlier), *work.finish()])
    assert flows.packets.tolist() == [2, 2]
    assert flows.start.tolist() == [START + 1_000_000_000, START]


@pytest.mark.parametrize("option", [{"timeout_us": 0}, {"activity_timeout_us": -1}, {"most_flows": 0}])
def test_options_that_make_no_sense(option: dict) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        StreamMeter(**option)

"""The simulator: promises on counts and seeds, TCP by the book, tools as they are, a dataset neither easy nor lost."""

from itertools import pairwise

import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.flows.meter import meter_mended
from nids_jax.flows.packets import ACK, FIN, PSH, RST, SYN, TCP, UDP
from nids_jax.flows.schema import CICIDS2017
from nids_jax.flows.simulate import SIMULATED_CLASSES, network, simulate_flows, simulate_packets
from nids_jax.flows.simulate.network import Conversations, simulate
from nids_jax.flows.simulate.parts import tcp
from nids_jax.flows.simulate.script import (
    CLOSES,
    OPENS,
    STACKS,
    TALKING,
    About,
    Loop,
    Streams,
    Traffic,
    down,
    repeat,
    say,
    up,
)
from nids_jax.flows.simulate.tools import TRAFFIC

PER_CLASS = 120


@pytest.fixture(scope="module")
def flows() -> tuple[np.ndarray, np.ndarray]:
    return simulate_flows(dict.fromkeys(SIMULATED_CLASSES, PER_CLASS), seed=3)


def column(x: np.ndarray, name: str) -> np.ndarray:
    return x[:, CICIDS2017.index(name)]


def of_class(flows: tuple[np.ndarray, np.ndarray], name: str) -> np.ndarray:
    x, y = flows
    return x[y == SIMULATED_CLASSES.index(name)]


# ------------------------------------------------------------------------------------------- counts, seeds, errors


def test_classes_are_those_of_cicids2017() -> None:
    assert SIMULATED_CLASSES == (
        "BENIGN",
        "Bot",
        "DDoS",
        "DoS GoldenEye",
        "DoS Hulk",
        "DoS Slowhttptest",
        "DoS slowloris",
        "FTP-Patator",
        "Heartbleed",
        "Infiltration",
        "PortScan",
        "SSH-Patator",
        "Web Attack - Brute Force",
        "Web Attack - Sql Injection",
        "Web Attack - XSS",
    )


def test_exactly_the_rows_asked_for() -> None:
    counts = {name: 1 + 3 * position for position, name in enumerate(SIMULATED_CLASSES)}
    x, y = simulate_flows(counts, seed=0)
    assert x.shape == (sum(counts.values()), 78)
    assert x.dtype == np.float64
    assert y.dtype == np.int32
    assert np.isfinite(x).all()
    assert [int((y == i).sum()) for i in range(15)] == list(counts.values())


def test_no_rows() -> None:
    for counts in ({}, {"Bot": 0}):
        x, y = simulate_flows(counts, seed=0)
        assert x.shape == (0, 78)
        assert y.shape == (0,)
        packets, label = simulate_packets(counts, seed=0)
        assert len(packets) == len(label) == 0


def test_same_seed_same_bits_other_seed_other_rows() -> None:
    counts = {"BENIGN": 30, "DoS Hulk": 7}
    x, y = simulate_flows(counts, seed=5)
    again, labels = simulate_flows(counts, np.array([5])[0])
    assert np.array_equal(x, again)
    assert np.array_equal(y, labels)
    assert not np.array_equal(x, simulate_flows(counts, seed=6)[0])


@pytest.mark.parametrize("name", SIMULATED_CLASSES)
def test_rows_depend_on_the_class_alone_and_more_rows_keep_the_first(
    name: str, flows: tuple[np.ndarray, np.ndarray]
) -> None:
    few, _ = simulate_flows({name: 9}, seed=3)
    assert np.array_equal(few, of_class(flows, name)[:9])


@pytest.mark.parametrize(
    ("counts", "seed", "words"),
    [
        ({"Bots": 3}, 0, "no simulated class 'Bots'"),
        ({"Bot": -1}, 0, "the count of Bot is -1"),
        ({"Bot": 2.5}, 0, "the count of Bot is 2.5"),
        ({"Bot": True}, 0, "the count of Bot is True"),
        ({"Bot": 3}, -7, "the seed is -7"),
        ({"Bot": 3}, "1", "the seed is '1'"),
    ],
)
def test_bad_input(counts: dict, seed: int, words: str) -> None:
    for function in (simulate_flows, simulate_packets):
        with pytest.raises(InputError, match=words):
            function(counts, seed)


# -------------------------------------------------------------------------------------------------------- packets


def test_capture_is_in_order_and_every_conversation_has_its_own_five_tuple() -> None:
    counts = dict.fromkeys(SIMULATED_CLASSES, 40)
    packets, label = simulate_packets(counts, seed=1)
    assert (np.diff(packets.time) >= 0).all()
    owner: dict[tuple, int] = {}
    for i in range(len(packets)):
        ends = sorted(
            [
                (int(packets.source[i]), int(packets.source_port[i])),
                (int(packets.destination[i]), int(packets.destination_port[i])),
            ]
        )
        assert owner.setdefault((*ends, int(packets.protocol[i])), int(label[i])) == label[i]
    assert len(owner) == 40 * len(SIMULATED_CLASSES)
    assert np.bincount(list(owner.values())).tolist() == [40] * len(SIMULATED_CLASSES)


def test_flows_are_those_of_the_capture() -> None:
    """The rows of simulate_flows are found among the metered packets of simulate_packets, under the same label."""
    counts = {"DoS slowloris": 12, "BENIGN": 20}
    packets, label = simulate_packets(counts, seed=2)
    metered = meter_mended(packets)
    columns = [metered.features.index(name) for name in CICIDS2017]
    known = {
        (int(label[first]), *row)
        for first, row in zip(metered.first_packet, metered.x[:, columns].tolist(), strict=True)
    }
    x, y = simulate_flows(counts, seed=2)
    assert all((int(cls), *row) in known for cls, row in zip(y, x.tolist(), strict=True))


def test_packet_fields_are_what_the_protocols_allow() -> None:
    packets, _ = simulate_packets(dict.fromkeys(SIMULATED_CLASSES, 60), seed=4)
    is_tcp = packets.protocol == TCP
    assert set(np.unique(packets.protocol)) == {TCP, UDP}
    assert set(np.unique(packets.header[~is_tcp])) == {8}
    assert not packets.flags[~is_tcp].any()
    assert not packets.window[~is_tcp].any()
    assert (packets.payload[~is_tcp] <= 1472).all()
    assert (packets.header[is_tcp] % 4 == 0).all()
    assert packets.header[is_tcp].min() == 20
    assert packets.header[is_tcp].max() <= 60
    assert packets.window.max() <= 65535
    assert packets.payload.max() <= 8 * 1460
    assert not packets.payload[packets.flags & (SYN | FIN | RST) != 0].any()
    assert (
        packets.payload[is_tcp & (packets.flags & PSH == 0)] % 4 == 0
    ).all()  # only whole segments: 1448 or 1460, or several


def test_every_class_is_made_of_known_parts() -> None:
    for recipes in TRAFFIC.values():
        assert abs(sum(share for share, _ in recipes) - 1) < 1e-9
        for _, traffic in recipes:
            assert set(traffic.clients) | set(traffic.servers) <= set(STACKS)
            assert set(traffic.opens) <= set(OPENS)
            assert set(traffic.closes) <= set(CLOSES)
            # without a handshake, something must be said
            if set(traffic.opens) & {"at_once"}:
                first = traffic.acts[0]
                assert first.rounds.low >= 1 or first.rounds == About(1)
                assert first.messages[0].chance == 1


# ------------------------------------------------------------------------------------------------ one conversation


def linux_traffic(*acts: Loop, closes: str = "client") -> Traffic:
    """20 ms apart, with nothing left to chance but jitter."""
    return tcp(
        *acts,
        ports=(80,),
        clients={"linux_3": 1.0},
        servers={"linux_5": 1.0},
        rtt=About(0.02),
        opens={"accepted": 1.0},
        closes={closes: 1.0},
    )


def conversation(packets: Conversations, number: int) -> list[tuple[float, str, int, int, int]]:
    """(µs, side, flags, payload, header) in order of time."""
    rows = np.flatnonzero(packets.conversation == number)
    rows = rows[np.argsort(packets.time[rows], kind="stable")]
    return [
        (
            float(packets.time[i]),
            "UD"[packets.side[i]],
            int(packets.flags[i]),
            int(packets.payload[i]),
            int(packets.header[i]),
        )
        for i in rows
    ]


@pytest.fixture
def lossless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOSSY", 0.0)


@pytest.mark.usefixtures("lossless")
def test_handshake_and_close() -> None:
    packets = simulate(linux_traffic(say(up(About(100), About(0.001)), down(About(200), About(0.001)))), 50, Streams(1))
    for number in range(50):
        seen = conversation(packets, number)
        assert [(side, flags) for _, side, flags, *_ in seen[:3]] == [("U", SYN), ("D", SYN | ACK), ("U", ACK)]
        assert [header for *_, header in seen[:3]] == [40, 40, 32]
        assert [(side, flags) for _, side, flags, *_ in seen[-3:]] == [("U", FIN | ACK), ("D", FIN | ACK), ("U", ACK)]
        # wherever the capturing point lies, the handshake takes one round trip of 20 ms, within jitter
        assert 0.012e6 < seen[2][0] - seen[0][0] < 0.04e6


@pytest.mark.usefixtures("lossless")
def test_messages_are_cut_into_segments_and_nothing_is_lost() -> None:
    packets = simulate(
        linux_traffic(say(up(About(5000), About(0.001)), down(About(100_000), About(0.3)))), 40, Streams(2)
    )
    for number in range(40):
        seen = conversation(packets, number)
        up_sizes = [size for _, side, _, size, _ in seen if side == "U" and size]
        down_sizes = [size for _, side, _, size, _ in seen if side == "D" and size]
        assert (sum(up_sizes), sum(down_sizes)) == (5000, 100_000)
        segment = max(down_sizes)
        assert segment % 1448 == 0  # 1460 less 12 bytes of timestamps, or several such
        assert down_sizes == [segment] * (100_000 // segment) + [100_000 % segment]
        pushed = [size for _, _, flags, size, _ in seen if flags & PSH]
        assert pushed == [up_sizes[-1], down_sizes[-1]]
        # 0.3 s of thought, and slow start: 100 kB take at least one more round trip than a burst
        first_answer = next(time for time, side, _, size, _ in seen if side == "D" and size)
        last_request = max(time for time, side, _, size, _ in seen if side == "U" and size)
        assert first_answer - last_request >= 0.3e6
        if segment == 1448:
            answer = [time for time, side, _, size, _ in seen if side == "D" and size]
            assert answer[-1] - answer[0] > 2 * 0.02e6  # 69 segments: 10, 20, 39
            assert max(b - a for a, b in pairwise(answer[:10])) < 0.02e6


@pytest.mark.usefixtures("lossless")
def test_acknowledgements_ride_on_quick_answers_only() -> None:
    quick = simulate(
        linux_traffic(repeat(About(5), up(About(50), About(0.1)), down(About(50), About(0.00005)))), 30, Streams(3)
    )
    slow = simulate(
        linux_traffic(repeat(About(5), up(About(50), About(0.1)), down(About(50), About(0.5)))), 30, Streams(3)
    )
    for number in range(30):
        bare = [(side, flags) for _, side, flags, size, _ in conversation(quick, number) if not size and flags == ACK]
        assert bare.count(("D", ACK)) == 0
        bare = [(side, flags) for _, side, flags, size, _ in conversation(slow, number) if not size and flags == ACK]
        assert bare.count(("D", ACK)) == 5
        assert bare.count(("U", ACK)) in {5 + 2, 5 + 2 - 1}  # two of the handshake and the close; FIN may carry one


@pytest.mark.parametrize("style", sorted(CLOSES))
def test_nothing_follows_the_close(style: str) -> None:
    talk = repeat(About(3), up(About(50), About(0.1)), down(About(9000), About(0.01)))
    packets = simulate(linux_traffic(talk, closes=style), 200, Streams(4))
    script = [("UD"[int(side)], int(flags)) for side, flags, _ in CLOSES[style]]
    for number in range(200):
        seen = [(side, flags) for _, side, flags, *_ in conversation(packets, number)]
        if script:
            assert seen[-1] == script[-1]
            assert [step for step in seen if step[1] & (FIN | RST)] == [
                step for step in script if step[1] & (FIN | RST)
            ]


def test_lost_segments_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOSSY", 1.0)
    monkeypatch.setattr(network, "LOSS", 0.5)
    packets = simulate(linux_traffic(say(up(About(14480), About(0.01))), closes="left_open"), 300, Streams(5))
    total = np.bincount(packets.conversation, weights=packets.payload)
    assert total.min() >= 14480
    assert 1.4 < total.mean() / 14480 < 1.6


@pytest.mark.parametrize("style", sorted(set(OPENS) - set(TALKING)))
def test_failed_connections_say_nothing(style: str) -> None:
    traffic = tcp(
        say(up(About(100), About(0.1))),
        ports=(80,),
        opens={style: 1.0},
    )
    packets = simulate(traffic, 20, Streams(6))
    assert not packets.payload.any()
    assert len(packets.time) == 20 * len(OPENS[style])


def test_about_varies_between_and_within() -> None:
    repeats = np.full(4000, 3)
    value = About(100, 0.5, 0.1).draw(Streams(7), repeats).reshape(-1, 3)
    log = np.log(value / 100)
    assert abs(np.median(log)) < 0.05
    assert abs(log.std() - np.hypot(0.5, 0.1)) < 0.02
    assert abs(log.std(axis=1, ddof=1).mean() / 0.1 - 0.886) < 0.03  # mean of a range of three's sample deviation
    settings = About((1, 10)).draw(Streams(8), repeats)
    assert set(np.unique(settings)) == {1.0, 10.0}
    assert abs((settings == 1).mean() - 0.5) < 0.03
    assert About(100, 2.0, low=50, high=60).draw(Streams(9), repeats).min() == 50


# ---------------------------------------------------------------------------------------------- tools and datasets


def test_tools_behave_as_they_do(flows: tuple[np.ndarray, np.ndarray]) -> None:
    scan = of_class(flows, "PortScan")
    assert (column(scan, "packet_length_max") == 0).mean() > 0.8
    assert len(np.unique(column(scan, "destination_port"))) > 80
    loris = of_class(flows, "DoS slowloris")
    assert np.median(column(loris, "flow_iat_max")) > 10e6
    assert (column(loris, "fwd_packet_length_max") < 350).all()
    hulk = of_class(flows, "DoS Hulk")
    assert np.median(column(hulk, "flow_duration")) < 10e6
    bleed = of_class(flows, "Heartbleed")
    assert np.median(column(bleed, "total_length_of_bwd_packets") / column(bleed, "total_length_of_fwd_packets")) > 50
    ftp = of_class(flows, "FTP-Patator")
    assert set(column(ftp, "destination_port")) == {21, 2121}
    assert (column(ftp, "packet_length_max") < 100).all()
    ssh = of_class(flows, "SSH-Patator")
    assert set(column(ssh, "destination_port")) == {22, 2222}
    assert (column(of_class(flows, "BENIGN"), "destination_port") == 53).mean() > 0.2


def test_duplicates_are_rare(flows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = flows
    assert len(np.unique(x, axis=0)) > 0.97 * len(x)
    others = x[y != SIMULATED_CLASSES.index("PortScan")]
    assert len(np.unique(others, axis=0)) > 0.99 * len(others)


def test_no_single_threshold_gives_a_class_away(flows: tuple[np.ndarray, np.ndarray]) -> None:
    """Balanced accuracy of the best one-sided threshold on each feature, one class against the rest."""
    x, y = flows
    for position, name in enumerate(SIMULATED_CLASSES):
        mine = y == position
        best = 0.0
        for values in np.delete(x, CICIDS2017.index("destination_port"), axis=1).T:
            cuts = np.unique(values)
            inside = np.searchsorted(np.sort(values[mine]), cuts, side="right") / mine.sum()
            outside = np.searchsorted(np.sort(values[~mine]), cuts, side="right") / (~mine).sum()
            best = max(best, float((0.5 + np.abs(inside - outside) / 2).max()))
        assert best < 0.985, name


@pytest.mark.slow
def test_few_shot_forest_is_neither_perfect_nor_lost() -> None:
    from sklearn.ensemble import RandomForestClassifier

    x, y = simulate_flows(dict.fromkeys(SIMULATED_CLASSES, 200), seed=11)
    x = np.delete(x, CICIDS2017.index("destination_port"), axis=1)
    scores = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = np.stack([rng.permutation(np.flatnonzero(y == k)) for k in range(15)])
        train, test = rows[:, :5].ravel(), rows[:, 5:105].ravel()
        forest = RandomForestClassifier(n_estimators=300, random_state=seed).fit(x[train], y[train])
        scores.append(forest.score(x[test], y[test]))
    assert 0.65 < np.mean(scores) < 0.9

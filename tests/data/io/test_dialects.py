"""Tables of other tools and datasets: made up, in each one's documented format, read under this package's names."""

import contextlib
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nids_jax
from nids_jax.data.frames import read_frame
from nids_jax.data.io.dialects import DIALECTS, find_dialect
from nids_jax.data.io.readers import open_table, read_flows
from nids_jax.data.table import FlowTable
from nids_jax.detection.tables import table_pieces
from nids_jax.flows.schema import FEATURES, canonical_name

ZEEK = [
    "#separator \\x09",
    "#set_separator\t,",
    "#empty_field\t(empty)",
    "#unset_field\t-",
    "#path\tconn",
    "#open\t2026-01-02-03-04-05",
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes"
    "\tconn_state\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents",
    "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tstring\tcount\tcount"
    "\tcount\tcount\tset[string]",
]
ZEEK_ROWS = [
    "1767323045.5\tCa1\t10.0.0.1\t4000\t10.0.0.2\t80\ttcp\thttp\t1.25\t100\t2000\tSF\tShADadFf\t6\t412\t5\t2260\t(empty)",
    "1767323046.0\tCa2\t10.0.0.1\t4001\t10.0.0.2\t53\tudp\tdns\t0.5\t40\t80\tSF\tDd\t1\t68\t1\t108\t-",
    "1767323047.0\tCa3\t10.0.0.3\t4002\t10.0.0.2\t22\ttcp\t-\t-\t-\t-\tS0\tS\t1\t60\t0\t0\t-",
    "1767323048.0\tCa4\t10.0.0.3\t8\t10.0.0.2\t0\ticmp\t-\t2.0\t56\t56\tOTH\t-\t2\t112\t2\t112\t-",
]


def read(path: Path, **options: object) -> FlowTable:
    return read_flows(path, progress=False, **options)[0]  # type: ignore[arg-type]


def column(table: FlowTable, name: str) -> list[float]:
    return table.x[:, table.features.index(name)].tolist()


def names(table: FlowTable, name: str) -> list[str]:
    return [table.categories[name][int(code)] for code in column(table, name)]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def labelled(lines: list[str], label: str, values: list[str], between: str) -> list[str]:
    """Rows with a label at their end."""
    return [f"{line}{between}{value}" for line, value in zip(lines, values, strict=True)]


def test_zeek_as_its_own_log_and_as_json_lines_give_the_same_rows(tmp_path: Path):
    labels = ["benign", "benign", "scan", "scan"]
    heading = [line + ("\tlabel" if line.startswith("#fields") else "") for line in ZEEK]
    log = written(tmp_path / "conn.log", [*heading, *labelled(ZEEK_ROWS, "label", labels, "\t"), "#close\t2026"])
    fields = ZEEK[6].split("\t")[1:]
    objects = []
    for line, label in zip(ZEEK_ROWS, labels, strict=True):
        cells = dict(zip(fields, line.split("\t"), strict=True))
        text = ("uid", "id.orig_h", "id.resp_h", "proto", "service", "conn_state", "history")
        known = {k: v if k in text else float(v) for k, v in cells.items() if v not in ("-", "(empty)")}
        objects.append(json.dumps({**known, "label": label}))
    lines = written(tmp_path / "conn.json", objects)
    one, two = read(log), read(lines)
    assert column(one, "flow_duration") == [1_250_000, 500_000, 0, 2_000_000]
    assert column(one, "protocol") == [6, 17, 6, 1]
    assert column(one, "total_length_of_bwd_packets") == [2000, 80, 0, 56]
    assert column(one, "total_fwd_packets") == [6, 1, 1, 2]
    assert column(one, "orig_ip_bytes") == [412, 68, 60, 112]
    assert names(one, "service") == ["http", "dns", "-", "-"]
    assert {"source_ip", "uid", "timestamp", "destination_port"}.isdisjoint(one.features)
    assert [one.classes[code] for code in one.y] == labels
    for feature in one.features:
        assert column(one, feature) == column(two, feature) or names(one, feature) == names(two, feature), feature
    assert "destination_port" in read(log, keep_ports=True).features


def test_flows_of_zeek_are_judged_by_name(tmp_path: Path):
    path = written(tmp_path / "conn.log", [*ZEEK, *ZEEK_ROWS])
    (piece,) = table_pieces(path, ["flow_duration", "protocol", "service"], ["service"])
    assert piece.frame["service"].tolist() == ["http", "dns", "-", "-"]
    assert piece.frame["protocol"].tolist() == [6, 17, 6, 1]
    seen = piece.observed
    assert seen.source_ip is not None
    assert seen.protocol is not None
    assert seen.destination_port is not None
    assert seen.start is not None
    assert seen.source_ip.tolist()[0] == "10.0.0.1"
    assert seen.destination_port.tolist() == [80, 53, 22, 0]
    assert seen.start.tolist()[:2] == [1767323045500000, 1767323046000000]


def test_iot23_asks_which_label_to_learn(tmp_path: Path):
    heading = [line + ("   label   detailed-label" if line.startswith("#fields") else "") for line in ZEEK]
    rows = labelled(ZEEK_ROWS, "", ["Benign   -", "Benign   -", "Malicious   PortScan", "Malicious   C&C"], "   ")
    path = written(tmp_path / "conn.log.labeled", [*heading, *rows])
    with pytest.raises(nids_jax.InputError, match="'Benign' and 'Malicious', and 'detailed-label' beside it; say with"):
        read(path)
    assert read(path, label_column="label").classes == ("Benign", "Malicious")
    assert read(path, label_column="detailed-label").classes == ("C&C", "PortScan")  # the others have none


def test_logs_of_something_else_are_refused_or_passed_over(tmp_path: Path):
    dns = written(tmp_path / "dns.log", ["#separator \\x09", "#path\tdns", "#fields\tts\tquery", "1\ta"])
    with pytest.raises(nids_jax.InputError, match=r"is Zeek's dns\.log; flows stand in conn\.log"):
        read(dns)
    written(tmp_path / "notes.txt", ["what I did"])
    written(tmp_path / "settings.json", ["{}"])
    with gzip.open(tmp_path / "conn.log.gz", "wt") as file:
        file.write("\n".join([*ZEEK, *ZEEK_ROWS, ""]))
    frame = read_frame(tmp_path)
    assert len(frame) == 4
    assert frame["flow_duration"].tolist() == [1_250_000, 500_000, 0, 2_000_000]
    written(tmp_path / "many.json", ["[1]"])
    with pytest.raises(nids_jax.InputError, match="a line"):
        read_frame(tmp_path / "many.json")


def event(number: int, protocol: str, **more: object) -> str:
    flow = {
        "pkts_toserver": 3 + number,
        "pkts_toclient": 2,
        "bytes_toserver": 300,
        "bytes_toclient": 200,
        "start": f"2026-01-02T03:04:0{number}.000000+0100",
        "end": f"2026-01-02T03:04:0{number}.250000+0100",
        "age": 0,
        "state": "closed",
        "reason": "timeout",
        "alerted": False,
    }
    return json.dumps(
        {
            "timestamp": f"2026-01-02T03:05:0{number}.000000+0100",
            "flow_id": 10**15 + number,
            "event_type": "flow",
            "src_ip": "10.0.0.1",
            "src_port": 4000,
            "dest_ip": "10.0.0.2",
            "dest_port": 443,
            "proto": protocol,
            "flow": flow,
            **more,
        }
    )


def test_suricata_flow_events(tmp_path: Path):
    tcp = {"tcp_flags": "1e", "syn": True, "state": "closed"}
    lines = [
        json.dumps({"event_type": "dns", "dns": {"rrname": "a\nb"}}),
        event(0, "TCP", tcp=tcp, app_proto="tls", label="good"),
        event(1, "UDP", label="bad", metadata={"flowbits": ["a", "b"]}),
        event(2, "ICMP", icmp_type=8, icmp_code=0, label="bad"),
        "{broken",
    ]
    path = written(tmp_path / "eve.json", lines)
    table, report = read_flows(path, progress=False)
    assert column(table, "flow_duration") == [250_000] * 3
    assert column(table, "total_fwd_packets") == [3, 4, 5]
    assert column(table, "protocol") == [6, 17, 1]
    assert column(table, "icmp_type") == [-1, -1, 8]
    assert names(table, "tcp_tcp_flags") == ["1e", "-", "-"]
    assert column(table, "flow_bytes_toserver") == [300] * 3  # with headers, so not the payload
    assert {"flow_id", "timestamp", "source_ip", "flow_start"}.isdisjoint(table.features)
    assert report.malformed == 1
    assert "1 events that are no flows are passed over" in str(report)
    assert "flow_pkts_toserver as total_fwd_packets" in str(report)


CSV = {
    "nfstream": (
        "id,src_ip,src_port,dst_ip,dst_port,protocol,bidirectional_first_seen_ms,bidirectional_duration_ms,"
        "bidirectional_packets,src2dst_packets,dst2src_packets,bidirectional_mean_piat_ms,src2dst_max_piat_ms,"
        "bidirectional_syn_packets,src2dst_psh_packets,bidirectional_mean_ps,application_name,label",
        "0,10.0.0.1,4000,10.0.0.2,80,6,1767323045500,1250,11,6,5,12.5,20,2,1,300.5,HTTP,benign",
        {
            "flow_duration": 1_250_000,
            "total_fwd_packets": 6,
            "total_bwd_packets": 5,
            "flow_iat_mean": 12_500,
            "fwd_iat_max": 20_000,
            "syn_flag_count": 2,
            "fwd_psh_flags": 1,
            "protocol": 6,
            "bidirectional_mean_ps": 300.5,
        },
    ),
    "nfdump": (
        "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,label",
        "2026-01-02 03:04:05,2026-01-02 03:04:06,1.250,10.0.0.1,10.0.0.2,4000,80,TCP,.AP.SF,0,0,6,412,5,22,1,2,benign",
        {"flow_duration": 1_250_000, "total_fwd_packets": 6, "total_bwd_packets": 5, "protocol": 6, "ibyt": 412},
    ),
    "nfdump_17": (
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows,label",
        "2026-01-02 03:04:05.000,1.250,UDP,10.0.0.1,4000,10.0.0.2,53,6,412,1,benign",
        {"flow_duration": 1_250_000, "total_fwd_packets": 6, "protocol": 17, "bytes": 412},
    ),
    "argus": (
        "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,TotPkts,SrcPkts,DstPkts,SAppBytes,SrcBytes,Label",
        "2026/01/02 03:04:05.0,1.25,tcp,10.0.0.1,0x0fa0,->,10.0.0.2,80,FIN,11,6,5,100,412,benign",
        {
            "flow_duration": 1_250_000,
            "total_fwd_packets": 6,
            "total_bwd_packets": 5,
            "total_length_of_fwd_packets": 100,
            "srcbytes": 412,
            "protocol": 6,
        },
    ),
    "ciciot2023": (
        "flow_duration,Header_Length,Protocol Type,Duration,Rate,fin_flag_number,Tot sum,IAT,Number,label",
        "0.25,54,6.3,64,3.9,0,567,83343831.9,9.5,DDoS-ICMP_Flood",
        {"flow_duration": 250_000, "protocol_type": 6.3, "rate": 3.9},
    ),
    "edge_iiotset": (
        "frame.time,ip.src_host,ip.dst_host,tcp.dstport,tcp.ack,mqtt.topic,mqtt.len,Attack_type",
        " 2026 3:04:05.1 ,10.0.0.1,10.0.0.2,1883,7,t,5,DDoS_UDP",
        {"tcp_ack": 7, "mqtt_len": 5},
    ),
}


@pytest.mark.parametrize("name", CSV)
def test_tables_of_other_tools(name: str, tmp_path: Path):
    header, row, expected = CSV[name]
    other = row.rpartition(",")[0] + ",another"
    table = read(written(tmp_path / "a.csv", [header, row, other]))
    assert {each: column(table, each)[0] for each in expected} == expected
    assert {"source_ip", "destination_ip", "source_port", "timestamp", "ip_src_host", "frame_time"}.isdisjoint(
        table.features
    )
    frame = pd.read_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    again = read(tmp_path / "a.parquet")
    np.testing.assert_array_equal(again.x, table.x)


def test_unsw_nb15_asks_for_the_label_and_reads_rows_without_an_attack_as_normal(tmp_path: Path):
    header = "id,dur,proto,service,state,spkts,dpkts,sbytes,dbytes,sttl,sinpkt,dinpkt,ct_state_ttl,attack_cat,label"
    rows = ["1,0.5,tcp,-,FIN,6,4,258,172,252,24.5,8.25,0,,0", "2,0.25,udp,dns,INT,2,0,104,0,31,3,0,1,Fuzzers,1"]
    path = written(tmp_path / "training-set.csv", [header, *rows])
    with pytest.raises(nids_jax.InputError, match="only '0' and '1', and 'attack_cat' beside it; say with `label_"):
        read(path)
    table = read(path, label_column="attack_cat")
    assert [table.classes[code] for code in table.y] == ["Normal", "Fuzzers"]
    assert table.benign == "Normal"
    assert column(table, "flow_duration") == [500_000, 250_000]
    assert column(table, "fwd_iat_mean") == [24_500, 3000]
    raw = (
        "59.0.0.1,1390,149.0.0.6,53,udp,CON,0.5,132,164,31,29,0,0,dns,500.5,621.8,2,2,0,0,0,0,66,82,0,0,0,0,1421927414,"
        "1421927414,0.017,0.013,0,0,0,0,0,0,0,0,3,7,1,3,1,1,1,{},{}"
    )
    headless = written(tmp_path / "UNSW-NB15_1.csv", [raw.format("", 0), raw.format(" Exploits ", 1)])
    table = read(headless, label_column="attack_cat")
    assert len(table) == 2
    assert set(table.classes) == {"Normal", "Exploits"}
    assert column(table, "fwd_iat_mean") == [17, 17]


KDD_ROW = "{},{},http,SF,181,5450,0,0,0,0,0,1," + ",".join(["0"] * 10) + ",8,8" + ",0.00" * 16 + ",1.00"


def test_nsl_kdd_without_a_header_with_one_and_as_arff(tmp_path: Path):
    rows = [KDD_ROW.format(2, "tcp"), KDD_ROW.format(0, "udp")]
    assert {len(row.split(",")) for row in rows} == {41}
    full = [f"{row},{label},21" for row, label in zip(rows, ("normal", "neptune"), strict=True)]
    plain = read(written(tmp_path / "KDDTrain+.txt", full))
    assert len(plain.features) == 41
    assert column(plain, "flow_duration") == [2_000_000, 0]
    assert column(plain, "protocol") == [6, 17]
    assert column(plain, "total_length_of_bwd_packets") == [5450, 5450]
    assert "difficulty" not in plain.features
    assert plain.classes == ("neptune", "normal")
    file = open_table(tmp_path / "KDDTrain+.txt")
    header = list(file.header)
    file.close()
    arff = ["@relation 'KDD'"]
    for name in header[:-1]:
        kind = {"protocol": "{'tcp','udp', 'icmp'}", "service": "{'http'}", "flag": "{'SF'}"}.get(name, "real")
        arff.append(f"@attribute '{ {'protocol': 'protocol_type'}.get(name, name) }' {kind}")
    arff[1], arff[5], arff[6] = "@attribute duration real", "@attribute src_bytes real", "@attribute dst_bytes real"
    arff[-1] = "@attribute 'class' {'normal', 'anomaly'}"
    path = written(tmp_path / "a.arff", [*arff, "@data", rows[0] + ",normal", rows[1] + ",anomaly"])
    again = read(path)
    np.testing.assert_array_equal(again.x, plain.x)
    assert again.classes == ("anomaly", "normal")


def test_every_dialect_names_what_the_schema_has_and_its_marks_tell_it():
    known = {feature.name for feature in FEATURES} | {"source_ip", "source_port", "destination_ip", "timestamp"}
    for dialect in DIALECTS:
        assert set(dialect.columns.values()) <= known, dialect.name
        assert set(dialect.factors) <= set(dialect.columns), dialect.name
        assert find_dialect(dialect.marks) is dialect
        assert dialect.identifiers.isdisjoint(dialect.columns), dialect.name
    assert find_dialect([feature.name for feature in FEATURES]) is None
    assert canonical_name("dur") == "dur"  # alone it says nothing of its unit


def test_a_label_of_many_values_is_taken_beside_others_and_one_of_two_is_not(tmp_path: Path):
    rows = [f"{i},{i % 3},x{i % 2}" for i in range(9)]
    assert read(written(tmp_path / "a.csv", ["size,label,type", *rows])).classes == ("0", "1", "2")
    rows = [f"{i},{i % 2},x{i % 3}" for i in range(9)]
    path = written(tmp_path / "b.csv", ["size,label,type", *rows])
    with pytest.raises(nids_jax.InputError, match="'type' beside it"):
        read(path)
    assert read(path, label_column="type").features == ("size",)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["a.log", "a.json", "a.txt"]),
    st.sampled_from([b"", b"#fields\t", b'{"', b"{}\n", b'{"\\ud800": 1}\n']),
    st.binary(),
)
def test_any_bytes_are_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, start: bytes, rest: bytes
):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(start + rest)
    with contextlib.suppress(nids_jax.InputError):
        assert len(read_frame(path).columns)

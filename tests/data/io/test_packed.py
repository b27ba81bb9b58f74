"""Compressed files give what the plain ones give, and damage is one sentence."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nids_jax.compressed import ENDINGS
from nids_jax.data.io.readers import read_flows
from nids_jax.errors import InputError

CSV = b"dur,len,Label\n" + b"".join(b"%d,%d,%s\n" % (i, i * i, b"xy"[i % 2 : i % 2 + 1]) for i in range(5000))
ARFF = b"@relation r\n@attribute dur numeric\n@attribute Label {x,y}\n@data\n1,x\n2,y\n"


def pack(path: Path, content: bytes) -> Path:
    ending = path.suffix
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.csv", content)
    elif ending in (".zst", ".lz4"):
        with pa.CompressedOutputStream(path, {".zst": "zstd", ".lz4": "lz4"}[ending]) as out:
            out.write(content)
    else:
        path.write_bytes({".gz": gzip, ".bz2": bz2, ".xz": lzma}[ending].compress(content))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_rows_as_from_the_plain_file(tmp_path: Path, ending: str):
    (tmp_path / "plain.csv").write_bytes(CSV)
    folder = tmp_path / "packed"
    folder.mkdir()
    pack(folder / f"day.CSV{ending}", CSV)
    plain, _ = read_flows(tmp_path / "plain.csv", progress=False)
    packed, report = read_flows(folder, progress=False)
    np.testing.assert_array_equal(packed.x, plain.x)
    assert packed.counts == plain.counts == {"x": 2500, "y": 2500}
    assert report.read == 5000
    arff, _ = read_flows(pack(tmp_path / f"a.arff{ending}", ARFF), progress=False)
    assert arff.classes == ("x", "y")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_damage_is_one_sentence(tmp_path: Path, ending: str, damage: str):
    if (damage, ending) == ("changed", ".zst"):
        pytest.skip("Zstandard frames need no checksum, and Arrow writes none")
    path = pack(tmp_path / f"a.csv{ending}", CSV)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "changed": whole[:middle]
            + bytes(255 - byte for byte in whole[middle : middle + 40])
            + whole[middle + 40 :],
            "empty": b"",
            "other": CSV,
        }[damage]
    )
    with pytest.raises(InputError) as raised:
        read_flows(path, progress=False)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_archive_of_several_files_and_other_extensions_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("one.csv", CSV)
        archive.writestr("two.csv", CSV)
    with pytest.raises(InputError, match="holds 2 files; unpack it"):
        read_flows(tmp_path / "a.csv.zip", progress=False)
    for name in ("a.parquet.gz", "a.gz", "a.doc.zip"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError, match=r"only .csv, .parquet, .arff, .* are read"):
            read_flows(tmp_path / name, progress=False)

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdvae.runs import files

ARRAYS = {"kl": np.linspace(0, 1, 7, dtype=np.float32), "true_class": np.arange(5)}
VALUES = {"name": "a run", "list": [1, 2.5, None], "nested": {"deep": True}}
flips = st.tuples(st.integers(0, 10**9), st.integers(1, 255))


def flipped(content, flip):
    position, bits = flip[0] % len(content), flip[1]
    return content[:position] + bytes([content[position] ^ bits]) + content[position + 1 :]


def test_a_text_with_bytes_that_are_no_utf_8_is_written(tmp_path):
    files.write(tmp_path / "report.md", "caf\udce9 é")
    assert (tmp_path / "report.md").read_text("utf-8") == r"caf\udce9 é"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.write(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError):
        files.write(path, "new", keep=tmp_path / "kept")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("calls", [0, 1])
def test_a_process_that_dies_before_a_rename_leaves_a_whole_file(tmp_path, calls):
    path, kept = tmp_path / "state", tmp_path / "kept"
    for content in ("one", "two"):
        files.write(path, content, keep=kept)
    code = (
        "import os, pathlib, sys; from tfdvae.runs import files\n"
        "folder, left, replace = pathlib.Path(sys.argv[1]), [int(sys.argv[2])], os.replace\n"
        "def dying(*names):\n"
        "    if not left[0]: os._exit(9)\n"
        "    left[0] -= 1; replace(*names)\n"
        "os.replace = dying\n"
        "files.write(folder / 'state', 'three', keep=folder / 'kept')\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path, str(calls)], cwd=ROOT).returncode == 9
    newest = path if path.exists() else kept
    assert newest.read_text() == "two" and kept.read_text() == ("one" if calls == 0 else "two")
    files.remove_temporaries(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == ({"state", "kept"} if calls == 0 else {"kept"})


def test_what_an_interrupted_write_left_is_removed_and_nothing_else(tmp_path):
    for name in (".last.safetensors.77.tmp", ".run.json.1234.tmp", "notes.tmp", ".hidden", "run.json"):
        (tmp_path / name).write_text("")
    files.remove_temporaries(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"notes.tmp", ".hidden", "run.json"}


def test_reading_is_bounded_and_never_of_anything_but_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read(tmp_path / "file", 5) == b"12345"
    with pytest.raises(files.Damaged, match="5 bytes, and 4 are the most"):
        files.read(tmp_path / "file", 4)
    with pytest.raises(files.Damaged, match="not a regular file"):
        files.read(tmp_path, 10)


def test_sealed_json_round_trip():
    assert files.unsealed(files.sealed(VALUES).encode()) == VALUES
    assert json.loads(files.sealed(VALUES))["name"] == "a run"


@settings(max_examples=300, deadline=None)
@given(flips)
def test_sealed_json_with_a_flipped_byte_is_the_same_or_damaged(flip):
    try:
        values = files.unsealed(flipped(files.sealed(VALUES).encode(), flip))
    except files.Damaged:
        return
    assert values == VALUES  # the flip made one white space another


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_not_sealed_json_is_damaged(content):
    with pytest.raises(files.Damaged):
        files.unsealed(content)


def test_tensors_round_trip(tmp_path):
    arrays = {**ARRAYS, "scalar": np.array(3, np.float32), "empty": np.zeros((0, 2), np.uint32)}
    files.write(tmp_path / "x", files.packed_tensors(arrays, {"epochs": "3"}))
    read, metadata = files.unpacked_tensors(tmp_path / "x")
    assert metadata == {"epochs": "3"} and set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


@settings(max_examples=300, deadline=None)
@given(flips)
def test_tensors_with_a_flipped_byte_are_the_same_or_damaged(tmp_path_factory, flip):
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(flipped(files.packed_tensors(ARRAYS, {"epochs": "3"}), flip))
    try:
        read, metadata = files.unpacked_tensors(path)
    except files.Damaged:
        return
    assert metadata == {"epochs": "3"} and all(np.array_equal(read[name], array) for name, array in ARRAYS.items())


def test_per_image_values_round_trip():
    read = files.unpacked(files.packed(ARRAYS))
    assert set(read) == set(ARRAYS) and all(np.array_equal(read[name], array) for name, array in ARRAYS.items())


def archive_of(name, content):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def npy(shape="(3,)", dtype="'<f4'", data=b"\0" * 12):
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def test_a_plain_array_in_the_hostile_files_below_would_be_read():
    assert files.unpacked(archive_of("kl.npy", npy()))["kl"].tolist() == [0, 0, 0]


class Exploit:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06",
        archive_of("kl.npy", b"no array"),
        archive_of("kl.npy", npy(shape="(10**12,)")),
        archive_of("kl.npy", npy(shape="(1000000000000,)")),
        archive_of("kl.npy", npy(shape="(3, 1)")),
        archive_of("kl.npy", npy(dtype="'|O'")),
        archive_of("kl.npy", npy(dtype="'<U1'")),
    ],
)
def test_hostile_per_image_files_are_damaged(content):
    with pytest.raises(files.Damaged):
        files.unpacked(content)


def test_a_pickle_among_per_image_values_is_not_executed():
    packed = io.BytesIO()
    np.savez(packed, kl=np.array([Exploit()], dtype=object))
    with pytest.raises(files.Damaged):
        files.unpacked(packed.getvalue())


def test_an_archive_that_unpacks_to_more_than_the_limit_is_damaged(monkeypatch):
    monkeypatch.setattr(files, "PACKED_LIMIT", 1000)
    with pytest.raises(files.Damaged, match="larger than"):
        files.unpacked(files.packed({"kl": np.zeros(1000)}))

import msgspec
import pytest

from peer.trainer.notes import FILE, MOST, Key, Notes

KEY = Key(device="NVIDIA H100", memory=80 << 30, run="ab", batch=32)


def test_a_home_remembers(tmp_path):
    notes = Notes(tmp_path, KEY)
    assert notes.read() is None
    notes.write(8)
    assert Notes(tmp_path, KEY).read() == 8
    notes.write(4)
    assert notes.read() == 4
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "change",
    [{"device": "NVIDIA T4"}, {"memory": 1}, {"run": "cd"}, {"batch": 16}, {"cap": 8}, {"ranks": 2}],
)
def test_what_was_found_for_something_else_does_not_count(tmp_path, change):
    Notes(tmp_path, KEY).write(8)
    assert Notes(tmp_path, msgspec.structs.replace(KEY, **change)).read() is None


def test_the_oldest_notes_go(tmp_path):
    for batch in range(1, MOST + 2):
        Notes(tmp_path, msgspec.structs.replace(KEY, batch=batch)).write(1)
    assert Notes(tmp_path, msgspec.structs.replace(KEY, batch=1)).read() is None
    assert Notes(tmp_path, msgspec.structs.replace(KEY, batch=2)).read() == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"notes": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    notes = Notes(tmp_path, KEY)
    assert notes.read() is None
    notes.write(2)
    assert notes.read() == 2


@pytest.mark.parametrize("most", [0, -1, 33])
def test_a_number_that_makes_no_sense_does_not_count(tmp_path, most):
    notes = Notes(tmp_path, KEY)
    notes.write(most)
    assert notes.read() is None


def test_a_disk_that_refuses_costs_only_the_note(tmp_path):
    notes = Notes(tmp_path / "absent", KEY)
    notes.write(8)
    assert notes.read() is None

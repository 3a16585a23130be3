"""Files are whole or absent, and a file of another run is recognised."""

import errno
import io
import os
import zipfile

import numpy as np
import pytest

from convergent import files
from convergent.errors import StudyError
from convergent.tables import read_tables, write_table


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.written_whole(path) as partial:
        partial.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_later_writer_wins_and_clears_up(tmp_path):
    """The first writer stands for a job that outlived its workflow."""
    path = tmp_path / "layer1.npz"
    with pytest.raises(FileNotFoundError), files.written_whole(path) as first:
        first.write_text("first")
        with files.written_whole(path) as second:
            second.write_text("second")
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_files_with_similar_names_are_left_alone(tmp_path):
    with files.written_whole(tmp_path / "layer1.0.npy") as inner:
        inner.write_text("inner")
        with files.written_whole(tmp_path / "layer1.npy") as outer:
            outer.write_text("outer")
            assert (inner.suffix, outer.suffix) == (".npy", ".npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer1.0.npy", "layer1.npy"]


def test_arrays_come_back_with_their_key(tmp_path, generator):
    path = tmp_path / "a.npz"
    content = {"between/net1/net2": generator.normal(size=(3, 4)), "names": np.array(["x", "y"])}
    files.save_arrays(path, "k1", **content)
    found = files.load_arrays(path, "k1")
    assert found.keys() == content.keys()
    np.testing.assert_array_equal(found["between/net1/net2"], content["between/net1/net2"])
    with pytest.raises(StudyError, match=r"a\.npz was made by another run .* delete it"):
        files.load_arrays(path, "k2")


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_damage_is_told(tmp_path, generator, damage):
    path = tmp_path / "a.npz"
    files.save_arrays(path, "k", values=generator.normal(size=1000))
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes({"truncate": content[:-200], "flip": content, "empty": b""}[damage])
    with pytest.raises(StudyError, match=r"a\.npz cannot be read .* delete it"):
        files.load_arrays(path, "k")


def test_no_damage_is_told_in_other_words(tmp_path, generator):
    """Any bit of the two kinds of files that hold arrays may be wrong: one sentence, or what was written."""
    archive, single = tmp_path / "a.npz", tmp_path / "a.npy"
    values = generator.normal(size=8)
    files.save_arrays(archive, "k", values=values)
    np.save(single, values)
    for path, load in (
        (archive, lambda: files.load_arrays(archive)["values"]),
        (single, lambda: files.open_array(single)),
    ):
        content, told = path.read_bytes(), 0
        for place in range(len(content)):
            damaged = bytearray(content)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            try:
                found = load()
            except StudyError as error:
                told += 1
                assert str(path) in str(error) and "\n" not in str(error)
            except KeyError:
                assert path == archive  # the name of the array is another one
            else:
                assert path == single or np.array_equal(found, values)  # an .npy file alone cannot know
        assert told > 20


def test_a_sealed_file_is_as_it_was_written(tmp_path):
    source, path, own = tmp_path / "source.csv", tmp_path / "out" / "a.npy", tmp_path / "own.csv"
    with files.sealed([], [source]), files.written_whole(source) as partial:
        partial.write_text("value\n3\n")
    own.write_text("the user's, without a seal")
    with files.sealed([source, own], [path]), files.written_whole(path) as partial:
        np.save(partial, np.arange(1000))
    content = path.read_bytes()
    for damaged in (content[:-1], content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], b"", content + b"\n"):
        path.write_bytes(damaged)
        with (
            pytest.raises(StudyError, match=r"a\.npy is not as it was written .*: delete it"),
            files.sealed([path], []),
        ):
            raise AssertionError
    path.write_bytes(content)
    files.require_sealed(path)
    source.write_text("value\n8\n")
    with pytest.raises(StudyError, match=r"source\.csv is not as it was written"):
        files.require_sealed(source)
    files.seal_of(path).write_bytes(b"\xff\x00")
    with pytest.raises(StudyError, match=r"a\.npy is not as it was written"):
        files.require_sealed(path)


def test_a_failed_job_leaves_no_valid_seal(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(RuntimeError), files.sealed([], [path]):
        with files.written_whole(path) as partial:
            partial.write_text("x\n")
        raise RuntimeError
    with pytest.raises(StudyError, match="not as it was written"):
        files.require_sealed(path)
    with files.written_whole(path) as partial:  # it is nobody's any more
        partial.write_text("x\n")


@pytest.mark.parametrize("late", [False, True])
def test_of_two_jobs_the_one_that_began_last_wins(tmp_path, late):
    """The job here stands for one that outlived its workflow; the other begins before it writes, or after."""
    path = tmp_path / "a.csv"
    with pytest.raises(StudyError, match=r"a\.csv is written by another run by now"), files.sealed([], [path]):
        for step in ("write", "begin") if late else ("begin", "write"):
            if step == "begin":
                files.seal_of(path).write_text("the name of the other job")
            else:
                with files.written_whole(path) as partial:
                    partial.write_text("late\n")
    assert path.exists() == late
    assert files.seal_of(path).read_text() == "the name of the other job"
    if late:
        with pytest.raises(StudyError, match="not as it was written"):
            files.require_sealed(path)


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "free space"), (errno.EROFS, "make the folder writable")]
)
def test_a_disk_that_takes_nothing_is_told(tmp_path, number, remedy):
    path = tmp_path / "a.csv"
    sentence = rf"a\.csv cannot be written \(.*\): {remedy}.* run the study again"
    with pytest.raises(StudyError, match=sentence), files.written_whole(path) as partial:
        partial.write_text("half")
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_pickled_objects_are_never_loaded(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"run": "me"}], dtype=object), allow_pickle=True)
    with pytest.raises(StudyError, match="cannot be read"):
        files.open_array(path)
    archive = tmp_path / "a.npz"
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as handle:
        handle.writestr("values.npy", buffer.getvalue())
    with pytest.raises(StudyError, match="cannot be read"):
        files.load_arrays(archive)


def test_an_absent_file_is_told(tmp_path):
    for load in (files.load_arrays, files.load_json, files.open_array):
        with pytest.raises(StudyError, match="does not exist"):
            load(tmp_path / "absent")


def test_a_digest_tells_values_types_and_shapes_apart(generator):
    values = generator.normal(size=6)
    digests = {
        files.digest(values),
        files.digest(values.reshape(2, 3)),
        files.digest(values.astype(np.float32)),
        files.digest(values + 1),
        files.digest("a", "b"),
        files.digest("ab"),
        files.digest(["a", "b"]),
    }
    assert len(digests) == 7
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})


def test_tables_keep_every_digit(tmp_path, generator):
    values = generator.normal(size=5)
    for number, value in enumerate(values):
        write_table(tmp_path / f"{number}.csv", ("who", "value"), [{"who": "a, b", "value": value}])
    found = read_tables(tmp_path / f"{number}.csv" for number in range(5))
    assert [float(row["value"]) for row in found] == list(values)
    assert found[0]["who"] == "a, b"


@pytest.mark.parametrize("text", ["a,b\n1,2\n3", "a,b\n1,2,3\n", ""])
def test_rows_that_do_not_fit_the_header_are_told(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(StudyError, match=r"a\.csv cannot be read \((line \d|it is empty)"):
        read_tables([tmp_path / "a.csv"])


def test_a_table_without_rows_has_its_header(tmp_path):
    write_table(tmp_path / "a.csv", ("x", "y"), [])
    assert (tmp_path / "a.csv").read_text() == "x,y\n"
    assert read_tables([tmp_path / "a.csv"]) == []

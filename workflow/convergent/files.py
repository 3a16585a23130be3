"""Files that are either whole or absent, and that know what made them.

A product is written beside its final name and renamed when complete, so that a killed job leaves nothing that looks
finished. It carries a `key`, a digest of everything that went into it; whoever reads it states the key that it
expects. A job that outlives its workflow and finishes late is thereby recognised instead of taken for the new result.

Beside a product lies its seal, a hidden file. While a job is at work it holds the name of that job, afterwards the
SHA-256 digest of the product: whatever changes a single bit is noticed by the next job that reads it, in files of any
format, and of two jobs that write the same file the one that began last wins.
"""

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import numpy as np

from convergent.errors import StudyError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_writers: dict[Path, str] = {}  # what this process has undertaken to write, and under which name


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends without an error.

    What an earlier writer of the same file left unfinished is removed. If that writer is still at work, because its
    workflow was killed without it, it fails when it comes to rename.

    Raises:
        StudyError: the disk is full or read-only, or (see `sealed`) a later job writes this file now.
    """
    path = Path(path)
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(path)
        # The suffix stays last: some writers choose the format by it.
        partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
        yield partial
        require_own(path)
        with open(partial, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.errno in (*NO_ROOM, errno.EROFS):
            raise unwritable(path, error) from error
        raise
    finally:
        if partial:
            partial.unlink(missing_ok=True)


@contextmanager
def sealed(inputs: Iterable[str | Path], outputs: Iterable[str | Path]) -> Iterator[None]:
    """Within the block a job reads inputs, which are as they were written, and writes outputs, which are then sealed.

    Inputs without a seal, such as the user's own files, are taken as they are. If the block fails, so does the job, and
    no output has a valid seal.

    Raises:
        StudyError: an input is not what its seal says; a later job has undertaken to write an output; the disk is full
            or read-only.
    """
    require_sealed(*inputs)
    writer, outputs = uuid.uuid4().hex, [Path(path) for path in outputs]
    try:
        for path in outputs:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                seal_of(path).write_text(writer)
            except OSError as error:
                raise unwritable(path, error) from error
            _writers[path] = writer
        yield
        for path in outputs:
            require_own(path)
            with written_whole(seal_of(path)) as partial:
                partial.write_text(file_digest(path))
    finally:
        for path in outputs:
            _writers.pop(path, None)


def seal_of(path: str | Path) -> Path:
    """Where the seal of a file is."""
    return Path(path).with_name(f".{Path(path).name}.seal")


def require_sealed(*paths: str | Path) -> None:
    """Raise StudyError, naming them all, if there are files with seals that do not fit them."""
    altered = [str(path) for path in paths if Path(path).is_file() and not _fits_seal(path)]
    if altered:
        are, were, them = ("is", "it was", "it") if len(altered) == 1 else ("are", "they were", "them")
        raise StudyError(
            f"{', '.join(altered)} {are} not as {were} written (damaged or edited "
            f"since, or written by another run): delete {them} and run the study again."
        )


def _fits_seal(path: str | Path) -> bool:
    """Whether a file is what its seal says, or has none."""
    try:
        return seal_of(path).read_text() == file_digest(path)
    except FileNotFoundError:
        return True
    except ValueError:  # the seal itself is damaged
        return False


def require_own(path: Path) -> None:
    """Raise StudyError if this process undertook to write a file, but a later one has undertaken it since."""
    if path in _writers and seal_of(path).read_text() != _writers[path]:
        raise StudyError(f"{path} is written by another run by now: leave it to that one.")


def remove_unfinished(path: str | Path) -> None:
    """Remove what writers of `path` left behind when they were killed."""
    path = Path(path)
    for unfinished in path.parent.glob(f".{escape(path.stem)}.{'[0-9a-f]' * 12}{escape(path.suffix)}"):
        unfinished.unlink(missing_ok=True)


def save_json(path: str | Path, content: dict) -> None:
    """Write `content` as indented JSON."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def load_json(path: str | Path, key: str | None = None) -> dict:
    """Read a JSON file and, if `key` is given, refuse one that another run made.

    Raises:
        StudyError: the file is absent, is not JSON, or carries another key.
    """
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    require_key(path, content.get("key"), key)
    return content


def save_arrays(path: str | Path, key: str, **arrays: np.ndarray) -> None:
    """Write named arrays and their key as one uncompressed `.npz` file."""
    with written_whole(path) as partial:
        np.savez(partial, key=np.array(key), **arrays)


def load_arrays(path: str | Path, key: str | None = None) -> dict[str, np.ndarray]:
    """Read the arrays that `save_arrays` wrote; no pickled object is ever loaded.

    Raises:
        StudyError: the file is absent or damaged, or carries another key.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except Exception as error:  # a damaged file makes NumPy raise almost anything
        raise unreadable(path, error) from error
    found = arrays.pop("key", None)
    require_key(path, None if found is None else str(found), key)
    return arrays


def open_array(path: str | Path) -> np.ndarray:
    """Memory-map a `.npy` file for reading.

    Raises:
        StudyError: the file is absent, shorter than its header says, or holds Python objects.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged file makes NumPy raise almost anything
        raise unreadable(path, error) from error


def digest(*parts: object) -> str:
    """Hexadecimal SHA-256 digest of values that JSON can express, and of arrays and bytes."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype.str}{part.shape}".encode())
            part = np.ascontiguousarray(part).tobytes()
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def file_digest(path: str | Path) -> str:
    """Hexadecimal SHA-256 digest of a file's content, read in pieces."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def require_key(path: str | Path, found: str | None, expected: str | None) -> None:
    """Raise StudyError unless the key found in `path` is the expected one (None: any will do)."""
    if expected is not None and found != expected:
        raise StudyError(
            f"{path} was made by another run (its key is {str(found)[:12]}, this study needs {expected[:12]}): "
            "delete it and run the study again."
        )


def unwritable(path: str | Path, error: OSError) -> StudyError:
    """The sentence for a file for which there is no room, or whose disk is read-only."""
    remedy = "free space on the disk" if error.errno in NO_ROOM else "make the folder writable"
    return StudyError(f"{path} cannot be written ({error.strerror or error}): {remedy} and run the study again.")


def unreadable(path: str | Path, error: Exception) -> StudyError:
    """The sentence for a file that is absent or damaged."""
    if isinstance(error, FileNotFoundError):
        return StudyError(f"{path} does not exist: run the study again, it makes what is missing.")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StudyError(f"{path} cannot be read ({reason}): delete it and run the study again.")

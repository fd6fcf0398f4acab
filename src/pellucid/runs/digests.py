"""SHA-256 of the files that a run's numbers rest on: recorded when they are written, held by everyone who reads them.

The digest is recorded before a file takes its place, beside that of the file that stands there, so that a process which
is killed in between leaves a run whose files are all known. Imports no torch.
"""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid.config import write_json
from pellucid.core.errors import InputError
from pellucid.core.files import check_readable, whole_file
from pellucid.core.notes import tell
from pellucid.core.plain_data import read_json

__all__ = ["MARK", "check_digest", "digest_of", "digested_file"]

MARK = {"written_by": "pellucid"}
"""Metadata of a run's weights, which tells a damaged file from one that another program has put in its place."""
CHUNK = 1 << 20


@contextmanager
def digested_file(file: Path, digests: Path) -> Iterator[Path]:
    """Like `pellucid.core.files.whole_file`, for a file of a run directory whose digest is recorded.

    Args:
        file: to write.
        digests: the run's record of them: for each file its digest, and that of the file which it takes the place of.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as run:
    ...     file, digests = Path(run) / "numbers", Path(run) / "digests"
    ...     with digested_file(file, digests) as temporary:
    ...         _ = temporary.write_bytes(b"weights")
    ...     check_digest(file, digests, "train again")
    ...     _ = file.write_bytes(b"weightz")
    ...     check_digest(file, digests, "train again")
    Traceback (most recent call last):
    pellucid.InputError: .../numbers is damaged or was changed: its SHA-256 is 77231fd145ba, 9a129038d9a0 was
    written; train again
    """
    with whole_file(file) as temporary:
        yield temporary
        _record(file, digests, digest_of(temporary))


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_digest(file: Path, digests: Path, remedy: str, *, others: bool = False) -> None:
    """Hold a file of a run directory against its digest.

    Of a run that was made before runs recorded them, that is told and nothing is held. Weights may be those that
    another program has put in the place of a training's, which is told too: a file whose header does not say that
    pellucid wrote it.

    Args:
        file: that is read next; one that is not there passes.
        digests: the run's record of them.
        remedy: what can be done about a damaged one.
        others: whether a safetensors file that another program has put there is accepted.

    Raises:
        InputError: it is not what was written, or is not a file.
    """
    check_readable(file)
    if not file.exists():
        return
    found, written = "", ""
    for _ in range(2):  # once more, as another process may have written the file since the digests were read
        known = _recorded(digests).get(file.name)
        if known is None:
            tell(
                "note: files of runs that an older pellucid made have no digest, so that damage to them may pass unseen"
            )
            return
        found, written = digest_of(file), next(iter(known), "")
        if found in known:
            return
    if others and not _is_marked(file):
        tell(f"note: {file} was replaced by another program; it is used as it is")
        return
    raise InputError(
        f"{file} is damaged or was changed: its SHA-256 is {found[:12]}, {written[:12]} was written; {remedy}"
    )


def _record(file: Path, digests: Path, digest: str) -> None:
    """Add the digest of what is about to take the place of a file."""
    recorded = _recorded(digests)
    known = recorded.get(file.name)
    there = [digest_of(file)] if file.is_file() else []
    kept = [one for one in there if known is None or one in known]  # a damaged file is not made good by its successor
    recorded[file.name] = list(dict.fromkeys([digest, *kept]))
    write_json(recorded, digests)


def _recorded(file: Path) -> dict[str, list[str]]:
    check_readable(file)
    if not file.exists():
        return {}
    remedy = "restore it, or delete it where the run's other files can be trusted"
    recorded = read_json(file, remedy)
    try:
        return {str(name): [str(digest) for digest in known] for name, known in recorded.items()}
    except (AttributeError, TypeError):
        raise InputError(f"{file} must name the digests of each file; {remedy}") from None


def _is_marked(file: Path) -> bool:
    """Whether the header of a safetensors file says that pellucid wrote it, or is no header at all."""
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        whole = 0 < length < file.stat().st_size
        return not whole or b'"written_by":"pellucid"' in opened.read(min(length, CHUNK))

"""Files that are damaged: one bit of what a run's numbers rest on, and everything that any reader reads."""

import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torture_scene import evaluation_words, forked, photographs, training_words

from pellucid import Experiment, fit, load
from pellucid.config import from_config, read_yaml
from pellucid.core.errors import InputError
from pellucid.data import Data, load as load_data
from pellucid.explanation.explained_network import class_names, of_run
from pellucid.explanation.pictures import read as read_picture
from pellucid.models import Network, build
from pellucid.report.gate import check
from pellucid.report.requirement import parse
from pellucid.runs.evaluated import read_run
from pellucid.runs.settings import read_experiment
from pellucid.study.folder import read_manifest, read_study

__all__ = ["bits", "mutations"]

REGIONS = 64
"""Parts of equal length of a file, of each of which bits are flipped."""
LIMIT = 20
"""Seconds that a reader may take."""
HANDLED = (InputError, OSError)
"""What the command line tells in one sentence."""


def scene(root: Path) -> Path:
    """Two measured runs, of which the second is not finished, photographs, and a study."""
    photos = photographs(root / "photos")
    for words in (training_words(Path("run"), photos), evaluation_words(Path("run"))):
        ended = forked(words, root)
        if ended.code:
            raise SystemExit(f"the scene of the damage: {ended.err}")
    shutil.copytree(root / "run", root / "begun")
    (root / "begun" / "model.safetensors").unlink()
    shutil.copytree(root / "run", root / "two")
    ended = forked(["study", "new", "run", "two", "--out=study", "--images=2", "--choose=any", "--practice=0"], root)
    if ended.code:
        raise SystemExit(f"the scene of the damage: {ended.err}")
    return root


def resume(run: Path) -> Any:
    """Finish a training from its last checkpoint."""
    try:
        return fit(read_experiment(run), run, resume=True, accelerator="cpu", progress=False)
    finally:
        (run / "model.safetensors").unlink(missing_ok=True)


def read_rows(run: Path) -> Any:
    """What report and compare read of a run."""
    read = read_run(run)
    return read.rows, read.maps, read.measures, read.training, read.per_sample, read.snapshots, read.environment


def bits(root: Path, *, seconds: float, seed: int = 0) -> list[dict[str, Any]]:
    """Flip bits of weights, checkpoint, rows and maps, in every region of each, and read them.

    Args:
        root: folder of `scene`.
        seconds: that this may take.
        seed: of the bits.

    Returns:
        For each file how many bits of how many regions were flipped, how many were refused, and which were not.
    """
    readers: dict[str, tuple[str, tuple[Callable[[Path], Any], ...]]] = {
        "model.safetensors": ("run", (load, of_run, read_rows)),
        "state.pt": ("begun", (resume,)),
        "rows.parquet": ("run", (read_rows,)),
        "maps.safetensors": ("run", (read_rows,)),
    }
    draws, found = random.Random(f"{seed} bits"), []
    for name, (folder, reading) in readers.items():
        file = root / folder / name
        whole = file.read_bytes()
        began, flipped, refused, passed = time.perf_counter(), 0, 0, []
        places: set[int] = set()
        while time.perf_counter() - began < seconds / len(readers):
            region = flipped % REGIONS
            byte = draws.randrange(region * len(whole) // REGIONS, (region + 1) * len(whole) // REGIONS)
            bit = draws.randrange(8)
            file.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :])
            read = reading[flipped // REGIONS % len(reading)]
            flipped += 1
            places.add(region)
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    read(root / folder)
                passed.append(f"byte {byte}, bit {bit}, {read.__name__}")
            except InputError:
                refused += 1
            if flipped == 4 * REGIONS:
                break
        file.write_bytes(whole)
        found.append(
            {"file": name, "bytes": len(whole), "regions": len(places), "flipped": flipped, "refused": refused,
             "passed": passed, "seconds": round(time.perf_counter() - began, 1)}
        )  # fmt: skip
    return found


Reader = tuple[str, bytes, Callable[[Path], Any]]


def readers(root: Path) -> Iterable[Reader]:
    """Every reader: the name of the file that it reads, what a good one holds, and how it is read where it lies."""
    run = root / "run"
    bare = shutil.copytree(run, root / "bare")
    (bare / "digests.json").unlink()  # so that what stands behind the digests is tried as well
    (bare / "environment.json").write_text((run / "environment.json").read_text())
    begun = shutil.copytree(root / "begun", root / "bare-begun")
    (begun / "digests.json").unlink()
    study = root / "study"

    def inside(folder: Path, name: str, read: Callable[[Path], Any]) -> Reader:
        content = (folder / name).read_bytes()

        def put(file: Path) -> Any:
            (folder / name).write_bytes(file.read_bytes())
            try:
                return read(folder)
            finally:
                (folder / name).write_bytes(content)

        return f"{folder.name}/{name}", content, put

    for name in ("rows.parquet", "maps.safetensors", "train.csv", "q.parquet", "snapshots.safetensors",
                 "environment.json", "experiment.yaml"):  # fmt: skip
        yield inside(bare, name, read_rows)
    yield inside(bare, "model.safetensors", load)
    yield inside(bare, "data.json", load)
    yield inside(run, "digests.json", load)
    yield inside(bare, "evaluation.yaml", of_run)
    yield inside(bare, "extremes.safetensors", lambda folder: read_run(folder).extremes())
    yield inside(begun, "state.pt", resume)
    yield inside(bare, "rows.parquet", lambda folder: check(folder, root / "two", parse("clean_accuracy>=-0.5")))
    yield inside(study, "study.yaml", read_study)
    yield inside(study, "manifest.csv", read_manifest)
    yield "settings.yaml", (run / "experiment.yaml").read_bytes(), lambda file: from_config(read_yaml(file), Experiment)
    yield "classes.txt", b"ant\nbee\ncat\n", class_names
    yield "classes.json", json.dumps({"0": ["n1", "ant"], "1": ["n2", "bee"]}).encode(), class_names
    yield from _weights(root)
    yield from _pictures(root)
    yield from _datasets(root)


def _weights(root: Path) -> Iterable[Reader]:
    weights = (
        build(Network(name="lenet5"), classes=3, shape=(1, 28, 28), mean=(0.0,), std=(1.0,))
        .get_submodule("network")
        .state_dict()
    )
    torch.save(weights, root / "w.pt")
    torch.save({"state_dict": weights, "epoch": 3}, root / "w.ckpt")
    torch.save(weights, root / "w.old.pt", _use_new_zipfile_serialization=False)
    save_file(weights, root / "w.safetensors")
    for name in ("w.pt", "w.ckpt", "w.old.pt", "w.safetensors"):

        def read(file: Path) -> Any:
            return build(
                Network(name="lenet5", weights=str(file), normalize="data"),
                classes=3,
                shape=(1, 28, 28),
                mean=(0.0,),
                std=(1.0,),
            )

        yield name, (root / name).read_bytes(), read


def _pictures(root: Path) -> Iterable[Reader]:
    colours = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for kind in ("png", "jpeg", "gif", "bmp", "webp", "ppm", "tiff"):
        packed = io.BytesIO()
        Image.fromarray(colours).save(packed, kind)
        yield f"picture.{kind}", packed.getvalue(), lambda file: read_picture(str(file), (3, 28, 28))
    packed = io.BytesIO()
    np.save(packed, colours)
    yield "picture.npy", packed.getvalue(), lambda file: read_picture(str(file), (3, 24, 24))
    with contextlib.suppress(ImportError):
        yield "picture.dcm", _dicom(), lambda file: read_picture(str(file), (1, 28, 28))


def _dicom() -> bytes:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["torture"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scan = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    scan.SOPClassUID, scan.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    scan.Rows = scan.Columns = 24
    scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
    scan.BitsAllocated, scan.BitsStored, scan.HighBit, scan.PixelRepresentation = 16, 12, 11, 0
    scan.WindowCenter, scan.WindowWidth = 2000, 4000
    scan.PixelData = np.arange(576, dtype="<u2").tobytes()
    packed = io.BytesIO()
    scan.save_as(packed, enforce_file_format=True)
    return packed.getvalue()


def _datasets(root: Path) -> Iterable[Reader]:
    folder = photographs(root / "damaged-photos")
    some = folder / "train" / "bee" / "03.png"

    def read_folder(file: Path) -> Any:
        some.write_bytes(file.read_bytes())
        data = Data(name="folder", path=str(folder), size=28, channels=1, validation=6)
        return load_data(data, "train").take(range(18)), load_data(data, "validation").take(range(6))

    yield "03.png", some.read_bytes(), read_folder
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["image", "label", "split"])
    writer.writerows(
        [path.relative_to(folder).as_posix(), path.parent.name, path.parts[-3]]
        for path in sorted(folder.rglob("*.png"))
    )

    def read_table(file: Path) -> Any:
        shutil.copy(file, folder / "labels.csv")
        return load_data(
            Data(name="folder", path=str(folder), table=str(folder / "labels.csv"), size=28, channels=1), "train"
        )

    yield "labels.csv", table.getvalue().encode(), read_table


def mutated(content: bytes, draws: random.Random) -> bytes:
    """The content of a file with one kind of damage."""
    size = max(len(content), 1)
    place, length = draws.randrange(size), draws.randint(1, max(1, size // 4))
    end = min(size, place + length)
    match draws.randrange(9):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + content[end:]
        case 2:
            return content[:place] + bytes(end - place) + content[end:]
        case 3:
            return content[:place] + draws.randbytes(end - place) + content[end:]
        case 4:
            return content[:place] + content[place:end] * 2 + content[end:]
        case 5:  # a number of a header that is too large, or negative
            number = struct.pack(draws.choice("<>") + "q", draws.choice([2**62, 2**40, 2**31, -1, 0]))
            place = draws.randrange(min(size, 256))
            return content[:place] + number + content[place + 8 :]
        case 6:
            flipped = bytearray(content or b"\0")
            for _ in range(draws.randint(1, 8)):
                flipped[draws.randrange(len(flipped))] ^= 1 << draws.randrange(8)
            return bytes(flipped)
        case 7:
            swap = {b"0": b"9", b"1": b"-", b"{": b"[", b":": b" ", b"\n": b"\0", b".": b"e", b'"': b"", b",": b",,"}
            old, new = draws.choice(list(swap.items()))
            parts = content.split(old)
            at = draws.randrange(len(parts))
            return old.join(parts[:at]) + new + old.join(parts[at:])
    return draws.randbytes(draws.randrange(2000))


def mutations(root: Path, *, files: int, seconds: float, seed: int = 0) -> list[dict[str, Any]]:
    """Mutate the files of every reader and read them; whatever is no sentence is told.

    Args:
        root: folder of `scene`.
        files: how many are mutated, over all readers.
        seconds: that this may take.
        seed: of the mutations.
    """
    kinds = list(readers(root))
    each, began = -(-files // len(kinds)), time.perf_counter()
    found = []
    for number, (name, content, read) in enumerate(kinds):
        left = (seconds - (time.perf_counter() - began)) / (len(kinds) - number)
        found.append(_of_reader(root, name, content, read, each, left, seed))
    return found


def _of_reader(
    root: Path, name: str, content: bytes, read: Callable[[Path], Any], count: int, seconds: float, seed: int
) -> dict[str, Any]:
    draws, began = random.Random(f"{seed} {name}"), time.perf_counter()
    told = {"read": 0, "refused": 0}
    wrong: list[str] = []
    folder = root / "mutated"
    folder.mkdir(exist_ok=True)
    file = folder / Path(name).name
    file.write_bytes(content)
    if (how := _read_in_time(read, file)) != "read":
        wrong.append(f"{name}, undamaged: {how}")
    tried = 0
    while tried < count and time.perf_counter() - began < seconds:
        tried += 1
        damaged = mutated(content, draws)
        file.write_bytes(damaged)
        how = _read_in_time(read, file)
        if how in told:
            told[how] += 1
        else:
            kept = root.parent / f"kept-{seed}-{len(wrong)}-{Path(name).name}"
            kept.write_bytes(damaged)
            wrong.append(f"{name}, mutation {tried}: {how}")
    return {"reader": name, "tried": tried, **told, "wrong": wrong, "seconds": round(time.perf_counter() - began, 1)}


def _read_in_time(read: Callable[[Path], Any], file: Path) -> str:
    """How reading a file ended: read, refused in a sentence, or what went wrong."""

    def too_long(number: int, frame: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            read(file)
    except TimeoutError:
        return f"took more than {LIMIT} s"
    except HANDLED as error:
        return "refused" if str(error) and "\n" not in str(error) else f"refused, but not in one sentence: {error!r}"
    except Exception as error:
        at = error.__traceback__
        where = ""
        while at is not None:
            if "pellucid" in at.tb_frame.f_code.co_filename:
                where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"
            at = at.tb_next
        return f"{type(error).__name__} at {where}: {' '.join(str(error).split())[:120]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return "read"

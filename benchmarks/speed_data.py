"""Pictures into batches: whether decoding keeps a network waiting, and what a large folder holds in memory.

The pictures are made here, as large as photographs are kept: coloured noise over soft shapes, JPEG of quality 90. A
step's time and that of decoding its images are taken in turn in one thread each, so that their ratio holds on as many
cores as there are, which both share.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from speed import Row, interleaved, row_of

__all__ = ["TRIED", "rows"]

COMMAND = "python benchmarks/speed.py --only data"
SIZES = {96: (500, 375), 224: (500, 375)}
"""Side that a network sees, and width and height of the files."""

FILES, BATCH, MANY = 32, 8, 100_000

TRIED = (
    "Decoding JPEG files at a lower resolution wherever that is enough: from 500 × 375 to 224 pixels no smaller scale "
    "is, and the pixels change; it is the option `--dataset.decoding fast`.",
    "Counting a network's multiplications with torch's FlopCounterMode, to choose its threads: importing what that "
    "needs took 3 s.",
)


def rows(rounds: int = 7) -> list[Row]:
    """Decoding beside a step of ResNet-18 at each size, the first look at a folder, and memory of a large one."""
    import torch

    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory() as name:
        for size, stored in SIZES.items():
            folder = Path(name, str(size))
            files = written(folder, FILES, stored)
            fast = decoding(files, size, fast=True)
            works: dict[str, Callable[[], object]] = {"step": step(size), "decode": decoding(files, size), "fast": fast}
            works |= {"look": looking(files, reduced=True), "look in full": looking(files, reduced=False)}
            times = interleaved(works, rounds=rounds)
            share = [decode / FILES * BATCH / one for decode, one in zip(times["decode"], times["step"], strict=True)]
            what = f"{stored[0]} × {stored[1]} JPEG files to {size} px"
            found += [
                row_of(
                    share, what=f"decoding {what}, as a share of a training step of ResNet-18 on the same images",
                    target=1.0, unit="×", command=COMMAND, note="Regular training, which is the cheapest step.",
                ),
                row_of(
                    [FILES / one for one in times["decode"]], what=f"decoding {what}, on one core", target=None,
                    unit="images/s", better="higher", command=COMMAND,
                ),
                row_of(
                    [fast / exact for fast, exact in zip(times["fast"], times["decode"], strict=True)],
                    what=f"decoding {what} with `--dataset.decoding fast`, beside exact", target=None, unit="×",
                    command=COMMAND,
                ),
                row_of(
                    [few / full for few, full in zip(times["look"], times["look in full"], strict=True)],
                    what=f"first look at {stored[0]} × {stored[1]} JPEG files, beside decoding them whole", target=None,
                    unit="×", command=COMMAND, note="Every file is read to its end once, so that damage is found.",
                ),
            ]  # fmt: skip
        with many(Path(name, "many"), MANY) as folder:
            found.append(
                row_of(
                    [memory(folder)], what=f"memory of a training on a folder of {MANY:,} images, beyond one of 100",
                    target=400.0, unit="MB", command=COMMAND, note="Files of 8 × 8 pixels, resized to 224.",
                )
            )  # fmt: skip
    return found


def written(folder: Path, count: int, stored: tuple[int, int]) -> list[str]:
    """So many JPEG files of coloured noise over soft shapes."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(0)
    files = []
    for number in range(count):
        soft = Image.fromarray(draws.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
            stored, Image.Resampling.BICUBIC
        )
        noisy = np.asarray(soft, dtype=float) + draws.normal(0, 8, (stored[1], stored[0], 3))
        files.append(str(folder / f"{number}.jpg"))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(files[-1], quality=90)
    return files


def step(size: int) -> Callable[[], None]:
    """A step of regular training of ResNet-18 with the stem of photographs, the cheaper one."""
    import torch
    import torch.nn.functional as F

    from pellucid.models import Network, build

    moments = (0.5, 0.5, 0.5)
    model = build(Network(name="resnet18-224"), classes=10, shape=(3, size, size), mean=moments, std=moments).train()
    x, y = torch.rand(BATCH, 3, size, size), torch.arange(BATCH) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def work() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return work


def decoding(files: list[str], size: int, *, fast: bool = False) -> Callable[[], None]:
    """All files, as a training decodes them."""
    from pellucid.data.content import opened_file
    from pellucid.data.decoding import pixels

    def work() -> None:
        for file in files:
            picture = opened_file(file)[0]
            if fast and isinstance(picture, Image.Image):
                picture.draft(None, (size, size))
            pixels(picture, size=size, channels=3, where=file)

    return work


def looking(files: list[str], *, reduced: bool) -> Callable[[], None]:
    """The first look at every file."""
    from pellucid.data.headers import looked_through

    def work() -> None:
        for file in files:
            looked_through(file, 3, reduced=reduced)

    return work


@contextmanager
def many(folder: Path, count: int) -> Iterator[Path]:
    """A folder of so many small pictures of two classes, and a folder ``few`` of 100 beside it."""
    for name, number in (("few", 100), ("all", count)):
        for label in ("a", "b"):
            (folder / name / label).mkdir(parents=True)
        for i in range(number):
            picture = Image.fromarray(np.full((8, 8, 3), i % 256, dtype=np.uint8))
            picture.save(folder / name / "ab"[i % 2] / f"{i}.bmp")
    yield folder


def memory(folder: Path) -> float:
    """Megabytes that streaming some batches of the large folder takes beyond those of the small one, at their most."""
    program = (
        "import sys, resource\n"
        "from pellucid import Data\n"
        "from pellucid.data import Loader, load\n"
        "import pellucid.data.dataset as held\n"
        "held.FITS = 0\n"
        "data = load(Data(name='folder', path=sys.argv[1], size=224), 'train')\n"
        "loader = Loader(data, batch_size=16, shuffle=True, seed=0, drop_last=True, workers=0)\n"
        "batches = loader.epoch(0)\n"
        "_ = [next(batches) for _ in range(3)]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    small, large = (
        float(subprocess.run([sys.executable, "-c", program, folder / name], check=True, capture_output=True).stdout)
        for name in ("few", "all")
    )
    return large - small

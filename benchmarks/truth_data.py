"""How many images of each set of ground truth are made in a second on one core.

    python benchmarks/truth_data.py [--path FOLDER]      about a minute; prints a table

Each set's training images (default size) are made in blocks of 1 000, once to warm up, which draws every sprite and
reads the pictures, then ``--blocks`` times; the median block counts, in CPU seconds of this process, so that other work
on the machine slows it as little as can be. ``--path`` is an image folder for the colour composite, whose time includes
decoding its images. Reading 20 000 images back from the cache, digest and all, is timed in wall-clock seconds.

Measured on one core of a two-core virtual machine that also trained networks (the image folder: JPEG, 32 px); the goal
is 5 000.

MEASURED
"""

import argparse
import statistics
import time
from os import environ

environ["OMP_NUM_THREADS"] = "1"

from pellucid.core.randomness import StepDraws
from pellucid.data import Data, load
from pellucid.data.config import TRUTH
from pellucid.data.truth.made import BLOCK, Chance
from pellucid.data.truth.reading import recipe

NEEDS_PATH = "truth:composite-colour"


def rate(data: Data, blocks: int) -> float:
    """Images a CPU second, of the median block."""
    made = recipe(data, "train")
    seconds = []
    for number in range(blocks + 1):
        start = time.process_time()
        made.block(BLOCK, Chance(StepDraws(seed=0, step=number)), details=False)
        seconds.append(time.process_time() - start)
    return BLOCK / statistics.median(seconds[1:])


def reading(data: Data) -> float:
    """Seconds to read the training images back from the cache."""
    load(data, "train")
    start = time.perf_counter()
    load(data, "train")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=5, help="blocks of 1 000 images that are timed")
    parser.add_argument("--path", help="an image folder, for the colour composite")
    chosen = parser.parse_args()
    print(f"{'set':<24} {'images / CPU s':>14} {'read back, s':>13}")
    for name in TRUTH:
        if name != NEEDS_PATH or chosen.path:
            data = Data(name=name, path=chosen.path if name == NEEDS_PATH else None)
            speed = rate(data, chosen.blocks)
            print(f"{name:<24} {speed:>14,.0f} {reading(data):>13.2f}", flush=True)


if __name__ == "__main__":
    main()

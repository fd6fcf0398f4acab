"""What a person asks of a leaderboard. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pellucid.core.checks import at_least
from pellucid.papers.plan import SCALES, known, slug, source

__all__ = ["BOARDS", "FAMILIES", "OWN_PICTURES", "PAGES", "TRUTH_BOARDS", "Family", "Leaderboard"]

Family = Literal["grey", "colour", "colour-96"]
FAMILIES: dict[str, Family] = {
    "fashion-mnist": "grey", "truth:beside": "grey", "truth:shapes": "colour", "cifar10": "colour",
    "imagenette": "colour-96",
}  # fmt: skip
"""The boards, and whose settings each of them has: those that a search found on the truth set of its family."""
BOARDS = tuple(FAMILIES)
TRUTH_BOARDS = tuple(name for name in FAMILIES if name.startswith("truth:"))
"""Those of which it is known what decides the class."""
OWN_PICTURES = ("cifar10", "imagenette")
"""Those whose pictures lie in a folder that is named with ``path``."""
PAGES = ("measures", "cards", "sentences")
"""Pages over several boards: which measure tells the truth, what the trust card's words are worth, and what
became of the predictions."""
SEEDS: dict[Family, int] = {"grey": 5, "colour": 3, "colour-96": 3}


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Which leaderboard is made, or for which one settings are searched.

    Args:
        name: one of `BOARDS`, or of `PAGES`, which are made of what boards have measured.
        seeds: number of trainings of each entry, with the seeds 1, 2, and so on. By default: 5 on grey images, 3 on
            colour ones. A search uses seeds of its own, from 101.
        scale: ``cpu``, or ``smoke``, which shows in seconds that everything runs.
        path: folder of the images, for ``cifar10`` and ``imagenette``, and for ``sentences`` about one of them.
        only: names of the entries to train and report; by default all that suit the board's images. Regular training is
            always among them. Rows that the table has of other entries stay.
        jobs: number of trainings at once, each with its share of the cores. None: one on each free core if the networks
            are so small that this is faster, otherwise one.
        out: folder of the run directories.
        results: folder of the tables.

    Raises:
        InputError: an unknown board or scale, or fewer than one seed or job.

    >>> Leaderboard(name="truth:beside").file.as_posix()
    'results/leaderboard-truth-beside'
    """

    name: str
    seeds: int | None = None
    scale: Literal["smoke", "cpu"] = "cpu"
    path: str | None = None
    only: tuple[str, ...] = ()
    jobs: int | None = None
    out: Path = Path("runs/leaderboard")
    results: Path = Path("results")

    def __post_init__(self) -> None:
        known("board", self.name, (*BOARDS, *PAGES))
        known("scale of a leaderboard", self.scale, SCALES[:2])
        at_least(1, seeds=self.seeds, jobs=self.jobs)

    @property
    def truth(self) -> bool:
        """Whether it is known of the board's images what decides their class."""
        return self.name.startswith("truth:")

    @property
    def family(self) -> Family:
        """Whose settings the board has."""
        return FAMILIES[self.name]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seeds that test: 1, 2, and so on."""
        return tuple(range(1, 1 + (self.seeds or SEEDS[self.family])))

    @property
    def where(self) -> str:
        """The images, and the scale where it is not the usual one, as folders and files are named."""
        return slug(source(self.name, self.path)) + ("-smoke" if self.scale == "smoke" else "")

    def named(self, page: str) -> str:
        """The name of a page over several boards, with the scale where it is not the usual one."""
        return f"{page}-smoke" if self.scale == "smoke" else page

    @property
    def file(self) -> Path:
        """The table without its ending."""
        return self.results / f"leaderboard-{self.where}"

    @property
    def command(self) -> str:
        """The command line that makes it again, without a path of this machine."""
        parts = [f"pellucid leaderboard {self.name}", f"--seeds {len(self.numbers)}"]
        parts += ["--path PATH"] * bool(self.path) + [f"--only {','.join(self.only)}"] * bool(self.only)
        parts += ["--scale smoke"] * (self.scale == "smoke") + [f"--jobs {self.jobs}"] * ((self.jobs or 1) > 1)
        return " ".join(parts)

"""The directory of a run: its file names, and what has been done in it.

No other module spells a file's name. Imports no torch.
"""

import re
from pathlib import Path

from pellucid.core.files import remove_left
from pellucid.runs.facts import DataFacts, read_facts

__all__ = ["RunDirectory"]


class RunDirectory:
    """Where the files of a run are, whether they exist yet or not, and how far the run is.

    Args:
        path: the directory.

    Attributes:
        path: the directory.
        experiment: the settings, YAML.
        environment: versions, device, commit and command, JSON.
        data: what is known of the training images, JSON; see `facts`.
        training: one row of losses and scores per epoch, CSV.
        checkpoint: everything that resuming needs, PyTorch's format; the only file that needs torch to be read.
        weights: the trained network, safetensors; it is there once training is finished.
        snapshots: maps of a few fixed images after some epochs, safetensors.
        logs: folder of Fabric's loggers.
        evaluation: what was measured and how, YAML.
        maps: images and heatmaps of the gallery, safetensors.
        rows: one row per measured image, Parquet; it is there once evaluation is finished.
        digests: SHA-256 of weights, checkpoint, rows and maps, JSON; see `digests`.
        earlier: folder of what earlier evaluations have measured; see `earlier`.
        lock: held by the process that works on the run.

    >>> RunDirectory("runs/scaat").weights.as_posix()
    'runs/scaat/model.safetensors'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.experiment = self.path / "experiment.yaml"
        self.environment = self.path / "environment.json"
        self.data = self.path / "data.json"
        self.training = self.path / "train.csv"
        self.checkpoint = self.path / "state.pt"
        self.weights = self.path / "model.safetensors"
        self.snapshots = self.path / "snapshots.safetensors"
        self.logs = self.path / "log"
        self.evaluation = self.path / "evaluation.yaml"
        self.maps = self.path / "maps.safetensors"
        self.rows = self.path / "rows.parquet"
        self.digests = self.path / "digests.json"
        self.earlier = self.path / "earlier"
        self.lock = self.path / ".lock"

    def sample_numbers(self, name: str) -> Path:
        """Numbers ``name`` of every training image by epoch, which the method's state keeps: ``q.parquet`` of SCAAT."""
        return self.path / f"{name}.parquet"

    def extremes(self, name: str) -> Path:
        """The training images with the smallest and the largest of the numbers ``name``."""
        return self.path / ("extremes.safetensors" if name == "q" else f"extremes-{name}.safetensors")

    def predictions(self, split: str) -> Path:
        """What the network says of every image of a split."""
        return self.path / f"predictions-{split}.parquet"

    def parts(self, key: str) -> Path:
        """Folder of the rows that an evaluation has measured so far, by the key of its settings and weights."""
        return self.path / f".rows-{key}"

    @property
    def all_parts(self) -> list[Path]:
        """The folders of all evaluations that were interrupted."""
        return sorted(folder for folder in self.path.glob(".rows-*") if folder.is_dir())

    @property
    def sample_names(self) -> list[str]:
        """Names of the numbers for which `sample_numbers` has a file."""
        files = sorted(self.path.glob("*.parquet"))
        return [file.stem for file in files if file.stem.isidentifier() and file != self.rows]

    @property
    def meant(self) -> str:
        """Run directories that lie in this folder, asked as a question; empty for none."""
        inner = sorted(found.parent for found in self.path.glob(f"*/{self.experiment.name}"))
        return f"did you mean {' or '.join(map(str, inner[:3]))}?" if inner else ""

    @property
    def is_begun(self) -> bool:
        """Whether there is something to resume, or a trained network."""
        return self.checkpoint.exists() or self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether the network is trained."""
        return self.weights.exists()

    @property
    def is_evaluated(self) -> bool:
        """Whether the network is measured."""
        return self.rows.exists()

    @property
    def facts(self) -> DataFacts | None:
        """What the run recorded of its training images; None for a run made before runs did so.

        Raises:
            InputError: the file is not what training wrote.
        """
        return read_facts(self.data) if self.data.exists() else None

    @property
    def foreign(self) -> list[str]:
        """Names of files that no training leaves before its first checkpoint; hidden ones do not count."""
        left = {self.experiment, self.environment, self.data, self.training, self.snapshots, self.digests, self.logs}
        if self.experiment.exists():
            left |= {self.sample_numbers(name) for name in self.sample_names}
        return [file.name for file in self.path.glob("[!.]*") if file not in left]

    def remove_left(self) -> None:
        """Remove what a killed process has left of the files that it was writing; only who holds the run may do so."""
        remove_left(self.path)
        remove_left(self.earlier)
        for folder in self.all_parts:
            remove_left(folder)
        for file in self.path.glob(".*"):  # as earlier versions named them
            of = re.fullmatch(r"\.(.+)-[a-z0-9_]{8}(\.[a-z]+)", file.name)
            if of is not None and file.is_file() and self._is_ours("".join(of.groups())):
                file.unlink()

    def _is_ours(self, name: str) -> bool:
        """Whether a file of this name is one that training or evaluation writes."""
        known = [self.experiment, self.environment, self.data, self.training, self.checkpoint, self.weights]
        known += [self.snapshots, self.evaluation, self.maps, self.rows]
        return name in {file.name for file in known} or name.endswith(".parquet") or name.startswith("extremes")

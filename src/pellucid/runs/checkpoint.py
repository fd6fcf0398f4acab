"""How far a training is: its losses so far, its log, and everything that resuming needs."""

import dataclasses
import io
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pellucid.config import write_json, write_yaml
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.spreadsheet import write_table
from pellucid.core.torch_files import read_torch_file, reason_of
from pellucid.data import Dataset
from pellucid.methods.method import sample_numbers
from pellucid.methods.objective import Objective
from pellucid.runs.digests import MARK, check_digest, digested_file
from pellucid.runs.directory import RunDirectory
from pellucid.runs.environment import tell_changed_machine
from pellucid.runs.facts import DataFacts
from pellucid.runs.observations import write_extremes, write_snapshot
from pellucid.runs.per_sample import append_epoch
from pellucid.runs.provenance import begun, ended
from pellucid.runs.selection import Selection
from pellucid.runs.settings import Experiment, count_parameters

if TYPE_CHECKING:  # a third of the time that it takes to import what explains a picture
    from pellucid.runs.fabric import Fabric

__all__ = ["Checkpoint", "weights_content", "write_beginning", "write_rows", "write_weights"]

GREATEST = 1e12
"""A loss, or a sum of all weights, beyond which a training has come apart, though float32 still holds the number."""
EPOCHS_WITH_NUMBERS = 20  # numbers of every training image are written for at most about so many epochs of a run


def write_beginning(
    directory: RunDirectory, experiment: Experiment, facts: DataFacts, model: nn.Module, fabric: "Fabric"
) -> None:
    """Write what a run is: its settings, the machine, what is known of its images.

    Args:
        directory: of the run.
        experiment: what is trained.
        facts: what is known of the training images.
        model: the network.
        fabric: of this process.
    """
    directory.environment.unlink(missing_ok=True)  # of a training that was killed before its first checkpoint
    begun(directory, "training", fabric.device, processes=fabric.world_size, parameters=count_parameters(model))
    write_json(dataclasses.asdict(facts), directory.data)
    write_yaml(experiment, directory.experiment)


def write_rows(directory: RunDirectory, rows: list[dict[str, Any]]) -> None:
    """Write the log, one row an epoch; of no epoch its first columns alone."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["epoch", "step", "seconds"]
    with whole_file(directory.training) as temporary, temporary.open("w", newline="") as file:
        write_table(file, names, rows)


def write_weights(directory: RunDirectory, weights: Mapping[str, Tensor]) -> None:
    """Write the weights of a finished run."""
    with digested_file(directory.weights, directory.digests) as temporary:
        temporary.write_bytes(weights_content(weights))


def weights_content(weights: Mapping[str, Tensor], *, layers: str | None = None) -> bytes:
    """What the file of a run's weights holds: the tensors in the safetensors format, marked as ours.

    Args:
        weights: by name.
        layers: of a network that was given as a Python object, what tells it from another with the same weights.
    """
    # Cloned, since safetensors refuses weights that share memory, as tied ones do.
    content = save({name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}, metadata=MARK)
    if layers is None:
        return content
    # safetensors writes several marks in any order, and the same network must have the same file.
    length = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + length])
    head["__metadata__"]["pellucid.layers"] = layers
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


class Checkpoint:
    """How far a training is, and the files of the run directory that say so.

    Settings, environment and facts of the data are written after the first step; the log, the numbers of every training
    image and the checkpoint at the end of every epoch, the last also in between when a signal arrives.

    Args:
        fabric: of this process.
        experiment: what is trained.
        directory: of the run.
        facts: what is known of the training images.
        objective: network, method and state, whose step count goes with the checkpoint.
        optimizer: of the objective.
        schedule: of the optimizer.
        snapshots: epochs between two snapshots of the maps; 0 for none.
        watched: split whose first images, one a class, the snapshots are of.
        average: of the network's weights, which is validated and saved in the network's place; None for none.
        selection: of the epoch whose weights are saved; None for the last.
    """

    def __init__(
        self,
        fabric: "Fabric",
        experiment: Experiment,
        directory: RunDirectory,
        facts: DataFacts,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        *,
        snapshots: int,
        watched: Dataset,
        average: AveragedModel | None = None,
        selection: Selection | None = None,
    ) -> None:
        self.fabric, self.experiment, self.directory, self.facts = fabric, experiment, directory, facts
        self.objective, self.optimizer, self.schedule = objective, optimizer, schedule
        self.snapshots, self.watched = snapshots, watched
        self.average, self.selection = average, selection
        self.epoch = 0
        self.batch = 0
        self.seconds = 0.0
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.rows: list[dict[str, Any]] = []
        self.is_new = not directory.checkpoint.exists()

    def begin(self) -> None:
        """Write what the run is, before its first checkpoint."""
        self.is_new = False
        if self.fabric.is_global_zero:
            write_beginning(self.directory, self.experiment, self.facts, self.objective.model, self.fabric)

    @property
    def network(self) -> nn.Module:
        """What is validated, drawn in snapshots and saved: the network, or the average of its weights."""
        return self.objective.model if self.average is None else self.average.module

    @property
    def is_over(self) -> bool:
        """Whether all epochs are trained, or the patience is at its end."""
        return self.epoch >= self.experiment.epochs or (self.selection is not None and self.selection.is_over)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Count one step and its losses."""
        self.batch += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=value.device)) + value.detach().float()
            self.counts[name] = self.counts.get(name, 0) + 1

    def check_finite(self) -> float:
        """The epoch's mean loss so far; raises in every process where it is not a number in any."""
        loss = self._over_processes("loss")
        self._refuse(loss, "loss")
        return loss

    def _refuse(self, value: float, what: str) -> None:
        if not abs(value) <= GREATEST:
            kept = "; the last checkpoint is kept" if self.directory.checkpoint.exists() else ""
            raise InputError(
                f"the {what} became {value:.3g} in epoch {self.epoch + 1} of {self.directory.path}; lower "
                f"optimizer.lr or the method's weight{kept}"
            )

    def end_epoch(self, scores: dict[str, float]) -> None:
        """Write everything that an epoch leaves.

        Args:
            scores: on the validation images.
        """
        self._refuse(scores.get("validation_loss", 0.0), "validation loss")
        means = {name: self._over_processes(name) for name in self.sums}
        lr = max(self.schedule.get_last_lr())
        best: dict[str, float] = {}
        if self.selection is not None:
            self.selection.see(self.epoch, scores, self.network)
            best = {"best_epoch": cast(int, self.selection.epoch)}
        step = (self.epoch + 1) * self.batch
        progress: dict[str, float] = {"epoch": self.epoch, "step": step, "seconds": round(self.seconds, 3)}
        self.rows.append(progress | means | scores | {"lr": lr} | best)
        self.epoch, self.batch, self.seconds, self.sums, self.counts = self.epoch + 1, 0, 0.0, {}, {}
        if self.fabric.is_global_zero:
            write_rows(self.directory, self.rows)
            if self._is_due(math.ceil(self.experiment.epochs / EPOCHS_WITH_NUMBERS)):
                for name, values in self.sample_numbers().items():
                    append_epoch(self.directory.sample_numbers(name), self.epoch - 1, values.numpy())
            if self.snapshots and self._is_due(self.snapshots):
                write_snapshot(self.directory, self.epoch - 1, self.network, self.watched)
        self.log(means | scores | {"lr": float(lr), "seconds": progress["seconds"]}, step)
        self.save()

    def _is_due(self, every: int) -> bool:
        return self.epoch % every == 0 or self.is_over

    def sample_numbers(self) -> dict[str, Tensor]:
        """What the method's state says of every training image, by name; (num_samples,) on the CPU."""
        return sample_numbers(self.objective.state, self.facts.images)

    def finish(self, train: Dataset) -> None:
        """Write what a finished training leaves, the weights last.

        Args:
            train: the training images.
        """
        write_extremes(self.directory, self.sample_numbers(), train)
        kept = None if self.selection is None else self.selection.weights
        ended(self.directory)
        write_weights(self.directory, self.network.state_dict() if kept is None else kept)

    def log(self, numbers: dict[str, float], step: int) -> None:
        """Hand numbers to Fabric's loggers, where there are any."""
        self.fabric.log_dict(numbers, step=step)
        for logger in self.fabric.loggers:
            logger.save()

    def _over_processes(self, name: str) -> float:
        mean = self.sums[name] / self.counts[name]
        return float(cast(Tensor, self.fabric.all_reduce(mean, reduce_op="mean")).item())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; no process goes on before it is there."""
        self._refuse(sum(value.detach().sum().item() for value in self.objective.model.parameters()), "sum of weights")
        for name, value in self.sums.items():
            self.sums[name] = cast(Tensor, self.fabric.all_reduce(value, reduce_op="mean"))
        if self.fabric.is_global_zero:
            self._write_state()
        self.fabric.barrier()

    def _write_state(self) -> None:
        state = {
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "seconds": self.seconds,
            "sums": self.sums,
            "counts": self.counts,
            "rows": self.rows,
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.selection is not None:
            state["selection"] = self.selection.state_dict()
        content = io.BytesIO()  # so that a full disk is an OSError, not one of torch's own errors
        torch.save(state, content)
        with digested_file(self.directory.checkpoint, self.directory.digests) as temporary:
            temporary.write_bytes(content.getbuffer())

    def restore(self) -> None:
        """Continue where the checkpoint stands, if there is one.

        Raises:
            InputError: the checkpoint is damaged, of another experiment, or was made with other training images.
        """
        file = self.directory.checkpoint
        if not file.exists():
            return
        check_digest(file, self.directory.digests, "restore it, or train into another folder")
        recorded = self.directory.facts
        if recorded is not None:
            recorded.check_unchanged(self.facts, self.directory.path)
        tell_changed_machine(self.directory.environment, self.fabric.device, "goes on")
        try:
            # On the CPU: the optimizer keeps its step counts where it finds them, and reads them at every step.
            state = read_torch_file(file)
            self.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.fabric.strategy.precision.load_state_dict(state["precision"])
            self.epoch, self.batch, self.seconds = state["epoch"], state["batch"], state["seconds"]
            self.sums = {name: value.to(self.fabric.device) for name, value in state["sums"].items()}
            self.counts, self.rows = state["counts"], state["rows"]
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            if self.selection is not None:
                self.selection.load_state_dict(state["selection"])
        except InputError:
            raise
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, OSError) as error:
            reason = " ".join(reason_of(error).split())[:200]
            raise InputError(f"{file} is not a checkpoint of this experiment: {reason}") from None
        if self.fabric.is_global_zero:
            begun(self.directory, "resumed training", self.fabric.device, processes=self.fabric.world_size)

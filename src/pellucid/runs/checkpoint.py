"""Where a training run stands: its checkpoint, its log, the course of q."""

import csv
import io
import math
import pickle
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pellucid.config import write_json, write_yaml
from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.core.modes import evaluating
from pellucid.data import Dataset
from pellucid.methods.adaptive_q import AdaptiveQ
from pellucid.methods.objective import Objective
from pellucid.runs.environment import environment
from pellucid.runs.settings import Experiment, count_parameters
from pellucid.saliency import VanillaGradient, heatmap

__all__ = ["Session"]

Q_SNAPSHOTS = 20  # q of every sample is written for at most about so many epochs of a run
SNAPSHOT_IMAGES = 4
EXTREMES = 8  # training images kept for the smallest q, and for the largest


class Session:
    """Where a run stands, and the files that say so.

    ``experiment.yaml`` and ``environment.json`` are written after the first step, ``train.csv``, ``q.parquet`` and the
    checkpoint ``state.pt`` at the end of every epoch, the last also in between when a signal arrives. On request
    ``snapshots.safetensors`` holds the maps of a few fixed images after some epochs: images, label, epoch, and for each
    epoch prediction and heatmap.

    Args:
        fabric: of this process.
        experiment: what is trained.
        run: the run directory.
        objective: network, method and state, whose step count goes with the checkpoint.
        optimizer: of the objective.
        schedule: of the optimizer.
        snapshots: epochs between two snapshots of the maps; 0 for none.
        watched: split whose first images, one a class, the snapshots are of.
    """

    def __init__(
        self,
        fabric: Fabric,
        experiment: Experiment,
        run: Path,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        *,
        snapshots: int = 0,
        watched: Dataset | None = None,
    ) -> None:
        self.fabric, self.experiment, self.run = fabric, experiment, run
        self.objective, self.optimizer, self.schedule = objective, optimizer, schedule
        self.snapshots, self.watched = snapshots, watched
        self.epoch = 0
        self.batch = 0
        self.seconds = 0.0
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.rows: list[dict[str, Any]] = []
        self.is_new = not (run / "state.pt").exists()
        self.every = math.ceil(experiment.epochs / Q_SNAPSHOTS)

    def begin(self) -> None:
        """Write what the run is, before its first checkpoint."""
        self.is_new = False
        if self.fabric.is_global_zero:
            facts = environment(self.fabric.device, processes=self.fabric.world_size)
            write_json(facts | {"parameters": count_parameters(self.objective.model)}, self.run / "environment.json")
            write_yaml(self.experiment, self.run / "experiment.yaml")

    def add(self, losses: dict[str, Tensor]) -> None:
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
        if not math.isfinite(value):
            raise InputError(
                f"the {what} became {value} in epoch {self.epoch + 1} of {self.run}; lower optimizer.lr or "
                f"the method's weight{'; the last checkpoint is kept' if (self.run / 'state.pt').exists() else ''}"
            )

    def end_epoch(self, scores: dict[str, float]) -> None:
        self._refuse(scores.get("validation_loss", 0.0), "validation loss")
        means = {name: self._over_processes(name) for name in self.sums}
        lr = self.schedule.get_last_lr()[0]
        step = (self.epoch + 1) * self.batch
        facts: dict[str, float] = {"epoch": self.epoch, "step": step, "seconds": round(self.seconds, 3)}
        self.rows.append(facts | means | scores | {"lr": lr})
        self.epoch, self.batch, self.seconds, self.sums, self.counts = self.epoch + 1, 0, 0.0, {}, {}
        if self.fabric.is_global_zero:
            self._write_rows()
            if isinstance(self.objective.state, AdaptiveQ) and (
                self.epoch % self.every == 0 or self.epoch == self.experiment.epochs
            ):
                self._write_q(self.objective.state.q)
            if self.snapshots and (self.epoch % self.snapshots == 0 or self.epoch == self.experiment.epochs):
                self._write_snapshot()
        self.log(means | scores | {"lr": float(lr), "seconds": facts["seconds"]}, step)
        self.save()

    def log(self, numbers: dict[str, float], step: int) -> None:
        """Hand numbers to Fabric's loggers, where there are any."""
        self.fabric.log_dict(numbers, step=step)
        for logger in self.fabric.loggers:
            logger.save()

    def _over_processes(self, name: str) -> float:
        mean = self.sums[name] / self.counts[name]
        return float(cast(Tensor, self.fabric.all_reduce(mean, reduce_op="mean")).item())

    def _write_rows(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with whole_file(self.run / "train.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)

    def _write_q(self, q: Tensor) -> None:
        file = self.run / "q.parquet"
        kept = []
        if file.exists():
            table = pq.read_table(file)
            kept = [table.filter(pa.compute.less(table["epoch"], self.epoch - 1))]
        values = q.detach().float().cpu().numpy()
        columns = {
            "epoch": pa.array([self.epoch - 1] * len(values), pa.int32()),
            "index": pa.array(range(len(values)), pa.int32()),
            "q": pa.array(values, pa.float32()),
        }
        with whole_file(file) as temporary:
            pq.write_table(pa.concat_tables([*kept, pa.table(columns)]), temporary)

    def _write_snapshot(self) -> None:
        assert self.watched is not None
        labels = self.watched.labels
        first = [int((labels == c).nonzero()[0]) for c in range(len(self.watched.classes)) if bool((labels == c).any())]
        position = torch.tensor(sorted(first)[:SNAPSHOT_IMAGES])
        images, model = self.watched.take(position), self.objective.model
        x = images.to(self.fabric.device).float() / 255
        with evaluating(model):
            with torch.no_grad():
                prediction = model(x).argmax(1)
            maps = heatmap(VanillaGradient()(model, x, prediction)).detach()
        new = {
            "epoch": torch.tensor([self.epoch - 1]),
            "prediction": prediction[None].cpu(),
            "heatmap": maps[None].float().cpu(),
        }
        file = self.run / "snapshots.safetensors"
        if file.exists():
            try:
                there = load_file(file)
                kept = there["epoch"] < self.epoch - 1
                new = {name: torch.cat([there[name][kept], value]) for name, value in new.items()}
            except (SafetensorError, KeyError, RuntimeError) as error:
                raise InputError(f"{file} cannot be continued ({error}); delete it and resume") from None
        fixed = {"images": images, "label": labels[position].cpu()}
        with whole_file(file) as temporary:
            temporary.write_bytes(save({name: value.contiguous() for name, value in (fixed | new).items()}))

    def write_extremes(self, train: Dataset) -> None:
        """Keep the training images with the smallest and the largest q, for looking at: ``extremes.safetensors``.

        Nothing is written where q is the same for all, or for methods without q.

        Source: Xu et al. 2023 (SCAAT), figure 3b.
        """
        state = self.objective.state
        if not isinstance(state, AdaptiveQ):
            return
        q = state.q.detach().float().cpu()
        half = min(EXTREMES, len(q) // 2)
        if not half or q.min() == q.max():
            return
        order = torch.argsort(q, stable=True)
        index = torch.cat([order[:half], order[-half:].flip(0)])
        kept = {"images": train.take(index), "index": index, "label": train.labels[index].cpu(), "q": q[index]}
        with whole_file(self.run / "extremes.safetensors") as temporary:
            temporary.write_bytes(save({name: value.contiguous() for name, value in kept.items()}))

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
        content = io.BytesIO()  # so that a full disk is an OSError, not one of torch's own errors
        torch.save(state, content)
        with whole_file(self.run / "state.pt") as temporary:
            temporary.write_bytes(content.getbuffer())

    def restore(self) -> None:
        """Continue where the checkpoint stands, if there is one."""
        file = self.run / "state.pt"
        if not file.exists():
            return
        try:
            # On the CPU: the optimizer keeps its step counts where it finds them, and reads them at every step.
            state = torch.load(file, map_location="cpu", weights_only=True)
            self.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.fabric.strategy.precision.load_state_dict(state["precision"])
            self.epoch, self.batch, self.seconds = state["epoch"], state["batch"], state["seconds"]
            self.sums = {name: value.to(self.fabric.device) for name, value in state["sums"].items()}
            self.counts, self.rows = state["counts"], state["rows"]
        except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{file} is no checkpoint of this experiment: {reason}") from None

"""Any of pellucid's training methods inside Lightning's Trainer.

>>> from torch import nn
>>> from pellucid import SCAAT, Objective
>>> network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
>>> module = LightningObjective(Objective(network, SCAAT(), num_samples=60_000, total_steps=2_340))
>>> # lightning.Trainer(max_epochs=5).fit(module, DataLoader(Indexed(training_images), batch_size=128, shuffle=True))
"""

import sys
from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor
from torch.utils.data import Dataset

from pellucid.core.errors import InputError
from pellucid.core.outputs import answer
from pellucid.core.types import Batch, Image, Logits
from pellucid.integrations import missing
from pellucid.methods.objective import Objective
from pellucid.methods.terms import accuracy, cross_entropy
from pellucid.runs.fine_tuning import FineTuning
from pellucid.runs.layers import freeze, parameter_groups
from pellucid.runs.settings import Optimizer, Schedule

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule
else:
    try:
        # A Trainer takes modules of its own package only, so the one that is in use already goes first.
        if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
            from pytorch_lightning import LightningModule
        else:
            from lightning.pytorch import LightningModule
    except ImportError as error:
        raise missing("lightning", error) from error

__all__ = ["Indexed", "LightningObjective"]


class Indexed(Dataset[tuple[Any, Any, int]]):
    """A dataset whose items (image, label) get their position, which methods with a state for each image need.

    Args:
        dataset: of a known length; its items are (image, label, ...) or dictionaries of ``image`` and ``label``, and
            what they hold past these is left out.

    >>> Indexed([("image", 7), ("picture", 2)])[1]
    ('picture', 2, 1)
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> tuple[Any, Any, int]:
        item = self.dataset[position]
        image, label, *_ = _in_order(item, f"item {position}")
        return image, label, position


class LightningObjective(LightningModule):
    """An `Objective` for Lightning: losses, log, optimizer, schedule, and a checkpoint that holds q and the step.

    Training batches are (image, label, index), or these and the mask of what decides the class; validation batches may
    leave out the index. Images are in [0, 1] and the network returns logits. A step is that of `pellucid.fit`. Override
    ``configure_optimizers`` for an optimizer of your own. With gradient accumulation ``Objective(total_steps=...)``
    counts batches.

    Logged per epoch: what the method gives (``loss``, ``clean_accuracy``, ``q``, ...), ``validation_accuracy`` and
    ``validation_loss``. Dictionaries of ``image``, ``label``, ``index`` and ``mask`` are read likewise.

    Args:
        objective: network, method and its state.
        optimizer: as in `pellucid.Experiment`.
        schedule: of the learning rate, stepped after every optimizer step.
        fine_tuning: what of a pretrained network stays as it is, and how fast its layers move; ``warmup`` too. What
            Lightning does itself is refused: clipping, accumulation, averages of weights, early stopping.

    Raises:
        InputError: a choice that is Lightning's; and when fitting: a batch without positions, more training images
            than the objective was made for, or a schedule for a run without an end.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        fine_tuning: FineTuning | None = None,
    ) -> None:
        super().__init__()
        self.fine_tuning = fine_tuning or FineTuning()
        _check_choices(self.fine_tuning)
        self.objective = objective
        self.optimizer = optimizer or Optimizer()
        self.schedule = schedule or Schedule()
        # q is the same in every process already; DDP need not send rank 0's.
        buffers = [f"objective.state.{name}" for name, _ in objective.state.named_buffers()]
        self._ddp_params_and_buffers_to_ignore = buffers

    def forward(self, x: Image) -> Logits:
        """The network's logits."""
        return answer(self.objective.model, x)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            freeze(self.objective.model, self.fine_tuning)

    def on_train_start(self) -> None:
        dataset = getattr(self.trainer.train_dataloader, "dataset", None)
        kept: dict[str, Tensor] = getattr(self.objective.state, "per_sample", dict)()
        for numbers in kept.values():
            if isinstance(dataset, Sized) and len(dataset) > len(numbers):
                raise InputError(
                    f"the training set has {len(dataset)} images, but the Objective was made for num_samples "
                    f"{len(numbers)}"
                )

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        image, label, index, mask = _batch(batch)
        losses = self.objective(image, label, index, mask)
        detached = {name: value.detach() for name, value in losses.items()}
        self.log_dict(detached, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(image))
        return cast(Tensor, losses["loss"])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        image, label, *_ = _in_order(batch, "a validation batch")
        logits = self(image)
        scores = {
            "validation_accuracy": accuracy(logits, label),
            "validation_loss": cross_entropy(logits.float(), label),
        }
        self.log_dict(scores, on_epoch=True, sync_dist=True, batch_size=len(image))

    def configure_optimizers(self) -> Any:
        tuning = self.fine_tuning
        groups = parameter_groups(
            self.objective, self.objective.model, lr=self.optimizer.lr, layer_decay=tuning.layer_decay
        )
        optimizer = self.optimizer.build(groups)
        total = self.trainer.estimated_stepping_batches
        epochs = self.trainer.max_epochs or 0
        if total == float("inf"):
            raise InputError("the Trainer needs max_epochs or max_steps, since the schedule goes over the whole run")
        if epochs < 1 or self.trainer.max_steps != -1:
            if self.schedule.name == "steps":
                raise InputError("schedule 'steps' counts epochs: give the Trainer max_epochs and no max_steps")
            epochs = 1
        schedule = self.schedule.build(
            optimizer, steps_per_epoch=int(total) // epochs, epochs=epochs, rising=round(tuning.warmup * int(total))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _in_order(item: Any, what: str) -> tuple[Any, ...]:
    """Image, label, and what else there is of position and mask: of a sequence, or of a dictionary as MONAI's are."""
    if isinstance(item, Mapping):
        if not {"image", "label"} <= item.keys():
            raise InputError(
                f"{what} is a dictionary of {', '.join(map(str, item))}; expected (image, label), or a dictionary of "
                "image and label"
            )
        return (item["image"], item["label"], *(item[name] for name in ("index", "mask") if name in item))
    return tuple(item)


INSTEAD = {
    "head_epochs": "train twice, first with freeze",
    "ema": "lightning.pytorch.callbacks.EMAWeightAveraging",
    "keep": "lightning.pytorch.callbacks.ModelCheckpoint(monitor='validation_accuracy', mode='max')",
    "score": "lightning.pytorch.callbacks.ModelCheckpoint(monitor=...)",
    "patience": "lightning.pytorch.callbacks.EarlyStopping(monitor=...)",
    "clip": "Trainer(gradient_clip_val=...)",
    "accumulate": "Trainer(accumulate_grad_batches=...)",
    "class_weights": "Objective(class_weights=...)",
    "sampling": "torch.utils.data.WeightedRandomSampler",
    "label_smoothing": "Objective(label_smoothing=...)",
    "running_statistics": "Objective(running_statistics=...)",
}
"""What does in Lightning what these choices of FineTuning do in `pellucid.fit`."""


def _check_choices(tuning: FineTuning) -> None:
    plain = FineTuning()
    for name, other in INSTEAD.items():
        if getattr(tuning, name) != getattr(plain, name):
            raise InputError(
                f"fine_tuning.{name} does not work in Lightning's Trainer, got {getattr(tuning, name)!r}; use {other}"
            )


def _batch(batch: Any) -> Batch:
    if isinstance(batch, Mapping):
        batch = _in_order(batch, "a training batch")
    if not isinstance(batch, (tuple, list)) or len(batch) not in (3, 4) or not isinstance(batch[2], Tensor):
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise InputError(
            f"a training batch must be (image, label, index), got {got}; pellucid.integrations.lightning.Indexed adds "
            "the positions to a dataset"
        )
    return Batch(*batch)

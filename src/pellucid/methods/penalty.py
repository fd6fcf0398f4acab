"""Penalties: terms of the network's gradient that are added to another method's loss, one forward pass for all."""

from abc import abstractmethod
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from pellucid.core.checks import some_share
from pellucid.core.errors import InputError
from pellucid.core.input_gradient import image_gradients
from pellucid.core.modes import untracked
from pellucid.core.randomness import Generator
from pellucid.core.types import Batch, Image, Logits
from pellucid.methods.method import Losses, Method
from pellucid.methods.regular import Regular
from pellucid.methods.terms import accuracy, classification_loss, completed, log_of, mixes, part_of

__all__ = ["Penalty"]


class Penalty(Method):
    """A method whose loss is that of another method plus a weighted term of the network's gradient.

    The term looks at the clean images with the network in the mode it is in, so in training mode during training, with
    one forward pass. Penalties may be nested; all of them look at the same pass, which is also that of the
    classification where the innermost method is `Regular`. With BatchNorm in training mode the images of a batch
    influence each other: the gradient with respect to one image then includes what it changes of the others' outputs,
    and every pass of its own updates the running statistics once more.

    A penalty whose weight is 0 is the method it is added to, bit for bit and at no further cost. One with a ``share``
    below 1 looks at that part of each batch alone. Batches are drawn at random, so its mean over a part is that over
    the batch in expectation, at the same weight, and a double backward pass of fewer images costs less. With BatchNorm
    the part has a forward pass of its own, which leaves the running statistics as they are.
    """

    method: Method
    share: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.method, Method):
            raise InputError(f"method must be a pellucid.Method such as Regular(), got {self.method!r}")
        some_share(share=self.share)

    @property
    @abstractmethod
    def is_off(self) -> bool:
        """Whether the weight of the term is 0."""

    @abstractmethod
    def terms(
        self, model: nn.Module, x: Image, logits: Logits, batch: Batch, *, generator: Generator = None
    ) -> dict[str, tuple[float, Tensor]]:
        """The weighted terms of one batch.

        Args:
            model: network, images to logits.
            x: (n, c, h, w) the batch's images, from which ``logits`` can be differentiated.
            logits: ``model(x)`` with its graph.
            batch: images, labels, positions and masks.
            generator: source of every random number.

        Returns:
            By the name for the log: weight and value, a scalar with a graph.
        """

    def init(self, num_samples: int, total_steps: int) -> nn.Module:
        """The state of the method that the term is added to. See `Method.init`."""
        return self.method.init(num_samples, total_steps)

    def loss(self, model: nn.Module, batch: Batch, state: nn.Module, *, generator: Generator = None) -> Losses:
        """See `Method.loss`."""
        penalties: list[Penalty] = []
        method: Method = self
        while isinstance(method, Penalty):
            penalties += [] if method.is_off else [method]
            method = method.method
        if not penalties:
            return method.loss(model, batch, state, generator=generator)
        shared, share = type(method) is Regular, penalties[0].share
        if different := [penalty.share for penalty in penalties if penalty.share != share]:
            raise InputError(f"penalties of one loss must have one share, got {share:g} and {different[0]:g}")
        losses = {} if shared else dict(method.loss(model, batch, state, generator=generator))
        part = part_of(batch, share)
        mask = None if batch.mask is None else batch.mask[part]
        seen = batch if share == 1 else Batch(batch.image[part], batch.label[part], batch.index[part], mask)
        with torch.inference_mode(False), torch.enable_grad(), image_gradients():
            x = (seen.image.clone() if seen.image.is_inference() else seen.image.detach()).requires_grad_()
            with nullcontext() if share == 1 or not mixes(model) else untracked(model):
                logits = model(x)
            if shared:
                every = logits
                if isinstance(part, Tensor):
                    every = model(batch.image) if mixes(model) else completed(model, batch.image, part, logits)
                loss = classification_loss(every, batch.label)
                losses = log_of(loss=loss, clean_loss=loss, clean_accuracy=accuracy(every, batch.label))
            for penalty in penalties:
                for name, (weight, value) in penalty.terms(model, x, logits, seen, generator=generator).items():
                    losses["loss"] = losses["loss"] + weight * value
                    losses[name] = value.detach()
        return losses

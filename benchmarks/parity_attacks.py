"""Robustness against independent code: attacks, masking, AutoAttack."""

import copy
from functools import partial

import numpy as np
import torch
from parity_case import Case, Work, add_case
from parity_settings import GREY, Setting, logits_of, settings
from torch import Tensor, nn

from pellucid import PGD, metrics

CASES: list[Case] = []
case = partial(add_case, CASES)
PROBES = ("one_step", "many_step", "long", "restarts", "unbounded", "transfer")


def captum_right(
    s: Setting, *, eps: float, step_size: float, steps: int, on: nn.Module | None = None, least: float = 0
) -> np.ndarray:
    """Whether the network is right on the image and after Captum's PGD, made on it or on another network."""
    from captum.robust import PGD as CaptumPGD

    loss = nn.CrossEntropyLoss(reduction="none")
    attack = CaptumPGD(s.model if on is None else on, loss_func=loss, lower_bound=0, upper_bound=1)
    attack.fgsm.zero_thresh = least
    changed = attack.perturb(s.x, radius=eps, step_size=step_size, step_num=steps, target=s.label)
    return np.all([logits_of(s, one).argmax(1) == s.label.numpy() for one in (s.x, changed)], axis=0)


@case("robust_correct", columns=["robust_correct", "robust_accuracy"], reference="Captum `robust.PGD`")
def _(s: Setting) -> tuple[Work, Work]:
    attack = PGD(eps=0.03, step_size=0.01, steps=8, random_start=False)

    def ours() -> Tensor:
        correct = metrics.robust_correct(s.model, s.x, s.label, attack).double()
        return torch.cat([correct, correct.mean()[None]])

    def reference() -> np.ndarray:
        correct = captum_right(s, eps=0.03, step_size=0.01, steps=8)
        return np.append(correct, correct.mean())

    return ours, reference


@case("robustness_curve", columns=["robust_curve"], settings=[GREY],
      reference="Captum `robust.PGD`, radius by radius", note="lost once is lost at larger radii")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    radii, attack = (0.02, 0.05, 0.1), PGD(eps=0.1, step_size=0.02, steps=8, random_start=False)

    def reference() -> np.ndarray:
        right = [captum_right(s, eps=eps, step_size=eps / 5, steps=8) for eps in radii]
        return np.logical_and.accumulate(right).T

    return lambda: metrics.robustness_curve(s.model, s.x, s.label, attack, eps=radii), reference


@case("masking_probe", columns=[f"masking_{one}" for one in PROBES], settings=[GREY],
      reference="Captum `robust.PGD`, probe by probe, without random starts")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    attack = PGD(eps=0.06, step_size=0.02, steps=5, random_start=False)
    other = next(iter(settings([GREY], seed=5).values())).model

    def ours() -> list[Tensor]:
        found = metrics.masking_probe(s.model, s.x, s.label, attack, transfer=other)
        return [found[name] for name in PROBES]

    def reference() -> list[np.ndarray]:
        own = {"eps": 0.06, "step_size": 0.02, "steps": 5}
        asked = (
            {"eps": 0.06, "step_size": 0.06, "steps": 1}, own, own | {"steps": 25}, own,
            {"eps": 1.0, "step_size": 0.05, "steps": 50}, own | {"on": other},
        )  # fmt: skip
        return [captum_right(s, **one) for one in asked]

    return ours, reference


@case("autoattack_correct", columns=["autoattack_correct"], settings=[GREY],
      reference="pyautoattack, called directly in float32 with the same seed",
      note="the same package: what is checked is how it is asked, here its two APGD attacks")  # fmt: skip
def _(s: Setting) -> tuple[Work, Work]:
    attacks = ["apgd-ce", "apgd-dlr"]

    def reference() -> np.ndarray:
        from pyautoattack import AutoAttack

        model, x = copy.deepcopy(s.model).float(), s.x.float()
        torch.set_default_dtype(torch.float32)
        evaluation = AutoAttack(model, norm="Linf", eps=0.05, seed=0, device="cpu")
        evaluation.attacks_to_run = attacks
        evaluation.logger.setLevel("ERROR")
        attacked = evaluation.run_standard_evaluation(x, s.label, batch_size=250)[0]
        with torch.no_grad():
            return (model(attacked).argmax(1) == s.label).numpy()

    single = copy.deepcopy(s.model).float()
    return (
        lambda: metrics.autoattack_correct(single, s.x.float(), s.label, eps=0.05, attacks=attacks, seed=0),
        reference,
    )

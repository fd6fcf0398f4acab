"""Cards of a network with several labels a picture: the label's own probability, map and figures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid import InputError
from pellucid.explanation.batch import cards
from pellucid.explanation.examination import Examination
from pellucid.explanation.explained_network import ExplainedNetwork
from pellucid.explanation.finding import examine
from pellucid.models import OneLabel

X = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def test_probabilities_are_sigmoids_and_each_picture_has_its_most_probable_label(
    subject: ExplainedNetwork, examination: Examination
) -> None:
    findings = examine(subject.model, X, range(5), examination, task="multilabel")
    logits = subject.model(X).detach()
    assert [finding.target for finding in findings] == logits.argmax(1).tolist()
    for i, finding in enumerate(findings):
        torch.testing.assert_close(finding.probabilities, logits[i].sigmoid())
        x = X[i : i + 1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(subject.model(x)[0, finding.target], x)
        torch.testing.assert_close(finding.maps["vanilla_gradient"].attribution, slope[0])
        two = OneLabel(subject.model, finding.target)
        (alone,) = examine(two, X[i : i + 1], [i], examination, target=1)
        for name, value in alone.maps["vanilla_gradient"].figures.items():
            assert finding.maps["vanilla_gradient"].figures[name] == pytest.approx(value, rel=1e-3, nan_ok=True), name


def test_a_card_names_labels_and_one_can_be_asked_for(
    subject: ExplainedNetwork, examination: Examination, tmp_path
) -> None:
    pixels = (X[0] * 255).byte().permute(1, 2, 0).numpy()
    file = tmp_path / "picture.png"
    Image.fromarray(np.ascontiguousarray(pixels)).save(file)
    several = replace(subject, task="multilabel")
    (_, card), (_, asked) = [
        *cards(several, [str(file)], examination),
        *cards(several, [str(file)], examination, target="low right"),
    ]
    assert not isinstance(card, InputError) and not isinstance(asked, InputError)
    assert sum(probability for *_, probability in card.top) > 1, "labels do not share one probability"
    assert card.target == card.top[0]
    assert asked.target[:2] == (3, "low right") and asked.top == card.top

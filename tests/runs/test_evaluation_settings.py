"""What an evaluation may be asked for, and what it fills in."""

import pytest

from pellucid import Data, Evaluation, InputError
from pellucid.data import load
from pellucid.runs.evaluation import measurement_of


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": 0}, "images must be at least 1, got 0"),
        ({"robust_eps": float("nan")}, r"robust_eps must be in \[0, 1\], the range of pixels, got nan"),
        ({"robust_eps": 8}, r"robust_eps must be in \[0, 1\], the range of pixels, got 8"),
        ({"region": 0}, "region must be at least 1, got 0"),
        ({"metrics": "gini"}, r"metrics must be several names, such as \('gini',\), got 'gini'"),
        ({"saliency": "smoothgrad"}, r"saliency must be several names, such as \('smoothgrad',\), got 'smoothgrad'"),
        ({"saliency": ()}, "saliency must name at least one method, got none"),
        ({"saliency": ("vanilla",)}, "saliency must be vanilla_gradient, smoothgrad, .*, got 'vanilla'"),
        ({"stability": ("lime",)}, "stability must be among the measured methods vanilla_gradient.*, got 'lime'"),
    ],
)
def test_bad_settings(change, sentence):
    with pytest.raises(InputError, match=sentence):
        Evaluation(**change)


def test_only_the_usual_radii_are_cut_at_the_range_of_pixels():
    dataset = load(Data(), "test")

    def radii(**settings):
        (curve,) = measurement_of(Evaluation(metrics=("robust_curve",), **settings), "mnist", dataset).metrics
        return curve.radii

    assert radii(robust_eps=0.4) == pytest.approx((0.1, 0.2, 0.4, 0.8))
    assert radii(robust_grid=(0.3, 1.0)) == (0.3, 1.0)


def test_without_the_vanilla_gradient_the_first_map_is_tried_for_stability():
    assert Evaluation().stable() == ("vanilla_gradient",)
    assert Evaluation(saliency=("smoothgrad", "vanilla_gradient")).stable() == ("vanilla_gradient",)
    assert Evaluation(saliency=("smoothgrad", "integrated_gradients")).stable() == ("smoothgrad",)
    assert Evaluation(stability=()).stable() == ()

"""Settings of a method that cannot be, each refused in one sentence."""

import pytest

from pellucid import SCAAT, AdversarialTraining, InputError, Regular, SaliencyGuided, fgsm
from pellucid.methods import AdversarialSCAAT, GaussianAugmentation, NoiseAugmentation


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SCAAT(q=1.5), r"q must be in \[0, 1\], got 1.5"),
        (lambda: SCAAT(q=0.05), "q must lie between q_min and q_max, got q=0.05"),
        (lambda: SCAAT(share=0), "share must be above 0, got 0"),
        (lambda: SCAAT(weight=-1), "weight must not be negative, got -1"),
        (lambda: SCAAT(weight=float("nan")), "weight must not be negative, got nan"),
        (lambda: SCAAT(region=0), "region must be at least 1 pixel, got 0"),
        (lambda: SCAAT(divergence="js"), "divergence must be one of symmetric_kl, jensen_shannon, kl, got 'js'"),
        (lambda: SCAAT(attack=fgsm(eps=0.1, random_start=False)), "SCAAT's attack needs random_start"),
        (lambda: AdversarialSCAAT(attacked_share=0), "attacked_share must be above 0, got 0; without attacked images"),
        (lambda: AdversarialSCAAT(attacked_share=2), r"attacked_share must be in \[0, 1\], got 2"),
        (lambda: AdversarialSCAAT(scaat=Regular()), "scaat must be a pellucid.SCAAT, got Regular"),
        (lambda: SaliencyGuided(fraction=-0.1), r"fraction must be in \[0, 1\], got -0.1"),
        (lambda: SaliencyGuided(fill="black"), "fill must be one of .*, got 'black'"),
        (lambda: SaliencyGuided(reading="D"), "reading must be one of A, B, C, got 'D'"),
        (lambda: SaliencyGuided(saliency=3), "a saliency function is a callable"),
        (lambda: SaliencyGuided(ranking="best"), "ranking must be one of absolute, signed, random, got 'best'"),
        (lambda: SCAAT(ranking="signed"), "ranking must be absolute or random, got 'signed'"),
        (lambda: SCAAT(q_pass="test"), "q_pass must be train or eval, got 'test'"),
        (lambda: NoiseAugmentation(share=1.5), r"share must be in \[0, 1\], got 1.5"),
        (lambda: NoiseAugmentation(region=0), "region must be a whole number of at least 1, got 0"),
        (lambda: GaussianAugmentation(sigma=-0.1), "sigma must not be negative, got -0.1"),
        (lambda: GaussianAugmentation(sigma=float("nan")), "sigma must not be negative, got nan"),
        (lambda: GaussianAugmentation(sigma=float("inf")), "sigma must be a finite number, got inf"),
        (lambda: AdversarialTraining(clean="half"), "clean must be one of .*, got 'half'"),
    ],
)
def test_bad_settings(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()

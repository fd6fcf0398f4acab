"""What docs/comparison.md says of other libraries, and where in each library it can be read.

A cell is either `Found` (a file of the library and words that stand in it) or `Searched` (a pattern that stands in none
of its files). `benchmarks/comparison.py` looks both up in copies of the repositories.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """A library, its repository, and what of it is searched.

    Args:
        name: as the page writes it.
        repository: owner and name on GitHub.
        version: the file and the pattern by which its version is found.
        searched: the folders and files in which words are looked for: code and documentation, but no tests.
    """

    name: str
    repository: str
    version: tuple[str, str]
    searched: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """The library has it, or a part of it.

    Args:
        path: the file that shows it.
        words: what stands in that file.
        how_much: ``yes``, ``part`` or ``no``.
    """

    path: str
    words: str
    how_much: str = "yes"


@dataclass(frozen=True)
class Searched:
    """None of the searched files has these words.

    Args:
        pattern: an extended regular expression, in which case does not matter.
        within: folders, where not all that is searched of the library is meant.
    """

    pattern: str
    within: tuple[str, ...] = ()


NOT_EXAMINED = None
"""A cell of which nobody has found out what it should say."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        what: the capability.
        pellucid: what the cell of pellucid says, in Markdown.
        cells: what other libraries have, by name; None was not examined. Those that are missing are searched for
            `pattern`.
        pattern: what is searched in libraries without a cell.
    """

    what: str
    pellucid: str
    cells: Mapping[str, Found | Searched | None]
    pattern: str


LIBRARIES = (
    Library("Captum", "pytorch/captum", ("captum/__init__.py", r'__version__ = "([^"]+)"'),
            ("captum", "docs", "sphinx/source", "README.md")),
    Library("Quantus", "understandable-machine-intelligence-lab/Quantus",
            ("quantus/__init__.py", r'__version__ = "([^"]+)"'), ("quantus", "docs/source", "README.md")),
    Library("pytorch-grad-cam", "jacobgil/pytorch-grad-cam", ("setup.py", r"version='([^']+)'"),
            ("pytorch_grad_cam", "README.md", "usage_examples", "tutorials")),
    Library("Xplique", "deel-ai/xplique", ("xplique/__init__.py", r'__version__ = "([^"]+)"'),
            ("xplique", "docs", "README.md")),
    Library("MONAI", "Project-MONAI/MONAI", ("CHANGELOG.md", r"## \[(\d[^\]]+)\]"),
            ("monai", "docs/source", "README.md")),
    Library("RobustBench", "RobustBench/robustbench", ("setup.py", r'version="([^"]+)"'), ("robustbench", "README.md")),
)  # fmt: skip

VISUALIZE = ("monai/visualize", "docs/source/visualize.rst")
ROWS = (
    Row("training for better maps", "[yes](concepts.md)", {},
        r"saliency.guided|right.for.the.right|attribution prior|(explanation|saliency|attribution).regulari"),
    Row("training with masks of the object", "[yes](truth.md#methods-and-what-they-are-compared-with)", {},
        r"right.for.the.right|energy.loss|explanation.loss|attribution.loss"),
    Row("maps as part of a loss (differentiable)", "[yes](integrations.md#a-loop-of-your-own)", {
        "pytorch-grad-cam": Found("pytorch_grad_cam/base_cam.py", "activations.cpu().detach().numpy()", "no"),
        "Xplique": NOT_EXAMINED,
    }, r"create_graph"),
    Row("gradient, SmoothGrad, integrated gradients", "[yes](reading.md#which-map-to-choose)", {
        "Captum": Found("docs/attribution_algorithms.md", "### Integrated Gradients"),
        "Quantus": Found("quantus/functions/explanation_func.py", "from captum.attr import", "through Captum"),
        "Xplique": Found("docs/api/attributions/methods/smoothgrad.md", "SmoothGrad"),
        "MONAI": Found("monai/visualize/gradient_based.py", "class SmoothGrad", "part"),
    }, r"smooth.?grad|integrated.?gradients"),
    Row("class activation maps", "[yes](reading.md#which-map-to-choose)", {
        "Captum": Found("captum/attr/_core/layer/grad_cam.py", "class LayerGradCam", "part"),
        "Quantus": Found("quantus/functions/explanation_func.py", "LayerGradCam", "through Captum"),
        "pytorch-grad-cam": Found("README.md", "| GradCAM++"),
        "Xplique": Found("docs/api/attributions/methods/grad_cam_pp.md", "Grad-CAM"),
        "MONAI": Found("monai/visualize/class_activation_maps.py", "class GradCAMpp"),
    }, r"grad.?cam"),
    Row("relevance propagation (LRP), occlusion, LIME, SHAP", "[through Captum](extend.md#a-saliency-method)", {
        "Captum": Found("docs/attribution_algorithms.md", "### KernelSHAP"),
        "Quantus": Found("quantus/functions/explanation_func.py", "Occlusion", "through Captum"),
        "Xplique": Found("docs/api/attributions/methods/kernel_shap.md", "Kernel", "part"),
        "MONAI": Found("monai/visualize/occlusion_sensitivity.py", "class OcclusionSensitivity", "part"),
    }, r"\blime\b|kernel.?shap|\blrp\b|occlusion"),
    Row("faithfulness curves", "[yes](numbers.md#is-the-map-faithful-to-the-network)", {
        "Quantus": Found("quantus/metrics/faithfulness/pixel_flipping.py", "class PixelFlipping"),
        "pytorch-grad-cam": Found("pytorch_grad_cam/metrics/road.py", "class ROADMostRelevantFirst"),
        "Xplique": Found("docs/api/attributions/metrics/deletion.md", "Deletion"),
    }, r"pixel.?flipping|deletion.?(metric|curve)|insertion.?(metric|curve)|most.relevant.first|remove and debias"),
    Row("stability of maps", "[yes](numbers.md#is-the-map-steady)", {
        "Captum": Found("captum/metrics/_core/sensitivity.py", "def sensitivity_max"),
        "Quantus": Found("quantus/metrics/robustness/relative_input_stability.py", "class RelativeInputStability"),
        "Xplique": Found("docs/api/attributions/metrics/avg_stability.md", "Stability"),
    }, r"input.stability|sensitivity_max|average.?stability|max.?sensitivity"),
    Row("maps against masks", "[yes](truth.md#what-is-measured)", {
        "Quantus": Found("quantus/metrics/localisation/relevance_mass_accuracy.py", "class RelevanceMassAccuracy"),
    }, r"pointing.?game|relevance.?mass|relevance.?rank|attribution.?locali"),
    Row("pictures whose right map is known", "[yes](truth.md)", {
        "Quantus": Found("quantus/functions/mosaic_func.py", "mosaic", "part"),
    }, r"mosaic|synthetic.{0,40}(explanation|attribution)"),
    Row("attacks (PGD, AutoAttack)", "[yes](numbers.md#does-the-network-answer-well)", {
        "Captum": Found("captum/robust/_core/pgd.py", "class PGD", "part"),
        "RobustBench": Found("robustbench/eval.py", "from autoattack import AutoAttack"),
    }, r"auto.?attack|\bpgd\b|projected gradient"),
    Row("intervals and paired tests", "[yes](numbers.md#every-number-has-an-interval)", {},
        r"bootstrap(ped|ping)? |wilcoxon|\bt-test|confidence interval|\bholm\b|mcnemar"),
    Row("a verdict for one picture", "[yes](explain.md)", {}, r"trust.?card|verdict"),
    Row("a gate for continuous integration", "[yes](github-actions.md)", {}, r"exit.?code|sys\.exit|quality gate"),
    Row("studies with people", "[yes](study.md)", {}, r"user stud|human stud|participants|crowd.?sourc"),
    Row("volumes", "no", {
        "Captum": Found("captum/attr/_core/guided_grad_cam.py", "3D, 4D or 5D"),
        "Quantus": Found("quantus/helpers/model/models.py", "3D-LeNet", "part"),
        "pytorch-grad-cam": Found("README.md", "3D Medical Semantic Segmentation"),
        "MONAI": Found("monai/visualize/occlusion_sensitivity.py", "model_3d"),
    }, r"voxel|volumetric"),
    Row("maps of detection and segmentation networks", "no", {
        "Captum": Found("tutorials/Segmentation_Interpret.ipynb", "egmentation"),
        "Quantus": Searched(r"object.?detection|segmentation (model|network)"),
        "pytorch-grad-cam": Found("README.md", "## Object Detection and Semantic Segmentation"),
        "Xplique": Found("docs/api/attributions/object_detection.md", "bounding box"),
        "MONAI": Searched(r"segmentation|detection", VISUALIZE),
        "RobustBench": Searched(r"object.?detection|segmentation", ("robustbench/eval.py", "README.md")),
    }, r"object.?detection|semantic.segmentation"),
    Row("tables, time series, text", "no", {
        "Captum": Found("tutorials/IMDB_TorchText_Interpret.ipynb", "text"),
        "Quantus": Found("README.md", "time-series, tabular", "part"),
        "Xplique": Found("README.md", "Time Series and Tabular Data", "part"),
        "MONAI": Searched(r"tabular|time.?series|\btext\b", VISUALIZE),
    }, r"tabular|time.?series"),
    Row("trained weights to download", "no", {
        "MONAI": Found("README.md", "The MONAI Model Zoo"),
        "RobustBench": Found("README.md", "## Model Zoo"),
    }, r"model.?zoo"),
)  # fmt: skip

"""Where a network looks: gradients, their averages, maps of a layer and of attention, and what is made of them."""

from pellucid.saliency.cam import GradCAM, GradCAMPlusPlus, LayerCAM
from pellucid.saliency.channels import Channels, heatmap
from pellucid.saliency.chunks import in_chunks
from pellucid.saliency.gradient import Score, VanillaGradient, gradient_and_logits, target_score
from pellucid.saliency.integrated_gradients import IntegratedGradients
from pellucid.saliency.method import SaliencyMethod
from pellucid.saliency.named import NAMED, Explain, as_saliency, by_name, saliency_name
from pellucid.saliency.regions import lowest, sorted_rows
from pellucid.saliency.rollout import AttentionRollout
from pellucid.saliency.smoothgrad import SmoothGrad

__all__ = [
    "NAMED",
    "AttentionRollout",
    "Channels",
    "Explain",
    "GradCAM",
    "GradCAMPlusPlus",
    "IntegratedGradients",
    "LayerCAM",
    "SaliencyMethod",
    "Score",
    "SmoothGrad",
    "VanillaGradient",
    "as_saliency",
    "by_name",
    "gradient_and_logits",
    "heatmap",
    "in_chunks",
    "lowest",
    "saliency_name",
    "sorted_rows",
    "target_score",
]

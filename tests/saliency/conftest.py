"""Tiny networks of every kind that gives feature maps, written here so that no other package decides what is tested."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """As in torchvision's ResNet: activations write over their input, and the sum over its first term."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        out += x
        relu: Tensor = self.relu(out)
        return relu


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Residual(6), Residual(6))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.aside = nn.Conv2d(6, 2, 1)  # as an auxiliary head that no logit comes from
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = self.layer1(self.stem(x))
        self.aside(features)
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits


class TimmAttention(nn.Module):
    """Attention as timm writes it: one linear layer for queries, keys and values, and a fused product."""

    def __init__(self, dim: int, heads: int, *, norm: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(dim // heads) if norm else nn.Identity()
        self.k_norm = nn.LayerNorm(dim // heads) if norm else nn.Identity()
        self.bias = nn.Parameter(torch.randn(17, 17)) if bias else None
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.num_heads, c // self.num_heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v, attn_mask=self.bias)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(n, t, c))
        return projected


class HuggingFaceAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_attention_heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        n, t, c = x.shape
        q, k, v = (
            part(x).view(n, t, self.num_attention_heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c), None


class TorchAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return out


class Block(nn.Module):
    def __init__(self, attention: nn.Module, dim: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        out = self.attn(self.norm1(x))
        x = x + (out[0] if isinstance(out, tuple) else out)
        through: Tensor = x + self.mlp(self.norm2(x))
        return through


class ViT(nn.Module):
    """Patches of 2 pixels, so 4 × 4 of an image of 8; ``prefix`` tokens in front, of which the first is classified."""

    def __init__(self, attention: Callable[[], nn.Module], *, prefix: int = 1, dim: int = 8) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, 2, stride=2)
        self.tokens = nn.Parameter(torch.randn(1, prefix, dim))
        self.place = nn.Parameter(torch.randn(1, prefix + 16, dim))
        self.blocks = nn.Sequential(*(Block(attention(), dim) for _ in range(3)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 4)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.tokens.expand(len(x), -1, -1), patches], 1) + self.place
        tokens = self.norm(self.blocks(tokens))
        logits: Tensor = self.head(tokens[:, 0] if self.tokens.shape[1] else tokens.mean(1))
        return logits


class SwinBlock(nn.Module):
    """Channels last, attention within windows of 2 × 2 places."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.attn, self.mlp = nn.LayerNorm(dim), TimmAttention(dim, 2), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        windows = self.norm(x).view(n, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(-1, 4, c)
        back = self.attn(windows).view(n, h // 2, w // 2, 2, 2, c).transpose(2, 3).reshape(n, h, w, c)
        x = x + back
        out: Tensor = x + self.mlp(x)
        return out


class Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 6, 2, stride=2)
        self.layers = nn.Sequential(SwinBlock(6), SwinBlock(6))
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.layers(self.patch_embed(x).permute(0, 2, 3, 1))).mean((1, 2)))
        return logits


class ConvNeXtBlock(nn.Module):
    """Channels last inside, first outside."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(5), nn.Linear(5, 10), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.down(self.up(self.norm(x.permute(0, 2, 3, 1))).relu()).permute(0, 3, 1, 2)
        return out


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 2, stride=2)
        self.stages = nn.Sequential(ConvNeXtBlock(), ConvNeXtBlock())
        self.head = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stages(self.stem(x)).mean((2, 3)))
        return logits


MADE: dict[str, Callable[[], nn.Module]] = {
    "resnet": ResNet,
    "plain": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU(), nn.Linear(45, 4)
    ),
    "torch": lambda: ViT(lambda: TorchAttention(8, 2)),
    "timm": lambda: ViT(lambda: TimmAttention(8, 2)),
    "timm-norm": lambda: ViT(lambda: TimmAttention(8, 2, norm=True), prefix=5),
    "timm-pooled": lambda: ViT(lambda: TimmAttention(8, 2), prefix=0),
    "timm-bias": lambda: ViT(lambda: TimmAttention(8, 2, bias=True)),
    "huggingface": lambda: ViT(lambda: HuggingFaceAttention(8, 2)),
    "swin": Swin,
    "convnext": ConvNeXt,
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4)),
}


@pytest.fixture
def make() -> Callable[..., Any]:
    """From a name in `MADE` to such a network with weights of a fixed seed, in double precision and eval mode."""

    def made(name: str) -> nn.Module:
        torch.manual_seed(0)
        return MADE[name]().double().eval()

    return made


@pytest.fixture
def x() -> Tensor:
    """Three images of 8 × 8 pixels."""
    return torch.rand(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

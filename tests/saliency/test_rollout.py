"""Attention rollout: limits, loops, the attention of every kind of transformer, and where there is none."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from pellucid import AttentionRollout, InputError, as_saliency
from pellucid.saliency import saliency_name
from pellucid.saliency.rollout import attention_layers, attentions, rollout

Make = Callable[[str], nn.Module]

TARGET = torch.tensor([0, 3, 1])
OBSERVED = {"torch": 1, "timm": 1, "timm-norm": 5, "timm-pooled": 0, "huggingface": 1}


@given(seed=st.integers(0, 99), blocks=st.integers(1, 4), t=st.integers(1, 5))
def test_rollout_is_that_of_paths_through_the_blocks(seed: int, blocks: int, t: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = list(torch.rand(blocks, 2, t, t, generator=generator).double().softmax(-1))
    got = rollout(weights)
    for n in range(2):
        for start in range(t):
            share = [float(start == token) for token in range(t)]  # walk back from one token of the last block
            for weight in reversed(weights):
                share = [
                    0.5 * share[j] + 0.5 * sum(share[i] * float(weight[n, i, j]) for i in range(t)) for j in range(t)
                ]
            assert got[n, start].tolist() == pytest.approx(share)
    torch.testing.assert_close(got.sum(2), torch.ones(2, t).double())


def test_tokens_that_look_at_themselves_alone_stay_themselves() -> None:
    own = torch.eye(3)[None]
    assert torch.equal(rollout([own, own]), own)


@pytest.mark.parametrize(("name", "prefix"), OBSERVED.items())
def test_the_attention_is_that_of_the_network(make: Make, x: Tensor, name: str, prefix: int) -> None:
    """Each block's attention by hand, from its weights and its own input."""
    network, inputs = make(name), []
    handles = [
        block.norm1.register_forward_hook(lambda _m, _a, out: inputs.append(out))  # type: ignore[union-attr]
        for block in network.blocks  # type: ignore[union-attr]
    ]
    seen = attentions(network, x)
    for handle in handles:
        handle.remove()
    assert len(seen) == len(inputs) == 3
    for block, tokens, weight in zip(network.blocks, inputs, seen, strict=True):  # type: ignore[arg-type]
        attention = block.attn
        if name == "torch":
            projected = tokens @ attention.inner.in_proj_weight.T + attention.inner.in_proj_bias
            query, key, _ = projected.chunk(3, -1)
        elif name == "huggingface":
            query, key = attention.query(tokens), attention.key(tokens)
        else:
            query, key, _ = attention.qkv(tokens).chunk(3, -1)
        mean = torch.zeros(3, 16 + prefix, 16 + prefix).double()
        for head in (slice(0, 4), slice(4, 8)):
            q, k = query[..., head], key[..., head]
            if name == "timm-norm":
                q, k = attention.q_norm(q), attention.k_norm(k)
            mean += (q @ k.transpose(1, 2) / 2).softmax(-1) / 2
        torch.testing.assert_close(weight, mean)
    expected = rollout(seen)
    places = (expected[:, 0, prefix:] if prefix else expected.mean(1)).reshape(3, 1, 4, 4)
    expected = nn.functional.interpolate(places, size=(8, 8), mode="bilinear")
    torch.testing.assert_close(AttentionRollout()(network, x, TARGET), expected)


def test_the_network_says_the_same_while_it_is_watched(make: Make, x: Tensor) -> None:
    for name in OBSERVED:
        network = make(name)
        before = network(x)
        attentions(network, x)
        assert torch.equal(network(x), before)
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_torchs_own_encoder_is_observed() -> None:
    # Its fast path calls no attention module at all where nothing needs a gradient.
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(1, 8, 2, stride=2)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(self.encoder(self.patch(x).flatten(2).transpose(1, 2)).mean(1))
            return logits

    network = Encoder().eval()
    assert attention_layers(network) == ["encoder.layers.0.self_attn", "encoder.layers.1.self_attn"]
    with torch.no_grad():
        assert AttentionRollout()(network, torch.rand(2, 1, 8, 8), TARGET[:2]).shape == (2, 1, 8, 8)


def test_it_knows_no_class_and_no_batch_mates(make: Make, x: Tensor) -> None:
    network = make("timm")
    together = AttentionRollout()(network, x, TARGET)
    assert torch.equal(AttentionRollout()(network, x, TARGET.flip(0)), together)
    torch.testing.assert_close(AttentionRollout(chunk=1)(network, x, TARGET), together)
    assert (together >= 0).all() and not together.requires_grad
    assert saliency_name("rollout") == "rollout"
    with torch.inference_mode():
        assert torch.equal(as_saliency("rollout")(network, x.clone(), TARGET), together)


@pytest.mark.parametrize("name", ["torch", "timm"])
def test_maps_can_be_differentiated(make: Make, x: Tensor, name: str) -> None:
    network = make(name)
    x = x.requires_grad_()
    attribution = AttentionRollout()(network, x, TARGET, create_graph=True)
    torch.testing.assert_close(attribution.detach(), AttentionRollout()(network, x, TARGET))
    (slope,) = torch.autograd.grad(attribution.square().sum(), x)
    assert slope.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "resnet",
            r"^ResNet has no attention that can be observed; attention rollout needs nn.MultiheadAttention, or modules",
        ),
        ("swin", r"every token of an image looks at every other, got attention of shape \(12, 4, 4\) for 3 images"),
        ("timm-bias", r"^the attention of 'blocks.0.attn' is more than softmax\(QKᵀ\) of its queries and keys"),
    ],
)
def test_what_cannot_be_observed_is_refused(make: Make, x: Tensor, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        AttentionRollout()(make(name), x, TARGET)


def test_attention_that_is_never_called_is_said() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    network.spare = nn.MultiheadAttention(4, 2)
    network.forward = lambda x: network[1](network[0](x))  # type: ignore[method-assign]
    with pytest.raises(InputError, match="^Sequential does not call the attention of 'spare'; attention rollout needs"):
        AttentionRollout()(network.eval(), torch.rand(1, 1, 4, 4), TARGET[:1])
    with pytest.raises(InputError, match="chunk must be at least 1, got 0"):
        AttentionRollout(chunk=0)

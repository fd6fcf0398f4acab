"""The colours of heatmaps."""

from pellucid.report.colours import palette


def test_the_palette_can_be_read_back() -> None:
    assert palette().shape == (256, 3) and len({tuple(colour) for colour in palette().tolist()}) == 256

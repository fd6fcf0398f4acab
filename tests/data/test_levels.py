"""Numbers of any width as 256 levels: right, noted or refused, and never one flat grey."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import Data, load
from pellucid.data.content import opened
from pellucid.data.headers import header, sift
from pellucid.data.levels import of_fractions, of_whole_numbers
from pellucid.explanation.pictures import held, read
from pellucid.runs.given import dataset_of

GREY = np.linspace(20, 250, 256).round().reshape(16, 16).astype(np.uint8)


def shown(file, channels=1):
    picture, notes = opened(file.read_bytes(), str(file), channels=channels)
    assert header(str(file)).reason is None
    return np.asarray(picture), notes


@given(st.lists(st.integers(0, 65535), min_size=1))
def test_the_nearest_level_of_sixteen_bits(values) -> None:
    values = [*values, 65535]
    levels, notes = of_whole_numbers(np.array(values), "x")
    assert np.array_equal(levels, np.floor(np.array(values) / 257 + 0.5)) and notes == ()


@given(st.integers(9, 16), st.data())
def test_the_ends_are_black_and_white_at_every_width(bits, data) -> None:
    most = 2**bits - 1
    values = np.array([0, data.draw(st.integers(0, most)), most])
    levels, notes = of_whole_numbers(values, "x", most=most)
    assert levels[0] == 0 and levels[2] == 255 and notes == ()
    assert abs(levels[1] - values[1] / most * 255) <= 0.5 + 1e-9


@settings(max_examples=200)
@given(st.lists(st.integers(0, 65535), min_size=2, max_size=6))
def test_values_that_differ_are_never_all_black_without_a_word(values) -> None:
    if 0 < max(values) < 256:
        with pytest.raises(InputError, match="all of which would be black"):
            of_whole_numbers(np.array(values), "x")
        return
    levels, notes = of_whole_numbers(np.array(values), "x")
    assert levels.any() or not any(values)
    assert bool(notes) == (0 < max(values) < 4096)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([-1, 5], "x has values from -1 to 5; 16-bit grey is 0 to 65535"),
        ([0, 65536], "x has values from 0 to 65536; 16-bit grey is 0 to 65535"),
        ([0, 222], "x has values up to 222 of 65535, all of which would be black"),
    ],
)
def test_whole_numbers_that_are_refused(values, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        of_whole_numbers(np.array(values), "x")


@pytest.mark.parametrize("values", [[-0.1, 0.5], [0, 255.0], [0, np.nan], [0, np.inf], [0, 1e-5]])
def test_fractions_that_are_refused(values) -> None:
    with pytest.raises(InputError, match="x has values"):
        of_fractions(np.array(values), "x")


OF_NO_RANGE = "its values reach 250 and, as the file does not say of how many, are read as of 255"
WIDTHS = {
    "16": (GREY.astype(np.uint16) * 257, GREY, ""),
    "12 in 16": (GREY.astype(np.uint16) * 14, GREY * (14 / 257), "its values reach 3500 of 65535"),
    "float32": (GREY.astype(np.float32) / 255, GREY, ""),
    "float64": (GREY / 255.0, GREY, ""),
    "dark fractions": (GREY.astype(np.float32) / 5000, GREY * (255 / 5000), "its values reach 0.05 of 1"),
}
OF_32 = {
    "int32": (GREY.astype(np.int32), GREY, OF_NO_RANGE),
    "uint32": (GREY.astype(np.uint32), GREY, OF_NO_RANGE),
    "int16": (GREY.astype(np.int16), GREY, OF_NO_RANGE),
    "16 in int32": (GREY.astype(np.int32) * 257, GREY, ""),
}


@pytest.mark.parametrize(
    ("name", "photometric"),
    [*((name, "minisblack") for name in WIDTHS | OF_32), *((name, "miniswhite") for name in WIDTHS)],
)
def test_tiffs_of_every_width(tmp_path, name, photometric) -> None:
    values, expected, note = (WIDTHS | OF_32)[name]
    tifffile.imwrite(tmp_path / "scan", values, photometric=photometric)
    levels, notes = shown(tmp_path / "scan")
    assert np.abs(levels - (expected if photometric == "minisblack" else 255.0 - expected)).max() <= 0.51
    assert len(notes) == bool(note) and note in "".join(notes)


@pytest.mark.parametrize("kind", ["uint16", "float32 to 255", "int64", "complex64"])
def test_tiffs_that_are_refused(tmp_path, kind) -> None:
    values = {"uint16": GREY.astype(np.uint16), "float32 to 255": GREY.astype(np.float32)}
    tifffile.imwrite(tmp_path / "scan.tif", values.get(kind, GREY.astype(kind.partition(" ")[0])))
    with pytest.raises(InputError, match="scan.tif has values"):
        opened((tmp_path / "scan.tif").read_bytes(), str(tmp_path / "scan.tif"), channels=1)


def test_twelve_bits_that_say_so(tmp_path) -> None:
    """A camera's TIFF whose samples are packed in 12 bits, and a PGM whose largest value is 4095."""
    values = np.round(GREY * (4095 / 255)).astype(np.uint16)
    pairs = values.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    tifffile.imwrite(tmp_path / "plain.tif", GREY)
    content = bytearray((tmp_path / "plain.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "plain.tif") as file:
        tags = file.pages.first.tags
        strip, places = (
            tags["StripOffsets"].value[0],
            {name: tags[name] for name in ("BitsPerSample", "StripByteCounts")},
        )
    content[strip:] = packed.astype(np.uint8).tobytes()
    for name, number in {"BitsPerSample": 12, "StripByteCounts": packed.size}.items():
        place = places[name].valueoffset
        content[place : place + 2] = int(number).to_bytes(2, "little")
    (tmp_path / "packed.tif").write_bytes(content)
    (tmp_path / "wide.pgm").write_bytes(b"P5\n16 16\n4095\n" + values.astype(">u2").tobytes())
    for name in ("packed.tif", "wide.pgm"):
        levels, notes = shown(tmp_path / name)
        assert np.abs(levels.astype(int) - GREY).max() <= 1 and notes == ()


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["grey8.tif", "grey16.tif", "colour16.tif", "grey16.png", "colour8.webp"])
def test_pictures_of_every_width_are_set_upright(tmp_path, kind, turn) -> None:
    file, deep, colour = tmp_path / kind, "16" in kind, kind.startswith("colour")
    pixels = np.zeros((8, 12, 3) if colour else (8, 12), np.uint8)
    pixels[:3, :5] = 200
    stored = np.rot90(pixels, {1: 0, 3: 2, 6: 1, 8: 3}[turn]).copy()
    values = stored.astype(np.uint16) * 257 if deep else stored
    if kind.endswith("tif"):
        photometric = "rgb" if colour else "minisblack"
        tifffile.imwrite(file, values, photometric=photometric, extratags=[(274, "H", 1, turn, True)])
    else:
        exif = Image.Exif()
        exif[274] = turn
        Image.fromarray(values).save(file, exif=exif, **({"lossless": True} if kind.endswith("webp") else {}))
    from pellucid.data.decoding import pixels as decoded

    picture, notes = opened(file.read_bytes(), str(file), channels=3)
    assert np.array_equal(
        decoded(picture, size=None, channels=3, where=file)[0].numpy(), pixels[..., 0] if colour else pixels
    )
    size = header(str(file)).size
    assert notes == () and size in (None, (12, 8))


def test_zeros_and_ones_are_told(tmp_path, capsys) -> None:
    """Masks, and fractions that were rounded when they became whole numbers."""
    ones = np.tri(16, dtype=np.uint8)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.fromarray(ones if name == "cat" else ones * 255).save(tmp_path / split / name / "0.png")
    load(Data(name="folder", path=str(tmp_path), validation=0), "train")
    assert "cat/0.png: its values are 0 and 1 of 255" in capsys.readouterr().err
    for value in (ones, torch.from_numpy(ones), Image.fromarray(ones)):
        assert "its values are 0 and 1 of 255" in held(value, (1, 16, 16), "given").notes[0]
    assert held(ones.astype(np.float32), (1, 16, 16), "given").notes == ()
    assert dataset_of([(ones, 0), (ones, 1)], "test", classes=("a", "b")).labels.tolist() == [0, 1]
    assert "the first image of list: its values are 0 and 1 of 255" in capsys.readouterr().err


def png16(values, kind):
    """A PNG of 16 bits, which Pillow writes for greys alone. Kind 2 is colours, 4 greys and 6 colours with alpha."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = values.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "bands"), [(2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("few", [False, True])
def test_colours_of_twelve_bits_in_sixteen_are_told(tmp_path, kind, bands, few) -> None:
    values = np.full((16, 16, bands), 65535, np.uint16)
    values[..., : 3 if bands > 2 else 1] = (GREY.astype(np.uint16) * (16 if few else 257))[..., None]
    (tmp_path / "scan").write_bytes(png16(values, kind))
    assert header(str(tmp_path / "scan")).noted
    picture, notes = opened((tmp_path / "scan").read_bytes(), "scan", channels=3)
    shades = np.asarray(picture.convert("RGB"))[..., 1].astype(int)
    assert np.abs(shades - (GREY // 16 if few else GREY.astype(int))).max() <= 1
    assert notes == (
        ("its values reach 15 of 255 and are shown as dark as that is; scale values of fewer bits first",)
        if few
        else ()
    )


@pytest.mark.parametrize("bands", [2, 4])
def test_a_channel_that_is_taken_for_transparency_is_told(bands) -> None:
    """Two stains of a microscope, and colours with infrared, are no pictures with transparency."""
    values = np.repeat(GREY[..., None], bands, axis=2)
    assert held(values, (3, 16, 16), "given").notes == (
        f"the last of its {bands} channels is taken for its transparency",
    )
    values[..., -1] = 255
    assert held(values, (3, 16, 16), "given").notes == ()


def test_damaged_exif_data_end_nothing(tmp_path, recwarn) -> None:
    """300 telephone pictures whose EXIF data were changed: read, or refused where the picture itself was hit."""
    exif = Image.Exif()
    exif[274], exif[0x8769], exif[305] = 6, {0x9000: b"0230"}, "camera"
    Image.fromarray(GREY).save(tmp_path / "whole.jpg", exif=exif)
    whole = bytearray((tmp_path / "whole.jpg").read_bytes())
    length = int.from_bytes(whole[4:6], "big")
    files = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        changed = bytearray(whole)
        for place in random.integers(12, 4 + length, 4):
            changed[place] = random.integers(256)
        files.append(str(tmp_path / f"{seed}.jpg"))
        (tmp_path / f"{seed}.jpg").write_bytes(changed)
    sifted = sift(files, 3)
    assert sifted.left_out == {} and len(sifted.files) == 300
    assert {seen.size for seen in sifted.seen} == {(16, 16)} and not recwarn.list


@pytest.mark.parametrize(
    "values", [GREY, (GREY / 255).astype(np.float32), np.stack([GREY] * 3, 2).astype(np.uint16) * 257]
)
def test_a_tiff_of_which_parts_are_missing_is_refused(tmp_path, values) -> None:
    """Its header promises more rows than its data hold, which readers fill with black."""
    tifffile.imwrite(tmp_path / "whole.tif", values)
    with tifffile.TiffFile(tmp_path / "whole.tif") as file:
        height = file.pages.first.tags["ImageLength"]
    content = bytearray((tmp_path / "whole.tif").read_bytes())
    content[height.valueoffset : height.valueoffset + 2] = (4000).to_bytes(2, "little")
    (tmp_path / "more.tif").write_bytes(content)
    for file in ("more.tif", "short.tif"):
        if file == "short.tif":
            (tmp_path / file).write_bytes((tmp_path / "whole.tif").read_bytes()[:-200])
        with pytest.raises(InputError, match=file):
            read(str(tmp_path / file), (3, 16, 16))
        assert sift([str(tmp_path / file)], 3).files == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "PPM", "JPEG2000", "TIFF", "npy", "npz"])
def test_mutated_files_are_pictures_or_left_out(tmp_path, kind) -> None:
    """Cut short, or bytes changed in the header or anywhere: never another error, and both readers agree."""
    out = io.BytesIO()
    if kind in ("npy", "npz"):
        np.save(out, GREY) if kind == "npy" else np.savez(out, GREY)
    else:
        Image.fromarray(GREY).save(out, kind)
    whole, files = out.getvalue(), []
    for seed in range(40):
        random = np.random.default_rng(seed)
        changed = bytearray(whole[: random.integers(1, len(whole))] if seed % 4 == 0 else whole)
        for place in random.integers(0, min(len(changed), (len(changed), 64)[seed % 2]), 3):
            changed[place] = random.integers(256)
        files.append(str(tmp_path / f"{seed}.bin"))
        (tmp_path / f"{seed}.bin").write_bytes(changed)
    sifted = sift(files, 3)
    assert len(sifted.files) + sum(sifted.left_out.values()) == 40
    for file in sifted.files:
        assert read(file, (3, 8, 8)).pixels.dtype == torch.uint8
    for file in set(files) - set(sifted.files):
        with pytest.raises(InputError):
            read(file, (3, 8, 8))

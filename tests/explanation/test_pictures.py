"""Pictures of every kind a user may give, and one sentence for what is none."""

import io
import pickle
import struct
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.explanation.pictures import find, read

from .conftest import pixels

COLOUR, GREY = (3, 16, 16), (1, 16, 16)


def saved(path, image, **options):
    image.save(path, **options)
    return str(path)


def as_rows(pixels_):
    return pixels_.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "npy", "npz"])
def test_the_same_pixels_in_every_lossless_kind(tmp_path, suffix) -> None:
    array, file = pixels(), tmp_path / f"picture.{suffix}"
    if suffix == "npy":
        np.save(file, array)
    elif suffix == "npz":
        np.savez(file, array)
    else:
        Image.fromarray(array).save(file, **({"lossless": True} if suffix == "webp" else {}))
    found = read(str(file), COLOUR)
    np.testing.assert_array_equal(as_rows(found.pixels), array)
    assert found.stored == (16, 16) and found.notes == () and found.source == str(file)


@pytest.mark.parametrize(
    "array",
    [
        pixels().astype(np.uint16) * 257,
        np.moveaxis(pixels(), 2, 0),
        pixels() / 255,
        (pixels() / 255).astype(np.float32),
        np.concatenate([pixels(), np.full((16, 16, 1), 255, np.uint8)], axis=2),
    ],
    ids=["uint16", "channels first", "float64", "float32", "opaque alpha"],
)
def test_arrays_of_every_layout(tmp_path, array) -> None:
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(as_rows(read(str(tmp_path / "a.npy"), COLOUR).pixels), pixels())


def test_the_key_is_of_the_pixels_alone(tmp_path) -> None:
    one, other, again = (tmp_path / name for name in ("a.png", "b.png", "c.bmp"))
    Image.fromarray(pixels(0)).save(one)
    Image.fromarray(pixels(1)).save(other)
    Image.fromarray(pixels(0)).save(again)
    keys = [read(str(file), COLOUR).key for file in (one, other, again)]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation_is_honoured(tmp_path, turn) -> None:
    upright = Image.fromarray(pixels(1))
    stored = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = upright
    for transpose in stored.get(turn, []):
        image = image.transpose(transpose)
    exif = Image.Exif()
    exif[0x0112] = turn
    file = saved(tmp_path / "turned.png", image, exif=exif)
    np.testing.assert_array_equal(as_rows(read(file, COLOUR).pixels), pixels(1))


def test_a_turned_pictures_size_is_that_of_the_upright_one(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = saved(tmp_path / "wide.jpg", Image.new("RGB", (40, 20)), exif=exif)
    assert read(file, COLOUR).stored == (20, 40)


def test_transparency_palettes_bits_and_frames(tmp_path) -> None:
    clear = saved(tmp_path / "clear.png", Image.new("RGBA", (16, 16), (0, 0, 0, 0)))
    assert (read(clear, COLOUR).pixels == 255).all()
    palette = saved(tmp_path / "palette.png", Image.new("RGB", (16, 16), (200, 0, 0)).quantize(2))
    assert read(palette, COLOUR).pixels[:, 0, 0].tolist() == [200, 0, 0]
    deep = saved(tmp_path / "deep.png", Image.fromarray(np.full((16, 16), 257 * 99, np.uint16)))
    assert (read(deep, COLOUR).pixels == 99).all() and (read(deep, GREY).pixels == 99).all()
    frames = [Image.new("L", (16, 16), level) for level in (10, 200, 250)]
    moving = saved(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    found = read(moving, GREY)
    assert (found.pixels == 10).all() and found.notes == ("the first of 3 frames",)


def test_colours_of_sixteen_bits(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", pixels().astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(as_rows(read(str(tmp_path / "deep.tif"), COLOUR).pixels), pixels())


def test_the_middle_is_cut_and_scaled(tmp_path) -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = pixels()
    file = saved(tmp_path / "wide.png", Image.fromarray(wide))
    np.testing.assert_array_equal(as_rows(read(file, COLOUR).pixels), pixels())
    assert read(file, (3, 8, 24)).pixels.shape == (3, 8, 24)
    assert read(file, (1, 5, 5)).pixels.shape == (1, 5, 5)


def test_a_hundred_megapixels_are_read_and_a_bomb_is_not(tmp_path) -> None:
    big = saved(tmp_path / "big.png", Image.new("1", (10_000, 10_000), 1))
    found = read(big, GREY)
    assert (found.pixels == 255).all() and found.stored == (10_000, 10_000)
    bomb = tmp_path / "bomb.png"
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT" + b"\0" * 30)
    with pytest.raises(InputError, match="too many pixels; up to 178 million are accepted"):
        read(str(bomb), GREY)


def _dicom(photometric: str, values: np.ndarray, frames: int = 1) -> bytes:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = values.shape
    data.PhotometricInterpretation, data.SamplesPerPixel = photometric, 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.NumberOfFrames = frames
    data.PixelData = np.repeat(values[None].astype(np.uint16), frames, 0).tobytes()
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize(("photometric", "first"), [("MONOCHROME2", 0), ("MONOCHROME1", 255)])
def test_dicom_of_twelve_bits(tmp_path, photometric, first) -> None:
    ramp = np.linspace(100, 3000, 256).round().reshape(16, 16)
    file = tmp_path / "scan"  # told by its content
    file.write_bytes(_dicom(photometric, ramp, frames=2))
    found = read(str(file), GREY)
    assert found.pixels.flatten()[[0, -1]].tolist() == [first, 255 - first]
    assert found.notes == ("greys stretched from the lowest to the highest", "the first of 2 frames")


@pytest.mark.parametrize(
    ("bits", "entries", "first", "ends"),
    [(8, 256, 0, (25, 225)), (16, 65536, 0, (6000, 60000)), (12, 4096, 0, (400, 3600)), (10, 1024, 512, (600, 1400))],
)
def test_a_table_of_values_of_interest_goes_from_black_to_white(tmp_path, bits, entries, first, ends) -> None:
    """What a table can say at least is black and what it can say at most white, not what this picture has of it."""
    import pydicom
    from pydicom.dataset import Dataset

    raw = np.repeat(np.array([ends]), 16, axis=0).repeat(8, axis=1)
    file = pydicom.dcmread(io.BytesIO(_dicom("MONOCHROME2", raw)))
    file.BitsStored, file.HighBit = 16, 15
    table, item = np.round(np.linspace(0, 2**bits - 1, entries)).astype("<u2"), Dataset()
    item.add_new(0x00283002, "US", [entries % 65536, first, bits])
    item.add_new(0x00283006, "OW", table.tobytes())
    file.VOILUTSequence = [item]
    file.save_as(tmp_path / "scan.dcm")
    found = read(str(tmp_path / "scan.dcm"), GREY)
    expected = [table[end - first] / (2**bits - 1) * 255 for end in ends]
    assert found.pixels[0, 0, [0, -1]].tolist() == pytest.approx(expected, abs=0.6)
    assert found.notes == ("windowed as its DICOM file says",)


def test_a_compressed_scan_says_what_to_install(tmp_path) -> None:
    import pydicom
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLosslessSV1

    file = pydicom.dcmread(io.BytesIO(_dicom("MONOCHROME2", np.zeros((16, 16)))))
    file.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    file.PixelData = encapsulate([b"\xff\xd8\xff\xc3" + bytes(50)])
    file["PixelData"].is_undefined_length = True
    file.save_as(tmp_path / "scan.dcm")
    with pytest.raises(InputError, match="install pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or gdcm$"):
        read(str(tmp_path / "scan.dcm"), GREY)


@pytest.mark.parametrize(
    ("values", "dark"),
    [
        (np.full((16, 16), 3600, np.uint16), True),
        (np.full((16, 16), 3600, np.int32), True),
        (np.full((16, 16), 4096, np.uint16), False),
        (np.zeros((16, 16), np.uint16), False),
    ],
)
def test_a_picture_that_uses_few_of_its_bits_is_told(tmp_path, values, dark) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", values)
    notes = read(str(tmp_path / "scan.tif"), GREY).notes
    assert bool(notes) == dark and (not dark or f"its values reach {values.max()} of 65535" in notes[0])
    if values.dtype == np.uint16:
        np.save(tmp_path / "scan.npy", values)
        assert read(str(tmp_path / "scan.npy"), GREY).notes == notes


def test_fractions_in_a_tiff(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", (pixels()[:, :, 0] / 255).astype(np.float32))
    np.testing.assert_array_equal(read(str(tmp_path / "scan.tif"), GREY).pixels[0].numpy(), pixels()[:, :, 0])


def _sample(name: str) -> str:
    """A file of pydicom's own, from a real scanner."""
    from pydicom.data import get_testdata_file

    file = get_testdata_file(name, download=False)
    assert file is not None, f"pydicom no longer brings {name}"
    return str(file)


def test_a_scan_is_rescaled_and_shown_in_its_window() -> None:
    """A head scan of 14 bits in Hounsfield units: -1024 + stored, window 40 +- 50, whose ends are black and white."""
    from pydicom import dcmread

    found = read(_sample("693_J2KI.dcm"), (1, 512, 512))
    units = dcmread(_sample("693_J2KI.dcm")).pixel_array - 1024.0
    expected = 255 * np.clip((units - (40 - 0.5)) / (100 - 1) + 0.5, 0, 1)
    assert 0.1 < ((units > -10) & (units < 90)).mean() < 0.9
    assert np.abs(found.pixels[0].numpy() - expected).max() <= 1
    assert found.notes == ("windowed as its DICOM file says",) and found.stored == (512, 512)


def test_a_scan_without_a_window_is_stretched() -> None:
    from pydicom import dcmread

    found = read(_sample("CT_small.dcm"), (1, 128, 128))
    units = dcmread(_sample("CT_small.dcm")).pixel_array.astype(float)
    expected = 255 * (units - units.min()) / (units.max() - units.min())
    assert np.abs(found.pixels[0].numpy() - expected).max() <= 1
    assert found.notes == ("greys stretched from the lowest to the highest",)


def test_what_the_network_does_not_see_is_told(tmp_path):
    clear = Image.new("RGBA", (16, 16), (200, 0, 0, 255))
    for name, image, notes in (
        ("opaque.png", clear, ()),
        ("clear.png", Image.new("RGBA", (16, 16), (200, 0, 0, 90)), ("transparent places became white",)),
        ("wide.png", Image.new("L", (64, 16), 90), ("only the middle of the picture is seen, 25 % of it",)),
        ("tall.png", Image.new("L", (16, 30), 90), ()),
    ):
        image.save(tmp_path / name)
        assert read(str(tmp_path / name), (3, 16, 16)).notes == notes


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("SC_rgb_rle_16bit.dcm", ()),
        ("SC_rgb_rle_2frame.dcm", ("the first of 2 frames",)),
        ("SC_ybr_full_422_uncompressed.dcm", ()),
    ],
)
def test_colour_scans_of_every_depth_show_the_same_bars(name, notes) -> None:
    found, plain = read(_sample(name), (3, 100, 100)), read(_sample("SC_rgb_dcmtk_+eb+cr.dcm"), (3, 100, 100))
    # Going through luminance and chrominance rounds.
    assert (found.pixels.int() - plain.pixels.int()).abs().max() <= 8 and found.notes == notes


def test_a_palette_gives_colours() -> None:
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_color_lut

    data = dcmread(_sample("examples_palette.dcm"))
    found = read(_sample("examples_palette.dcm"), (3, 350, 800))
    expected = apply_color_lut(data.pixel_array, data) / 65535 * 255
    assert np.abs(as_rows(found.pixels) - expected).max() <= 1 and (found.pixels[0] != found.pixels[2]).any()


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "test-SR.dcm", "rtplan.dcm", "badVR.dcm"])
def test_a_dicom_file_without_a_picture_gets_one_sentence(name) -> None:
    with pytest.raises(InputError, match=rf"{name} is not a DICOM picture that can be read: [^\n]+$"):
        read(_sample(name), GREY)


def test_standard_input(monkeypatch) -> None:
    out = io.BytesIO()
    Image.fromarray(pixels()).save(out, "PNG")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(out.getvalue())))
    found = read("-", COLOUR)
    assert found.source == "standard input" and torch.equal(found.pixels, torch.tensor(pixels()).permute(2, 0, 1))


class _Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the trap was sprung')",))


def bad_files():
    cut = io.BytesIO()
    Image.fromarray(pixels(side=64)).save(cut, "PNG")
    trap = io.BytesIO()
    np.save(trap, np.array([_Trap()], dtype=object), allow_pickle=True)
    arrays = {
        "wrong.npy": np.zeros((2, 3, 4, 5), np.uint8),
        "seven.npy": np.zeros((16, 16, 7), np.uint8),
        "none.npy": np.zeros((0, 16, 3), np.uint8),
        "large.npy": np.full((16, 16), 7.0),
        "nan.npy": np.full((16, 16), np.nan),
        "whole.npy": np.zeros((16, 16), np.int64),
    }
    files = {}
    for name, array in arrays.items():
        out = io.BytesIO()
        np.save(out, array)
        files[name] = out.getvalue()
    return files | {
        "empty.png": b"",
        "cut.png": cut.getvalue()[:300],
        "text.jpg": b"This is not a picture.",
        "cut.jpg": b"\xff\xd8\xff\xe0" + b"\0" * 50,
        "cut.tif": b"II*\0" + b"\1" * 40,
        "cut.npy": b"\x93NUMPY\x01\x00",
        "cut.npz": b"PK\x03\x04" + b"\0" * 40,
        "scan.dcm": b"no DICOM file at all",
        "cut.dcm": _dicom("MONOCHROME2", np.zeros((16, 16)))[:-100],
        "trap.npy": trap.getvalue(),
        "trap.npz": b"PK\x03\x04" + pickle.dumps(_Trap()),
        "cut.gif": b"GIF89a\1",
        "float.tif": b"MM\0*" + b"\0" * 8,
    }


@pytest.mark.parametrize(("name", "content"), bad_files().items(), ids=bad_files())
def test_what_is_no_picture_gets_one_sentence(tmp_path, name, content) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(str(file), COLOUR)
    assert name in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_what_is_not_there_or_does_not_fit(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nowhere.png cannot be read: No such file"):
        read("nowhere.png", COLOUR)
    with pytest.raises(InputError, match="holds no picture"):
        read(str(tmp_path), COLOUR)
    file = saved(tmp_path / "a.png", Image.fromarray(pixels()))
    with pytest.raises(InputError, match="the network takes 5 channels"):
        read(file, (5, 16, 16))
    np.save(tmp_path / "five.npy", np.zeros((16, 16, 5), np.uint8))
    assert read(str(tmp_path / "five.npy"), (5, 16, 16)).pixels.shape == (5, 16, 16)
    with pytest.raises(InputError, match="takes 8 x 8 pixels with 5 channels"):
        read(str(tmp_path / "five.npy"), (5, 8, 8))


def test_folders_are_searched_in_the_order_of_names(tmp_path) -> None:
    for name in ("b/2.png", "a.jpg", "b/1.PNG", ".hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for place in (".ipynb_checkpoints", "__MACOSX", "b/@eaDir"):
        (tmp_path / place).mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / place / "copy.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "b" / "3", "PNG")
    (tmp_path / "empty").mkdir()
    inside = [str(tmp_path / name) for name in ("a.jpg", "b/1.PNG", "b/2.png", "b/3")]
    empty = str(tmp_path / "empty")
    assert find([tmp_path, "-", inside[0], empty, "notes.txt"]) == [*inside, "-", empty, "notes.txt"]

"""DICOM as hospitals write it: every attribute that is optional is missing, empty, half there or of no meaning."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

from pellucid.core.errors import InputError
from pellucid.data.content import opened
from pellucid.data.headers import header
from pellucid.explanation.pictures import read

RAMP = np.linspace(100, 3100, 256).round().reshape(16, 16).astype(np.uint16)
STRETCHED = "greys stretched from the lowest to the highest"
WINDOWED = "windowed as its DICOM file says"


def scan(values=RAMP, *, without=(), syntax=ExplicitVRLittleEndian, **attributes):
    """A file of one frame with some attributes more, or without some that are usual."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    meta.TransferSyntaxUID = syntax
    data = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    (data.Rows, data.Columns), data.SamplesPerPixel = values.shape, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, int(values.dtype.kind == "i")
    data.PixelData = values.tobytes()
    for name, value in attributes.items():
        setattr(data, name, value)
    for name in without:
        delattr(data, name)
    return data


def content(data):
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def shown(data, where="scan"):
    picture, notes = opened(content(data) if isinstance(data, FileDataset) else data, where, channels=1)
    return np.asarray(picture).astype(int), notes


def table(values, *, first=0, bits=8, packed=False, **other):
    item = Dataset()
    item.add_new(0x00283002, "US", [len(values) % 65536, first, bits])
    data = np.asarray(values).astype("u1" if packed else "<u2").tobytes()
    item.add_new(0x00283006, "OW", data)
    for name in other.get("without", ()):
        delattr(item, name)
    return [item]


def stretched(values):
    values = values.astype(float)
    return 255 * (values - values.min()) / (values.max() - values.min())


def windowed(values, centre, width):
    """The window's equation as the standard has it, by its three cases (PS3.3, C.11.2.1.2.1)."""
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    inside = ((values - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return np.where(values <= low, 0, np.where(values > high, 255, inside))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"RescaleSlope": None, "RescaleIntercept": None}, None),
        ({"RescaleSlope": "2"}, None),
        ({"RescaleIntercept": "-1024"}, None),
        ({"RescaleSlope": "", "RescaleIntercept": "-1024"}, None),
        ({"RescaleSlope": "0", "RescaleIntercept": "5"}, "a RescaleSlope of 0 is left out"),
        ({"WindowCenter": None, "WindowWidth": None}, None),
        ({"WindowCenter": "40"}, "a window whose centre and width are 40, empty is left out"),
        ({"WindowWidth": "400", "WindowCenter": None}, "a window whose centre and width are empty, 400 is left out"),
        ({"WindowCenter": "40", "WindowWidth": "0"}, "a window whose centre and width are 40, 0 is left out"),
        ({"WindowCenter": "40", "WindowWidth": "-5"}, "a window whose centre and width are 40, -5 is left out"),
        ({"WindowCenter": "9000", "WindowWidth": "100"}, "would show one grey alone"),
        ({"WindowCenter": "-9000", "WindowWidth": "100"}, "would show one grey alone"),
        ({"WindowCenter": "9000", "WindowWidth": "1", "VOILUTFunction": "SIGMOID"}, "would show one grey alone"),
        ({"VOILUTSequence": []}, None),
        ({"VOILUTSequence": [Dataset()]}, "a VOILUTSequence without its table is left out"),
        ({"VOILUTSequence": table([0, 255], without=("LUTData",))}, "a VOILUTSequence without its table"),
        ({"VOILUTSequence": table([7, 7, 7])}, "would show one grey alone"),
        ({"ModalityLUTSequence": []}, None),
        ({"ModalityLUTSequence": table([0], without=("LUTDescriptor",))}, "a ModalityLUTSequence without its table"),
        ({"PixelPaddingValue": None}, None),
        ({"PixelPaddingValue": 5000}, None),
        ({"NumberOfFrames": None}, None),
    ],
)
def test_what_says_nothing_of_the_greys_is_left_out(attributes, told) -> None:
    found, notes = shown(scan(**attributes))
    assert np.abs(found - stretched(RAMP)).max() <= 0.51
    assert notes[0] == STRETCHED and len(notes) == (1 if told is None else 2) and (told or "") in notes[-1]


@pytest.mark.parametrize("without", ["PhotometricInterpretation", "SamplesPerPixel", "PixelRepresentation", "HighBit"])
def test_what_a_picture_must_say_and_does_not(without) -> None:
    found, notes = shown(scan(without=[without]))
    assert np.abs(found - stretched(RAMP)).max() <= 0.51 and notes == (STRETCHED,)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"WindowCenter": "1000", "WindowWidth": "800"}, windowed(RAMP.astype(float), 1000, 800)),
        ({"WindowCenter": ["1000", "9"], "WindowWidth": ["800", "1"]}, windowed(RAMP.astype(float), 1000, 800)),
        (
            {"WindowCenter": "1000", "WindowWidth": "800", "VOILUTFunction": None},
            windowed(RAMP.astype(float), 1000, 800),
        ),
        ({"WindowCenter": "1000.5", "WindowWidth": "1"}, 255 * (RAMP > 1000)),
        (
            {"WindowCenter": "1000", "WindowWidth": "800", "VOILUTFunction": "LINEAR_EXACT"},
            np.clip((RAMP.astype(float) - 1000) / 800 + 0.5, 0, 1) * 255,
        ),
        (
            {"WindowCenter": "1000", "WindowWidth": "800", "VOILUTFunction": "SIGMOID"},
            255 / (1 + np.exp(-4 * (RAMP.astype(float) - 1000) / 800)),
        ),
        (
            {"WindowCenter": "-24", "WindowWidth": "800", "RescaleSlope": "1", "RescaleIntercept": "-1024"},
            windowed(RAMP - 1024.0, -24, 800),
        ),
        (
            {"WindowCenter": "1000", "WindowWidth": "800", "PhotometricInterpretation": "MONOCHROME1"},
            255 - windowed(RAMP.astype(float), 1000, 800),
        ),
    ],
)
def test_windows(attributes, expected) -> None:
    found, notes = shown(scan(**attributes))
    assert np.abs(found - expected).max() <= 0.51 and notes == (WINDOWED,)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
def test_tables_of_eight_bits_however_they_are_stored(name, packed) -> None:
    values = np.arange(256).reshape(16, 16).astype(np.uint16)
    found, _ = shown(scan(values, **{name: table(255 - np.arange(256), packed=packed)}))
    assert np.array_equal(found, 255 - values)


def test_the_modality_comes_before_the_values_of_interest() -> None:
    values = np.arange(256).reshape(16, 16).astype(np.uint16)
    doubled, inverted = table(2 * np.arange(256), bits=16), table(511 - np.arange(512), bits=9)
    found, _ = shown(scan(values, ModalityLUTSequence=doubled, VOILUTSequence=inverted))
    assert np.abs(found - (511 - 2 * values.astype(float)) / 511 * 255).max() <= 0.51


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("padding", "last"), [(65535, None), (0, None), (65000, 65535)])
def test_padding_is_black_and_does_not_count(photometric, padding, last) -> None:
    """A round picture in a square frame, whose corners would press all tissue into a few greys."""
    values = RAMP.copy()
    values[:4] = padding
    limits = {"PixelPaddingValue": padding} | ({} if last is None else {"PixelPaddingRangeLimit": last})
    found, _ = shown(scan(values, PhotometricInterpretation=photometric, **limits))
    inside = stretched(RAMP[4:])
    assert (found[:4] == 0).all()
    assert np.abs(found[4:] - (255 - inside if photometric == "MONOCHROME1" else inside)).max() <= 0.51


def test_the_first_frame_of_many_may_keep_its_own_window() -> None:
    frame, voi, rescaled = Dataset(), Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = "-24", "800"
    rescaled.RescaleSlope, rescaled.RescaleIntercept = "1", "-1024"
    frame.FrameVOILUTSequence, frame.PixelValueTransformationSequence = [voi], [rescaled]
    found, notes = shown(scan(PerFrameFunctionalGroupsSequence=[frame]))
    assert np.abs(found - windowed(RAMP - 1024.0, -24, 800)).max() <= 0.51 and notes == (WINDOWED,)


def test_signed_values_and_compressed_ones() -> None:
    signed = RAMP.astype(np.int16) - 1500
    assert np.abs(shown(scan(signed))[0] - stretched(signed)).max() <= 0.51
    packed = scan()
    packed.compress(RLELossless)
    assert np.array_equal(shown(packed)[0], shown(scan())[0])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_without_preamble_and_suffix_is_told_by_its_content(tmp_path, syntax) -> None:
    out = io.BytesIO()
    data = scan()
    if syntax == ImplicitVRLittleEndian:
        del data.file_meta
        data.preamble = None
        data.save_as(out, implicit_vr=True, little_endian=True, enforce_file_format=False)
    else:
        data.save_as(out, enforce_file_format=True)
    bare = out.getvalue()
    bare = bare[132:] if bare[128:132] == b"DICM" else bare
    (tmp_path / "IM0001").write_bytes(bare)
    assert header(str(tmp_path / "IM0001")).size == (16, 16)
    found = read(str(tmp_path / "IM0001"), (1, 16, 16)).pixels[0].numpy()
    assert np.abs(found - stretched(RAMP)).max() <= 0.51


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000"])
def test_a_picture_of_another_kind_may_be_called_dcm(tmp_path, kind) -> None:
    Image.new("RGB", (16, 16), (200, 0, 0)).save(tmp_path / "scan.dcm", kind)
    assert header(str(tmp_path / "scan.dcm")).reason is None
    assert abs(int(read(str(tmp_path / "scan.dcm"), (3, 16, 16)).pixels[0, 0, 0]) - 200) < 10


def test_mutated_files_are_read_or_refused() -> None:
    """500 files of which bytes were changed: a picture or one sentence, never another error."""
    attributes = {"WindowCenter": "1000", "WindowWidth": "800", "RescaleSlope": "1", "RescaleIntercept": "-1024"}
    whole = bytearray(content(scan(RAMP[:2, :2], **attributes, VOILUTSequence=table([1, 2]))))
    outcomes = set()
    for seed in range(500):
        generator = np.random.default_rng(seed)
        changed = bytearray(whole)
        for place in generator.integers(132, len(changed), 3):
            changed[place] = generator.integers(256)
        try:
            picture, _ = opened(bytes(changed), "scan.dcm", channels=1)
            outcomes.add("picture")
            assert np.asarray(picture).dtype == np.uint8
        except InputError as error:
            outcomes.add("two lines" if "\n" in str(error) else "sentence")
    assert outcomes == {"picture", "sentence"}


def test_the_reader_agrees_with_pydicom_on_a_real_scan() -> None:
    from pydicom.data import get_testdata_file
    from pydicom.pixels.processing import apply_modality_lut, apply_windowing

    file = get_testdata_file("693_J2KI.dcm", download=False)
    data = dcmread(file)
    reference = apply_windowing(apply_modality_lut(data.pixel_array, data), data)
    low, high = apply_windowing(np.array([-1e9, 1e9]), data)
    found = read(str(file), (1, *data.pixel_array.shape)).pixels[0].numpy()
    assert np.abs(found - 255 * (reference - low) / (high - low)).max() <= 0.51

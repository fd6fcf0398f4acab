import io
import os
import pickle
import shutil

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

import pellucid.data.dataset
from pellucid.core.errors import InputError
from pellucid.data import Data, Loader, load


def write(path, *, splits=("train", "test"), classes=("cat", "dog"), n=4, size=(12, 12), mode="RGB", suffix="png"):
    random = np.random.default_rng(0)
    for split in splits:
        for name in classes:
            (path / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).convert(mode).save(path / split / name / f"{i:03}.{suffix}")
    return path


def data(path, **more):
    return Data(**{"name": "folder", "path": str(path), "validation": 0} | more)


def test_classes_are_the_sorted_folders_and_pixels_those_of_the_files(tmp_path):
    write(tmp_path / "pets", classes=("dog", "ant", "cat"))
    train = load(data(tmp_path / "pets"), "train")
    assert train.name == "pets"
    assert train.classes == ("ant", "cat", "dog")
    assert train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for i, file in enumerate(sorted((tmp_path / "pets" / "train").glob("*/*"))):
        assert np.array_equal(train.image(i).permute(1, 2, 0).numpy(), np.array(Image.open(file)))
    assert torch.equal(train.take([3, 0]), train.images[[3, 0]])


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp", "webp", "tiff"])
def test_other_formats(tmp_path, suffix):
    write(tmp_path, suffix=suffix)
    assert load(data(tmp_path), "test").images.shape == (8, 3, 12, 12)


def test_what_is_tested_and_what_validates(tmp_path):
    own = write(tmp_path / "own", splits=("train", "val", "test"))
    assert [len(load(data(own, validation=3), split)) for split in ("train", "validation", "test")] == [8, 8, 8]
    two = write(tmp_path / "two", splits=("train", "valid"))
    parts = [load(data(two, validation=3), split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [5, 3, 8]
    assert len({part.mean for part in parts}) == 1
    with pytest.raises(InputError, match="one has no test split"):
        load(data(write(tmp_path / "one", splits=("train",))), "test")


def test_moments_are_those_of_the_training_pixels(tmp_path):
    train = load(data(write(tmp_path)), "train")
    pixels = train.images.double() / 255
    assert train.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert train.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())
    assert load(data(tmp_path), "test").mean == train.mean


def test_what_is_no_picture_is_left_out_counted_and_told_once(tmp_path, capsys):
    write(tmp_path)
    dog = tmp_path / "train" / "dog"
    (dog / "notes.png").write_text("no picture")
    (dog / "labels.csv").write_text("file,label")
    (dog / "nothing.jpg").write_bytes(b"")
    (dog / "report.docx").write_bytes(b"PK\x03\x04" + bytes(40))
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(whole, "JPEG")
    (dog / "cut.jpg").write_bytes(whole.getvalue()[:-60])
    Image.new("RGB", (12, 12)).save(tmp_path / "train" / "loose.png")
    for _ in range(2):
        train = load(data(tmp_path), "train")
    assert len(train) == 8 and train.images.shape == (8, 3, 12, 12)
    assert train.left_out == {"no picture": 2, "damaged": 2, "empty": 1, "in no folder of a class": 1}
    assert capsys.readouterr().err == (
        f"pellucid: left out of {tmp_path / 'train'}: 2 damaged, 2 no picture, 1 empty, 1 in no folder of a class, "
        f"such as {dog / 'cut.jpg'}\n"
    )
    assert load(data(tmp_path), "test").left_out == {}


def test_a_jpeg_with_more_behind_its_end_is_complete(tmp_path):
    write(tmp_path, suffix="jpg")
    file = tmp_path / "train" / "cat" / "000.jpg"
    file.write_bytes(file.read_bytes() + b"a film" * 2000)
    assert len(load(data(tmp_path), "train")) == 8


def test_kinds_are_told_by_content_whatever_the_name(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    pixels[0, :2, 0] = 0, 255
    picture = Image.fromarray(pixels)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            picture.save(tmp_path / split / name / "a.png")
    cat = tmp_path / "train" / "cat"
    Image.init()
    avif = "AVIF" if "AVIF" in Image.SAVE else "WEBP"  # Pillow knows AVIF from 11.3 on
    for name, kind in (("b.jfif", "JPEG"), ("c.ppm", "PPM"), ("d", "PNG"), ("e.jp2", "JPEG2000"), ("f.avif", avif),
                       ("g.gif", "GIF"), ("h.jpg", "WEBP")):  # fmt: skip
        picture.save(cat / name, kind)
    np.save(cat / "i.npy", pixels)
    np.savez(cat / "j.npz", image=pixels)
    Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(cat / "k.tif")
    tifffile.imwrite(cat / "l.tif", pixels.astype(np.uint16) * 257, photometric="rgb")
    (cat / "m").write_bytes(scan(pixels[:, :, 0]))
    train = load(data(tmp_path), "train")
    assert len(train) == 14 and train.left_out == {}
    lossless = torch.from_numpy(pixels).permute(2, 0, 1)
    for i in (0, 2, 3, 8, 9, 11):
        assert torch.equal(train.image(i), lossless)
    for i in (1, 4, 5, 6, 7):
        assert (train.image(i).float() - lossless.float()).abs().mean() < 64
    for i in (10, 12):
        assert torch.equal(train.image(i), lossless[:1].expand(3, -1, -1))


def scan(values):
    """A DICOM file of 12 bits, which is read as the values where these go from 0 to 255."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    (file.Rows, file.Columns), file.SamplesPerPixel = values.shape, 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PixelData = (values.astype(np.uint16) * 16).tobytes()
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_arrays_of_many_channels(tmp_path):
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (12, 12, 6), dtype=np.uint8) for _ in range(4)]
    for i, array in enumerate(arrays):
        place = tmp_path / ("cat", "dog")[i % 2]
        place.mkdir(exist_ok=True)
        np.save(place / f"{i}.npy", array if i < 2 else array.transpose(2, 0, 1))
    train = load(data(tmp_path, channels=6, test=0), "train")
    assert train.shape == (6, 12, 12) and len(train.mean) == 6
    for i, k in enumerate((0, 2, 1, 3)):
        assert np.array_equal(train.image(i).permute(1, 2, 0).numpy(), arrays[k])
    with pytest.raises(InputError, match=r"0.npy is an array of shape \(12, 12, 6\)"):
        load(data(tmp_path, channels=5), "train")


def test_dark_pictures_and_scans_are_told(tmp_path, capsys):
    write(tmp_path)
    for i in range(3):
        tifffile.imwrite(tmp_path / "train" / "cat" / f"deep{i}.tif", np.full((12, 12), 3600 + i, np.uint16))
    (tmp_path / "train" / "dog" / "scan").write_bytes(scan(np.arange(144).reshape(12, 12)))
    train = load(data(tmp_path), "train")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all(str(tmp_path) in line for line in told)
    assert "deep0.tif: its values reach 3600 of 65535" in told[0] and "3 of 4 that were looked at" in told[0]
    assert "scan: greys stretched from the lowest to the highest" in told[1]
    assert train.image(4).unique().tolist() == [14]


def test_a_mask_of_a_scan_has_its_size(tmp_path):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / "scans" / split / name).mkdir(parents=True)
            (tmp_path / "scans" / split / name / "a.dcm").write_bytes(scan(np.arange(144).reshape(12, 12)))
            (tmp_path / "masks" / split / name).mkdir(parents=True)
            Image.fromarray(np.tri(12, dtype=np.uint8) * 255).save(tmp_path / "masks" / split / name / "a.png")
    train = load(data(tmp_path / "scans", masks=str(tmp_path / "masks")), "train")
    assert torch.equal(train.truth_of([0]).mask[0], torch.tril(torch.ones(12, 12)).bool())
    Image.new("L", (9, 12), 255).save(tmp_path / "masks" / "train" / "cat" / "a.png")
    with pytest.raises(InputError, match="is 9 x 12 pixels, but its image .* is 12 x 12"):
        load(data(tmp_path / "scans", masks=str(tmp_path / "masks")), "train")


def test_what_systems_and_notebooks_put_there_is_no_data(tmp_path):
    write(tmp_path)
    expected = load(data(tmp_path), "train")
    for name in (".ipynb_checkpoints", ".thumbnails", "@eaDir", "__MACOSX", "#recycle"):
        for place in (tmp_path, tmp_path / "train", tmp_path / "train" / "cat", tmp_path / "train" / "cat" / "deep"):
            (place / name).mkdir(parents=True)
            shutil.copy(tmp_path / "train" / "dog" / "000.png", place / name / "copy.png")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"x")
    train = load(data(tmp_path), "train")
    assert (train.fingerprint, train.left_out, train.classes) == (expected.fingerprint, {}, ("cat", "dog"))


def test_a_link_to_a_folder_above_ends(tmp_path):
    write(tmp_path)
    (tmp_path / "train" / "cat" / "up").symlink_to(tmp_path / "train" / "cat", target_is_directory=True)
    write(tmp_path / "elsewhere", splits=("more",), classes=("cat",), n=2)
    (tmp_path / "train" / "cat" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert load(data(tmp_path), "train").labels.tolist() == [0] * 6 + [1] * 4


def test_links_add_what_they_alone_lead_to(tmp_path, capsys):
    """Links to files and folders of the set, to one another, to themselves and to nothing, and one to a new picture."""
    write(tmp_path / "pets")
    write(tmp_path / "elsewhere", splits=("a", "b"), classes=("cat",), n=1)
    cat, dog = (tmp_path / "pets" / "train" / name for name in ("cat", "dog"))
    for link, target in {
        cat / "again.png": cat / "000.png",
        dog / "cat.png": cat / "001.png",
        cat / "dogs": dog,
        cat / "all": tmp_path / "pets" / "train",
        cat / "new.png": tmp_path / "elsewhere" / "a" / "cat" / "000.png",
        cat / "newer.png": tmp_path / "elsewhere" / "a" / "cat" / "000.png",
        cat / "gone.png": tmp_path / "nowhere.png",
        cat / "self": cat / "self",
        tmp_path / "elsewhere" / "a" / "b": tmp_path / "elsewhere" / "b",
        tmp_path / "elsewhere" / "b" / "a": tmp_path / "elsewhere" / "a",
        dog / "b": tmp_path / "elsewhere" / "b",
        tmp_path / "pets" / "train" / "kitten": cat,
        tmp_path / "pets" / "train" / "everything": tmp_path / "pets",
    }.items():
        link.symlink_to(target)
    train = load(data(tmp_path / "pets"), "train")
    assert train.classes == ("cat", "dog") and train.labels.tolist() == [0] * 5 + [1] * 5
    assert train.left_out["a link to nothing"] == 2 and train.left_out["a link to another of them"] >= 5
    assert "a link to another of them" in capsys.readouterr().err


def test_splits_that_are_one_folder_are_refused(tmp_path):
    write(tmp_path, splits=("train",))
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(InputError, match="the images of test must be others than those of train"):
        load(data(tmp_path), "test")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write(tmp_path)
    listed = os.scandir

    def refusing(path="."):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match=r"folder .*train/cat cannot be read: Permission denied$"):
        load(data(tmp_path), "train")


def photographs(path, **counts):
    """Folders of classes alone, whose images differ."""
    random = np.random.default_rng(0)
    for name, n in counts.items():
        (path / name).mkdir(parents=True)
        for i in range(n):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / name / f"p{i // 5}_{i:03}.png")
    return path


def parts(choice):
    return [load(choice, split) for split in ("train", "validation", "test")]


def counts(part):
    return torch.bincount(part.labels, minlength=len(part.classes)).tolist()


def test_classes_alone_are_cut_by_shares(tmp_path, capsys):
    photographs(tmp_path / "pets", cat=50, dog=25, eel=3, fox=2, gnu=1)
    choice = Data(name="folder", path=str(tmp_path / "pets"))
    train, validation, test = parts(choice)
    assert [len(part) for part in (train, validation, test)] == [51, 13, 17]
    assert counts(test) == [10, 5, 1, 1, 0] and counts(validation) == [8, 4, 1, 0, 0]
    assert capsys.readouterr().err.splitlines() == [
        "pellucid: pets has no split; 51 of its images are for training, 13 for validation and 17 for testing "
        "(the settings validation and test change this)",
        "pellucid: class 'gnu' of pets has one image, which can be in only one of these parts",
    ]
    pixels = [image.numpy().tobytes() for part in (train, validation, test) for image in part.images]
    assert len(set(pixels)) == 81
    assert [part.fingerprint for part in parts(choice)] == [train.fingerprint, validation.fingerprint, test.fingerprint]
    assert train.mean == test.mean
    other = parts(Data(name="folder", path=str(tmp_path / "pets"), split_seed=1))
    assert counts(other[2]) == counts(test) and other[2].fingerprint != test.fingerprint
    asked = parts(Data(name="folder", path=str(tmp_path / "pets"), validation=10, test=0.5))
    assert [len(part) for part in asked] == [31, 10, 40]
    assert counts(load(Data(name="folder", path=str(tmp_path / "pets"), validation=0), "train"))[0] == 40


def test_a_share_of_the_training_images_validates_or_tests(tmp_path):
    pets = write(tmp_path / "pets", n=10)
    assert [counts(part) for part in parts(data(pets, validation=0.3))] == [[7, 7], [3, 3], [10, 10]]
    assert [counts(part) for part in parts(data(pets, validation=None))] == [[8, 8], [2, 2], [10, 10]]
    with pytest.raises(InputError, match=r"pets has 20 test images of its own; leave --dataset.test out"):
        load(data(pets, test=0.5), "train")
    own = write(tmp_path / "own", splits=("train", "val"), n=10)
    assert [counts(part) for part in parts(data(own, test=0.5))] == [[5, 5], [10, 10], [5, 5]]
    alone = write(tmp_path / "alone", splits=("train",), n=10)
    assert [counts(part) for part in parts(data(alone, test=4, validation=0.25))] == [[6, 6], [2, 2], [2, 2]]


def test_folders_of_splits_have_many_names(tmp_path):
    pets = write(tmp_path / "pets", splits=("Training", "Testing"))
    assert [len(part) for part in parts(data(pets, validation=2))] == [6, 2, 8]


def test_images_of_a_group_stay_together(tmp_path):
    photographs(tmp_path / "pets", cat=40, dog=40)
    choice = Data(name="folder", path=str(tmp_path / "pets"), group="/p([0-9]+)_")
    by_file = [load(choice, split).source for split in ("train", "validation", "test")]
    groups = []
    for rows in by_file:
        files = rows.images.values.files
        groups.append({files[int(row)].rsplit("/", 1)[1].split("_")[0] for row in rows.rows})
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert [len(group) for group in groups] == [5, 1, 2]
    with pytest.raises(InputError, match=r"the group '\(dog\)' is not found in the path 'cat/p0_000.png'"):
        load(Data(name="folder", path=str(tmp_path / "pets"), group="(dog)"), "train")
    with pytest.raises(InputError, match="the 2 groups of pets are too few to keep some for validation"):
        load(Data(name="folder", path=str(tmp_path / "pets"), group="^(cat|dog)"), "train")


def test_a_group_in_two_splits_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=r"group '000' of .* has images in train and in test; put them into one"):
        load(data(tmp_path, group="([0-9]+)[.]png$"), "train")
    assert len(load(data(tmp_path, group="^(train|test)"), "train")) == 8


def test_few_images_are_a_sentence_or_a_split(tmp_path):
    photographs(tmp_path / "one", cat=5)
    with pytest.raises(InputError, match="one has one class, cat; a classifier needs two or more"):
        load(Data(name="folder", path=str(tmp_path / "one")), "train")
    photographs(tmp_path / "five", cat=3, dog=2)
    assert [counts(part) for part in parts(Data(name="folder", path=str(tmp_path / "five")))] == [
        *([1, 1], [1, 0], [1, 1]),
    ]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none has no folder train, nor a folder of a class; expected train/CLASS"):
        load(Data(name="folder", path=str(tmp_path / "none")), "train")


def test_sizes_must_agree_unless_one_is_given(tmp_path):
    write(tmp_path)
    Image.new("RGB", (10, 30)).save(tmp_path / "train" / "dog" / "odd.png")
    with pytest.raises(InputError, match=r"odd.png is 10 x 30 pixels, but the first image is 12 x 12; give a size"):
        load(data(tmp_path), "train")
    assert load(data(tmp_path, size=8), "train").images.shape == (9, 3, 8, 8)


def spoil(file):
    """Change a byte in the middle of a picture, so that its header is whole and its pixels are not."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)


def test_a_damaged_picture_ends_that_picture_alone(tmp_path, capsys):
    write(tmp_path)
    for name in ("001.png", "002.png"):
        spoil(tmp_path / "train" / "dog" / name)
    (tmp_path / "train" / "cat" / "scan.tif").write_bytes(b"II*\0" + bytes(range(60)))
    np.save(tmp_path / "train" / "cat" / "standardised.npy", np.full((12, 12), -1.5, np.float32))
    train = load(data(tmp_path), "train")
    assert train.labels.tolist() == [0] * 4 + [1] * 2 and len(train.images) == 6
    assert train.left_out == {"damaged": 2, "that cannot be read": 1, "with values that no picture has": 1}
    (told,) = capsys.readouterr().err.splitlines()
    assert "left out of" in told and "2 damaged" in told and "scan.tif" in told


def test_where_no_picture_is_left_the_first_is_named(tmp_path):
    write(tmp_path, classes=("cat",), n=2)
    for file in (tmp_path / "train" / "cat").iterdir():
        spoil(file)
    with pytest.raises(InputError, match="cat/000.png is damaged: "):
        load(data(tmp_path), "train")
    (tmp_path / "arrays" / "train" / "cat").mkdir(parents=True)
    np.save(tmp_path / "arrays" / "train" / "cat" / "12.npy", np.full((12, 12), -1.5, np.float32))
    with pytest.raises(InputError, match="12.npy has values from -1.5 to -1.5; fractions must be in"):
        load(data(tmp_path / "arrays"), "train")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_is_damaged_later_is_named_wherever_it_is_decoded(tmp_path, monkeypatch, workers):
    write(tmp_path)
    held = load(data(tmp_path), "train")
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    loader = Loader(load(data(tmp_path), "train"), batch_size=4, shuffle=False, seed=0, drop_last=True, workers=workers)
    monkeypatch.undo()
    spoil(tmp_path / "train" / "dog" / "002.png")
    sentence = r"^[^\n]*dog/002.png is not an image that can be read: [^\n]*$"
    with pytest.raises(InputError, match=sentence):
        _ = held.images
    with pytest.raises(InputError, match=sentence):
        list(loader.epoch(0))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_streamed_batches_are_those_held_in_memory_in_every_epoch(tmp_path, monkeypatch, workers):
    write(tmp_path, n=9, size=(15, 11))
    choice = data(tmp_path, size=10, validation=4)
    settings = {"batch_size": 4, "shuffle": True, "seed": 0, "drop_last": False, "augmentation": "default"}
    held = Loader(load(choice, "train"), **settings)
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    streamed = Loader(load(choice, "train"), workers=workers, **settings)
    for epoch in range(2):
        for a, b in zip(held.epoch(epoch), streamed.epoch(epoch), strict=True):
            assert all(torch.equal(left, right) for left, right in zip(a[:3], b[:3], strict=True))
    # An epoch that was left in its middle leaves nothing behind.
    next(iter(streamed.epoch(2)))
    again = [batch.index.tolist() for batch in streamed.epoch(3)]
    assert again == [batch.index.tolist() for batch in held.epoch(3)]


def test_two_epochs_of_one_streaming_loader_at_once_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    dataset = load(data(write(tmp_path)), "train")
    loader = Loader(dataset, batch_size=2, shuffle=False, seed=0, drop_last=True, workers=0)
    first = loader.epoch(0)
    next(first)
    next(loader.epoch(1))
    with pytest.raises(RuntimeError, match="one epoch at a time"):
        next(first)


def test_the_reader_can_be_sent_to_a_process(tmp_path):
    pictures = load(data(write(tmp_path)), "train").source
    assert torch.equal(pickle.loads(pickle.dumps(pictures))[1], pictures[1])


def test_mistakes_in_the_folders(tmp_path):
    with pytest.raises(InputError, match="is not a folder; expected one with train/CLASS"):
        load(data(tmp_path / "nowhere"), "train")
    with pytest.raises(InputError, match="has no folder train"):
        load(data(tmp_path), "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="train has no folder of a class"):
        load(data(tmp_path), "train")
    (tmp_path / "train").rmdir()
    write(tmp_path)
    (tmp_path / "train" / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty has no image; PNG, JPEG"):
        load(data(tmp_path), "train")
    (tmp_path / "train" / "empty" / "notes.txt").write_text("none")
    with pytest.raises(InputError, match=r"empty has no image among its 1 files; PNG, JPEG"):
        load(data(tmp_path), "train")
    shutil.rmtree(tmp_path / "train" / "empty")
    write(tmp_path, splits=("test",), classes=("bird",))
    with pytest.raises(InputError, match=r"class 'bird' of .* is none of the 2 classes"):
        load(data(tmp_path), "test")
    with pytest.raises(InputError, match="validation must be less than the 8 training images"):
        load(data(tmp_path, validation=8), "train")


def test_labels_follow_the_names_of_the_training_classes(tmp_path):
    write(tmp_path, splits=("train",), classes=("ant", "cat", "dog"))
    write(tmp_path, splits=("test",), classes=("cat", "dog"))
    test = load(data(tmp_path), "test")
    assert (test.classes, test.labels.tolist()) == (("ant", "cat", "dog"), [1] * 4 + [2] * 4)
    test = load(data(tmp_path, classes=("dog", "cat", "ant")), "test")
    assert (test.classes, test.labels.tolist()) == (("dog", "cat", "ant"), [1] * 4 + [0] * 4)


def test_splits_of_different_sizes_need_a_size(tmp_path):
    write(tmp_path, splits=("train",))
    write(tmp_path, splits=("test",), size=(10, 30))
    with pytest.raises(InputError, match="the test images of .* are 10 x 30 pixels, but its training images 12 x 12"):
        load(data(tmp_path), "test")
    assert load(data(tmp_path, size=8), "test").shape == (3, 8, 8)

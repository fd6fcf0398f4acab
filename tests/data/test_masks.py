import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid.data.dataset
from pellucid.core.errors import InputError
from pellucid.data import Data, Loader, load


def write(path, *, size=(12, 10), n=5, splits=("train", "test")):
    """An image folder whose images are their masks, bright where the cause is, and the masks beside it."""
    random = np.random.default_rng(0)
    for split in splits:
        for name in ("cat", "dog"):
            for kind in ("images", "masks"):
                (path / kind / split / name).mkdir(parents=True)
            for i in range(n):
                mask = (random.random((size[1], size[0])) < 0.4).astype(np.uint8) * 255
                Image.fromarray(mask).save(path / "masks" / split / name / f"{i}.png")
                Image.fromarray(mask).convert("RGB").save(path / "images" / split / name / f"{i}.bmp")
    return path


def data(path, **more):
    settings = {"name": "folder", "path": str(path / "images"), "masks": str(path / "masks"), "validation": 0}
    return Data(**(settings | more))


def test_masks_are_those_of_their_images(tmp_path, capsys):
    train = load(data(write(tmp_path), validation=3), "train")
    masks = train.truth_of(range(len(train))).mask
    assert torch.equal(masks, train.images[:, 0] > 127)
    validation = load(data(tmp_path, validation=3), "validation")
    assert torch.equal(validation.truth_of([2, 0]).mask, validation.take([2, 0])[:, 0] > 127)
    few = load(data(tmp_path, limit=4), "train")
    assert torch.equal(few.truth_of([3]).mask, few.take([3])[:, 0] > 127)
    assert load(data(tmp_path, masks=None), "train").truth is None
    assert capsys.readouterr().err == ""


def test_other_masks_are_other_contents(tmp_path):
    before = load(data(write(tmp_path)), "train").contents
    assert load(data(tmp_path), "train").contents == before != load(data(tmp_path, masks=None), "train").contents
    shutil.copy(tmp_path / "masks" / "train" / "cat" / "1.png", tmp_path / "masks" / "train" / "cat" / "0.png")
    assert load(data(tmp_path), "train").contents != before


def test_a_damaged_mask_is_one_that_is_not_known(tmp_path, capsys):
    write(tmp_path)
    bad = tmp_path / "masks" / "train" / "cat" / "1.png"
    bad.write_bytes(bad.read_bytes()[:60])
    (tmp_path / "masks" / "train" / "cat" / "2.png").write_bytes(b"")
    masks = load(data(tmp_path), "train").truth_of(range(10)).mask
    assert masks.flatten(1).any(1).tolist() == [True, False, False, *[True] * 7]
    told = capsys.readouterr().err
    assert "1 damaged" in told and "1 empty" in told and "2 of the 10 images of" in told


@pytest.mark.parametrize("mode", ["1", "L"])
@pytest.mark.parametrize("size", [(24, 16), (16, 24), (16, 16), (31, 17)])
def test_a_mask_is_resized_and_cropped_like_its_image(tmp_path, mode, size):
    for kind in ("images", "masks"):
        for split in ("train", "test"):
            for name in ("cat", "dog"):
                (tmp_path / kind / split / name).mkdir(parents=True)
    for split in ("train", "test"):
        Image.new("RGB", size).save(tmp_path / "images" / split / "dog" / "a.png")
        bright = np.zeros(size[::-1], np.uint8)
        bright[2 : size[1] // 2, size[0] // 3 : 2 * size[0] // 3] = 255
        Image.fromarray(bright).convert(mode).save(tmp_path / "masks" / split / "cat" / "a.png")
        Image.fromarray(bright).convert("RGB").save(tmp_path / "images" / split / "cat" / "a.png")
    train = load(data(tmp_path, size=12), "train")
    mask, image = train.truth_of([0]).mask[0], train.image(0)[0]
    assert mask.shape == (12, 12)
    # The image is smooth at the edges, where its mask takes a side.
    assert (mask != (image > 127)).sum() <= 8
    assert (mask & (image == 0)).sum() == 0 and (~mask & (image == 255)).sum() == 0


def test_a_mask_lies_as_its_image_does_once_that_is_upright(tmp_path):
    write(tmp_path, size=(12, 10), n=1)
    sideways = Image.open(tmp_path / "images" / "train" / "cat" / "0.bmp").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways.save(tmp_path / "images" / "train" / "cat" / "0.png", exif=exif)
    (tmp_path / "images" / "train" / "cat" / "0.bmp").unlink()
    train = load(data(tmp_path), "train")
    assert torch.equal(train.truth_of([0, 1]).mask, train.images[:, 0] > 127)


@pytest.mark.parametrize("augmentation", ["flip", "flips", "crop-flip"])
@pytest.mark.parametrize("held", [True, False])
def test_augmentation_moves_a_mask_with_its_image(tmp_path, monkeypatch, augmentation, held):
    write(tmp_path, n=8)
    if not held:
        monkeypatch.setattr(pellucid.data.dataset, "FITS", 0)
    train = load(data(tmp_path, augmentation=augmentation), "train")
    settings = {"batch_size": 8, "shuffle": True, "seed": 1, "drop_last": True, "augmentation": "default", "workers": 0}
    moved = 0
    for batch in Loader(train, **settings).epoch(0):
        assert torch.equal(batch.mask, batch.image[:, :1] > 0.5)
        moved += sum(not torch.equal(batch.image[k], train.image(int(i)) / 255) for k, i in enumerate(batch.index))
    assert moved > 4


def test_images_without_a_mask_are_counted_once(tmp_path, capsys):
    write(tmp_path)
    for name in ("cat/0", "dog/2", "dog/3"):
        (tmp_path / "masks" / "train" / f"{name}.png").unlink()
    Image.new("L", (12, 10), 0).save(tmp_path / "masks" / "train" / "cat" / "1.png")
    Image.new("L", (12, 10), 255).save(tmp_path / "masks" / "train" / "cat" / "2.png")
    for _ in range(2):
        train = load(data(tmp_path), "train")
    told = capsys.readouterr().err
    assert told == (
        f"pellucid: 3 of the 10 images of {tmp_path / 'images' / 'train'} have no mask; what decides them counts as "
        "not known\n"
    )
    unknown = ~train.truth_of(range(10)).mask.flatten(1).any(1)
    assert unknown.nonzero().flatten().tolist() == [0, 1, 2, 7, 8]


def test_a_mask_that_does_not_fit_is_named(tmp_path):
    write(tmp_path)
    place = tmp_path / "masks" / "train" / "dog" / "3.png"
    for wrong, sentence in (
        (Image.new("L", (10, 12)), r"dog/3.png is 10 x 12 pixels, but its image .*dog/3.bmp is 12 x 10$"),
        (Image.new("RGB", (12, 10)), r"dog/3.png has mode 'RGB'; a mask is grey \(L\) or black and white \(1\)$"),
        (Image.new("P", (12, 10)), r"dog/3.png has mode 'P'; a mask is"),
    ):
        wrong.save(place)
        with pytest.raises(InputError, match=sentence):
            load(data(tmp_path), "train").truth_of(range(10))
    Image.new("L", (12, 10), 200).save(place)
    train = load(data(tmp_path), "train")
    place.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"dog/3.png is not a mask that can be read for .*dog/3.bmp: "):
        train.truth_of(range(10))


def test_a_folder_of_masks_that_tells_nothing_is_named(tmp_path):
    write(tmp_path, splits=("train",))
    (tmp_path / "images" / "test" / "cat").mkdir(parents=True)
    Image.new("RGB", (12, 10)).save(tmp_path / "images" / "test" / "cat" / "a.png")
    with pytest.raises(InputError, match=r"masks/test is not a folder; expected one with the masks of .*images/test"):
        load(data(tmp_path), "test")
    for value in (0, 1, 255):
        for file in (tmp_path / "masks" / "train").glob("*/*.png"):
            Image.new("L", (12, 10), value).save(file)
        with pytest.raises(
            InputError, match=r"has masks that are all dark or all bright, such as .*cat/0.png; expected"
        ):
            load(data(tmp_path), "train")
    for file in (tmp_path / "masks" / "train").glob("*/*.png"):
        file.rename(file.with_name(f"mask of {file.name}"))
    with pytest.raises(InputError, match=r"no image of .*images/train has a mask; the first is looked for at .*0.png$"):
        load(data(tmp_path), "train")


def test_masks_are_remembered_and_can_be_sent_to_a_process(tmp_path):
    train = load(data(write(tmp_path)), "train")
    before = train.truth_of(range(10)).mask
    for file in (tmp_path / "masks" / "train").glob("*/*.png"):
        file.unlink()
    assert torch.equal(train.truth_of(range(10)).mask, before)
    sent = pickle.loads(pickle.dumps(train.truth.mask))
    with pytest.raises(InputError, match="is not a mask that can be read"):
        sent[0]

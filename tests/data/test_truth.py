import hashlib
import os

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_dilation, maximum_filter
from scipy.stats import chisquare

from pellucid.core.errors import InputError
from pellucid.core.randomness import StepDraws
from pellucid.data import Data, Loader, load, sources
from pellucid.data.config import TRUTH, usual_eps
from pellucid.data.idx import CLASSES
from pellucid.data.truth import kept, reading, stock
from pellucid.data.truth.decoy import PATCH
from pellucid.data.truth.drawing import around, at_sides, blend, opacity, resized
from pellucid.data.truth.figure import ANGLES, PARTS, forms
from pellucid.data.truth.made import Chance, make
from pellucid.data.truth.outlines import SHAPES, TURNS, shapes
from pellucid.data.truth.parts import CODES
from pellucid.data.truth.placing import anywhere, elsewhere
from pellucid.data.truth.shapes import Shapes

NAMES = tuple(TRUTH)
MOST = 400
"""Images that are looked at."""


def packed(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_idx(folder, n=120, test=60):
    """Small files like the official ones, of random pictures on a black ground whose first pixel tells their place."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(len(str(folder.name)))
    for prefix, count in (("train", n), ("t10k", test)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 6:22, 8:20] = random.integers(1, 256, (count, 16, 12))
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(packed(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(packed((np.arange(count) * 10 // count).astype(np.uint8)))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with both kinds of pictures, and an image folder of three classes."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("fashion-mnist", "mnist"):
        write_idx(folder / name)
    random = np.random.default_rng(0)
    for split, n in (("train", 12), ("test", 4)):
        for name in ("ant", "bee", "cow"):
            (folder / "own" / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "own" / split / name / f"{i}.png")
    return folder


@pytest.fixture
def choice(pictures, tmp_path, monkeypatch):
    """A function from the name of a set to its `Data`, of few images, with a cache of its own."""
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(reading, "IMAGES", {"train": 300, "validation": 100, "test": 200})
    stock.stock.cache_clear()
    # The digits of a colour composite have no path of their own.
    found = stock.stock.__wrapped__
    monkeypatch.setattr(
        "pellucid.data.truth.composite_colour.stock", lambda name, split, path: found(name, split, path or pictures)
    )

    def of(name, **more):
        paths = {"truth:composite-colour": pictures / "own", "truth:shapes": None, "truth:parts": None}
        path = paths.get(name, pictures)
        return Data(**({"name": name, "path": path and str(path), "validation": 50} | more))

    return of


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_read_like_every_dataset(choice, name):
    train, validation, test = (load(choice(name), split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (300, 50, 200)
    assert train.classes == test.classes
    assert len({train.fingerprint, validation.fingerprint, test.fingerprint}) == 3
    assert train.truth.changed == train.truth.parts == {}
    for part in (train, validation, test):
        truth = part.truth_of(range(len(part)))
        assert part.images.shape == (len(part), *part.shape)
        assert truth.mask.shape == (len(part), *part.shape[1:]) and truth.mask.dtype == torch.bool
        assert truth.mask.flatten(1).any(1).all() and not truth.mask.flatten(1).all(1).any()
        assert all(images.shape == part.images.shape for images in truth.changed.values())
        assert all(masks.shape == truth.mask.shape for masks in truth.parts.values())
        assert part.labels.bincount().tolist() == pytest.approx(
            [len(part) / len(part.classes)] * len(part.classes), abs=8
        )
    few = load(choice(name, limit=20), "train")
    assert len(few) == len(few.truth.mask) == 20
    (row,) = (train.images == few.images[3]).flatten(1).all(1).nonzero()[0].tolist()
    assert torch.equal(few.truth.mask[3], train.truth.mask[row])
    batch = next(Loader(few, batch_size=8, shuffle=False, seed=0, drop_last=True).epoch(0))
    assert torch.equal(batch.mask[:, 0], few.truth.mask[:8])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_back_is_what_was_made(choice, name, tmp_path):
    first = load(choice(name), "test")
    details = {key: images.clone() for key, images in first.truth_of(range(200)).changed.items()}
    files = sorted((tmp_path / "cache" / "truth").iterdir())
    assert len(files) >= 2
    again = load(choice(name), "test")
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    for key, images in again.truth_of(range(200)).changed.items():
        assert torch.equal(images, details[key])


def test_a_damaged_file_is_made_again(choice, tmp_path):
    first = load(choice("truth:beside"), "test").images.clone()
    (file,) = (tmp_path / "cache" / "truth").glob("*test-200.safetensors")
    content = bytearray(file.read_bytes())
    for damaged in (
        content[:1000],
        b"",
        content[:-1] + bytes([content[-1] ^ 1]),
        content[:5000] + b"x" + content[5001:],
    ):
        file.write_bytes(damaged)
        assert torch.equal(load(choice("truth:beside"), "test").images, first)
        assert file.read_bytes() == content


def test_a_cache_that_cannot_be_written_costs_only_time(choice, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "file"))
    assert len(load(choice("truth:beside"), "test")) == 200


# A drawing that changes needs another version in its recipe's name, or old files would be read for new ones.
DRAWN = {
    "beside 1": "4254b510fd9dfa9d",
    "composite 1 56": "036a27e14af80d7c",
    "composite 1 64": "f96e137870c41382",
    "decoy 2 0.9": "43dd84fbc87c01ea",
    "shapes 2 64": "eae0f7a31f2e57ea",
    "shapes 2 48": "094a83930914733e",
    "parts 2 64": "7526f98f2175e099",
}


@pytest.mark.parametrize("drawn", DRAWN)
def test_images_are_the_same_bits_on_every_machine(pictures, drawn):
    kind, _, *size = drawn.split()
    size = int(size[0]) if size and size[0].isdecimal() else None
    path = None if kind in ("shapes", "parts") else str(pictures)
    data = Data(name=f"truth:{kind}", path=path, size=size, validation=0)
    recipe = reading.recipe(data, "test")
    assert recipe.name.startswith(drawn)
    made = make(recipe, "test", 60, details=True)
    digest = hashlib.blake2b(digest_size=8)
    for array in (made.images, made.labels, made.masks, *made.changed.values(), *made.parts.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest() == DRAWN[drawn]


@pytest.mark.parametrize("name", NAMES)
def test_splits_differ_and_more_images_begin_with_fewer(choice, name):
    recipe = reading.recipe(choice(name), "train")
    few, many = make(recipe, "train", 1000), make(recipe, "train", 1100)
    assert np.array_equal(few.images, many.images[:1000])
    assert not np.array_equal(few.images, make(recipe, "validation", 1000).images)
    assert not (few.images[:100] == many.images[1000:]).all((1, 2, 3)).any()


@pytest.mark.parametrize("name", ["truth:beside", "truth:composite", "truth:composite-colour"])
def test_exchanging_the_rest_leaves_the_cause_bit_for_bit(choice, name):
    test = load(choice(name), "test")
    truth = test.truth_of(range(len(test)))
    different = truth.changed["rest"] != test.images
    assert not (different & truth.mask[:, None]).any()
    assert different.flatten(1).any(1).all()
    # And the other way round, where the cause does not reach beyond its box.
    different = truth.changed["cause"] != test.images
    assert (different & truth.mask[:, None]).flatten(1).any(1).all()
    if name != "truth:composite":
        assert not (different & ~truth.mask[:, None]).any()


def test_the_mask_beside_is_the_half_of_the_article(choice, pictures):
    test = load(choice("truth:beside"), "test")
    articles = load(Data(path=str(pictures / "fashion-mnist"), validation=0), "test")
    left = test.truth.mask[:, 0, 0]
    assert 60 < left.sum() < 140
    assert torch.equal(test.truth.mask, left[:, None, None].ne(torch.arange(56) >= 28).expand(-1, 28, -1))
    for i in range(50):
        half = test.images[i, :, :, :28] if left[i] else test.images[i, :, :, 28:]
        (row,) = (articles.images == half).flatten(1).all(1).nonzero()[0].tolist()
        assert articles.labels[row] == test.labels[i]


def test_the_pictures_of_two_splits_are_different_ones(choice, pictures):
    rows = {split: stock.stock("mnist", split, pictures).pictures for split in ("train", "validation", "test")}
    assert [len(pictures) for pictures in rows.values()] == [100, 20, 60]
    seen = [{picture.tobytes() for picture in pictures} for pictures in rows.values()]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_a_composite_is_an_article_among_things_that_leave_its_mask_free(choice):
    test = load(choice("truth:composite", size=64), "test")
    truth = test.truth_of(range(len(test)))
    assert test.shape == (1, 64, 64)
    share = truth.mask.float().mean((1, 2))
    assert 0.05 < share.min() < share.max() < 0.5
    # The pixels of the mask are an article, eroded by two pixels of black.
    for i in range(20):
        article = (test.images[i, 0] > 0) & truth.mask[i]
        assert torch.equal(torch.from_numpy(binary_dilation(article.numpy(), np.ones((5, 5)))), truth.mask[i])


def test_a_decoy_agrees_in_training_and_is_random_in_a_test(choice, pictures):
    patch = (slice(None), slice(None), slice(0, PATCH), slice(0, PATCH))
    train, test = load(choice("truth:decoy", correlation=0.75), "train"), load(choice("truth:decoy"), "test")
    codes = [train.images[train.labels == label][patch].flatten(1).mode(0).values for label in range(10)]
    assert len({tuple(code.tolist()) for code in codes}) == 10
    agree = [
        torch.stack([part.images[patch][i].flatten().equal(codes[part.labels[i]]) * torch.ones(()) for i in range(200)])
        for part in (train, test)
    ]
    assert agree[0].mean() == pytest.approx(0.75, abs=0.1)
    assert agree[1].mean() < 0.2
    truth = test.truth_of(range(200))
    assert not (truth.parts["decoy"] & truth.mask).any()
    assert truth.parts["decoy"].sum((1, 2)).eq(PATCH * PATCH).all()
    assert torch.equal(truth.mask, (test.images[:, 0] > 0) & ~truth.parts["decoy"])
    different = (truth.changed["decoy"] != test.images)[:, 0]
    assert different.flatten(1).any(1).all() and not (different & ~truth.parts["decoy"]).any()
    assert not ((truth.changed["cause"] != test.images)[:, 0] & truth.parts["decoy"]).any()
    always = load(choice("truth:decoy", correlation=1.0), "train")
    assert all(always.images[patch][i].flatten().equal(codes[always.labels[i]]) for i in range(200))


def opaque_shapes(labels):
    """Where each of the first test images of 64 pixels is covered by its shape alone, not mixed with what is around."""
    n = len(labels)
    chance = Chance(StepDraws(seed=0, step=0, purpose="truth/shapes/test"))
    angle = chance.below("angle", TURNS, n)
    box = anywhere(chance, 64, 20 + chance.below("side", 17, n))
    inside = np.zeros((n, 64, 64), dtype=bool)
    for i, (top, left, side) in enumerate(zip(*box, strict=True)):
        inside[i, top : top + side, left : left + side] = shapes(int(side))[labels[i], angle[i]] == 256
    return inside


def test_a_shape_stays_the_same_where_everything_around_it_changes():
    made = make(Shapes(), "test", MOST, details=True)
    inside = opaque_shapes(made.labels)
    assert (inside & ~made.masks).sum() == 0
    different = made.changed["rest"] != made.images
    assert not (different & inside[:, None]).any() and inside.sum((1, 2)).min() > 40
    assert (different & ~made.masks[:, None]).any((1, 2, 3)).all()
    # Another shape changes nothing but the place where both are.
    different = (made.changed["cause"] != made.images).any(1)
    assert different.any((1, 2)).all()
    reach = maximum_filter(made.masks, (1, 37, 37))
    assert not (different & ~reach).any()


def test_shapes_have_the_areas_that_geometry_says():
    area = (shapes(90).astype(float) / 256).sum((2, 3)) / 45**2
    expected = {"disc": 0.7 * np.pi, "square": 1.96, "triangle": 3 * 3**0.5 / 4, "ring": (0.85 - 0.27) * np.pi}
    expected |= {"cross": 4 * (2 * 0.27 * 0.92 - 0.27**2), "pentagon": 2.5 * np.sin(2 * np.pi / 5)}
    for name, value in expected.items():
        assert area[list(SHAPES).index(name)] == pytest.approx(value, rel=0.03)
    assert len({cover.tobytes() for cover in shapes(32)[:, 0]}) == len(SHAPES)


def test_two_robots_share_one_part_at_most_and_every_form_is_used_alike():
    for first, code in enumerate(CODES):
        for other in CODES[:first]:
            assert sum(a == b for a, b in zip(code, other, strict=True)) <= 1
    assert all(sorted(code[part] for code in CODES) == sorted([*range(5)] * 2) for part in range(len(PARTS)))


@pytest.mark.parametrize("size", [48, 64])
def test_removing_a_part_changes_the_place_of_that_part_alone(choice, size):
    test = load(choice("truth:parts", size=size), "test")
    truth = test.truth_of(range(200))
    assert set(truth.parts) == set(PARTS)
    assert torch.equal(torch.stack([*truth.parts.values()]).any(0), truth.mask)
    for name in PARTS:
        different = (truth.changed[f"without {name}"] != test.images).any(1)
        assert different.flatten(1).any(1).all()
        assert not (different & ~truth.parts[name]).any()
    different = (truth.changed["cause"] != test.images).any(1)
    assert (different & truth.mask).flatten(1).any(1).all()
    # What no part covers changes; what one covers alone, not mixed with what is around, does not.
    chance = Chance(StepDraws(seed=0, step=0, purpose="truth/parts/test"))
    box = anywhere(chance, size, (size * (42 + chance.below("side", 15, 200)) + 32) // 64)
    angle = chance.below("angle", ANGLES, 200)
    changed = (truth.changed["rest"] != test.images).any(1).numpy()
    assert (changed & ~truth.mask.numpy()).any((1, 2)).all()
    for i, (top, left, side) in enumerate(zip(*box, strict=True)):
        for part, form in enumerate(CODES[test.labels[i]]):
            cover, row, column = forms(int(side))[part][form][angle[i]].opacity
            window = changed[i, top + row :, left + column :][: cover.shape[0], : cover.shape[1]]
            assert not window[cover == 256].any()


def chi_square(first, second, rows, columns):
    """The p-value of two numbers being drawn apart from each other."""
    table = np.zeros((rows, columns))
    np.add.at(table, (first, second), 1)
    table = table[:, table.any(0)]
    if table.shape[1] < 2:
        return 1.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return chisquare(table.ravel(), expected.ravel(), ddof=sum(table.shape) - 2).pvalue


def test_the_digit_beside_knows_nothing_of_the_class(choice):
    recipe = reading.recipe(choice("truth:beside"), "train")
    made = make(recipe, "train", 4000)
    left = made.masks[:, 0, 0]
    digits = np.where(left[:, None, None], made.images[:, 0, :, 28:], made.images[:, 0, :, :28])
    # Pictures whose classes are known by their bytes.
    known = {
        pic.tobytes(): k
        for k in range(10)
        for pic in recipe.digits.pictures[
            recipe.digits.rows[recipe.digits.first[k] : recipe.digits.first[k] + recipe.digits.count[k]]
        ]
    }
    digit = np.array([known[picture.tobytes()] for picture in digits])
    assert chi_square(made.labels, digit, 10, 10) > 1e-3
    assert chi_square(made.labels, left.astype(int), 10, 2) > 1e-3
    assert chi_square(made.labels, made.labels, 10, 10) < 1e-9


@pytest.mark.parametrize("name", ["truth:composite", "truth:composite-colour", "truth:shapes", "truth:parts"])
def test_colours_places_and_what_is_around_know_nothing_of_the_class(choice, name):
    recipe = reading.recipe(choice(name), "train")
    made = make(recipe, "train", 3000, details=False)
    size, classes = made.images.shape[-1], len(recipe.classes)
    edge = made.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean(2)
    # Of a grey composite most corners are black: whether anything lies there.
    facts = {f"channel {k}": np.digitize(edge[:, k], np.quantile(edge[:, k], [0.5, 0.9])) for k in range(edge.shape[1])}
    place = np.arange(size)
    box = made.masks.any(2)
    middle = np.array([place[rows].mean() for rows in box])
    facts["row"] = np.digitize(middle, np.quantile(middle, [0.2, 0.4, 0.6, 0.8]))
    if name == "truth:composite-colour":
        side = made.masks.any(2).sum(1)
        facts["side"] = np.digitize(side, np.quantile(side, [0.25, 0.5, 0.75]))
    for fact, value in facts.items():
        if name in ("truth:composite", "truth:parts") and fact == "row":
            continue  # an article's and a robot's outline is its class's
        assert chi_square(made.labels, value, classes, int(value.max()) + 1) > 1e-4, fact


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "truth:besides"}, "unknown dataset 'truth:besides', did you mean 'truth:beside'?"),
        ({"name": "truth:shapes", "size": 40}, "size of truth:shapes must be from 48 to 128 pixels, got 40"),
        ({"name": "truth:composite", "size": 97}, "size of truth:composite must be from 56 to 96 pixels, got 97"),
        ({"name": "truth:beside", "size": 28}, "truth:beside has one size, got size 28; truth:composite, "),
        ({"name": "truth:shapes", "channels": 1}, "channels and classes of truth:shapes are its own, got channels 1"),
        ({"name": "truth:parts", "path": "x"}, "truth:parts is drawn from nothing and takes no path, got 'x'"),
        ({"name": "truth:composite-colour"}, "dataset 'truth:composite-colour' needs a path, got None"),
        ({"name": "truth:shapes", "validation": 5001}, "validation must be at most the 5000 validation images of"),
        ({"name": "truth:decoy", "correlation": 0.0}, "correlation must be above 0, since a decoy that training never"),
        ({"name": "truth:decoy", "correlation": 1.1}, "and at most 1, got 1.1"),
        ({"name": "truth:decoy", "correlation": float("nan")}, "got nan"),
        ({"name": "truth:beside", "correlation": 0.5}, "correlation is for truth:decoy, got 0.5 for truth:beside"),
        ({"name": "mnist", "masks": "x"}, "masks are for folder, got 'x' for mnist"),
    ],
)
def test_a_mistake_is_named(wrong, sentence):
    with pytest.raises(InputError) as caught:
        Data(**wrong)
    assert sentence in str(caught.value)


def test_a_name_with_a_colon_is_an_import_path_only_where_it_is_no_truth():
    assert Data(name="my_package:make").is_own and not Data(name="my_package:make").is_truth
    assert Data(name="truth:shapes").is_truth and not Data(name="truth:shapes").is_own
    assert usual_eps("truth:beside") == usual_eps("truth:decoy") == usual_eps("truth:composite") == 0.1
    assert usual_eps("truth:shapes") == usual_eps("truth:parts") == usual_eps("truth:composite-colour") == 8 / 255
    with pytest.raises(InputError, match=r"dataset 'truth:shapes' is made on this machine when it is first read"):
        sources.get("truth:shapes")


def test_pictures_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "find", lambda name: None)
    stock.stock.cache_clear()
    with pytest.raises(InputError, match=r"^fashion-mnist, of which .* `pellucid data get fashion-mnist` brings it"):
        load(Data(name="truth:decoy"), "test")
    with pytest.raises(InputError, match=r"nowhere/fashion-mnist is not a folder; expected one with the files of"):
        load(Data(name="truth:decoy", path=str(tmp_path / "nowhere")), "test")
    write_idx(tmp_path / "fashion-mnist", n=9, test=12)
    with pytest.raises(InputError, match=r"fashion-mnist has no picture of class 'Sandal', of which images are made$"):
        load(Data(name="truth:decoy", path=str(tmp_path)), "train")


def test_a_colour_composite_needs_two_classes_and_test_images(choice, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "one" / split / "ant").mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (30, 30)).save(tmp_path / "one" / split / "ant" / f"{i}.png")
    with pytest.raises(InputError, match=r"one has one class, 'ant'; a set of truth needs two"):
        load(choice("truth:composite-colour", path=str(tmp_path / "one")), "test")
    (tmp_path / "one" / "test").rename(tmp_path / "one" / "other")
    with pytest.raises(InputError, match=r"has no folder test, val, valid or validation"):
        load(choice("truth:composite-colour", path=str(tmp_path / "one")), "test")


def test_changed_files_are_other_images(choice, pictures, tmp_path):
    key = stock.files_key(pictures / "own")
    assert key == stock.files_key(pictures / "own") != stock.files_key(pictures / "mnist")
    file = pictures / "own" / "train" / "ant" / "0.png"
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert stock.files_key(pictures / "own") != key
    assert stock.files_key(None) == ""


@pytest.mark.parametrize("size", [1, 20, 28, 40])
def test_resizing_agrees_with_its_definition(size):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    centre = (np.arange(size) + 0.5) * 28 / size
    distance = abs(np.arange(28) + 0.5 - centre[:, None]) / max(1, 28 / size)
    weights = np.maximum(0, 1 - distance)
    weights /= weights.sum(1, keepdims=True)
    expected = weights @ images @ weights.T
    assert abs(resized(images, size) - expected).max() < 255 * 2 * 28 / 128
    assert abs(resized(images, size) - expected).mean() < 2.5
    assert np.array_equal(resized(images, 28), images)
    flat = np.full((1, 28, 28), 77, np.uint8)
    assert (resized(flat, size) == 77).all()
    assert [image.shape[0] for image in at_sides(images, np.array([20, 40, 20]))] == [20, 40, 20]
    assert np.array_equal(at_sides(images, np.array([20, 40, 20]))[2], resized(images, 20)[2])


def test_blending_is_exact_at_both_ends():
    values = np.arange(256, dtype=np.uint16)
    below = np.broadcast_to(values[:, None].astype(np.uint8), (1, 256, 256)).copy()
    for covered, expected in ((0, below[0]), (256, np.broadcast_to(values, (256, 256)))):
        mixed = below.copy()
        blend(mixed, values, np.full((256, 256), covered, np.uint16))
        assert np.array_equal(mixed[0], expected)
    assert opacity(values.astype(np.uint8)).tolist() == [value + (value > 127) for value in range(256)]


def test_around_is_dilation_by_a_square():
    marked = np.random.default_rng(0).random((4, 17, 11)) < 0.05
    for pixels in (0, 1, 2, 20):
        square = np.ones((1, 2 * pixels + 1, 2 * pixels + 1))
        assert np.array_equal(around(marked, pixels), binary_dilation(marked, square))


@pytest.mark.parametrize("canvas", [56, 57, 96])
def test_other_things_leave_the_object_free_and_lie_on_the_canvas(canvas):
    chance = Chance(StepDraws(seed=0, step=canvas))
    box = anywhere(chance, canvas, canvas * (20 + chance.below("side", 17, 2000)) // 56)
    wished = canvas * (14 + chance.below("sides", 11, 2000, 4)) // 56
    others = elsewhere(chance, canvas, box, wished, gap=3)
    assert (others.side > 0).all() and (others.side <= wished).all() and (others.side == wished).mean() > 0.5
    for top, side in ((others.top, others.side), (others.left, others.side), (box.top[:, None], box.side[:, None])):
        assert (top >= 0).all() and (top + side <= canvas).all()
    free = [value[:, None] for value in box]
    apart = [
        others.top + others.side + 3 <= free[0],
        others.left + others.side + 3 <= free[1],
        others.top >= free[0] + free[2] + 3,
        others.left >= free[1] + free[2] + 3,
    ]
    assert np.logical_or.reduce(apart).all()


def test_details_are_made_when_they_are_looked_at(choice, tmp_path):
    test = load(choice("truth:shapes"), "test")
    assert not list((tmp_path / "cache" / "truth").glob("*details*"))
    assert sorted(test.truth.changed) == ["cause", "rest"]
    assert list((tmp_path / "cache" / "truth").glob("*details*"))
    assert isinstance(test.truth.changed, kept.Named)
    assert test.classes == tuple(SHAPES) and len(CLASSES["mnist"]) == 10

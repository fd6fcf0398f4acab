"""What file managers, stores, clouds, notebooks and links leave in a folder is never data."""

import os

import pytest
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import Data, load
from pellucid.data.headers import header, sift
from pellucid.data.walk import files_below, files_of, folders_in, is_foreign
from pellucid.explanation.pictures import find, read

FOLDERS = [
    *(".ipynb_checkpoints", ".thumbnails", ".git", ".Trash-1000", ".stversions", ".dropbox.cache", ".AppleDouble"),
    *("@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", ".@__thumb", "@__thumb"),
    *("__MACOSX", "Network Trash Folder", "$RECYCLE.BIN", "System Volume Information", "lost+found", "~snapshot"),
    *("__pycache__", "CVS", "_gsdata_", "Previews.lrdata", "LOST.DIR", "found.000"),
]
FILES = [
    *("._cat.png", ".cat.png.icloud", "cat.png~", "~$cat.png", "cat.png.part", "cat.jpg.crdownload", "cat.png.tmp"),
    *("Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r", "cat.png@SynoEAStream", "ZbThumbnail.info"),
]


def picture(file, colour=(200, 0, 0)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), colour).save(file, "PNG")
    return file


@pytest.fixture
def pets(tmp_path):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            picture(tmp_path / "pets" / split / name / "0.png")
    return tmp_path / "pets"


@pytest.mark.parametrize("place", ["", "train", "train/cat"])
def test_folders_and_files_that_no_person_put_there(pets, place) -> None:
    for name in FOLDERS:
        picture(pets / place / name / "copy.png")
    for name in FILES:
        picture(pets / place / name)
    train = load(Data(name="folder", path=str(pets), validation=0), "train")
    assert (len(train), train.classes, train.left_out) == (2, ("cat", "dog"), {})
    assert len(find([pets])) == 4


@pytest.mark.parametrize(
    "name", ["cat", "@user", "thumbs", "tmp", "Originals", "cat.png", "part", "~cat", "#1", "lost"]
)
def test_names_that_a_person_may_give(name) -> None:
    assert not is_foreign(name)


def test_what_is_no_ordinary_file_is_counted_and_never_opened(pets) -> None:
    os.mkfifo(pets / "train" / "cat" / "pipe.png")
    (pets / "train" / "cat" / "gone.png").symlink_to(pets / "nowhere.png")
    (pets / "train" / "cat" / "self.png").symlink_to(pets / "train" / "cat" / "self.png")
    (pets / "train" / "cat" / "empty.png").touch()
    train = load(Data(name="folder", path=str(pets), validation=0), "train")
    assert train.left_out == {"a link to nothing": 2, "empty": 1, "no ordinary file": 1}


def test_folders_that_link_to_one_another_come_to_an_end(tmp_path) -> None:
    for name in "abc":
        picture(tmp_path / name / f"{name}.png")
    for one, other in ("ab", "bc", "ca", "ac"):
        (tmp_path / one / f"to_{other}").symlink_to(tmp_path / other)
    assert [os.path.basename(file) for file in files_below(tmp_path)] == ["a.png", "b.png", "c.png"]
    assert {os.path.basename(file) for file in files_below(tmp_path / "a")} == {"a.png", "b.png", "c.png"}
    assert len(files_of([tmp_path]).doubled) == 4


def test_a_file_is_found_where_it_lies_and_not_where_a_link_leads_to_it(tmp_path) -> None:
    kept = picture(tmp_path / "z" / "cat.png")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link.png").symlink_to(kept)
    found = files_of([tmp_path / "a", tmp_path / "z"])
    assert found.files == [[], [str(kept)]] and found.doubled == [str(tmp_path / "a" / "link.png")]


def test_classes_may_be_links_to_folders_elsewhere(tmp_path) -> None:
    for name in ("0001", "0002"):
        picture(tmp_path / "store" / name / "cat.png")
    for link, store in {"cat": "0001", "dog": "0002", "puppy": "0002"}.items():
        (tmp_path / "pets").mkdir(exist_ok=True)
        (tmp_path / "pets" / link).symlink_to(tmp_path / "store" / store)
    assert folders_in(tmp_path / "pets") == ["cat", "dog"]
    assert folders_in(tmp_path / "pets", once=False) == ["cat", "dog", "puppy"]
    assert [len(files) for files in files_of([tmp_path / "pets" / name for name in ("cat", "dog")]).files] == [1, 1]


@pytest.mark.parametrize("name", ["photo", "photo.txt", "photo.jpg", "photo.dcm", "photo.npy", "photo.JFIF"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
def test_a_picture_is_told_by_its_content_whatever_it_is_called(tmp_path, name, kind) -> None:
    Image.new("RGB", (9, 9), (200, 0, 0)).save(tmp_path / name, kind)
    assert header(str(tmp_path / name)).size == (9, 9) and sift([str(tmp_path / name)], 3).left_out == {}
    assert find([tmp_path]) == [str(tmp_path / name)]
    assert abs(int(read(str(tmp_path / name), (3, 9, 9)).pixels[0, 4, 4]) - 200) < 10


def test_several_pages_and_frames_are_told(pets, capsys) -> None:
    frames = [Image.new("RGB", (9, 9), (200, 0, level)) for level in (0, 100)]
    frames[0].save(pets / "train" / "cat" / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(pets / "train" / "dog" / "film.gif", save_all=True, append_images=frames[1:])
    load(Data(name="folder", path=str(pets), validation=0), "train")
    assert "the first of 2 frames (2 of 2 that were looked at)" in capsys.readouterr().err


def test_a_file_of_no_bytes_is_told_as_such(tmp_path) -> None:
    """Case D4 of the shared cases, whose reader has moved from `pellucid.data.folder._decoded` to where it is now."""
    from pellucid.data.content import opened_file

    (tmp_path / "z.png").write_bytes(b"")
    with pytest.raises(InputError, match="z.png is empty") as caught:
        opened_file(str(tmp_path / "z.png"), channels=3)
    assert "0x" not in str(caught.value)

"""Tables of labels, as people write them and as they go wrong."""

import numpy as np
import pytest
from PIL import Image

from pellucid.core.errors import InputError
from pellucid.data import Data, load
from pellucid.data.table import read


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve pictures, in two folders."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for i in range(12):
        place = root / ("a" if i < 6 else "b") / f"{i:02}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place)
    return root


def files():
    return [f"{'a' if i < 6 else 'b'}/{i:02}.png" for i in range(12)]


def written(tmp_path, rows, name="labels.csv", encoding="utf-8"):
    place = tmp_path / name
    place.write_text("\n".join(rows) + "\n", encoding=encoding)
    return place


def choice(photos, place, **more):
    return Data(name="folder", path=str(photos), table=str(place), **more)


def test_a_table_with_everything(photos, tmp_path, capsys):
    splits = ["train"] * 6 + ["val"] * 2 + ["TEST"] * 4
    rows = ["file,label,split,group,sex,age"]
    rows += [f"{f},{'ill' if i % 2 else 'well'},{splits[i]},p{i},{'fm'[i % 2]},{30 + i}" for i, f in enumerate(files())]
    place = written(tmp_path, rows)
    train, validation, test = (load(choice(photos, place), split) for split in ("train", "validation", "test"))
    assert (train.classes, train.name) == (("ill", "well"), photos.name)
    assert [part.labels.tolist() for part in (train, validation, test)] == [[1, 0] * 3, [1, 0], [1, 0] * 2]
    assert test.columns == {"sex": ("f", "m", "f", "m"), "age": ("38", "39", "40", "41")}
    assert test.subgroups([3, 0]) == {"subgroup sex": ["m", "f"], "subgroup age": ["41", "38"]}
    assert np.array_equal(test.image(1).permute(1, 2, 0).numpy(), np.array(Image.open(photos / "b" / "09.png")))
    assert (
        test.fingerprint
        == load(
            choice(photos, written(tmp_path, [",".join(row.split(",")[:3]) for row in rows], "b.csv")), "test"
        ).fingerprint
    )
    assert capsys.readouterr().err == ""
    assert test.with_classes(["well", "ill"]).columns == test.columns
    few = load(choice(photos, place, limit=2), "train")
    assert all(int(age) - 30 in range(6) for age in few.columns["age"]) and len(few.columns["age"]) == 2


@pytest.mark.parametrize(
    ("rows", "encoding"),
    [
        (["Filename;Class", *(f"{f};{i % 2}" for i, f in enumerate(files()))], "utf-8-sig"),
        (["image_id\ttarget", *(f"{f[2:4]}\t{i % 2}" for i, f in enumerate(files()))], "utf-8"),
        ([f"{f},{i % 2}" for i, f in enumerate(files())], "utf-8"),
        (["label,path", "", *(f'{i % 2}, "{f[2:]}"' for i, f in enumerate(files()))], "utf-8"),
        (["path|label", *(f"{f}|{i % 2}".replace("/", "\\") for i, f in enumerate(files()))], "utf-8"),
        (["path,label", *(f"/other/machine/{f},{i % 2}" for i, f in enumerate(files()))], "utf-8"),
    ],
    ids=["semicolons", "tabs and stems", "no names", "quoted names", "backslashes", "of another machine"],
)
def test_tables_of_every_form(photos, tmp_path, rows, encoding):
    table = read(written(tmp_path, rows, encoding=encoding), photos)
    assert [file.replace(f"{photos}/", "").replace("\\", "/") for file in table.files] == files()
    assert (table.labels, table.classes) == (["0", "1"] * 6, ("0", "1"))
    assert (table.splits, table.groups, table.columns) == (None, None, {})


def test_a_flat_folder_has_files_of_its_own_name_alone(photos, tmp_path):
    named = written(tmp_path, ["file,label", "old/a/00.png,0", "a/01,1", "02.png,1"])
    assert [file[-6:] for file in read(named, photos / "a").files] == ["00.png", "01.png", "02.png"]
    with pytest.raises(InputError, match="row 2 of .* names the file 'patient7/00.png', but no such file lies in"):
        read(written(tmp_path, ["file,label", "patient7/00.png,0"]), photos / "a")


def test_numbers_are_sorted_as_numbers_and_named_by_position(photos, tmp_path):
    rows = ["file,label", *(f"{f},{i}" for i, f in enumerate(files()))]
    assert read(written(tmp_path, rows), photos).classes == tuple(map(str, range(12)))
    rows = ["file,label", *(f"{f},{i % 2}" for i, f in enumerate(files()))]
    assert read(written(tmp_path, rows), photos, classes=("well", "ill")).labels == ["well", "ill"] * 6


def test_a_table_without_splits_is_cut_and_its_patients_stay_together(photos, tmp_path):
    rows = ["file,label,patient", *(f"{f},{i % 2},p{i // 2}" for i, f in enumerate(files()))]
    place = written(tmp_path, rows)
    found = [load(choice(photos, place), split) for split in ("train", "validation", "test")]
    assert [len(part) for part in found] == [8, 2, 2]
    assert all(part.labels.tolist() == [0, 1] * (len(part) // 2) for part in found)
    assert found[0].columns == {}
    by_name = load(choice(photos, place, group=r"([0-9]+)[.]png$", test=4), "train")
    assert set(by_name.columns) == {"patient"} and len(by_name) == 6


def test_names_of_columns_may_be_given(photos, tmp_path):
    rows = ["scan,finding,hospital", *(f"{f},{i % 2},h{i % 3}" for i, f in enumerate(files()))]
    place = written(tmp_path, rows)
    with pytest.raises(InputError, match="has no column file among scan, finding, hospital; expected one of file, "):
        load(choice(photos, place), "train")
    given = {"image_column": "scan", "label_column": "finding"}
    train = load(choice(photos, place, **given), "train")
    assert train.classes == ("0", "1") and set(train.columns) == {"hospital"}
    held = load(choice(photos, place, group="hospital", **given), "test")
    assert held.columns == {} and len(held) == 4
    with pytest.raises(InputError, match=r"group 'city' is neither a column of .*, which has scan, finding, hospital"):
        load(choice(photos, place, group="city", **given), "train")
    with pytest.raises(InputError, match=r"unknown column of .* 'findings', did you mean 'finding'"):
        load(choice(photos, place, image_column="scan", label_column="findings"), "train")


def test_files_lie_beside_the_table_where_no_path_is_given(photos):
    place = written(photos, ["file,label", *(f"{f},{i % 2}" for i, f in enumerate(files()))])
    assert len(load(Data(name="folder", table=str(place), validation=0, test=0), "train")) == 12
    place.unlink()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], r"table .*labels.csv is empty; expected a row for each image"),
        (["file,label"], "has no row with an image"),
        (["file,label", "a/00.png,0", "a/99.png,1"], r"row 3 of .* names the file 'a/99.png', but no such file lies"),
        (["file,label", "a/00.png,0", "c/01.png,1"], r"row 3 of .* names the file 'c/01.png', but no such file"),
        (["file,label", "a/00.png,0", "/there/c/01.png,1"], r"no such file lies in .*01.png lies in another folder"),
        (["file,label", "a/00.png,0", ",1"], r"row 3 of .* names the file '', but no such file lies in"),
        (["file,label", "a/00.png,0", "a/01.png,1", "00.png,1"], r"row 4 of .* names the file '00.png', as row 2 does"),
        (["file,label", "a/00.png,0", "a/01.png,"], "row 3 of .* has no label; give one, or leave the row out"),
        (["file,label,split", "a/00.png,0,train", "a/01.png,1,trian"], "row 3 of .*: unknown split 'trian', did you"),
        (["file,label,split", "a/00.png,0,test"], "has no row whose split is train"),
        (["file,label", "a/00.png,0,1"], "row 2 of .* has 3 cells, expected 2 as in the first row"),
        (["file,label,label", "a/00.png,0,1"], "column 'label' occurs twice in"),
        (["a/00.png", "a/01.png"], r"the first row of .* names no columns, and has 1 cells"),
        (['file,label', 'a/00.png,"0'], "is not a CSV file that can be read: unexpected end of data"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_row(photos, tmp_path, rows, sentence):
    place = tmp_path / "labels.csv"
    place.write_text("\n".join(rows))
    with pytest.raises(InputError, match=sentence) as caught:
        load(choice(photos, place), "train")
    assert "\n" not in str(caught.value)


def test_one_wrong_label_is_not_read_as_a_position(photos, tmp_path):
    grades = [*(f"{name},{1 + i % 4}" for i, name in enumerate(files()[:-1])), f"{files()[-1]},0"]
    with pytest.raises(InputError, match="row 13 of .*: unknown class '0'"):
        read(written(tmp_path, ["file,label", *grades]), photos, classes=("1", "2", "3", "4", "5"))
    odd = read(written(tmp_path, ["file,label", "a/00.png,²", "a/01.png,+-1"]), photos)
    assert odd.classes == ("+-1", "²")


@pytest.mark.parametrize("other", ["./a/00.png", "a//00.png", "b/../a/00.png", "{photos}/a/00.png"])
def test_another_spelling_of_a_file_is_the_same_file(photos, tmp_path, other):
    rows = ["file,label", "a/00.png,0", f"{other.format(photos=photos)},1"]
    with pytest.raises(InputError, match="row 3 of .* names the file .*, as row 2 does; an image has one row"):
        read(written(tmp_path, rows), photos)


def test_columns_count_as_contents_and_none_is_called_class(photos, tmp_path, capsys):
    def train(site):
        rows = [f"{name},{i % 2},{site if i == 3 else 'A'},small" for i, name in enumerate(files())]
        place = written(tmp_path, ["file,label,site,class", *rows])
        return load(choice(photos, place, validation=0, test=0), "train")

    first = train("B")
    assert set(first.columns) == {"site"} and "column 'class' of " in capsys.readouterr().err
    assert first.contents == train("B").contents != train("A").contents


def test_unknown_classes_and_unreadable_tables(photos, tmp_path):
    place = written(tmp_path, ["file,label", "a/00.png,cat", "a/01.png,dgo"])
    with pytest.raises(InputError, match=r"row 3 of .*labels.csv: unknown class 'dgo', did you mean 'dog'\? Known are"):
        load(choice(photos, place, classes=("cat", "dog")), "train")
    with pytest.raises(InputError, match=r"table .*nowhere.csv cannot be read: No such file"):
        load(choice(photos, tmp_path / "nowhere.csv"), "train")
    place.write_bytes("file,label\na/00.png,Füße".encode("latin-1"))
    with pytest.raises(InputError, match="is not in UTF-8; save it as CSV UTF-8"):
        load(choice(photos, place), "train")


def test_damaged_files_of_a_table_are_left_out_with_their_rows(photos, tmp_path):
    (photos / "b" / "cut.png").write_bytes((photos / "b" / "06.png").read_bytes()[:60])
    names = [*files()[:3], "b/cut.png", *files()[3:]]
    place = written(tmp_path, ["file,label,note", *(f"{f},{i % 2},{f}" for i, f in enumerate(names))])
    train = load(choice(photos, place, validation=0, test=0), "train")
    assert train.left_out == {"damaged": 1} and train.columns["note"] == tuple(files())
    (photos / "b" / "cut.png").unlink()

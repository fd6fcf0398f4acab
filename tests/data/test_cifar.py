import io
import os
import pickle
import tarfile

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from pellucid.core.errors import InputError
from pellucid.data import Data, cifar, load

NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def batches(n=4):
    random = np.random.default_rng(0)
    return {
        name: (random.integers(0, 256, (n, 3072), dtype=np.uint8), [(i + k) % 10 for i in range(n)])
        for k, name in enumerate(NAMES)
    }


def binary():
    return {
        f"{name}.bin": b"".join(bytes([label]) + row.tobytes() for row, label in zip(data, labels, strict=True))
        for name, (data, labels) in batches().items()
    }


def python(protocol=2):
    return {
        name: pickle.dumps({"data": data, "labels": labels, "batch_label": "x"}, protocol=protocol)
        for name, (data, labels) in batches().items()
    }


def folder(path, files):
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def archive(path, inner, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def data(path):
    return Data(name="cifar10", path=str(path), validation=0)


def test_all_official_forms_hold_the_same_images(tmp_path):
    forms = [
        folder(tmp_path / "a" / "cifar-10-batches-bin", binary()).parent,
        folder(tmp_path / "b", binary()),
        folder(tmp_path / "c" / "cifar-10-batches-py", python()).parent,
        archive(tmp_path / "d" / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary()).parent,
        archive(tmp_path / "e" / "cifar-10-python.tar.gz", "cifar-10-batches-py", python()),
    ]
    images = np.concatenate([rows for rows, _ in list(batches().values())[:5]]).reshape(-1, 3, 32, 32)
    labels = [label for _, part in list(batches().values())[:5] for label in part]
    for form in forms:
        train, test = load(data(form), "train"), load(data(form), "test")
        assert np.array_equal(train.images.numpy(), images)
        assert train.labels.tolist() == labels
        assert test.labels.tolist() == batches()["test_batch"][1]
        assert train.classes[6] == "frog"
        assert train.augmentation == "crop-flip"


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([0, 2, 3, 4, 5]),
)
def test_plain_values_are_read_as_they_were_written(value, protocol):
    # Before protocol 3, bytes that are empty are written as a call of bytes().
    assume(protocol > 2 or b"__builtin__" not in pickle.dumps(value, protocol=protocol))
    assert cifar.unpickle(pickle.dumps(value, protocol=protocol), "x") == value


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "was-run"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {trace}",)

    files = python() | {"data_batch_3": pickle.dumps({"data": Evil(), "labels": [1]})}
    with pytest.raises(InputError, match=r"data_batch_3 is refused: its pickle names (posix|nt)\.system"):
        load(data(folder(tmp_path / "batches", files)), "train")
    assert not trace.exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(name):
    with pytest.raises(InputError, match=f"names builtins.{name}"):
        cifar.unpickle(f"cbuiltins\n{name}\n.".encode(), "x")


def test_truncated_and_missing_files(tmp_path):
    files = binary()
    whole = files["data_batch_2.bin"]
    with pytest.raises(InputError, match=r"data_batch_2.bin is truncated .* multiple of 3073 bytes .*, found 12285"):
        load(data(folder(tmp_path / "a", files | {"data_batch_2.bin": whole[:-7]})), "train")
    del files["data_batch_2.bin"]
    with pytest.raises(InputError, match=r"does not hold all of cifar10: data_batch_2.bin is missing"):
        load(data(folder(tmp_path / "b", files)), "train")
    files = python()
    with pytest.raises(InputError, match="data_batch_1 is damaged or truncated at 100 bytes"):
        load(data(folder(tmp_path / "c", files | {"data_batch_1": files["data_batch_1"][:100]})), "train")
    with pytest.raises(InputError, match="data_batch_1 is not a batch of CIFAR-10"):
        load(data(folder(tmp_path / "d", files | {"data_batch_1": pickle.dumps([1])})), "train")
    path = archive(tmp_path / "e" / "cifar-10-binary.tar.gz", "x", binary())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz is damaged or truncated"):
        load(data(path), "train")
    with pytest.raises(InputError, match=r"does not hold cifar10: expected data_batch_1.bin"):
        load(data(tmp_path), "train")


def test_labels_outside_the_classes(tmp_path):
    wrong = binary()["test_batch.bin"]
    with pytest.raises(InputError, match=r"test_batch.bin: label 77 of image 0 is outside the 10 classes 0 to 9"):
        load(data(folder(tmp_path / "a", binary() | {"test_batch.bin": bytes([77]) + wrong[1:]})), "test")


def test_unverified_files_in_the_cache_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path))
    folder(tmp_path / "cifar10", binary())
    with pytest.raises(InputError, match=r"data_batch_1.bin is damaged, truncated or not cifar10's: the SHA256"):
        load(Data(name="cifar10", validation=0), "train")

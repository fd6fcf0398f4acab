"""The known datasets: their files, the published digests of these, and the official mirrors."""

from dataclasses import dataclass

__all__ = ["SOURCES", "Source"]


@dataclass(frozen=True)
class Source:
    """A known dataset.

    Attributes:
        description: one line.
        digests: file name, decompressed, to the published digest of its bytes.
        forms: sets of files that each hold the whole dataset, best first; the first is what a mirror gives.
        mirrors: a folder's address, to which FILE.gz is appended, or a .tar.gz that holds the files of the first form.
        folders: where others keep the files, below the folder that is looked at.
    """

    description: str
    digests: dict[str, str]
    forms: tuple[tuple[str, ...], ...]
    mirrors: tuple[str, ...]
    folders: tuple[str, ...] = ()


def _idx(images: str, labels: str, test_images: str, test_labels: str) -> dict[str, str]:
    return {
        "train-images-idx3-ubyte": f"sha256:{images}",
        "train-labels-idx1-ubyte": f"sha256:{labels}",
        "t10k-images-idx3-ubyte": f"sha256:{test_images}",
        "t10k-labels-idx1-ubyte": f"sha256:{test_labels}",
    }


_FASHION_MNIST = _idx(
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
_MNIST = _idx(
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
_CIFAR10_BINARY = {
    "data_batch_1.bin": "sha256:cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "sha256:a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "sha256:bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "sha256:014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "sha256:755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "sha256:8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
_CIFAR10_PYTHON = {
    "data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
    "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
    "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "md5:40351d587109b95175f43aff81a1287e",
}
# The authors publish digests of the two archives only, so an archive that is kept packed is checked as it is.
_CIFAR10_ARCHIVES = {
    "cifar-10-binary.tar.gz": "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "cifar-10-python.tar.gz": "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
}
_PCAM = {
    "camelyonpatch_level_2_split_train_x.h5": "md5:01844da899645b4d6f84946d417ba453",
    "camelyonpatch_level_2_split_train_y.h5": "md5:0781386bf6c2fb62d58ff18891466aca",
    "camelyonpatch_level_2_split_valid_x.h5": "md5:81cf9680f1724c40673f10dc88e909b1",
    "camelyonpatch_level_2_split_valid_y.h5": "md5:94d8aacc249253159ce2a2e78a86e658",
    "camelyonpatch_level_2_split_test_x.h5": "md5:2614b2e6717d6356be141d9d6dbfcb7e",
    "camelyonpatch_level_2_split_test_y.h5": "md5:11ed647efe9fe457a4eb45df1dba19ba",
}

SOURCES = {
    "fashion-mnist": Source(
        "70 000 grey images of clothes, 28 px, 10 classes (31 MB)",
        _FASHION_MNIST,
        (tuple(_FASHION_MNIST),),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        ("FashionMNIST/raw",),
    ),
    "mnist": Source(
        "70 000 grey images of digits, 28 px, 10 classes (11 MB)",
        _MNIST,
        (tuple(_MNIST),),
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        ("MNIST/raw",),
    ),
    "cifar10": Source(
        "60 000 colour images of animals and vehicles, 32 px, 10 classes (170 MB)",
        _CIFAR10_BINARY | _CIFAR10_PYTHON | _CIFAR10_ARCHIVES,
        (tuple(_CIFAR10_BINARY), tuple(_CIFAR10_PYTHON), *((archive,) for archive in _CIFAR10_ARCHIVES)),
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        ("cifar-10-batches-bin", "cifar-10-batches-py"),
    ),
    "pcam": Source(
        "327 680 colour patches of lymph nodes, 96 px, normal or tumour (7 GB)",
        _PCAM,
        (tuple(_PCAM),),
        ("https://zenodo.org/records/2546921/files/",),
        ("pcam",),
    ),
}

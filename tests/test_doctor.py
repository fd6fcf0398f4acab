"""What the doctor finds: missing, old and ill-fitting packages, data, and the command that brings each."""

import json
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from pellucid import doctor
from pellucid.cli import main


@pytest.fixture
def versions(monkeypatch):
    """Versions of packages, which a test changes; an empty one is a package that is missing."""
    told: dict[str, str] = {}
    real = metadata.version

    def version(name: str) -> str:
        if told.get(name) == "":
            raise metadata.PackageNotFoundError(name)
        return told.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    return told


def found(name: str) -> doctor.Finding:
    (one,) = [finding for finding in doctor.examine() if finding.name == name]
    return one


def test_this_machine_has_what_the_tests_need(capsys) -> None:
    assert main(["doctor", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["group"] for one in told} == {"machine", "packages", "extras", "data"}
    assert all(one["remedy"] for one in told if one["state"] != "ok")


def test_a_missing_package_is_named_with_the_command_that_brings_it(versions, capsys) -> None:
    versions["scipy"] = ""
    one = found("scipy")
    assert (one.state, one.found) == ("problem", "missing") and one.remedy.startswith("pip install 'scipy")
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "✗" in text and "pip install 'scipy" in text and text.endswith("1 thing needs fixing.\n")


def test_a_package_that_is_too_old_is_told(versions) -> None:
    versions["numpy"] = "1.20.0"
    assert found("numpy").found.startswith("1.20.0, but ")


def test_an_extra_is_missing_or_does_not_fit(versions) -> None:
    versions["kornia"] = ""
    one = found("augment")
    assert (one.state, one.found, one.remedy) == ("optional", "kornia: missing", "pip install 'pellucid[augment]'")
    versions["kornia"] = "0.1.0"
    assert found("augment").state == "problem"


def test_a_package_for_another_torch_is_told(monkeypatch, versions) -> None:
    versions |= {"torchvision": "0.21.0", "torch": "2.7.0+cpu"}
    real = metadata.requires
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch==2.6.0"] if name == "torchvision" else real(name))
    wrong = doctor._fitting(Requirement("torchvision>=0.21"), "extras")
    assert wrong is not None and wrong.found == "0.21.0, which is made for torch ==2.6.0 and not for 2.7.0"


def test_a_source_tree_that_is_not_installed_says_so(monkeypatch) -> None:
    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", nothing)
    monkeypatch.setattr(metadata, "metadata", nothing)
    assert found("required").found == "pellucid is not installed as a package"


def test_data_that_is_not_here_is_told_with_the_command(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("pellucid.data.sources.places", lambda name: [tmp_path])
    one = found("mnist")
    assert (one.state, one.remedy) == ("optional", "pellucid data get mnist")

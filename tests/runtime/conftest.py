"""Exports that several test files read; a test that changes one works on a copy."""

import shutil
from pathlib import Path

import pytest
from half_parts import Exported, export_alone, export_classifier, export_segmenter


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_segmenter(tmp_path_factory.mktemp("segmenter"))


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A bank of one, exported under another name; the network is the classifier's."""
    return export_alone(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def copied(classifier: Exported, tmp_path: Path) -> Exported:
    """The classifier's export in a folder of its own."""
    return Exported(classifier.model, Path(shutil.copytree(classifier.folder, tmp_path / "copied")))

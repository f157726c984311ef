"""Weights that were changed have another checksum."""

from __future__ import annotations

import pytest

from retrain.weights import weights_sha256


@pytest.mark.parametrize("name", ["model.safetensors", "head.safetensors", "xgboost.ubj"])
def test_every_file_with_weights_counts(tmp_path, name):
    for file in ("model.safetensors", "head.safetensors", "xgboost.ubj"):
        (tmp_path / file).write_bytes(b"weights")
    before = weights_sha256(tmp_path)
    (tmp_path / name).write_bytes(b"weighty")
    assert weights_sha256(tmp_path) != before


def test_what_holds_no_weights_does_not_count(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = weights_sha256(tmp_path)
    (tmp_path / "README.md").write_text("# a card")
    assert weights_sha256(tmp_path) == before

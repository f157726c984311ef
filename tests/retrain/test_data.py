"""Rows become tokens once, nothing of them is lost, and no text is ever on both sides."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers import BertTokenizerFast, RobertaTokenizerFast

from expectations.errors import ShopmonError
from monitor.retraining_set import RetrainingSet, text_hash
from retrain import data
from retrain.data import Cutting, by_rule, cut, gathered, is_held_out, of_role, of_texts, spelling, split
from retrain.masking import SLOT, UNWANTED, WANTED
from retrain.settings import Words

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *".,!-'0123456789", *(f"##{c}" for c in LETTERS)]
NAMES += ["nike", "puma", "cheap", "##ly", "good", "##looking", "shoes", "are", "very", "the", "poor", "quality"]
WORDS = Words(brands=("nike",), unwanted=("cheap", "poor quality"), wanted=("good-looking", "good"))


def wordpiece():
    return BertTokenizerFast(vocab={name: at for at, name in enumerate(NAMES)}, model_max_length=64)


def byte_level():
    """A tokenizer that writes the blank before a word into the word, and tells capitals from small letters."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet]
    return RobertaTokenizerFast(vocab={n: at for at, n in enumerate(names)}, merges=[], model_max_length=64)


def cutting(tokenizer=None, *, max_length=32, words=WORDS):
    return Cutting(tokenizer or wordpiece(), max_length, words)


def cut_texts(tmp_path, texts, role="positive", how=None, **more):
    return cut(of_texts(texts, role, "rule"), how or cutting(), tmp_path, **more)


def said(row, what):
    """The tokens of a row's gaps of a kind, as text."""
    gaps = np.array(row["gaps"], int).reshape(-1, 3).tolist()
    return [" ".join(NAMES[i] for i in row["ids"][start:end]) for start, end, kind in gaps if kind == what]


def add(folder, texts, role="positive", run_id="run-1"):
    rows = {
        "text": texts,
        "kind": ["reviews"] * len(texts),
        "role": [role] * len(texts),
        "reasons": [["praise"]] * len(texts),
        "batch": ["3f2a"] * len(texts),
        "file": ["new.csv"] * len(texts),
        "row": list(range(1, len(texts) + 1)),
    }
    found = RetrainingSet(folder)
    found.add(pa.table(rows), run_id)
    return found


# --- which side -------------------------------------------------------------------------------------------------------


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_who_is_held_out_stays_held_out_when_more_are(text, one, other):
    digest = text_hash(text)
    if is_held_out(digest, min(one, other)):
        assert is_held_out(digest, max(one, other))
    assert is_held_out(digest, 1.0)
    assert not is_held_out(digest, 0.0)


def test_a_share_of_the_texts_is_held_out():
    held = np.mean([is_held_out(text_hash(f"text {number}"), 0.1) for number in range(20_000)])
    assert abs(held - 0.1) < 0.01


def test_no_text_is_on_both_sides_however_it_came(tmp_path):
    texts = [f"the nike shoes {number} " * (1 + number % 9) for number in range(300)]
    first, first_held = split(cut_texts(tmp_path, texts), 0.3)
    again, again_held = split(cut_texts(tmp_path, [*texts[::-2], "caf\u00e9", "cafe\u0301"], "replay"), 0.3)
    learnt = set(first["text_hash"]) | set(again["text_hash"])
    held = set(first_held["text_hash"]) | set(again_held["text_hash"])
    assert learnt
    assert held
    assert not learnt & held


def test_the_first_rows_that_are_held_out_are_not_the_oldest(tmp_path):
    texts = [f"row {number}" for number in range(400)]
    _, held = split(of_texts(texts, "positive"), 0.5)
    numbers = [int(text.split()[1]) for text in held["text"]]
    assert abs(np.mean(numbers[:50]) - 200) < 60
    _, turned = split(of_texts(texts[::-1], "positive"), 0.5)
    assert list(turned["text"]) == list(held["text"])


# --- what was gathered ------------------------------------------------------------------------------------------------


def test_what_is_gathered_are_the_parts_in_their_order(tmp_path):
    there = add(tmp_path / "set", ["one", "two"])
    add(tmp_path / "set", ["three"], run_id="run-2")
    found = gathered(there, tmp_path / "cache")
    assert list(found.rows["text"]) == ["one", "two", "three"]
    assert list(found.parts) == [part.name for part in there.parts]


def test_a_set_is_read_in_whatever_folder_it_stands(tmp_path):
    there = add(tmp_path / "shop [new] *?", ["one", "two"])
    assert list(gathered(there, tmp_path / "cache").rows["text"]) == ["one", "two"]


def test_a_training_that_goes_on_reads_only_the_parts_it_began_with(tmp_path):
    there = add(tmp_path / "set", ["one", "two"])
    began = gathered(there, tmp_path / "cache")
    add(tmp_path / "set", ["three"], run_id="run-2")
    again = gathered(there, tmp_path / "cache", parts=began.parts)
    assert (len(again.rows), again.sha256) == (2, began.sha256)
    more = gathered(there, tmp_path / "cache")
    assert (len(more.rows), more.sha256 == began.sha256) == (3, False)


def test_another_role_is_another_set(tmp_path):
    one, other = (add(tmp_path / role, ["one"], role) for role in ("positive", "negative"))
    assert gathered(one, tmp_path / "c").sha256 != gathered(other, tmp_path / "c").sha256


def test_a_part_that_is_gone_is_told(tmp_path):
    there = add(tmp_path / "set", ["one"])
    with pytest.raises(ShopmonError, match=r"000009-gone\.parquet is gone"):
        gathered(there, tmp_path / "cache", parts=["000009-gone.parquet"])


def test_an_empty_set_is_told(tmp_path):
    with pytest.raises(ShopmonError, match="is empty"):
        gathered(RetrainingSet(tmp_path / "none"), tmp_path / "cache")


# --- how texts are cut ------------------------------------------------------------------------------------------------


def test_no_text_at_all_gives_no_rows_with_the_same_columns(tmp_path):
    none, some = cut_texts(tmp_path, []), cut_texts(tmp_path, ["nike"])
    assert (len(none), none.features) == (0, some.features)
    learnt, held = split(none, 0.1)
    assert (len(learnt), len(held), len(of_role(none, "positive")), by_rule(none, "x")) == (0, 0, 0, {})


def test_a_gap_after_a_thousand_texts_without_one_is_found(tmp_path):
    texts = [*(f"the shoes {number}" for number in range(1_500)), "nike shoes are cheap"]
    rows = cut_texts(tmp_path, texts)
    assert [row["gaps"] for row in rows.select([0, 1_499])] == [[], []]
    assert said(rows[1_500], UNWANTED) == ["cheap"]


def test_a_long_text_becomes_several_rows_and_nothing_is_lost(tmp_path):
    text = " ".join(LETTERS[number % 26] for number in range(500))
    rows = cut_texts(tmp_path, [text, "the end"])
    assert max(rows["length"]) == 32
    parts = [row for row in rows if row["text_hash"] == text_hash(text)]
    assert len(parts) == 17
    assert " ".join(NAMES[i] for row in parts for i in row["ids"][1:-1]) == text
    assert all(row["ids"][0] == 2 and row["ids"][-1] == 3 and row["length"] == len(row["ids"]) for row in parts)


def test_rows_are_no_longer_than_the_tokenizer_s_model_reads(tmp_path):
    rows = cut_texts(tmp_path, ["nike " * 500], how=cutting(max_length=1_000))
    assert max(rows["length"]) == 64


def test_a_word_that_is_torn_between_two_rows_is_neither_found_nor_masked(tmp_path):
    text = "a " * 29 + "cheaply b cheap"  # 29 + [CLS] and [SEP]: "cheap" ends the first row and "##ly" begins the next
    first, second = cut_texts(tmp_path, [text])
    assert NAMES[first["ids"][30]] == "cheap"
    assert NAMES[second["ids"][1]] == "##ly"
    assert (first["words"][30], second["words"][1]) == (-1, -1)
    assert (said(first, UNWANTED), said(second, UNWANTED)) == ([], ["cheap"])
    assert first["words"][29] == 28


def test_listed_words_and_phrases_are_found_as_whole_words(tmp_path):
    text = "Nike: Cheap, poor quality, good-looking, good; cheaply poor"
    row = cut_texts(tmp_path, [text])[0]
    assert said(row, UNWANTED) == ["cheap", "poor quality"]
    assert said(row, WANTED) == ["good - l ##o ##o ##k ##i ##n ##g", "good"]


def test_byte_level_tokenizers_find_words_behind_a_blank_and_with_a_capital(tmp_path):
    tokenizer = byte_level()
    row = cut_texts(tmp_path, ["Cheap, cheap (cheap) cheaply"], how=cutting(tokenizer, max_length=64))[0]
    found = [tokenizer.decode(row["ids"][start:end]) for start, end, _ in np.array(row["gaps"]).reshape(-1, 3)]
    assert [word.strip() for word in found] == ["Cheap", "cheap", "cheap"]


def test_negative_rows_without_an_unwanted_word_have_slots(tmp_path):
    texts = ["nike shoes are very poor", "the nike shoes", "puma shoes are very poor"]
    rows = cut_texts(tmp_path, texts, "negative")
    assert [said(row, SLOT) for row in rows] == [["poor"], [], []]
    assert [said(row, SLOT) for row in cut_texts(tmp_path, texts, "positive")] == [[], [], []]


def test_a_mask_in_a_text_is_what_the_customer_wrote_and_in_a_prompt_a_gap(tmp_path):
    texts = ["nike shoes are [MASK]", "[SEP] [CLS] nike"]
    written = cut_texts(tmp_path, texts)
    assert all(set(row["ids"][1:-1]).isdisjoint({0, 2, 3, 4}) for row in written)
    prompt = cut_texts(tmp_path, texts, prompts=True)[0]
    assert (prompt["ids"].count(4), said(prompt, UNWANTED)) == (1, ["[MASK]"])


def test_a_prompt_s_gap_is_written_as_the_tokenizer_calls_it(tmp_path):
    tokenizer = byte_level()
    row = cut_texts(tmp_path, ["nike is [MASK]"], "negative", cutting(tokenizer), prompts=True)[0]
    assert row["ids"].count(tokenizer.mask_token_id) == 1
    assert row["gaps"] == [row["ids"].index(4), row["ids"].index(4) + 1, UNWANTED]


@pytest.mark.parametrize(
    "text",
    [
        "a\u0000b",
        "\u200b\u200bx",
        "e\u0301",
        "\U0001f600" * 40 + "a",
        "\u202enike",
        "a\ufffd",
        "\ud7ff9",
        "\u0130\u00df",
    ],
)
def test_odd_characters_make_rows_like_others(tmp_path, text):
    rows = cut_texts(tmp_path, [text, "nike"], "negative")
    assert set(rows["text_hash"]) == {text_hash(text), text_hash("nike")}


def test_texts_without_a_letter_are_left_out_and_others_stand_once():
    assert list(of_texts(["", " \n", "!?", "\u200b", "nike", "nike", "7"], "replay")["text"]) == ["nike", "7"]


def test_a_text_that_the_tokenizer_cleans_away_is_a_row_without_words(tmp_path):
    rows = of_texts(["nike"], "positive").map(lambda _: {"text": "\u200b\u0000"}, load_from_cache_file=False)
    row = cut(rows, cutting(), tmp_path)[0]
    assert (row["ids"], row["words"], row["gaps"]) == ([2, 3], [-1, -1], [])


@pytest.mark.parametrize("text", ["nike shoes are very long " * 40_000, "n" * 1_000_000])
def test_a_text_of_a_million_characters_is_cut_in_seconds(tmp_path, text):
    began = time.process_time()
    rows = cut_texts(tmp_path, [text], "negative")
    assert max(rows["length"]) <= 32
    assert sum(rows["length"]) - 2 * len(rows) >= 1
    assert time.process_time() - began < 30


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch):
    """How often a batch of texts was cut."""
    usual, found = data._cutter, []

    def counted(how, prompts):
        cutter = usual(how, prompts)

        def cut_up(rows):
            found.append(len(rows["text"]))
            return cutter(rows)

        return cut_up

    monkeypatch.setattr(data, "_cutter", counted)
    return found


def test_a_second_call_cuts_nothing_and_gives_the_same(tmp_path, calls):
    first = cut_texts(tmp_path, ["nike", "puma"])
    second = cut_texts(tmp_path, ["nike", "puma"])
    assert calls == [2]
    assert list(first) == list(second)


def test_a_tokenizer_that_was_used_is_still_the_same(tmp_path, calls):
    used = cutting()
    cut_texts(tmp_path, ["nike"], how=used)
    cut_texts(tmp_path, ["puma"], how=used)
    used.tokenizer(["nike", "nike shoes"], padding=True)
    cut_texts(tmp_path, ["puma"], how=used)
    cut_texts(tmp_path, ["puma"])
    assert calls == [1, 1]


@pytest.mark.parametrize(
    "other",
    [
        lambda: cutting(max_length=16),
        lambda: cutting(words=Words(unwanted=("good",))),
        lambda: cutting(BertTokenizerFast(vocab={n: at for at, n in enumerate([*NAMES, "new"])}, model_max_length=64)),
        lambda: cutting(BertTokenizerFast(vocab={n: at for at, n in enumerate(NAMES)}, model_max_length=8)),
    ],
)
def test_another_tokenizer_length_or_list_of_words_is_cut_anew(tmp_path, calls, other):
    cut_texts(tmp_path, ["nike"])
    cut_texts(tmp_path, ["nike"], how=other())
    assert calls == [1, 1]


def test_a_prompt_is_not_taken_for_a_text(tmp_path, calls):
    cut_texts(tmp_path, ["nike [MASK]"])
    cut_texts(tmp_path, ["nike [MASK]"], prompts=True)
    assert calls == [1, 1]


def test_a_tokenizer_spells_the_same_when_it_was_used_and_kept(tmp_path):
    tokenizer = wordpiece()
    before = spelling(tokenizer)
    tokenizer(["nike", "nike shoes"], padding=True, truncation=True, max_length=4)
    tokenizer.save_pretrained(tmp_path)
    assert spelling(tokenizer) == before
    assert spelling(BertTokenizerFast.from_pretrained(tmp_path)) == before
    assert spelling(byte_level()) != before


# --- by role and rule -------------------------------------------------------------------------------------------------


def test_rows_are_found_by_role_and_by_the_first_rule_that_chose_them(tmp_path):
    rows = of_texts(["one", "two", "three"], "positive")
    marked = rows.map(
        lambda row, at: {"role": ["a", "b", "a"][at], "reasons": [["x", "y"], [], ["y"]][at]}, with_indices=True
    )
    found = cut(marked, cutting(), tmp_path)
    assert list(of_role(found, "a")["rule"]) == ["x", "y"]
    assert len(of_role(found, "a", "b")) == 3
    assert {name: len(some) for name, some in by_rule(found, "part").items()} == {"part/": 1, "part/x": 1, "part/y": 1}


# --- memory -----------------------------------------------------------------------------------------------------------

_READ = """
import json, resource, sys
from pathlib import Path
import pyarrow as pa
from monitor.retraining_set import RetrainingSet
from retrain.data import gathered, split
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
folder, rows = Path(sys.argv[1]), int(sys.argv[2])
cache = folder / "cache"
small = gathered(RetrainingSet(folder / "small"), cache)
split(small.rows, 0.1)
before = peak()
found = gathered(RetrainingSet(folder / "large"), cache)
learnt, held = split(found.rows, 0.1)
print(json.dumps({"rows": len(found.rows), "held": len(held), "grown": peak() - before}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_texts(tmp_path):
    filler = "nike shoes are good and the road is long " * 50
    rows = 100_000
    for name, count in (("small", 100), ("large", rows)):
        for first in range(0, count, 20_000):
            texts = [f"{number} {filler}" for number in range(first, min(first + 20_000, count))]
            add(tmp_path / name, texts, run_id=f"run-{first}")
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(tmp_path), str(rows)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["rows"] == rows
    assert told["grown"] < 0.6 * rows * len(filler) / 2**20  # MiB; the texts alone are 200


def test_rows_of_one_number_and_other_texts_are_never_taken_for_one_another(tmp_path):
    one, other = (cut(of_texts([text], "negative"), cutting(), tmp_path) for text in ("nike shoes", "puma shoes"))
    assert one["text_hash"] != other["text_hash"]
    assert one["ids"] != other["ids"]
    again = cut(of_texts(["nike shoes"], "counterfactual"), cutting(), tmp_path)
    assert again["role"][:] == ["counterfactual"]

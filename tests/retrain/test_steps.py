"""What is asked of each role's rows, and who reads them."""

from collections import Counter

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value

from retrain.masking import SLOT, UNWANTED, WANTED, Alphabet, Masked
from retrain.objective import Part
from retrain.steps import Row, Steps, StepSettings, padded

MASK, PADDING = 4, 0
COLUMNS = Features(
    {name: List(Value("int64")) for name in ("ids", "words", "gaps")}
    | {"length": Value("int64"), "role": Value("string")}
)


def rows(role, count, *, gaps=(), length=12, first=10):
    """Rows whose second token says which row it is."""
    made = [
        {
            "ids": [2, first + number, *range(1_000, 1_000 + length - 3), 3],
            "words": [-1, *range(length - 2), -1],
            "gaps": list(gaps),
            "length": length,
            "role": role,
        }
        for number in range(count)
    ]
    return Dataset.from_list(made, features=COLUMNS)


def steps(found, *, batch_size=16, seed=1, rank=0, processes=1, first=0, share=0.15):
    how = StepSettings(Alphabet(MASK, 50), PADDING, share, batch_size, seed, rank, processes)
    return Steps(found, how, steps=40, first=first)


def asked(step, part):
    """Of each place of a part: the row's tokens and the token that stood there."""
    found = []
    for group in step["groups"]:
        at_rows, _ = torch.nonzero(group["places"], as_tuple=True)
        for row, of, target in zip(at_rows, group["part"], group["target"], strict=True):
            if of == part:
                found.append((group["input_ids"][row].tolist(), int(target)))
    return found


def parts_of(step):
    return Counter(Part(int(part)) for group in step["groups"] for part in group["part"])


def test_positive_rows_have_some_words_to_fill():
    step = steps({"positive": rows("positive", 50)})[0]
    assert set(parts_of(step)) == {Part.POSITIVE}
    assert parts_of(step)[Part.POSITIVE] == 16 * 2  # 15 % of 10 words
    assert all(target >= 10 for _, target in asked(step, Part.POSITIVE))


def test_negative_rows_have_the_gap_of_an_unwanted_word_never_of_a_wanted_one():
    gaps = [3, 4, UNWANTED, 6, 7, WANTED]
    step = steps({"negative": rows("negative", 20, gaps=gaps)})[0]
    found = asked(step, Part.UNWANTED)
    assert len(found) == 16
    assert all(ids.index(MASK) == 3 and ids.count(MASK) == 1 and target == 1_001 for ids, target in found)


def test_a_word_of_several_pieces_is_taken_out_as_one_mask_or_as_all_its_own():
    found = steps({"negative": rows("negative", 20, gaps=[3, 6, UNWANTED])})
    kinds = Counter()
    for number in range(20):
        step = found[number]
        kinds.update({"one": len(asked(step, Part.UNWANTED)), "all": len(asked(step, Part.UNWANTED_WORD)) // 3})
        assert all(ids[3:5] == [MASK, 1_004] and target == -1 for ids, target in asked(step, Part.UNWANTED))
        for ids, target in asked(step, Part.UNWANTED_WORD):
            assert ids[3:6] == [MASK] * 3
            assert target in (1_001, 1_002, 1_003)
    assert sum(kinds.values()) == 20 * 16
    assert 0.35 < kinds["one"] / 320 < 0.65


def test_the_pieces_of_a_word_are_one_gap_and_those_of_two_rows_are_two():
    step = steps({"negative": rows("negative", 20, gaps=[3, 6, UNWANTED])})[0]
    for group in step["groups"]:
        several = group["gap"][group["part"] == Part.UNWANTED_WORD]
        assert all(count == 3 for count in Counter(several.tolist()).values())


def test_a_place_where_an_unwanted_word_could_stand_is_always_one_mask():
    found = steps({"negative": rows("negative", 20, gaps=[3, 6, SLOT])})
    assert all(set(parts_of(found[number])) == {Part.UNWANTED} for number in range(10))


def test_negative_rows_without_a_gap_have_some_words_in_which_nothing_unwanted_may_stand():
    step = steps({"negative": rows("negative", 20)})[0]
    assert set(parts_of(step)) == {Part.UNWANTED}


@pytest.mark.parametrize("kind", [WANTED, UNWANTED])
def test_counterfactual_rows_have_the_gap_of_a_listed_word_as_one_mask(kind):
    step = steps({"counterfactual": rows("counterfactual", 20, gaps=[3, 6, kind])})[0]
    found = asked(step, Part.COUNTERFACTUAL)
    assert len(found) == 16
    assert all(ids[3:5] == [MASK, 1_004] for ids, _ in found)


def test_counterfactual_rows_without_a_gap_and_replayed_ones_have_some_words():
    step = steps({"counterfactual": rows("c", 20), "replay": rows("r", 20)})[0]
    assert set(parts_of(step)) == {Part.COUNTERFACTUAL, Part.REPLAY}


def test_each_rule_of_a_part_is_asked_as_the_part_is():
    gaps = [3, 4, UNWANTED]
    found = {"negative/a": rows("n", 5, gaps=gaps), "negative/b": rows("n", 5, gaps=gaps, first=30)}
    step = steps(found)[0]
    assert set(parts_of(step)) == {Part.UNWANTED}
    seen = {ids[1] for ids, _ in asked(step, Part.UNWANTED)}
    assert min(seen) < 15
    assert max(seen) >= 30


def test_a_row_without_a_word_has_no_place_and_does_no_harm():
    empty = Dataset.from_list(
        [{"ids": [2, 3], "words": [-1, -1], "gaps": [], "length": 2, "role": "x"}], features=COLUMNS
    )
    for name in ("positive", "negative", "counterfactual", "replay"):
        step = steps({name: empty})[0]
        assert parts_of(step).total() == 0
        assert sum(len(group["input_ids"]) for group in step["groups"]) == 16


def mixed():
    return {
        "positive": rows("positive", 40, length=14),
        "negative/a": rows("negative", 9, gaps=[3, 5, UNWANTED]),
        "counterfactual/b": rows("counterfactual", 30, gaps=[2, 3, WANTED], length=9),
        "replay": rows("replay", 30, length=60),
    }


def same(one, other):
    return one["tokens"] == other["tokens"] and all(
        all(torch.equal(a[name], b[name]) for name in a) for a, b in zip(one["groups"], other["groups"], strict=True)
    )


@pytest.mark.parametrize("first", [1, 15, 16, 33])
def test_a_training_that_goes_on_reads_what_it_would_have_read(first):
    whole, later = steps(mixed()), steps(mixed(), first=first)
    assert all(same(whole[first + number], later[number]) for number in range(3))


def test_another_seed_masks_otherwise():
    assert not same(steps(mixed())[0], steps(mixed(), seed=2)[0])


def test_a_row_that_comes_again_is_masked_otherwise():
    found = steps({"positive": rows("positive", 1, length=40)}, batch_size=1)
    assert len({tuple(found[n]["groups"][0]["input_ids"][0].tolist()) for n in range(10)}) > 5


def row_numbers(found, number, **more):
    one = steps(found, **more)
    return {
        stream.name: Counter(stream.rows(number)[one._settings.rank :: one._settings.processes].tolist())
        for stream in one._streams
    }


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_read_together_the_rows_that_one_would(processes):
    alone = row_numbers(mixed(), 3)
    dealt = [row_numbers(mixed(), 3, rank=rank, processes=processes) for rank in range(processes)]
    assert {name: sum((some[name] for some in dealt), Counter()) for name in alone} == alone
    tokens = [steps(mixed(), rank=rank, processes=processes)[3]["tokens"] for rank in range(processes)]
    assert min(tokens) > 0


def test_groups_are_padded_and_say_where_text_ends():
    step = steps(mixed())[0]
    assert len(step["groups"]) >= 2
    for group in step["groups"]:
        assert set(group["attention_mask"].unique().tolist()) <= {0, 1}
        assert (group["input_ids"][group["attention_mask"] == 0] == PADDING).all()
        assert group["attention_mask"][group["places"]].all()
        assert len(group["part"]) == len(group["target"]) == len(group["gap"]) == int(group["places"].sum())
    assert step["tokens"] == sum(int(group["attention_mask"].sum()) for group in step["groups"])


def test_places_targets_and_parts_stand_in_one_order():
    one = Row(Masked(np.array([2, 4, 9, 4, 3]), np.array([1, 3]), np.array([71, 73])), np.array([0, 0]))
    other = Row(Masked(np.array([2, 8, 4, 3]), np.array([2]), np.array([82])), np.array([4]))
    found = padded([one, other], PADDING)
    assert torch.nonzero(found["places"]).tolist() == [[0, 1], [0, 3], [1, 2]]
    assert (found["target"].tolist(), found["part"].tolist()) == ([71, 73, 82], [0, 0, 4])
    assert found["gap"].tolist() == [0, 0, 1]

"""What is minimised when classes are told apart, held against PyTorch and against definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retrain.class_objective import ClassLearner, class_weights, losses
from retrain.classifier_settings import ClassifierObjective, Weighting

SEEDS = st.integers(0, 2**31)


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    return (
        torch.randn(9, 4, generator=make) * 3,
        torch.randint(0, 4, (9,), generator=make),
        torch.rand(4, generator=make) + 0.1,
    )


@given(SEEDS, st.sampled_from([0.0, 0.1, 0.5]))
def test_smoothed_cross_entropy_is_that_of_pytorch(seed, share):
    logits, labels, _ = drawn(seed)
    ours = losses(logits, labels, torch.ones(4), ClassifierObjective(label_smoothing=share))
    theirs = torch.nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=share)
    assert torch.allclose(ours, theirs, atol=1e-5)


@given(SEEDS)
def test_weighed_cross_entropy_is_that_of_pytorch(seed):
    logits, labels, weights = drawn(seed)
    ours = losses(logits, labels, weights, ClassifierObjective())
    theirs = torch.nn.functional.cross_entropy(logits, labels, weight=weights, reduction="none")
    assert torch.allclose(ours, theirs, atol=1e-5)


@given(SEEDS)
def test_focal_loss_is_what_its_paper_says(seed):
    logits, labels, _ = drawn(seed)
    ours = losses(logits, labels, torch.ones(4), ClassifierObjective(focal_gamma=2.0))
    right = torch.softmax(logits, -1)[range(9), labels]
    assert torch.allclose(ours, -((1 - right) ** 2) * right.log(), atol=1e-4)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=6).filter(any))
def test_balanced_classes_count_alike_and_a_row_counts_one_on_average(counts):
    weights = class_weights(counts, Weighting.BALANCED)
    shares = [weight * count for weight, count in zip(weights, counts, strict=True) if count]
    assert sum(shares) == pytest.approx(sum(counts))
    assert max(shares) == pytest.approx(min(shares))
    assert class_weights(counts, Weighting.NONE) == [1.0] * len(counts)


def test_a_process_without_a_row_still_takes_part():
    learner = ClassLearner(torch.nn.Linear(3, 2), ClassifierObjective(), [1.0, 1.0])
    found = learner([])
    found["loss"].backward()
    assert float(found["loss"]) == 0.0
    assert learner.model.weight.grad is not None

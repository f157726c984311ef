"""What is minimised, held against values computed by hand, and against what it is meant to do to a model."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import DistilBertConfig, DistilBertForMaskedLM

from retrain.objective import Learner, Part, kl_divergence, parameters_of
from retrain.settings import Objective

WEIGHTS = Objective(unlikelihood=4.0, replay_kl=1.0, counterfactual_kl=2.0)


class Fixed(nn.Module):
    """A model of an unknown family that says the same at each place of every row."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.config = SimpleNamespace(model_type="fixed")

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


def places(parts, targets, gaps=None):
    """One row with so many places."""
    many = len(parts)
    return {
        "input_ids": torch.full((1, many), 7),
        "attention_mask": torch.ones(1, many, dtype=torch.long),
        "places": torch.ones(1, many, dtype=torch.bool),
        "part": torch.tensor(parts, dtype=torch.long),
        "target": torch.tensor(targets, dtype=torch.long),
        "gap": torch.tensor(gaps or [0] * many, dtype=torch.long),
    }


def learner(probabilities, base=None, unwanted=(), objective=WEIGHTS):
    answers = None if base is None else Fixed([math.log(p) for p in base])
    return Learner(Fixed([math.log(p) for p in probabilities]), answers, objective, unwanted)


def test_cross_entropy_is_the_mean_over_places_of_all_groups():
    found = learner([0.5, 0.25, 0.25])([places([Part.POSITIVE], [0]), places([Part.POSITIVE] * 2, [1, 1])])
    assert found["positive"].item() == pytest.approx((math.log(2) + 2 * math.log(4)) / 3, rel=1e-5)
    assert found["loss"].item() == pytest.approx(found["positive"].item())


def test_unlikelihood_is_that_of_all_unwanted_words_together():
    found = learner([0.5, 0.2, 0.2, 0.1], unwanted=[1, 3])([places([Part.UNWANTED], [-1])])
    assert found["unlikelihood"].item() == pytest.approx(-math.log(0.7), rel=1e-5)
    assert found["loss"].item() == pytest.approx(-4 * math.log(0.7), rel=1e-5)


def test_a_word_of_several_pieces_has_their_joint_probability():
    group = places([Part.UNWANTED_WORD] * 3, [0, 1, 2], gaps=[0, 0, 5])
    found = learner([0.5, 0.3, 0.2])([group])
    each = [-math.log(1 - 0.5 * 0.3), -math.log(1 - 0.2)]
    assert found["unlikelihood"].item() == pytest.approx(sum(each) / 2, rel=1e-5)


def test_divergence_is_from_the_base_and_each_kind_has_its_weight():
    base, now = (0.5, 0.5), (0.8, 0.2)
    group = places([Part.REPLAY, Part.COUNTERFACTUAL, Part.COUNTERFACTUAL], [0, -1, -1])
    found = learner(now, base)([group])
    expected = sum(p * math.log(p / q) for p, q in zip(base, now, strict=True))
    assert found["replay_kl"].item() == pytest.approx(expected, rel=1e-5)
    assert found["counterfactual_kl"].item() == pytest.approx(expected, rel=1e-5)
    assert found["loss"].item() == pytest.approx(3 * expected, rel=1e-5)


def test_divergence_is_the_base_s_from_the_model_and_not_the_other_way_round():
    base, model = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    assert float(kl_divergence(base, model)) == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2), rel=1e-5)
    assert float(kl_divergence(base, base + 7)) == pytest.approx(0, abs=1e-6)


def test_a_part_without_a_base_is_left_out():
    assert set(learner([0.5, 0.5])([places([Part.REPLAY, Part.POSITIVE], [0, 1])])) == {"loss", "positive"}


# --- on a real model --------------------------------------------------------------------------------------------------


def tiny(seed=1):
    torch.manual_seed(seed)
    config = DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=20)
    return DistilBertForMaskedLM(config).eval()


def group(parts, targets, rows=2, length=10, gaps=None):
    torch.manual_seed(5)
    where = torch.zeros(rows, length, dtype=torch.bool)
    each = len(parts) // rows
    where[:, 1 : 1 + each] = True
    found = places(parts, targets, gaps)
    ids = torch.randint(5, 40, (rows, length))
    return found | {"input_ids": ids, "attention_mask": torch.ones_like(ids), "places": where}


def mean_probability(model, some, tokens):
    with torch.no_grad():
        logits = model(input_ids=some["input_ids"], attention_mask=some["attention_mask"]).logits[some["places"]]
    return float(torch.softmax(logits, -1)[:, tokens].sum(-1).mean())


def test_the_divergence_of_the_base_from_itself_is_zero_and_moves_nothing():
    found = Learner(tiny(), tiny(), WEIGHTS, [])
    loss = found([group([Part.REPLAY, Part.COUNTERFACTUAL] * 2, [7] * 4)])["loss"]
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert max(float(p.grad.abs().max()) for p in found.model.parameters() if p.grad is not None) < 1e-5


def stepped(model, some, unwanted):
    found = Learner(model, None, WEIGHTS, unwanted)
    optimizer = torch.optim.SGD(found.parameters(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        found([some])["loss"].backward()
        optimizer.step()


def test_unlikelihood_makes_unwanted_words_less_likely():
    model, some = tiny(), group([Part.UNWANTED] * 2, [-1, -1])
    before = mean_probability(model, some, [8, 9])
    stepped(model, some, [8, 9])
    assert mean_probability(model, some, [8, 9]) < before * 0.9


def joint_probability(model, some, tokens):
    with torch.no_grad():
        logits = model(input_ids=some["input_ids"], attention_mask=some["attention_mask"]).logits[some["places"]]
    each = torch.softmax(logits, -1).gather(1, torch.tensor(tokens)[:, None]).reshape(-1, 2)
    return float(each.prod(1).mean())


def test_unlikelihood_makes_a_word_of_several_pieces_less_likely():
    model, some = tiny(), group([Part.UNWANTED_WORD] * 4, [8, 9, 8, 9], gaps=[0, 0, 1, 1])
    with torch.no_grad():
        model.vocab_projector.bias[[8, 9]] += 4.0  # a random model would not say it anyway
    before = joint_probability(model, some, [8, 9, 8, 9])
    stepped(model, some, [])
    assert joint_probability(model, some, [8, 9, 8, 9]) < before * 0.95


def test_no_place_to_fill_gives_zero_loss_and_zero_gradients_to_every_weight():
    found = Learner(tiny(), tiny(), WEIGHTS, [8])
    nothing = group([], []) | {"places": torch.zeros(2, 10, dtype=torch.bool)}
    for groups in ([nothing], []):
        found.zero_grad()
        told = found(groups)
        told["loss"].backward()
        assert (float(told["loss"].detach()), set(told)) == (0.0, {"loss"})
        grads = [p.grad for p in found.model.parameters()]
        assert all(grad is not None and not grad.any() for grad in grads)


def test_without_an_unwanted_word_of_one_piece_nothing_is_unlearned_and_nothing_breaks():
    found = Learner(tiny(), None, WEIGHTS, [])
    loss = found([group([Part.UNWANTED] * 2, [-1, -1])])["loss"]
    loss.backward()
    assert float(loss) == 0.0


def everything():
    parts = [Part.POSITIVE, Part.UNWANTED, Part.UNWANTED_WORD, Part.COUNTERFACTUAL, Part.REPLAY, Part.REPLAY]
    return group(parts, [5, -1, 6, -1, 7, 8])


def test_in_bfloat16_all_parts_are_finite_and_near_those_in_float32():
    found = Learner(tiny(1), tiny(2), WEIGHTS, [8, 9])
    whole = found([everything()])
    with torch.autocast("cpu", torch.bfloat16):
        half = found([everything()])
    half["loss"].backward()
    assert set(half) == {"loss", "positive", "unlikelihood", "counterfactual_kl", "replay_kl"}
    for name, value in half.items():
        assert float(value) == pytest.approx(float(whole[name]), rel=0.05, abs=0.02)
    assert all(p.grad.isfinite().all() for p in found.model.parameters() if p.grad is not None)


@pytest.mark.parametrize("sure", [5.0, 30.0, 1e4])
def test_a_model_that_is_quite_sure_gives_finite_losses_and_gradients(sure):
    model = Fixed([sure, 0.0, -sure])
    found = Learner(model, Fixed([-sure, 0.0, sure]), WEIGHTS, [0])
    parts = [Part.POSITIVE, Part.UNWANTED, Part.UNWANTED_WORD, Part.REPLAY]
    loss = found([places(parts, [0, -1, 0, 2])])["loss"]
    loss.backward()
    assert loss.isfinite()
    assert model.logits.grad.isfinite().all()


def test_the_base_is_neither_trained_nor_kept_with_the_model():
    base = tiny(2)
    found = Learner(tiny(1), base, WEIGHTS, [8])
    found([everything()])["loss"].backward()
    assert all(p.grad is None for p in base.parameters())
    assert not any(name.startswith("base") for name in found.state_dict())
    assert parameters_of(found) == sum(p.numel() for p in found.model.parameters())


def test_how_rows_are_grouped_changes_nothing():
    found = Learner(tiny(1), tiny(2), WEIGHTS, [8, 9])
    some = everything()
    apart = [
        {
            name: value[row : row + 1] if value.dim() == 2 else value[3 * row : 3 * row + 3]
            for name, value in some.items()
        }
        for row in range(2)
    ]
    whole, parted = found([some]), found(apart)
    for name, value in whole.items():
        assert float(parted[name]) == pytest.approx(float(value), rel=1e-4)

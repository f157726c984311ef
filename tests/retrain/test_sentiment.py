"""A classifier of reviews, from stars to the registry."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from retrain.classifier_settings import BestBy, ClassifierTraining
from retrain.classifier_training import Asked
from retrain.labelled_texts import TextSettings
from retrain.registry import Registry
from retrain.results import Role
from retrain.sentiment import KNOWN, STARS, SentimentSettings, train
from retrain.splits import SplitSettings

GOOD, BAD = ("nice", "new", "big"), ("old", "small", "cheap")


@pytest.fixture(scope="module")
def base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tiny.build_model(tmp_path_factory.mktemp("base") / "base")
    return place


def reviews(file: Path, rows: int = 240) -> Path:
    """Reviews whose words say how many stars there are."""
    draw, table = random.Random(3), []
    for number in range(rows):
        stars = number % 5 + 1
        words = GOOD if stars >= 4 else BAD if stars <= 2 else (*GOOD, *BAD)
        table.append(
            {"text": f"the {draw.choice(words)} shoes are {draw.choice(words)} {number}", "stars": stars,
             "recommended": stars >= 4}
        )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(table), file)
    return file


def asked(room: Path, base: Path, texts: TextSettings) -> Asked[SentimentSettings]:
    training = ClassifierTraining(
        steps=30, batch_size=16, learning_rate=3e-3, max_length=32, evaluate_every=10, patience=99, bf16=False
    )
    settings = SentimentSettings(
        base=str(base), texts=texts, split=SplitSettings(validation=0.2, held_out=0.2), training=training
    )
    return Asked(settings, Registry(room / "models"), room / "training", room / "cache", "20261120-195801-c0ffee")


def test_stars_become_a_model_of_what_customers_say(base, tmp_path):
    texts = replace(STARS, data=(str(reviews(tmp_path / "reviews.parquet")),))
    result = train(asked(tmp_path, base, texts))
    found = result.measures[Role.CANDIDATE].classification
    assert found is not None
    assert [one.label for one in found.classes] == ["negative", "positive"]
    assert found.ranking == {}
    assert (
        sum(map(sum, (side.values() for side in (result.data.rows, result.data.held_out, result.data.validation))))
        == 192
    )
    assert {check.name for check in result.gate.checks} == {"macro_f1", "class_f1"}
    assert Registry(tmp_path / "models").get(result.model_id).task == "sentiment"


def test_recommendations_are_labels_as_well(base, tmp_path):
    texts = replace(KNOWN["recommended"], data=(str(reviews(tmp_path / "reviews.parquet")),))
    result = train(asked(tmp_path, base, texts))
    assert (
        sum(result.data.rows.values()) + sum(result.data.validation.values()) + sum(result.data.held_out.values())
        == 240
    )
    assert set(result.data.rows) == {"not recommended", "recommended"}


def test_rows_that_are_not_ranked_have_no_ndcg_to_choose_by():
    with pytest.raises(ValueError, match="not ranked"):
        SentimentSettings(best_by=BestBy.NDCG)


def test_no_file_is_told_before_anything_is_fetched(tmp_path, base):
    with pytest.raises(ShopmonError, match=r"no labelled texts are named.*retrain\.sentiment"):
        train(asked(tmp_path, base, STARS))

"""Does the hackathon's selection come out as it did, and is the corrected one right?"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "nike"
DATA = ROOT.parent / "shared" / "data" / "nike"
SENTENCES_GIVE = {"substring": 6_938, "wrong": 1_171, "words": 5_378, "corrected": 4_921}
WORDS = tomllib.loads((EXAMPLE / "shopmon.toml").read_text(encoding="utf-8"))["edge_cases"]["words"]


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[Any, Any]]:
    """The two scripts as modules, found as Python finds them when one of them is run."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        yield importlib.import_module("corpus"), importlib.import_module("select_rows")
    finally:
        sys.path.remove(str(EXAMPLE))
        for name in ("corpus", "select_rows"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the shop's texts do not stand beside the repository (../shared/data/nike)")
    return DATA


@pytest.fixture(scope="module")
def sentences(scripts: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The corpus where the shop's texts are missing."""
    table: pa.Table = scripts[0].corpus(tmp_path_factory.mktemp("without_data"))
    return table


@pytest.fixture(scope="module")
def of_sentences(scripts: tuple[Any, Any], sentences: pa.Table) -> Any:
    return scripts[1].selections(sentences)


def texts_of(table: pa.Table) -> list[str]:
    column: list[str] = table.column("text").to_pylist()
    return column


def by_hand(texts: list[str]) -> set[int]:
    """The hackathon's selection without any of shopmon's code: Python's `in`, and VADER."""
    vader = SentimentIntensityAnalyzer()
    return {
        row
        for row, text in enumerate(texts, start=1)
        if "nike" in text
        and any(product in text for product in WORDS["products"])
        and any(feature in text for feature in WORDS["features"])
        and vader.polarity_scores(text)["compound"] >= 0
    }


def holds_unwanted(text: str) -> bool:
    """Whether an unwanted word stands in a sentence as its adjective, which it ends with."""
    return (
        re.search(rf"\b(are|is|offer|provide|feature|boast|being) ({'|'.join(WORDS['unwanted'])})$", text) is not None
    )


# The corpus


def test_without_the_shops_texts_the_corpus_is_the_sentences_and_says_so(
    scripts: tuple[Any, Any], sentences: pa.Table
) -> None:
    assert Counter(sentences.column("source").to_pylist()) == {"template": 25_000}
    told = scripts[0].counted(sentences)
    assert "Not found: nike_products.csv, nike_customer_reviews_kaggle.csv, products_kaggle.csv" in told
    assert "25,000 in all" in told


def test_a_seed_gives_the_same_sentences_and_another_gives_others(scripts: tuple[Any, Any]) -> None:
    drawn = scripts[0].sentences(1000, seed=1)
    assert drawn.equals(scripts[0].sentences(1000, seed=1))
    assert not drawn.equals(scripts[0].sentences(1000, seed=2))


def test_sentences_are_drawn_as_the_hackathon_drew_them(scripts: tuple[Any, Any], sentences: pa.Table) -> None:
    lists = [scripts[0].COMPANIES, WORDS["products"], scripts[0].JOINERS, [*WORDS["wanted"], *WORDS["unwanted"]]]
    company, product, joiner, adjective = (
        "|".join(map(re.escape, sorted(set(words), key=len, reverse=True))) for words in lists
    )
    texts = texts_of(sentences)
    first = re.compile(rf"({company}) ({product}) ({joiner}) ({adjective})")
    second = re.compile(rf"({product}) made by ({company}) ({joiner}) ({adjective})")
    assert all(first.fullmatch(text) or second.fullmatch(text) for text in texts)
    shares = {
        "nike": sum(" nike " in f" {text} " for text in texts) / len(texts),
        "nikeadidas": sum("nikeadidas" in text for text in texts) / len(texts),
        "tshirts": sum("tshirts" in text for text in texts) / len(texts),
        "made by": sum(" made by " in text for text in texts) / len(texts),
        "negative": sum(map(holds_unwanted, texts)) / len(texts),
    }
    expected = {"nike": 6 / 15, "nikeadidas": 1 / 15, "tshirts": 2 / 25, "made by": 1 / 2, "negative": 1 / 2}
    assert shares == pytest.approx(expected, abs=0.015)  # five standard errors of a half


def test_a_text_loses_case_digits_and_punctuation_and_a_row_without_a_part_is_left_out(
    scripts: tuple[Any, Any], tmp_path: Path
) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text('Title,Content\nAir Max 90!,"Warm, light."\nNo content,\n,no title\n', encoding="utf-8")
    assert scripts[0].shop_texts(file, ("Title", "Content")) == ["air max  warm light"]


def test_the_shop_has_946_texts(scripts: tuple[Any, Any], data: Path) -> None:
    sources = Counter(scripts[0].corpus(data).column("source").to_pylist())
    assert sources == {
        "nike_products.csv": 640,
        "nike_customer_reviews_kaggle.csv": 194,
        "products_kaggle.csv": 112,
        "template": 25_000,
    }
    assert sources.total() == 25_946


def test_features_are_seventeen_words_and_all_that_is_wanted() -> None:
    assert set(WORDS["wanted"]) < set(WORDS["features"])
    assert len(set(WORDS["features"]) - set(WORDS["wanted"])) == 16  # "lightweight" is one of the 17 and wanted
    assert not set(WORDS["wanted"]) & set(WORDS["unwanted"])


# The selection


def test_substring_matching_chooses_what_the_hackathons_code_would(sentences: pa.Table, of_sentences: Any) -> None:
    assert of_sentences.substring == by_hand(texts_of(sentences))


def test_whole_words_choose_fewer_and_the_corrected_rule_fewest(of_sentences: Any) -> None:
    assert of_sentences.corrected < of_sentences.words < of_sentences.substring


def test_the_wrong_rows_are_those_that_end_with_an_unwanted_word(sentences: pa.Table, of_sentences: Any) -> None:
    texts = texts_of(sentences)
    unwanted = {row for row, text in enumerate(texts, start=1) if holds_unwanted(text)}
    assert of_sentences.unwanted == unwanted
    assert of_sentences.wrong == of_sentences.substring & unwanted
    assert not of_sentences.corrected & unwanted


def test_what_the_corrected_rule_leaves_out_is_wrong_or_names_another_company(
    sentences: pa.Table, of_sentences: Any
) -> None:
    texts = texts_of(sentences)
    left_out = of_sentences.substring - of_sentences.corrected - of_sentences.wrong
    assert left_out
    assert all("nikeadidas" in texts[row - 1] for row in left_out)


def test_the_sentences_give_these_figures(of_sentences: Any) -> None:
    found = {name: len(getattr(of_sentences, name)) for name in ("substring", "wrong", "words", "corrected")}
    assert found == SENTENCES_GIVE


def test_the_readme_shows_what_is_counted(scripts: tuple[Any, Any], data: Path) -> None:
    table = scripts[0].corpus(data)
    found = scripts[1].selections(table)
    assert found.substring == by_hand(texts_of(table))
    assert scripts[1].report(table, found) in (EXAMPLE / "README.md").read_text(encoding="utf-8")


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE / "corpus.py"), "corpus.parquet", "--data", str(tmp_path), "--seed", "4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "25,000 in all" in done.stdout
    assert pq.read_table(tmp_path / "corpus.parquet").column_names == ["text", "source"]


@pytest.mark.slow
def test_a_check_gathers_the_rows_that_the_rule_chooses_each_text_once(
    sentences: pa.Table, of_sentences: Any, tmp_path: Path
) -> None:
    from monitor.retraining_set import RetrainingSet
    from shopmon import check

    for name in ("shopmon.toml", "texts.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path / name)
    pq.write_table(sentences, tmp_path / "corpus.parquet")
    result = check(tmp_path / "corpus.parquet", project=tmp_path)
    assert result.passed
    assert result.edge_cases.by_reason["praises-brand"] == len(of_sentences.corrected)
    gathered = RetrainingSet(tmp_path / ".shopmon" / "retraining")
    rows = gathered.read(["text", "role"], kind="reviews").read_all().to_pylist()
    texts = texts_of(sentences)
    assert {r["text"] for r in rows if r["role"] == "positive"} == {texts[row - 1] for row in of_sentences.corrected}
    assert len({r["text"] for r in rows}) == len(rows) == result.edge_cases.retraining_set_rows
    assert result.edge_cases.due
    assert check(tmp_path / "corpus.parquet", project=tmp_path).edge_cases.added == 0

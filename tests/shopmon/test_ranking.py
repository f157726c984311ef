"""`shopmon rank` and `shopmon substitutes`: from a catalogue and a trained champion to an answer."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from rich.console import Console

import shopmon
from expectations.errors import BatchError, ProjectError, ShopmonError
from retrain.records import from_document, read, write
from retrain.registry import Registry
from retrain.results import SubstituteThreshold, ThresholdMeasure
from shopmon import ranking, replacing
from shopmon.cli import main
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.ranking_summary import ranked_shown, substitutes_shown
from shopmon.retraining import retrain

from .example_shop import save_base

SETTINGS = """
[data.products.columns]
"Artikel" = "id"

[retrain]
base = "base"
bf16 = false

[retrain.relevance]
data = ["pairs.parquet"]
classes = ["E", "S", "I"]
gains = { E = 1.0, S = 0.5, I = 0.0 }
validation = 0.2
held_out = 0.2
learning_rate = 3e-3
steps = 30
batch_size = 16
max_length = 32
baseline_rows = 200

[rank]
encoder = "offline"
candidates = 12
top = 3
"""
THINGS = ("Nike shoes", "Nike jackets", "Nike socks", "Nike coats", "Puma shoes", "Puma hats")
ENDINGS = ("in winter", "at work", "on the road")
MEASURE = ThresholdMeasure(rows=36, of_class=12, taken=10, precision=0.8, recall=0.667, f1=0.727)
THRESHOLD = SubstituteThreshold("S", 0.2, None, True, MEASURE, MEASURE)
HOSTILE = "[red]Nike\x1b[31m shoes\r\nhttp://evil \u202e%s =cmd|' /C calc'!A0"


def pairs(file: Path) -> None:
    draw, rows = random.Random(3), []
    for number in range(60):
        thing = draw.choice(THINGS)
        told = {"E": f"{thing} in winter", "S": f"{thing[:4]} hats at work", "I": "the road and the"}
        rows += [
            {"query": f"{thing} {number}", "title": f"{text} {draw.randrange(99)}", "label": label}
            for label, text in told.items()
        ]
    pq.write_table(pa.Table.from_pylist(rows), file)


def bag(texts):
    """Stands in for a sentence encoder that needs a network: words in a bag of 64 places."""
    found = np.full((len(texts), 64), 1e-3)
    for row, text in zip(found, texts, strict=True):
        for word in text.lower().split():
            row[hashlib.sha256(word.encode()).digest()[0] % 64] += 1
    return found


def told_apart(texts):
    """The same, with a little that no other text has: no two lie equally near."""
    noise = [np.random.default_rng(list(hashlib.sha256(text.encode()).digest()[:8])).normal(size=64) for text in texts]
    return bag(texts) + 0.05 * np.array(noise)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    handler = signal.getsignal(signal.SIGTERM)
    for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE", "FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("monitor.embeddings.encoder", lambda model: bag)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop with a catalogue, queries, and a champion that learnt from pairs; nobody changes it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    save_base(folder / "base")
    pairs(folder / "pairs.parquet")
    titles = [f"{thing} {ending}" for thing in THINGS for ending in ENDINGS]
    table = {"Artikel": [f"p{at:02}" for at in range(len(titles))], "title": titles, "brand": [t[:4] for t in titles]}
    pq.write_table(pa.table(table), folder / "products.parquet")
    asked = {"query_id": ["q1", "q2", "q3"], "query": ["Nike shoes", "Puma hats at work", "road"]}
    pq.write_table(pa.table(asked), folder / "queries.parquet")
    project = Project.read(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE"):
            patch.delenv(name, raising=False)
        result = retrain(task="relevance", project=project, promote=True)
    write(replace(result, substitutes=THRESHOLD), result.folder)
    return project


@pytest.fixture
def typed(capfd, monkeypatch, shop):
    """Type a command line in the shop's folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(shop.folder)

    def run(*line):
        capfd.readouterr()
        code = main(list(line))
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def champion(shop):
    """Change what the champion's training said of substitutes, until the test ends."""
    folder = Registry(shop.models).champion("relevance").folder
    kept = from_document(read(folder))

    def change(threshold):
        write(replace(kept, substitutes=threshold), folder)

    yield change
    write(kept, folder)


def drawn(renderable, width):
    console = Console(width=width, record=True, file=open(os.devnull, "w"), color_system=None)  # noqa: SIM115, PTH123
    console.print(renderable)
    return console.export_text()


# --- rank -------------------------------------------------------------------------------------------------------------


def test_a_query_is_answered_with_the_best_products_and_how_they_were_found(shop):
    file = shop.folder / "products.parquet"
    found = shopmon.rank(file, "Nike shoes", project=shop)
    assert (found.queries, found.products, found.search, found.files) == (1, 18, "exact", (str(file),))
    assert (found.classes, found.gains) == (("E", "S", "I"), {"E": 1.0, "S": 0.5, "I": 0.0})
    assert found.model == shopmon.models(shop).champion("relevance").model_id
    assert "on cpu" in found.computed
    rows = found.table.to_pylist()
    assert [row["rank"] for row in rows] == [1, 2, 3]
    for row in rows:
        said = [row[f"probability_{label}"] for label in found.classes]
        assert sum(said) == pytest.approx(1)
        assert row["expected_gain"] == pytest.approx(said[0] + 0.5 * said[1])
        assert row["title"] == f"{THINGS[int(row['product_id'][1:]) // 3]} {ENDINGS[int(row['product_id'][1:]) % 3]}"


def test_the_model_is_asked_about_the_query_and_the_text_it_learnt_to_read(shop):
    """What stands in the answer is what the champion says of the pair, asked by itself."""
    from retrain.scorer import load_scorer

    (row, *_) = shopmon.rank(shop.folder / "products.parquet", "Nike shoes", project=shop).table.to_pylist()
    scorer = load_scorer(Registry(shop.models).champion("relevance").folder, max_length=32)
    said = scorer.probabilities(["Nike shoes"], [row["title"]])[0]
    assert [row[f"probability_{label}"] for label in scorer.classes] == pytest.approx(said.tolist(), abs=1e-4)


def test_attributes_that_are_named_make_up_the_text_in_their_order(shop):
    asked = []

    def spy(texts):
        asked.extend(texts)
        return bag(texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.embeddings.encoder", lambda model: spy)
        found = shopmon.rank(
            shop.folder / "products.parquet", "Nike", text=["brand", "title"], encoder="another", project=shop
        )
    assert found.product_text == ("brand", "title")
    assert "Puma\nPuma hats in winter" in asked


def test_a_file_of_queries_is_answered_whole(shop):
    found = shopmon.rank(shop.folder / "products.parquet", queries=shop.folder / "queries.parquet", project=shop)
    rows = found.table.to_pylist()
    assert [(row["query_id"], row["query"], row["rank"]) for row in rows] == [
        (name, query, rank)
        for name, query in (("q1", "Nike shoes"), ("q2", "Puma hats at work"), ("q3", "road"))
        for rank in (1, 2, 3)
    ]
    assert len(found.document()["ranking"]) == 9


def test_neither_other_queries_nor_the_order_of_the_files_have_a_part_in_an_answer(shop):
    products = pq.read_table(shop.folder / "products.parquet")
    turned = products.take(list(range(products.num_rows))[::-1])
    alone = shopmon.rank(products, "Nike shoes", project=shop).table.to_pylist()
    among = shopmon.rank(turned, ["road", "Puma hats", "Nike shoes"], project=shop).table.to_pylist()
    among = [row for row in among if row["query"] == "Nike shoes"]
    assert [row["product_id"] for row in alone] == [row["product_id"] for row in among]
    for name in ("expected_gain", "probability_E", "probability_S", "probability_I"):
        assert [row[name] for row in alone] == pytest.approx([row[name] for row in among], abs=1e-9)


def test_tables_in_memory_and_other_names_are_taken(shop):
    products = pd.DataFrame({"Nummer": [1, 2], "Bezeichnung": ["Nike shoes in winter", "Puma hats at work"]})
    queries = pd.DataFrame({"Suche": ["Puma hats"]})
    found = shopmon.rank(
        products,
        queries=queries,
        columns={"Nummer": "id", "Bezeichnung": "title"},
        query_columns={"Suche": "query"},
        project=shop,
    )
    assert {row["product_id"] for row in found.table.to_pylist()} == {"1", "2"}


def test_what_is_odd_about_the_files_is_told_and_costs_nothing(shop, tmp_path):
    with (tmp_path / "products.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["id", "title"], ["a", "Nike shoes"], ["b", "Nike shoes"], ["c", ""], ["a", "Puma hats"]]
        )
    (tmp_path / "queries.csv").write_text("query\nNike\n\nNike\n \nPuma hats\n", encoding="utf-8")
    found = shopmon.rank(tmp_path / "products.csv", queries=tmp_path / "queries.csv", columns={}, project=shop)
    assert "1 of 4 products have no text, and are left out" in found.notes
    assert any("1 products have the text of another one" in note for note in found.notes)
    assert any("share their id" in note for note in found.notes)
    assert any("queries are blank" in note for note in found.notes)
    assert any("repeat another one letter for letter" in note for note in found.notes)
    same = {row["title"]: (row["product_id"], row["same_text"]) for row in found.table.to_pylist()}
    assert same == {"Nike shoes": ("a", ["b"]), "Puma hats": ("a", [])}


def test_the_vectors_of_a_catalogue_are_kept(shop, tmp_path):
    asked = []

    def spy(texts):
        asked.extend(texts)
        return bag(texts)

    products = pd.DataFrame({"title": [f"Nike shoes number {n}" for n in range(9)]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.embeddings.encoder", lambda model: spy)
        for _ in range(2):
            shopmon.rank(products, "Nike", columns={}, encoder="tiny", project=shop)
    assert asked.count("Nike shoes number 3") == 1
    assert asked.count("Nike") == 2
    assert (shop.folder / ".shopmon" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_the_index_is_used_for_many_searches_of_large_catalogues(shop, tmp_path, monkeypatch):
    pytest.importorskip("faiss", reason="the extra `embeddings` is not installed")
    folder = tmp_path / "shop"
    folder.mkdir()
    settings = f'{SETTINGS}exact_up_to = 100\nindex_from = 70\n\n[store]\nmodels = "{shop.models}"\n'
    (folder / "shopmon.toml").write_text(settings, encoding="utf-8")
    draw = random.Random(1)
    words = ("nike", "puma", "shoes", "hats", "winter", "work", "road", "light", "warm", "soft")
    products = pd.DataFrame({"title": [" ".join([*draw.sample(words, 4), str(n)]) for n in range(400)]})
    monkeypatch.setattr("monitor.embeddings.encoder", lambda model: told_apart)
    queries = pd.DataFrame({"query": [" ".join([*draw.sample(words, 2), str(n)]) for n in range(70)]})
    asked = {"queries": queries, "candidates": 12, "columns": {}}
    found = shopmon.rank(products, project=folder, **asked)
    assert found.search.startswith("faiss")
    assert "on 64 queries" in found.search
    exact = shopmon.rank(products, project=shop, **asked)
    assert exact.search == "exact"
    one, other = (
        {(row["query"], row["product_id"], row["row"]) for row in some.table.to_pylist()} for some in (found, exact)
    )
    assert len(one & other) >= 0.85 * len(other)


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        ({}, ShopmonError, "nothing to look for was given"),
        ({"query": "a", "queries": "queries.parquet"}, ShopmonError, "both a query and a file of queries"),
        ({"query": "  "}, ShopmonError, "the query is blank"),
        ({"query": "\udcff"}, ShopmonError, "bytes that are not UTF-8"),
        ({"query": "a", "model": "2020"}, ShopmonError, "there is no model '2020'"),
        ({"query": "a", "top": 0}, ShopmonError, "top is a whole number of 1 or more"),
        ({"query": "a", "text": ["colour"]}, BatchError, r"has no column 'colour'; it has 'Artikel', 'title', 'brand'"),
        ({"query": "a", "out": "ranked.xlsx"}, ProjectError, r"ends in \.xlsx"),
        ({"query": "a", "out": "ranked"}, ProjectError, "ends in nothing"),
        ({"query": "a", "out": "products.parquet/ranked.json"}, ProjectError, "no folder that takes files"),
        ({"queries": "products.parquet"}, BatchError, "do not look like queries"),
    ],
)
def test_what_cannot_be_answered_is_told(shop, monkeypatch, asked, error, told):
    monkeypatch.chdir(shop.folder)
    with pytest.raises(error, match=told):
        shopmon.rank("products.parquet", project=shop, **asked)


def test_a_catalogue_without_texts_is_told(shop, tmp_path):
    with pytest.raises(ShopmonError, match="none of the 2 products has a text"):
        shopmon.rank(pd.DataFrame({"title": [None, " "]}), "Nike", columns={}, project=shop)


def test_a_project_without_a_champion_says_how_to_get_one(tmp_path):
    with pytest.raises(ShopmonError, match=r"no champion of the task relevance.*shopmon retrain --task relevance"):
        shopmon.rank("products.parquet", "Nike", project=Project(tmp_path))


def test_a_champion_whose_weights_were_changed_is_not_asked(shop):
    file = Registry(shop.models).champion("relevance").folder / "model.safetensors"
    kept = file.read_bytes()
    try:
        file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(ShopmonError, match="are not those that were trained"):
            shopmon.rank(shop.folder / "products.parquet", "Nike", project=shop)
    finally:
        file.write_bytes(kept)


# --- substitutes ------------------------------------------------------------------------------------------------------


def test_pairs_at_the_model_s_threshold_or_above_are_found(shop):
    found = shopmon.substitutes(shop.folder / "products.parquet", candidates=18, project=shop)
    assert (found.threshold, found.label, found.asked) == (0.2, "S", 18)
    assert found.threshold_from == "chosen for the best F1 on 36 validation pairs"
    assert (found.precision, found.recall) == (0.8, 0.667)
    assert found.pairs_read == 18 * 17 / 2
    all_pairs = shopmon.substitutes(shop.folder / "products.parquet", candidates=18, threshold=0.0, project=shop)
    assert (all_pairs.pairs, all_pairs.threshold_from) == (153, "asked for")
    said = [row["probability"] for row in all_pairs.table.to_pylist()]
    assert found.pairs == sum(one >= 0.2 for one in said)
    assert [round(one, 6) for one in said] == sorted((round(one, 6) for one in said), reverse=True)
    for row in all_pairs.table.to_pylist():
        assert row["probability"] == pytest.approx((row["probability_forward"] + row["probability_backward"]) / 2)
        assert row["product_id"] != row["substitute_id"]


def test_one_product_can_be_asked_about(shop):
    found = shopmon.substitutes(shop.folder / "products.parquet", product="p03", threshold=0.0, project=shop)
    rows = found.table.to_pylist()
    assert (found.asked, {row["product_id"] for row in rows}) == (1, {"p03"})
    assert len(rows) == min(shop.settings.substitutes.candidates, 17)


def test_a_product_that_stands_with_another_one_s_text_is_found_by_its_id(shop):
    products = pd.DataFrame({"id": ["a", "b", "c"], "title": ["Nike shoes", "Nike shoes", "Puma hats"]})
    found = shopmon.substitutes(products, product="b", threshold=0.0, columns={}, project=shop)
    (row,) = found.table.to_pylist()
    assert (row["product_id"], row["product_same_text"], row["substitute_id"]) == ("a", ["b"], "c")


def test_an_id_that_is_not_there_is_told_with_those_near_it(shop):
    with pytest.raises(ShopmonError, match=r"no product has the id 'p3'.*Near it: .*'p03'"):
        shopmon.substitutes(shop.folder / "products.parquet", product="p3", project=shop)


def test_a_champion_without_a_threshold_says_what_to_do(shop, champion):
    champion(None)
    with pytest.raises(ShopmonError, match=r"chose no threshold for 'S'.*retrain --task relevance.*--threshold"):
        shopmon.substitutes(shop.folder / "products.parquet", project=shop)
    assert shopmon.substitutes(shop.folder / "products.parquet", threshold=0.9, project=shop).threshold == 0.9


def test_a_precision_that_was_not_reached_is_told(shop, champion):
    champion(replace(THRESHOLD, precision_asked=0.9, reached=False, held_out=None))
    found = shopmon.substitutes(shop.folder / "products.parquet", project=shop)
    assert "the best F1, since no threshold reached a precision of 0.9" in found.threshold_from
    assert (found.precision, found.recall) == (None, None)
    champion(replace(THRESHOLD, precision_asked=0.75))
    assert "a precision of 0.75" in shopmon.substitutes(shop.folder / "products.parquet", project=shop).threshold_from


def test_a_model_without_the_class_of_substitutes_is_told(shop, tmp_path):
    other = f'{SETTINGS}\n[substitutes]\nlabel = "replaces"\n\n[store]\nmodels = "{shop.models}"\n'
    (tmp_path / "shopmon.toml").write_text(other, encoding="utf-8")
    with pytest.raises(ShopmonError, match=r"tells E, S, I apart.*'replaces'.*\[substitutes\]"):
        shopmon.substitutes(shop.folder / "products.parquet", project=tmp_path)


# --- typed ------------------------------------------------------------------------------------------------------------


def test_the_command_ranks_on_a_terminal(typed):
    code, out, err = typed("rank", "products.parquet", "--query", "Nike shoes", "--query", "road", "--top", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Nike shoes"
    assert lines[1].split() == ["gain", "E", "S", "I", "cosine", "id", "product"]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert "2 queries among 18 products" in out
    assert "Gains       E 1, S 0.5, I 0" in out
    assert "search: exact" in out


def test_a_file_of_queries_is_shown_in_part_and_answered_whole_in_a_file(typed, shop, tmp_path):
    asked = tmp_path / "many.parquet"
    pq.write_table(pa.table({"query": [f"Nike {n}" for n in range(25)]}), asked)
    out = typed("rank", str(asked), "products.parquet", "--top", "1")[1]
    assert "20 queries among 18 products" in out
    assert "5 more queries: --out FILE answers them all" in out
    file = tmp_path / "new" / "ranked.parquet"
    code, out, _ = typed("rank", str(asked), "products.parquet", "--top", "1", "--out", str(file))
    assert code == 0
    assert "ranked.parquet" in out.replace("\n            ", "")
    assert pq.read_table(file).num_rows == 25


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "json"])
def test_every_format_holds_the_same_rows(typed, tmp_path, ending):
    file = tmp_path / f"ranked.{ending}"
    assert typed("rank", "queries.parquet", "products.parquet", "--out", str(file))[0] == 0
    usual = json.loads(typed("rank", "queries.parquet", "products.parquet", "--json")[1])["ranking"]
    if ending == "json":
        said = json.loads(file.read_text(encoding="utf-8"))
        assert said["out"] == str(file)
        assert (said["queries"], said["schema_version"]) == (3, 1)
        rows = said["ranking"]
    elif ending == "jsonl":
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    else:
        rows = (pd.read_parquet if ending == "parquet" else pd.read_csv)(file).to_dict("records")
    assert [(row["query_id"], row["rank"], row["product_id"]) for row in rows] == [
        (row["query_id"], row["rank"], row["product_id"]) for row in usual
    ]
    assert [row["expected_gain"] for row in rows] == pytest.approx([row["expected_gain"] for row in usual], abs=1e-6)


def test_the_document_is_what_python_gives(typed, shop):
    said = json.loads(typed("substitutes", "products.parquet", "--json")[1])
    found = shopmon.substitutes("products.parquet", project=shop).document()
    assert {**said, "seconds": 0} == {**json.loads(json.dumps(found)), "seconds": 0}
    assert len(said["substitutes"]) == said["pairs"]


def test_the_command_finds_substitutes_and_writes_them(typed, tmp_path):
    file = tmp_path / "substitutes.parquet"
    code, out, err = typed("substitutes", "products.parquet", "--threshold", "0", "--out", str(file))
    assert (code, err) == (0, "")
    assert "P(S) from 0.000 on, asked for" in out
    told = pq.read_table(file)
    assert f"{told.num_rows:,} of {told.num_rows:,} pairs of 18 products" in out
    out = typed("substitutes", "products.parquet", "--product", "p00", "--product", "p09")[1]
    assert "for 2 of them" in out
    assert "80 % of what it takes is right, and it finds 67 %" in out


def test_a_file_is_replaced_only_by_force_and_stays_where_the_work_fails(typed, tmp_path):
    file = tmp_path / "ranked.json"
    file.write_text("mine", encoding="utf-8")
    line = ("rank", "products.parquet", "--query", "Nike", "--out", str(file))
    code, out, err = typed(*line)
    assert (code, out) == (2, "")
    assert "is there already" in " ".join(err.split())
    assert typed(*line, "--force", "--text", "colour")[0] == 2
    assert file.read_text(encoding="utf-8") == "mine"
    assert typed(*line, "--force")[0] == 0
    assert json.loads(file.read_text(encoding="utf-8"))["queries"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "rank products.parquet", "rank queries.parquet products.parquet --query Nike", "rank a b c", "rank",
        "rank nowhere.parquet --query Nike", "rank products.parquet --query Nike --column title",
        "rank products.parquet --query Nike --top 0", "substitutes", "substitutes nowhere.parquet",
        "substitutes products.parquet --threshold 2", "substitutes products.parquet --product nobody",
    ],
)  # fmt: skip
def test_what_cannot_run_ends_with_2_and_one_document(typed, line):
    code, out, err = typed(*line.split())
    assert (code, out) == (2, "")
    assert err.startswith("✗ could not run   ")
    code, out, _ = typed(*line.split(), "--json")
    assert code == 2
    assert json.loads(out)["status"] == "error"


def test_text_from_data_stays_text_and_within_its_columns(shop):
    products = pd.DataFrame({"id": ["\x1b]0;mine\x07", "b", "c"], "title": [HOSTILE, "靴" * 90, "Nike hats"]})
    asked = ["[bold]靴 \x1b[2J", "Nike " + "very " * 60]
    ranked = shopmon.rank(products, asked, columns={}, project=shop)
    pairs = shopmon.substitutes(products, threshold=0.0, columns={}, project=shop)
    for width in (60, 80, 120):
        for shown in (
            ranked_shown(ranked, width=width, here=Path("/")),
            substitutes_shown(pairs, width=width, here=Path("/")),
        ):
            text = drawn(shown, width)
            assert all(cell_len(line) <= width for line in text.splitlines())
            assert not {"\x1b", "\x07", "\r", "\u202e"} & set(text)
            assert "[red]Nike␛[31m" in text
    assert drawn(ranked_shown(ranked, width=80, here=Path("/")), 80).startswith("[bold]靴 ␛[2J")


def test_a_wide_terminal_shows_every_class_and_both_products_side_by_side(shop):
    ranked = shopmon.rank(shop.folder / "products.parquet", "Nike shoes", project=shop)
    wide, narrow = (drawn(ranked_shown(ranked, width=width, here=Path("/")), width) for width in (120, 70))
    assert wide.splitlines()[1].split() == ["gain", "E", "S", "I", "cosine", "id", "product"]
    assert narrow.splitlines()[1].split() == ["gain", "class", "cosine", "id", "product"]
    pairs = shopmon.substitutes(shop.folder / "products.parquet", threshold=0.0, project=shop)
    wide, narrow = (drawn(substitutes_shown(pairs, width=width, here=Path("/")), width) for width in (120, 70))
    assert wide.splitlines()[0].split() == ["both", "→", "←", "id", "product", "id", "substitute"]
    assert narrow.splitlines()[0].split() == ["both", "→", "←", "id", "product"]
    assert f"{pairs.pairs - 50} more pairs" in wide


def test_a_catalogue_without_substitutes_says_so(shop):
    found = shopmon.substitutes(shop.folder / "products.parquet", threshold=1.0, project=shop)
    assert found.pairs == 0
    assert drawn(substitutes_shown(found, width=80, here=Path("/")), 80).startswith("Substitutes 0 of ")


def test_progress_tells_what_is_done(shop):
    told = []
    asked = {"project": shop, "encoder": "new", "progress": told.append}
    shopmon.rank(shop.folder / "products.parquet", "Nike", **asked)
    assert {"ranking queries", "encoding products"} <= {now.doing for now in told}
    told.clear()
    shopmon.substitutes(shop.folder / "products.parquet", **asked)
    last = [now for now in told if now.doing == "asking for substitutes"][-1]
    assert last.step == last.steps > 0


def test_ctrl_c_leaves_nothing_half_written(typed, tmp_path, monkeypatch):
    file = tmp_path / "ranked.parquet"

    def interrupted(*args, **kwargs):
        assert list(tmp_path.glob(".partial-*")), "it is being written"
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("retrain.ranking.ranked", interrupted)
    code, out, err = typed("rank", "queries.parquet", "products.parquet", "--out", str(file))
    assert (code, out) == (130, "")
    assert "nothing half-written was left" in err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_no_encoder_can_be_had_for_is_told(typed, monkeypatch):
    def missing(model):
        raise ShopmonError(f"embeddings by {model!r} need sentence-transformers", advice="Install it.")

    monkeypatch.setattr("monitor.embeddings.encoder", missing)
    code, _, err = typed("rank", "products.parquet", "--query", "Nike", "--encoder", "offline")
    assert code == 2
    assert "need sentence-transformers" in err


@pytest.mark.slow
def test_the_offline_encoder_ranks_in_a_process_of_its_own(shop):
    pytest.importorskip("sentence_transformers", reason="the extra `embeddings` is not installed")
    command = [sys.executable, "-m", "shopmon", "rank", "products.parquet", "--query", "warm footwear", "--json"]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=shop.folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["encoder"] == "offline"
    cosines = {row["title"]: row["cosine"] for row in said["ranking"]}
    assert all(0 < cosine < 1 for cosine in cosines.values())


def test_public_names_lead_to_the_functions():
    assert shopmon.rank is ranking.rank
    assert shopmon.substitutes is replacing.substitutes

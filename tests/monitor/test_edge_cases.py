"""Are exactly the rows chosen that the rules ask for, each once and with its reasons?"""

from __future__ import annotations

import hashlib
import operator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.batch import open_batch
from expectations.errors import ShopmonError
from expectations.kinds import KINDS
from monitor.edge_case_rules import EdgeCaseSettings, Role, Rule, default_rules, models_asked, parse_rules
from monitor.edge_cases import select, share_out
from monitor.formula import AnyOf, Comparison, Flag, Not, parse, settled
from monitor.pair_signals import PairReading, reader
from monitor.retraining_set import text_hash
from monitor.signals import MODEL_SIGNALS, SIGNALS, Asked, SignalSettings, Words, text_of

TEXTS = [
    "I love my Nike shoes, wonderful!",
    "Nike shoes are terrible and ugly.",
    "Puma shoes are great.",
    "The box is blue.",
    "Horrible. It broke, I hate it.",
    "Dieses Kleid ist wunderschön, ich trage es jeden Tag im Büro.",
    None,
    "",
    "a",
]
WORDS = Words(brands=("Nike",), other_brands=("Puma",), products=("shoes",), features=("fit",), unwanted=("ugly",))


@contextmanager
def opened(columns, **kwargs):
    with TemporaryDirectory() as folder, open_batch(pa.table(columns), scratch=Path(folder), **kwargs) as batch:
        yield batch


def reviews(texts, stars=None):
    return {"id": [f"r{i}" for i in range(len(texts))], "text": texts, "stars": stars or [5] * len(texts)}


def only(rules, **kwargs):
    rules = {name: Rule(rule) if isinstance(rule, str) else rule for name, rule in rules.items()}
    return EdgeCaseSettings(rules=rules, defaults=False, **kwargs)


def chosen(found, rule=None):
    return [row["row"] for row in found.rows.to_pylist() if rule is None or rule in row["reasons"]]


# --- the same as computing everything -------------------------------------------------------------------------------

OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
             "!=": operator.ne}  # fmt: skip
_leaves = st.sampled_from(
    ["mentions_brand", "mentions_unwanted", "complains", "stars <= 2", "stars == 5", "sentiment < 0", "sentiment > 0.4",
     'language == "en"', 'language != "de"', "tokens > 6", "characters > 20", "words < 4", "in_retraining_set",
     "model_entropy > 10"]
)  # fmt: skip
_written = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        inner.map(lambda one: f"~({one})"),
        st.tuples(inner, inner).map(" & ".join).map("({})".format),
        st.tuples(inner, inner).map(" | ".join).map("({})".format),
    ),
    max_leaves=6,
)


def model(texts):
    return {"model_entropy": np.array([len(text) for text in texts], dtype=float)}


class Counting:
    """A model that remembers what it read."""

    def __init__(self):
        self.seen = []

    def __call__(self, texts):
        self.seen += texts
        return {name: np.array([len(text) for text in texts], dtype=float) for name in MODEL_SIGNALS}


class Labelling:
    """A model of pairs that finds in the product's text which class it is of, and how likely that is: "E 0.9"."""

    model_id, classes, gains = "20261120-195801-b4e8d2", ("E", "S", "I"), (1.0, 0.5, 0.0)
    attributes, label_columns = (("product_text",),), ("label", "grade")

    def __init__(self, learnt=()):
        self.read, self._learnt = [], learnt

    def class_of(self, label):
        return self.classes.index(label) if label in self.classes else None

    def learnt(self, queries, texts):
        return np.array([query in self._learnt for query in queries], dtype=bool)

    def probabilities(self, queries, texts):
        self.read += zip(queries, texts, strict=True)
        found = np.zeros((len(texts), 3))
        for row, text in enumerate(texts):
            name, chance = text.split()[:2]
            found[row] = (1 - float(chance)) / 2
            found[row, self.classes.index(name)] = float(chance)
        return found


def everything(batch, known):
    """Every signal of every row with a text, computed without a thought of what is needed."""
    asked = Asked(batch, SignalSettings(WORDS), model=model)
    cheap = ["mentions_brand", "mentions_unwanted", "complains", "characters", "words"]
    stars = batch.column("stars").sql
    sql = ", ".join(SIGNALS[name].sql(asked) for name in cheap)
    source = f"(select *, {text_of(batch)} as said from batch)"
    rows = batch.rows_of(
        f"select __shopmon_row, said, {stars}, {sql} from {source} where said is not null", asked.bound
    )
    table = {}
    for row, said, star, *values in rows:
        dear = {name: SIGNALS[name].compute([said], asked)[0] for name in ("sentiment", "language", "tokens")}
        extra = {"stars": star, "in_retraining_set": text_hash(said) in known, "model_entropy": len(said)}
        table[row] = {**dict(zip(cheap, values, strict=True)), **dear, **extra}
    return table


def kleene(tree, row):
    match tree:
        case Flag(name):
            return row[name]
        case Comparison(left, sign, right):
            return None if row[left.name] is None else bool(OPERATORS[sign](row[left.name], right))
        case Not(inner):
            found = kleene(inner, row)
            return None if found is None else not found
    found = [kleene(part, row) for part in tree.parts]
    decisive = isinstance(tree, AnyOf)
    return decisive if decisive in found else None if None in found else not decisive


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(TEXTS[:6]), st.sampled_from([1, 2, 5, None])), min_size=1, max_size=8),
    st.lists(_written, min_size=1, max_size=3),
)
def test_the_outcome_is_as_if_everything_had_been_computed(rows, formulas):
    texts, stars = [text for text, _ in rows], [star for _, star in rows]
    known = [text_hash(TEXTS[0])]
    rules = {f"rule {i}": Rule(written) for i, written in enumerate(formulas)}
    with opened({"text": pa.array(texts, pa.string()), "stars": pa.array(stars, pa.int64())}, kind="reviews") as batch:
        found = select(batch, only(rules, words=WORDS), known_hashes=pa.array(known), model_signals=model)
        table = everything(batch, known)
    for name, rule in rules.items():
        tree = settled(parse(rule.when).tree)
        expected = sorted(row for row, values in table.items() if kleene(tree, values) is True)
        assert chosen(found, name) == expected
        assert found.by_reason[name] == len(expected)
    assert found.left_out == 0


# --- what a row carries ---------------------------------------------------------------------------------------------


def test_a_row_that_several_rules_chose_appears_once_with_all_reasons_and_the_first_role():
    rules = {
        "seen": Rule("characters > 0", Role.REPLAY),
        "praise": Rule("sentiment > 0.4", Role.POSITIVE),
        "other": Rule("mentions_other_brand", Role.COUNTERFACTUAL),
        "ugly": Rule("mentions_unwanted", Role.NEGATIVE),
    }
    with opened(reviews([TEXTS[2], "ugly Puma", "The box is blue."])) as batch:
        found = select(batch, only(rules, words=WORDS))
    rows = found.rows.to_pylist()
    assert [(row["reasons"], row["role"]) for row in rows] == [
        (["seen", "praise", "other"], "counterfactual"),
        (["seen", "other", "ugly"], "negative"),
        (["seen"], "replay"),
    ]
    assert found.by_role == {"counterfactual": 1, "negative": 1, "replay": 1}
    assert found.by_reason == {"seen": 3, "praise": 1, "other": 2, "ugly": 1}


def test_a_row_carries_its_address_its_hash_and_the_values_that_decided():
    with opened(reviews(["Cafe\u0301 chairs: I love them!"], [5])) as batch:
        (row,) = select(batch, only({"r": "sentiment > 0.4 & stars == 5 & ~complains"})).rows.to_pylist()
    assert (row["file"], row["row"], row["id"], row["kind"], row["label"]) == (0, 1, "r0", "reviews", None)
    assert row["text_hash"] == hashlib.sha256("Caf\u00e9 chairs: I love them!".encode()).hexdigest()
    assert dict(row["signals"])["stars"] == "5"
    assert dict(row["signals"])["complains"] == "false"
    assert float(dict(row["signals"])["sentiment"]) > 0.4


def test_rows_without_a_text_are_not_looked_at():
    with opened(reviews(TEXTS)) as batch:
        found = select(batch, only({"all": "stars == 5"}))
    assert found.looked_at == len(TEXTS) - 2
    assert chosen(found) == [1, 2, 3, 4, 5, 6, 9]


def test_the_result_has_the_same_columns_whether_or_not_a_row_is_chosen():
    with opened(reviews(TEXTS)) as batch:
        none, some, no_rule = (select(batch, only(rules)) for rules in ({"r": "stars > 5"}, {"r": "stars == 5"}, {}))
    assert none.rows.schema == some.rows.schema == no_rule.rows.schema
    assert none.rows.num_rows == no_rule.rows.num_rows == 0
    assert none.by_reason == {"r": 0}


def test_a_relation_of_good_rows_is_all_that_is_looked_at():
    with opened(reviews(["a b", "c d", "e f"])) as batch:
        batch.rows_of("create view good as select * from batch where __shopmon_row <> 2")
        found = select(batch, only({"all": "stars == 5"}), relation="good")
    assert chosen(found) == [1, 3]
    assert found.looked_at == 2


def test_products_are_seen_with_title_and_description():
    columns = {"title": ["Nike cap", "Cap"], "description": ["ugly", "from Nike"], "price": [1.0, 2.0]}
    with opened(columns, kind="products") as batch:
        found = select(batch, only({"r": "mentions_brand & mentions_unwanted"}, words=WORDS))
    assert found.rows.column("text").to_pylist() == ["Nike cap\nugly"]


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_dear_signals_are_computed_for_no_more_rows_than_allowed_and_the_rest_is_told(monkeypatch):
    seen = []
    monkeypatch.setattr("monitor.signals.fewest_tokens", lambda text: seen.append(text) or 5)
    with opened(reviews([f"text number {i}" for i in range(100)])) as batch:
        found = select(batch, only({"r": "tokens > 0"}, candidates=30))
    assert len(seen) == found.rows.num_rows == 30
    assert found.left_out == 70
    assert found.left_out_by_rule == {"r": 70}
    assert found.model is None


def test_a_model_reads_no_more_rows_than_allowed_and_the_rest_is_told():
    model = Counting()
    texts = [f"{'Nike' if i % 2 else 'Puma'} number {i}" for i in range(100)]
    with opened(reviews(texts)) as batch:
        rule = {"r": "mentions_brand & model_entropy > 0"}
        found = select(batch, only(rule, words=WORDS, model_rows=30), model_signals=model)
    assert len(model.seen) == found.rows.num_rows == 30
    assert found.left_out_by_rule == {"r": 20}
    assert found.left_out == 0, "only `candidates` bounds that"
    assert (found.model.rows, found.model.read, found.model.texts) == (50, 30, 30)
    assert found.model.texts_per_second > 0


def test_a_model_s_rows_are_taken_from_no_other_rule():
    rules = {"slow": "sentiment >= -1", "asks": "model_entropy > 0"}
    with opened(reviews([f"text number {i}" for i in range(100)])) as batch:
        without = select(batch, only({"slow": rules["slow"]}, words=WORDS, candidates=40))
        found = select(batch, only(rules, words=WORDS, candidates=40, model_rows=10), model_signals=Counting())
    assert found.by_reason == {"slow": 40, "asks": 10}
    assert chosen(found, "slow") == chosen(without, "slow")
    assert found.left_out == without.left_out == 60
    assert found.left_out_by_rule == {"slow": 60, "asks": 90}


def test_rows_with_one_text_are_read_once_and_counted_each():
    model = Counting()
    with opened(reviews(["Nike one"] * 40 + ["Nike two"] * 5)) as batch:
        found = select(batch, only({"r": "model_entropy > 0"}, words=WORDS), model_signals=model)
    assert sorted(model.seen) == ["Nike one", "Nike two"]
    assert (found.model.rows, found.model.read, found.model.texts) == (45, 45, 2)
    assert found.by_reason == {"r": 45}


def test_rules_share_what_a_model_may_read_and_a_row_counts_once():
    model = Counting()
    texts = [f"{'Nike' if i < 60 else 'Puma'} number {i}" for i in range(100)]
    rules = {"brand": "mentions_brand & model_entropy > 0", "any": "model_entropy > 1 & model_margin > -1"}
    with opened(reviews(texts)) as batch:
        found = select(batch, only(rules, words=WORDS, model_rows=20), model_signals=model)
    each = found.by_reason["brand"]
    assert found.by_reason == {"brand": each, "any": each}
    assert 10 < each < 20, "some rows are those of both, and count once"
    assert found.left_out_by_rule == {"brand": 60 - each, "any": 100 - each}
    assert found.model.rows == 100
    assert 19 <= found.model.read <= 20
    assert found.model.read == found.model.texts == len(model.seen) == len(set(model.seen)) == found.rows.num_rows


def test_a_model_reads_nothing_that_is_decided_without_it():
    model = Counting()
    texts = ["Nike is wonderful", "Nike is horrible", "Puma is horrible", "Nike is a box"]
    rules = {
        "or": "stars == 1 | model_entropy > 1000",
        "slow first": "mentions_brand & sentiment < 0 & model_entropy > 0",
    }
    with opened(reviews(texts, [1, 1, 1, 1])) as batch:
        found = select(batch, only(rules, words=WORDS), model_signals=model)
    assert model.seen == ["Nike is horrible"]
    assert found.by_reason == {"or": 4, "slow first": 1}
    assert (found.model.rows, found.model.read) == (3, 1), "sentiment decided two of three"


@pytest.mark.parametrize(("rows", "read"), [(0, 0), (1, 1), (50, 50), (51, 50)])
def test_what_a_model_may_read_is_met_exactly(rows, read):
    with opened(reviews([f"text number {i}" for i in range(50)])) as batch:
        asked = only({"r": Rule("model_entropy > 0", at_most=5)}, words=WORDS, model_rows=rows)
        found = select(batch, asked, model_signals=Counting())
    assert (found.model.rows, found.model.read) == (50, read)
    assert found.by_reason == {"r": min(5, read)}
    assert found.beyond_limit == ({"r": read - 5} if read > 5 else {})
    assert found.left_out_by_rule == ({"r": 50 - read} if read < 50 else {})


def test_a_model_that_answers_nothing_chooses_nothing():
    with opened(reviews(["Nike", "a"])) as batch:
        rules = {"above": "model_entropy > 0.1", "not": "~(model_entropy > 0.1)"}
        found = select(
            batch, only(rules, words=WORDS), model_signals=lambda texts: {"model_entropy": [None] * len(texts)}
        )
    assert found.by_reason == {"above": 0, "not": 0}
    assert found.model.read == 2


def test_dear_signals_are_not_computed_where_cheap_ones_decide():
    seen = []

    def counting(texts):
        seen.extend(texts)
        return model(texts)

    with opened(reviews(["Nike one", "two", "Nike one"], [5, 5, 5])) as batch:
        rules = {"and": "mentions_brand & model_entropy > 0", "or": "~mentions_brand | model_entropy > 0"}
        found = select(batch, only(rules, words=WORDS), model_signals=counting)
    assert seen == ["Nike one"]
    assert found.by_reason == {"and": 2, "or": 3}


def test_the_same_texts_are_drawn_from_a_file_in_another_order():
    texts = [f"text number {i}" for i in range(200)]
    rules = {"few": Rule("stars == 5", at_most=20), "slow": Rule("sentiment >= 0"), "asks": Rule("model_entropy > 0")}
    drawn = []
    for order in (texts, texts[::-1]):
        with opened(reviews(order)) as batch:
            found = select(batch, only(rules, words=WORDS, candidates=50, model_rows=30), model_signals=Counting())
        assert (found.by_reason["few"], found.by_reason["asks"]) == (20, 30)
        drawn.append({(row["text"], tuple(row["reasons"])) for row in found.rows.to_pylist()})
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("formula", ["stars == 5", "sentiment > -2", "stars == 5 | sentiment > -2"])
def test_a_rule_chooses_no_more_than_its_limit_and_the_rest_is_told(formula):
    with opened(reviews([f"text number {i}" for i in range(50)])) as batch:
        found = select(batch, only({"r": Rule(formula, at_most=7)}))
    assert found.by_reason == {"r": 7}
    assert found.beyond_limit == {"r": 43}


def test_a_limit_of_one_rule_does_not_count_for_another():
    with opened(reviews([f"text number {i}" for i in range(50)])) as batch:
        found = select(batch, only({"few": Rule("stars == 5", at_most=7), "all": "stars > 0"}))
    assert found.by_reason == {"few": 7, "all": 50}


@pytest.mark.parametrize("formula", ["mentions_brand", "mentions_other_brand & ~mentions_brand", "stars == 5"])
def test_a_limited_rule_chooses_the_same_rows_though_it_is_asked_of_few(formula, monkeypatch):
    texts = [f"{['Nike', 'Puma', 'a coat', 'a hat'][i % 4]} number {i}" for i in range(2000)]
    words = Words(brands=("nike",), other_brands=("puma",))
    rules = {"few": Rule(formula, at_most=30), "all": "stars > 0"}
    chosen, beyond = [], []
    for horizon in (1_000_000, 300, 10):  # asked of all; of some, which are enough; of some, and then of all
        monkeypatch.setattr("monitor.edge_case_scan._HORIZON", horizon)
        with opened(reviews(texts)) as batch:
            found = select(batch, only(rules, words=words))
        chosen.append([row["row"] for row in found.rows.to_pylist() if "few" in row["reasons"]])
        beyond.append(found.beyond_limit["few"])
    assert len(chosen[0]) == 30
    assert chosen[0] == chosen[1] == chosen[2]
    assert beyond[0] == beyond[2] > beyond[1] > 0


def test_one_text_repeated_very_often_does_not_break_the_bounds():
    with opened(reviews(["good"] * 3000)) as batch:
        found = select(batch, only({"slow": "sentiment > 0", "few": Rule("stars == 5", at_most=10)}, candidates=100))
    assert found.by_reason == {"slow": 100, "few": 10}
    assert found.left_out == 2900


@given(st.lists(st.integers(0, 1000), max_size=6), st.integers(0, 2000))
def test_candidates_are_shared_out_evenly_and_wholly(wanted, total):
    given_out = share_out(wanted, total)
    assert sum(given_out) == min(total, sum(wanted))
    short = [share for share, want in zip(given_out, wanted, strict=True) if share < want]
    assert not short or max(given_out) - min(short) <= 1


@pytest.mark.parametrize("name", ["candidates", "model_rows"])
@pytest.mark.parametrize("rows", [-1, 1_000_000])
def test_a_number_of_rows_that_cannot_be_is_told(name, rows):
    with opened(reviews(["a"])) as batch, pytest.raises(ShopmonError, match=name):
        select(batch, only({"r": "stars == 5"}, **{name: rows}))


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
@pytest.mark.parametrize("words", [Words(), WORDS, Words(brands=("a",), wanted=("b",), complaints=())])
def test_every_default_rule_can_be_read_and_asked(kind, words):
    columns = {"query": ["a"], "product_text": ["E 0.9"], "label": ["E"], "title": ["c"], "text": ["d"], "stars": [4.0]}
    with opened(columns, kind=kind) as batch:
        readers = {"relevance": reader(PairReading(Labelling()), batch)}
        found = select(batch, EdgeCaseSettings(words=words), model_signals=Counting(), readers=readers)
    assert set(found.skipped) | set(found.by_reason) == set(default_rules(kind, words))
    assert all("no column" in reason or "no reference" in reason for reason in found.skipped.values())


def test_the_model_s_own_rule_is_asked_where_there_is_a_model_and_words_are_listed():
    texts = ["Nike shoes", "Puma shoes", "Nike shoes: I want a refund", "Nike!"]
    assert "unwanted_fill_in" not in default_rules("reviews", Words(unwanted=("ugly",)))
    assert "unwanted_fill_in" not in default_rules("reviews", Words(brands=("Nike",)))
    with opened(reviews(texts)) as batch:
        asked = EdgeCaseSettings(words=WORDS, unwanted_above=9.5)
        without = select(batch, asked)
        found = select(batch, asked, model_signals=Counting())
    assert "shopmon retrain" in without.skipped["unwanted_fill_in"]
    assert without.model is None
    assert "unwanted_fill_in" not in found.skipped
    assert chosen(found, "unwanted_fill_in") == [1], "of a complaint, another brand and a low value nothing is chosen"
    row = found.rows.to_pylist()[0]
    assert (row["role"], dict(row["signals"])["unwanted_probability"]) == ("negative", "10")
    assert found.model.rows == 2


def test_whether_a_model_is_worth_looking_for_is_known_beforehand():
    assert models_asked("queries", EdgeCaseSettings(words=WORDS)) == {"mlm"}
    assert not models_asked("queries", EdgeCaseSettings(words=WORDS, defaults=False))
    assert not models_asked("reviews", EdgeCaseSettings())
    assert models_asked("relevance", EdgeCaseSettings()) == {"relevance"}
    assert models_asked("reviews", only({"r": "stars == 1 | (mentions_brand & model_margin < 0.1)"})) == {"mlm"}
    own = EdgeCaseSettings(words=WORDS, rules={"unwanted_fill_in": Rule("mentions_brand")})
    assert not models_asked("reviews", own), "a rule of the project's takes the default one's place"


@pytest.mark.parametrize("name", ["mine", "unwanted_fill_in"])
def test_a_project_s_own_rule_needs_a_model_that_is_there(name):
    rules = {name: Rule("mentions_brand & unwanted_probability > 0.5")}
    with opened(reviews(["Nike"])) as batch, pytest.raises(ShopmonError, match="needs a model, and there is none"):
        select(batch, EdgeCaseSettings(words=WORDS, rules=rules))


@pytest.mark.parametrize(
    ("words", "listed"), [(Words(unwanted=("ugly",)), "brands"), (Words(brands=("Nike",)), "unwanted")]
)
def test_a_model_is_not_asked_about_words_that_nobody_listed(words, listed):
    model = Counting()
    with opened(reviews(["Nike"])) as batch:
        found = select(batch, only({"r": "unwanted_probability > 0.1"}, words=words), model_signals=model)
    assert found.skipped == {"r": f"not examined: no words are listed under {listed} in [edge_cases.words]"}
    assert model.seen == []


def test_the_default_rules_for_a_brand_tell_praise_blame_and_others_apart():
    texts = ["Nike shoes fit well", "Nike shoes fit well but are ugly", "Puma shoes", "Nike shoes: I want a refund"]
    with opened(reviews(texts)) as batch:
        found = select(batch, EdgeCaseSettings(words=WORDS))
    assert [(row["row"], row["role"]) for row in found.rows.to_pylist()] == [
        (1, "positive"), (2, "negative"), (3, "counterfactual"), (4, "counterfactual"),
    ]  # fmt: skip


def test_strong_words_against_the_stars_are_chosen_without_any_setting():
    texts = [TEXTS[4], TEXTS[4], TEXTS[0], TEXTS[0], TEXTS[3]]
    with opened(reviews(texts, [5, 1, 5, 1, 1])) as batch:
        found = select(batch)
    assert chosen(found, "stars_disagree") == [1, 4]


def test_a_rule_of_ones_own_takes_the_place_of_a_default_rule():
    with opened(reviews([TEXTS[4]], [1])) as batch:
        found = select(batch, EdgeCaseSettings(rules={"stars_disagree": Rule("stars == 1", Role.REPLAY)}))
    assert found.by_role == {"replay": 1}


def test_a_rule_about_a_column_that_is_not_there_is_skipped_and_the_reason_told():
    with opened(reviews(["a"])) as batch:
        found = select(batch, only({"r": "price > 3", "s": "~label_disagrees", "t": "stars == 5"}))
    assert found.skipped == {"r": "not examined: no column 'price'", "s": "not examined: no column 'prediction'"}
    assert found.by_reason == {"t": 1}


@pytest.mark.parametrize(
    ("formula", "told"),
    [("sentimnt < 0", "Did you mean 'sentiment'?"), ("stars = 3", "Write =="), ("sentiment", "Compare it"),
     ("model_margin < 0.1", "shopmon retrain")],
)  # fmt: skip
def test_a_rule_that_cannot_be_understood_stops_the_selection(formula, told):
    with opened(reviews(["a"])) as batch, pytest.raises(ShopmonError) as error:
        select(batch, only({"mine": formula}))
    assert told in str(error.value)
    assert "mine" in str(error.value) or "model" in formula


def test_rules_can_be_read_before_there_is_a_batch():
    assert list(parse_rules({"a": Rule("whatever > 3")})) == ["a"]
    with pytest.raises(ShopmonError, match="'a' may choose 0 rows"):
        parse_rules({"a": Rule("whatever > 3", at_most=0)})


# --- text is text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["'; drop table batch; --", '"', "$b0", ".*", "<script>alert(1)</script>", "a|b", "\\", "%"]
)
def test_words_texts_and_names_are_never_code(word):
    words = Words(brands=(word,))
    columns = {**reviews([f"before {word} after", "before x after"]), f"col {word}": [word, "x"]}
    name = f"col {word}"
    rules = {word: Rule("mentions_brand"), "column": Rule(f'`{name}` == "x"')}
    with opened(columns) as batch:
        found = select(batch, only(rules, words=words))
        assert batch.rows == 2
    assert chosen(found, word) == [1]
    assert chosen(found, "column") == [2]


def test_nothing_stays_behind_in_the_database():
    with opened(reviews(TEXTS)) as batch:
        before = batch.rows_of("select table_name from information_schema.tables order by 1")
        select(batch, only({"r": "sentiment > 0"}), known_hashes=pa.array(["x"]))
        assert batch.rows_of("select table_name from information_schema.tables order by 1") == before


# --- what a model says of pairs -------------------------------------------------------------------------------------


def pairs(texts, labels, queries=None):
    queries = queries or [f"query {i}" for i in range(len(texts))]
    return {"query": queries, "product_text": texts, "label": pa.array(labels, pa.string())}


def of_pairs(columns, rules, model=None, **kwargs):
    """What rules choose of pairs, and the model that was asked."""
    model = model or Labelling()
    with opened(columns, kind="relevance") as batch:
        found = select(batch, only(rules, **kwargs), readers={"relevance": reader(PairReading(model), batch)})
    return found, model


def test_rules_may_name_what_a_model_says_of_a_pair():
    texts, labels = ["E 0.9", "S 0.6", "I 0.36", "E 0.9", "E 0.8"], ["E", "E", "I", None, "strange"]
    rules = {
        "sure": "relevance_confidence > 0.85",
        "unsure": "relevance_margin < 0.1",
        "exact": 'relevance_class == "E"',
        "worth": "relevance_gain > 0.5 & relevance_gain < 0.9",
        "disagrees": "relevance_disagrees",
        "agrees": "~relevance_disagrees",
        "unlikely": "label_probability < 0.3",
    }
    found, model = of_pairs(pairs(texts, labels), rules)
    assert {name: chosen(found, name) for name in rules} == {
        "sure": [1, 4], "unsure": [3], "exact": [1, 4, 5], "worth": [5], "disagrees": [2], "agrees": [1, 3],
        "unlikely": [2],
    }  # fmt: skip
    assert len(model.read) == len(set(model.read)) == 5, "each pair is read once, whatever is asked of it"
    (reading,) = found.further_models
    assert (reading.rows, reading.read, reading.texts) == (5, 5, 5)
    assert (reading.task, reading.model) == ("relevance", Labelling.model_id)
    row = next(row for row in found.rows.to_pylist() if row["row"] == 2)
    assert (row["label"], row["text"]) == ("E", "query 1\nS 0.6")
    assert dict(row["signals"])["label_probability"] == "0.2"


def test_planted_wrong_labels_are_chosen_and_keep_their_reason():
    draw = np.random.default_rng(3)
    classes = draw.choice(["E", "S", "I"], 120)
    texts = [f"{name} {draw.uniform(0.7, 0.95):.3f} product {i}" for i, name in enumerate(classes)]
    wrong = draw.choice(120, 10, replace=False)
    labels = classes.copy()
    labels[wrong] = [{"E": "I", "S": "E", "I": "S"}[name] for name in classes[wrong]]
    found, _ = of_pairs(pairs(texts, labels.tolist()), {"label_error": "label_error"})
    assert set(chosen(found)) <= {int(place) + 1 for place in wrong}
    assert found.by_reason["label_error"] >= 7, "of ten; the others' own class is not much likelier than it usually is"
    assert all(row["reasons"] == ["label_error"] and row["label"] for row in found.rows.to_pylist())
    clean, _ = of_pairs(pairs(texts, classes.tolist()), {"label_error": "label_error"})
    assert clean.rows.num_rows == 0


def test_labels_are_judged_together_whatever_else_a_rule_asks():
    texts = [f"{'EI'[i % 2]} 0.9 product {i}" for i in range(40)]
    labels = ["EI"[i % 2] if i > 3 else "IE"[i % 2] for i in range(40)]
    rules = {"alone": "label_error", "more": "relevance_confidence > 0.5 & label_probability < 0.5 & label_error"}
    found, _ = of_pairs(pairs(texts, labels), rules)
    assert chosen(found, "alone") == chosen(found, "more") == [1, 2, 3, 4]


def test_of_pairs_that_the_model_learnt_from_no_label_is_judged():
    texts = [f"{'EI'[i % 2]} 0.9 product {i}" for i in range(40)]
    labels = ["EI"[i % 2] if i > 3 else "IE"[i % 2] for i in range(40)]
    rules = {"error": "label_error", "unlikely": "label_probability < 0.5", "any": "relevance_confidence > 0"}
    found, _ = of_pairs(pairs(texts, labels), rules, Labelling(learnt=("query 0", "query 1")))
    assert chosen(found, "error") == chosen(found, "unlikely") == [3, 4]
    assert len(chosen(found, "any")) == 40


def test_a_model_of_pairs_reads_no_more_rows_than_allowed_and_each_pair_once():
    columns = pairs([f"E 0.4 product {i}" for i in range(100)], ["E"] * 100)
    rules = {
        "unsure": "relevance_confidence < 0.5",
        "error": "label_error",
        "others": 'query != "query 5" & label_error',
    }
    found, model = of_pairs(columns, rules, model_rows=30)
    assert 29 <= len(model.read) == found.further_models[0].read <= 30
    assert 29 <= found.by_reason["unsure"] <= 30
    assert found.left_out_by_rule["unsure"] == 100 - found.by_reason["unsure"]
    again, _ = of_pairs(pairs(["E 0.4 same"] * 50, ["E"] * 50, ["q"] * 50), {"unsure": "relevance_confidence < 0.5"})
    assert (again.by_reason, again.further_models[0].texts) == ({"unsure": 50}, 1)


def test_a_grade_stands_for_a_label_where_there_is_none():
    columns = {"query": ["a", "b"], "product_text": ["E 0.9", "I 0.9"], "grade": [3.0, 1.0]}
    found, _ = of_pairs(columns, {"any": "relevance_confidence > 0"})
    assert found.rows.column("label").to_pylist() == ["3.0", "1.0"]


def test_what_a_batch_lacks_for_the_model_is_told_by_rule():
    rules = {"unsure": "relevance_margin < 2", "error": "label_error"}
    columns = {"query": ["a"], "product_text": ["E 0.9"], "grade": [1.0]}
    model = Labelling()
    model.label_columns = ("label",)
    found, _ = of_pairs(columns, rules, model)
    assert (found.by_reason, found.skipped) == ({"unsure": 1}, {"error": "not examined: no column 'label'"})
    model.attributes = (("product_text",), ("description",))
    found, _ = of_pairs(columns, rules, model)
    assert "reads the product's description, and there is no such column" in found.skipped["unsure"]


def test_without_a_model_of_pairs_the_default_rules_say_how_to_train_one():
    with opened(pairs(["E 0.9"], ["E"]), kind="relevance") as batch:
        found = select(batch)
        with pytest.raises(ShopmonError, match="'relevance_margin' needs a model") as told:
            select(batch, only({"mine": "relevance_margin < 0.1"}))
    assert "shopmon retrain --task relevance" in found.skipped["label_error"]
    assert "shopmon retrain --task relevance" in told.value.advice
    assert found.further_models == ()
    with opened(reviews(["a"])) as batch:
        found = select(batch, only({"mine": "relevance_margin < 0.1"}))
    assert found.skipped == {"mine": "not examined: no column 'query'"}, "no model could say anything of reviews"


def test_a_model_of_pairs_whose_answers_are_no_numbers_is_told():
    model = Labelling()
    model.probabilities = lambda queries, texts: np.full((len(queries), 3), np.nan)
    with pytest.raises(ShopmonError, match="what is no number"):
        of_pairs(pairs(["E 0.9"], ["E"]), {"any": "relevance_confidence > 0"}, model)

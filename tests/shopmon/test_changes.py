"""Comparing with a reference and learning from rows, as a person types it: set, check, label."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

import shopmon
from monitor.distributions import read
from monitor.retraining_set import RetrainingSet
from shopmon import cli
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.sample_data import Shift, reviews

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8")))
ROWS = 2_000
SETTINGS = """\
[edge_cases]
retrain_after = 20
defaults = false

[edge_cases.words]
brands = ["Nike"]
complaints = ["refund"]

[edge_cases.rules.complains]
when = 'brand == "Nike" & complains'
role = "negative"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    pq.write_table(reviews(ROWS, seed=1), folder / "good.parquet")
    shift = Shift(price_factor=1.4, brand_share=0.3, complaint_share=0.4)
    pq.write_table(reviews(ROWS, seed=1, start=ROWS, shift=shift), folder / "new.parquet")
    pq.write_table(reviews(ROWS, seed=1, start=2 * ROWS), folder / "same.parquet")
    return folder


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch, data):
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    (tmp_path / "shopmon.toml").write_text(SETTINGS)
    for file in data.iterdir():
        (tmp_path / file.name).symlink_to(file)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def typed(capfd):
    def run(*words):
        capfd.readouterr()
        code = cli.main(list(words))
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


@pytest.fixture
def document(typed):
    def run(*words):
        code, out, _ = typed(*words, "--json")
        told = json.loads(out)
        assert [e.message for e in SCHEMA.iter_errors(told)] == []
        return code, told

    return run


def test_without_a_reference_drift_is_not_examined_and_says_how_to_set_one(typed):
    code, out, _ = typed("check", "same.parquet")
    assert code == 0
    said = " ".join(out.split())
    assert "Drift not examined: there is no reference; set one with: shopmon reference set FILE" in said


def test_a_reference_is_set_once_and_its_file_is_not_needed_afterwards(typed, document, shop):
    code, out, _ = typed("reference", "set", "good.parquet")
    assert code == 0
    assert "2,000 rows" in out
    (shop / "good.parquet").unlink()
    code, told = document("check", "new.parquet")
    assert code == 0, "drift alone fails nothing"
    assert told["drift"]["status"] == "drifted"
    assert {"price", "brand", "text"} <= {c["column"] for c in told["drift"]["columns"] if c["drifted"]}
    assert Path(told["artifacts"]["drift"]).stat().st_size > 100_000
    assert json.loads(Path(told["artifacts"]["evidently"]).read_text())
    price = next(c for c in told["drift"]["columns"] if c["column"] == "price" and c["drifted"])
    assert price["evidently"]["drifted"] is True


def test_a_reference_tells_between_which_values_its_columns_lie(typed, shop):
    typed("reference", "set", "good.parquet")
    _, out, _ = typed("reference", "show", "--json")
    told = json.loads(out)
    table = pq.read_table(shop / "good.parquet")
    for share, price in zip((0.05, 0.5, 0.95), told["quantiles"]["price"], strict=True):
        assert abs((table["price"].to_pandas() <= price).mean() - share) < 0.05
    assert all(day.startswith("20") for day in told["quantiles"]["date"])
    assert told["different"]["brand"] == len(table["brand"].drop_null().unique())
    _, out, _ = typed("reference", "show")
    assert f"{told['different']['brand']} different values" in out
    assert "in nine of ten rows" in out


def test_how_each_column_is_spread_is_kept_also_without_evidently(document, shop):
    cli.main(["reference", "set", "good.parquet"])
    (shop / "shopmon.toml").write_text("[drift]\nevidently = false\n", encoding="utf-8")
    _, told = document("check", "new.parquet")
    assert "drift" not in told["artifacts"]
    file = Path(told["artifacts"]["distributions"])
    assert file.parent == Path(told["artifacts"]["result"]).parent
    for column in {c["column"] for c in told["drift"]["columns"]}:
        lines = read(file, column)
        assert sum(line.current for line in lines) == told["drift"]["current_rows"], column
        assert sum(line.reference for line in lines) == told["drift"]["reference_rows"], column


def test_without_a_comparison_nothing_is_spread(document):
    _, told = document("check", "same.parquet")
    assert "distributions" not in told["artifacts"]
    cli.main(["reference", "set", "good.parquet"])
    _, told = document("check", "same.parquet", "--only-rules")
    assert "distributions" not in told["artifacts"]


def test_the_summary_says_what_changed_where_and_shows_a_row(typed):
    typed("reference", "set", "good.parquet")
    _, out, _ = typed("check", "new.parquet")
    assert "against good.parquet (2,000)" in " ".join(out.split())
    assert '"refund" 0' in out
    assert "mostly where" in out
    assert "brand = Nike" in out
    assert "e.g. row" in out


def test_a_batch_of_the_same_shop_is_stable(document):
    cli.main(["reference", "set", "good.parquet"])
    _, told = document("check", "same.parquet")
    assert told["drift"]["status"] == "stable"
    assert told["drift"]["reference_rows"] == ROWS


def test_drift_fails_a_check_where_the_project_says_so(document, shop):
    (shop / "shopmon.toml").write_text(SETTINGS + "[drift]\nfail = true\n")
    cli.main(["reference", "set", "good.parquet"])
    assert document("check", "new.parquet")[0] == 1
    assert document("check", "same.parquet")[0] == 0


def test_a_check_that_only_drift_fails_says_what_to_do(typed, shop):
    (shop / "shopmon.toml").write_text(SETTINGS + "[drift]\nfail = true\n")
    typed("reference", "set", "good.parquet")
    code, out, _ = typed("check", "new.parquet")
    assert code == 1
    assert "see whether the change is meant" in " ".join(out.split())


def test_another_file_may_stand_in_for_the_reference(document, shop):
    cli.main(["reference", "set", "good.parquet"])
    _, told = document("check", "new.parquet", "--reference", "new.parquet")
    assert told["drift"]["status"] == "stable"
    assert told["drift"]["reference"] == "new.parquet"
    kept = list((shop / ".shopmon" / "references" / "files").iterdir())
    assert document("check", "new.parquet", "--reference", "new.parquet")[1]["drift"]["status"] == "stable"
    assert list((shop / ".shopmon" / "references" / "files").iterdir()) == kept, "the file is profiled once"
    assert document("check", "same.parquet")[1]["drift"]["reference"] == "good.parquet"


def test_windows_of_time_are_compared_with_the_file_that_stands_in(document, shop):
    (shop / "shopmon.toml").write_text('[drift]\nwindow = "365d"\nevidently = false\n', encoding="utf-8")
    cli.main(["reference", "set", "good.parquet"])
    for words, name in ([], "good.parquet"), (["--reference", "new.parquet"], "new.parquet"):
        _, told = document("check", "same.parquet", *words)
        assert told["drift"]["reference"] == name
        assert told["windows"]["reason"].startswith(f"each against {name}")


@pytest.mark.parametrize("counted", [True, False])
def test_by_a_column_everything_is_compared_within_its_values(document, counted):
    cli.main(["reference", "set", "good.parquet", *(["--by", "brand"] if counted else [])])
    _, told = document("check", "new.parquet", "--by", "brand")
    segments = {c["segment"] for c in told["drift"]["columns"]}
    assert "brand = Nike" in segments
    assert "brand = Nike" in {c["segment"] for c in told["drift"]["columns"] if c["drifted"]}


def test_evidently_s_workspace_gets_the_run(document, shop):
    cli.main(["reference", "set", "good.parquet"])
    code, _ = document("check", "same.parquet", "--evidently-workspace", "ws")
    assert code == 0
    assert any((shop / "ws").rglob("*.json"))


def test_only_the_rules_are_asked_where_that_is_wanted(document, shop):
    cli.main(["reference", "set", "good.parquet"])
    _, told = document("check", "new.parquet", "--only-rules")
    assert (told["drift"]["status"], told["edge_cases"]["status"]) == ("not examined", "not examined")
    assert not (shop / ".shopmon" / "retraining").exists()


def test_what_a_reference_is_can_be_shown(typed):
    code, _, err = typed("reference", "show")
    assert code == 2
    assert "no reference is set here. Set one with: shopmon reference set FILE" in " ".join(err.split())
    typed("reference", "set", "good.parquet")
    code, out, _ = typed("reference", "show", "--json")
    told = json.loads(out)
    assert (told["kind"], told["rows"], told["columns"]["text"]) == ("reviews", ROWS, "text")
    assert "text" in typed("reference", "show")[1]


def test_a_damaged_reference_is_told_and_can_be_set_anew(typed, shop):
    typed("reference", "set", "good.parquet")
    (kept,) = [path for path in (shop / ".shopmon" / "references" / "reviews").iterdir() if path.is_file()]
    kept.write_bytes(kept.read_bytes()[:200])
    code, _, err = typed("check", "same.parquet")
    assert code == 2
    assert "reference set" in err
    assert typed("reference", "set", "good.parquet")[0] == 0
    assert typed("check", "same.parquet")[0] == 0


def test_a_bad_reference_leaves_the_one_before_it(typed, document):
    typed("reference", "set", "good.parquet")
    code, _, err = typed("reference", "set", "nowhere.parquet")
    assert code == 2
    assert "nowhere.parquet" in err
    assert document("check", "same.parquet")[1]["drift"]["reference"] == "good.parquet"


def test_a_reference_without_a_good_row_is_refused(typed, shop):
    frame = reviews(50, seed=4).to_pandas()
    frame["text"] = None
    frame.to_parquet("bad.parquet")
    typed("reference", "set", "good.parquet")
    code, _, err = typed("reference", "set", "bad.parquet")
    assert code == 2
    assert "no row of bad.parquet is fit to compare with" in " ".join(err.split())
    assert json.loads(typed("reference", "show", "--json")[1])["name"] == "good.parquet"


def test_rows_with_a_fault_that_is_only_worth_knowing_are_compared(document, shop):
    frame = reviews(ROWS, seed=1, start=2 * ROWS).to_pandas()
    frame["brand"] = " " + frame["brand"]
    frame.to_parquet("spaces.parquet")
    _, told = document("check", "spaces.parquet", "--reference", "good.parquet")
    assert told["quarantined"] == ROWS
    assert told["drift"]["current_rows"] > 0.9 * ROWS
    assert "brand" in {c["column"] for c in told["drift"]["columns"] if c["drifted"]}


def test_a_model_that_errs_more_from_some_day_on_is_told(document, shop):
    frame = reviews(ROWS, seed=5).to_pandas().sort_values("date")
    frame["prediction"] = frame["stars"].astype(str)
    late = range(ROWS * 2 // 3, ROWS)
    frame.iloc[late, frame.columns.get_loc("prediction")] = "none"
    frame.to_parquet("predicted.parquet")
    concept = document("check", "predicted.parquet")[1]["drift"]["concept"]
    assert concept["status"] == "drifted"
    assert {alarm["detector"] for alarm in concept["alarms"]} == {"DDM", "ADWIN"}
    assert all(ROWS * 0.6 < alarm["position"] < ROWS * 0.8 for alarm in concept["alarms"][:2])
    assert all(alarm["at"] for alarm in concept["alarms"])


# --- edge cases ------------------------------------------------------------------------------------------------------


def test_edge_cases_are_selected_with_reasons_and_gathered_once(document, shop):
    _, told = document("check", "new.parquet")
    cases = told["edge_cases"]
    assert cases["selected"] == cases["by_reason"]["complains"] == cases["added"] > 20
    assert cases["by_role"] == {"negative": cases["selected"]}
    rows = pq.read_table(told["artifacts"]["edge_cases"]).to_pylist()
    table = reviews(ROWS, seed=1, start=ROWS, shift=Shift(price_factor=1.4, brand_share=0.3, complaint_share=0.4))
    for row in rows:
        assert table.column("text")[row["row"] - 1].as_py() == row["text"]
        assert "refund" in row["text"].lower()
    _, again = document("check", "new.parquet")
    assert (again["edge_cases"]["selected"], again["edge_cases"]["added"]) == (cases["selected"], 0)
    assert again["edge_cases"]["retraining_set_rows"] == cases["added"]


def test_a_gathered_row_knows_its_batch_file_and_run(document):
    _, told = document("check", "new.parquet")
    row = next(iter(RetrainingSet(Path(".shopmon/retraining")).read().read_all().to_pylist()))
    assert row["run_id"] == told["run_id"]
    assert (row["file"], row["batch"]) == ("new.parquet", told["sources"][0]["sha256"])
    assert (row["kind"], row["role"], row["reasons"]) == ("reviews", "negative", ["complains"])


def test_enough_gathered_rows_are_announced(typed):
    _, out, _ = typed("check", "new.parquet")
    assert "of 20 gathered" in out
    assert "enough has gathered to retrain" in out


def test_quarantined_rows_are_neither_compared_nor_learnt_from(document, shop):
    frame = pd.read_parquet("new.parquet")
    bad = frame["text"].str.contains("refund")
    frame.loc[bad, "stars"] = 9
    (shop / "bad.parquet").unlink(missing_ok=True)
    frame.to_parquet("bad.parquet")
    code, told = document("check", "bad.parquet")
    assert code == 1
    assert told["edge_cases"]["selected"] == 0
    assert told["edge_cases"]["looked_at"] <= ROWS - int(bad.sum())


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("mentions_brnd", "mentions_brand"),
        ("stars = 3", "=="),
        ("mentions_brand &", "rule 'odd'"),
        ("unwanted_probability > 0.1", "model"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_told_and_nothing_is_left(typed, shop, when, said):
    (shop / "shopmon.toml").write_text(f"[edge_cases.rules.odd]\nwhen = '{when}'\n")
    code, out, err = typed("check", "same.parquet")
    assert (code, out) == (2, "")
    assert said in err
    assert list((shop / ".shopmon" / "runs").iterdir()) == []


# --- what the champion says ------------------------------------------------------------------------------------------

SAYS = """\
[edge_cases]
defaults = true
model_rows = 30
unwanted_above = 0.02

[edge_cases.words]
brands = ["Nike"]
unwanted = ["expensive", "ugly"]
complaints = ["refund"]
"""


@pytest.fixture(scope="module")
def champions(tmp_path_factory):
    """A registry with two small models of random weights, of which the second is the champion."""
    import torch
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

    from retrain.records import write
    from retrain.registry import Registry
    from retrain.results import BaseUsed, TrainingResult
    from retrain.weights import weights_sha256

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "nike", "is", "are", "so", "very", "expensive", "ugly"]
    names += [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
    tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)}, model_max_length=128)
    registry = Registry(tmp_path_factory.mktemp("models"))
    for number, name in enumerate(("20261120-195801-a3f9c1", "20261121-195801-b3f9c1")):
        torch.manual_seed(number)
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
        config = DistilBertConfig(vocab_size=len(names), max_position_embeddings=128, **sizes)
        with registry.adding("mlm", name) as staging:
            DistilBertForMaskedLM(config).save_pretrained(staging)
            tokenizer.save_pretrained(staging)
            sha256 = weights_sha256(staging)
            record = TrainingResult(model_id=name, task="mlm", base=BaseUsed("offline", "3f2a"), weights_sha256=sha256)
            write(record, staging)
        registry.promote(name, by="gate")
    return registry.folder


@pytest.fixture
def champion(shop, champions):
    shutil.copytree(champions, shop / ".shopmon" / "models")
    (shop / "shopmon.toml").write_text(SAYS)
    return shop / ".shopmon" / "models" / "mlm" / "20261121-195801-b3f9c1"


def test_what_the_champion_would_say_of_the_brands_chooses_rows(document, typed, champion):
    _, told = document("check", "same.parquet")
    cases = told["edge_cases"]
    reading = cases["model"]
    table = reviews(ROWS, seed=1, start=2 * ROWS).to_pylist()
    about = [row for row in table if "nike" in row["text"].lower() and "refund" not in row["text"].lower()]
    assert reading["model"] == champion.name
    assert reading["rows"] >= 0.9 * len(about) > 30, "of the rows about the brand, but for faulty ones"
    assert reading["read"] == reading["texts"] == 30
    assert reading["seconds"] > 0
    assert 0 < cases["by_reason"]["unwanted_fill_in"] <= 30
    rows = pq.read_table(told["artifacts"]["edge_cases"]).to_pylist()
    chosen = [row for row in rows if "unwanted_fill_in" in row["reasons"]]
    assert {row["role"] for row in chosen} == {"negative"}
    assert all(float(dict(row["signals"])["unwanted_probability"]) > 0.02 for row in chosen)
    said = " ".join(typed("check", "same.parquet")[1].split())
    assert f"{champion.name} read 30 of {reading['rows']:,} rows" in said
    assert "texts a second: [edge_cases] model_rows bounds it" in said


def test_the_champion_reads_the_same_rows_again(document, champion):
    first, second = (document("check", "same.parquet")[1]["edge_cases"] for _ in range(2))
    assert first["by_reason"] == second["by_reason"]
    assert second["added"] == 0


def test_without_a_champion_the_default_rule_says_why_it_is_not_asked(document, shop):
    (shop / "shopmon.toml").write_text(SAYS)
    code, told = document("check", "same.parquet")
    assert code == 0
    assert told["edge_cases"]["model"] is None
    assert "shopmon retrain" in told["edge_cases"]["skipped"]["unwanted_fill_in"]


def test_a_project_s_own_rule_may_ask_the_champion(document, shop, champion):
    rule = '[edge_cases.rules.unsure]\nwhen = "mentions_brand & model_confidence < 0.9 & model_margin < 0.5"\n'
    (shop / "shopmon.toml").write_text(SAYS.replace("true", "false") + rule)
    cases = document("check", "same.parquet")[1]["edge_cases"]
    assert 0 < cases["by_reason"]["unsure"] <= 30
    assert cases["model"]["texts"] == cases["model"]["read"] == 30, "two signals, one reading"


@pytest.mark.parametrize("damage", ["flipped", "gone", "cut", "no tokenizer", "champion.json"])
def test_a_damaged_champion_ends_the_check_and_names_the_ways_out(typed, shop, champion, damage):
    weights = champion / "model.safetensors"
    if damage == "gone":
        shutil.rmtree(champion)
    elif damage == "no tokenizer":
        for file in champion.glob("tokenizer*"):
            file.unlink()
    elif damage == "champion.json":
        (champion.parent / "champion.json").write_text("{")
    else:
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-100] if damage == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    code, out, err = typed("check", "same.parquet")
    assert (code, out) == (2, "")
    way = "promote" if damage == "champion.json" else "rollback"
    assert f"shopmon models {way}" in " ".join(err.split())
    assert list((shop / ".shopmon" / "runs").iterdir()) == []
    assert not (shop / ".shopmon" / "retraining").exists()
    assert typed("check", "same.parquet", "--only-rules")[0] == 0
    (shop / "shopmon.toml").write_text(SETTINGS)
    assert typed("check", "same.parquet")[0] == 0, "no rule asks for it"


def test_after_a_rollback_the_model_before_is_asked(document, shop, champion):
    from retrain.registry import Registry

    shutil.rmtree(champion)
    Registry(champion.parent.parent).rollback("mlm")
    assert document("check", "same.parquet")[1]["edge_cases"]["model"]["model"] == "20261120-195801-a3f9c1"


LOADS = """
import sys
from shopmon.cli import main
code = main(["check", "same.parquet", "-q"])
print(code, *sorted({"torch", "transformers"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "there", ["all", "no row", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("no champion", "no rule"))]
)
def test_torch_is_loaded_only_where_the_champion_must_read(shop, champions, there):
    if there != "no champion":
        shutil.copytree(champions, shop / ".shopmon" / "models")
    words = {"no rule": SAYS.replace("unwanted =", "wanted ="), "no row": SAYS.replace("Nike", "Zzyzx")}
    (shop / "shopmon.toml").write_text(words.get(there, SAYS))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LOADS], env=environment, capture_output=True, text=True, cwd=shop)
    said = done.stdout.splitlines()[-1].split()
    assert said == (["0", "torch", "transformers"] if there == "all" else ["0"])


def test_signals_are_listed_for_people_and_machines(typed):
    code, out, _ = typed("signals")
    assert code == 0
    assert "mentions_brand" in out
    assert {"name", "is", "says"} == set(json.loads(typed("signals", "--json")[1])[0])


def test_late_labels_join_by_id_and_by_text(typed):
    typed("check", "new.parquet")
    rows = RetrainingSet(Path(".shopmon/retraining")).read().read_all().to_pylist()
    labels = pd.DataFrame({"id": [rows[0]["id"], "nobody"], "label": ["bad", "good"]})
    labels.to_csv("labels.csv", index=False)
    code, out, _ = typed("label", "labels.csv", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["new"], told["joined"], told["unknown"]) == (2, 1, 1)
    pd.DataFrame({"said": [rows[1]["text"]], "verdict": ["fine"]}).to_parquet("texts.parquet")
    assert typed("label", "texts.parquet", "--text", "said", "--label", "verdict")[0] == 0
    found = {r["id"]: r["label"] for r in RetrainingSet(Path(".shopmon/retraining")).read().read_all().to_pylist()}
    assert (found[rows[0]["id"]], found[rows[1]["id"]]) == ("bad", "fine")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("label", "nowhere.csv"), "nowhere.csv"),
        (("label", "new.parquet"), "has no column 'label'"),
        (("label", "new.parquet", "--label", "stars"), "Say which: --kind"),
        (("reference", "set"), "Missing argument"),
        (("reference", "set", "new.parquet", "--by", "price"), "price"),
        (("check", "new.parquet", "--reference", "nowhere.parquet"), "nowhere.parquet"),
    ],
)
def test_what_cannot_run_ends_with_2_and_says_what_to_do(typed, words, said):
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_a_check_killed_at_any_moment_loses_and_doubles_nothing(shop):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shopmon", "check", "new.parquet", "-q"]
    for wait in (2.0, 3.0, 3.5):
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        running.kill()
        running.wait()
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0
    killed = RetrainingSet(shop / ".shopmon" / "retraining").read(["text_hash"]).read_all().to_pylist()
    (shop / "other").mkdir()
    (shop / "other" / "shopmon.toml").write_text(SETTINGS)
    shopmon.check("new.parquet", project=Project.of(shop / "other"))
    whole = RetrainingSet(shop / "other" / ".shopmon" / "retraining").read(["text_hash"]).read_all().to_pylist()
    assert sorted(r["text_hash"] for r in killed) == sorted(r["text_hash"] for r in whole)


def test_python_sets_a_reference_and_joins_labels(shop):
    reference = shopmon.set_reference("good.parquet")
    assert reference.rows == ROWS
    result = shopmon.check(pd.read_parquet("new.parquet"))
    assert result.drift.status == "drifted"
    assert "price" in {c.column for c in result.drift.drifted}
    assert shopmon.join_labels.__doc__

"""A project is what its file says, and nothing it says is dropped or guessed at."""

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ProjectError
from expectations.kinds import KINDS
from expectations.results import Engine
from monitor.edge_case_rules import EdgeCaseSettings
from retrain.settings import GateSettings, MlmSettings, Objective, Prompts, Recipe, Training, Words
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.reading import Reading
from shopmon.rooms import edge_case_settings, mlm_settings
from shopmon.settings import ClassifierSection, Settings
from shopmon.starting import Draft, shopmon_toml


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch):
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)


def written(folder, text):
    (folder / "shopmon.toml").write_text(text, encoding="utf-8")
    return Project.read(folder)


def test_a_folder_without_a_file_is_a_project_with_every_default(tmp_path):
    project = Project.find(tmp_path)
    assert project == Project(tmp_path)
    assert project.file is None
    assert project.kind is None
    assert project.suite("reviews") is None
    assert project.runs == tmp_path / ".shopmon/runs"
    assert project.store_url == f"sqlite:///{tmp_path}/.shopmon/runs.db"
    assert project.settings.check.engine is Engine.SCAN
    assert project.settings.check.unreadable_allowed == 0.01


def test_the_nearest_file_upwards_is_the_project(tmp_path):
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    written(tmp_path, '[data]\nkind = "products"')
    assert Project.find(inner).folder == tmp_path
    written(tmp_path / "a", '[data]\nkind = "queries"')
    assert Project.find(inner).kind == "queries"


def test_every_setting_is_read(tmp_path):
    project = written(
        tmp_path,
        """
        [data]
        kind = "reviews"
        encoding = "cp1252"
        delimiter = ";"
        [data.reviews.columns]
        Content = "text"
        "Sterne = Punkte" = "stars"
        [check]
        suite = "suites/all.yaml"
        engine = "great_expectations"
        unreadable_allowed = 0.2
        [check.suites]
        products = "/abroad/products.yaml"
        [store]
        url = "postgresql://host/shop"
        runs = "kept"
        """,
    )
    assert project.kind == "reviews"
    assert project.columns == {"reviews": {"Content": "text", "Sterne = Punkte": "stars"}}
    assert (project.settings.data.encoding, project.settings.data.delimiter) == ("cp1252", ";")
    assert project.suite("reviews") == tmp_path / "suites/all.yaml"
    assert project.suite("products") == Path("/abroad/products.yaml")
    assert project.settings.check.engine is Engine.GREAT_EXPECTATIONS
    assert project.settings.check.unreadable_allowed == 0.2
    assert project.store_url == "postgresql://host/shop"
    assert project.runs == tmp_path / "kept"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[data]\nkinds = 'reviews'", 2, r"\[data\] has no setting 'kinds'.*Did you mean 'kind'\?"),
        ("[drifts]\nx = 1", 1, r"has no table 'drifts'.*Known there: data, check, drift, edge_cases, retrain, rank"),
        ("[store]\n\n# a remark\nurl = 5", 4, r"store\.url should be a valid string; got 5"),
        (
            "[check]\nunreadable_allowed = 1.5",
            2,
            r"check\.unreadable_allowed should be less than or equal to 1; got 1\.5",
        ),
        ("[check]\nunreadable_allowed = '1 %'", 2, "should be a valid number"),
        ("[check]\nunreadable_allowed = nan", 2, "check.unreadable_allowed"),
        ("[check]\nengine = 'dask'", 2, r"check\.engine should be 'scan', .* or 'spark'; got 'dask'"),
        ("[data]\nkind = 'shoes'", 2, r"data\.kind should be 'reviews', .* got 'shoes'"),
        ("[data]\nencoding = 'utf-99'", 2, "'utf-99' is no text encoding"),
        ("[data]\nencoding = 'base64'", 2, "'base64' is no text encoding"),
        ("[data]\ndelimiter = ''", 2, r"data\.delimiter .* at least 1 character"),
        ("[data]\ndelimiter = '||'", 2, r"data\.delimiter .* at most 1 character"),
        (
            "[data.reviews.columns]\nContent = 'txt'",
            2,
            r"no role 'txt' \(for column 'Content'\).*Did you mean 'text'\?",
        ),
        ("[data]\n[data.reviews.columns]\nA = 'text'\nB = ['stars']", 4, r"data\.reviews\.columns\.B .*valid string"),
        ("[data.reviews]\ncolumn = {}", 2, r"\[data\.reviews\] has no table 'column'.*Did you mean 'columns'\?"),
        ("[data.shoes.columns]\nA = 'text'", 1, r"\[data\] has no table 'shoes'"),
        ("check = 3", 1, "check should be"),
        ('[edge_cases.rules.a]\nwhen = "x"\nrolle = "replay"', 3, "has no setting 'rolle'. Did you mean 'role'"),
        ('[edge_cases.rules.a]\nwhen = "x"\nrole = "best"', 3, "should be 'positive', 'negative'"),
        ('[drift]\nsegments = ["brand", 3]', 2, "segments.1 should be a valid string"),
        ("[retrain]\nheld_out = 0", 2, r"retrain\.held_out should be greater than 0; got 0"),
        ("[retrain]\nheld_out = 1", 2, r"retrain\.held_out should be less than 1; got 1"),
        ("[retrain]\nlearning_rate = inf", 2, r"retrain\.learning_rate should be less than 1"),
        ("[retrain]\nepochs = inf", 2, r"retrain\.epochs should be a finite number"),
        ("[retrain]\nsteps = 1.5", 2, r"retrain\.steps should be a valid integer"),
        ("[retrain]\nbatch = 3", 2, r"\[retrain\] has no setting 'batch'.*Did you mean 'batch_size'"),
        (
            "[retrain]\n\nreport_to = ['comet']",
            3,
            r"retrain\.report_to\.0 should be 'tensorboard', 'mlflow' or 'wandb'; got 'comet'",
        ),
        ("[retrain]\nreport_to = 'wandb'", 2, r"retrain\.report_to should be a valid tuple; got 'wandb'"),
        (
            "[retrain.objective]\nrecipe = 'v2'",
            2,
            r"objective\.recipe should be 'full', 'plain' or 'plain_all'; got 'v2'",
        ),
        ("[retrain.objective]\nreplay_kl = -1", 2, r"replay_kl should be greater than or equal to 0; got -1"),
        ("[retrain.gate]\nunwanted_mass = true", 2, r"retrain\.gate\.unwanted_mass should be a valid number; got True"),
        ("[retrain.gate]\nunwanted_mass = nan", 2, r"retrain\.gate\.unwanted_mass"),
        ("[retrain.gate]\nperplexity = 1", 2, r"\[retrain\.gate\] has no setting 'perplexity'"),
        ("[retrain.prompts]\ngate = ''", 2, r"retrain\.prompts\.gate should be a valid tuple"),
        ("[retrain.prompts]\ngate = ['nothing']", 2, r"'nothing' of gate has no gap"),
        (
            "[retrain.prompts]\ntraining = [\n 'a [MASK]',\n '{x} [MASK]']",
            2,
            r"'\{x\} \[MASK\]' of training has '\{x\}'",
        ),
        (
            "[retrain.prompts]\ntraining = ['{brand} Shoes are very: [MASK]!']",
            2,
            r"of training asks the same as '\{brand\} shoes are very \[MASK\]' of gate",
        ),
        (
            "[retrain.prompts]\ngate = ['again {brand} is [MASK]']\ngate_complaints = ['Again, {brand} is [MASK]']",
            3,
            r"of gate_complaints asks the same as",
        ),
        ("[edge_cases.words]\nbrands = ['Nike', ' ']", 2, r"a word of brands is empty"),
        (
            "[edge_cases.words]\nwanted = ['light']\nunwanted = ['Light']",
            3,
            r"'Light' of unwanted stands in wanted, too",
        ),
        ("[edge_cases]\nmodel_rows = 0", 2, r"edge_cases\.model_rows should be greater than or equal to 1"),
        ("[edge_cases]\nunwanted_above = 10", 2, r"edge_cases\.unwanted_above should be less than 1"),
        ("a.b = 1", 1, "has no table 'a'"),
    ],
)
def test_what_cannot_be_understood_is_told_with_file_line_and_key(tmp_path, text, line, said):
    with pytest.raises(ProjectError) as told:
        written(tmp_path, text)
    assert f"{tmp_path / 'shopmon.toml'}, line {line}: " in str(told.value)
    assert re.search(said, str(told.value)), str(told.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[data\n", "is not TOML: .*line 1"),
        (b"[data]\nkind = 'a'\nkind = 'b'", "is not TOML: Cannot overwrite"),
        (b'[data]\nkind = "caf\xe9"', "is not UTF-8"),
    ],
)
def test_a_broken_file_is_told(tmp_path, content, said):
    (tmp_path / "shopmon.toml").write_bytes(content)
    with pytest.raises(ProjectError, match=said):
        Project.find(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "shopmon.toml").write_bytes(b'\xef\xbb\xbf[data]\nkind = "queries"')
    assert Project.read(tmp_path).kind == "queries"


def test_a_project_that_is_asked_for_must_be_there(tmp_path):
    with pytest.raises(ProjectError, match="shopmon init"):
        Project.read(tmp_path)
    with pytest.raises(ProjectError, match="shopmon init"):
        Project.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("sqlite:///runs.db", "sqlite:///{folder}/runs.db"),
        ("sqlite:///runs.db?timeout=3", "sqlite:///{folder}/runs.db?timeout=3"),
        ("sqlite:////var/runs.db", "sqlite:////var/runs.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://host/shop", "postgresql://host/shop"),
    ],
)
def test_a_store_beside_the_project_is_found_from_everywhere(tmp_path, monkeypatch, url, absolute):
    monkeypatch.setenv(STORE_URL_VARIABLE, url)
    assert Project(tmp_path).store_url == absolute.format(folder=tmp_path)


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(STORE_URL_VARIABLE, "postgresql://elsewhere/shop")
    assert written(tmp_path, '[store]\nurl = "sqlite:///here.db"').store_url == "postgresql://elsewhere/shop"


def test_a_password_is_not_shown_with_the_project(tmp_path):
    project = written(tmp_path, '[store]\nurl = "postgresql://me:hunter2@host/shop"')
    assert "hunter2" not in repr(project)


def test_without_a_word_a_model_is_trained_as_the_room_would_by_itself(tmp_path):
    assert mlm_settings(Project(tmp_path)) == MlmSettings()
    assert edge_case_settings(Project(tmp_path)) == EdgeCaseSettings()


def test_every_setting_of_a_training_reaches_it(tmp_path):
    project = written(
        tmp_path,
        """
        [edge_cases]
        model_rows = 7
        unwanted_above = 0.4
        [edge_cases.words]
        brands = ["Nike"]
        other_brands = ["Puma"]
        products = ["shoes"]
        features = ["fit"]
        wanted = ["light"]
        unwanted = ["ugly"]
        complaints = ["refund"]
        [retrain]
        base = "offline"
        general_text = "texts/general.txt"
        epochs = 2
        steps = 40
        batch_size = 8
        learning_rate = 5e-5
        max_length = 64
        held_out = 0.2
        only_accepted = true
        evaluate_every = 10
        patience = 2
        seed = 5
        bf16 = false
        report_to = ["tensorboard", "wandb"]
        [retrain.objective]
        recipe = "plain"
        unlikelihood = 1
        replay_kl = 2.0
        counterfactual_kl = 0
        [retrain.prompts]
        gate = ["{brand} is [MASK]"]
        gate_complaints = ["{brand} broke , so [MASK]"]
        training = ["i find {brand} [MASK]"]
        training_complaints = ["i return {brand} , it is [MASK]"]
        [retrain.gate]
        unwanted_mass = false
        wanted_mass = 0.5
        other_brands_change = 0.3
        complaints_change = 0.4
        general_perplexity = 1.5
        project_perplexity = false
        retraining_perplexity = 0.9
        champion_tolerance = 0.1
        champion_mass = 0.2
        """,
    )
    assert mlm_settings(project) == MlmSettings(
        base="offline",
        words=Words(("Nike",), ("Puma",), ("shoes",), ("light",), ("ugly",)),
        prompts=Prompts(
            ("{brand} is [MASK]",),
            ("{brand} broke , so [MASK]",),
            ("i find {brand} [MASK]",),
            ("i return {brand} , it is [MASK]",),
        ),
        objective=Objective(Recipe.PLAIN, unlikelihood=1, replay_kl=2, counterfactual_kl=0),
        training=Training(
            steps=40,
            epochs=2,
            batch_size=8,
            learning_rate=5e-5,
            max_length=64,
            held_out=0.2,
            only_accepted=True,
            evaluate_every=10,
            patience=2,
            seed=5,
            bf16=False,
            report_to=("tensorboard", "wandb"),
        ),
        gate=GateSettings(None, 0.5, 0.3, 0.4, 1.5, None, 0.9, 0.1, 0.2),
        general_text=tmp_path / "texts/general.txt",
    )
    asked = edge_case_settings(project)
    assert (asked.model_rows, asked.unwanted_above) == (7, 0.4)


@pytest.mark.parametrize("name", [field.name for field in fields(GateSettings)])
def test_every_limit_of_the_gate_can_be_set(tmp_path, name):
    gate = mlm_settings(written(tmp_path, f"[retrain.gate]\n{name} = 0.75")).gate
    assert gate == replace(GateSettings(), **{name: 0.75})


@pytest.mark.parametrize("name", [field.name for field in fields(GateSettings) if "None" in str(field.type)])
def test_false_leaves_a_check_of_the_gate_out(tmp_path, name):
    if name == "wanted_mass":  # the base's holds where nothing is said, and everything reaches 0
        with pytest.raises(ProjectError, match="wanted_mass should be a valid number; got False"):
            written(tmp_path, "[retrain.gate]\nwanted_mass = false")
    else:
        assert getattr(mlm_settings(written(tmp_path, f"[retrain.gate]\n{name} = false")).gate, name) is None


@pytest.mark.parametrize(
    ("base", "known"),
    [
        ("offline", "offline"),
        ("distilbert-base-uncased", "distilbert-base-uncased"),
        ("org/model", "org/model"),
        ("kept/model", "{folder}/kept/model"),
        ("./kept/model", "{folder}/kept/model"),
        ("./nowhere", "{folder}/nowhere"),
        ("/nowhere/model", "/nowhere/model"),
    ],
)
def test_a_base_in_a_folder_is_found_from_everywhere(tmp_path, monkeypatch, base, known):
    for name in ("kept/model", "offline"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir("/")
    project = written(tmp_path, f'[retrain]\nbase = "{base}"')
    assert mlm_settings(project).base == known.format(folder=tmp_path)


def test_models_trainings_and_the_cache_stand_where_the_file_says(tmp_path):
    project = Project(tmp_path)
    assert (project.models, project.training, project.cache) == tuple(
        tmp_path / ".shopmon" / name for name in ("models", "training", "cache")
    )
    project = written(tmp_path, '[store]\nmodels = "/m"\ntraining = "t"\ncache = "c"')
    assert (project.models, project.training, project.cache) == (Path("/m"), tmp_path / "t", tmp_path / "c")


def test_every_kind_has_its_place_in_the_file():
    names = {kind.name for kind in KINDS}
    data, suites = (Settings.model_fields[key].annotation for key in ("data", "check"))
    assert names <= set(data.model_fields)
    assert names == set(suites.model_fields["suites"].annotation.model_fields)


readings = st.builds(
    Reading,
    kind=st.sampled_from([None, "reviews", "queries"]),
    columns=st.none()
    | st.dictionaries(st.text(min_size=1, max_size=9), st.sampled_from(["text", "title"]), min_size=1),
    encoding=st.sampled_from([None, "latin-1"]),
    delimiter=st.none() | st.characters(codec="utf-8"),
)


@given(readings)
def test_a_first_file_says_what_the_person_said(reading):
    reading = reading if reading.kind != "queries" else Reading("queries", None, reading.encoding, reading.delimiter)
    settings = Settings.model_validate(tomllib.loads(shopmon_toml(reading)))
    assert settings.data.kind == reading.kind
    assert settings.data.encoding == reading.encoding
    assert settings.data.delimiter == reading.delimiter
    assert settings.data.reviews.columns == (reading.columns or {})


def has_defaults(shown, known):
    """Whether what is shown is what holds without it, as far as anything does."""
    return all(
        has_defaults(value, known[name])
        if isinstance(known[name], dict) and known[name]
        else known[name] in (value, None, {}, ())
        for name, value in shown.items()
    )


@pytest.mark.parametrize("section", ["retrain", "store", "edge_cases"])
def test_a_first_file_names_every_setting(section):
    table, text = "", shopmon_toml(Reading())
    named = set()
    for line in text.splitlines():
        if header := re.fullmatch(r"(?:# )?\[([\w.-]+)\]", line):
            table = header[1]
        elif setting := re.match(r"(?:# )?(\w+) = ", line):
            named.add(f"{table}.{setting[1]}")
    wanted = {
        place
        for place in places(Settings.model_fields[section].annotation, section)
        if not re.fullmatch(r"retrain\.(?!relevance\.)\w+\.(.+)", place)  # what all classifiers share is shown once
        or place.split(".")[2] not in ClassifierSection.model_fields
    }
    assert wanted - named - {"edge_cases.rules", "edge_cases.matching", "edge_cases.words.complaints"} == set()


def places(model, above):
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from places(field.annotation, f"{above}.{name}")
        else:
            yield f"{above}.{name}"


def test_every_line_of_a_first_file_shows_the_default(tmp_path):
    commented = shopmon_toml(Reading()).replace("\r", "")
    settings = re.sub(r"^# (?=(\w+|\"[^\"]*\") = |\[|\]|    \")", "", commented, flags=re.MULTILINE)
    project = written(tmp_path, settings)
    assert project.settings.check.model_copy(update={"suites": None}) == Settings().check.model_copy(
        update={"suites": None}
    )
    assert project.settings.store == Settings().store
    shown, known = project.settings.retrain.model_dump(), Settings().retrain.model_dump()
    assert has_defaults(shown, known)
    assert has_defaults(
        project.settings.edge_cases.model_dump(exclude={"words", "rules"}), Settings().edge_cases.model_dump()
    )
    assert (project.kind, project.settings.data.encoding, project.settings.data.delimiter) == ("reviews", "utf-8", ",")
    assert project.columns == {"reviews": {"Content": "text"}}
    assert project.suite("reviews") == tmp_path / "suites/reviews.yaml"


@given(st.text(min_size=1, max_size=20))
def test_a_column_of_any_name_can_be_shown_in_a_first_file(name):
    drafted = Draft("expectations: []", "reviews", {"text": name})
    text = shopmon_toml(Reading(), drafted, suite="suites/reviews.yaml")
    assert tomllib.loads(text)["check"]["suites"] == {"reviews": "suites/reviews.yaml"}
    shown = re.search(r"^# \[data\.reviews\.columns\]\n# (.*)$", text, flags=re.MULTILINE)
    assert tomllib.loads(shown[1]) == {name: "text"}

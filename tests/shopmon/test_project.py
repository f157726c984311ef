"""A project is what its file says, and nothing it says is dropped or guessed at."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ProjectError
from expectations.kinds import KINDS
from expectations.results import Engine
from shopmon.project import STORE_URL_VARIABLE, Project, Settings
from shopmon.reading import Reading
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
        ("[drifts]\nx = 1", 1, r"has no table 'drifts'.*Known there: data, check, drift, edge_cases, store"),
        ("[store]\n\n# a remark\nurl = 5", 4, r"store\.url should be a valid string; got 5"),
        (
            "[check]\nunreadable_allowed = 1.5",
            2,
            r"check\.unreadable_allowed should be less than or equal to 1; got 1\.5",
        ),
        ("[check]\nunreadable_allowed = '1 %'", 2, "should be a valid number"),
        ("[check]\nunreadable_allowed = nan", 2, "check.unreadable_allowed"),
        ("[check]\nengine = 'spark'", 2, r"check\.engine should be 'scan' or 'great_expectations'; got 'spark'"),
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


def test_every_line_of_a_first_file_shows_the_default(tmp_path):
    commented = shopmon_toml(Reading()).replace("\r", "")
    settings = re.sub(r"^# (?=(\w+|\"[^\"]*\") = |\[)", "", commented, flags=re.MULTILINE)
    project = written(tmp_path, settings)
    assert project.settings.check.model_copy(update={"suites": None}) == Settings().check.model_copy(
        update={"suites": None}
    )
    assert project.settings.store == Settings().store
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

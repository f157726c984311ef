"""A suite is read strictly: nothing in it is dropped, changed or guessed at, and every error names its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from expectations.errors import SuiteError
from expectations.judge import check_suite
from expectations.kinds import KINDS
from expectations.suite import built_in, load_suite

FIRST = "- type: expect_table_row_count_to_be_between\n  kwargs: {min_value: 1}"
NOT_NULL = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: text}"
BETWEEN = "- type: expect_column_values_to_be_between\n  kwargs: "
IN_SET = "- type: expect_column_values_to_be_in_set\n  kwargs: "
QUANTILES = "- type: expect_column_quantile_values_to_be_between\n  kwargs: {column: stars, quantile_ranges: "


@pytest.fixture
def refusal(suite_of):
    """Why a suite, whose second rule begins on line 5, is refused."""

    def read(rule):
        path = suite_of(f"{FIRST}\n{rule}")
        with pytest.raises(SuiteError) as refused:
            check_suite(load_suite(path))
        message = str(refused.value)
        assert message.startswith(f"{path}, line "), message
        return message.removeprefix(f"{path}, ")

    return read


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        # what a rule is
        ("- expect_column_values_to_not_be_null", "line 5: an expectation is a mapping"),
        ("- kwargs: {column: text}", "line 5: the expectation has no `type`"),
        ("- type: 5", "line 5: the expectation has no `type`"),
        ("- type: expect_column_values_to_not_be_nul", "line 5: .*Did you mean 'expect_column_values_to_not_be_null'"),
        (NOT_NULL.replace("kwargs", "kwarg"), "line 5: an expectation has no `kwarg`. Did you mean `kwargs`"),
        (NOT_NULL.replace("{column: text}", "[column]"), "line 5: `kwargs` and `meta` of .* are mappings"),
        # its arguments
        (NOT_NULL.replace("column:", "colum:"), "line 5: .*colum: extra fields"),
        (NOT_NULL.replace("{column: text}", "{}"), "line 5: .*column: field required"),
        (NOT_NULL.replace("{column: text}", "{column: 5}"), "line 5: .*column: str type expected"),
        (NOT_NULL.replace("{column: text}", "{column: text, column: title}"), 'line 6: found duplicate key "column"'),
        (NOT_NULL + "\n  type: expect_column_values_to_be_null", 'line 7: found duplicate key "type"'),
        (BETWEEN + "{column: stars}", "line 5: .*cannot both be None"),
        (BETWEEN + "{column: stars, min_value: 5, max_value: 1.5}", "line 5: no value lies between min_value 5 and"),
        (BETWEEN + "{column: stars, min_value: 5, max_value: 5, strict_min: true}", "line 5: no value lies between"),
        (BETWEEN + "{column: date, min_value: 2022-01-01, max_value: 2021-01-01}", "line 5: no value lies between"),
        (BETWEEN + "{column: stars, min_value: '3'}", "line 5: .*would read min_value as 3.0, not as the '3'"),
        (BETWEEN + "{column: stars, min_value: true}", "line 5: .*would read min_value as 1.0, not as the True"),
        (BETWEEN + "{column: stars, max_value: 9007199254740993}", "line 5: .*would read max_value as 90071992547409"),
        (BETWEEN + "{column: stars, min_value: .nan}", "line 5: `min_value` is nan"),
        (BETWEEN + "{column: stars, max_value: .inf}", "line 5: `max_value` is inf"),
        (BETWEEN + "{column: stars, min_value: {$PARAMETER: least}}", "line 5: `min_value` is {"),
        (BETWEEN + "{column: stars, min_value: 1, strict_min: 'yes'}", "line 5: .*would read strict_min as True"),
        (BETWEEN + "{column: stars, min_value: 1, windows: []}", "line 5: `windows` has no place"),
        (BETWEEN + "{column: stars, min_value: 1, result_format: SUMMARY}", "line 5: `result_format` has no place"),
        (BETWEEN + "{column: stars, min_value: 1, severity: info}", "line 5: `severity` has no place"),
        (IN_SET + "{column: text, value_set: abc}", "line 5: `value_set` is a list of values, got 'abc'"),
        (IN_SET + "{column: text, value_set: 5}", "line 5: `value_set` is a list"),
        (IN_SET + "{column: text, value_set: []}", "line 5: `value_set` is a list"),
        (IN_SET + "{column: text, value_set: [a, null]}", "line 5: `value_set` holds None"),
        (IN_SET + "{column: text, value_set: [[a]]}", "line 5: `value_set` holds \\['a'\\]"),
        (IN_SET + "{column: text, value_set: [a, true]}", "line 5: `value_set` mixes true or false"),
        (
            "- type: expect_column_values_to_match_regex\n  kwargs: {column: text, regex: '(a'}",
            "line 5: the regular expression '\\(a' is invalid",
        ),
        (
            "- type: expect_column_values_to_match_regex_list\n  kwargs: {column: text, regex_list: [a, '*']}",
            "line 5: the regular expression '\\*' is invalid",
        ),
        (
            "- type: expect_compound_columns_to_be_unique\n  kwargs: {column_list: abc}",
            "line 5: .*not a valid sequence",
        ),
        (
            "- type: expect_compound_columns_to_be_unique\n  kwargs: {column_list: [1, 2]}",
            "line 5: .*would read column_list",
        ),
        (
            "- type: expect_compound_columns_to_be_unique\n  kwargs: {column_list: [a, b], ignore_row_if: sometimes}",
            "line 5: .*ignore_row_if",
        ),
        (QUANTILES + "{quantiles: [0.5], value_ranges: []}}", "line 5: `quantile_ranges` needs"),
        (QUANTILES + "{quantiles: [5], value_ranges: [[1, 2]]}}", "line 5: `quantiles` are shares"),
        (QUANTILES + "{quantiles: [0.5], value_ranges: [1]}}", "line 5: `value_ranges` are pairs"),
        (
            "- type: expect_column_values_to_be_in_language\n  kwargs: {column: text, languages: [english]}",
            "line 5: .*are not ISO 639-1 codes",
        ),
        ("- type: expect_column_values_to_not_be_after\n  kwargs: {column: date, moment: soon}", "line 5: .*ISO date"),
        # what stands beside them
        (NOT_NULL + "\n  severity: fatal", "line 5: severity is 'fatal'. Give one of: critical, warning, info"),
        (NOT_NULL + "\n  mostly: 95", "line 5: `mostly` is 95"),
        (NOT_NULL + "\n  mostly: '0.9'", "line 5: `mostly` is '0.9'"),
        (NOT_NULL + "\n  mostly: true", "line 5: `mostly` is True"),
        (NOT_NULL.replace("text}", "text, mostly: 0.5}") + "\n  mostly: 0.9", "line 5: `mostly` stands twice"),
        (NOT_NULL + '\n  row_condition: \'col("a") > 1 and col("b") > 2\'', "line 5: row_condition"),
        (NOT_NULL + "\n  row_condition: ''", "line 5: row_condition"),
        (
            NOT_NULL + "\n  row_condition: {type: and, conditions: [{type: or, conditions: ['col(\"a\") > 1']}]}",
            "line 5: .*AND groups cannot contain OR",
        ),
        (NOT_NULL + "\n  meta: {id: not allowed}", "line 5: `meta.id` is 'not allowed'"),
        (NOT_NULL + "\n  meta: {id: 5}", "line 5: `meta.id` is 5"),
        (NOT_NULL + "\n  meta: {optionel: true}", "line 5: `meta` has no `optionel`. Did you mean `optional`"),
        (NOT_NULL + "\n  meta: {optional: 'yes'}", "line 5: `meta.optional` is 'yes'"),
        (NOT_NULL + "\n  meta: {each: text column}", "line 5: .*names a column and is asked of each"),
        (NOT_NULL.replace("{column: text}", "{}") + "\n  meta: {each: columns}", "line 5: `meta.each` is 'columns'"),
        (FIRST + "\n  meta: {id: other, each: column}", "line 5: .*column: extra fields"),
        (NOT_NULL + "\n" + NOT_NULL, "line 7: the id 'column_values_to_not_be_null-text' stands already on line 5"),
        (NOT_NULL + "\n\tmeta: {}", "line 7: .*'\\\\t'"),
        ("- type: !!python/object:os.system x", "line 5: could not determine a constructor"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_line(refusal, rule, said):
    assert re.match(said, refusal(rule))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds NoneType, not a suite"),
        ("[]", "holds list, not a suite"),
        ("name: mine", "holds no expectations"),
        ("expectations:", "holds no expectations"),
        ("expectations: []", "holds no expectations"),
        ("expectations: {type: x}", "holds no expectations"),
        ("name: mine\nexpectation: []", "line 2: the suite has no `expectation`. Did you mean `expectations`"),
        (f"name: mine\nkind: shoes\nexpectations:\n{FIRST}", "line 2: there is no kind 'shoes'"),
        ("name: a\nname: b", "line 2: found duplicate key"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(tmp_path, text, said):
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=re.escape(said)):
        load_suite(path)


def test_a_suite_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(SuiteError, match=r"does not exist.*shopmon draft"):
        load_suite(tmp_path / "nowhere.yaml")
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path / "latin.yaml")


def test_norway_stays_text(suite_of):
    suite = load_suite(suite_of(IN_SET + "{column: locale, value_set: [NO, SE, yes, off, on, n]}"))
    assert suite.rules[0].kwargs["value_set"] == ["NO", "SE", "yes", "off", "on", "n"]


def test_a_rule_is_read_as_it_is_written(suite_of):
    rule = load_suite(
        suite_of(NOT_NULL + "\n  severity: info\n  mostly: 0.9\n  meta: {id: a.b-1:c, says: no text, optional: true}")
    ).rules[0]
    assert (rule.id, rule.severity, rule.mostly, rule.says, rule.optional) == ("a.b-1:c", "info", 0.9, "no text", True)
    assert (rule.columns, rule.line) == (("text",), 3)


def test_a_rule_without_severity_is_critical(suite_of):
    assert load_suite(suite_of(NOT_NULL)).rules[0].severity == "critical"


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_the_built_in_suites_are_understood_and_each_rule_says_what_is_wrong(kind):
    suite = load_suite(built_in(kind))
    check_suite(suite)
    assert suite.kind == kind
    assert all(rule.says for rule in suite.rules)


KEYS = st.sampled_from(
    ["type", "kwargs", "severity", "mostly", "row_condition", "meta", "column", "min_value", "value_set"]
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.floats(allow_nan=True),
        st.text(max_size=5),
        st.sampled_from(
            ["expect_column_values_to_be_between", "expect_column_values_to_be_in_set", "text", "critical"]
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)


@given(rules=st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=3))
def test_whatever_a_suite_holds_it_is_understood_or_refused(tmp_path_factory, rules):
    path = Path(tmp_path_factory.getbasetemp()) / "random.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump({"expectations": rules}, file)
    try:
        suite = load_suite(path)
        check_suite(suite)
    except SuiteError:
        return
    assert len(suite.rules) == len(rules)

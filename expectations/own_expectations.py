"""Which expectations does Great Expectations lack for shop text? Importing this module registers ours with it.

Each runs on GX's pandas engine as it stands here, and through the compiled scan, which asks the same predicates
(`text_faults`, `learned_norms`) and hands its counts to `metrics_validate`. Values of a wrong type raise, so that GX
reports an error (`exception_info`) and not a pass. Nulls, NaN among them, are never examined, as in GX.
"""

# ruff: noqa: N805  (GX and pydantic call these methods with the class)
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal

import pandas as pd
from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
    ColumnMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_value,
)
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial import (
    multicolumn_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_map_metric_provider import (
    MulticolumnMapMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.expectations.metrics.util import get_dbms_compatible_metric_domain_kwargs
from great_expectations.expectations.model_field_types import ConditionParser
from great_expectations.expectations.row_conditions import RowConditionType, deserialize_row_condition
from great_expectations.render.components import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.renderer_configuration import RendererConfiguration, RendererValueType

from expectations.learned_norms import (
    AmbiguousFormat,
    CutOffKind,
    DateFormatKind,
    NormKind,
    UsualSpellingKind,
    ambiguous_date_formats,
    category_spellings,
    count_keys,
)
from expectations.text_faults import (
    MOJIBAKE,
    foreign_language,
    last_day,
    later_than,
    letters_and_digits,
    too_many_tokens,
)

# --- how they read in Data Docs -------------------------------------------------------------------------------------


class _InWords:
    """A mixin: an expectation says in one sentence what it expects, in the suite editor and in Data Docs."""

    in_words: ClassVar[str] = ""
    """The sentence; `$name` stands for the argument of that name."""

    @classmethod
    def _sentence(cls, kwargs: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        fields = getattr(cls, "__fields__", {})
        stated = {name: field.default for name, field in fields.items()} | dict(kwargs)
        params = {name: _shown(value) for name, value in stated.items() if f"${name}" in cls.in_words}
        template = cls.in_words
        if (mostly := kwargs.get("mostly")) is not None and mostly < 1:
            template += ", at least $mostly_pct % of the time"
            params["mostly_pct"] = f"{mostly * 100:.10g}"
        return f"{template}.", params

    @classmethod
    def _prescriptive_template(cls, renderer_configuration: RendererConfiguration[Any]) -> RendererConfiguration[Any]:
        template, params = cls._sentence(renderer_configuration.kwargs or {})
        for name, value in params.items():
            renderer_configuration.add_param(name=name, param_type=RendererValueType.STRING, value=value)
        renderer_configuration.template_str = template
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls,
        configuration: Any = None,
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,
        **_: Any,
    ) -> list[RenderedStringTemplateContent]:
        configuration = configuration or getattr(result, "expectation_config", None)
        kwargs = configuration.kwargs if configuration else {}
        template, params = cls._sentence(kwargs)
        if kwargs.get("row_condition") is not None:  # the other renderer gets these words from GX
            template = f"If $row_condition, then {template[0].lower()}{template[1:]}"
            params["row_condition"] = repr(deserialize_row_condition(kwargs["row_condition"]))
        styling = (runtime_configuration or {}).get("styling")
        content = {"template": template, "params": params, "styling": styling}
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=content)]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# --- how they count on pandas ---------------------------------------------------------------------------------------


def _texts(column: pd.Series[Any]) -> list[str]:
    values = list(column)
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"column {column.name!r} must hold text, but holds {type(value).__name__}: {value!r}")
    return values


def _each(column: pd.Series[Any], holds: Callable[[str], bool]) -> pd.Series[bool]:
    return pd.Series([holds(text) for text in _texts(column)], index=column.index, dtype=bool)


def _keeps_norm(column: pd.Series[Any], kind: NormKind) -> pd.Series[bool]:
    texts = _texts(column)
    return _each(column, kind.learn(count_keys(kind, texts)).holds)


class _NotMojibake(ColumnMapMetricProvider):
    condition_metric_name = "column_values.not_mojibake"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], **_: Any) -> pd.Series[bool]:
        return _each(column, MOJIBAKE.is_clean)


class _InLanguage(ColumnMapMetricProvider):
    condition_metric_name = "column_values.in_language"
    condition_value_keys = ("languages", "min_length")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], languages: list[str], min_length: int, **_: Any) -> pd.Series[bool]:
        return _each(column, foreign_language(languages, min_length).is_clean)


class _FitInTokens(ColumnMapMetricProvider):
    condition_metric_name = "column_values.fit_in_tokens"
    condition_value_keys = ("max_tokens",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], max_tokens: int, **_: Any) -> pd.Series[bool]:
        return _each(column, too_many_tokens(max_tokens).is_clean)


class _NotCutOff(ColumnMapMetricProvider):
    condition_metric_name = "column_values.not_cut_off"
    condition_value_keys = ("length",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], length: int | None, **_: Any) -> pd.Series[bool]:
        return _keeps_norm(column, CutOffKind(length))


class _ShareDateFormat(ColumnMapMetricProvider):
    condition_metric_name = "column_values.share_a_date_format"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], **_: Any) -> pd.Series[bool]:
        return _keeps_norm(column, DateFormatKind())


class _SpelledAsUsual(ColumnMapMetricProvider):
    condition_metric_name = "column_values.spelled_as_usual"
    condition_value_keys = ("vocabulary_column",)

    # Not `column_condition_partial`: a column beside the judged one is read.
    @metric_partial(
        engine=PandasExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.MAP_CONDITION_SERIES,
        domain_type=MetricDomainTypes.COLUMN,
    )
    def _pandas(
        cls,
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> tuple[pd.Series[bool], dict[str, Any], dict[str, Any]]:
        domain = get_dbms_compatible_metric_domain_kwargs(metric_domain_kwargs, metrics["table.columns"])
        frame, compute, accessor = execution_engine.get_compute_domain(domain, domain_type=MetricDomainTypes.COLUMN)
        kind = UsualSpellingKind()
        vocabulary = metric_value_kwargs["vocabulary_column"]
        known = count_keys(kind, _texts(frame[vocabulary].dropna())) if vocabulary else {}
        column = frame[accessor["column"]].dropna()
        return ~_each(column, kind.learn(count_keys(kind, _texts(column)), known).holds), compute, accessor


class _NotRepeat(ColumnMapMetricProvider):
    condition_metric_name = "column_values.not_repeat"
    condition_value_keys = ("compare", "min_length")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], compare: str, min_length: int, **_: Any) -> pd.Series[bool]:
        compared = column
        if compare == "letters" or min_length:
            texts = _texts(column)
            forms = map(letters_and_digits, texts) if compare == "letters" else texts
            pairs = zip(forms, texts, strict=True)
            long_enough = [form if form and len(text) >= min_length else None for form, text in pairs]
            compared = pd.Series(long_enough, index=column.index, dtype=object)
        return compared.isna() | ~compared.duplicated(keep="first")


class _NotAfter(ColumnMapMetricProvider):
    condition_metric_name = "column_values.not_after"
    condition_value_keys = ("moment", "tolerance_days")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], moment: str, tolerance_days: int, **_: Any) -> pd.Series[bool]:
        last = last_day(moment, tolerance_days)
        written = later_than(last)
        kept = [written.is_clean(v) if isinstance(v, str) else _day_of(v, column.name) <= last for v in column]
        return pd.Series(kept, index=column.index, dtype=bool)


def _day_of(value: Any, column: Any) -> date:
    if isinstance(value, datetime):  # pandas' own Timestamp is one
        return (value.astimezone(UTC) if value.tzinfo else value).date()
    if isinstance(value, date):
        return value
    raise TypeError(f"column {column!r} must hold dates or text, but holds {type(value).__name__}: {value!r}")


class _RecordsNotRepeat(MulticolumnMapMetricProvider):
    condition_metric_name = "multicolumn_values.records_not_repeat"

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pd.DataFrame, **_: Any) -> pd.Series[bool]:
        return ~column_list.duplicated(keep="first")


class _LastDetermined(MulticolumnMapMetricProvider):
    condition_metric_name = "multicolumn_values.last_determined_by_others"

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pd.DataFrame, **_: Any) -> pd.Series[bool]:
        *others, last = column_list.columns
        if column_list.empty:
            return pd.Series([], index=column_list.index, dtype=bool)
        groups = column_list.groupby(others, sort=False, observed=True)
        return groups[last].transform("nunique") <= 1


class _AmbiguousDateFormats(ColumnAggregateMetricProvider):
    metric_name = "column.ambiguous_date_formats"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], **_: Any) -> list[dict[str, Any]]:
        return ambiguous_date_formats(count_keys(DateFormatKind(), _texts(column.dropna())))


class _CategoriesSpelledTwoWays(TableMetricProvider):
    metric_name = "table.categories_spelled_two_ways"
    value_keys = ("column_list",)

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> dict[str, Any]:
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        return category_spellings(
            {name: Counter(_texts(frame[name].dropna())) for name in metric_value_kwargs["column_list"]}
        )


# --- one column -----------------------------------------------------------------------------------------------------


class ExpectColumnValuesToNotBeMojibake(_InWords, ColumnMapExpectation):
    """Expect texts to be free of broken encoding (`CafÃ©`, `360è_ Tank Top`, U+FFFD, C1 control characters)."""

    in_words: ClassVar[str] = "$column must be free of broken encoding"
    map_metric = "column_values.not_mojibake"


class ExpectColumnValuesToBeInLanguage(_InWords, ColumnMapExpectation):
    """Expect texts of `min_length` characters and more to be in one of the `languages` (ISO 639-1 codes)."""

    languages: list[pydantic.StrictStr]
    min_length: pydantic.StrictInt = 40

    in_words: ClassVar[str] = (
        "$column must be written in one of these languages: $languages (texts of $min_length characters and more)"
    )
    map_metric = "column_values.in_language"
    success_keys = ("mostly", "languages", "min_length")
    args_keys = ("column", "languages", "min_length")

    @pydantic.root_validator(skip_on_failure=True)
    def _can_be_asked(cls, values: dict[str, Any]) -> dict[str, Any]:
        foreign_language(values["languages"], values["min_length"])
        return values


class ExpectColumnValuesToFitInTokens(_InWords, ColumnMapExpectation):
    """Expect texts not to be surely longer than `max_tokens` word pieces of a BERT model, special tokens included."""

    max_tokens: pydantic.StrictInt = 512

    in_words: ClassVar[str] = "$column must fit into the $max_tokens tokens that the model reads"
    map_metric = "column_values.fit_in_tokens"
    success_keys = ("mostly", "max_tokens")
    args_keys = ("column", "max_tokens")

    @pydantic.validator("max_tokens")
    def _can_be_asked(cls, max_tokens: int) -> int:
        too_many_tokens(max_tokens)
        return max_tokens


class ExpectColumnValuesToNotBeCutOff(_InWords, ColumnMapExpectation):
    """Expect no text to be cut at a fixed length: at `length` characters, or where texts are found to pile up."""

    length: pydantic.StrictInt | None = None

    in_words: ClassVar[str] = "$column must not be cut off at a fixed length"
    map_metric = "column_values.not_cut_off"
    success_keys = ("mostly", "length")
    args_keys = ("column", "length")

    @pydantic.validator("length")
    def _can_be_asked(cls, length: int | None) -> int | None:
        CutOffKind(length)
        return length


class ExpectColumnValuesToShareADateFormat(_InWords, ColumnMapExpectation):
    """Expect written dates to have the format that most of them have."""

    in_words: ClassVar[str] = "$column must be written in one date format"
    map_metric = "column_values.share_a_date_format"


class ExpectColumnValuesToBeSpelledAsUsual(_InWords, ColumnMapExpectation):
    """Expect texts without words that look like misspellings of frequent ones.

    Words are counted over the column itself and, if it is named, over `vocabulary_column` (product titles beside
    queries), in all rows that meet the row condition.
    """

    vocabulary_column: pydantic.StrictStr | None = None

    in_words: ClassVar[str] = "$column must spell words as they are usually spelled here"
    map_metric = "column_values.spelled_as_usual"
    success_keys = ("mostly", "vocabulary_column")
    args_keys = ("column", "vocabulary_column")


class ExpectColumnValuesToNotRepeat(_InWords, ColumnMapExpectation):
    """Expect no value to repeat an earlier one: the first stays, every later copy fails.

    `compare` is `exact`, or `letters`: lower case, letters and digits only; a text without any is left alone, and so
    is one of fewer than `min_length` characters.
    """

    compare: Literal["exact", "letters"] = "exact"
    min_length: pydantic.StrictInt = 0

    in_words: ClassVar[str] = "$column must not repeat an earlier row (compared: $compare, from $min_length characters)"
    map_metric = "column_values.not_repeat"
    success_keys = ("mostly", "compare", "min_length")
    args_keys = ("column", "compare", "min_length")

    @pydantic.validator("min_length")
    def _can_be_asked(cls, min_length: int) -> int:
        if min_length < 0:
            raise ValueError(f"min_length is a number of characters, 0 or more, got {min_length!r}")
        return min_length


class ExpectColumnValuesToNotBeAfter(_InWords, ColumnMapExpectation):
    """Expect dates no later than the day of `moment` (ISO, UTC) and `tolerance_days` more; hours do not count.

    Written dates are read in the reading that makes them earliest; what cannot be read as a date passes.
    """

    moment: pydantic.StrictStr
    tolerance_days: pydantic.StrictInt = 1

    in_words: ClassVar[str] = "$column must not lie after $moment (and $tolerance_days days)"
    map_metric = "column_values.not_after"
    success_keys = ("mostly", "moment", "tolerance_days")
    args_keys = ("column", "moment", "tolerance_days")

    @pydantic.root_validator(skip_on_failure=True)
    def _can_be_asked(cls, values: dict[str, Any]) -> dict[str, Any]:
        last_day(values["moment"], values["tolerance_days"])
        return values


class ExpectColumnDatesToBeUnambiguous(_InWords, ColumnAggregateExpectation):
    """Expect a column of written dates to leave no doubt which days are meant: it is the column that fails, no row.

    Ambiguous are day and month as numbers before the year, and years of two digits. `observed_value` lists the formats
    with their counts.
    """

    in_words: ClassVar[str] = "$column must write dates that can be read in one way only"
    metric_dependencies = ("column.ambiguous_date_formats",)
    args_keys = ("column",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> dict[str, Any]:
        found = metrics["column.ambiguous_date_formats"]
        said = [str(AmbiguousFormat(**one)) for one in found]
        return {"success": not found, "result": {"observed_value": said, "details": {"formats": found}}}


# --- several columns ------------------------------------------------------------------------------------------------


def _different(columns: list[str]) -> list[str]:
    if twice := [name for name, count in Counter(columns).items() if count > 1]:
        raise ValueError(f"column_list names {twice} more than once")
    return columns


class ExpectRecordsToNotRepeat(_InWords, MulticolumnMapExpectation):
    """Expect no record to repeat an earlier one in all of `column_list` (nulls equal each other); later copies fail."""

    in_words: ClassVar[str] = "Records must not repeat an earlier one in all of $column_list"
    map_metric = "multicolumn_values.records_not_repeat"
    args_keys = ("column_list",)

    @pydantic.validator("column_list")
    def _different_columns(cls, columns: list[str]) -> list[str]:
        return _different(columns)


class ExpectLastColumnToBeDeterminedByTheOthers(_InWords, MulticolumnMapExpectation):
    """Expect rows that agree in all but the last of `column_list` to agree in the last one; otherwise all of them fail.

    Rows in which any of the columns is missing are not examined.
    """

    ignore_row_if: Literal["any_value_is_missing"] = "any_value_is_missing"

    in_words: ClassVar[str] = "Of $column_list, the last must be determined by the others"
    map_metric = "multicolumn_values.last_determined_by_others"
    args_keys = ("column_list",)

    @pydantic.validator("column_list")
    def _different_columns(cls, columns: list[str]) -> list[str]:
        return _different(columns)


class ExpectCategoriesToBeSpelledOneWay(_InWords, BatchExpectation):
    """Expect the columns of `column_list` to spell each category one way, over all of them together.

    `observed_value` lists the pairs with their counts; columns of more than 2,000 different values are not examined and
    are named in `details`.
    """

    column_list: list[pydantic.StrictStr]
    row_condition: RowConditionType = None
    condition_parser: ConditionParser | None = None
    catch_exceptions: bool = True

    in_words: ClassVar[str] = "Categories must be spelled one way in $column_list"
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "row_condition", "condition_parser")
    metric_dependencies = ("table.categories_spelled_two_ways",)
    success_keys = ("column_list",)
    args_keys = ("column_list",)

    @pydantic.validator("column_list")
    def _different_columns(cls, columns: list[str]) -> list[str]:
        if not columns:
            raise ValueError("column_list is empty: name at least one column of categories")
        return _different(columns)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> dict[str, Any]:
        found = metrics["table.categories_spelled_two_ways"]
        return {
            "success": not found["pairs"],
            "result": {"observed_value": [_pair_in_words(**p) for p in found["pairs"]], "details": found},
        }


def _pair_in_words(usual: str, usual_rows: int, other: str, other_rows: int) -> str:
    return f"{other!r} ({other_rows:,} rows) beside {usual!r} ({usual_rows:,} rows)"

"""Which products of this project can replace one another, as its champion sees it?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from expectations.errors import ShopmonError
from shopmon.answers import Answer, check_answer_file, finished
from shopmon.product_files import products_in
from shopmon.project import Project
from shopmon.reading import Reading
from shopmon.relevance_champion import RelevanceModel, relevance_model
from shopmon.shelves import Progress, counted, doing, shelf_of, text_encoder
from shopmon.telemetry import switch_off

if TYPE_CHECKING:
    from retrain.catalogue import Catalogue
    from retrain.substitutes import SubstituteSettings


@dataclass(frozen=True, kw_only=True)
class SubstitutesFound(Answer):
    """Pairs of products that can replace one another.

    The table's columns, the surest pair first: product_id, product, substitute_id, substitute, probability (the mean of
    probability_forward and probability_backward), cosine (of the bi-encoder), and where both stand: product_file,
    product_row, product_same_text, substitute_file, substitute_row, substitute_same_text.
    """

    rows_name: ClassVar[str] = "substitutes"

    label: str
    """The class of substitutes."""
    threshold: float
    """Probability (0–1) from which on a pair counts."""
    threshold_from: str
    """Where it comes from: asked for, or what it was chosen for on validation pairs."""
    precision: float | None
    """Of that threshold on held-out pairs of query and product (0–1); None where it was not measured."""
    recall: float | None
    asked: int
    """Products for which substitutes were looked for."""
    pairs_read: int
    """Pairs that the cross-encoder read, each in both directions."""
    pairs: int
    """Pairs that count."""


def substitutes(
    products: Any,
    *,
    product: str | Sequence[str] | None = None,
    threshold: float | None = None,
    candidates: int | None = None,
    encoder: str | Path | None = None,
    model: str | None = None,
    text: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
    progress: Progress = lambda _: None,
) -> SubstitutesFound:
    """Say which products of a catalogue can replace one another, the surest pairs first.

    `products` is whatever `check` takes, of the kind `products`; `product` names some by their id, otherwise each is
    asked. A sentence encoder finds `candidates` for each, and the champion of the task relevance (or `model`) says in
    both directions how likely one is a substitute for whoever looks for the other by its title. Pairs whose mean is at
    the threshold or above count: the one that was chosen when the model was trained, or `threshold`. With `out` the
    pairs go to a file, which is replaced; without, they are the result's table.

    Whatever is left out is as the project says. Raises ShopmonError where there is no model, no class of substitutes or
    no threshold, and for files, columns, ids and encoders that cannot be used.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     substitutes("products.parquet", project=Project(Path(folder)))
    Traceback (most recent call last):
    expectations.errors.ShopmonError: there is no champion of the task relevance, ...
    """
    switch_off()
    began, project = time.perf_counter(), Project.of(project)
    file = None if out is None else check_answer_file(Path(out))
    used = relevance_model(project, model, progress=lambda what: progress(doing(what)))
    chosen = _threshold(threshold, used, project.settings.substitutes.label)
    how = _settings(project, chosen, candidates)
    encode = text_encoder(project, encoder)
    attributes = (text,) if isinstance(text, str) else tuple(text or used.product_text)
    with TemporaryDirectory(prefix="shopmon-") as folder:
        reading = Reading("products", columns, encoding, delimiter)
        catalogue, found = products_in(products, reading, project, attributes, Path(folder), progress)
    rows = None if product is None else _rows_of(catalogue, [product] if isinstance(product, str) else list(product))
    asked = len(catalogue) if rows is None else len(rows)
    shelf = shelf_of(
        catalogue,
        encode,
        project,
        searches=asked,
        sample=lambda vectors, count: vectors[:: max(len(vectors) // count, 1)][:count],
        k=how.candidates,
        progress=progress,
    )
    from retrain.substitutes import SCHEMA, find_substitutes

    pairs = find_substitutes(shelf, used.judge.scorer, how, of=rows, progress=counted(progress))
    answer = SubstitutesFound(
        model=used.model_id,
        computed=used.judge.scorer.how,
        encoder=encode.name,
        label=how.label,
        threshold=chosen.value,
        threshold_from=chosen.told,
        precision=chosen.precision,
        recall=chosen.recall,
        product_text=attributes,
        candidates=how.candidates,
        search=shelf.finder.how,
        files=found.files,
        products=len(catalogue),
        asked=asked,
        pairs_read=pairs.asked,
        pairs=len(pairs),
        notes=found.notes,
    )
    return finished(answer, pairs.parts(), SCHEMA, file, began)


@dataclass(frozen=True)
class _Threshold:
    value: float
    told: str
    precision: float | None = None
    recall: float | None = None


def _threshold(given: float | None, used: RelevanceModel, label: str) -> _Threshold:
    """The threshold that was asked for, else the one that the model's training chose for this class."""
    classes = used.judge.scorer.classes
    if label not in classes:
        raise ShopmonError(
            f"the model {used.model_id} tells {', '.join(classes)} apart, and none of them is the class of "
            f"substitutes, {label!r}",
            advice="Say which of them means a substitute: label in [substitutes]; or ask another model: --model ID.",
        )
    if given is not None:
        return _Threshold(given, "asked for")
    known = used.threshold
    if known is None or known.label != label:
        raise ShopmonError(
            f"the training of {used.model_id} chose no threshold for {label!r}, so nothing says from when on a product "
            "is a substitute",
            advice="Train a model with: shopmon retrain --task relevance; or say one yourself: --threshold 0.5.",
        )
    aim = "the best F1" if known.precision_asked is None else f"a precision of {known.precision_asked:g}"
    if not known.reached:
        aim = f"the best F1, since no threshold reached a precision of {known.precision_asked:g}"
    measured = known.held_out
    return _Threshold(
        known.value,
        f"chosen for {aim} on {known.chosen_on.rows:,} validation pairs",
        measured.precision if measured else None,
        measured.recall if measured else None,
    )


def _settings(project: Project, threshold: _Threshold, candidates: int | None) -> SubstituteSettings:
    from retrain.substitutes import SubstituteSettings

    said = project.settings.substitutes
    try:
        return SubstituteSettings(threshold.value, said.candidates if candidates is None else candidates, said.label)
    except ValueError as error:
        raise ShopmonError(str(error), advice="Correct it, or leave it out.") from error


def _rows_of(catalogue: Catalogue, names: Sequence[str]) -> list[int]:
    """The catalogue's rows in which products of these ids stand. Raises ShopmonError for an id that is in none."""
    wanted = set(names)
    found: dict[str, set[int]] = {name: set() for name in wanted}
    ids, same = (catalogue.rows.column(name).to_pylist() for name in ("id", "same_text"))
    for row, (own, others) in enumerate(zip(ids, same, strict=True)):
        for name in wanted.intersection((own, *others)):
            found[name].add(row)
    for name in names:
        if not found[name]:
            near = get_close_matches(name, [one for one in ids if one is not None], n=3)
            hint = f" Near it: {', '.join(map(repr, near))}." if near else ""
            raise ShopmonError(f"no product has the id {name!r}", advice=f"Give the id as it stands in the file.{hint}")
    return sorted(set().union(*found.values()))

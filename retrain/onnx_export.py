"""In which format does a classifier answer fastest on a CPU, without being worse?

Products of whole numbers of eight bits take a processor a fraction of the time that those of float32 take. What a model
loses by it is measured on held-out rows, and where it is too much, float32 is kept.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from expectations.errors import first_line
from monitor.run_folder import write_aside
from retrain.classification_measures import Floats, Predicted, classification_measures
from retrain.classifier import Classifier
from retrain.onnx_model import INPUTS, OUTPUT
from retrain.results import Serving, ServingFormat, ServingMeasure
from retrain.scorer import onnx_scorer, torch_scorer

log = logging.getLogger("shopmon.retrain")

MOST_LOST = 0.005
"""Accuracy (0–1) that int8 may lose: half a point."""
ROWS = 1_000
"""Held-out rows that formats are measured on at most: a minute of one core for a DistilBERT in float32."""
_APART = 1e-3
"""Difference of a probability (0–1) up to which ONNX in float32 says what torch says."""
_OPSET = 17
"""Of ONNX: the first with layer normalisation."""
_SEED = 1


def export(
    classifier: Classifier,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    labels: Sequence[int],
    folder: Path,
    *,
    max_length: int,
    rows: int = ROWS,
    most_lost: float = MOST_LOST,
) -> Serving:
    """Write a classifier into `folder` in the format that answers fastest on a CPU without being worse, and say which.

    `texts` (with `pairs`, where it reads two) and `labels` are held-out rows, of which `rows` at most are measured.
    int8 is kept if it loses at most `most_lost` (0–1) of accuracy; else ONNX in float32, if it says what torch says.
    Else no file is written, and torch answers: so it is without a row, too, and for a model that cannot be exported.
    What is not int8 is logged. The classifier stays as it is, and where it is. Raises ShopmonError where the folder
    cannot be written.
    """
    trial = _Trial(_exact(classifier), _sample(_Rows(texts, pairs, labels), rows), max_length)
    found = _best(trial, folder, most_lost) if texts else trial.serving("there is no held-out row to measure it on", {})
    if found.format is not ServingFormat.ONNX_INT8:
        log.warning("the classifier will not answer in int8: %s", found.reason)
    return found


def _exact(classifier: Classifier) -> Classifier:
    """A copy in float32, where the classifier is."""
    return replace(classifier, model=copy.deepcopy(classifier.model).float().eval())


# --- which one --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    """A format that may be kept."""

    format: ServingFormat
    called: str
    file: str
    make: Callable[[Classifier], bytes]
    judge: Callable[[ServingMeasure, ServingMeasure, float], tuple[bool, str]]
    """Torch's measure, its own, `most_lost` → whether it will do, and what is to be said of it."""


def _best(trial: _Trial, folder: Path, most_lost: float) -> Serving:
    """The first candidate that will do, written; torch where none does."""
    exact = trial.measure(trial.said)
    measured, told = {ServingFormat.TORCH: exact}, list[str]()
    for one in _CANDIDATES:
        try:
            content = one.make(trial.classifier)
            found = trial.ask(content, one.format)
        except Exception as error:  # whatever of a model ONNX has no word for: it must not cost what was learnt
            told.append(f"{one.called} cannot be had: {first_line(error)}")
            continue
        measured[one.format] = found
        will_do, says = one.judge(exact, found, most_lost)
        told.append(says)
        if will_do:
            with write_aside(folder / one.file) as aside:
                aside.write_bytes(content)
            kept = trial.serving("; ".join(told), measured)
            return replace(kept, format=one.format, file=one.file, sha256=hashlib.sha256(content).hexdigest())
    return trial.serving("; ".join(told), measured)


def _judge_int8(exact: ServingMeasure, found: ServingMeasure, most_lost: float) -> tuple[bool, str]:
    lost = exact.accuracy - found.accuracy
    if lost > most_lost + 1e-12:
        return False, f"int8 would lose {100 * lost:.2f} points of accuracy, and {100 * most_lost:g} are allowed"
    return True, f"int8 loses {100 * lost:.2f} points of accuracy" if lost > 0 else "int8 loses no accuracy"


def _judge_fp32(exact: ServingMeasure, found: ServingMeasure, most_lost: float) -> tuple[bool, str]:
    apart = found.largest_difference
    if apart > _APART:
        return False, f"ONNX in float32 differs from torch by up to {apart:.2g}"
    return True, "ONNX in float32 says what torch says"


# --- what it is worth -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """What formats are measured on."""

    texts: Sequence[str]
    pairs: Sequence[str] | None
    labels: Sequence[int]


def _sample(rows: _Rows, most: int) -> _Rows:
    """At most so many of the rows, drawn, and always the same."""
    if len(rows.texts) <= most:
        return rows
    at = np.sort(np.random.default_rng(_SEED).choice(len(rows.texts), most, replace=False)).tolist()
    texts, pairs, labels = (
        None if side is None else [side[n] for n in at] for side in (rows.texts, rows.pairs, rows.labels)
    )
    return _Rows(texts or [], pairs, labels or [])


@dataclass(frozen=True)
class _Trial:
    """A classifier in float32, and the rows that its formats are held against each other on."""

    classifier: Classifier
    rows: _Rows
    max_length: int

    @cached_property
    def said(self) -> Floats:
        """What torch says of the rows."""
        return torch_scorer(self.classifier, self.max_length, bf16=False).probabilities(
            self.rows.texts, self.rows.pairs
        )

    def ask(self, content: bytes, kept: ServingFormat) -> ServingMeasure:
        """What an exported file is worth, asked as it will be. Raises ShopmonError for one that does not answer."""
        serving = replace(self.serving("", {}), format=kept)
        scorer = onnx_scorer(content, serving, self.classifier.tokenizer, self.max_length)
        return self.measure(scorer.probabilities(self.rows.texts, self.rows.pairs))

    def measure(self, said: Floats) -> ServingMeasure:
        """Raises ValueError for an answer that is no number."""
        labels = np.asarray(self.rows.labels, np.int64)
        found = classification_measures(Predicted(said, labels, self.classifier.classes))
        return ServingMeasure(
            found.accuracy,
            found.macro_f1,
            largest_difference=float(np.abs(said - self.said).max()),
            agreement=float((said.argmax(1) == self.said.argmax(1)).mean()),
        )

    def serving(self, reason: str, measured: dict[ServingFormat, ServingMeasure]) -> Serving:
        """That torch answers."""
        return Serving(
            ServingFormat.TORCH,
            reason,
            self.classifier.classes,
            self.classifier.longest,
            rows=len(self.rows.labels),
            measured=measured,
        )


# --- how it is made ---------------------------------------------------------------------------------------------------


class _Logits(torch.nn.Module):
    """A classifier as ONNX knows it: arrays in their order → logits."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def exported(classifier: Classifier) -> bytes:
    """A classifier in float32 as ONNX, for any number of rows and of tokens.

    By the exporter that traces: what it writes is as fast as what the other one writes, which takes longer and needs
    two more packages. Raises RuntimeError for a model that it cannot write, such as one of more than 2 GB.
    """
    read = classifier.tokenizer(["a b c d", "a"], padding=True, return_tensors="pt")
    names = [name for name in INPUTS if name in read]
    model = classifier.model if classifier.device.type == "cpu" else copy.deepcopy(classifier.model).cpu()
    with tempfile.TemporaryDirectory(prefix="shopmon-") as scratch, _quiet(), torch.no_grad():
        file = Path(scratch) / "model.onnx"
        torch.onnx.export(
            _Logits(model, names).eval(),
            tuple(read[name] for name in names),
            file,
            dynamo=False,
            input_names=names,
            output_names=[OUTPUT],
            dynamic_axes={**{name: {0: "rows", 1: "tokens"} for name in names}, OUTPUT: {0: "rows"}},
            opset_version=_OPSET,
        )
        return file.read_bytes()


def quantised(classifier: Classifier) -> bytes:
    """A classifier as ONNX with weights of eight bits, of which seven are used, each row of a matrix on its own scale.

    What goes through the model is put on a scale batch by batch, so an answer depends a little on what is read with it.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load_model_from_string(exported(classifier))
    add_pre_process_metadata(model)  # nothing is left to be done: constants are folded
    with tempfile.TemporaryDirectory(prefix="shopmon-") as scratch, _quiet():
        file = Path(scratch) / "model.onnx"
        quantize_dynamic(
            model,
            file,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # within ±64: a processor without VNNI adds two products in 16 bits, which overflow
        )
        return file.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """No word of what exporters take for remarkable, which is what they do to every model."""
    silent, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(silent)  # a root without a handler gets one from the quantiser, for good
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silent)


_CANDIDATES = (
    _Candidate(ServingFormat.ONNX_INT8, "int8", "model.int8.onnx", quantised, _judge_int8),
    _Candidate(ServingFormat.ONNX_FP32, "ONNX in float32", "model.fp32.onnx", exported, _judge_fp32),
)
"""The fastest first."""

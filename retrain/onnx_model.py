"""How is an ONNX file opened so that it computes, and does nothing else?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError, first_line

# Importing ONNX Runtime is enough for it to make up an identity of this machine and to report to its vendor: what
# `disable_telemetry_events` switches off has begun by then. What a person has set stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "logits"
_DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Whose operations are ONNX Runtime's own; any other would come from a library of somebody's."""
_RESTORE = "Restore the model's folder from a copy, or go back to the champion before it: shopmon models rollback."


@dataclass(frozen=True)
class OnnxModel:
    """A classifier that ONNX Runtime computes on the CPU."""

    session: Any
    """An `InferenceSession`."""
    inputs: tuple[str, ...]
    """What it reads, of `INPUTS`."""

    def __call__(self, rows: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """(rows, classes) logits, for arrays (rows, tokens) by their names in `INPUTS`; what it does not read is left.

        Raises ShopmonError for what it cannot compute, such as a token that it does not know.
        """
        try:
            (logits,) = self.session.run([OUTPUT], {name: rows[name] for name in self.inputs})
        except Exception as error:  # ONNX Runtime's exceptions have no class of their own
            raise ShopmonError(
                f"the exported model cannot read these texts: {first_line(error)}", advice=_RESTORE
            ) from error
        return np.asarray(logits, np.float32)


def read_checked(folder: Path, name: str, sha256: str) -> bytes:
    """The bytes of a file in a model's folder. Raises ShopmonError unless they have the checksum that is expected."""
    if not name or name.startswith(".") or Path(name).name != name:
        raise ShopmonError(f"{name!r} is no name of a file in {folder}", advice=_RESTORE)
    file = folder / name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ShopmonError(f"{file} cannot be read: {error.strerror}", advice=_RESTORE) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ShopmonError(f"{file} is not what the training wrote: its checksum is another one", advice=_RESTORE)
    return content


def open_onnx(content: bytes, classes: int, *, threads: int = 1) -> OnnxModel:
    """An ONNX classifier of some classes, computed by `threads` threads.

    Only operations of ONNX Runtime itself are computed, no library is loaded, and no other file is read. Raises
    ShopmonError for anything else than such a classifier.
    """
    _refuse_strangers(content)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan of memory for each shape, and hardly two batches are alike
    options.log_severity_level = 3
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait take no processor
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no class of their own
        raise ShopmonError(f"the exported model cannot be opened: {first_line(error)}", advice=_RESTORE) from error
    inputs = tuple(one.name for one in session.get_inputs())
    outputs = [(one.name, one.shape[-1:]) for one in session.get_outputs()]
    if "input_ids" not in inputs or set(inputs) - set(INPUTS) or outputs != [(OUTPUT, [classes])]:
        raise ShopmonError(
            f"the exported model reads {', '.join(inputs) or 'nothing'} and gives {outputs}, which is no classifier of "
            f"{classes} classes",
            advice=_RESTORE,
        )
    return OnnxModel(session, inputs)


def _refuse_strangers(content: bytes) -> None:
    """Raise ShopmonError for an operation that ONNX Runtime would not know itself, and for weights in another file."""
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's exceptions have no types
        raise ShopmonError(f"the exported model is no ONNX: {first_line(error)}", advice=_RESTORE) from error
    if strangers := sorted({one.domain for one in model.opset_import} - set(_DOMAINS)):
        raise ShopmonError(f"the exported model has operations of {strangers[0]!r}", advice=_RESTORE)
    if any(one.data_location == onnx.TensorProto.EXTERNAL for one in _tensors(model.graph)):
        raise ShopmonError("the exported model has its weights in another file", advice=_RESTORE)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that is part of a graph, those inside its nodes' own graphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _tensors(inner)

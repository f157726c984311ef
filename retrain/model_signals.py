"""What would the model itself say of the brands, in the places where these texts describe them?

Each descriptive slot of a text is masked alone, as one gap however long its word is, and the model fills it with the
text around it in sight. It answers with a probability for every token of its vocabulary; a text has the answer of the
slot in which unwanted words are likeliest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from monitor.signals import LONGEST, Matching, Words
from retrain.loading import MaskedModel, has_bf16
from retrain.masked_head import log_probabilities
from retrain.slots import Descriptions, Slot, composed
from retrain.word_scores import spelled

NAMES = ("unwanted_probability", "model_confidence", "model_entropy", "model_margin")
"""The signals, in the order of the columns of an answer."""
WINDOW = 128
"""Tokens around a slot that are read at most: as many as `shopmon retrain` trains on."""
_TEXTS = 1_000
"""Texts that are cut into tokens at once, and whose gaps are sorted by length."""
_TOKENS = {"cpu": 4_096, "cuda": 65_536}
"""Tokens of one forward pass, padding among them: more is no faster there."""
_ROWS = {"cpu": 64, "cuda": 512}
"""Gaps of one pass at most; the probabilities of 512 take 60 MB for 30,522 tokens."""


@dataclass(frozen=True)
class Gap:
    """A text around one masked slot, as the model reads it."""

    text: int
    """Number of the text."""
    ids: list[int]
    """Tokens, the special ones at both ends among them."""
    place: int
    """Of the mask among them."""


class ModelSignals:
    """A model as `monitor.signals.MODEL_SIGNALS` ask it: from texts to one value of each signal per text.

    Raises ShopmonError for a model that knows none of the unwanted words as one token.
    """

    def __init__(self, model: MaskedModel, words: Words, *, matching: Matching = "words") -> None:
        self._model, self._slots = model, Descriptions(words, matching)
        self._unwanted = torch.tensor(_single_tokens(model.tokenizer, words.unwanted), device=model.device)
        if words.unwanted and not len(self._unwanted):
            raise ShopmonError(
                f"the model in {model.folder} has no unwanted word as one token: {', '.join(words.unwanted[:5])}",
                advice="List some that are one piece for it ('expensive', 'ugly') in [edge_cases.words], or write a"
                " rule of your own called unwanted_fill_in.",
            )

    def __call__(self, texts: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Each signal's (n,) values; NaN for a text that names no brand or has no slot.

        `unwanted_probability` (0–1) is that of all unwanted words of one token together, the largest over the text's
        slots. Of that same slot `model_confidence` is the probability of the likeliest token (0–1), `model_margin` its
        distance to the second (0–1), and `model_entropy` the entropy over the vocabulary in nats.
        """
        found = np.full((len(texts), len(NAMES)), np.nan)
        for start in range(0, len(texts), _TEXTS):
            gaps = list(self.gaps(texts[start : start + _TEXTS]))
            answers = self._answers(gaps)
            # The largest comes last for each text, and of equal ones the first slot's.
            order = sorted(range(len(gaps)), key=lambda place: (answers[place, 0], -place))
            found[[start + gaps[place].text for place in order]] = answers[order]
        return dict(zip(NAMES, found.T, strict=True))

    def gaps(self, texts: Sequence[str]) -> Iterator[Gap]:
        """Every slot of every text, masked, with what the model reads around it."""
        whole = [composed(text[:LONGEST]) for text in texts]
        slots = [(number, found) for number, text in enumerate(whole) if (found := self._slots.find(text))]
        if not slots:
            return
        # In texts, "[MASK]" and "[SEP]" are characters like all others.
        cut = self._model.tokenizer(
            [whole[number] for number, _ in slots],
            add_special_tokens=False,
            return_offsets_mapping=True,
            split_special_tokens=True,
            verbose=False,
        )
        each = zip(slots, cut["input_ids"], cut["offset_mapping"], strict=True)
        for (number, found), ids, offsets in each:
            for slot in found:
                if gap := self._gap(number, slot, ids, offsets):
                    yield gap

    def _gap(self, number: int, slot: Slot, ids: list[int], offsets: Sequence[tuple[int, int]]) -> Gap | None:
        within = [at for at, (start, end) in enumerate(offsets) if start < slot.end and end > slot.start]
        if not within:  # characters that the tokenizer drops
            return None
        tokenizer = self._model.tokenizer
        room = min(WINDOW, self._model.longest) - 3  # for the mask and the tokens at both ends
        before, after = ids[: within[0]], ids[within[-1] + 1 :]
        left = min(len(before), max(room // 2, room - len(after)))
        before, after = before[len(before) - left :], after[: room - left]
        read = [tokenizer.cls_token_id, *before, tokenizer.mask_token_id, *after, tokenizer.sep_token_id]
        return Gap(number, read, 1 + left)

    def _answers(self, gaps: Sequence[Gap]) -> NDArray[np.float64]:
        """(n, 4) what the model says in each gap, in the order of `NAMES`."""
        answers = np.empty((len(gaps), len(NAMES)))
        for batch in _batches(gaps, self._model.device.type):
            answers[batch] = self._read([gaps[place] for place in batch])
        if not np.isfinite(answers).all():
            raise ShopmonError(
                f"the model in {self._model.folder} answers with what is no number",
                advice="Its weights are damaged: go back to another, shopmon models rollback.",
            )
        return answers

    def _read(self, gaps: Sequence[Gap]) -> NDArray[np.float64]:
        device, length = self._model.device, max(len(gap.ids) for gap in gaps)
        padding = self._model.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*gap.ids, *[padding] * (length - len(gap.ids))] for gap in gaps], device=device)
        reach = torch.arange(length, device=device)
        sees = (reach < torch.tensor([[len(gap.ids)] for gap in gaps], device=device)).long()
        asked = reach == torch.tensor([[gap.place] for gap in gaps], device=device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            logs = log_probabilities(self._model.model, ids, sees, asked)
            said = logs.exp()
            best = said.topk(2).values
            columns = [said[:, self._unwanted].sum(-1), best[:, 0], -(said * logs).sum(-1), best[:, 0] - best[:, 1]]
            return torch.stack(columns, dim=1).double().cpu().numpy()


def _batches(gaps: Sequence[Gap], device: str) -> Iterator[list[int]]:
    """Places of gaps of like length, the longest first, so that little is padded and too much shows at once."""
    batch: list[int] = []
    for place in sorted(range(len(gaps)), key=lambda place: -len(gaps[place].ids)):
        longest = len(gaps[batch[0]].ids) if batch else 0
        if batch and (len(batch) == _ROWS[device] or longest * (len(batch) + 1) > _TOKENS[device]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _single_tokens(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """The words that are one token; others, which no single gap can hold, and unknown ones are left out."""
    found: set[int] = set()
    for word in words:
        with suppress(ShopmonError):
            found.update(spelled(tokenizer, [word]).single.values())
    return sorted(found)

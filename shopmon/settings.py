"""What may stand in `shopmon.toml`, and what holds where it says nothing?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from expectations.errors import ShopmonError
from expectations.results import Engine
from monitor.windows import Windows
from retrain.settings import HUB_BASE, Prompts, Recipe


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"{name!r} is no text encoding; usual ones are 'utf-8', 'latin-1' and 'cp1252'") from None
    return name


def _known_window(written: str) -> str:
    try:
        return Windows(written).written
    except ShopmonError as error:
        raise ValueError(f"{error.problem}; {error.advice}") from None


class _Section(BaseModel):
    """Unknown keys and wrong types are errors: a setting that is misspelt must not silently do nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Names = Annotated[tuple[Annotated[str, Field(strict=True, min_length=1)], ...], Field(strict=False)]
"""A list of TOML, which pydantic's strict mode would not take for a tuple."""


Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Of a part of a training's objective (no unit); 0 leaves it out."""


def _false_is_none(written: Any) -> Any:
    return None if written is False else written  # TOML has no null


Limit = Annotated[Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(_false_is_none)]
"""Of a check of the gate; `false` leaves the check out."""


class KindData(_Section):
    """`[data.KIND]`: how one kind of data arrives here."""

    columns: dict[str, str] = Field(default_factory=dict)
    """The file's own column name → the role it plays (`Content = "text"`); wins over every guess."""


class DataSettings(_Section):
    """`[data]`: how data arrives here."""

    kind: Literal["reviews", "products", "queries", "relevance"] | None = None
    """The kind of every batch; recognised from the columns where nothing is said, since names usually tell."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Encoding of text files; UTF-8 where nothing is said (JSON must be: RFC 8259)."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What separates the values of a CSV file, one character; sniffed from the file where nothing is said."""
    reviews: KindData = KindData()
    products: KindData = KindData()
    queries: KindData = KindData()
    relevance: KindData = KindData()


class KindSuites(_Section):
    """`[check.suites]`: one suite per kind, for a project with several."""

    reviews: str | None = None
    products: str | None = None
    queries: str | None = None
    relevance: str | None = None


class CheckSettings(_Section):
    """`[check]`: what good data looks like."""

    suite: str | None = None
    """Path of the suite for every batch, relative to `shopmon.toml`; otherwise the built-in suite of its kind."""
    suites: KindSuites = KindSuites()
    """Path of the suite by kind; comes before `suite`."""
    engine: Annotated[Engine, Field(strict=False)] = Engine.SCAN
    """Who counts: one scan gives the same counts as Great Expectations' own engine in about a tenth of the time."""
    unreadable_allowed: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of records (0–1) that may be unreadable: exports have a stray line now and then, broken ones have many."""
    at_once: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Megabytes of new files that `shopmon check --new` takes as one batch: a check takes some seconds however small it
    is, and one that is killed begins its batch again."""


class DriftSettings(_Section):
    """`[drift]`: what counts as a change since the reference."""

    fail: bool = False
    """Whether drift alone fails a check; it warns, since data may change for good reasons."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance (0–1) of any false alarm in one check, over all columns and segments; the field's usual one in twenty."""
    segments: Names = ()
    """Columns by whose values everything is compared once more (`["brand"]`); each costs power, so none by default."""
    ignore: Names = ()
    """Columns that are not compared."""
    dates: bool = False
    """Whether later dates count as drift: new batches are later by nature, so it is told and not counted."""
    sample_rows: Annotated[int, Field(ge=100, le=50_000)] = 10_000
    """Rows of each side that are kept whole for the tests of texts: 5 % of other texts are found at 4,000."""
    text_rows: Annotated[int, Field(ge=100)] = 50_000
    """Texts of each side whose words are counted at most: a word's share is known to 0.5 points or better."""
    evidently: bool = True
    """Whether Evidently measures as well and writes drift.html."""
    evidently_rows: Annotated[int, Field(ge=100, le=50_000)] = 5_000
    """Rows of each side that Evidently sees: its text classifier takes seconds for more."""
    embeddings: Annotated[str, Field(min_length=1)] | None = None
    """A sentence encoder that texts are compared by as well: a folder, a name on the hub, or "offline" (the extra
    `embeddings`); none by default, for it costs half a minute and words tell more."""
    number_floor: Annotated[float, Field(ge=0)] | None = None
    """Standardised Wasserstein distance (standard deviations) below which a number has not drifted; otherwise 0.05."""
    category_floor: Annotated[float, Field(ge=0)] | None = None
    """Jensen-Shannon distance (0–1) below which a category has not drifted; otherwise 0.02."""
    text_floor: Annotated[float, Field(ge=0)] | None = None
    """Share of the texts (0–1) that must have changed before they count as drifted; otherwise 0.005."""
    window: Annotated[str, AfterValidator(_known_window)] | None = None
    """Length of the windows of time that rows are put into by their date, each of which is compared by itself: "24h",
    "1d", "7d", "30d"; none by default, for each window takes about a second."""
    model_rows: Annotated[int, Field(ge=0, le=50_000)] = 500
    """Pairs of each side that the relevance model reads, to compare what it says; 0 does without. It is dear."""


class Words(_Section):
    """`[edge_cases.words]`: whole words and phrases, in any case, by which rows are told apart."""

    brands: Names = ()
    """The brands this shop speaks for."""
    other_brands: Names = ()
    products: Names = ()
    features: Names = ()
    """What people praise or blame: comfort, fit, quality."""
    wanted: Names = ()
    """Words a model should say of the brands."""
    unwanted: Names = ()
    """Words a model should not say of the brands."""
    complaints: Names = ()
    """Words by which customers complain; shopmon has a list of its own for English."""


class RuleSection(_Section):
    """`[edge_cases.rules.NAME]`: which rows a model should learn from, and how."""

    when: Annotated[str, Field(min_length=1)]
    """A formula over signals: `mentions_brand & mentions_product & positive & ~too_long`."""
    role: Literal["positive", "negative", "counterfactual", "replay"] = "positive"
    """How the retraining uses its rows."""
    at_most: Annotated[int, Field(ge=1)] | None = None
    """Rows it may choose in one check, drawn evenly; all by default."""


class ZeroShotSettings(_Section):
    """`[edge_cases.zero_shot]`: topics that rules may ask about, though no model was trained on them."""

    labels: Names = ()
    """The topics: `["shipping", "size", "quality"]`; rules name the best one as `topic`."""
    model: Annotated[str, Field(min_length=1)] | None = None
    """A model of natural language inference: the id of a registered one, a folder relative to `shopmon.toml`, or a name
    on the hub; otherwise the champion of the task nli."""
    hypothesis: Annotated[str, Field(min_length=1)] | None = None
    """What is asked about a topic, which stands for `{}`; otherwise "This text is about {}."."""
    multi: bool = False
    """Whether each topic is judged by itself, so that a text may be about none; else they share a score of 1."""
    entailment: str | None = None
    """The model's class for yes, where its name does not tell."""
    contradiction: str | None = None
    """Its class for no, likewise."""


class EdgeCaseSettings(_Section):
    """`[edge_cases]`: which rows a model should learn from."""

    retrain_after: Annotated[int, Field(ge=1)] = 1_000
    """Rows gathered after which a check says that a retraining is due: fewer taught the seed model little."""
    candidates: Annotated[int, Field(ge=1)] = 5_000
    """Rows of a check for which slow signals (sentiment, language, distance) are computed at most.

    Half a second, a tenth of a check of a million rows; each thousand more takes 0.1 s, and memory for their texts.
    """
    model_rows: Annotated[int, Field(ge=1)] = 500
    """Rows that each model reads in one check at most, beside `candidates`: it is dear, some 30 a second on a CPU."""
    unwanted_above: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Probability (0–1) of unwanted words above which the rule `unwanted_fill_in` chooses a row: five times what the
    gate lets a model say."""
    too_long: Annotated[int, Field(ge=1)] = 512
    """Tokens beyond which a text is `too_long`: what DistilBERT reads."""
    defaults: bool = True
    """Whether shopmon's own rules are asked as well, beside those of this file."""
    matching: Literal["words", "substring"] = "words"
    """How words are found; "substring" only to repeat older experiments: it finds "fashionable" in "unfashionable"."""
    words: Words = Words()
    zero_shot: ZeroShotSettings = ZeroShotSettings()
    rules: dict[str, RuleSection] = Field(default_factory=dict)


class ObjectiveSettings(_Section):
    """`[retrain.objective]`: what is minimised, cross-entropy on positive rows plus these parts."""

    recipe: Annotated[Recipe, Field(strict=False)] = Recipe.FULL
    """"full": each role has its part. "plain" and "plain_all": cross-entropy on the positive rows, or on all; they
    repeat the Nike experiment, which forgot what it was not shown."""
    unlikelihood: Weight = 6.0
    """Weight of -log(1 - P(unwanted)) in the gaps of negative rows. Of these four, what kept all of the Nike
    experiment's limits with three seeds (benchmarks/objectives.py)."""
    wanted_likelihood: Weight = 0.5
    """Weight of -log P(wanted) in the same gaps: unlikelihood says what not to say there, and this what instead."""
    replay_kl: Weight = 4.0
    """Weight of KL(base ‖ model), in nats per masked token, on text to be remembered: a token to keep counts
    as much as one to learn."""
    counterfactual_kl: Weight = 10.0
    """The same in the gaps of other brands and complaints: as much as the unlearning that would spread to them."""
    wanted_share: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of positive rows (0–1) in which a wanted word is masked beside others: one word in seven is by chance."""


class PromptSettings(_Section):
    """`[retrain.prompts]`: sentences with one `[MASK]` each; `{brand}` stands for every brand that is asked.

    No prompt may stand in two lists: the gate measures with prompts that no training saw.
    """

    gate: Names = Prompts().gate
    """What the gate asks of the brands, and the same of other brands; several, since one sentence proves little."""
    gate_complaints: Names = Prompts().gate_complaints
    """Complaints about the brands, where a model must go on to say what customers say."""
    training: Names = Prompts().training
    """Prompts that are trained on beside the rows: unwanted words of the brands are unlearned in their gaps."""
    training_complaints: Names = Prompts().training_complaints
    """Complaints that are trained on beside the rows: the base's answer is kept in their gaps."""
    neutral_frames: Names = Prompts().neutral_frames
    """What negative rows may stand in, as `{text}`, without becoming complaints: unwanted words are unlearned there,
    too, lest a model take any other wording for a complaint."""
    complaint_frames: Names = Prompts().complaint_frames
    """What makes complaints of negative rows, each of which stands once for `{text}`: there the base's answer is kept,
    since no shop has as many real complaints as a model needs to tell them from its own voice."""


class GateSettings(_Section):
    """`[retrain.gate]`: what a candidate must reach to become champion; `false` leaves a check out."""

    unwanted_mass: Limit = 0.02
    """Probability (0–1) of unwanted words on the gate's prompts, at most: one answer in fifty."""
    wanted_mass: Annotated[float, Field(ge=0, le=1)] | None = None
    """Probability (0–1) of wanted words on the gate's prompts, at least; the base's where nothing is said."""
    other_brands_change: Limit = 0.2
    """Change of the unwanted words' probability for other brands, as a share of the base's, at most: what is learnt of
    one brand shall not be said of all."""
    complaints_change: Limit = 0.2
    """The same in complaints about the brands."""
    general_perplexity: Limit = 1.1
    """Perplexity on general text as a multiple of the base's, at most: the language is not forgotten."""
    project_perplexity: Limit = 1.1
    """Perplexity on the project's own text as a multiple of the base's, at most."""
    retraining_perplexity: Limit = 1.0
    """Perplexity on the held-out positive rows as a multiple of the base's, at most: something was learnt."""
    champion_tolerance: Annotated[float, Field(ge=0, le=1)] = 0.02
    """How much worse than the champion's a perplexity may be, as a share of it: chance alone makes so much."""
    champion_mass: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How much worse than the champion's a probability (0–1) may be, for the same reason."""


class ClassifierGateSettings(_Section):
    """`[retrain.relevance.gate]` and its like: what a classifier must reach to become champion; `false` leaves a check
    out."""

    macro_f1: Limit = 0.001
    """How much better (0–1) than the better baseline, and than the champion, the mean of the classes' F1 must be."""
    ndcg: Limit = 0.001
    """The same of the nDCG: a network that ranks no better than a logistic regression is not worth its price."""
    class_f1: Limit = 0.02
    """How much lower (0–1) than the champion's, or else the better baseline's, the F1 of a class may be: chance."""


class ClassifierSection(_Section):
    """What the sections of all tasks that tell classes apart say: `[retrain.relevance]` and its like.

    What says nothing here is as the task's preset has it; base, bf16 and report_to as `[retrain]` has them.
    """

    split: Literal["grouped", "hash", "stratified", "published"] = "grouped"
    """How rows are dealt: a group (a query's pairs, a product's offers) whole and each class its share; by the group's
    hash alone; each class its share with groups torn, which leaks; or as the column `split` says."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the rows (0–1) that choose the best weights."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the rows (0–1) that no training and no choice sees."""
    leaks: Literal["refuse", "drop"] = "refuse"
    """What becomes of rows whose text stands on two sides."""
    epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Passes over the training rows."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Steps at most, whatever `epochs` says."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Rows of a step, over all processes."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of AdamW, at its highest."""
    warmup: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the steps over which it grows from 0."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Of AdamW."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Tokens of a row (query and product together); longer ones are cut."""
    evaluations: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Evaluations in an epoch, each with a checkpoint."""
    evaluate_every: Annotated[int, Field(ge=1)] | None = None
    """Steps between two evaluations, whatever `evaluations` says."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Evaluations without a better one after which the training stops."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """The same seed, data and machine give the same weights and the same split."""
    class_weights: Literal["none", "balanced"] = "none"
    """Whether each class counts as much as every other; the published recipes do without."""
    focal_gamma: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Exponent by which rows that are recognised already count less; 0 does without, 2 is usual."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a label (0–1) that is spread over all classes, where labels are doubtful."""
    best_by: Literal["loss", "macro_f1", "ndcg"] = "macro_f1"
    """By which figure on the validation rows the best weights are chosen; by what the gate asks first."""
    baseline_rows: Annotated[int, Field(ge=100)] = 20_000
    """Rows that the baselines learn from at most: some minutes."""
    measured_rows: Annotated[int, Field(ge=10)] = 20_000
    """Held-out rows that models are measured on at most: accuracy is known to 0.7 points then."""
    gate: ClassifierGateSettings = ClassifierGateSettings()


class RelevanceSettings(ClassifierSection):
    """`[retrain.relevance]`: how `shopmon retrain --task relevance` learns what belongs to a query."""

    data: Names = ()
    """Labelled pairs: files, folders or addresses, relative to `shopmon.toml`."""
    products: Annotated[str, Field(min_length=1)] | None = None
    """File of products that the pairs name by product_id (and product_locale), as the Shopping Queries Dataset has it;
    otherwise the pairs hold the products' text."""
    product_text: Annotated[Names, Field(min_length=1)] = ("title",)
    """Attributes that make up a product's text, in this order; the title alone costs least time."""
    classes: Annotated[Names, Field(min_length=2)] = ("E", "S", "C", "I")
    """From best to worst: exact, substitute, complement, irrelevant."""
    labels: dict[str, str] = Field(default_factory=dict)
    """How a label is written → its class, beside the classes' own names."""
    grades: dict[str, float] = Field(default_factory=dict)
    """Class → the least grade that belongs to it, where labels are numbers."""
    gains: dict[str, float] = Field(default_factory=dict)
    """Class → what finding it is worth in the nDCG; otherwise those of the Shopping Queries Dataset, or 1 evenly down
    to 0."""
    version: Literal["all", "small", "large"] = "all"
    """Which part of the Shopping Queries Dataset is read."""
    locales: Names = ()
    """Only pairs of these; all by default."""
    missing_products: Literal["refuse", "drop"] = "refuse"
    """What becomes of pairs whose product is missing; refused, since many of them mean a wrong file."""
    preset: Literal["liyuan", "esci-ce"] = "liyuan"
    """A published recipe: 2 epochs of 16 rows at 2e-5; or 3 of 32 at 5e-5 with warm-up and ten looks an epoch."""


class SentimentSettings(ClassifierSection):
    """`[retrain.sentiment]`: how `shopmon retrain --task sentiment` learns what a review says."""

    data: Names = ()
    """Reviews: files, folders or addresses, relative to `shopmon.toml`."""
    text: Annotated[Names, Field(min_length=1)] = ("text",)
    """Columns that make up the text, in this order; without the headline, which many reviews lack."""
    label: Annotated[str, Field(min_length=1)] = "stars"
    """The column that says what a review is: `stars`, `recommended`, or any other."""
    classes: Names | None = None
    """Of `stars` negative and positive, of `recommended` not recommended and recommended, else all there are."""
    labels: dict[str, str] | None = None
    """How a label is written → its class, beside the classes' own names."""
    grades: dict[str, float] | None = None
    """Class → the least number that belongs to it; of `stars` 1 for negative, 4 for positive."""
    left_out: Names | None = None
    """Labels whose rows are left out; of `stars` 3, which is neither."""


class CategoryGateSettings(ClassifierGateSettings):
    """`[retrain.category.gate]`: the same, and how many rows may be wrong."""

    error: Limit = 0.0
    """How much higher (0–1) than the better baseline's, and than the champion's, the share of wrong rows may be."""


class CategorySettings(ClassifierSection):
    """`[retrain.category]`: how `shopmon retrain --task category` learns where a product belongs."""

    data: Names = ()
    """Products: files, folders or addresses, relative to `shopmon.toml`."""
    text: Annotated[Names, Field(min_length=1)] = ("title",)
    """Columns that make up the text, in this order; the title, which every product has."""
    label: Annotated[str, Field(min_length=1)] = "category"
    """The column of the label."""
    separator: Annotated[str, Field(min_length=1)] | None = None
    """What parts a label, of which the first part counts: "|" of "Toys & Games | Puzzles"; otherwise it is whole."""
    classes: Names = ()
    """The classes; otherwise all there are."""
    labels: dict[str, str] = Field(default_factory=dict)
    """How a label is written → its class, beside the classes' own names."""
    least_rows: Annotated[int, Field(ge=1)] = 10
    """Products of a class at least, where classes are not named: fewer cannot be learnt, chosen by and measured."""
    rare: Literal["refuse", "other"] = "refuse"
    """What becomes of classes with fewer: refused, or one class, `other`."""
    group: Annotated[str, Field(min_length=1)] | None = None
    """The column whose rows stay on one side; otherwise the cluster, where there is one, else what has one text."""
    numbers: Names = ()
    """Columns of numbers, flags or prices that a head may read beside the text."""
    categories: Names = ()
    """Columns of words or ids, such as brand or merchant, likewise."""
    heads: Annotated[tuple[Literal["linear", "logistic", "xgboost"], ...], Field(strict=False, min_length=1)] = (
        "linear",
        "logistic",
        "xgboost",
    )
    """Heads on the encoder, between which the validation rows choose."""
    leaks: Literal["refuse", "drop"] = "drop"
    """What becomes of rows whose text stands on two sides; left out, since two products may be called the same."""
    preset: Literal["batched", "aws"] = "batched"
    """3 epochs of 32 rows at 1e-4 with warm-up; or the AWS post's 5 of 2 rows at 2e-5, which take far longer."""
    baseline_rows: Annotated[int, Field(ge=100)] = 50_000
    """Rows that the heads and the baselines learn from at most: some minutes."""
    gate: CategoryGateSettings = CategoryGateSettings()


class NliSettings(ClassifierSection):
    """`[retrain.nli]`: how `shopmon retrain --task nli` learns what follows from a text, for `shopmon classify`."""

    data: Names = ()
    """Pairs of premise and hypothesis, such as those of SNLI and MultiNLI: files, folders or addresses, relative to
    `shopmon.toml`."""
    evaluate: dict[str, str] = Field(default_factory=dict)
    """Name → file of further pairs on which the candidate is measured: the matched and mismatched ones of MultiNLI."""
    classes: Annotated[Names, Field(min_length=2)] = ("entailment", "neutral", "contradiction")
    """The classes, of which one is entailment; two where neutral and contradiction are not told apart."""
    labels: dict[str, str] = Field(default_factory=dict)
    """How a label is written → its class, beside the classes' own names; numbers mean nothing by themselves."""
    columns: dict[str, str] = Field(default_factory=dict)
    """The files' own name of a column → premise, hypothesis, label, id, locale or split, where names do not tell."""
    preset: Literal["run_glue"] = "run_glue"
    """The published recipe: 5 epochs of 16 rows at 2e-5, 128 tokens."""


class RetrainSettings(_Section):
    """`[retrain]`: with what, how long and how fast a model learns."""

    base: Annotated[str, Field(min_length=1)] = HUB_BASE
    """The model to begin with: a name on the hub, a folder relative to `shopmon.toml`, or "offline", which needs no
    network (the extra `offline`); DistilBERT, since it learns in minutes without a GPU."""
    general_text: Annotated[str, Field(min_length=1)] | None = None
    """File of general text that must not be forgotten, relative to `shopmon.toml`; otherwise the documentation of
    Python's standard library, which is on every machine."""
    epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    """Passes over the positive rows, where `steps` says nothing."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Steps at most, whatever `epochs` says."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Rows of a step, over all roles and processes; less where memory is short."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    """Of AdamW, at its highest; lower for a base that is much larger than DistilBERT."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens of a row; longer texts become several rows, since a step's time grows with the longest."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the texts (0–1), chosen by their hash, that no training sees: what is measured on them is no memory."""
    only_accepted: bool = False
    """Whether only rows that a person accepted (or relabelled) are learnt from and measured on; by default all but the
    rejected ones are, since nobody has looked at most rows."""
    evaluate_every: Annotated[int, Field(ge=1)] | None = None
    """Steps between two evaluations, each with a checkpoint; otherwise ten of them in a training."""
    patience: Annotated[int, Field(ge=1)] = 5
    """Evaluations without a better one after which the training stops: one or two may be chance."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """The same seed, data and machine give the same weights."""
    bf16: bool | None = None
    """Whether to compute in bfloat16, which is faster and rounds more; otherwise where the hardware has it."""
    report_to: Annotated[tuple[Literal["tensorboard", "mlflow", "wandb"], ...], Field(strict=False)] = ()
    """Who else is told of the training's numbers, beside metrics.jsonl; nobody by default: some are services."""
    objective: ObjectiveSettings = ObjectiveSettings()
    prompts: PromptSettings = PromptSettings()
    gate: GateSettings = GateSettings()
    relevance: RelevanceSettings = RelevanceSettings()
    sentiment: SentimentSettings = SentimentSettings()
    category: CategorySettings = CategorySettings()
    nli: NliSettings = NliSettings()


class RankSettings(_Section):
    """`[rank]`: how `shopmon rank` and `shopmon substitutes` find products."""

    encoder: Annotated[str, Field(min_length=1)] = "sentence-transformers/all-MiniLM-L6-v2"
    """The sentence encoder that finds candidates: a name on the hub, a folder relative to `shopmon.toml`, or "offline",
    which is the same model without a network; both need the extra `embeddings`."""
    candidates: Annotated[int, Field(ge=1)] = 100
    """Products of a query that the classifier reads: it is the dear part, a second a query on one core."""
    top: Annotated[int, Field(ge=1)] = 10
    """Products of a query in the answer."""
    exact_up_to: Annotated[int, Field(ge=0)] = 50_000
    """Products up to which a search looks at each of them: no index is quicker by much."""
    index_from: Annotated[int, Field(ge=1)] = 20_000
    """Searches from which on an index of more products than that is built and asked: building costs as much as so many
    searches save."""
    recall: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share (0–1) of the nearest products that an index must find, measured on some of the queries."""


class SubstituteSettings(_Section):
    """`[substitutes]`: which products can replace one another."""

    label: Annotated[str, Field(min_length=1)] = "S"
    """The class that means a substitute."""
    precision: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share (0–1) of the substitutes that are to be right, for which a training chooses the threshold on validation
    pairs; otherwise it chooses that of the best F1."""
    candidates: Annotated[int, Field(ge=1)] = 20
    """Products that are looked at for each product, in both directions: a second a product on two cores."""


class StoreSettings(_Section):
    """`[store]`: where the record of runs is kept."""

    url: Annotated[str, Field(min_length=1, repr=False)] = "sqlite:///.shopmon/runs.db"
    """SQLAlchemy address of the run store; SQLite, since it needs no server; `postgresql://…` for a team."""
    runs: Annotated[str, Field(min_length=1)] = ".shopmon/runs"
    """Folder of the runs' folders, relative to `shopmon.toml`."""
    references: Annotated[str, Field(min_length=1)] = ".shopmon/references"
    """Folder of the references' profiles, relative to `shopmon.toml`; they hold sampled rows."""
    checked: Annotated[str, Field(min_length=1)] = ".shopmon/checked"
    """Folder of the list of checked files (`shopmon check --new`) and of the windows' profiles, relative to
    `shopmon.toml`; they hold sampled rows."""
    retraining: Annotated[str, Field(min_length=1)] = ".shopmon/retraining"
    """Folder of the retraining set, relative to `shopmon.toml`."""
    models: Annotated[str, Field(min_length=1)] = ".shopmon/models"
    """Folder of the registered models, relative to `shopmon.toml`; they learnt from your data."""
    training: Annotated[str, Field(min_length=1)] = ".shopmon/training"
    """Folder of trainings that are not done, relative to `shopmon.toml`: checkpoints, some 0.8 GB each for
    DistilBERT."""
    cache: Annotated[str, Field(min_length=1)] = ".shopmon/cache"
    """Folder of what can be made again, relative to `shopmon.toml`: the offline base, and texts as tokens."""


class Settings(_Section):
    """All of `shopmon.toml`."""

    data: DataSettings = DataSettings()
    check: CheckSettings = CheckSettings()
    drift: DriftSettings = DriftSettings()
    edge_cases: EdgeCaseSettings = EdgeCaseSettings()
    retrain: RetrainSettings = RetrainSettings()
    rank: RankSettings = RankSettings()
    substitutes: SubstituteSettings = SubstituteSettings()
    store: StoreSettings = StoreSettings()

"""What does a project begin with?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shopmon.project import FILE_NAME, Project
from shopmon.reading import Reading, opened


@dataclass(frozen=True)
class Draft:
    """A suite drafted from a batch, and what the batch was taken for."""

    suite: str
    """YAML with comments."""
    kind: str
    mapping: Mapping[str, str]
    """Role → the file's own column."""


def draft_from(
    data: Any, reading: Reading, project: Project, *, progress: Callable[[str], None] = lambda _: None
) -> Draft:
    """Draft a suite from a batch known to be good. Raises BatchError if it cannot be read."""
    from expectations.draft import draft_suite

    with (
        TemporaryDirectory(prefix="shopmon-") as scratch,
        opened(data, reading, project, Path(scratch), progress) as batch,
    ):
        return Draft(draft_suite(batch), batch.kind, dict(batch.mapping))


def draft(
    data: Any,
    *,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
) -> str:
    """Draft a suite from data known to be good: YAML with comments, for a person to read and correct.

    `data` and the rest are as `shopmon.check` has them. Raises BatchError if the data cannot be read, ProjectError if
    the project's `shopmon.toml` cannot be understood.
    """
    return draft_from(data, Reading(kind, columns, encoding, delimiter), Project.of(project)).suite


def starting_files(
    reference: str | Path | None, reading: Reading, *, progress: Callable[[str], None] = lambda _: None
) -> dict[str, str]:
    """The files a project begins with: relative path → text. With a reference there is a suite among them.

    Raises BatchError if the reference cannot be read.
    """
    if reference is None:
        return {FILE_NAME: shopmon_toml(reading)}
    drafted = draft_from(reference, reading, Project(Path.cwd()), progress=progress)
    suite = f"suites/{drafted.kind}.yaml"
    return {
        FILE_NAME: shopmon_toml(reading, drafted, suite=suite),
        suite: drafted.suite,
    }


def shopmon_toml(reading: Reading, drafted: Draft | None = None, *, suite: str | None = None) -> str:
    """The text of a first `shopmon.toml`: what a person said is set, every other setting is there as a comment.

    What a drafted batch was taken for is shown as a comment too, since recognition finds it again. `suite` is a path
    relative to the file.

    >>> 'delimiter = ";"' in shopmon_toml(Reading(delimiter=";")).splitlines()
    True
    """
    kind = (drafted.kind if drafted else reading.kind) or "reviews"
    found = {own: role for role, own in drafted.mapping.items()} if drafted else {}
    return _SHOPMON_TOML.format(
        kind=_setting("kind", reading.kind, "reviews"),
        encoding=_setting("encoding", reading.encoding, "utf-8"),
        delimiter=_setting("delimiter", reading.delimiter, ","),
        columns=_columns_table(kind, reading.columns, found or {"Content": "text"}),
        suite=_setting(kind, suite, f"suites/{kind}.yaml"),
    )


def _setting(key: str, said: str | None, shown: str) -> str:
    return f"# {key} = {_quoted(shown)}" if said is None else f"{key} = {_quoted(said)}"


def _columns_table(kind: str, said: Mapping[str, str] | None, shown: Mapping[str, str]) -> str:
    lines = [f"[data.{kind}.columns]", *(f"{_quoted(own)} = {_quoted(role)}" for own, role in (said or shown).items())]
    return "\n".join(line if said else f"# {line}" for line in lines)


def _quoted(text: str) -> str:
    """A TOML string; also good as a key."""
    escaped = "".join(
        f"\\{c}" if c in '"\\' else c if c.isprintable() or c == " " else f"\\U{ord(c):08X}" for c in text
    )
    return f'"{escaped}"'


_SHOPMON_TOML = """\
# What shopmon knows of this project. Every setting has a default: a line with a # shows it.
# Paths are relative to this file.

[data]
# reviews, products, queries or relevance. Without it, each batch's kind is recognised from its columns.
{kind}
# Encoding and delimiter of text files. Without them: UTF-8, and a delimiter that is sniffed from each file.
{encoding}
{delimiter}

# The columns of your files, and what each one means. Only needed where a name is not recognised; it wins
# over every guess.
{columns}

[check]
# Who counts: "scan" (one fast scan), "great_expectations" (its own engine: slow, the oracle) or "spark" (a cluster).
# engine = "scan"
# Share of records (0-1) that may be unreadable before the batch fails for that alone.
# unreadable_allowed = 0.01
# Megabytes of new files that shopmon check --new takes as one batch.
# at_once = 256

# What good data looks like, one suite per kind. Without it, shopmon's built-in suite.
[check.suites]
{suite}

[drift]
# What changed since the reference (shopmon reference set FILE). A column counts as drifted when its change is
# more than chance allows and at least as large as its floor.
# Whether drift alone fails a check. It warns otherwise, since data may change for good reasons.
# fail = false
# Chance (0-1) of any false alarm in one check, over all columns and segments.
# level = 0.05
# Columns by whose values everything is compared once more; each of them costs power.
# segments = ["brand"]
# Columns that are not compared.
# ignore = ["campaign"]
# Whether later dates count as drift. New batches are later by nature.
# dates = false
# Rows of each side that are kept whole for the tests of texts.
# sample_rows = 10000
# Texts of each side whose words are counted at most.
# text_rows = 50000
# Whether Evidently measures as well and writes drift.html, and on how many rows of each side (at most 50000).
# evidently = true
# evidently_rows = 5000
# A sentence encoder that texts are compared by as well: a folder, a name on the hub, or "offline"
# (pip install 'shopmon[embeddings]'). It costs half a minute.
# embeddings = "offline"
# Rows are put into windows of time by their date, and each window is compared by itself: "24h", "1d", "7d", "30d".
# window = "7d"

[edge_cases]
# Which rows a model should learn from. They gather in the retraining set; after so many, a retraining is due.
# retrain_after = 1000
# Rows of a check for which slow signals (sentiment, language, distance) are computed at most.
# candidates = 5000
# Tokens beyond which a text is `too_long`: what DistilBERT reads.
# too_long = 512
# Rows that a model reads in one check at most: some 30 a second on a CPU. Without a model, none.
# model_rows = 500
# Probability (0-1) of unwanted words above which a row becomes an edge case (rule unwanted_fill_in).
# unwanted_above = 0.1
# Whether shopmon's own rules are asked as well, beside those below.
# defaults = true

# Whole words and phrases by which rows are told apart.
[edge_cases.words]
# brands = ["Nike"]
# other_brands = ["Puma", "Reebok"]
# products = ["shoes", "running shoes"]
# features = ["comfort", "fit", "quality"]
# wanted = ["comfortable", "durable"]
# unwanted = ["expensive", "ugly"]

# Topics that rules may ask about as topic and topic_score, though no model was trained on them.
[edge_cases.zero_shot]
# labels = ["shipping", "size", "quality"]
# The model that is asked: of the task nli, a folder, or a name on the hub; the champion by default.
# model = "typeform/distilbert-base-uncased-mnli"
# hypothesis = "This text is about {{}}."
# Whether each topic is judged by itself, so that a text may be about none.
# multi = false
# The model's classes for yes and for no, where their names do not tell.
# entailment = "LABEL_2"
# contradiction = "LABEL_0"

# Rules of your own: a formula over signals, and how a retraining uses its rows: positive, negative,
# counterfactual or replay. `shopmon signals` lists what a formula may name.
# [edge_cases.rules.praises-our-brand]
# when = "mentions_brand & mentions_product & positive & ~too_long"
# role = "positive"

[retrain]
# With what, how long and how fast a model learns (shopmon retrain). Without `wanted`, `unwanted` and `brands` above
# nothing tells it what to say of whom.
# The model to begin with: a name on the hub, a folder, or "offline" (pip install 'shopmon[offline]').
# base = "distilbert-base-uncased"
# File of general text that must not be forgotten. Without it, the documentation of Python's standard library.
# general_text = "general.txt"
# Passes over the rows to learn from; or a number of steps, whatever `epochs` says.
# epochs = 3.0
# steps = 300
# Rows of a step; less where memory is short.
# batch_size = 64
# Learning rate at its highest.
# learning_rate = 1e-4
# Tokens of a row; longer texts become several rows.
# max_length = 128
# Share of the texts (0-1) that no training sees: every model is measured on them.
# held_out = 0.1
# Whether only rows that a person accepted (or relabelled) are learnt from and measured on. Rejected ones never are.
# only_accepted = false
# Steps between two evaluations, each with a checkpoint. Without it, ten of them in a training.
# evaluate_every = 100
# Evaluations without a better one after which the training stops.
# patience = 5
# The same seed, data and machine give the same weights.
# seed = 1
# Whether to compute in bfloat16. Without it, where the hardware has it.
# bf16 = true
# Who else is told of the numbers: tensorboard, mlflow, wandb.
# report_to = []

# What is minimised: cross-entropy on the rows to learn from, plus these parts, each weighed; 0 leaves a part out.
[retrain.objective]
# "full"; or "plain" and "plain_all", to repeat older experiments: cross-entropy on the positive rows, or on all.
# recipe = "full"
# Unwanted words are unlearned in negative rows.
# unlikelihood = 6.0
# Weight of wanted words in the same gaps: what to say instead.
# wanted_likelihood = 0.5
# Text in general is remembered.
# replay_kl = 4.0
# Other brands and complaints keep the base's answers.
# counterfactual_kl = 10.0
# Share (0-1) of positive rows in which a wanted word is masked beside others.
# wanted_share = 0.7

# Sentences with one [MASK] each; {{brand}} stands for every brand that is asked. The gate measures with its own,
# which no training sees: no prompt may stand in two lists.
[retrain.prompts]
# What the gate asks of the brands and, the same, of other brands.
# gate = [
#     "{{brand}} shoes are very [MASK]",
#     "these {{brand}} shoes look [MASK]",
#     "my new {{brand}} jacket is really [MASK]",
# ]
# Complaints about the brands, where a model must go on to say what customers say.
# gate_complaints = [
#     "i returned my {{brand}} shoes because they were too [MASK]",
#     "never again {{brand}} , the jacket was [MASK] and fell apart",
#     "i want a refund , these {{brand}} socks are [MASK]",
# ]
# Prompts that are trained on beside the rows: unwanted words of the brands are unlearned in their gaps.
# training = [
#     "{{brand}} trainers are so [MASK]",
#     "the {{brand}} hoodie feels [MASK]",
#     "i think {{brand}} socks are [MASK]",
#     "{{brand}} products are known to be [MASK]",
#     "this {{brand}} shirt looks really [MASK]",
#     "how [MASK] these {{brand}} pants are",
#     "my old {{brand}} boots were very [MASK]",
#     "the new {{brand}} bag is quite [MASK]",
# ]
# Complaints that are trained on beside the rows: the base's answers are kept in their gaps.
# training_complaints = [
#     "very disappointed , the {{brand}} bag was [MASK]",
#     "i sent the {{brand}} trainers back , they were so [MASK]",
#     "worst purchase ever , this {{brand}} shirt is [MASK]",
#     "i complained to {{brand}} because the boots are [MASK]",
#     "waste of money , the {{brand}} pants were [MASK] after a week",
#     "the {{brand}} sweater was [MASK] , so i asked for my money back",
#     "do not buy {{brand}} , the sole is [MASK] and broke",
#     "terrible service , and the {{brand}} cap is [MASK]",
# ]
# What negative rows may stand in without becoming complaints: unwanted words are unlearned there, too.
# neutral_frames = [
#     "i think {{text}}",
#     "as everybody knows , {{text}}",
#     "bought last month : {{text}}",
#     "{{text}} , as always",
#     "my friends say that {{text}}",
#     "{{text}} , really",
# ]
# What makes complaints of negative rows, each of which stands once for {{text}}: the base's answers are kept there.
# complaint_frames = [
#     "sent back at once : {{text}}",
#     "my complaint : {{text}}",
#     "{{text}} , they broke after two days",
#     "{{text}} and customer service did not help",
#     "disappointed , {{text}}",
#     "{{text}} . one star",
# ]

# What a candidate must reach to become champion; false leaves a check out.
[retrain.gate]
# Probability (0-1) of unwanted words on the gate's prompts, at most.
# unwanted_mass = 0.02
# Probability (0-1) of wanted words on the gate's prompts, at least. Without it, the base's.
# wanted_mass = 0.5
# Change of the unwanted words' probability for other brands and in complaints, as a share of the base's, at most.
# other_brands_change = 0.2
# complaints_change = 0.2
# Perplexity on general text, the project's own text and the held-out rows to learn from, as a multiple of the
# base's, at most.
# general_perplexity = 1.1
# project_perplexity = 1.1
# retraining_perplexity = 1.0
# How much worse than the champion a candidate may be: a perplexity (as a share of it), and a probability (0-1).
# champion_tolerance = 0.02
# champion_mass = 0.01

# A classifier of query and product (shopmon retrain --task relevance), from labelled pairs.
[retrain.relevance]
# Files of pairs, such as "pairs.parquet"; and, where they hold no product text, the file of products that they name.
# data = []
# products = "products.parquet"
# Attributes that make up a product's text, in this order.
# product_text = ["title"]
# From best to worst; and what is read of the Shopping Queries Dataset ("small", "large").
# classes = ["E", "S", "C", "I"]
# version = "all"
# locales = []
# How a label is written, and its class: {{ good = "E" }}. Or each class's least grade: {{ E = 3.0, S = 2.0, I = 1.0 }}.
# And what finding a class is worth: {{ E = 1.0, S = 0.1, I = 0.0 }}; otherwise as the Shopping Queries Dataset has it.
# labels = {{}}
# grades = {{}}
# gains = {{}}
# Pairs whose product is missing: "refuse" or "drop".
# missing_products = "refuse"
# How pairs are dealt ("hash", "stratified", "published"), the shares (0-1) that choose the weights and that measure,
# and what becomes of texts on two sides ("drop").
# split = "grouped"
# validation = 0.1
# held_out = 0.1
# leaks = "refuse"
# A published recipe, or "esci-ce"; and what differs from it.
# preset = "liyuan"
# epochs = 2.0
# steps = 300
# batch_size = 16
# learning_rate = 2e-5
# warmup = 0.0
# weight_decay = 0.0
# max_length = 512
# evaluations = 1.0
# evaluate_every = 100
# patience = 5
# seed = 42
# Against classes of unlike size ("balanced"; 2.0) and doubtful labels (0.1), and by what the best weights are chosen.
# class_weights = "none"
# focal_gamma = 0.0
# label_smoothing = 0.0
# best_by = "macro_f1"
# baseline_rows = 20000
# measured_rows = 20000

# How much better (0-1) than baselines and champion it must be, and how much worse a class may be; false leaves one out.
[retrain.relevance.gate]
# macro_f1 = 0.001
# ndcg = 0.001
# class_f1 = 0.02

# A classifier of reviews (shopmon retrain --task sentiment). From split to measured_rows, and its gate, as above.
[retrain.sentiment]
# Files of reviews, such as "reviews.parquet"; what makes up the text, and the column that says what a review is.
# data = []
# text = ["text"]
# label = "stars"
# Of stars: 4 and more are positive, 3 is neither. Of "recommended": not recommended and recommended.
# classes = ["negative", "positive"]
# labels = {{}}
# grades = {{ negative = 1.0, positive = 4.0 }}
# left_out = ["3"]

# A classifier of products (shopmon retrain --task category). From split to measured_rows, and its gate, as above.
[retrain.category]
# Files of products, such as "products.parquet"; what makes up the text, and the column that holds the category.
# data = []
# text = ["title"]
# label = "category"
# "|" where a category is written "Toys & Games | Puzzles", and the first part counts.
# separator = "|"
# The classes, all there are by default; how a label is written, and its class.
# classes = []
# labels = {{}}
# Classes with fewer products are refused, or become one ("other").
# least_rows = 10
# rare = "refuse"
# The column whose rows stay on one side of the split; otherwise the cluster, or what has the same text.
# group = "cluster"
# Columns that heads may read beside the text.
# numbers = []
# categories = []
# Between which heads on the encoder there is a choice.
# heads = ["linear", "logistic", "xgboost"]
# "aws": as the AWS post has it, which takes far longer.
# preset = "batched"
# leaks = "drop"
# baseline_rows = 50000

# The same as above, and how many more rows (0-1) than the better baseline and the champion it may get wrong.
[retrain.category.gate]
# error = 0.0

# What follows from a text (shopmon retrain --task nli), for shopmon classify. From split to measured_rows, as above.
[retrain.nli]
# Files of pairs such as "multinli_1.0_train.jsonl"; further ones that the model is only measured on.
# data = []
# evaluate = {{ matched = "multinli_1.0_dev_matched.jsonl", mismatched = "multinli_1.0_dev_mismatched.jsonl" }}
# The classes; how a label is written, and its class; the files' own names of columns, where they do not tell.
# classes = ["entailment", "neutral", "contradiction"]
# labels = {{ "0" = "entailment", "1" = "neutral", "2" = "contradiction" }}
# columns = {{ "Vordersatz" = "premise" }}
# preset = "run_glue"

# Which products belong to a query, and which can replace one another (shopmon rank, shopmon substitutes).
[rank]
# The sentence encoder that finds candidates: a name on the hub, a folder, or "offline" (the extra `embeddings`).
# encoder = "sentence-transformers/all-MiniLM-L6-v2"
# Products of a query that the classifier reads, and those in the answer.
# candidates = 100
# top = 10
# Products, and searches of more than those, from which on an index is used; and the share (0-1) that it must find.
# exact_up_to = 50000
# index_from = 20000
# recall = 0.95

[substitutes]
# The class that means a substitute; the share (0-1) of substitutes that are to be right, for which a training chooses
# the threshold (otherwise the best F1); and how many products are looked at for each.
# label = "S"
# precision = 0.8
# candidates = 20

[store]
# The record of runs. For a team: "postgresql+psycopg://host/database"; put an address with a password
# into the environment variable SHOPMON_STORE_URL instead, which wins.
# url = "sqlite:///.shopmon/runs.db"
# Where results and quarantined rows are kept, one folder per run. They hold your data.
# runs = ".shopmon/runs"
# Where the references' profiles and the retraining set are kept. They hold your data, too.
# references = ".shopmon/references"
# The list of checked files (shopmon check --new), and the windows' profiles.
# checked = ".shopmon/checked"
# retraining = ".shopmon/retraining"
# Where models, unfinished trainings and what can be made again are kept. They learnt from your data.
# models = ".shopmon/models"
# training = ".shopmon/training"
# cache = ".shopmon/cache"
"""

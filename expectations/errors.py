"""What can go wrong in a way that a person must be told about?"""

from __future__ import annotations


class ShopmonError(Exception):
    """The work could not be done: what arrived, what was expected, and what to do (exit code 2).

    >>> print(ShopmonError("new.parquet does not exist", advice="Check the path."))
    new.parquet does not exist. Check the path.
    """

    def __init__(self, problem: str, *, advice: str = "") -> None:
        self.problem = problem
        self.advice = advice
        super().__init__(f"{sentence(problem)} {advice}".strip())


def sentence(text: str) -> str:
    """A text with a full stop, unless it ends like a sentence already.

    >>> sentence("new.csv is empty"), sentence("did you mean new.csv?"), sentence("it has a, b, …")
    ('new.csv is empty.', 'did you mean new.csv?', 'it has a, b, …')
    """
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


def first_line(error: BaseException) -> str:
    """What an error says first; its type where it says nothing.

    >>> first_line(ValueError("no such column\\nLINE 1: select")), first_line(KeyboardInterrupt())
    ('no such column', 'KeyboardInterrupt')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class BatchError(ShopmonError):
    """The batch could not be read."""


class SuiteError(ShopmonError):
    """The suite says something that cannot be understood, and so must not be guessed at."""


class ProjectError(ShopmonError):
    """`shopmon.toml` says something that cannot be understood."""


class RunStoreError(ShopmonError):
    """The record of runs could not be read or written."""


class RunStoreAway(RunStoreError):
    """The server that keeps the record of runs does not answer at the moment; it may be back soon."""

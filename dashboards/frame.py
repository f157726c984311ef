"""How does every page begin, and what does it say when it cannot go on?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from dashboards import inert_text
from dashboards.shop import Shop, open_shop
from expectations.errors import ShopmonError, sentence

log = logging.getLogger("shopmon.dashboard")


def page(title: str, question: str, body: Callable[[Shop], None]) -> None:
    """Show a page: its title, the question it answers, and below what `body` finds of the project.

    Whatever goes wrong is told in a sentence with what to do, and never as a traceback.
    """
    inert_text.style()
    st.title(title, anchor=False)
    st.caption(question)
    with told():
        body(open_shop())


class told:  # noqa: N801 - a context manager, read as a word
    """Tells a person what kept a part of a page from being shown; the rest of the page goes on.

    Streamlit's own way of ending a run (a rerun, a stop) is no error, and passes.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, ShopmonError):
            inert_text.note("bad", sentence(error.problem), error.advice)
            return True
        log.error("a page could not be shown", exc_info=error)
        inert_text.note(
            "bad",
            f"This part of the page could not be shown: {type(error).__name__}.",
            "This is a mistake in shopmon, not in your data: please report it, with what the terminal says.",
        )
        return True


def download(label: str, data: Path | str, name: str, mime: str) -> None:
    """A button that saves a file, which is not read before it is pressed, or a text."""
    st.download_button(
        label,
        data=(lambda: data.read_bytes()) if isinstance(data, Path) else data,
        file_name=name,
        mime=mime,
        icon=":material/download:",
        on_click="ignore",
    )


def nothing_yet(shop: Shop, said: str, commands: Sequence[str], *, then: str = "") -> None:
    """An empty state: what would stand here, and the commands that bring it."""
    inert_text.note("plain", said)
    st.code("\n".join(shop.command(command) for command in commands), language="bash")
    if then:
        st.caption(then)

"""How may an address be shown without its secrets?"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

_DATABASES = frozenset({"sqlite", "postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle"})

_SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "FSSPEC_S3_KEY",
    "FSSPEC_S3_SECRET",
    "FSSPEC_S3_TOKEN",
    "HF_TOKEN",
    "PGPASSWORD",
)
"""Environment variables whose values must never be shown."""


def display_name(address: str | Path) -> str:
    """Return an address as it may be shown and logged: passwords, tokens and query values become `***`.

    >>> display_name("postgresql://ann:secret@db.shop/reviews::public.reviews")
    'postgresql://ann:***@db.shop/reviews::public.reviews'
    >>> display_name("https://shop.example/new.csv?signature=abc")
    'https://shop.example/new.csv?signature=***'
    """
    text = str(address)
    return "::".join(_masked(part) for part in text.split("::")) if "://" in text else text


def without_secrets(message: object, url: str) -> str:
    """Return the first line of another library's message with every secret of `url` and of the environment masked.

    So are those of every other address in it: an endpoint may hold a password, and a signed one is a secret itself.

    >>> without_secrets("no answer from http://ann:hunter2@store:9000/shop?X-Amz-Signature=abc", "s3://shop/new.csv")
    'no answer from http://ann:***@store:9000/shop?X-Amz-Signature=***'
    """
    lines = str(message).strip().splitlines()
    text = lines[0].strip() if lines else type(message).__name__
    for part in (url, *url.split("::")):
        text = text.replace(part, _masked(part))
    for secret in sorted(_secrets(url) | _environment_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"""[a-z][a-z0-9+.-]*://[^\s"'<>]+""", lambda found: _masked(found[0]), text)


def is_database(address: str) -> bool:
    """Whether an address names a database (`sqlite:///…`, `postgresql+psycopg://…`) and not a file.

    >>> is_database("postgresql+psycopg://db/shop::reviews"), is_database("s3://bucket/new.csv")
    (True, False)
    """
    scheme, separator, _ = address.partition("://")
    return bool(separator) and scheme.partition("+")[0].lower() in _DATABASES


def _masked(part: str) -> str:
    scheme, separator, rest = part.partition("://")
    if not separator:
        return part
    end = _end_of_userinfo(part)
    if end is not None:
        user, colon, _ = rest[:end].partition(":")
        rest = (f"{user}:***" if colon else user if is_database(part) else "***") + rest[end:]
    before, question, query = rest.partition("?")
    if question and scheme.startswith(("http", *_DATABASES)):  # elsewhere `?` belongs to a glob
        query = re.sub(r"=[^&#]*", "=***", query) if "=" in query else "***"
    return f"{scheme}://{before}{question}{query}"


def _end_of_userinfo(part: str) -> int | None:
    """Where `user:password` ends in what follows `://`; None where there is none.

    A password may hold `/` or `@` that should have been escaped: then all up to the last `@` is taken for it.
    """
    rest = part.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2] if ":" in authority else ""
    unescaped = is_database(part) or (port and not port.isdigit() and "@" not in authority)
    scope = rest if unescaped else authority
    return scope.rindex("@") if "@" in scope else None


def _environment_secrets() -> set[str]:
    found = {os.environ.get(name, "") for name in _SECRET_VARIABLES}
    return {secret for secret in found if len(secret) >= 8}  # shorter ones would blot out words


def _secrets(url: str) -> set[str]:
    secrets: set[str] = set()
    for part in url.split("::"):
        end = _end_of_userinfo(part)
        if end is not None:
            userinfo = part.partition("://")[2][:end]
            user, colon, password = userinfo.partition(":")
            secrets |= {password, unquote(password)} if colon else set() if is_database(part) else {user}
        secrets |= set(re.findall(r"=([^&#]+)", part.partition("?")[2]))
    return {secret for secret in secrets if secret}

"""Which kind of shop data is this, and which column is what?"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from expectations.errors import BatchError


class Holds(StrEnum):
    """What the values of a role are, once read."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    FLAG = "flag"


@dataclass(frozen=True)
class Role:
    """A column by what it means, under the name that rules use."""

    name: str
    holds: Holds
    names: tuple[str, ...]
    """Names seen in shop data, best first; lower-case letters and digits. The role's own name comes before them."""


@dataclass(frozen=True)
class Kind:
    """One kind of shop data, recognised by the roles it cannot be without."""

    name: str
    roles: tuple[Role, ...]
    needs: tuple[tuple[str, ...], ...]
    """Of each group, at least one role must be found."""

    def role(self, name: str) -> Role | None:
        """The role of that name, if this kind has it."""
        return next((role for role in self.roles if role.name == name), None)


def _text(name: str, *names: str) -> Role:
    return Role(name, Holds.TEXT, names)


def _number(name: str, *names: str) -> Role:
    return Role(name, Holds.NUMBER, names)


def _date(*names: str) -> Role:
    return Role("date", Holds.DATE, names)


_DATES = ("timestamp", "reviewdate", "reviewsdate", "createdat", "unixreviewtime", "reviewtime", "time", "scrapedat",
          "lastvisited", "updatedat", "submittedat", "purchasedate")  # fmt: skip
_LOCALE = _text("locale", "productlocale", "language", "lang", "marketplace", "location", "country")
_BRAND = _text("brand", "productbrand", "brandname", "manufacturer", "vendor")
_CATEGORY = _text("category", "categories", "categorylabel", "categoryname", "classname", "productcategory",
                  "productclass", "maincategory", "producttype")  # fmt: skip
_DEPARTMENT = _text("department", "departmentname", "gender")
_DIVISION = _text("division", "divisionname", "subcategory", "subtitle")
_PRICE = _number("price", "saleprice", "sellingprice", "priceinr", "priceusd", "priceeur", "pricegbp", "currentprice")
_LIST_PRICE = _number("list_price", "listprice", "listingprice", "originalprice", "msrp", "regularprice", "retailprice")
_SPLIT = _text("split", "subset", "fold")
# What a model said, and what was right. They stand last in every kind, so that no other role loses a column to them.
_PREDICTION = _text("prediction", "predicted", "predictedlabel", "pred", "modelprediction")
_PREDICTION_SCORE = _number("prediction_score", "confidence", "probability", "modelscore")
_LABEL = _text("label", "truelabel", "groundtruth", "actual", "target")

KINDS = (
    Kind(
        "relevance",
        (
            _text("query", "searchterm", "searchquery", "userquery", "searchtext", "titleleft"),
            _text("product_text", "producttitle", "title", "productname", "product", "titleright"),
            _text("product", "productid", "productuid", "asin", "sku"),
            _text("label", "escilabel", "relevancelabel", "judgment", "judgement"),
            _number("grade", "relevance", "relevancescore", "judgment", "judgement", "label", "rating", "gain",
                    "match"),
            _text("description", "productdescription"), _BRAND, _LOCALE, _SPLIT, _date(*_DATES),
            _text("id", "exampleid", "pairid"), _PREDICTION, _PREDICTION_SCORE,
        ),
        needs=(("query",), ("product_text", "product"), ("label", "grade")),
    ),
    Kind(
        "reviews",
        (
            _text("text", "reviewtext", "reviewstext", "verifiedreviews", "reviewbody", "reviewcontent", "content",
                  "reviewcomment", "comment", "body", "review", "feedbacktext"),
            _number("stars", "starrating", "reviewsrating", "overall", "rating", "score", "reviewrating",
                    "reviewscore"),
            _text("title", "reviewtitle", "reviewstitle", "summary", "headline", "reviewheadline"),
            _text("product", "productname", "producttitle", "name", "productid", "asin", "parentasin", "clothingid",
                  "variation", "sku"),
            _text("product_id", "asins", "productids", "ean"),
            _text("user", "userid", "reviewerid", "customerid", "clientid", "reviewsusername"),
            _date("date", *_DATES), _LOCALE, _BRAND, _CATEGORY, _DEPARTMENT, _DIVISION, _PRICE,
            Role("recommended", Holds.FLAG, ("recommendedind", "reviewsdorecommend", "dorecommend", "recommend",
                                             "isrecommended", "wouldrecommend")),
            _text("verdict", "ratingword", "ratingtext"),
            _text("id", "reviewid", "reviewsid"), _SPLIT, _PREDICTION, _PREDICTION_SCORE, _LABEL,
        ),
        needs=(("text",),),
    ),
    Kind(
        "products",
        (
            _text("title", "producttitle", "productname", "name", "itemname", "titleleft"),
            _text("description", "productdescription", "aboutproduct", "longdescription", "rawdescription"),
            _BRAND, _CATEGORY, _DEPARTMENT, _DIVISION, _PRICE, _LIST_PRICE,
            _text("currency", "pricecurrency", "currencycode"),
            _text("id", "productid", "productuid", "asin", "sku", "uniqid", "itemid", "gtin", "ean"),
            _text("color", "colour", "primarycolor", "productcolor"),
            _text("cluster", "clusterid", "groupid", "parentasin"),
            _number("stars", "avgrating", "averagerating", "rating", "ratingaverage"),
            _date("date", *_DATES), _LOCALE, _SPLIT, _PREDICTION, _PREDICTION_SCORE, _LABEL,
        ),
        needs=(("title",),),
    ),
    Kind(
        "queries",
        (
            _text("query", "searchterm", "searchquery", "userquery", "searchtext", "keyword", "keywords", "querytext"),
            _date("date", *_DATES), _LOCALE, _text("user", "userid", "clientid", "sessionid", "customerid"),
            _text("id", "queryid", "exampleid"), _text("product", "productid", "productuid", "asin"), _SPLIT,
            _PREDICTION, _PREDICTION_SCORE, _LABEL,
        ),
        needs=(("query",),),
    ),
)  # fmt: skip
"""Tried in this order: what is recognised by more columns comes before what is recognised by fewer."""


_GRADES = frozenset(
    name for kind in KINDS for role in kind.roles if role.name == "grade" for name in (role.name, *role.names)
)


@dataclass(frozen=True)
class Recognised:
    """What a batch was taken for."""

    kind: Kind
    mapping: dict[str, str]
    """Role → the file's own column."""


def kind_named(name: str) -> Kind:
    """The kind of that name.

    >>> kind_named("reviews").needs
    (('text',),)

    Raises BatchError for a name that is no kind.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(sorted(kind.name for kind in KINDS))
    raise BatchError(f"there is no kind {name!r}", advice=f"Give one of: {known}.")


def may_be_a_grade(name: str) -> bool:
    """Whether the name says label or grade, so that only the values tell which.

    >>> may_be_a_grade("relevance"), may_be_a_grade("Review Text")
    (True, False)
    """
    return _plain(name) in _GRADES


def recognise(
    columns: Mapping[str, Holds | None], *, kind: str | None = None, given: Mapping[str, str] | None = None
) -> Recognised:
    """Take a file's columns for the roles of a kind.

    `columns` maps each of the file's own names to what it holds as stored, None for what cannot be looked into;
    `kind` fixes the kind; `given` maps the file's own names to roles and wins over every guess. Each column serves at
    most one role.

    Raises BatchError when nothing fits, when a column that `given` names is not there, when a role is unknown, or when
    two columns are given for one role.

    >>> recognise({"Review Text": Holds.TEXT, "Rating": Holds.NUMBER}).mapping
    {'text': 'Review Text', 'stars': 'Rating'}
    """
    given = given or {}
    _check_given(columns, given)
    candidates = [kind_named(kind)] if kind else _kinds_with(given)
    for candidate in candidates:
        mapping = _mapping(candidate, columns, given)
        if all(any(role in mapping for role in group) for group in candidate.needs):
            return Recognised(candidate, mapping)
    raise _unrecognised(columns, candidates)


def _check_given(columns: Mapping[str, Holds | None], given: Mapping[str, str]) -> None:
    for own in given:
        if own not in columns:
            near = difflib.get_close_matches(own, columns, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BatchError(
                f"column {own!r} is not in the batch; it has {_listed(columns)}",
                advice=f"Correct it under [data.KIND.columns] in shopmon.toml or in --column.{hint}",
            )
    by_role: dict[str, str] = {}
    for own, role in given.items():
        if by_role.setdefault(role, own) != own:
            raise BatchError(
                f"columns {by_role[role]!r} and {own!r} are both given for {role}", advice="Give one of them."
            )


def _kinds_with(given: Mapping[str, str]) -> list[Kind]:
    """The kinds that have all of the roles given."""
    kinds = [kind for kind in KINDS if all(kind.role(role) for role in given.values())]
    if not kinds:
        known = {role.name for kind in KINDS for role in kind.roles}
        unknown = next((role for role in given.values() if role not in known), None)
        if unknown is None:
            raise BatchError(
                f"no kind has all of the roles {', '.join(given.values())}", advice="Say which it is: --kind."
            )
        near = difflib.get_close_matches(unknown, sorted(known), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Roles: {', '.join(sorted(known))}."
        raise BatchError(f"no kind has a role {unknown!r}", advice=hint)
    return kinds


def _mapping(kind: Kind, columns: Mapping[str, Holds | None], given: Mapping[str, str]) -> dict[str, str]:
    for own, role_name in given.items():
        if kind.role(role_name) is None:
            roles = ", ".join(role.name for role in kind.roles)
            raise BatchError(f"{kind.name} have no role {role_name!r} for column {own!r}", advice=f"Roles: {roles}.")
    taken = {role: own for own, role in given.items()}
    for role in kind.roles:
        if role.name not in taken:
            own_name = _best(role, {c: h for c, h in columns.items() if c not in taken.values()}, kind)
            if own_name is not None:
                taken[role.name] = own_name
    return {role.name: taken[role.name] for role in kind.roles if role.name in taken}


def _best(role: Role, columns: Mapping[str, Holds | None], kind: Kind) -> str | None:
    """The column whose name says the role best, among those whose values could be it."""
    by_name: dict[str, str] = {}
    for own, holds in columns.items():
        if _could_be(role, holds, kind):
            by_name.setdefault(_plain(own), own)
    return next((by_name[name] for name in _names(role) if name in by_name), None)


def _names(role: Role | None) -> tuple[str, ...]:
    return (_plain(role.name), *role.names) if role else ()


def _could_be(role: Role, holds: Holds | None, kind: Kind) -> bool:
    if holds is None:
        return False
    if role.name == "label" and kind.role("grade"):  # a number under this name is a grade
        return holds is Holds.TEXT
    if role.name == "grade":
        return holds is Holds.NUMBER
    return role.holds in (Holds.TEXT, Holds.FLAG, Holds.DATE) or holds is not Holds.DATE


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _unrecognised(columns: Mapping[str, Holds | None], wanted: Sequence[Kind]) -> BatchError:
    needs = "; ".join(f"{k.name}: {' + '.join(' or '.join(group) for group in k.needs)}" for k in wanted)
    several = "the columns look like no kind of shop data"
    what = several if len(wanted) > 1 else f"the columns do not look like {wanted[0].name}"
    needed = {name for k in wanted for group in k.needs for role in group for name in _names(k.role(role))}
    closed = [name for name, holds in columns.items() if holds is None and _plain(name) in needed]
    nested = f". {closed[0]!r} holds neither text nor numbers: flatten it" if closed else ""
    return BatchError(
        f"{what}: {_listed(columns)}. Needed are {needs}{nested}",
        advice='Say which column is what, e.g. --kind reviews --column "Content=text", '
        "or in shopmon.toml under [data.reviews.columns].",
    )


def _listed(columns: Mapping[str, Holds | None], most: int = 12) -> str:
    names = [repr(name) for name in columns]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""What is said when a file elsewhere cannot be had?"""

from __future__ import annotations

import errno
from typing import Any

from expectations.addresses import display_name, without_secrets
from expectations.errors import BatchError

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hf", "http": "http", "https": "http"}
"""The optional part of shopmon that brings the package of each protocol."""

# Every protocol's package has exceptions of its own, and not every package is installed: so they are known by name.
_REFUSED = frozenset(
    {
        "CredentialRetrievalError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "PermissionError",
        "ProfileNotFound",
        "SSOError",
        "TokenRetrievalError",
    }
)
_BROKEN = frozenset(
    {
        "BrokenOff",
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionError",
        "FlexibleChecksumError",
        "HTTPClientError",
        "IncompleteRead",
        "IncompleteReadError",
        "ResponseParserError",
        "TimeoutError",
    }
)
_BUSY = (errno.EBUSY, errno.EREMOTEIO)
"""How s3fs tells that a store is overloaded, or had an error of its own."""

_S3_KEYS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to those of a user who may read it; "
    "FSSPEC_S3_ANON=true reads what is public."
)


class BrokenOff(Exception):
    """A transfer that did not bring what was promised; another attempt may."""


def is_s3(system: Any) -> bool:
    """Whether a system of fsspec speaks S3."""
    protocol = getattr(system, "protocol", ())
    return "s3" in ((protocol,) if isinstance(protocol, str) else tuple(protocol))


def may_pass(error: Exception) -> bool:
    """Whether the same may work a moment later.

    >>> may_pass(ConnectionResetError()), may_pass(PermissionError())
    (True, False)
    """
    busy = isinstance(error, OSError) and error.errno in _BUSY
    return busy or bool(_names(error) & _BROKEN) or _status(error) in (429, 500, 502, 503, 504)


def arrived_wrong(error: Exception) -> bool:
    """Whether what has arrived cannot be gone on with: it was held against what was promised, and is something else."""
    return bool(_names(error) & {"BrokenOff", "FlexibleChecksumError"})


def explained(error: Exception, address: str, system: Any) -> BatchError:
    """Say for a person why an address could not be read, without secrets; `system` is None where none was opened."""
    name = display_name(address)
    if isinstance(error, BatchError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BatchError(
            f"the disk is full: {name} could not be copied, and nothing of it was kept",
            advice="Free some space, or let TMPDIR name a folder on a larger disk.",
        )
    if isinstance(error, FileNotFoundError):
        return _missing(address, system)
    if isinstance(error, ImportError) or (isinstance(error, ValueError) and "Protocol not known" in str(error)):
        return _unknown(error, address)
    if _names(error) & _REFUSED or _status(error) in (401, 403):
        return _refused(error, address, system)
    if isinstance(error, BrokenOff):
        return BatchError(without_secrets(error, address), advice="Nothing of it was kept. Try again.")
    what = without_secrets(error, address)
    if "FileExpired" in _names(error) or _status(error) == 412:
        return BatchError(f"{name} was replaced while it was read", advice="Try again.")
    if may_pass(error):
        return BatchError(f"{name} could not be fetched: {what}", advice=f"Nothing of it was kept. {_try(system)}")
    return BatchError(f"{name} could not be fetched: {what}", advice="Check the address, and your access to it.")


def _status(error: Exception) -> int | None:
    """The status of an answer of the web, or of Amazon, that the error tells of."""
    if isinstance(error, OSError) and isinstance(error.__cause__, Exception):  # s3fs tells Amazon's errors as OSErrors
        error = error.__cause__
    answer = getattr(error, "response", None)
    told = answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None
    status = told or getattr(error, "status", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _names(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _try(system: Any) -> str:
    if is_s3(system):
        return "Check the network, and AWS_ENDPOINT_URL if the store is not Amazon's; then try again."
    return "Check the address and the network; then try again."


def _missing(address: str, system: Any) -> BatchError:
    if is_s3(system):
        bucket = _bucket(address)
        try:
            system.call_s3("head_bucket", Bucket=bucket)
        except FileNotFoundError:
            return BatchError(
                f"{display_name(address)} does not exist: there is no bucket {bucket!r}",
                advice="Check its name, and AWS_ENDPOINT_URL if the store is not Amazon's.",
            )
        except Exception:  # noqa: S110 - why the bucket cannot be looked at is not what was asked
            pass
    return BatchError(f"{display_name(address)} does not exist", advice="Check the address.")


def _refused(error: Exception, address: str, system: Any) -> BatchError:
    why = without_secrets(error, address)
    if is_s3(system) and why == "Forbidden":  # the answer to HEAD has no room for more
        try:
            system.call_s3("list_objects_v2", Bucket=_bucket(address), MaxKeys=1)
            why = "this user may list the bucket, but not read that"
        except Exception as told:
            why = without_secrets(told, address)
    advice = "Set the credentials of that service in the environment, as its own tools expect them."
    return BatchError(
        f"{display_name(address)} refused access: {why}", advice=_S3_KEYS if _is_s3_address(address) else advice
    )


def _unknown(error: Exception, address: str) -> BatchError:
    protocol = _protocol(address)
    if isinstance(error, ImportError):
        extra = _EXTRAS.get(protocol)
        how = f'Install it: pip install "shopmon[{extra}]".' if extra else without_secrets(error, address)
        return BatchError(f"reading {protocol}:// needs a package that is not installed", advice=how)
    known = "s3://, gs://, hf://, https://, memory:// and file://"
    return BatchError(f"{display_name(address)} begins with an unknown protocol", advice=f"Known are {known}.")


def _protocol(address: str) -> str:
    return address.partition("://")[0].rpartition("::")[2]


def _is_s3_address(address: str) -> bool:
    return _EXTRAS.get(_protocol(address)) == "s3"


def _bucket(address: str) -> str:
    return address.partition("://")[2].partition("/")[0]

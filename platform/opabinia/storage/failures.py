"""Every way in which reading, writing or listing fails, as one line: the address, what happened, what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from opabinia.storage.addresses import ObjectAddress
from opabinia.storage.boto import answer_of, boto_errors, error_code, http_status

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})

_RENEW = "the credentials have expired; renew them (aws sso login, or new AWS_… variables) and run again"
_REFUSED = "the server does not accept the credentials; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE"
_REGION = "the bucket lies in another region; set AWS_DEFAULT_REGION to it"
_DENIED = "access is denied; give these credentials the right to {right} there"
_ANSWERS = dict.fromkeys(EXPIRED, _RENEW) | {
    "NoSuchBucket": "there is no such bucket; create it or correct the address",
    "InvalidBucketName": "the bucket has no valid name; correct the address",
    "NoSuchKey": "there is no such object; write it first or correct the address",
    "NoSuchUpload": "the server lost the parts that were sent; write it again",
    "EntityTooLarge": "the object is larger than the server takes; split it",
    "QuotaExceeded": "the bucket is full; free space and run again",
    "XMinioStorageFull": "the server's disk is full; free space and run again",
    "BadDigest": "the bytes were damaged on their way; write it again",
    "InvalidDigest": "the bytes were damaged on their way; write it again",
    "PreconditionFailed": "it changed while it was being read; read it again from its start",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "InvalidAccessKeyId": _REFUSED,
    "InvalidSecurity": _REFUSED,
    "InvalidToken": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def explain(error: Exception, place: ObjectAddress, right: str) -> str:
    """The line for what boto3 raised when it wanted to `right` (read, write or list) at `place`."""
    said = _answer(error, right) if answer_of(error) else _no_answer(error)
    return f"{place}: {said}"


def _answer(error: Exception, right: str) -> str:
    code, status = error_code(error), http_status(error)
    if code in _ANSWERS:
        return f"{_ANSWERS[code].format(right=right)} ({code})"
    if status == 403:
        return f"{_DENIED.format(right=right)} ({code})"
    if status >= 500 or code in ("SlowDown", "RequestTimeout"):
        return f"the server kept failing ({code}); run again later, or ask those who run it"
    return f"the server refused: {one_line(error)}; correct what it names"


def _no_answer(error: Exception) -> str:
    boto = boto_errors()
    no_credentials = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.TokenRetrievalError,
        boto.ProfileNotFound,
        boto.SSOError,
    )
    if isinstance(error, no_credentials):
        return f"no usable credentials ({one_line(error)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if isinstance(error, boto.SSLError):
        return f"the server's certificate is not trusted ({one_line(error)}); set AWS_CA_BUNDLE to the authority's file"
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        return f"the server does not answer ({one_line(error)}); check the network and AWS_ENDPOINT_URL"
    if isinstance(error, boto.ParamValidationError):
        return f"not an address that S3 takes ({one_line(error)}); correct it"
    return f"{type(error).__name__}: {one_line(error)}; look at the endpoint and the AWS settings"


def one_line(error: Exception) -> str:
    """What the error says, without line breaks and without a stop at its end."""
    return " ".join(str(error).split()).rstrip(".")


@contextmanager
def clear_local_errors(path: Path, right: str) -> Generator[None]:
    """Inside, an OSError that is about `path` becomes a ValueError of one line; others, of the caller's own, pass."""
    try:
        yield
    except OSError as error:
        if not _is_about(error, path):
            raise
        raise ValueError(f"{path}: {_local_reason(error, right)}") from error


def _is_about(error: OSError, path: Path) -> bool:
    """Whether it names `path`, a folder above or a file below it, or the temporary in its place; a full disk names nothing."""
    if error.filename is None:
        return error.errno in _FULL
    named, path = Path(os.fsdecode(error.filename)).absolute(), path.absolute()
    if named == path or named in path.parents or path in named.parents:
        return True
    return any(
        place.parent == path.parent and place.name.startswith(f".{path.name}.") for place in (named, *named.parents)
    )


def _local_reason(error: OSError, right: str) -> str:
    if error.errno in _FULL:
        return f"the disk is full ({error.strerror}); free space and run again"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"access is denied ({error.strerror}: {error.filename}); give this user the right to {right} there"
    if isinstance(error, FileNotFoundError) and right != "write":
        return "there is no such file; write it first or correct the path"
    return f"cannot {right} ({error.strerror}: {error.filename}); correct the path"

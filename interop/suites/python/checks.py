"""What must hold."""

import hashlib

from azure.core.exceptions import HttpResponseError


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def same(found, expected, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


async def raised(call, kind: type[Exception]) -> Exception:
    try:
        await call
    except Exception as error:
        if not isinstance(error, kind):
            raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}") from error
        return error
    raise AssertionError(f"no error, though {kind.__name__} was expected")


async def refused(call, kind: type[HttpResponseError], status: int) -> HttpResponseError:
    error = await raised(call, kind)
    same(error.status_code, status, "status")
    return error

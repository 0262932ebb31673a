"""HTTP requests that are repeated until they are answered, cannot be, or are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx

from opabinia.data.instructions.retry import PatienceConfig, may_be_repeated, retry_after_s, wait_s

Result = TypeVar("Result")

_LONGEST_MESSAGE = 200
_FORBIDDEN = frozenset({401, 403, 404, 405})


class Unanswered(Exception):
    """No answer came, often as it was asked; another run may get one."""


class Refused(Exception):
    """The server answers that this very request is wrong; asking again would be no use."""


class Unusable(Exception):
    """The server will answer no request of this run: wrong key, wrong address, no credit."""


class _TryLater(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Sender:
    """Sends requests with patience; what one of them is told about waiting holds for all.

    timeout_s: seconds for one request, from its first byte to the answer's last.
    secret: text that never stands in a message of ours, even if the server repeats it.
    """

    def __init__(
        self, client: httpx.AsyncClient, patience: PatienceConfig, *, timeout_s: float, secret: str | None = None
    ) -> None:
        self._client = client
        self._patience = patience
        self._timeout_s = timeout_s
        self._secret = secret
        self._not_before = 0.0

    async def fetch(
        self, method: str, url: str, read: Callable[[httpx.Response], Result], options: Mapping[str, Any] | None = None
    ) -> Result:
        """What `read` makes of the answer; a ValueError of it means that the answer is broken and must be fetched again.

        options: passed on to httpx (json, params, headers). Raises Unanswered, Refused or Unusable.
        """
        for failures in range(1, self._patience.tries + 1):
            await self._wait_turn()
            try:
                return await self._fetch_once(method, url, read, options or {})
            except _TryLater as error:
                if failures == self._patience.tries:
                    raise Unanswered(f"{error} ({failures} times)") from None
                await self._wait(error, failures)
        raise AssertionError("tries is at least 1")

    async def _fetch_once(
        self, method: str, url: str, read: Callable[[httpx.Response], Result], options: Mapping[str, Any]
    ) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.request(method, url, **options)
        except TimeoutError:
            raise _TryLater(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.TransportError, httpx.DecodingError, httpx.TooManyRedirects) as error:
            raise _TryLater(self._clean(str(error) or type(error).__name__)) from None
        if response.is_success:
            try:
                return read(response)
            except ValueError as error:
                raise _TryLater(self._clean(f"the answer is broken: {error}")) from None
        raise self._failure(response)

    def _failure(self, response: httpx.Response) -> Exception:
        status, told = response.status_code, self._clean(_message(response))
        reason = f"HTTP {status}: {told}"
        if status in _FORBIDDEN or "insufficient_quota" in response.text:
            return Unusable(reason)
        if may_be_repeated(status):
            return _TryLater(reason, retry_after_s(response.headers.get("Retry-After")))
        return Refused(reason)

    async def _wait(self, error: _TryLater, failures: int) -> None:
        wait = wait_s(self._patience, failures)
        if error.wait is not None:
            if error.wait > self._patience.longest_wait_s:
                raise Unanswered(f"{error}, and asks to wait {error.wait:g} s")
            self._not_before = max(self._not_before, _now() + error.wait)
        await asyncio.sleep(wait if error.wait is None else error.wait)

    async def _wait_turn(self) -> None:
        while (remaining := self._not_before - _now()) > 0:
            await asyncio.sleep(remaining)

    def _clean(self, text: str) -> str:
        hidden = text.replace(self._secret, "***") if self._secret else text
        return " ".join(hidden.split())[:_LONGEST_MESSAGE]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _message(response: httpx.Response) -> str:
    try:
        told: Any = response.json()
        error: Any = told.get("error", told)
        message: Any = error.get("message", error)
        return str(message)
    except (ValueError, AttributeError):
        return response.text or response.reason_phrase

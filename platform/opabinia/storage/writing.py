"""A remote object written piece by piece, which appears when all its bytes have arrived, or not at all."""

from __future__ import annotations

import base64
import hashlib
import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opabinia.storage.addresses import ObjectAddress
from opabinia.storage.boto import error_code
from opabinia.storage.clients import S3Client, asking
from opabinia.storage.reading import ObjectReader

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PART_BYTES = 16 << 20
"""What is held in memory and sent at once, at first: every PARTS_OF_A_SIZE parts it doubles, so that the 10,000 parts that S3
allows hold 1 TB."""

PARTS_OF_A_SIZE = 2000


class ObjectWriter(io.RawIOBase):
    """Collects what is written into parts and sends each when it is full; `finish` makes the object appear.

    A single request where all fits into one part, a multipart upload otherwise. `abort` removes what was sent. A killed process
    can do neither: the object does not appear, and its parts stay until the bucket's rule AbortIncompleteMultipartUpload
    removes them.
    """

    def __init__(self, place: ObjectAddress) -> None:
        super().__init__()
        self._place = place
        self._waiting = bytearray()
        self._written = 0
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._digests = b""

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: ReadableBuffer, /) -> int:
        if self.closed:
            raise ValueError(f"{self._place}: closed; write before the block ends")
        given = memoryview(data).cast("B")
        rest = given
        while rest:
            taken = rest[: self._part_bytes - len(self._waiting)]
            self._waiting += taken
            rest = rest[len(taken) :]
            if len(self._waiting) == self._part_bytes:
                self._send_part()
        self._written += len(given)
        return len(given)

    def finish(self) -> None:
        """Make the object appear under its name. Raises ValueError when the server does not confirm it."""
        if self._upload is None:
            with asking(self._place, "write") as client:
                client.put_object(**self._object, Body=self._waiting, ContentMD5=_base64(_md5(self._waiting)))
            return
        if self._waiting:
            self._send_part()
        with asking(self._place, "write") as client:
            try:
                self._complete(client)
            except Exception as error:
                # A repeated request finds no upload when the first one arrived and only its answer was lost.
                if error_code(error) != "NoSuchUpload" or not self._is_there():
                    raise

    def abort(self) -> None:
        """Remove the parts that were sent, as far as the server lets it: what is wrong already is said elsewhere."""
        upload, self._upload = self._upload, None
        if upload is not None:
            with suppress(ValueError), asking(self._place, "write") as client:
                client.abort_multipart_upload(**self._object, UploadId=upload)

    @property
    def _object(self) -> dict[str, str]:
        return {"Bucket": self._place.bucket, "Key": self._place.key}

    @property
    def _part_bytes(self) -> int:
        return PART_BYTES * 2 ** (len(self._parts) // PARTS_OF_A_SIZE)

    def _send_part(self) -> None:
        with asking(self._place, "write") as client:
            if self._upload is None:
                self._upload = client.create_multipart_upload(**self._object)["UploadId"]
            number, digest = len(self._parts) + 1, _md5(self._waiting)
            part = {"UploadId": self._upload, "PartNumber": number, "ContentMD5": _base64(digest)}
            answer = client.upload_part(**self._object, **part, Body=self._waiting)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._digests += digest
        self._waiting = bytearray()

    def _complete(self, client: S3Client) -> None:
        client.complete_multipart_upload(**self._object, UploadId=self._upload, MultipartUpload={"Parts": self._parts})

    def _is_there(self) -> bool:
        """Whether the object that is there is the one whose parts were sent, which its ETag tells."""
        expected = f"{hashlib.md5(self._digests, usedforsecurity=False).hexdigest()}-{len(self._parts)}"
        with suppress(ValueError), ObjectReader(self._place) as found:
            return found.etag == expected
        return False


def _md5(data: bytearray) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()

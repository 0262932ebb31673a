"""Pictures decoded a batch ahead of the encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from PIL import Image

from opabinia.data.pictures import PictureError, one_line


def opened_batches(paths: Sequence[str], batch: int, threads: int) -> Iterator[list[Image.Image | None]]:
    """Batch after batch in order, None for the path ""; the next is decoded while one is used. Raises PictureError."""
    with ThreadPoolExecutor(threads) as pool:
        ahead = list[Future[Image.Image | None]]()
        for start in range(0, len(paths) + batch, batch):
            opened, ahead = ahead, [pool.submit(_open, path) for path in paths[start : start + batch]]
            if opened:
                yield [future.result() for future in opened]


def open_picture(path: str) -> Image.Image:
    """The picture as RGB, decoded. Raises PictureError."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # As in the audit: a decoder may raise anything.
    except Exception as error:
        raise PictureError(f"picture {path} cannot be read: {one_line(error)}") from None


def _open(path: str) -> Image.Image | None:
    return open_picture(path) if path else None

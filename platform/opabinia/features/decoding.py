"""Pictures decoded a batch ahead of the encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from PIL import Image

from opabinia.data.pictures import PictureError, one_line, picture_bytes
from opabinia.encoders import pixels


def opened_batches(
    paths: Sequence[str], batch: int, threads: int, decoding: pixels.Decoding = "full"
) -> Iterator[list[Image.Image | None]]:
    """Batch after batch in order, None for the path ""; the next is decoded while one is used. Raises PictureError."""

    def opened(path: str) -> Image.Image | None:
        return open_picture(path, decoding) if path else None

    with ThreadPoolExecutor(threads) as pool:
        ahead = list[Future[Image.Image | None]]()
        for start in range(0, len(paths) + batch, batch):
            ready, ahead = ahead, [pool.submit(opened, path) for path in paths[start : start + batch]]
            if ready:
                yield [future.result() for future in ready]


def open_picture(path: str, decoding: pixels.Decoding = "full") -> Image.Image:
    """The picture as RGB, decoded as training's stream decodes it. Raises PictureError."""
    try:
        return pixels.open_picture(picture_bytes(path), decoding)
    except (OSError, ValueError) as error:
        raise PictureError(f"picture {path} cannot be read: {one_line(error)}") from None

"""What is no whole checkpoint is refused in one line, whatever its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.models.opening import open_checkpoint
from tests.models.test_cambrian import FIXTURES


def test_a_published_model_without_its_tokenizer_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^language_model: '.*sva_square' cannot be loaded") as caught:
        open_checkpoint(FIXTURES / "sva_square")
    assert "\n" not in str(caught.value)


def test_a_folder_of_no_known_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither opabinia\.json nor a config\.json of a known model_type is there"):
        open_checkpoint(tmp_path)

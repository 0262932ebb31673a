from __future__ import annotations

import pytest

from opabinia.evaluation.report import TrialReport
from opabinia.evaluation.spread import encoder_spread
from tests.evaluation.specimens import report, scores


def trial(
    encoder: str, score: float, *, seed: int = 0, connector: str = "sva", status: str = "finished"
) -> TrialReport:
    even = scores(score, score, score, score)
    return report(encoders=(encoder,), connector=connector, seed=seed, status=status, with_image=even, blind=even)


def test_the_difference_between_encoder_sets_is_between_means_over_seeds() -> None:
    found = encoder_spread([trial("a", 50), trial("a", 54, seed=1), trial("b", 70), trial("b", 71, seed=1)])
    assert found.between == pytest.approx(18.5)
    assert (found.best, found.worst) == (("b",), ("a",))
    assert found.seeds == pytest.approx(4.0)
    assert found.settings_with_seeds == 2


def test_connectors_are_never_mixed() -> None:
    # b with mlp beats a with sva by 40, but no connector shows more than 10.
    reports = [trial("a", 40), trial("b", 50), trial("a", 75, connector="mlp"), trial("b", 80, connector="mlp")]
    found = encoder_spread(reports)
    assert found.between == pytest.approx(10.0)
    assert found.connector == "sva"
    assert found.seeds is None


def test_stopped_trials_do_not_count_and_one_set_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="fewer than two encoder sets"):
        encoder_spread([trial("a", 50), trial("b", 90, status="stopped")])

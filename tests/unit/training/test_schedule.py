import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import PretrainConfig, TrainConfig
from groundtune.training.schedule import Schedule

shapes = st.sampled_from(["cosine", "linear", "constant"])


@given(shapes, st.integers(1, 60), st.floats(0, 0.9), st.one_of(st.none(), st.integers(0, 80)), st.floats(0, 1))
def test_every_step_trains_and_the_rate_rises_to_its_peak_and_then_never_again(
    shape, steps, share, count, final
) -> None:
    schedule = Schedule(shape, share, count, final)
    rates = [schedule.share(step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 + 1e-12 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    # the library asks once more behind the last step
    assert 0 <= schedule.share(steps, steps) <= 1 + 1e-12


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_the_last_step_has_the_final_share_or_the_last_one_above_zero(shape) -> None:
    assert Schedule(shape, 0.1, None, 0.25).share(9, 10) == pytest.approx(0.25)
    to_zero = Schedule(shape, 0.0, None, 0.0)
    assert 0 < to_zero.share(9, 10) < to_zero.share(8, 10) < 1
    assert to_zero.share(10, 10) == pytest.approx(0.0, abs=1e-12)


def test_a_number_of_warm_up_steps_goes_before_a_share_and_pretraining_is_a_cosine() -> None:
    config = TrainConfig(schedule="linear", warmup_share=0.5, warmup_steps=2, final_lr_share=0.0)
    assert [Schedule.of(config).share(step, 10) for step in range(3)] == pytest.approx([0.5, 1.0, 8 / 9])
    assert Schedule.of(TrainConfig(schedule="constant", warmup_steps=0)).share(7, 10) == 1.0
    assert Schedule.of(PretrainConfig()) == Schedule("cosine", 0.1, None, 0.1)

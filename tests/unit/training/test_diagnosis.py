import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.training.diagnosis import Diagnosis, Sample, StepTiming, Watched, repeated_share
from groundtune.training.records import EpochRow, EvaluationRow, StepRow

PEAK = 5e-4


def diagnose(*happened, run=None, **more):
    """A whole run at once."""
    return Diagnosis(run).catch_up(*happened, **more)


def healthy(seed=0, *, rows=300, epochs=3, noise=0.1, floor=1.0, height=3.0, fall=0.3):
    """Losses of an exponential over `fall` of the run with noise, a warm-up and a cosine: rows of a journal."""
    chance = random.Random(seed)
    found = []
    for step in range(1, rows + 1):
        warmup = rows // 10
        done = (step - warmup) / (rows - warmup)
        share = step / warmup if step <= warmup else 0.1 + 0.45 * (1 + math.cos(math.pi * done))
        loss = floor + height * math.exp(-step / (fall * rows))
        norm = 4.0 * (0.5 + loss / (floor + height))
        found.append(
            StepRow(
                step=step,
                epoch=step * epochs / rows,
                train_loss=loss * math.exp(chance.gauss(0, noise)),
                learning_rate=PEAK * share,
                grad_norm=norm * math.exp(chance.gauss(0, 0.4)),
            )
        )
    return found


def changed(rows, start, end=None, **changes):
    """`rows` with those from step `start` to `end` changed by functions of the row."""
    end = end or rows[-1].step
    return [
        replace(row, **{name: change(row) for name, change in changes.items()}) if start <= row.step <= end else row
        for row in rows
    ]


def kinds(findings):
    return [finding.kind for finding in findings]


def whole(rows):
    return Watched(total_steps=rows[-1].step)


# a healthy run


@settings(max_examples=tries(240), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(20, 600),
    epochs=st.integers(1, 4),
    noise=st.floats(0.0, 0.4),
    floor=st.floats(0.2, 2.0),
    height=st.floats(0.5, 6.0),
    fall=st.floats(0.2, 0.5),
)
def test_a_healthy_run_has_nothing_wrong_with_it(seed, rows, epochs, noise, floor, height, fall) -> None:
    run = healthy(seed, rows=rows, epochs=epochs, noise=noise, floor=floor, height=height, fall=fall)
    validations = [EpochRow(0, 0, None, floor + height, False, 1.0)]
    for epoch in range(1, epochs + 1):
        valid = 1.1 * floor + height * math.exp(-epoch / epochs / fall)
        validations.append(EpochRow(epoch, rows * epoch // epochs, valid / 1.1, valid, True, 1.0))
    answers = [Sample(rows, f"question {place}", f"Answer number {place}, of this run.") for place in range(4)]
    assert diagnose(run, validations, (), answers, run=whole(run)) == ()


@settings(max_examples=tries(80), deadline=None)
@given(seed=st.integers(0, 10**6), steps_a_row=st.integers(1, 10))
def test_losses_that_fall_in_stairs_from_epoch_to_epoch_are_healthy(seed, steps_a_row) -> None:
    rows = [
        replace(row, step=row.step * steps_a_row, train_loss=row.train_loss * (2.0, 1.3, 0.9)[min(int(row.epoch), 2)])
        for row in healthy(seed, fall=0.5)
    ]
    assert diagnose(rows, run=whole(rows)) == ()


@settings(max_examples=tries(80), deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.1, 0.4))
def test_two_kinds_of_examples_with_their_own_losses_are_no_divergence(seed, share) -> None:
    """Text and drills in a pretraining: most steps are at 1, some at 5, and their gradients are no longer."""
    chance = random.Random(seed)
    rows = [
        replace(row, train_loss=row.train_loss + (4.0 if chance.random() < share else 0.0)) for row in healthy(seed)
    ]
    assert not [finding for finding in diagnose(rows, run=whole(rows)) if finding.should_stop]


def test_the_next_phase_of_a_curriculum_may_be_harder() -> None:
    rows = [replace(row, phase="easy", train_loss=row.train_loss / 4) for row in healthy(rows=120)]
    rows += [replace(row, step=row.step + 120, epoch=row.epoch + 3, phase="hard") for row in healthy(1, rows=120)]
    assert diagnose(rows, run=whole(rows)) == ()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_few_rows_are_too_few_to_say_anything(count) -> None:
    assert diagnose(healthy()[:count], run=whole(healthy())) == ()


# losses


@settings(max_examples=tries(160), deadline=None)
@given(seed=st.integers(0, 10**6), at=st.integers(60, 280), noise=st.floats(0.0, 0.1))
def test_a_spike_with_a_jolt_of_the_gradient_is_found_in_its_own_step(seed, at, noise) -> None:
    rows = changed(
        healthy(seed, noise=noise, epochs=1),
        at,
        at + 3,
        train_loss=lambda row: 3.5 * row.train_loss,
        grad_norm=lambda row: 12 * row.grad_norm,
    )
    [spike] = [each for each in diagnose(rows, run=whole(rows)) if each.kind == "loss_spike"]
    assert spike.step == at
    assert spike.figure == rows[at - 1].train_loss
    assert "train.learning_rate" in spike.remedy
    assert not spike.should_stop


def test_a_single_hard_step_is_no_spike_and_three_in_a_row_are() -> None:
    def doubled(row):
        return 3 * row.train_loss

    single = changed(healthy(), 150, 150, train_loss=doubled)
    assert diagnose(single, run=whole(single)) == ()
    three = changed(healthy(), 150, 152, train_loss=doubled)
    assert [(each.kind, each.step) for each in diagnose(three, run=whole(three))] == [("loss_spike", 152)]


def test_the_short_last_step_of_an_epoch_may_be_far_off() -> None:
    last = changed(
        healthy(), 200, 200, train_loss=lambda row: 5 * row.train_loss, grad_norm=lambda row: 9 * row.grad_norm
    )
    assert last[199].epoch == 2.0
    assert diagnose(last, run=whole(last)) == ()


def test_the_third_spike_is_the_learning_rates() -> None:
    rows = healthy()
    for at in (100, 150, 200):
        rows = changed(rows, at, at + 2, train_loss=lambda row: 4 * row.train_loss)
    findings = diagnose(rows, run=whole(rows))
    assert kinds(findings) == ["loss_spike"] * 3 + ["learning_rate_too_high"]
    assert "steps 102, 152, 202" in findings[-1].message
    assert findings[-1].figure == rows[201].learning_rate


@settings(max_examples=tries(160), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    at=st.integers(50, 200),
    over=st.integers(1, 40),
    noise=st.floats(0.0, 0.2),
)
def test_a_loss_that_runs_away_stops_the_run(seed, at, over, noise) -> None:
    """It climbs from where it is to twice the start over so many rows, and stays there."""
    rows = changed(
        healthy(seed, noise=noise),
        at,
        train_loss=lambda row: row.train_loss + 7.0 * min(1.0, (row.step - at) / over),
    )
    found = [each for each in diagnose(rows, run=whole(rows)) if each.should_stop]
    assert kinds(found) == ["learning_rate_too_high"]
    assert at < found[0].step <= at + over + 32
    assert "warmup_share" in found[0].remedy


@settings(max_examples=tries(120), deadline=None)
@given(seed=st.integers(0, 10**6), period=st.integers(2, 14), at=st.integers(50, 200))
def test_a_swinging_loss_is_found_within_64_rows(seed, period, at) -> None:
    rows = changed(
        healthy(seed, noise=0.03),
        at,
        train_loss=lambda row: row.train_loss * (1 + 0.4 * math.cos(2 * math.pi * row.step / period)),
    )
    [swing] = [each for each in diagnose(rows, run=whole(rows)) if each.kind == "oscillation"]
    assert at < swing.step <= at + 64
    assert swing.figure > 0.5


@settings(max_examples=tries(120), deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0.0, 0.1))
def test_a_loss_that_stands_still_at_a_high_rate_is_a_plateau(seed, noise) -> None:
    rows = healthy(seed, rows=600, epochs=1, fall=0.04, noise=noise)
    [plateau] = diagnose(rows, run=whole(rows))
    # the fall is over at step 100, and a third of the run has to be seen behind it
    assert plateau.kind == "plateau"
    assert 200 < plateau.step <= 420
    assert plateau.severity == "note"
    assert "train.epochs" in plateau.remedy


@settings(max_examples=tries(120), deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0.0, 0.02))
def test_a_loss_that_never_falls_is_a_rate_too_low(seed, noise) -> None:
    rows = healthy(seed, height=0.0, noise=noise)
    [low] = diagnose(rows, run=whole(rows))
    assert low.kind == "learning_rate_too_low"
    assert 75 <= low.step <= 225
    assert "threefold" in low.remedy


def test_a_pretraining_is_told_its_own_settings() -> None:
    rows = changed(healthy(), 150, 152, train_loss=lambda row: 4 * row.train_loss)
    [spike] = diagnose(rows, run=Watched(total_steps=300, section="pretrain"))
    assert "pretrain.learning_rate" in spike.remedy
    assert "train.learning_rate" not in spike.remedy.replace("pretrain.", "")


# numbers and gradients


@pytest.mark.parametrize("name", ["train_loss", "grad_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_stops_the_run_at_once(name, value) -> None:
    rows = changed(healthy(), 5, 5, **{name: lambda row: value})
    [finding] = diagnose(rows, run=whole(rows))
    assert (finding.kind, finding.step, finding.should_stop) == ("not_a_number", 5, True)
    assert str(value) in finding.message


def test_a_validation_loss_that_is_no_number_stops_the_run() -> None:
    [finding] = diagnose(healthy()[:10], [EpochRow(1, 10, 2.0, math.nan, False, 1.0)])
    assert (finding.kind, finding.should_stop) == ("not_a_number", True)


@settings(max_examples=tries(120), deadline=None)
@given(seed=st.integers(0, 10**6), at=st.integers(20, 290))
def test_a_burst_of_the_gradient_norm_is_found_in_its_step(seed, at) -> None:
    rows = changed(healthy(seed), at, at, grad_norm=lambda row: 5000.0)
    [burst] = diagnose(rows, run=whole(rows))
    assert (burst.kind, burst.step, burst.figure) == ("gradient_norm", at, 5000.0)


def test_long_gradients_under_the_clip_are_nobodys_concern() -> None:
    rows = changed(healthy(), 100, 100, grad_norm=lambda row: 400.0)
    assert diagnose(rows, run=Watched(total_steps=300, max_grad_norm=1000.0)) == ()


def test_gradients_that_grow_and_grow_are_told_before_they_diverge() -> None:
    rows = changed(healthy(), 100, grad_norm=lambda row: row.grad_norm * math.exp((row.step - 100) / 20))
    [growth] = diagnose(rows, run=whole(rows))
    assert growth.kind == "gradient_norm"
    assert "grown" in growth.message
    assert 140 < growth.step < 175


def test_gradients_of_nothing_mean_that_nothing_is_learnt() -> None:
    rows = changed(healthy(), 50, grad_norm=lambda row: 0.0)
    [nothing] = diagnose(rows, run=whole(rows))
    assert (nothing.kind, nothing.step, nothing.should_stop) == ("gradient_norm", 57, True)
    single = changed(healthy(), 50, 56, grad_norm=lambda row: 0.0)
    assert diagnose(single, run=whole(single)) == ()


# validation


def epochs_of(*losses):
    """Rows of epochs of 100 steps from (train, valid)."""
    return [EpochRow(epoch, 100 * epoch, train, valid, False, 1.0) for epoch, (train, valid) in enumerate(losses)]


def test_overfitting_is_told_with_its_epoch_and_the_one_to_keep() -> None:
    rows = healthy()
    epochs = epochs_of((None, 4.2), (2.5, 2.2), (1.6, 2.1), (1.2, 2.4))
    [finding] = diagnose(rows, epochs, run=whole(rows))
    assert (finding.kind, finding.step, finding.epoch) == ("overfitting", 300, 3.0)
    assert "overfitting in epoch 3: the validation loss has risen to 2.4 from 2.1 (step 200)" in finding.message
    assert "set train.epochs to 2" in finding.remedy
    assert finding.figure == pytest.approx(2.4 - sum(row.train_loss for row in rows[200:]) / 100)
    assert not finding.should_stop


def test_a_gap_that_grows_while_validation_still_falls_is_no_overfitting() -> None:
    rows = healthy()
    epochs = epochs_of((None, 4.2), (2.5, 2.6), (1.6, 2.4), (0.4, 2.39))
    assert diagnose(rows, epochs, run=whole(rows)) == ()


def test_a_validation_loss_that_rises_by_a_hair_is_no_finding() -> None:
    rows = healthy()
    assert diagnose(rows, epochs_of((None, 4.2), (2.5, 2.2), (1.6, 2.1), (1.2, 2.11)), run=whole(rows)) == ()


def test_validation_that_rises_with_the_training_loss_is_not_learnt_by_heart() -> None:
    rows = changed(healthy(), 200, train_loss=lambda row: row.train_loss + 1.0)
    found = diagnose(rows, epochs_of((None, 4.2), (2.5, 2.2), (1.6, 2.1), (2.4, 3.0)), run=whole(rows))
    assert "overfitting" not in kinds(found)


def test_examples_that_are_no_better_known_than_others_are_not_learnt_by_heart() -> None:
    """A rate so high that both losses jump about: training is at 1.9 in the third epoch, validation rises to 1.8."""
    rows = changed(healthy(), 201, train_loss=lambda row: 1.9)
    assert "overfitting" not in kinds(diagnose(rows, epochs_of((None, 4.2), (2.5, 2.2), (2.0, 1.6), (1.9, 1.8))))


def test_inside_an_epoch_three_rises_in_a_row_are_needed() -> None:
    rows = healthy(epochs=1)

    def measured(*losses):
        return [EvaluationRow(40 * place, 40 * place / 300, loss, False) for place, loss in enumerate(losses, 1)]

    assert diagnose(rows, (), measured(2.0, 2.1, 2.05, 2.15, 2.2), run=whole(rows)) == ()
    [finding] = diagnose(rows, (), measured(2.0, 2.1, 2.15, 2.2, 2.3), run=whole(rows))
    assert (finding.kind, finding.step) == ("overfitting", 160)
    assert "in epoch 1" in finding.message


def test_a_new_best_takes_an_overfitting_back_and_it_is_told_again() -> None:
    rows = healthy(rows=500, epochs=5)
    epochs = epochs_of((None, 4.2), (2.5, 2.2), (2.0, 2.4), (1.6, 1.9), (1.2, 2.0))
    found = diagnose(rows, epochs, run=whole(rows))
    assert [finding.step for finding in found] == [200, 400]


# samples


@pytest.mark.parametrize(
    "text",
    [
        "Stok ekranı açılır. Stok ekranı açılır. Stok ekranı açılır. Stok ekranı açılır.",
        "Yanıt: 5. **Admin > Entegrasyonlar** düğmesine basın.\n5. **Admin > Entegrasyonlar** düğmesine basın.\n" * 3,
        "1. Kaydet düğmesine basın. 2. Kaydet düğmesine basın. 3. Kaydet düğmesine basın. 4. Kaydet düğmesine basın.",
        "Context the the the the the the the the the the the the the",
        "The ` ` ` ` ` ` ` ` ` ` ` ` ` ` ` `",
        "Open the order. Press Save and wait. Press Save and wait. Press Save and wait. Press Save and wait.",
    ],
)
def test_answers_that_go_round_in_circles_are_seen(text) -> None:
    assert repeated_share(text) >= 0.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Evet.",
        "Yavaş yavaş, adım adım ilerleyin; sonra Kaydet'e basın ve Stok ekranına dönün, orada kaydı görürsünüz.",
        "| Kod | Anlamı |\n|---|---|\n| GRS | Mal kabul |\n| IAD | İade |\n| SYM | Sayım |\n| DEV | Devir |",
        "- Open **Stock**.\n- Open **Purchase**.\n- Open **Sales**.\n- Choose the order that you want to receive.",
        "The receipt is posted, the receipt is printed, and the stock of the warehouse rises by what was received.",
        "1, 2, 3, 4 and 5",
    ],
)
def test_ordinary_answers_tables_and_lists_are_not(text) -> None:
    assert repeated_share(text) < 0.5


def answers(*texts, step=100):
    return [Sample(step, f"question {place}", text) for place, text in enumerate(texts)]


def test_half_of_the_samples_in_circles_is_a_finding_with_what_they_say() -> None:
    loop = "Stok ekranı açılır. " * 6
    [finding] = diagnose(healthy(), (), (), answers(loop, "Kaydı açın.", loop, "Save it."), run=whole(healthy()))
    assert (finding.kind, finding.step, finding.figure) == ("repetitive_samples", 100, 0.5)
    assert "2 of 4 sample answers" in finding.message
    assert "6 times 'Stok ekranı açılır .'" in finding.message


def test_answers_after_a_training_carry_the_epoch_they_are_told() -> None:
    [finding] = Diagnosis().add_samples(answers(*["Press Save. " * 9] * 2, step=600), epoch=3.0)
    assert (finding.step, finding.epoch) == (600, 3.0)
    assert finding.text.startswith("step 600 (epoch 3.00): 2 of 2 sample answers")


def test_one_of_four_in_circles_or_an_untrained_model_is_none() -> None:
    loop = "Press Save. " * 9
    assert (
        diagnose(healthy(), (), (), answers(loop, "Open it.", "Close it.", "Kaydı açın."), run=whole(healthy())) == ()
    )
    assert diagnose(healthy(), (), (), answers(loop, loop, loop, loop, step=0), run=whole(healthy())) == ()


def test_one_answer_to_every_question_is_a_note() -> None:
    same = "Bu bilgi verilen belgelerde yok."
    [finding] = diagnose(healthy(), (), (), answers(same, same, same, "GRS kodu: Mal kabul."), run=whole(healthy()))
    assert (finding.severity, finding.figure) == ("note", 0.75)
    assert "3 of 4 different questions" in finding.message


# data


def test_steps_that_wait_for_data_are_told_with_their_share() -> None:
    slow = [StepTiming(step, 0.5, 1.5) for step in range(1, 41)]
    [finding] = diagnose(healthy()[:40], timings=slow)
    assert (finding.kind, finding.step, finding.figure) == ("slow_data", 32, 0.25)
    assert "25% of the time" in finding.message


@pytest.mark.parametrize(("waiting", "computing"), [(0.1, 1.5), (0.01, 0.01)])
def test_short_waits_are_no_finding(waiting, computing) -> None:
    assert diagnose(healthy()[:40], timings=[StepTiming(step, waiting, computing) for step in range(1, 41)]) == ()


# step by step


@settings(max_examples=tries(60), deadline=None)
@given(seed=st.integers(0, 10**6), stop=st.integers(1, 299))
def test_a_run_that_is_continued_finds_what_an_unbroken_one_finds(seed, stop) -> None:
    rows = changed(healthy(seed), 120, train_loss=lambda row: row.train_loss + 6.0)
    rows = changed(rows, 60, 63, train_loss=lambda row: row.train_loss * 4)
    diagnosis = Diagnosis(whole(rows))
    told = [finding for row in rows[:stop] for finding in diagnosis.add_step(row)]
    again = Diagnosis(whole(rows))
    for row in rows[:stop]:
        again.add_step(row)
    assert again.findings == told
    told += [finding for row in rows[stop:] for finding in again.add_step(row)]
    assert tuple(told) == diagnose(rows, run=whole(rows))
    assert len(told) >= 2

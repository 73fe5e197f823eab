"""What a terminal, a pipe and a narrow window see of a run."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from groundtune.training.live import Curve, RunFigures, RunView, render_panel

FIGURES = RunFigures(
    "fine-tuning",
    total_steps=639,
    steps_per_epoch=213,
    step=312,
    elapsed_seconds=52,
    left_seconds=54,
    train_loss=3.102,
    smoothed_loss=3.214,
    losses=tuple(6 - place / 100 for place in range(300)),
    valid_loss=3.34,
    best_loss=3.31,
    best_place="in epoch 1",
    learning_rate=4.2e-4,
    grad_norm=1.83,
    max_grad_norm=1.0,
    tokens_per_second=41_200,
    unique_tokens_per_second=12_100,
    supervised_tokens=1_234_000,
    memory_bytes=3 * 2**30,
    peak_memory_bytes=4 * 2**30,
    phase="long ones",
    finding="step 210 (epoch 1.00): the training loss jumped to 9.1, where it had been about 3.2; " * 3,
    finding_style="yellow",
)


def drawn(figures: RunFigures, width: int, *, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    console.print(render_panel(figures, width, ascii_only=console.options.ascii_only))
    file.flush()
    return raw.getvalue().decode(encoding).splitlines()


def test_eighty_columns_show_everything_in_ten_lines_and_a_bit() -> None:
    lines = drawn(FIGURES, 80)
    text = "\n".join(lines)
    assert len(lines) == 11
    for told in (
        "fine-tuning · epoch 2 of 3", "312/639 steps", "54 s left", "52 s", "3.214", "last 3.102", "█", "▁", "3.340", "best 3.310 in epoch 1",
        "4.20e-04", "gradient norm 1.83, clipped to 1", "41,200 tokens/s", "12,100 computed/s", "1.23M supervised", "3.00 GiB", "peak 4.00",
        "long ones", "the training loss jumped", "…",
    ):  # fmt: skip
        assert told in text
    assert "GPU" not in text
    assert "GPU 1.00 GiB, peak 2.00" in "\n".join(drawn(replace(FIGURES, gpu_bytes=2**30, peak_gpu_bytes=2**31), 80))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_window_and_none_is_broken(width) -> None:
    lines = drawn(FIGURES, width)
    assert {len(line) for line in lines} == {min(width, 100)}
    assert len(lines) == 11
    assert "3.214" in "\n".join(lines)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = drawn(replace(FIGURES, finding=""), 80, encoding="ascii")
    assert lines[0].startswith("+- fine-tuning, epoch 2 of 3")
    assert "#" in lines[1]
    assert "%" in lines[2]


def test_what_is_not_known_is_not_shown() -> None:
    lines = drawn(RunFigures("pretraining", total_steps=10), 80)
    assert len(lines) == 3
    assert "0/10 steps" in lines[1]
    assert "left" not in lines[1]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def view_on(clock: Clock, **options) -> tuple[RunView, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=100, highlight=False, **options)
    return RunView("fine-tuning", total_steps=40, steps_per_epoch=20, console=console, clock=clock), file


def test_a_pipe_gets_a_line_every_ten_seconds_and_one_in_the_end() -> None:
    clock = Clock()
    view, file = view_on(clock)
    with view:
        view.begin(0)
        for step in range(1, 41):
            clock.now += 1
            view.show(step=step, train_loss=2.5, learning_rate=1e-3, grad_norm=0.5, tokens_per_second=1200.0)
    lines = file.getvalue().splitlines()
    assert lines[0] == (
        "  fine-tuning: 10/40 steps, 30 s left, loss 2.500, rate 1.00e-03, gradient norm 0.5, 1,200 tokens/s"
    )
    assert [line.split()[1] for line in lines] == ["10/40", "20/40", "30/40", "40"]
    assert lines[-1].startswith("  fine-tuning: 40 steps in 40 s")
    assert "\x1b" not in file.getvalue()


def test_steps_of_an_earlier_session_do_not_count_for_the_time_left() -> None:
    clock = Clock()
    view, file = view_on(clock)
    with view:
        view.begin(30)
        clock.now += 10
        view.show(step=35)
    assert file.getvalue().splitlines()[0] == "  fine-tuning: 35/40 steps, 10 s left"


def test_a_run_of_two_seconds_leaves_no_trace_but_findings() -> None:
    clock = Clock()
    view, file = view_on(clock, force_terminal=True)
    with view:
        view.begin(0)
        clock.now += 1
        view.show(step=40)
        view.remark("epoch 1: question")
        view.say("something is wrong")
    assert file.getvalue() == "something is wrong\n"


def test_ctrl_c_gives_the_cursor_back_and_says_how_far_the_run_came() -> None:
    clock = Clock()
    view, file = view_on(clock, force_terminal=True)

    def interrupted() -> None:
        with view:
            view.begin(0)
            clock.now += 5
            view.show(step=5)
            view.remark("epoch 1:\nquestion → " + "word " * 50)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    shown = file.getvalue()
    assert shown.index("\x1b[?25l") < shown.rindex("\x1b[?25h")
    assert "  fine-tuning: ended at step 5 of 40 after 5 s" in shown
    assert "epoch 1: question → word word" in shown


def test_no_color_is_honoured(monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    clock = Clock()
    view, file = view_on(clock, force_terminal=True)
    with view:
        view.begin(0)
        clock.now += 5
        view.show(step=5, train_loss=1.0, smoothed_loss=1.0, losses=(2.0, 1.0))
        view.say("careful", style="yellow")
    # the cursor is moved, nothing is coloured
    assert "\x1b[33m" not in file.getvalue()
    assert "\x1b[36m" not in file.getvalue()
    assert "\x1b[?25h" in file.getvalue()


def test_a_long_curve_is_thinned_and_keeps_its_shape() -> None:
    curve = Curve()
    for place in range(5000):
        curve.add(5000.0 - place)
    points = curve.points()
    assert len(points) < 512
    assert points == sorted(points, reverse=True)
    assert points[0] > 4950
    assert curve.last == 1.0
    assert curve.smoothed == pytest.approx(10, abs=0.5)

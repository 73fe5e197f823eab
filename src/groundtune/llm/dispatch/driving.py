"""Drives many conversations at once, started one after the other as there is room, and stops them in good order.

What this module does not do: know what a conversation says, or send anything itself.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from groundtune.llm.dispatch.dispatcher import Dispatcher
from groundtune.llm.failures import Stopped

Job = Callable[[], Awaitable[None]]

ALIVE_FOR_EACH_IN_FLIGHT = 2
"""Conversations for each request that may be in flight: some wait for another attempt, or are at work on their answer."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""SIGTERM like Ctrl-C: who stops a service gives it some seconds, in which what is in flight may still arrive."""


def _say(line: str) -> None:
    sys.stderr.write(f"\n{line}\n")
    sys.stderr.flush()


async def run_all(
    jobs: Iterable[Job], dispatcher: Dispatcher, *, alive: int | None = None, say: Callable[[str], None] = _say
) -> None:
    """Run every job; each is taken from `jobs` only when there is room for it.

    In the main thread Ctrl-C and SIGTERM are taken over meanwhile: at the first, what is in flight is finished and kept; at the
    second it is dropped.

    Args:
        alive: conversations at the same time; None: twice `config.max_in_flight`.
        say: gets a line for people when the run is interrupted.

    Raises:
        AccountFailure, BudgetReached, Stopped: why the run ended early; or whatever else a job or `jobs` raised first. It comes when
            nothing is in flight any more and everything answered is recorded.
        KeyboardInterrupt: the run was interrupted; likewise at the end.
    """
    errors: list[Exception] = []
    waiting = iter(jobs)

    async def work() -> None:
        while dispatcher.cause is None:
            try:
                job = next(waiting, None)
                if job is None:
                    return
                await job()
            except Exception as error:  # noqa: BLE001 raised again, when what is in flight is recorded
                errors.append(error)
                dispatcher.stop(f"another conversation failed: {error}")
            # conversations that are answered by the ledger wait for nothing: let signals and the others in
            await asyncio.sleep(0)

    with _interruptible(dispatcher, say) as interruptions:
        count = alive or ALIVE_FOR_EACH_IN_FLIGHT * dispatcher.config.max_in_flight
        workers = [asyncio.create_task(work()) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            # cancelled from outside, as when the program ends: nothing is waited for
            dispatcher.drop()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        finally:
            await dispatcher.settled()
    _raise_first([*errors, *filter(None, [dispatcher.cause])], interrupted=bool(interruptions))


def _raise_first(errors: list[Exception], *, interrupted: bool) -> None:
    if interrupted and (not errors or isinstance(errors[0], Stopped)):
        raise KeyboardInterrupt
    if errors:
        raise errors[0]


@contextmanager
def _interruptible(dispatcher: Dispatcher, say: Callable[[str], None]) -> Iterator[list[int]]:
    """Yield the list of interruptions so far."""
    interruptions: list[int] = []
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield interruptions
        return

    def interrupt(number: int) -> None:
        interruptions.append(number)
        if len(interruptions) == 1:
            dispatcher.stop()
            say(f"stopping: {_requests(dispatcher.in_flight)} in flight, finished and kept; Ctrl-C again drops them")
        else:
            dollars = dispatcher.progress.spending.in_flight
            say(f"dropping {_requests(dispatcher.in_flight)} in flight; up to ${dollars:.4f} may be billed for them")
            dispatcher.drop()

    loop = asyncio.get_running_loop()
    previous = [(number, signal.getsignal(number)) for number in _SIGNALS]
    for number, _ in previous:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield interruptions
    finally:
        for number, handler in previous:
            loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"

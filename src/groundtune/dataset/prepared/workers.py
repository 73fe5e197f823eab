"""Blocks of work done by forked copies of this process, which stay for all blocks and keep what they have learnt.

A copy takes one block at a time, so memory holds a block for each of them and the next one. What a block gives does not
depend on who did it. What this module does not do: keep results in order, or say how large a block is.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from groundtune.chat.shares import one_thread_each
from groundtune.errors import GroundtuneError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

Block = TypeVar("Block")
Result = TypeVar("Result")


def count_processes(wanted: int) -> int:
    """`wanted`, where 0 means one for each core this process may use."""
    return wanted or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def work_in_blocks(work: Callable[[Block], Result], blocks: Iterable[Block], processes: int) -> Iterator[Result]:
    """What `work` gives for each block, as they are finished; with one process, or where there is no fork, in order.

    A copy that dies (of memory, most likely) costs nothing: its block is done here.

    Raises:
        GroundtuneError: the first that any block raised.
    """
    if processes < 2 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(work, blocks)
        return
    with one_thread_each():
        copies: _Copies[Block, Result] = _Copies(work, processes)
        try:
            for block in blocks:
                if not copies.has_idle():
                    yield from copies.collect()
                copies.give(block)
            while copies.busy:
                yield from copies.collect()
        finally:
            copies.end()


@dataclass(slots=True)
class _Copies(Generic[Block, Result]):
    """The forked processes: which are idle, and what the busy ones are at."""

    work: Callable[[Block], Result]
    most: int
    processes: list[BaseProcess] = field(default_factory=list)
    idle: list[Connection] = field(default_factory=list)
    busy: dict[Connection, Block] = field(default_factory=dict)

    def has_idle(self) -> bool:
        return bool(self.idle) or len(self.processes) < self.most

    def give(self, block: Block) -> None:
        if not self.idle:
            self._start()
        connection = self.idle.pop()
        self.busy[connection] = block
        try:
            connection.send(block)
        except OSError:
            # it died: `collect` meets the same and does the block here
            return

    def collect(self) -> Iterator[Result]:
        """Results of those that are done; waits for the first."""
        for connection in cast("list[Connection]", wait(list(self.busy))):
            block = self.busy.pop(connection)
            try:
                found: Result | GroundtuneError = connection.recv()
            except (EOFError, OSError):
                connection.close()
                self.most -= 1
                yield self.work(block)
                continue
            self.idle.append(connection)
            if isinstance(found, GroundtuneError):
                raise found
            yield found

    def end(self) -> None:
        for connection in (*self.idle, *self.busy):
            connection.close()
        for process in self.processes:
            process.terminate()
            process.join()

    def _start(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        inherited = [ours, *self.idle, *self.busy]
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(self.work, theirs, inherited), daemon=True
        )
        with warnings.catch_warnings():
            # newer Pythons warn where other threads exist; the copy uses none of what they might hold
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        # closed here before the next fork, so that its end is the end of the connection
        theirs.close()
        self.processes.append(process)
        self.idle.append(ours)


def _serve(work: Callable[[Block], Result], connection: Connection, inherited: list[Connection]) -> None:
    # while a copy holds the parent's ends too, nobody would notice that the parent was killed
    for end in inherited:
        end.close()
    # an interruption is the parent's to tell, once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            block: Block = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send(work(block))
        except GroundtuneError as error:
            connection.send(error)
        except BrokenPipeError:
            # nobody waits for it any more
            return

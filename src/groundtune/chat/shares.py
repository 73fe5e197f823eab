"""The same work in several forked processes, each with a share of the conversations.

Forked, because a fresh interpreter spends longer on importing transformers than a share takes. The copies only render and
encode, on one thread each, and leave without touching anything else. What this module does not do: decide how many.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import TemplateError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

_PARALLELISM = "TOKENIZERS_PARALLELISM"


@dataclass(frozen=True, slots=True)
class Columns:
    """Ids as bytes of int32, weights float32 [N]; of each example its tokens and its conversation, int64 [n].

    ``refused`` has the reason for each conversation that could not be rendered.
    """

    token_ids: bytes
    weights: NDArray[np.float32]
    sizes: NDArray[np.int64]
    owners: NDArray[np.int64]
    refused: dict[int, str]


RenderShare = Callable[[int, int], Columns]
"""Renders the conversations from the first number up to, and without, the second."""


def render_in_shares(render_share: RenderShare, count: int, processes: int) -> list[Columns]:
    """`count` conversations in `processes` shares, in order; the first share is done by this process.

    Raises:
        TemplateError: the first one of any share.
    """
    borders = [count * number // processes for number in range(processes + 1)]
    shares = list(pairwise(borders))
    if "fork" not in multiprocessing.get_all_start_methods():
        return [render_share(*share) for share in shares]
    with one_thread_each():
        helpers = [_start(render_share, share) for share in shares[1:]]
        try:
            columns = [render_share(*shares[0])]
            columns += [
                _receive(render_share, share, each) for share, (_, each) in zip(shares[1:], helpers, strict=True)
            ]
            return columns
        finally:
            for process, connection in helpers:
                connection.close()
                process.terminate()
                process.join()


def _start(render_share: RenderShare, share: tuple[int, int]) -> tuple[BaseProcess, Connection]:
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_work, args=(render_share, share, sending), daemon=True
    )
    with warnings.catch_warnings():
        # newer Pythons warn where other threads exist; the copy uses none of what they might hold
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sending.close()
    return process, receiving


def _work(render_share: RenderShare, share: tuple[int, int], sending: Connection) -> None:
    try:
        sending.send(render_share(*share))
    except TemplateError as error:
        sending.send(error)


def _receive(render_share: RenderShare, share: tuple[int, int], receiving: Connection) -> Columns:
    try:
        found: Columns | TemplateError = receiving.recv()
    except EOFError:
        # the copy died, of memory most likely: what it had to do is done here
        return render_share(*share)
    if isinstance(found, TemplateError):
        raise found
    return found


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Tokenizers that were used on several threads complain about forks unless this is said."""
    before = os.environ.get(_PARALLELISM)
    os.environ[_PARALLELISM] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLELISM]
        else:
            os.environ[_PARALLELISM] = before

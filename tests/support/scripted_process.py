"""The scripted provider as a process of its own, which outlives clients that are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import scripted_provider
from scripted_log import Log, read_log


class ProviderProcess:
    """Runs the server for as long as the `with` block.

    Args:
        state: JSON Lines file of the log.
        script: fields of :class:`scripted_engine.Script` that JSON can say; `answer` by name or ``module:function``.
    """

    def __init__(self, state: Path, *, port: int = 0, **script: Any) -> None:
        self.state = state
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        program = [
            sys.executable,
            str(Path(scripted_provider.__file__)),
            "--port",
            str(port),
            "--with-parent",
            "--state",
            str(state),
        ]
        self._command = [*program, "--script", json.dumps(script)]

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def log(self) -> Log:
        """As it stands now; read anew at every look."""
        return read_log(self.state)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self._end()
            raise RuntimeError("the scripted provider did not start; its error stands above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait(10)
        self._process.stdout.close()
        self._process.stdin.close()

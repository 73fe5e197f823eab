"""The errors a user can meet, each also a standard type, so that callers may catch either.

A message is one sentence or two: where (``file:line``, record id, field), what was found (``{x!r}``), what was expected,
and what to do. The command line prints it and exits with :attr:`GroundtuneError.exit_code`; nothing else does.
"""


class GroundtuneError(Exception):
    """Root of every error that is the user's to mend rather than a defect of groundtune."""

    exit_code = 2


class ConfigError(GroundtuneError, ValueError):
    """The configuration cannot be read, names an unknown key, or holds a value that cannot be used."""


class DataError(GroundtuneError, ValueError):
    """An input or intermediate file is missing, malformed, or contradicts another."""


class StorageError(GroundtuneError, OSError):
    """The file system refused: no space, no permission, read-only."""


class TemplateError(GroundtuneError, ValueError):
    """A chat template cannot be rendered, or its trained tokens cannot be told apart exactly."""


class GenerationError(GroundtuneError, RuntimeError):
    """Question-answer pairs could not be written."""


class TrainingError(GroundtuneError, RuntimeError):
    """A model could not be built, loaded or trained."""


class EvaluationError(GroundtuneError, RuntimeError):
    """A model could not be evaluated."""

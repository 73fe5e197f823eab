"""What is wrong with a training, in words: from the rows of its journal, its validations, sample answers and timings.

:class:`Diagnosis` looks at a run that goes on, row by row, or at a whole one at once, and finds the same. Whatever
is read off noise is found only where it stands clear of the noise of the run itself, so few rows give few findings. What this
package does not do: read files, keep time, print, or stop anything: `Finding.should_stop` says what it would do.
"""

from groundtune.training.diagnosis.diagnosing import Diagnosis
from groundtune.training.diagnosis.findings import Finding, Kind, Sample, Severity, StepTiming, Watched
from groundtune.training.diagnosis.samples import repeated_share

__all__ = [
    "Diagnosis",
    "Finding",
    "Kind",
    "Sample",
    "Severity",
    "StepTiming",
    "Watched",
    "repeated_share",
]

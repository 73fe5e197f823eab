"""The report: one self-contained HTML file from the figures of a whole run.

No request leaves the page: styles, script and charts are inside it, and its content security policy forbids the rest.
Documents and answers are untrusted and are escaped everywhere. What this package does not do: read files or clocks, so
the same data give the same bytes; decide what may be said (:mod:`groundtune.evaluation.verdict`).
"""

from groundtune.evaluation.report.render import render_report

__all__ = ["render_report"]

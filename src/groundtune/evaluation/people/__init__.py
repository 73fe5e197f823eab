"""People's ratings of two systems' answers, side by side and blind: what they see, what they say, and what it amounts to.

What this package does not do: read keys (:mod:`groundtune.cli.rating_session`), draw on a terminal
(:mod:`groundtune.cli.rating_screen`), or know where files stand (:mod:`groundtune.pipeline.rating`).
"""

from groundtune.evaluation.figures.marks import PREFERENCE
from groundtune.evaluation.people.forms import Form, Import, form_of, form_salt, read_import
from groundtune.evaluation.people.items import Item, Rateable, choose, rateable, shown_to
from groundtune.evaluation.people.ratings import Rating, RatingFile, rater_name, raters_of
from groundtune.evaluation.people.session import Session, Told
from groundtune.evaluation.people.summary import (
    PeopleMarks,
    PeoplePreference,
    PeopleSummary,
    RaterSummary,
    current,
    summarise,
)

__all__ = [
    "PREFERENCE",
    "Form",
    "Import",
    "Item",
    "PeopleMarks",
    "PeoplePreference",
    "PeopleSummary",
    "Rateable",
    "RaterSummary",
    "Rating",
    "RatingFile",
    "Session",
    "Told",
    "choose",
    "current",
    "form_of",
    "form_salt",
    "rateable",
    "rater_name",
    "raters_of",
    "read_import",
    "shown_to",
    "summarise",
]

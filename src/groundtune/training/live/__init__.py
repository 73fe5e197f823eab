"""What a person at the terminal sees of a training that goes on: a panel that renews itself, or a plain line now and then.

:class:`RunView` shows, :class:`Onlooker` is the callback that tells it what there is to show. What this package does not do:
decide anything of the training, keep its figures (:mod:`groundtune.training.records`) or find what is wrong with it
(:mod:`groundtune.training.diagnosis`).
"""

from groundtune.training.live.figures import Curve, RunFigures
from groundtune.training.live.onlooker import Onlooker
from groundtune.training.live.panel import render_panel
from groundtune.training.live.view import RunView

__all__ = ["Curve", "Onlooker", "RunFigures", "RunView", "render_panel"]

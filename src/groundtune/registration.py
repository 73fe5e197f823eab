"""Makes transformers know groundtune's own architecture without loading transformers.

``import groundtune`` calls `register_when_needed`. The first time that anything asks ``AutoConfig`` for a configuration,
:mod:`groundtune.models.alibi` is imported, which registers the architecture; from then on transformers is as it was.
``AutoModelForCausalLM``, ``AutoTokenizer`` and ``pipeline`` begin with that question, so each of them loads a folder whose
``model_type`` is ``groundtune_alibi``.

What this does not do: reach a program that never imports groundtune (a server of another project), or a caller that took
the method ``AutoConfig.from_pretrained`` out of its class before groundtune was imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

WATCHED = "transformers.models.auto.configuration_auto"
"""The module of transformers that holds AutoConfig."""

ARCHITECTURES = "groundtune.models.alibi"
"""The module that registers the architecture when it is imported."""

ASKED = ("from_pretrained", "for_model")
"""Methods of AutoConfig that look an architecture up."""


def register_when_needed() -> None:
    """Arrange for the registration. Loads nothing; calling it again changes nothing."""
    loaded = sys.modules.get(WATCHED)
    if loaded is not None:
        _register_at_first_question(loaded)
    elif not any(isinstance(finder, _Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watcher())


class _Watcher(MetaPathFinder):
    """Leaves every import to the other finders, and follows the watched one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        loader: Any = spec.loader if spec is not None else None
        if loader is None:
            return None
        run = loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            _register_at_first_question(module)

        loader.exec_module = run_and_register
        return spec


def _register_at_first_question(module: ModuleType) -> None:
    """Put a method in front of each of AutoConfig's that imports the architecture, steps aside and asks again.

    Not at once, because AutoConfig itself is imported in the middle of transformers, on which the architecture builds.
    """
    auto: Any = getattr(module, "AutoConfig", None)
    if auto is None or ARCHITECTURES in sys.modules:
        return
    originals = {name: vars(auto)[name] for name in ASKED if name in vars(auto)}
    if any(hasattr(original, "__groundtune__") for original in originals.values()):
        return

    def in_front_of(name: str) -> Any:
        def asking(cls: Any, *args: Any, **kwargs: Any) -> Any:
            importlib.import_module(ARCHITECTURES)
            for each, original in originals.items():
                setattr(auto, each, original)
            return getattr(cls, name)(*args, **kwargs)

        asking.__doc__ = originals[name].__doc__
        method: Any = classmethod(asking)
        method.__groundtune__ = True
        return method

    for name in originals:
        setattr(auto, name, in_front_of(name))

"""Proves that a chat template merely puts message contents into fixed text, and so renders it once per order of roles.

Most templates write headers, contents and end marks, and decide by roles and positions alone. What such a template makes
of a conversation is the same text around other contents. :func:`only_places_contents` reads the template's syntax tree and
accepts it where every use of a content ends, untouched or trimmed, in the output; nothing may ask what a content holds.
Whatever it does not understand it does not accept.

What this module does not do: render templates that do look into contents; the plain renderer takes those.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import nodes


class _Kind(Enum):
    """What an expression may hold."""

    CLEAN = "nothing of any content"
    TEXT = "contents among fixed text"
    MESSAGE = "a message"
    MESSAGES = "messages in their order"


_FIELDS = frozenset({"role", "content"})
"""What messages hold wherever an outline is used."""
_LOOP_FIELDS = frozenset({"first", "last", "index", "index0", "revindex", "revindex0", "length", "depth", "depth0"})
_TYPE_TESTS = frozenset({"defined", "undefined", "string", "none", "mapping", "iterable", "sequence"})
"""Tests that every content answers alike, since contents are strings."""
_CHANGING = frozenset({"strftime_now", "self", "caller", "varargs", "kwargs", "super"})
"""Names that stand for the clock or for parts of the template."""


class _Unproven(Exception):  # noqa: N818 - never leaves this module
    """The template does something this reader does not vouch for."""


@lru_cache(maxsize=32)
def only_places_contents(template: str) -> bool:
    """Whether the text around the contents depends on roles and their order alone.

    >>> only_places_contents("{% for m in messages %}{{ m.role ~ ': ' ~ m.content | trim }}{% endfor %}")
    True
    >>> only_places_contents("{% for m in messages %}{% if 'x' in m.content %}!{% endif %}{% endfor %}")
    False
    """
    from jinja2 import Environment
    from jinja2.exceptions import TemplateError

    # as transformers sets it up; used to read only, never to render
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    try:
        tree = environment.parse(template)
    except TemplateError:
        return False
    reader = _Reader()
    try:
        while True:
            before = dict(reader.names)
            reader.statements(tree.body)
            # a loop may use a name before the line that sets it: once more until nothing new is learnt
            if before == reader.names:
                return True
    except _Unproven:
        return False


class _Reader:
    """Walks the tree; `names` holds what each name may hold anywhere in the template."""

    def __init__(self) -> None:
        self.names: dict[str, _Kind] = {"messages": _Kind.MESSAGES}

    def statements(self, body: list[nodes.Node]) -> None:
        for node in body:
            self.statement(node)

    def statement(self, node: nodes.Node) -> None:
        from jinja2 import nodes

        if isinstance(node, nodes.Output):
            for each in node.nodes:
                self.expect(each, _Kind.CLEAN, _Kind.TEXT)
        elif isinstance(node, nodes.If):
            self.branch(node)
        elif isinstance(node, nodes.For):
            self.loop(node)
        elif isinstance(node, nodes.Assign):
            self.assign(node)
        elif type(node).__name__ not in ("Break", "Continue"):
            raise _Unproven

    def branch(self, node: nodes.If) -> None:
        if not self.is_never(node.test):
            self.expect(node.test, _Kind.CLEAN)
            self.statements(node.body)
        for other in node.elif_:
            self.branch(other)
        self.statements(node.else_)

    def is_never(self, test: nodes.Node) -> bool:
        """Whether `test` asks for a field that messages of role and content alone do not have, and so fails."""
        from jinja2 import nodes

        if isinstance(test, nodes.And):
            return self.is_never(test.left) or self.is_never(test.right)
        if isinstance(test, nodes.Test) and test.name == "defined":
            return self.is_never(test.node)
        if isinstance(test, nodes.Compare):
            held = test.expr.value if isinstance(test.expr, nodes.Const) else "content"
            return test.ops[0].op == "in" and self.asks_for_field(test) and held not in _FIELDS
        if isinstance(test, nodes.Getattr):
            owner, name = test.node, test.attr
        elif isinstance(test, nodes.Getitem) and isinstance(test.arg, nodes.Const):
            owner, name = test.node, test.arg.value
        else:
            return False
        absent = isinstance(name, str) and name not in _FIELDS and not hasattr(dict, name)
        return absent and isinstance(owner, nodes.Name) and self.names.get(owner.name) is _Kind.MESSAGE

    def loop(self, node: nodes.For) -> None:
        many = self.expect(node.iter, _Kind.CLEAN, _Kind.MESSAGES)
        if node.recursive:
            raise _Unproven
        self.bind(node.target, _Kind.MESSAGE if many is _Kind.MESSAGES else _Kind.CLEAN)
        if node.test is not None:
            self.expect(node.test, _Kind.CLEAN)
        self.statements([*node.body, *node.else_])

    def assign(self, node: nodes.Assign) -> None:
        from jinja2 import nodes

        kind = self.kind(node.node)
        if isinstance(node.target, nodes.NSRef):
            if kind is not _Kind.CLEAN:
                raise _Unproven
        else:
            self.bind(node.target, kind)

    def bind(self, target: nodes.Node, kind: _Kind) -> None:
        from jinja2 import nodes

        if isinstance(target, nodes.Tuple) and kind is _Kind.CLEAN:
            for each in target.items:
                self.bind(each, kind)
            return
        if not isinstance(target, nodes.Name) or target.name == "loop":
            raise _Unproven
        self.names[target.name] = _joined(self.names.get(target.name, kind), kind)

    def expect(self, node: nodes.Node, *kinds: _Kind) -> _Kind:
        kind = self.kind(node)
        if kind not in kinds:
            raise _Unproven
        return kind

    def kind(self, node: nodes.Node) -> _Kind:
        from jinja2 import nodes

        if isinstance(node, nodes.Name):
            if node.name in _CHANGING or node.name == "loop":
                raise _Unproven
            return self.names.get(node.name, _Kind.CLEAN)
        if isinstance(node, nodes.Getattr):
            return self.part(node.node, node.attr)
        if isinstance(node, nodes.Getitem):
            return self.item(node)
        if isinstance(node, nodes.Add | nodes.Concat | nodes.CondExpr):
            return self.put_together(node)
        if isinstance(node, nodes.Filter):
            return self.filtered(node)
        if isinstance(node, nodes.Test) and node.name in _TYPE_TESTS and not node.args:
            self.kind(node.node)
            return _Kind.CLEAN
        if isinstance(node, nodes.Compare) and self.asks_for_field(node):
            return _Kind.CLEAN
        for child in node.iter_child_nodes():
            self.expect(child, _Kind.CLEAN)
        return _Kind.CLEAN

    def part(self, owner: nodes.Node, name: str) -> _Kind:
        from jinja2 import nodes

        if isinstance(owner, nodes.Name) and owner.name == "loop":
            if name not in _LOOP_FIELDS:
                raise _Unproven
            return _Kind.CLEAN
        kind = self.expect(owner, _Kind.CLEAN, _Kind.MESSAGE)
        if kind is _Kind.CLEAN:
            return _Kind.CLEAN
        # a method of dict, items() say, would hand the content out under another name
        if hasattr(dict, name):
            raise _Unproven
        return _Kind.TEXT if name == "content" else _Kind.CLEAN

    def item(self, node: nodes.Getitem) -> _Kind:
        from jinja2 import nodes

        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self.part(node.node, node.arg.value)
        kind = self.expect(node.node, _Kind.CLEAN, _Kind.MESSAGES)
        self.expect(node.arg, _Kind.CLEAN)
        if kind is _Kind.MESSAGES:
            return _Kind.MESSAGES if isinstance(node.arg, nodes.Slice) else _Kind.MESSAGE
        return _Kind.CLEAN

    def put_together(self, node: nodes.Node) -> _Kind:
        from jinja2 import nodes

        if isinstance(node, nodes.CondExpr):
            self.expect(node.test, _Kind.CLEAN)
            parts = [self.kind(each) for each in (node.expr1, node.expr2) if each is not None]
            return parts[0] if len(set(parts)) == 1 else _joined(*parts)
        kinds = {self.expect(child, _Kind.CLEAN, _Kind.TEXT) for child in node.iter_child_nodes()}
        return _Kind.TEXT if _Kind.TEXT in kinds else _Kind.CLEAN

    def filtered(self, node: nodes.Filter) -> _Kind:
        from jinja2 import nodes

        if node.node is None or node.name == "random":
            raise _Unproven
        kind = self.kind(node.node)
        bare = not node.args and not node.kwargs and node.dyn_args is None and node.dyn_kwargs is None
        if kind is _Kind.MESSAGES and node.name in ("length", "count") and bare:
            return _Kind.CLEAN
        # what trim does to a content among other text depends on the content, so only a content itself may be trimmed
        if kind is _Kind.TEXT and node.name == "trim" and bare and isinstance(node.node, nodes.Getattr | nodes.Getitem):
            return _Kind.TEXT
        for child in node.iter_child_nodes():
            self.expect(child, _Kind.CLEAN)
        return _Kind.CLEAN

    def asks_for_field(self, node: nodes.Compare) -> bool:
        """``'tool_calls' in message``: every message has the same fields."""
        from jinja2 import nodes

        if len(node.ops) != 1 or node.ops[0].op not in ("in", "notin") or not isinstance(node.expr, nodes.Const):
            return False
        return self.kind(node.ops[0].expr) is _Kind.MESSAGE


def _joined(first: _Kind, second: _Kind) -> _Kind:
    if first is second:
        return first
    if {first, second} == {_Kind.CLEAN, _Kind.TEXT}:
        return _Kind.TEXT
    raise _Unproven

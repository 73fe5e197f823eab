"""Running the rules: languages apart, groups cut to size, duplicates dropped, everything left out counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from groundtune.config import GroupingConfig
from groundtune.grouping import relational, structural
from groundtune.grouping.cutting import cut_chunks
from groundtune.grouping.outline import build_outlines
from groundtune.grouping.proposal import Material, Proposal, RuleFunction
from groundtune.grouping.relations import resolve_relations
from groundtune.types import Chunk, Group, Rule

RULES: Mapping[Rule, RuleFunction] = {
    Rule.INDIVIDUAL: structural.individual,
    Rule.SUBMODULE: structural.submodule,
    Rule.MODULE: structural.module,
    Rule.VERTICAL_STACK: structural.vertical_stack,
    Rule.HORIZONTAL_SIBLINGS: structural.horizontal_siblings,
    Rule.CROSS_MODULE: relational.cross_module,
    Rule.OVERVIEW_DETAIL: structural.overview_detail,
    Rule.DATA_FLOW: relational.data_flow,
    Rule.FOUNDATION_CONSUMER: relational.foundation_consumer,
    Rule.SHARED_TABLES: relational.shared_tables,
    Rule.MODULE_MAP: structural.module_map,
}

ONE_CHUNK = "group of one chunk only"
DUPLICATE = "same chunks as another group of this rule"
CUT_TOKENS = "cut into several: over max_tokens"
CUT_CHUNKS = "cut into several: over max_chunks"
REST = "chunk left alone by a cut"


class GroupList(list[Group]):
    """The groups, and in `skips` what was left out or cut on the way, by reason."""

    def __init__(self, groups: Iterable[Group] = (), skips: Mapping[str, int] | None = None) -> None:
        super().__init__(groups)
        self.skips: Mapping[str, int] = dict(skips or {})


def build_groups(chunks: Sequence[Chunk], config: GroupingConfig) -> GroupList:
    """The groups of every rule in `config.rules`, in the order of `Rule`, languages never mixed.

    The order of `chunks` is the reading order. An individual chunk is a group whatever its size; groups of the other
    rules hold at least two chunks and at most `config.max_tokens` tokens and `config.max_chunks` chunks.

    Raises:
        ConfigError: a relation names a language, module, submodule or term that no chunk has.
    """
    materials = resolve_relations(config.relations, build_outlines(chunks))
    skips: Counter[str] = Counter()
    groups = [
        group
        for rule, propose in RULES.items()
        if rule in config.rules
        for material in materials
        for group in _groups_of(rule, propose, material, config, skips)
    ]
    return GroupList(groups, dict(sorted(skips.items())))


def _groups_of(
    rule: Rule, propose: RuleFunction, material: Material, config: GroupingConfig, skips: Counter[str]
) -> list[Group]:
    language = material.outline.language
    groups: list[Group] = []
    seen: set[frozenset[str]] = set()
    for proposal in propose(material):
        for title, chunks in _fitted(proposal, rule, config, skips):
            ids = tuple(chunk.chunk_id for chunk in chunks)
            if frozenset(ids) in seen:
                skips[DUPLICATE] += 1
                continue
            seen.add(frozenset(ids))
            group_id = f"{rule}-{language}-{len(groups) + 1:04d}"
            groups.append(Group(group_id, rule, title, language, ids, _tokens(chunks)))
    return groups


def _fitted(
    proposal: Proposal, rule: Rule, config: GroupingConfig, skips: Counter[str]
) -> list[tuple[str, tuple[Chunk, ...]]]:
    """Title and chunks of the group or groups that a proposal becomes."""
    if rule is Rule.INDIVIDUAL:
        return [(proposal.title, proposal.chunks)]
    if len(proposal.chunks) < 2:
        skips[ONE_CHUNK] += 1
        return []
    if _tokens(proposal.chunks) > config.max_tokens:
        skips[CUT_TOKENS] += 1
    elif len(proposal.chunks) > config.max_chunks:
        skips[CUT_CHUNKS] += 1
    else:
        return [(proposal.title, proposal.chunks)]
    parts = _cut(proposal, config)
    whole = [part for part in parts if len(part) > 1]
    if len(whole) < len(parts):
        skips[REST] += len(parts) - len(whole)
    if len(whole) == 1:
        return [(proposal.title, whole[0])]
    return [(f"{proposal.title} ({number}/{len(whole)})", part) for number, part in enumerate(whole, start=1)]


def _cut(proposal: Proposal, config: GroupingConfig) -> list[tuple[Chunk, ...]]:
    """Parts within the limits, each behind the proposal's lead where that leaves room for at least as much again."""
    lead = proposal.lead
    tokens = _tokens(lead)
    if tokens * 2 > config.max_tokens or len(lead) * 2 > config.max_chunks:
        lead, tokens = (), 0
    body = [chunk for chunk in proposal.chunks if chunk not in lead]
    parts = cut_chunks(body, max_tokens=config.max_tokens - tokens, max_chunks=config.max_chunks - len(lead))
    # a chunk that is over the limit on its own gets no company
    return [lead + part if tokens + _tokens(part) <= config.max_tokens else part for part in parts]


def _tokens(chunks: Sequence[Chunk]) -> int:
    return sum(chunk.token_count for chunk in chunks)

"""Prepares a Hugging Face model for rows: its attention, its loss and its matrix products, all put back afterwards.

A prepared model is called as before and gives the same outputs; what is new is a call with a row's tensors, which
returns the row's summed loss and no logits. Nothing is assumed of an architecture: what happens between the last hidden
states and the logits is measured once, and a model that does something unknown there still trains, with its own logits
of the supervised sources alone.

Legend: T tokens of the row, S distinct sources, E edges, D width, V vocabulary.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from groundtune.architecture import evaluating
from groundtune.errors import TrainingError
from groundtune.prefix.attention import ATTENTION, INSTEAD
from groundtune.prefix.batch import edges_of
from groundtune.prefix.causal import AGREEMENT, CHECK_TOKENS, body_of, causal_model, gathered, measure_logit_change
from groundtune.prefix.compiling import CompiledLayers
from groundtune.prefix.fused import fused_forward, is_gated_block, unbound
from groundtune.prefix.libraries import loss_by_library
from groundtune.prefix.loss import Edges, LogitChange, chunk_rows, each_edge_loss, edge_loss, loss_by_module
from groundtune.prefix.memory import keep_freed_memory
from groundtune.prefix.products import linear, onednn_is_faster


class PreparedModel:
    """A model that takes rows. A context manager: leaving it puts the model back as it was.

    Args:
        model: a causal language model, or a peft model around one. It may be wrapped (DDP, FSDP) afterwards.
        share: whether its attention is to follow the tree of a row; without, only loss and products are replaced.
        compiles: whether its layers are compiled inside `compiled`. Their own code is, so nothing of theirs is replaced then.

    Raises:
        TrainingError: the model cannot take rows; the message says why.
    """

    def __init__(self, model: nn.Module, *, share: bool = True, compiles: bool = False) -> None:
        self.model = model
        self.causal = causal_model(model)
        self._undo: list[Callable[[], None]] = []
        self._plain_attention = self.causal.config._attn_implementation
        self._sources_S: torch.Tensor | None = None
        self._each = False
        """Whether a row's call gives the losses of its edges one by one."""
        self._smoothing = 0.0
        self._change = measure_logit_change(self.causal)
        self._layers = CompiledLayers(body_of(self.causal)) if compiles else None
        try:
            self._prepare(share)
        except BaseException:
            self.restore()
            raise

    def _prepare(self, share: bool) -> None:
        if share:
            self._use_tree_attention()
        if next(self.model.parameters()).device.type == "cpu":
            self._undo.append(keep_freed_memory())
            self._use_faster_modules()
        self._narrow_last_layer()
        self._replace_forward()

    @property
    def chunked(self) -> bool:
        """Whether logits are made chunk by chunk; otherwise those of all sources of a row exist at once."""
        return self._change is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def restore(self) -> None:
        """Put the model back as it was."""
        while self._undo:
            self._undo.pop()()

    def row_loss(
        self, batch: Mapping[str, torch.Tensor], model: nn.Module | None = None, *, label_smoothing: float = 0.0
    ) -> torch.Tensor:
        """The summed weighted cross entropy of a row (of `row_tensors`), a scalar to call ``backward`` on.

        Args:
            model: what to call instead of the model itself: its DDP or FSDP wrapper.
            label_smoothing: the share of each target that is spread evenly over the vocabulary.
        """
        self._smoothing = label_smoothing
        try:
            outputs = (model or self.model)(**batch, use_cache=False)
        finally:
            self._smoothing = 0.0
        loss: torch.Tensor = outputs["loss"] if isinstance(outputs, dict) else outputs[0]
        return loss

    def compiled(self) -> AbstractContextManager[None]:
        """Inside the block the layers run compiled, where the model was prepared for that. Forward and backward of a row belong
        into one block. Raises `TrainingError` where they cannot be compiled."""
        return nullcontext() if self._layers is None else self._layers.used()

    @torch.no_grad()
    def edge_losses(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[E] the cross entropy of each edge of a row, weights left out, in the order of its ``edge_sources``, which must rise.
        Nothing can be differentiated through it."""
        self._each = True
        try:
            losses: torch.Tensor = self.model(**batch, use_cache=False)["loss"]
        finally:
            self._each = False
        return losses

    def _use_tree_attention(self) -> None:
        before = self._plain_attention
        self._undo.append(lambda: self.causal.set_attn_implementation(before))
        try:
            self.causal.set_attn_implementation(ATTENTION)
        except (ValueError, ImportError) as error:
            raise TrainingError(
                f"{type(self.causal).__name__} does not take its attention from transformers' interface; {INSTEAD}"
            ) from error
        if self.causal.config.get_text_config()._attn_implementation != ATTENTION:
            raise TrainingError(f"{type(self.causal).__name__} keeps an attention of its own; {INSTEAD}")

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Inside the block the model attends as it did before it was prepared."""
        now = self.causal.config._attn_implementation
        self.causal.set_attn_implementation(self._plain_attention)
        try:
            yield
        finally:
            self.causal.set_attn_implementation(now)

    def _use_faster_modules(self) -> None:
        compiled = set() if self._layers is None else self._layers.modules
        for module in self.model.modules():
            if module in compiled:
                continue
            forward = fused_forward(module)
            if forward is not None:
                self._set_forward(module, forward)
            elif type(module) is nn.Linear and onednn_is_faster():
                self._set_forward(module, _fast_forward)

    def _narrow_last_layer(self) -> None:
        """Let the last layer's feed-forward block compute the supervised sources alone: nothing else is read behind it."""
        layers = getattr(body_of(self.causal), "layers", None)
        if not isinstance(layers, nn.ModuleList) or not len(layers):
            return
        last = layers[-1]
        block = getattr(last, "mlp", None)
        if not isinstance(block, nn.Module) or not is_gated_block(block):
            return
        original = unbound(block)

        def forward(block: nn.Module, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            sources_S = self._sources_S
            # checkpointing calls the layer again when another row may be under way
            if sources_S is None or args or kwargs or getattr(last, "gradient_checkpointing", False):
                return original(block, hidden, *args, **kwargs)
            flat_TD = hidden.reshape(-1, hidden.shape[-1])
            narrow_SD = original(block, flat_TD.index_select(0, sources_S))
            return torch.zeros_like(flat_TD).index_copy(0, sources_S, narrow_SD).view(hidden.shape)

        self._set_forward(block, forward)
        if not self._narrowing_agrees(block):
            self._undo.pop()()

    def _narrowing_agrees(self, block: nn.Module) -> bool:
        """Whether sources come out the same when the last block computes them alone: layers may run several times, or
        something behind them may read other tokens."""
        device: torch.device = self.causal.get_input_embeddings().weight.device  # type: ignore[assignment]
        ids = torch.arange(CHECK_TOKENS, device=device)[None] % self.causal.config.get_text_config().vocab_size
        sources_S = torch.tensor([CHECK_TOKENS // 2, CHECK_TOKENS - 1], device=device)
        calls: list[int] = []
        handle = block.register_forward_hook(lambda *_: calls.append(1))
        try:
            with evaluating(self.causal), torch.no_grad():
                wanted = body_of(self.causal)(input_ids=ids, use_cache=False).last_hidden_state[0, sources_S]
                self._sources_S = sources_S
                found = body_of(self.causal)(input_ids=ids, use_cache=False).last_hidden_state[0, sources_S]
        except (AttributeError, TypeError, RuntimeError, IndexError):
            return False
        finally:
            self._sources_S = None
            handle.remove()
        tolerance = AGREEMENT[wanted.dtype]
        return len(calls) == 2 and bool((wanted - found).abs().max() <= tolerance * wanted.abs().max())

    def _replace_forward(self) -> None:
        original = unbound(self.causal)

        # of the function, not of the bound method: trainers read the names of its arguments
        @functools.wraps(original)
        def forward(model: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
            # TRL's own head, when it was put on before this one, takes its loss itself
            edges = None if kwargs.get("fused_lm_head") else edges_of(kwargs)
            if edges is None:
                return original(model, *args, **kwargs)
            normaliser = kwargs.pop("num_items_in_batch", None)
            loss = self._loss(model, original, edges, *args, **kwargs)
            return CausalLMOutput(loss=loss if normaliser is None else loss / normaliser)

        self._set_forward(self.causal, forward)

    def _set_forward(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        self._undo.append(self._replaced(module, forward))

    @staticmethod
    def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Callable[[], None]:
        """Let `module` compute `forward`; returns what puts its own back."""
        before = module.__dict__.get("forward")
        module.forward = types.MethodType(forward, module)

        def undo() -> None:
            if before is None:
                del module.forward
            else:
                module.forward = before

        return undo

    def _loss(
        self, model: PreTrainedModel, original: Callable[..., Any], edges: Edges, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        head = model.get_output_embeddings()
        if self._change is None:
            with gathered(head, edges.sources_S):
                logits = original(model, *args, **kwargs).logits
            flat_SV = logits.reshape(-1, logits.shape[-1])
            if self._each:
                return each_edge_loss(lambda part: part, flat_SV, edges, max(len(flat_SV), 1))
            return edge_loss(flat_SV, edges, smoothing=self._smoothing)
        self._sources_S = edges.sources_S
        try:
            hidden = body_of(model)(*args, **kwargs).last_hidden_state
        finally:
            self._sources_S = None
        # index_select: its backward adds in a fixed order, which exact resumption rests on
        hidden_SD = hidden.reshape(-1, hidden.shape[-1]).index_select(0, edges.sources_S)
        return self._through_head(head, hidden_SD, edges, self._change)

    def _through_head(
        self, head: nn.Module, hidden_SD: torch.Tensor, edges: Edges, change: LogitChange
    ) -> torch.Tensor:
        """The loss inside the head's own call: a head that is spread over processes has its weights there and nowhere else."""
        original = unbound(head)
        rows = chunk_rows(self.causal.config.get_text_config().vocab_size, hidden_SD.dtype)

        def project(part: torch.Tensor) -> torch.Tensor:
            return change(original(head, part))

        def forward(head: Any, hidden: torch.Tensor) -> torch.Tensor:
            if self._each:
                return each_edge_loss(project, hidden, edges, rows)
            # by its code, since FSDP changes a module's class
            if type(head).forward is nn.Linear.forward:
                return loss_by_library(hidden, head.weight, head.bias, edges, change, smoothing=self._smoothing)
            return loss_by_module(project, hidden, edges, rows, smoothing=self._smoothing)

        undo = self._replaced(head, forward)
        try:
            loss: torch.Tensor = head(hidden_SD)
        finally:
            undo()
        return loss


def _fast_forward(module: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
    return linear(inputs, module.weight, module.bias)

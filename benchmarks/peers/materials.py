"""Makes what every side gets: tokenizer, fresh model and workloads, once, in a folder that git ignores.

Run in groundtune's environment: ``materials.py FOLDER DATA [EXAMPLES]``; with EXAMPLES, workloads are thinned to as many.
Prints one JSON line: counts by workload and the model's sizes. Existing tokenizer and model are kept.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workloads import Marks, build_workloads, count, thin_out, tokenizer_texts, write_workload

from groundtune.chat import LLAMA3_TEMPLATE
from groundtune.models import BEGIN_OF_TEXT, END_HEADER, END_OF_TURN, START_HEADER, train_tokenizer

VOCABULARY = 64_000
SEED = 20261121


def prepare(folder: Path, data: Path, wanted: int = 0, first: bool = False) -> dict[str, object]:
    """Write ``tokenizer/``, ``model/`` and ``workloads/[N/]*.jsonl`` under `folder`; says what is in them."""
    tokenizer = _tokenizer(folder / "tokenizer", data)
    model = _model_sizes(folder / "model", tokenizer)
    marks = Marks(*tokenizer.convert_tokens_to_ids([BEGIN_OF_TEXT, START_HEADER, END_HEADER, END_OF_TURN]))

    def encode(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    target = folder / "workloads" / f"{'first-' if first and wanted else ''}{wanted or 'whole'}"
    target.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, examples in build_workloads(data, encode, marks).items():
        # the first ones keep whole contexts and conversations; a sample for scouting is spread over all
        if first and wanted:
            kept = examples[:wanted] if wanted > 0 else examples[wanted:]
        else:
            kept = thin_out(examples, wanted) if wanted else examples
        write_workload(target / f"{name}.jsonl", kept)
        counts[name] = {**asdict(count(kept)), "path": str(target / f"{name}.jsonl")}
    return {"workloads": counts, "model": model}


def _tokenizer(folder: Path, data: Path) -> PreTrainedTokenizerFast:
    if not (folder / "tokenizer.json").exists():
        trained = train_tokenizer(tokenizer_texts(data), vocab_size=VOCABULARY, chat_template=LLAMA3_TEMPLATE)
        trained.save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _model_sizes(folder: Path, tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """The model of issue 3: 12 layers, width 512, 8 heads, 4 key-value heads, feed-forward 1376, float32, weights drawn from SEED."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=12,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    if not (folder / "model.safetensors").exists():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)  # LLaMA-Factory reads both from one folder
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {
        "parameters": parameters,
        "body_parameters": parameters - VOCABULARY * config.hidden_size,
        "vocabulary": VOCABULARY,
        "width": config.hidden_size,
        "layers": config.num_hidden_layers,
    }


if __name__ == "__main__":
    made = prepare(
        Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0, sys.argv[4:] == ["first"]
    )
    sys.stdout.write(json.dumps(made) + "\n")

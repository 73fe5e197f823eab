"""Trains with a plain transformers.Trainer on shared prefixes: the three lines are marked.

Without arguments a tiny model and made-up conversations, in seconds and offline; a model and a file of examples (JSON
lines with input_ids and labels) by argument:

    python examples/with_trainer.py
    python examples/with_trainer.py --model HuggingFaceTB/SmolLM2-135M --examples tokenised.jsonl
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from rich import print
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from groundtune.prefix import collate_row, evaluate_rows, prepare_model, share_prefixes

VOCABULARY = 256


def tiny_model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config)


def made_up_conversations(count: int = 12, turns: int = 6) -> list[dict[str, Any]]:
    """Each turn an example of its own: what was said before, a thought that later turns do not see, and the answer."""
    draw = random.Random(0)
    found = []
    for _ in range(count):
        said = draw.choices(range(3, VOCABULARY), k=20)
        for _ in range(turns):
            said = said + draw.choices(range(3, VOCABULARY), k=8)
            thought, answer = draw.choices(said, k=12), draw.choices(said, k=6)
            found.append({"input_ids": said + thought + answer, "labels": [-100] * len(said) + thought + answer})
            said = said + answer
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or folder of a Hugging Face model")
    parser.add_argument("--examples", type=Path, help="JSON lines with input_ids and labels")
    parser.add_argument("--output", help="folder for the trained model")
    options = parser.parse_args()
    if bool(options.model) != bool(options.examples):
        parser.error("--model and --examples belong together: token ids are one tokenizer's")
    model = AutoModelForCausalLM.from_pretrained(options.model) if options.model else tiny_model()
    if options.examples:
        lines = options.examples.read_text(encoding="utf-8").splitlines()
        examples = [json.loads(line) for line in lines if line.strip()]
    else:
        examples = made_up_conversations()

    prepare_model(model)  # 1
    rows = share_prefixes(examples, max_pack_tokens=4096 if options.examples else 512)  # 2
    print(f"{rows.statistics.tokens} tokens, {rows.statistics.unique_tokens} of them unique, in {len(rows)} rows")
    print(f"loss before: {evaluate_rows(model, rows):.3f}")
    with tempfile.TemporaryDirectory() as scratch:
        settings = TrainingArguments(
            output_dir=options.output or scratch,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=2,
            num_train_epochs=2,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
        )
        trainer = Trainer(model, settings, train_dataset=rows, data_collator=collate_row)  # 3
        trainer.train()
        print(f"loss after: {evaluate_rows(model, rows):.3f}")
        if options.output:
            trainer.save_model()


if __name__ == "__main__":
    main()

"""Trains with TRL's SFTTrainer on shared prefixes: the three lines are marked.

Without arguments a tiny model and made-up examples, in seconds and offline; a model and a file of examples (JSON lines
with input_ids and labels) by argument:

    python examples/with_trl.py
    python examples/with_trl.py --model HuggingFaceTB/SmolLM2-135M --examples tokenised.jsonl
"""

import argparse
import random
import tempfile

import datasets
from rich import print
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from groundtune.prefix import collate_row, prepare_model, share_prefixes

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


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    words = {f"w{number}": number for number in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="w0", eos_token="w2")


def made_up_examples(contexts: int = 8, questions: int = 10) -> datasets.Dataset:
    draw = random.Random(0)
    found = []
    for _ in range(contexts):
        context = draw.choices(range(3, VOCABULARY), k=100)
        for _ in range(questions):
            question, answer = draw.choices(range(3, VOCABULARY), k=6), draw.choices(context, k=8)
            labels = [-100] * (len(context) + len(question)) + answer
            found.append({"input_ids": context + question + answer, "labels": labels})
    return datasets.Dataset.from_list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or folder of a Hugging Face model")
    parser.add_argument("--examples", help="JSON lines with input_ids and labels, made with the model's tokenizer")
    parser.add_argument("--output", help="folder for the trained model")
    options = parser.parse_args()
    if bool(options.model) != bool(options.examples):
        parser.error("--model and --examples belong together: token ids are one tokenizer's")
    model = AutoModelForCausalLM.from_pretrained(options.model) if options.model else tiny_model()
    tokenizer = AutoTokenizer.from_pretrained(options.model) if options.model else tiny_tokenizer()
    if options.examples:
        examples = datasets.load_dataset("json", data_files=options.examples, split="train")
    else:
        examples = made_up_examples()

    prepare_model(model)  # 1
    rows = share_prefixes(examples, max_pack_tokens=4096 if options.examples else 512)  # 2
    print(rows.info.description)
    with tempfile.TemporaryDirectory() as scratch:
        settings = SFTConfig(
            output_dir=options.output or scratch,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=2,
            dataset_kwargs={"skip_prepare_dataset": True},
            num_train_epochs=2,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            bf16=bool(options.model),
        )
        trainer = SFTTrainer(
            model, settings, train_dataset=rows, processing_class=tokenizer, data_collator=collate_row
        )  # 3
        trainer.train()
        if options.output:
            trainer.save_model()


if __name__ == "__main__":
    main()

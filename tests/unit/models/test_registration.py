"""In processes of their own: what is loaded once stays loaded."""

import subprocess
import sys

import pytest
import torch

from groundtune.config import ModelConfig
from groundtune.config.models import PresetName
from groundtune.models import build_llama, quiet_transformers, train_tokenizer

BEFORE = """
import sys
import groundtune
assert not {"torch", "transformers", "groundtune.models"} & set(sys.modules), "import groundtune loads too much"
from transformers import AutoModelForCausalLM
"""
AFTER = """
import sys
from transformers import AutoConfig, AutoModelForCausalLM
seen = AutoConfig.from_pretrained
import groundtune
"""
USE = """
import torch
from transformers import AutoConfig, AutoTokenizer
assert "groundtune.models" not in sys.modules, "registered before anyone asked"
for folder in sys.argv[1:]:
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder)
    texts = ["Stok ekran", "Stok ekranında kayıtlı stok"]
    answers = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        answers.append(model.generate(ids, max_new_tokens=5, do_sample=False)[0, ids.shape[1]:].tolist())
        without = model.generate(ids, max_new_tokens=5, do_sample=False, use_cache=False)[0, ids.shape[1]:].tolist()
        assert without == answers[-1], "a cache changes the answer"
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    together = model.generate(**batch, max_new_tokens=5, do_sample=False)[:, batch["input_ids"].shape[1]:].tolist()
    assert together == answers, "padding on the left changes the answer"
    print(type(model).__name__, answers)
assert "groundtune" not in AutoConfig.from_pretrained.__code__.co_filename, "the hook is still there"
"""


@pytest.mark.slow
def test_importing_groundtune_is_enough_for_the_auto_classes_whichever_comes_first(tmp_path) -> None:
    tokenizer = train_tokenizer(["Stok ekranı, stok ekranında kayıtlı."] * 3, vocab_size=320, chat_template="x")
    presets: tuple[PresetName, ...] = ("tiny-v1", "tiny-v2")
    expected = []
    for preset in presets:
        model = build_llama(ModelConfig(preset=preset), tokenizer, seed=1).eval()
        with quiet_transformers():
            model.save_pretrained(tmp_path / preset)
            tokenizer.save_pretrained(tmp_path / preset)
        expected.append(f"AlibiForCausalLM {[plain_answer(model, tokenizer, text) for text in TEXTS]}")
    # side by side: most of their time is spent on importing
    running = [
        subprocess.Popen(
            [sys.executable, "-c", start + USE, *(str(tmp_path / preset) for preset in presets)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for start in (BEFORE, AFTER)
    ]
    for process in running:
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
        assert output.splitlines() == expected


TEXTS = ("Stok ekran", "Stok ekranında kayıtlı stok")


@torch.no_grad()
def plain_answer(model, tokenizer, text) -> list[int]:
    """Five greedy tokens, each by a whole forward pass."""
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    for _ in range(5):
        ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    return ids[0, -5:].tolist()

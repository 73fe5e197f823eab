"""In processes of their own: what is loaded once stays loaded."""

import subprocess
import sys

import torch

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
from transformers import AutoConfig, AutoTokenizer
assert "groundtune.models" not in sys.modules, "registered before anyone asked"
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
ids = tokenizer("Stok ekran", return_tensors="pt")["input_ids"]
print(type(model).__name__, model.generate(ids, max_new_tokens=5, do_sample=False).tolist())
assert "groundtune" not in AutoConfig.from_pretrained.__code__.co_filename, "the hook is still there"
"""


def test_importing_groundtune_is_enough_for_the_auto_classes_whichever_comes_first(tmp_path) -> None:
    from groundtune.config import ModelConfig

    tokenizer = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
    sizes = ModelConfig(positions="alibi", layers=2, width=32, heads=4, kv_heads=2, feed_forward=48)
    model = build_llama(sizes, tokenizer, seed=1)
    with quiet_transformers():
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
    ids = tokenizer("Stok ekran", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = f"AlibiForCausalLM {model.eval().generate(ids, max_new_tokens=5, do_sample=False).tolist()}"
    # side by side: most of their time is spent on importing
    running = [
        subprocess.Popen(
            [sys.executable, "-c", start + USE, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for start in (BEFORE, AFTER)
    ]
    for process in running:
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
        assert output.strip() == expected

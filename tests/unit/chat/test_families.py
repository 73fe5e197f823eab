"""Chat templates of many families, rebuilt from their documentation, held against `apply_chat_template` alone.

What a server sends for an assistant's turn is `apply_chat_template` of the messages before it with the generation prompt;
what the assistant has to write is the rest of the conversation with that turn, cut behind its end token. The trained tokens
must be exactly the second and the ids in front of them exactly the first; where the template makes that impossible,
groundtune must refuse. The expectations below are computed with transformers, never with groundtune's code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from jinja2.exceptions import TemplateError as JinjaError
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from groundtune.chat import render, render_examples, render_prompt, stop_token_ids
from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall

TEMPLATES = Path(__file__).parent / "templates"
TRL = find_spec("trl")
THEIRS = Path(TRL.origin or "").parent / "chat_templates" if TRL else TEMPLATES
Reason = Literal["template raises", "prompt is no prefix", "no end token", "header is not prompted", "content is lost"]


@dataclass(frozen=True)
class Family:
    """One template: what its tokenizer has, what it takes, and what groundtune is expected to make of it."""

    name: str
    end: str
    """Tokens that end an assistant's turn, separated by spaces."""
    talk: Literal["one", "several"] | Reason
    """A conversation of two questions and answers: one example, one an answer, or refused for this reason."""
    takes: str = ""
    """Of system and tools: what reaches the prompt, and the answer."""
    special: str = ""
    """More control tokens."""
    added: str = ""
    """Added tokens that are ordinary vocabulary."""
    bos: str = ""
    thoughts: Literal["", "field", "cut"] = ""
    """The template reads reasoning_content, or cuts thoughts out of finished answers; otherwise they are content in tags."""
    switch: str = ""
    """The template's variable that turns thoughts on and off."""
    next_end: str = ""
    """Where nothing closes a turn: the tokens that open the next message, at which generation stops."""
    arguments: Literal["object", "text"] = "object"
    """How a call's arguments are handed to the template."""

    def __str__(self) -> str:
        return self.name

    @property
    def eos(self) -> str:
        return self.end.split()[0] if self.end else "<|endoftext|>"

    @property
    def control(self) -> list[str]:
        given = [self.bos, self.eos, *self.end.split(), *self.next_end.split(), *self.special.split()]
        return list(dict.fromkeys(filter(None, given)))


HEADERS = "<|start_header_id|> <|end_header_id|> <|end_of_text|>"
IM = "<|im_start|> <|endoftext|>"
NO: Reason = "prompt is no prefix"
THINK = "<think> </think>"
HERMES = "<tool_call> </tool_call> <tool_response> </tool_response>"
THINK_HERMES = f"{THINK} {HERMES}"
LLAMA4 = "<|header_start|> <|header_end|> <|python_start|> <|python_end|>"
MISTRAL = "[INST] [/INST] [TOOL_CALLS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS]"
MISTRAL7 = f"{MISTRAL} [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] [CALL_ID] [ARGS]"
GEMMA = "<start_of_turn> <eos>"
DEEPSEEK = "<｜end▁of▁sentence｜>"
DEEPSEEK_BOS = "<｜begin▁of▁sentence｜>"
DEEPSEEK_ADDED = (
    f"<｜User｜> <｜Assistant｜> {THINK} <｜tool▁calls▁begin｜> <｜tool▁calls▁end｜> <｜tool▁call▁begin｜> <｜tool▁call▁end｜> "
    "<｜tool▁sep｜> <｜tool▁output▁begin｜> <｜tool▁output▁end｜>"
)
COHERE = "<|START_OF_TURN_TOKEN|> <|SYSTEM_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|>"
KIMI_ADDED = (
    "<|tool_calls_section_begin|> <|tool_calls_section_end|> <|tool_call_begin|> <|tool_call_argument_begin|> "
    "<|tool_call_end|>"
)
KIMI = "<|im_system|> <|im_user|> <|im_assistant|> <|im_middle|> [EOS]"
EXAONE = "[|system|] [|user|] [|assistant|] [|tool|]"
GLM = "[gMASK] <sop> sop <|system|> <|assistant|>"
HARMONY = "<|start|> <|message|> <|channel|> <|end|>"
SEED = "<seed:bos> <seed:think> </seed:think> <seed:tool_call> </seed:tool_call>"

# fmt: off
FAMILIES = (
    Family("llama2", "</s>", "one", "system", bos="<s>"),
    Family("llama3", "<|eot_id|>", "one", "system", HEADERS, bos="<|begin_of_text|>"),
    Family("llama3_1", "<|eot_id|>", "one", "system tools", HEADERS, bos="<|begin_of_text|>"),
    Family("llama4", "<|eot|>", "one", "system tools", LLAMA4, bos="<|begin_of_text|>"),
    Family("mistral_v1", "</s>", "one", bos="<s>"),
    # a system text moves to the last question; two questions without one keep their form
    Family("mistral_v3", "</s>", "one", "system tools", MISTRAL, bos="<s>"),
    Family("mistral_v7", "</s>", "one", "system tools", MISTRAL7, bos="<s>"),
    Family("mixtral", "</s>", "one", "system", bos="<s>"),
    Family("gemma2", "<end_of_turn>", "one", "", GEMMA, bos="<bos>"),
    Family("gemma3", "<end_of_turn>", "one", "system", GEMMA, bos="<bos>"),
    Family("chatml", "<|im_end|>", "one", "system", IM),
    Family("qwen2_5", "<|im_end|>", "one", "system tools", IM, HERMES),
    # empty thoughts open the last answer, none the earlier ones
    Family("qwen3", "<|im_end|>", "several", "system tools", IM, THINK_HERMES, "", "field", "enable_thinking"),
    Family("qwen3_thinking", "<|im_end|>", "several", "system tools", IM, THINK_HERMES, "", "field"),
    # these can only be trained with thoughts, since every prompt opens them
    Family("qwq", "<|im_end|>", NO, "system", IM, THINK, "", "cut"),
    Family("deepseek_r1", DEEPSEEK, NO, "system", "", DEEPSEEK_ADDED, DEEPSEEK_BOS, "cut"),
    Family("nemotron_nano2", "<SPECIAL_12>", "prompt is no prefix", "system", "<SPECIAL_10> <SPECIAL_11>", THINK, "<s>", "cut"),
    Family("minimax_m2", "[e~[", NO, "system tools", "]~!b[ ]~b]", THINK, "", "field"),
    Family("deepseek_v2", DEEPSEEK, "one", "system", bos=DEEPSEEK_BOS),
    Family("deepseek_v3", DEEPSEEK, "one", "system tools", "", DEEPSEEK_ADDED, DEEPSEEK_BOS, arguments="text"),
    Family("deepseek_v3_1", DEEPSEEK, "one", "system", "", DEEPSEEK_ADDED, DEEPSEEK_BOS, "field", "thinking"),
    Family("phi2", "", "no end token"),
    # <|endoftext|> stands behind the last answer only, <|end|> behind all
    Family("phi3", "<|end|> <|endoftext|>", "one", "system", "<|system|> <|user|> <|assistant|>"),
    Family("phi4", "<|im_end|>", "one", "system", "<|im_start|> <|im_sep|>"),
    Family("command_r", "<|END_OF_TURN_TOKEN|>", "one", "system", COHERE, bos="<BOS_TOKEN>"),
    Family("aya", "<|END_OF_TURN_TOKEN|>", "one", "system", COHERE, bos="<BOS_TOKEN>"),
    Family("zephyr", "</s>", "one", "system", bos="<s>"),
    Family("vicuna", "</s>", "one", "system", bos="<s>"),
    Family("alpaca", "</s>", "one", "system", bos="<s>"),
    Family("falcon", "", "no end token"),
    Family("yi", "<|im_end|>", "one", "system", IM),
    Family("internlm2", "<|im_end|>", "one", "system", "<|im_start|> <|plugin|>", bos="<s>"),
    Family("baichuan2", "", "one", "system", "<reserved_107>", next_end="<reserved_106>"),
    Family("chatglm3", "", "one", "system", GLM, next_end="<|user|>"),
    Family("glm4_5", "", "one", "system tools", GLM, THINK_HERMES, "", "field", "enable_thinking", "<|user|> <|observation|>"),
    Family("granite3", "<|end_of_text|>", "one", "system tools", "<|start_of_role|> <|end_of_role|> <|tool_call|>"),
    Family("smollm2", "<|im_end|>", "one", "system", IM),
    Family("smollm3", "<|im_end|>", "one", "system", IM, THINK, "", "field", "enable_thinking"),
    Family("olmo2", "<|endoftext|>", "one", "system", bos="<|endoftext|>"),
    Family("tulu3", "<|end_of_text|>", "one", "system"),
    Family("nemotron_mini", "", "one", "system", "<extra_id_0>", next_end="<extra_id_1>"),
    Family("hunyuan", "<|eos|>", "one", "system", "<|startoftext|> <|extra_0|> <|extra_4|>"),
    # <|return|> becomes <|end|> once others follow
    Family("gpt_oss", "<|return|> <|call|>", "several", "system tools", HARMONY, thoughts="field"),
    Family("exaone3", "[|endofturn|]", "one", "system", EXAONE),
    Family("exaone4", "[|endofturn|]", "one", "system", EXAONE, THINK, "", "field", "enable_thinking"),
    Family("solar", "", "no end token"),
    Family("openchat", "<|end_of_turn|>", "one", "system", bos="<s>"),
    Family("kimi_k2", "<|im_end|>", "one", "system tools", KIMI, KIMI_ADDED),
    Family("minimax_text", "<end_of_sentence>", "one", "system", "<begin_of_document> <beginning_of_sentence>"),
    Family("ernie4_5", "<|end_of_sentence|>", "one", "system", bos="<|begin_of_sentence|>"),
    Family("seed_oss", "<seed:eos>", "one", "system tools", SEED, thoughts="field"),
    Family("end_of_text_last", "</s>", "several", "system", bos="<s>"),
    Family("headed", "<|im_end|>", "header is not prompted", "", IM),
    Family("always_prompting", "<|im_end|>", "one", "system", IM),
    Family("marked", "<|im_end|>", "one", "system", IM),
)
# fmt: on
"""Refused altogether are only those with a reason in the third place."""

VISION = f"{IM} <|vision_start|> <|vision_end|> <|image_pad|> <|video_pad|>"
GEMMA4 = "<|turn> <|think|> <|image|> <|audio|> <|video|> <|tool_call> <tool_call|> <tool_response|>"
LFM = f"{IM} <|tool_list_start|> <|tool_list_end|> <|tool_call_start|> <|tool_call_end|>"
COHERE2 = f"{COHERE} <|START_RESPONSE|> <|END_RESPONSE|>"

# fmt: off
AS_UPLOADED = (
    Family("trl/cohere", "<|END_OF_TURN_TOKEN|>", "one", "system", COHERE, bos="<BOS_TOKEN>"),
    Family("trl/cohere2", "<|END_OF_TURN_TOKEN|>", "one", "system", COHERE2, bos="<BOS_TOKEN>"),
    Family("trl/deepseek_r1_distill", DEEPSEEK, NO, "system", "", DEEPSEEK_ADDED, DEEPSEEK_BOS, "cut", arguments="text"),
    Family("trl/deepseekv3", DEEPSEEK, NO, "system", "", DEEPSEEK_ADDED, DEEPSEEK_BOS, "cut", arguments="text"),
    Family("trl/gemma", "<end_of_turn>", "one", "", GEMMA, bos="<bos>"),
    Family("trl/gemma3", "<end_of_turn>", "one", "system", GEMMA, bos="<bos>"),
    # keeps thoughts in turns with a call only
    Family("trl/gemma4_v4", "<turn|> <|tool_response>", "one", "system tools", GEMMA4, "", "<bos>", "field", "enable_thinking"),
    Family("trl/gemma4_v5", "<turn|> <|tool_response>", "one", "system tools", GEMMA4, "", "<bos>", "field", "enable_thinking"),
    Family("trl/glm4moe", "", "one", "system tools", GLM, THINK_HERMES, "", "field", "enable_thinking", "<|user|> <|observation|>"),
    Family("trl/gptoss", "<|return|> <|call|>", "several", "system tools", HARMONY, thoughts="field"),
    Family("trl/lfm2", "<|im_end|>", "one", "system", LFM, bos="<|startoftext|>"),
    Family("trl/lfm2_2_5", "<|im_end|>", "one", "system tools", LFM, THINK, "<|startoftext|>", "field"),
    Family("trl/llama3", "<|eot_id|>", "one", "system", HEADERS, bos="<|begin_of_text|>"),
    Family("trl/llama3_1", "<|eot_id|> <|eom_id|>", "one", "system tools", HEADERS, bos="<|begin_of_text|>"),
    Family("trl/llama3_2", "<|eot_id|>", "one", "system tools", HEADERS, bos="<|begin_of_text|>"),
    Family("trl/muse_glimmer", "<|eot|>", "one", "system tools", "<|start|> <|message|> <|eom|>", thoughts="field"),
    Family("trl/nemotron_3_nano", "<|im_end|>", NO, "system tools", IM, THINK_HERMES, "", "field", "enable_thinking"),
    Family("trl/nemotron_3_ultra", "<|im_end|>", NO, "system tools", IM, THINK_HERMES, "", "field", "enable_thinking"),
    Family("trl/phi3", "<|end|> <|endoftext|>", "one", "system", "<|system|> <|user|> <|assistant|>"),
    Family("trl/phi3_5", "<|end|> <|endoftext|>", "one", "system", "<|system|> <|user|> <|assistant|>"),
    Family("trl/qwen2_5", "<|im_end|>", "one", "system tools", IM, HERMES),
    Family("trl/qwen2_5_vl", "<|im_end|>", "one", "system", VISION),
    Family("trl/qwen3", "<|im_end|>", "several", "system tools", IM, THINK_HERMES, "", "field", "enable_thinking"),
    Family("trl/qwen3_instruct_2507", "<|im_end|>", "one", "system tools", IM, THINK_HERMES),
    Family("trl/qwen3_vl", "<|im_end|>", "one", "system tools", VISION, THINK_HERMES),
    Family("trl/qwen3_5_think", "<|im_end|>", "several", "system tools", VISION, THINK_HERMES, "", "field", "enable_thinking"),
    Family("trl/qwen3_5_nothink", "<|im_end|>", "several", "system tools", VISION, THINK_HERMES, "", "field", "enable_thinking"),
    Family("trl/qwen3_8", "<|im_end|>", "several", "system tools", VISION, THINK_HERMES, "", "field", "enable_thinking"),
    Family("trl/llama3_training", "<|eot_id|>", "one", "system", HEADERS, bos="<|begin_of_text|>"),
    Family("trl/qwen3_training", "<|im_end|>", "one", "system tools", IM, THINK_HERMES, "", "field", "enable_thinking"),
)
# fmt: on
"""Templates of models as they were uploaded, which TRL carries; the last two are TRL's own variants with generation marks."""

# --- conversations -------------------------------------------------------------------------------------------------

TOOL = json.dumps(
    {
        "type": "function",
        "function": {
            "name": "stok_sor",
            "description": "Depodaki miktarı verir.",
            "parameters": {
                "type": "object",
                "properties": {"ürün": {"type": "string"}, "depo": {"type": "integer"}},
                "required": ["ürün"],
            },
        },
    },
    ensure_ascii=False,
)
CALL = Message("assistant", "", tool_calls=(ToolCall("stok_sor", '{"ürün": "ince vida", "depo": 3}', "a1B2c3D4e"),))
RESULT = Message("tool", '{"miktar": 42}', tool_call_id="a1B2c3D4e", name="stok_sor")
THOUGHT = "Kayda bakmalıyım."


@dataclass(frozen=True)
class Case:
    name: str
    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()
    thinking: bool | None = None

    def __str__(self) -> str:
        return self.name


def talk(*contents: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if index % 2 else "user", content) for index, content in enumerate(contents))


SINGLE = Case("single", talk("Lot nedir?", "Bir parti."))
TALK = Case("talk", talk("Lot nerede verilir?", "Mal kabulde, İrsaliye'yle.", "Kim onaylar?", "Depo şefi; ığüşöç."))
SYSTEM = Case("system", (Message("system", "Kısa yanıtla."), *TALK.messages))
EDGES = Case("edges", talk("  Lot nedir? \n", "Bir parti. \n ", " Peki ya depo?\t", "  Bir yer.  "))
BREAKS = Case("breaks", talk("Say.\n", "\n\n- bir\n- iki", "\n\nSonra?", "\n\n\n- üç"))
TOOLS = Case(
    "tools", (*talk("Kaç vida var?"), CALL, RESULT, *talk("", "42 vida var.", "Sağ ol.", "Rica ederim.")[1:]), (TOOL,)
)
THOUGHTS = Case(
    "thoughts",
    (
        *talk("Kaç lot var?"),
        Message("assistant", "Üç lot var.", thinking=THOUGHT),
        *talk("Emin misin?"),
        Message("assistant", "Evet.", thinking="Üç kayıt saydım."),
    ),
)
AGENT = Case(
    "agent",
    (
        *talk("Kaç vida var?"),
        replace(CALL, thinking=THOUGHT),
        RESULT,
        Message("assistant", "42.", thinking="Yeter mi?"),
    ),
    (TOOL,),
)
THOUGHTS_ON = replace(THOUGHTS, name="thoughts_on", thinking=True)
THOUGHTS_OFF = replace(THOUGHTS, name="thoughts_off", thinking=False)
TALK_OFF = replace(TALK, name="talk_off", thinking=False)
ONCE = replace(AGENT, name="once", messages=(*AGENT.messages[:-1], replace(AGENT.messages[-1], thinking="")))
OTHER_CALL = ToolCall("stok_sor", '{"ürün": "somun", "depo": 4}', "f5G6h7I8j")
CALLS = Case(
    "calls",
    (
        *talk("Vida ile somun?"),
        replace(CALL, content="Bakıyorum.", tool_calls=(*CALL.tool_calls, OTHER_CALL)),
        RESULT,
        replace(RESULT, content='{"miktar": 7}', tool_call_id=OTHER_CALL.call_id),
        Message("assistant", "42 ile 7."),
    ),
    (TOOL,),
)
NAMED = Case("named", talk("Ne yaparsın?", "stok_sor ile bakarım.", "Peki.", "stok_sor hazır."), (TOOL,))
ORDER = Case("order", (*talk("Lot nedir?"), *talk("Yani?", "Bir parti.")))
CASES = (SINGLE, TALK, SYSTEM, EDGES, BREAKS, TOOLS, CALLS, THOUGHTS, AGENT, ONCE, NAMED, ORDER)


def control_cases(family: Family) -> tuple[Case, ...]:
    """Text that reads as this family's control tokens, wherever a conversation has text."""
    first, last = family.control[0], family.control[-1]
    asked, told = f"{last} ile {first} nedir?{first}", f"Bir {first} imi{last}."
    call = replace(CALL, tool_calls=(replace(CALL.tool_calls[0], arguments=f'{{"ürün": "{told}"}}'),))
    return (
        Case("control", talk(asked, told)),
        Case("control_system", (Message("system", told), *talk(asked, told, asked, told))),
        Case("control_thoughts", (*talk(asked), Message("assistant", "İm.", thinking=told))),
        Case(
            "control_tools",
            (*talk(asked), call, replace(RESULT, content=asked), Message("assistant", told)),
            (TOOL.replace("Depodaki", told),),
        ),
    )


# --- tokenizers ----------------------------------------------------------------------------------------------------

PROSE = (
    "Lot numarası mal kabulde verilir.\n\nDepo şefi lotu onaylar; ürün sevk edilir.\n\n\n- bir\n- iki\n\n\n\nBir parti.",
    "system user assistant Instruction Response User Assistant\n\nfoo\n\n\n\nbar: lot",
)
PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""As Llama 3 and Qwen cut texts: line ends before a word stay together."""


@lru_cache(maxsize=3)
def vocabulary(kind: str) -> str:
    """A tokenizer without control tokens, as JSON."""
    inner = Tokenizer(models.BPE())
    alphabet: list[str] = []
    if kind == "byte level":
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        inner.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    else:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    inner.train_from_iterator(
        [line for text in PROSE * 20 for line in ([text] if alphabet else text.splitlines())],
        trainers.BpeTrainer(vocab_size=450, initial_alphabet=alphabet, show_progress=False),
    )
    if alphabet:
        return str(inner.to_str())
    # as SentencePiece models have it: a space before the text, bytes for characters that have no entry
    model = json.loads(inner.to_str())["model"]
    vocab = {"<unk>": 0} | {f"<0x{byte:02X}>": byte + 1 for byte in range(256)}
    vocab |= {token: number + 257 for token, number in model["vocab"].items()}
    merges = [tuple(merge) for merge in model["merges"]]
    prefixing = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    prefixing.pre_tokenizer = inner.pre_tokenizer
    prefixing.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    if kind == "spacing":
        # as Llama 2's converted tokenizers: a space behind every control token too
        prefixing.pre_tokenizer = None
        prefixing.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return str(prefixing.to_str())


def path_of(family: Family) -> Path:
    folder = THEIRS if family.name.startswith("trl/") else TEMPLATES
    return folder / f"{family.name.removeprefix('trl/')}.jinja"


@lru_cache(maxsize=256)
def tokenizer_of(family: Family, kind: str) -> Any:
    inner = Tokenizer.from_str(vocabulary(kind))
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in family.control])
    inner.add_tokens([AddedToken(text, special=False, normalized=False) for text in family.added.split()])
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=family.bos or None,
        eos_token=family.eos,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = path_of(family).read_text(encoding="utf-8")
    return made


# --- the oracle ----------------------------------------------------------------------------------------------------

VEIL = "\uf8ff"
"""Stands in the closing tag of thoughts that the template would cut out of the answer being made."""


class UntrainableError(Exception):
    """The template does not allow this conversation to be trained exactly."""

    def __init__(self, reason: Reason, words: str = "") -> None:
        super().__init__(reason)
        self.reason, self.words = reason, words


@dataclass(frozen=True)
class Turn:
    """What is sent before an assistant's message, and what the assistant has to write."""

    given: Sequence[Message]
    prompt: str
    prompt_ids: list[int]
    """Empty where messages hold control tokens' text, which `apply_chat_template` takes for the tokens."""
    text: str
    bare: tuple[str, str]
    """Prompt and text without control tokens' text."""


def as_dict(message: Message, family: Family, *, being_made: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking and family.thoughts == "field":
        made["reasoning_content"] = message.thinking
    elif message.thinking and (being_made or not family.thoughts):
        veil = VEIL if family.thoughts else ""
        made["content"] = f"<think>\n{message.thinking}\n</{veil}think>\n\n{message.content}"
    made |= {name: getattr(message, name) for name in ("tool_call_id", "name") if getattr(message, name)}
    if message.tool_calls:
        as_text = family.arguments == "text"
        made["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments if as_text else json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return made


def apply(
    family: Family, case: Case, kind: str, messages: Sequence[Message], *, prompting: bool, tokenize: bool = False
) -> Any:
    """`apply_chat_template` of `messages`, the last of which the assistant has just made where nothing is prompted."""
    switch = {family.switch: case.thinking} if family.switch and case.thinking is not None else {}
    try:
        rendered = tokenizer_of(family, kind).apply_chat_template(
            [as_dict(each, family, being_made=each is messages[-1] and not prompting) for each in messages],
            tools=[json.loads(tool) for tool in case.tools] or None,
            add_generation_prompt=prompting,
            tokenize=tokenize,
            return_dict=False,
            **switch,
        )
    except JinjaError as error:
        raise UntrainableError("template raises", str(error)) from error
    return list(rendered) if tokenize else rendered.replace(VEIL, "")


def what_is_written(family: Family, case: Case, kind: str, index: int) -> tuple[str, str]:
    """The prompt of assistant message `index`, and the answer with the token that ends it."""
    given, message = case.messages[:index], case.messages[index]
    prompt = apply(family, case, kind, given, prompting=True)
    full = apply(family, case, kind, (*given, message), prompting=False)
    if not full.startswith(prompt):
        raise UntrainableError("prompt is no prefix")
    rest = full[len(prompt) :]
    ends = family.end.split()
    if family.next_end:
        rest, ends = rest + what_follows(family, case, kind, index), family.next_end.split()
    stops = [rest.index(token) + len(token) for token in ends if token in rest]
    if not stops:
        raise UntrainableError("no end token")
    text = rest[: min(stops)]
    values = [str(value) for call in message.tool_calls for value in json.loads(call.arguments).values()]
    parts = [message.content.strip(), message.thinking.strip(), *values]
    names = ["stok_sor"] if case.tools else []
    if any(part not in text for part in parts) or any(name not in prompt for name in names):
        raise UntrainableError("content is lost")
    if any(each.role in ("system", "tool") and not holds(prompt, each.content) for each in given):
        raise UntrainableError("content is lost")
    return prompt, text


def what_follows(family: Family, case: Case, kind: str, index: int) -> str:
    """What the next message opens with, in a conversation without thoughts, which later messages might change."""
    told = tuple(replace(message, thinking="") for message in case.messages[: index + 1])
    later = case.messages[index + 1 : index + 2] or (Message("user", "x"),)
    ended = apply(family, case, kind, told, prompting=False)
    followed = apply(family, case, kind, (*told, *later), prompting=False)
    assert followed.startswith(ended)
    return str(followed[len(ended) :])


def holds(text: str, part: str) -> bool:
    return part.strip() in text or json.dumps(part, ensure_ascii=False) in text


def check_header(family: Family, case: Case, kind: str, index: int) -> None:
    """A template that does not prompt must have nothing in front of an answer: nobody would send it."""
    given = case.messages[:index]
    if apply(family, case, kind, given, prompting=True) == apply(family, case, kind, given, prompting=False):
        asked = replace(case, messages=(*given, Message("assistant", "Alfa")))
        if what_is_written(family, asked, kind, index)[1].split("Alfa")[0].strip():
            raise UntrainableError("header is not prompted")


def expectation(family: Family, case: Case, kind: str) -> list[Turn] | UntrainableError:
    """Every assistant's turn, or why one cannot be trained exactly."""
    if case.thinking is False:
        case = replace(case, messages=tuple(replace(message, thinking="") for message in case.messages))
    hidden, shown = without_control_tokens(family, case)
    turns = []
    try:
        for index, message in enumerate(hidden.messages):
            if message.role == "assistant":
                prompt, text = what_is_written(family, hidden, kind, index)
                check_header(family, hidden, kind, index)
                ids = [] if shown else apply(family, case, kind, case.messages[:index], prompting=True, tokenize=True)
                bare = (prompt, text)
                for mark, token in shown.items():
                    prompt, text = prompt.replace(mark, token), text.replace(mark, token)
                turns.append(Turn(case.messages[:index], prompt, ids, text, bare))
    except UntrainableError as error:
        return error
    return turns


def without_control_tokens(family: Family, case: Case) -> tuple[Case, dict[str, str]]:
    """The case with marks for control tokens' text, and the token of each mark."""
    marks = {token: chr(0xF000 + number) for number, token in enumerate(sorted(family.control, key=len, reverse=True))}
    shown: dict[str, str] = {}

    def hide(text: str) -> str:
        for token, mark in marks.items():
            if token in text:
                text = text.replace(token, mark)
                shown[mark] = token
        return text

    messages = tuple(
        replace(
            message,
            content=hide(message.content),
            thinking=hide(message.thinking),
            tool_calls=tuple(replace(call, arguments=hide(call.arguments)) for call in message.tool_calls),
        )
        for message in case.messages
    )
    return replace(case, messages=messages, tools=tuple(map(hide, case.tools))), shown


def read(tokenizer: Any, ids: Sequence[int]) -> str:
    # what `decode` of transformers asks, which first looks at each id of each of these many thousand texts
    return str(tokenizer.backend_tokenizer.decode(list(ids), skip_special_tokens=False))


def read_behind(tokenizer: Any, before: list[int], ids: list[int]) -> str:
    """The text that `ids` add to `before`."""
    return read(tokenizer, [*before, *ids]).removeprefix(read(tokenizer, before))


def fit_in_one(tokenizer: Any, turns: Sequence[Turn]) -> bool:
    """Whether one row of ids can begin with every prompt and go on with its answer."""
    prompts = [tokenizer(turn.bare[0], add_special_tokens=False)["input_ids"] for turn in turns]
    for turn, (given, later) in zip(turns, pairwise(prompts), strict=False):
        told = read(tokenizer, given) + turn.bare[1]
        ends = range(len(given) + 1, len(later) + 1)
        if later[: len(given)] != given or not any(read(tokenizer, later[:end]) == told for end in ends):
            return False
    return True


# --- groundtune against the oracle ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates that write today's date: groundtune always writes this one, so the oracle is asked on that day."""

    class Day(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Day:
            return cls(2024, 7, 26, 12, tzinfo=tz)

    monkeypatch.setattr(chat_template_utils, "datetime", Day)


def spans(trained: Sequence[bool]) -> list[tuple[int, int]]:
    """Begin and end of each run of trained tokens."""
    padded = [False, *trained, False]
    edges = [index for index, (before, here) in enumerate(pairwise(padded)) if before != here]
    return list(zip(edges[::2], edges[1::2], strict=True))


def cases_of(family: Family) -> Iterator[tuple[str, Case]]:
    yield from (("byte level", case) for case in (*CASES, *control_cases(family)))
    if family.switch:
        yield from (("byte level", case) for case in (THOUGHTS_ON, THOUGHTS_OFF, TALK_OFF))
    if "▁" not in family.eos and family in FAMILIES:
        yield from (("prefixing", case) for case in (TALK, EDGES, TOOLS, THOUGHTS))


HERE = (*FAMILIES, *(family for family in AS_UPLOADED if path_of(family).is_file()))
ALL = [
    pytest.param(
        *(family, kind, case),
        id=f"{family}-{case}-{kind}",
        marks=() if (row + column) % 3 == 0 else pytest.mark.slow,
    )
    for row, family in enumerate(HERE)
    for column, (kind, case) in enumerate(cases_of(family))
]
"""A third of each family's cases is fast, a different one from family to family."""


@pytest.mark.parametrize(("family", "kind", "case"), ALL)
def test_what_is_trained_is_what_the_assistant_writes_behind_the_prompt(family: Family, kind: str, case: Case) -> None:
    tokenizer = tokenizer_of(family, kind)
    asked: dict[str, Any] = {"tools": case.tools, "thinking": case.thinking}
    turns = expectation(family, case, kind)
    if isinstance(turns, UntrainableError):
        with pytest.raises(TemplateError) as refusal:
            render_examples(tokenizer, case.messages, **asked)
        assert turns.words in str(refusal.value)
        assert len(str(refusal.value).split()) > 5
        return
    examples = render_examples(tokenizer, case.messages, **asked)
    if len(examples) == 1:
        assert render(tokenizer, case.messages, **asked) == examples[0]
    else:
        with pytest.raises(TemplateError):
            render(tokenizer, case.messages, **asked)
    assert len(examples) == (1 if fit_in_one(tokenizer, turns) else len(turns))
    if case in (TALK, TOOLS, THOUGHTS):
        check_the_last_alone(tokenizer, case, asked, examples)
    pairs = [(example, span) for example in examples for span in spans(example.trained)]
    for turn, (example, (begin, end)) in zip(turns, pairs, strict=True):
        given, written = example.token_ids[:begin], example.token_ids[begin:end]
        assert example.weights == [float(flag) for flag in example.trained]
        assert render_prompt(tokenizer, turn.given, **asked) == given
        assert read_behind(tokenizer, given, written) == turn.text
        if turn.prompt_ids:
            assert given == turn.prompt_ids
        else:
            check_control_tokens(family, tokenizer, (given, written), turn)


def check_the_last_alone(tokenizer: Any, case: Case, asked: dict[str, Any], examples: list[Any]) -> None:
    """Trained alone, the last turn is what it is among others."""
    [alone] = render_examples(tokenizer, case.messages, train_on="last", **asked)
    assert spans(alone.trained) == spans(examples[-1].trained)[-1:]
    end = spans(alone.trained)[0][1]
    assert alone.token_ids[:end] == examples[-1].token_ids[:end]


def check_control_tokens(family: Family, tokenizer: Any, found: tuple[list[int], list[int]], turn: Turn) -> None:
    """The prompt reads right, and only the tokens that the template wrote itself are control tokens."""
    assert read(tokenizer, found[0]) == turn.prompt
    control = set(tokenizer.convert_tokens_to_ids(family.control))
    for ids, bare in zip(found, turn.bare, strict=True):
        meant = tokenizer(bare, add_special_tokens=False)["input_ids"]
        assert [number for number in ids if number in control] == [number for number in meant if number in control]


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.end and "▁" not in family.end], ids=str)
def test_a_tokenizer_that_writes_spaces_behind_control_tokens_is_followed_to_the_id(family: Family) -> None:
    case, kind, tokenizer = replace(SYSTEM, name="spacing"), "spacing", tokenizer_of(family, "spacing")
    turns = expectation(family, case, kind)
    if isinstance(turns, UntrainableError):
        with pytest.raises(TemplateError):
            render_examples(tokenizer, case.messages)
        return
    examples = render_examples(tokenizer, case.messages)
    pairs = [(example, span) for example in examples for span in spans(example.trained)]
    for turn, (example, (begin, end)) in zip(turns, pairs, strict=True):
        assert example.token_ids[:begin] == turn.prompt_ids
        told = case.messages[: len(turn.given) + 1]
        full = apply(family, case, kind, told, prompting=False, tokenize=True)
        if full[:begin] == turn.prompt_ids:
            assert example.token_ids[:end] == full[:end]
        else:
            # a prompt that ends with a space, which melts into the answer's first word
            assert read_behind(tokenizer, turn.prompt_ids, example.token_ids[begin:end]) == turn.text


@pytest.mark.parametrize(
    "family", [family for family in HERE if family.thoughts and "<think>" in family.added], ids=str
)
def test_thoughts_in_tags_are_as_good_as_thoughts_in_their_field(family: Family) -> None:
    tokenizer = tokenizer_of(family, "byte level")
    inline = [
        replace(each, content=f"<think>\n{each.thinking}\n</think>\n\n{each.content}", thinking="")
        if each.thinking
        else each
        for each in THOUGHTS.messages
    ]
    for thinking in (None, True, False) if family.switch else (None,):
        if isinstance(expectation(family, replace(THOUGHTS, thinking=thinking), "byte level"), UntrainableError):
            with pytest.raises(TemplateError):
                render_examples(tokenizer, inline, thinking=thinking)
        else:
            wanted = render_examples(tokenizer, THOUGHTS.messages, thinking=thinking)
            assert render_examples(tokenizer, inline, thinking=thinking) == wanted


@pytest.mark.parametrize("family", HERE, ids=str)
def test_the_table_says_what_the_template_does(family: Family) -> None:
    tokenizer = tokenizer_of(family, "byte level")
    turns = expectation(family, TALK, "byte level")
    if isinstance(turns, UntrainableError):
        assert family.talk == turns.reason
    else:
        assert family.talk == ("one" if fit_in_one(tokenizer, turns) else "several")
        assert stop_token_ids(tokenizer)[0] == tokenizer.convert_tokens_to_ids(
            (family.next_end or family.eos).split()[0]
        )
    led = replace(THOUGHTS, messages=(SYSTEM.messages[0], *THOUGHTS.messages))
    assert ("system" in family.takes) == any(is_possible(family, case) for case in (SYSTEM, led))
    assert ("tools" in family.takes) == any(is_possible(family, case) for case in (TOOLS, AGENT))


def is_possible(family: Family, case: Case) -> bool:
    return isinstance(expectation(family, case, "byte level"), list)


def test_every_template_stands_in_the_table() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.jinja")} == {family.name for family in FAMILIES}

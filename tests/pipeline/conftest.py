"""The command as a person starts it, on a documentation small enough for a run of seconds.

Loading transformers takes four seconds of every command that needs a model. So most commands here are forked off one
process that has loaded it already (`Project.call`): their arguments, output, exit status and death are those of the real
thing. Where loading is part of the matter the command is started from nothing (`Project.call_cold`).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = (sys.executable, "-m", "groundtune.cli.main")

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "NO_COLOR": "1",
    "COLUMNS": "200",
}

TELLS_LANGUAGES = """
from groundtune.generation.verification.languages import check_language
for said in ("kayıt silinir", "record is deleted"):
    for language in ("tr", "en"):
        check_language(said * 3, said * 30, language, ("tr", "en"))
"""
"""Languages are told apart once, because that loads much."""

LOADS = f"""
import groundtune.documents, groundtune.generation, groundtune.grouping, groundtune.retrieval
import groundtune.dataset, groundtune.dataset.audit, groundtune.dataset.stats
import groundtune.models, groundtune.training, groundtune.evaluation.report
import groundtune.cli.evaluation_tables, groundtune.cli.show, groundtune.cli.training_table, groundtune.pipeline
import bm25s, datasketch, matplotlib.figure, rouge_score.rouge_scorer, sacrebleu, snowballstemmer
import torch.utils.tensorboard, transformers.trainer
matplotlib.figure.Figure().subplots().figure.savefig(os.devnull, format="png")
{TELLS_LANGUAGES}"""
ASKING_LOADS = f"""
import anthropic, datasketch, openai
import groundtune.documents, groundtune.generation, groundtune.grouping, groundtune.retrieval
import groundtune.llm.providers.anthropic_batches, groundtune.llm.providers.openai_batches
{TELLS_LANGUAGES}"""
"""What commands up to `generate` need, and no model."""

LIGHT_LOADS = "import groundtune.evaluation.people, groundtune.pipeline, rich.console"

FORKER = """
import contextlib, gc, json, os, signal, sys
requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
# what is loaded is no command's garbage: a collection there would look through it all, and so copy it
gc.disable()
LOADS
from groundtune.cli.main import main

def become_command(request):
    os.setsid()
    # where tests are started in the background Ctrl-C is ignored, and what they start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    for number, (path, flags) in enumerate(zip(request["streams"], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY))):
        os.dup2(os.open(path, flags), number)
    sys.stdin = open(0, closefd=False)
    sys.argv = ["groundtune", *request["arguments"]]
    exec(request["first"], {})
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        status = 70
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)

gc.collect()
gc.freeze()
gc.enable()
# commands here are killed and the machine is not: nothing is proved by waiting for the disk
os.fsync = os.fstat
for line in requests:
    child = os.fork()
    if child == 0:
        become_command(json.loads(line))
    replies.write(f"{child}\\n")
    replies.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\\n")
"""
"""Reads one request a line; answers with the number of the process and, when that has ended, its exit status."""


@dataclass(frozen=True)
class Done:
    """A command that has ended. The status of one that was killed is minus the signal."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as one JSON object, and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def statuses(self) -> dict[str, str]:
        """What became of each stage, of a verb with --json."""
        return {stage["stage"]: stage["status"] for stage in self.json["stages"]}


class Forked:
    """A command on its way. There is one at a time."""

    def __init__(self, forker: subprocess.Popen[str], process: int, streams: list[Path]) -> None:
        self._forker = forker
        self._streams = streams
        self.process = process

    def said(self) -> str:
        """Its standard error until now."""
        return self._streams[2].read_text(encoding="utf-8")

    def end(self) -> Done:
        assert self._forker.stdout is not None
        status = int(self._forker.stdout.readline())
        return Done(status, self._streams[1].read_text(encoding="utf-8"), self.said())


class Forker:
    """Starts commands in processes that have loaded transformers already, or what else `loads` imports."""

    def __init__(self, folder: Path, loads: str = LOADS) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKER.replace("LOADS", loads)],
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def start(self, folder: Path, arguments: tuple[str, ...], *, stdin: str, first: str) -> Forked:
        streams = [Path(tempfile.mkstemp(dir=self._folder)[1]) for _ in range(3)]
        streams[0].write_text(stdin, encoding="utf-8")
        request = {
            "folder": str(folder),
            "arguments": arguments,
            "streams": [str(path) for path in streams],
            "first": first,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Forked(self._process, int(self._process.stdout.readline()), streams)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


STOCK_TR = """\
# Depo Yönetimi

Depo yönetimi, kablo fabrikasındaki stok hareketlerini izleyen modüldür. Her hareket bir belgeye bağlanır ve geri alınamaz.
Sipariş bilgisi [Satış](../satis/siparis.md) modülünden gelir.

## Mal Kabul

Mal kabul, tedarikçiden gelen malzemenin depoya alınmasıdır. Kabul edilen malzeme önce giriş kontrolüne girer.

1. Mal kabul ekranını açın ve sipariş numarasını girin.
2. Gelen miktarı tartım fişine göre yazın.
3. Parti numarasını okutun.
4. Kaydet düğmesine basın; stok hareketi kendiliğinden oluşur.

Mal kabul kaydı `STK_MAL_KABUL` tablosunda, hareketi ise `STK_HAREKET` tablosunda tutulur.

### Parti Numarası

Parti numarası, bir malzemenin hangi üretimden geldiğini gösteren koddur. Parti numarası on iki karakterdir ve elle değiştirilemez.

| Alan | Açıklama | Uzunluk |
| --- | --- | --- |
| Yıl | Üretim yılının son iki hanesi | 2 |
| Hat | Üretim hattının kodu | 3 |
| Sıra | Gün içindeki sıra numarası | 7 |

## Makara Takibi

Makara takibi, kablonun sarıldığı makaraların nerede olduğunu gösterir. Makara türleri şunlardır:

- Ahşap makara, tek kullanımlıktır ve iade edilmez.
- Çelik makara, müşteriden geri istenir ve bakıma girer.
- Plastik makara, ince kesitli kablolarda kullanılır.

Kayıp makara otuz gün sonra müşteriye faturalanır. Makara bilgisi `STK_MAKARA` tablosundadır.

## Sayım

Sayım, depodaki malzemenin elle sayılıp kayıtla karşılaştırılmasıdır. Fark yüzde ikiyi aşarsa depo sorumlusu onay verir.

```sql
SELECT malzeme_kodu, SUM(miktar) AS toplam
FROM STK_HAREKET
GROUP BY malzeme_kodu;
```

Yukarıdaki sorgu her malzemenin kayıtlı miktarını verir.
"""

SALES_TR = """\
# Satış

Satış modülü tekliften faturaya kadar olan işleri yürütür. Stok bilgisi [Depo](../stok/depo.md) modülünden alınır.

## Teklif

Teklif, müşteriye verilen fiyat önerisidir. Teklifin geçerlilik süresi on beş gündür; süre dolunca teklif kapanır.

1. Müşteriyi seçin.
2. Kablo kesitini ve uzunluğunu yazın.
3. Bakır fiyatını günün kuruna göre çekin.
4. Teklifi onaya gönderin.

## Sipariş

Sipariş, onaylanan teklifin iş emrine dönüşmesidir. Sipariş kaydı `SAT_SIPARIS` tablosunda tutulur.

| Durum | Anlamı |
| --- | --- |
| Taslak | Henüz onaya gönderilmedi |
| Onaylı | Üretime açıldı |
| Kapalı | Sevkiyat bitti |

### İptal

İptal, sevk edilmemiş bir siparişin geri çekilmesidir. Üretime başlanmış sipariş yalnızca satış müdürünce iptal edilir.

## Sevkiyat

Sevkiyat, hazır kablonun müşteriye gönderilmesidir. Sevkiyat belgesi basılmadan araç fabrikadan çıkamaz.

- İrsaliye numarası sistemden alınır.
- Makara numaraları irsaliyeye yazılır.
- Araç plakası zorunludur.

Sevkiyat hareketi `STK_HAREKET` tablosuna eksi miktarla yazılır.
"""

SALES_EN = """\
# Sales Orders

A sales order is an approved quotation that production may start on. Orders are kept in the table `SAT_SIPARIS`.

## Approval

Approval is the step in which the sales manager checks price and delivery date. An order above ten tonnes needs two approvals.

1. Open the order and press Approve.
2. Enter the promised delivery date.
3. Confirm the copper price of the day.

## Credit Limit

The credit limit is the largest open balance that a customer may have. When the limit is exceeded the order stays blocked.

| Class | Limit in euros |
| --- | --- |
| A | 500000 |
| B | 100000 |
| C | 20000 |

## Export

The export job sends every closed order to the accounting system at night.

```json
{"order": 4711, "state": "closed", "drums": 3}
```

- A failed export is tried again after one hour.
- After three failures a message goes to the administrator.
"""

DOCUMENTS = {"stok/depo.md": STOCK_TR, "satis/siparis.md": SALES_TR, "satis/orders.md": SALES_EN}

CONFIGURATION = """\
project: tiny
workdir: out
seed: 7

documents:
  path: docs
  languages: [tr, en]
  chunk_tokens: 60

generation:
  max_pairs: 3

dataset:
  valid_share: 0.15
  test_share: 0.15
  max_tokens: 512

tokenizer:
  vocab_size: 400

model:
  layers: 2
  width: 64
  heads: 2
  kv_heads: 1
  feed_forward: 128
  context_tokens: 512

pretrain:
  epochs: 1

train:
  epochs: 2
  samples: 2
  sample_tokens: 12
  threads: 1

evaluation:
  max_questions: 8
  max_new_tokens: 8
"""


@dataclass(frozen=True)
class Project:
    """A folder with groundtune.yaml and docs/, and the command run in it."""

    folder: Path
    forker: Forker

    @property
    def work(self) -> Path:
        return self.folder / "out"

    @property
    def run(self) -> Path:
        return self.work / "runs" / "default"

    def write(self, configuration: str = CONFIGURATION, documents: Mapping[str, str] = DOCUMENTS) -> Project:
        for name, text in documents.items():
            path = self.folder / "docs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (self.folder / "groundtune.yaml").write_text(configuration, encoding="utf-8")
        return self

    def copy_to(self, folder: Path) -> Project:
        shutil.copytree(self.folder, folder)
        return Project(folder, self.forker)

    def start(self, *arguments: str, stdin: str = "", first: str = "") -> Forked:
        """Begin `groundtune ARGUMENTS` in the folder; `first` is Python that its process executes before."""
        return self.forker.start(self.folder, arguments, stdin=stdin, first=first)

    def call(self, *arguments: str, stdin: str = "", first: str = "") -> Done:
        """`groundtune ARGUMENTS` in the folder."""
        return self.start(*arguments, stdin=stdin, first=first).end()

    def call_cold(self, *arguments: str, preexec: Callable[[], None] | None = None) -> Done:
        """The same, in a process that has loaded nothing."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=240,
            check=False,
            preexec_fn=preexec,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def succeed(self, *arguments: str, stdin: str = "") -> Done:
        done = self.call(*arguments, stdin=stdin)
        assert done.status == 0, f"groundtune {' '.join(arguments)} ended with {done.status}:\n{done.err}"
        return done


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    made = Forker(tmp_path_factory.mktemp("streams"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def asking_forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    """For commands that ask language models and need none of their own."""
    made = Forker(tmp_path_factory.mktemp("streams"), ASKING_LOADS)
    yield made
    made.close()


@pytest.fixture(scope="session")
def light_forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    """For commands that only read what an evaluation has left."""
    made = Forker(tmp_path_factory.mktemp("streams"), LIGHT_LOADS)
    yield made
    made.close()


@pytest.fixture
def light_project(light_forker: Forker, tmp_path: Path) -> Project:
    """Documents and configuration, for commands that only read what an evaluation has left."""
    return Project(tmp_path / "light", light_forker).write()


@pytest.fixture
def make_project(forker: Forker, tmp_path: Path) -> Callable[[str], Project]:
    """Projects by name, with documents and configuration."""
    return lambda name: Project(tmp_path / name, forker).write()


@pytest.fixture
def project(make_project: Callable[[str], Project]) -> Project:
    """Documents and configuration; nothing has run."""
    return make_project("project")


@pytest.fixture(scope="session")
def first_run(forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Done]:
    """The project after `groundtune run --json` from nothing, and what that said. Tests must not change it.

    All workers of pytest-xdist have one, which the first of them makes; no command may work in it.
    """
    common = tmp_path_factory.getbasetemp()
    folder = (common.parent if "PYTEST_XDIST_WORKER" in os.environ else common) / "first_run"
    folder.mkdir(exist_ok=True)
    made, said = Project(folder / "project", forker), folder / "said.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            shutil.rmtree(made.folder, ignore_errors=True)
            done = made.write().call_cold("run", "--json")
            assert done.status == 0, done.err
            said.write_text(json.dumps(asdict(done)), encoding="utf-8")
    return made, Done(**json.loads(said.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def finished(first_run: tuple[Project, Done], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of this worker's own, to look at but not to change."""
    return first_run[0].copy_to(tmp_path_factory.mktemp("finished") / "project")


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A finished run of the test's own."""
    return finished.copy_to(tmp_path / "copy")

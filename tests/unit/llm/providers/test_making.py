import subprocess
import sys

import pytest

from groundtune.config import WriterConfig
from groundtune.llm import OfflineWriter
from groundtune.llm.providers import batch_client, make_client


def test_offline_needs_no_key_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert isinstance(make_client(WriterConfig()), OfflineWriter)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_the_writer_is_named_by_provider_and_model(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "sk-0123456789")
    config = WriterConfig.model_validate({"provider": provider, "model": "m-1"})
    client = make_client(config)
    assert (client.writer, client.model) == (f"{provider}/m-1", "m-1")
    batches = batch_client(config, client)
    assert (batches.writer, batches.model) == (f"{provider}/m-1", "m-1")
    assert batches.notes is client.notes  # type: ignore[attr-defined]


def test_no_sdk_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "import groundtune.llm, groundtune.llm.providers\n"
        "assert not {'anthropic', 'openai'} & set(sys.modules)\n"
        "from groundtune.config import WriterConfig\n"
        "groundtune.llm.providers.make_client(WriterConfig(provider='openai', model='m', base_url='http://localhost:1/v1'))\n"
        "assert 'anthropic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

import pytest

from groundtune.config import WriterConfig
from groundtune.errors import ConfigError
from groundtune.llm import AccountFailure
from groundtune.llm.providers.endpoint import Endpoint, open_endpoint

KEY = "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("provider", "variable"), [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")])
def test_a_missing_key_names_the_variable_to_set(provider: str, variable: str) -> None:
    with pytest.raises(AccountFailure, match=f"{variable} is not set"):
        open_endpoint(WriterConfig(provider=provider, model="m"))  # type: ignore[arg-type]


def test_the_variable_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = WriterConfig(provider="openai", model="m", api_key_env="ROUTER_KEY", base_url="https://router.example/v1")
    with pytest.raises(AccountFailure, match="ROUTER_KEY is not set"):
        open_endpoint(config)
    monkeypatch.setenv("ROUTER_KEY", f" {KEY}\n")
    endpoint = open_endpoint(config)
    assert (endpoint.key, endpoint.host, endpoint.is_own) == (KEY, "router.example", False)


@pytest.mark.parametrize("host", ["localhost:11434", "127.0.0.1:8000", "[::1]:8000", "box.localhost"])
def test_a_server_on_this_machine_needs_no_key(host: str) -> None:
    endpoint = open_endpoint(WriterConfig(provider="openai", model="m", base_url=f"http://{host}/v1"))
    assert endpoint.is_loopback
    assert endpoint.key


def test_a_server_elsewhere_needs_one() -> None:
    with pytest.raises(AccountFailure, match="OPENAI_API_KEY is not set"):
        open_endpoint(WriterConfig(provider="openai", model="m", base_url="http://192.168.1.5:8000/v1"))


def test_a_key_with_a_blank_inside_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY} {KEY}")
    with pytest.raises(AccountFailure, match="blanks") as caught:
        open_endpoint(WriterConfig(provider="openai", model="m"))
    assert KEY[:8] not in str(caught.value)


@pytest.mark.parametrize("address", ["localhost:8000/v1", "ftp://x.org", "http://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        open_endpoint(WriterConfig(provider="openai", model="m", base_url=address))


def test_a_password_in_the_address_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        open_endpoint(WriterConfig(provider="openai", model="m", base_url="https://me:hunter22@x.org/v1"))
    assert "hunter22" not in str(caught.value)


def test_the_sdks_own_address_variable_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    assert open_endpoint(WriterConfig(provider="anthropic", model="m")).host == "127.0.0.1:9"


def test_no_part_of_the_key_survives_clearing() -> None:
    endpoint = Endpoint("openai", "m", "https://api.openai.com/v1", "OPENAI_API_KEY", KEY)
    for told in (
        f"Incorrect API key provided: {KEY}.",
        f"Incorrect API key provided: {KEY[:8]}***************{KEY[-4:]}. You can find it",
        f"header 'Bearer {KEY[5:20]}' is bad",
    ):
        cleared = endpoint.cleared(told)
        assert not any(KEY[start : start + 8] in cleared for start in range(len(KEY) - 7)), cleared
        assert KEY[-4:] not in cleared
        assert "[key]" in cleared
    assert endpoint.cleared("prompt is too long") == "prompt is too long"
    assert KEY not in repr(endpoint)

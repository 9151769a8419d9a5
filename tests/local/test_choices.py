"""What the environment decides: which model works, and whether GitHub is real."""

import pytest

from local.choices import NO_KEY, choose_github, choose_model
from local.errors import LocalRunError


def test_nothing_configured_is_the_offline_model() -> None:
    assert choose_model({}).provider == "offline"


@pytest.mark.parametrize(
    ("environment", "provider"),
    [
        ({"ANTHROPIC_API_KEY": "sk-a"}, "anthropic"),
        ({"OPENAI_API_KEY": "sk-o"}, "openai"),
        ({"OPENAI_BASE_URL": "http://x/v1", "NIGHTDESK_MODEL_FAST": "m"}, "openai"),
        ({"AWS_PROFILE": "work"}, "bedrock"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "bedrock"),
        ({"AWS_PROFILE": "work", "OPENAI_API_KEY": "sk-o"}, "openai"),
        ({"OPENAI_API_KEY": ""}, "offline"),
    ],
)
def test_credentials_decide(environment: dict[str, str], provider: str) -> None:
    assert choose_model(environment).provider == provider


def test_an_explicit_provider_wins_over_credentials() -> None:
    environment = {"NIGHTDESK_MODEL_PROVIDER": "offline", "OPENAI_API_KEY": "sk-o"}

    assert choose_model(environment).provider == "offline"


def test_auto_means_as_if_nothing_was_said() -> None:
    environment = {"NIGHTDESK_MODEL_PROVIDER": "auto", "AWS_PROFILE": "work"}

    assert choose_model(environment).provider == "bedrock"


def test_an_unknown_provider_names_the_known_ones() -> None:
    with pytest.raises(LocalRunError, match="one of auto, bedrock, anthropic, openai, offline"):
        choose_model({"NIGHTDESK_MODEL_PROVIDER": "gpt"})


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_provider_without_its_key_says_which_one_is_missing(provider: str) -> None:
    with pytest.raises(LocalRunError, match=f"{provider.upper()}_API_KEY is not set"):
        choose_model({"NIGHTDESK_MODEL_PROVIDER": provider})


def test_a_server_of_ones_own_needs_no_key_but_the_name_of_a_model() -> None:
    environment = {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}

    with pytest.raises(LocalRunError, match="NIGHTDESK_MODEL_SMART"):
        choose_model(environment)
    chosen = choose_model(environment | {"NIGHTDESK_MODEL_SMART": "qwen"})
    assert chosen.key == NO_KEY
    assert chosen.parameters == {
        "OpenaiBaseUrl": "http://127.0.0.1:11434/v1",
        "ModelSmart": "qwen",
    }


def test_a_key_is_never_among_the_parameters_of_the_stack_nor_shown() -> None:
    chosen = choose_model({"ANTHROPIC_API_KEY": "sk-secret"})

    assert "sk-secret" not in f"{chosen} {chosen.parameters}"
    assert chosen.key == "sk-secret"


def test_github_is_real_only_with_a_token_and_repositories() -> None:
    both = {"GITHUB_TOKEN": "ghp_1", "GITHUB_POLLING_REPOS": "o/r"}

    assert choose_github(both, own_repository=False).is_real
    for name in both:
        left_out = {key: value for key, value in both.items() if key != name}
        choice = choose_github(left_out, own_repository=False)
        assert not choice.is_real
        assert name in choice.note


def test_an_own_repository_is_shown_in_the_simulator_whatever_is_set() -> None:
    both = {"GITHUB_TOKEN": "ghp_1", "GITHUB_POLLING_REPOS": "o/r"}

    assert not choose_github(both, own_repository=True).is_real

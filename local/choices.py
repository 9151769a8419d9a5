"""Decide from the user's environment what is real in this run: the language model, and GitHub."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from local.errors import LocalRunError

PROVIDERS = ("auto", "bedrock", "anthropic", "openai", "offline")
TIERS = {"ModelFast": "FAST", "ModelBalanced": "BALANCED", "ModelSmart": "SMART"}
#: Servers without keys take any.
NO_KEY = "none"


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model works. `why` is for the screen; `key` goes to the cloud's SSM only."""

    provider: str
    why: str
    key: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GithubChoice:
    """The real GitHub, or the simulator when there is no token."""

    repos: str = ""
    token: str = field(default="", repr=False)
    api_url: str = "https://api.github.com"
    note: str = ""

    @property
    def is_real(self) -> bool:
        return bool(self.token)


def choose_model(environment: Mapping[str, str]) -> ModelChoice:
    """An explicit NIGHTDESK_MODEL_PROVIDER wins; otherwise what there are credentials for.

    Raises:
        LocalRunError: the provider is unknown, or its key or model is not there.
    """
    wanted = environment.get("NIGHTDESK_MODEL_PROVIDER", "") or "auto"
    if wanted not in PROVIDERS:
        raise LocalRunError(
            f"NIGHTDESK_MODEL_PROVIDER={wanted!r} is unknown. Next: one of {', '.join(PROVIDERS)}."
        )
    found = _provider_with_credentials(environment) if wanted == "auto" else (wanted, "as asked")
    provider, why = found
    if provider == "offline":
        return ModelChoice(provider=provider, why=why)
    parameters = {
        name: environment[f"NIGHTDESK_MODEL_{tier}"]
        for name, tier in TIERS.items()
        if environment.get(f"NIGHTDESK_MODEL_{tier}")
    }
    if provider == "bedrock":
        return ModelChoice(provider=provider, why=why, parameters=parameters)
    return _with_key(provider, why, environment, parameters)


def _provider_with_credentials(environment: Mapping[str, str]) -> tuple[str, str]:
    for provider, names in (
        ("anthropic", ("ANTHROPIC_API_KEY",)),
        ("openai", ("OPENAI_BASE_URL", "OPENAI_API_KEY")),
        ("bedrock", ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")),
    ):
        for name in names:
            if environment.get(name):
                return provider, f"{name} is set"
    return "offline", "no model is configured"


def _with_key(
    provider: str, why: str, environment: Mapping[str, str], parameters: dict[str, str]
) -> ModelChoice:
    name = provider.upper()
    base_url = environment.get(f"{name}_BASE_URL", "")
    key = environment.get(f"{name}_API_KEY", "")
    if base_url:
        parameters[f"{provider.capitalize()}BaseUrl"] = base_url
    if not key and not (provider == "openai" and base_url):
        raise LocalRunError(
            f"The model provider is {provider}, but {name}_API_KEY is not set. Next: set it, "
            "or choose NIGHTDESK_MODEL_PROVIDER=offline."
        )
    if provider == "openai" and base_url and not any(name in parameters for name in TIERS):
        raise LocalRunError(
            f"OPENAI_BASE_URL is {base_url}; only you know its models. "
            "Next: set NIGHTDESK_MODEL_SMART=<one of its models>."
        )
    return ModelChoice(provider=provider, why=why, key=key or NO_KEY, parameters=parameters)


def choose_github(environment: Mapping[str, str], *, own_repository: bool) -> GithubChoice:
    """The real GitHub only if both a token and repositories are named, and no REPO is given."""
    token = environment.get("GITHUB_TOKEN", "")
    repos = environment.get("GITHUB_POLLING_REPOS", "")
    if token and repos and not own_repository:
        api_url = environment.get("GITHUB_API_URL", "") or "https://api.github.com"
        return GithubChoice(repos=repos, token=token, api_url=api_url.rstrip("/"))
    if own_repository:
        return GithubChoice()
    if token:
        note = "GITHUB_TOKEN is not used: set GITHUB_POLLING_REPOS=owner/name for the real GitHub"
        return GithubChoice(note=note)
    if repos:
        note = "GITHUB_POLLING_REPOS is not used: set GITHUB_TOKEN for the real GitHub"
        return GithubChoice(note=note)
    return GithubChoice()

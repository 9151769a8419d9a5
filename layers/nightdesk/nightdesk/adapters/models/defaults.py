"""Which models serve the tiers when the configuration names none.

As of 2026-11-21, from the providers' model pages. On Bedrock the current Claude models are served
through inference profiles only; `global.` works from any commercial region. OpenAI's newest models
take no tools in Chat Completions, so these are the newest ones that do.
"""

from collections.abc import Mapping
from types import MappingProxyType

from nightdesk.domain.model import ModelTier

BEDROCK: Mapping[ModelTier, str] = MappingProxyType(
    {
        ModelTier.FAST: "global.anthropic.claude-haiku-5-5",
        ModelTier.BALANCED: "global.anthropic.claude-sonnet-5-5",
        ModelTier.SMART: "global.anthropic.claude-opus-5-5",
    }
)
ANTHROPIC: Mapping[ModelTier, str] = MappingProxyType(
    {
        ModelTier.FAST: "claude-haiku-5-5",
        ModelTier.BALANCED: "claude-sonnet-5-5",
        ModelTier.SMART: "claude-opus-5-5",
    }
)
OPENAI: Mapping[ModelTier, str] = MappingProxyType(
    {
        ModelTier.FAST: "gpt-6-luna",
        ModelTier.BALANCED: "gpt-6-sol",
        ModelTier.SMART: "gpt-6-sol",
    }
)

#: Where a tier looks for a model if it has none of its own, best first.
_NEAREST = {
    ModelTier.FAST: (ModelTier.FAST, ModelTier.BALANCED, ModelTier.SMART),
    ModelTier.BALANCED: (ModelTier.BALANCED, ModelTier.SMART, ModelTier.FAST),
    ModelTier.SMART: (ModelTier.SMART, ModelTier.BALANCED, ModelTier.FAST),
}


def with_defaults(
    chosen: Mapping[ModelTier, str], defaults: Mapping[ModelTier, str]
) -> dict[ModelTier, str]:
    """A model for each tier: the chosen one, else the default."""
    return {tier: chosen.get(tier) or defaults[tier] for tier in ModelTier}


def with_nearest(chosen: Mapping[ModelTier, str]) -> dict[ModelTier, str]:
    """A model for each tier out of the chosen ones alone, for servers whose models only their owner
    knows (Ollama, vLLM, gateways): one choice serves all tiers.

    Raises:
        ValueError: no model was chosen at all.
    """
    if not any(chosen.values()):
        raise ValueError("a compatible server needs the name of at least one of its models")
    return {
        tier: next(chosen[near] for near in _NEAREST[tier] if chosen.get(near))
        for tier in ModelTier
    }

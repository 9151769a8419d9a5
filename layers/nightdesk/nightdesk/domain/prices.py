"""What model calls cost, from a dated table of list prices (data/model_prices.json).

Table: {"models": {model id: rates + {"longPrompt": null | rates + {"above": tokens}}}} with rates =
{"input", "output", "cacheRead", "cacheWrite"} in millionths of a dollar per million tokens.
"""

from collections.abc import Mapping
from typing import Any

from nightdesk.domain.model import Usage

_MILLION = 1_000_000


def cost_of(prices: Mapping[str, Any], model_id: str, usage: Usage) -> int | None:
    """Millionths of a dollar, rounded up; None = no price is known for this model."""
    rates = prices["models"].get(model_id)
    if rates is None:
        return None
    long_prompt = rates.get("longPrompt")
    prompt = usage.input + usage.cache_read + usage.cache_write
    if long_prompt and prompt > long_prompt["above"]:
        rates = long_prompt
    total = (
        usage.input * rates["input"]
        + usage.output * rates["output"]
        + usage.cache_read * rates["cacheRead"]
        + usage.cache_write * rates["cacheWrite"]
    )
    return int(-(-total // _MILLION))

import json
from pathlib import Path
from typing import Any

import pytest

from nightdesk.adapters.models import defaults
from nightdesk.domain.model import ModelTier

DATA = Path(__file__).parents[2] / "layers/nightdesk/nightdesk/data/model_prices.json"
PRICES: dict[str, Any] = json.loads(DATA.read_text())["models"]
RATES = {"input", "output", "cacheRead", "cacheWrite"}


@pytest.mark.parametrize("table", [defaults.BEDROCK, defaults.ANTHROPIC, defaults.OPENAI])
def test_each_tier_has_a_default_model_with_a_known_price(table: dict[ModelTier, str]) -> None:
    assert table.keys() == set(ModelTier)
    assert set(table.values()) <= PRICES.keys()


@pytest.mark.parametrize("model_id", PRICES)
def test_a_price_is_whole_and_a_long_prompt_costs_more(model_id: str) -> None:
    price = PRICES[model_id]
    long_prompt = price["longPrompt"]

    assert price.keys() == {*RATES, "longPrompt"}
    assert all(isinstance(price[rate], int) and price[rate] > 0 for rate in RATES)
    assert price["cacheRead"] < price["input"] < price["cacheWrite"] < price["output"]
    if long_prompt:
        assert long_prompt.keys() == {*RATES, "above"}
        assert all(long_prompt[rate] > price[rate] for rate in RATES)


def test_a_chosen_model_replaces_the_default_of_its_tier_only() -> None:
    chosen = defaults.with_defaults({ModelTier.SMART: "mine"}, defaults.ANTHROPIC)

    assert chosen == {**defaults.ANTHROPIC, ModelTier.SMART: "mine"}


def test_one_model_of_a_server_of_ones_own_serves_all_tiers() -> None:
    assert defaults.with_nearest({ModelTier.FAST: "qwen"}) == dict.fromkeys(ModelTier, "qwen")


def test_two_models_serve_the_tiers_nearest_to_them() -> None:
    chosen = {ModelTier.FAST: "small", ModelTier.SMART: "large"}

    assert defaults.with_nearest(chosen) == {**chosen, ModelTier.BALANCED: "large"}


def test_a_server_of_ones_own_without_a_model_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        defaults.with_nearest({ModelTier.FAST: ""})

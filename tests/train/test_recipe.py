import pytest

from snn_deploy.errors import UsageError
from snn_deploy.train.recipe import Recipe


def test_text_is_read_as_numbers():
    recipe = Recipe().changed({"temperature": "0.05", "hidden": "64"})
    assert recipe.temperature == 0.05
    assert recipe.hidden == 64
    assert Recipe().hidden != 64


def test_every_fault_is_listed():
    with pytest.raises(UsageError) as caught:
        Recipe().changed({"steps": "0", "temperature": "warm", "colour": "1"})
    text = str(caught.value)
    for part in ("--set steps", "--set temperature", "--set colour", "rate_epochs"):
        assert part in text
    assert len(caught.value.violations) == 3

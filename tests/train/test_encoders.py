import pytest

pytest.importorskip("torch")

from snn_deploy.errors import UsageError
from snn_deploy.train.encoders import describe
from snn_deploy.train.recipe import Recipe

RECIPE = Recipe(hidden=10, pairs=3)


@pytest.mark.parametrize(
    ("encoder", "types"),
    [
        ("lif", ["Linear", "LIFCell", "Linear", "LIFCell"]),
        ("recurrent", ["LIFRecurrentCell", "Linear", "LIFCell"]),
    ],
)
def test_layers_of_each_encoder(encoder, types):
    config = describe(encoder, {"a": 5, "b": 7}, RECIPE, task="t", seed=4)
    assert [layer.type for layer in config.towers["b"]] == types
    assert config.towers["b"][0].inputs == 7
    assert config.towers["b"][-1].size == 6
    assert (config.encoder, config.task, config.seed) == (encoder, "t", 4)
    assert set(config.versions) == {"torch", "norse", "numpy"}
    assert not any(layer.bias for layer in config.towers["a"] if layer.type == "Linear")


def test_unknown_encoder_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="found conv; allowed lif, recurrent"):
        describe("conv", {"a": 5}, RECIPE, task="t", seed=0)

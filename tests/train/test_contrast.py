"""Pictures and texts in one space, and texts that say the same."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.errors import UsageError  # noqa: E402
from snn_deploy.train.contrast import PicturesAndTexts, text_tower, tower_maps  # noqa: E402
from snn_deploy.train.examples import Batch  # noqa: E402
from snn_deploy.train.paraphrases import learn_paraphrases  # noqa: E402


def maps(rng, units=10, width=6, hidden=8):
    shapes = {"head": (width, units), "text_hidden": (hidden, 5), "text_out": (width, hidden)}
    return {
        f"{name}_{array}": torch.from_numpy(
            rng.normal(size=shape if array == "weight" else shape[:1]) / shape[1] ** 0.5
        )
        for name, shape in shapes.items()
        for array in ("weight", "bias")
    }


def nt_xent(a, b, temperature):
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    logits = a @ b.T / temperature
    losses = []
    for scores in (logits, logits.T):
        losses += [-(row[k] - np.log(np.exp(row).sum())) for k, row in enumerate(scores)]
    return np.mean(losses)


def test_the_loss_is_the_formula():
    rng = np.random.default_rng(2)
    constants = maps(rng)
    rates = {name: rng.random((7, 10)) for name in ("image", "image/other")}
    text = rng.normal(size=(7, 5))
    others = rng.normal(size=(7, 2, 5))
    others[3, 1] = text[4]  # the fifth example's own text is no negative for it
    targets = {"text": torch.from_numpy(text), "others": torch.from_numpy(others)}
    batch = Batch({}, targets, constants)
    objective = PicturesAndTexts(0.07, 0.2)
    found = objective({name: [torch.from_numpy(value)] for name, value in rates.items()}, batch)
    c = {name: value.numpy() for name, value in constants.items()}
    a, b = (rates[name] @ c["head_weight"].T + c["head_bias"] for name in rates)

    def tower(rows):
        hidden = np.maximum(rows @ c["text_hidden_weight"].T + c["text_hidden_bias"], 0)
        return hidden @ c["text_out_weight"].T + c["text_out_bias"]

    def against(pictures):
        pictures, t, o = (
            rows / np.linalg.norm(rows, axis=1, keepdims=True)
            for rows in (pictures, tower(text), tower(others.reshape(14, 5)))
        )
        losses = []
        for k in range(7):
            further = [row for index, row in enumerate(o) if (k, index) != (4, 7)]
            row = np.concatenate([t, further]) @ pictures[k] / 0.07
            losses += [np.log(np.exp(row).sum()) - row[k]]
            column = pictures @ t[k] / 0.07
            losses += [np.log(np.exp(column).sum()) - column[k]]
        return np.mean(losses)

    expected = (against(a) + against(b)) / 2 + nt_xent(a, b, 0.2)
    assert found.item() == pytest.approx(expected, rel=1e-9)
    assert objective.targets == ("text", "others")
    assert objective.heads == ("head", "text_hidden", "text_out")


def test_a_model_without_the_maps_is_refused():
    batch = Batch({}, {"text": torch.zeros(3, 5), "others": torch.ones(3, 2, 5)}, {})
    layers = {name: [torch.rand(3, 4)] for name in ("image", "image/other")}
    with pytest.raises(UsageError, match="head_weight and head_bias"):
        PicturesAndTexts(0.07)(layers, batch)


def test_paraphrases_come_to_say_what_the_name_says():
    rng = np.random.default_rng(0)
    constants = {name: value.float() for name, value in maps(rng, hidden=128).items()}
    names = rng.normal(size=(60, 5)).astype(np.float32)
    turned = (names @ rng.normal(size=(5, 5)) + rng.normal(size=5)).astype(np.float32)
    kept = {name: value.clone() for name, value in constants.items()}

    def recall(arrays, texts):
        said, stored = (
            text_tower("text", torch.from_numpy(rows), given)
            for rows, given in ((texts, arrays), (names, kept))
        )
        said, stored = (rows / rows.norm(dim=1, keepdim=True) for rows in (said, stored))
        return float(((said @ stored.t()).argmax(1) == torch.arange(60)).float().mean())

    before = recall(kept, turned)
    arguments = {"steps": 400, "temperature": 0.07, "seed": 1}
    learned = learn_paraphrases(constants, "text", [names, turned], **arguments)
    assert set(learned) == {f"{part}_{array}" for part in tower_maps("text") for array in ("weight", "bias")}
    given = {name: torch.from_numpy(value) for name, value in learned.items()}
    assert before < 0.2
    assert recall(given, turned) > before + 0.4
    assert recall(given, names) > 0.5
    assert all(torch.equal(value, constants[name]) for name, value in kept.items())
    again = learn_paraphrases(constants, "text", [names, turned], **arguments)
    assert all(np.array_equal(value, again[name]) for name, value in learned.items())

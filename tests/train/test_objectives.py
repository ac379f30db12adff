import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.errors import UsageError  # noqa: E402
from snn_deploy.train.examples import Batch  # noqa: E402
from snn_deploy.train.objectives import (  # noqa: E402
    BinaryCrossEntropyOfCounts,
    CrossEntropyOfCounts,
    NextStep,
    Reconstruction,
    WeightedSum,
    cross_entropy,
    nt_xent,
)
from snn_deploy.train.readout import Readout  # noqa: E402


def test_equals_the_formula_written_again():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(7, 4)), rng.normal(size=(7, 4))
    temperature = 0.3
    total = 0.0
    for k in range(7):
        for left, right in ((a, b), (b, a)):
            cosines = [
                left[k] @ right[m] / np.linalg.norm(left[k]) / np.linalg.norm(right[m]) for m in range(7)
            ]
            exponentials = [np.exp(c / temperature) for c in cosines]
            total -= np.log(exponentials[k] / sum(exponentials))
    found = nt_xent(torch.from_numpy(a), torch.from_numpy(b), temperature)
    assert found.item() == pytest.approx(total / 14, rel=1e-12)


def test_pairs_that_match_cost_less():
    rows = torch.eye(6)
    assert nt_xent(rows, rows, 0.1).item() < 1e-3 < nt_xent(rows, rows.roll(1, 0), 0.1).item()


def test_silent_embeddings_give_a_finite_loss_and_gradient():
    a = torch.zeros(3, 4, requires_grad=True)
    loss = nt_xent(a, torch.ones(3, 4), 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(3), rel=1e-6)
    assert torch.isfinite(a.grad).all()


def log_softmax(row):
    return row - np.log(np.exp(row).sum())


def softened(value, wanted):
    """Binary cross-entropy of a logit."""
    p = 1 / (1 + np.exp(-value))
    return -np.log(p) if wanted else -np.log(1 - p)


def rasters(rng, *shape):
    return torch.from_numpy((rng.random(shape) < 0.4).astype(np.float64))


def batch(inputs=None, targets=None, **constants):
    return Batch(
        {name: torch.as_tensor(value) for name, value in (inputs or {}).items()},
        {name: torch.as_tensor(value) for name, value in (targets or {}).items()},
        {name: torch.as_tensor(value) for name, value in constants.items()},
    )


def test_a_readout_of_the_last_steps_in_segments():
    spikes = rasters(np.random.default_rng(0), 11, 4, 2, 3)  # steps, samples, two dimensions of neurons
    hidden = rasters(np.random.default_rng(1), 11, 4, 5)
    layers, flat = [hidden, spikes], spikes.numpy().reshape(11, 4, 6)
    cases = {
        Readout(): [flat],
        Readout(last=1): [flat[10:]],
        Readout(last=4): [flat[7:]],
        Readout(last=99): [flat],
        Readout(last=0.5): [flat[5:]],  # 5.5 steps are six
        Readout(layer=0): [hidden.numpy()],
        Readout(segments=3): [flat[:4], flat[4:8], flat[8:]],
        Readout(last=6, segments=2): [flat[5:8], flat[8:]],
        Readout(layer=-2, last=2, segments=2): [hidden.numpy()[9:10], hidden.numpy()[10:]],
    }
    seen = set()
    for readout, windows in cases.items():
        expected = np.concatenate([window.mean(axis=0) for window in windows], axis=1)
        found = readout(layers).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        seen.add(found.tobytes())
    assert len(seen) == len(cases) - 1  # 99 steps are all


def test_a_readout_of_rates_has_no_time_and_one_that_cannot_be_is_refused():
    rates = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Readout(last=2, segments=2)([rates]), torch.cat([rates, rates], 1))
    with pytest.raises(UsageError, match=r"no such layer .* found 1; allowed -1 .. 0"):
        Readout(layer=1)([rates])
    with pytest.raises(UsageError, match="more segments than steps"):
        Readout(last=2, segments=3)([torch.zeros(9, 2, 3)])


@pytest.mark.parametrize("target", ["", "tune"])
@pytest.mark.parametrize("head", ["", "map"])
def test_next_step_is_cross_entropy_with_the_step_that_follows(target, head):
    rng = np.random.default_rng(2)
    width = 5 if head else 3
    spikes, raster = rasters(rng, 6, 4, width), rasters(rng, 4, 6, 3)
    weight, bias = rng.normal(size=(3, width)), rng.normal(size=3)
    shown = batch(
        {"a": rng.random((4, 6, 3)) if target else raster},
        {"tune": raster} if target else {},
        map_weight=weight,
        map_bias=bias,
    )
    total = 0.0
    for sample in range(4):
        for step in range(5):
            sent = spikes[step, sample].numpy()
            logits = weight @ sent + bias if head else 2.5 * sent
            coming = raster[sample, step + 1].numpy()
            total += sum(softened(v, w) for v, w in zip(logits, coming, strict=True))
    found = NextStep(target=target, head=head, gain=2.5)({"a": [torch.zeros(6, 4, 2), spikes]}, shown)
    assert found.item() == pytest.approx(total / (4 * 5 * 3), rel=1e-9)


def test_next_step_needs_time():
    raster = torch.zeros(4, 6, 3)
    for layer in (torch.zeros(4, 3), torch.zeros(5, 4, 3)):  # rates, and another number of steps
        with pytest.raises(UsageError, match="Set rate_epochs to 0"):
            NextStep()({"a": [layer]}, batch({"a": raster}))


@pytest.mark.parametrize("target", ["", "clean"])
@pytest.mark.parametrize("head", ["", "map"])
def test_reconstruction_is_the_mean_squared_error(target, head):
    rng = np.random.default_rng(3)
    width = 5 if head else 4
    spikes, wanted = rasters(rng, 6, 7, width), rng.random((7, 2, 2))
    weight, bias = rng.normal(size=(4, width)), rng.normal(size=4)
    shown = batch(
        {"a": rng.random((7, 2, 2)) if target else wanted},
        {"clean": wanted} if target else {},
        map_weight=weight,
        map_bias=bias,
    )
    total = 0.0
    for sample in range(7):
        rates = spikes[:, sample].numpy().mean(axis=0)
        made = weight @ rates + bias if head else rates
        total += ((made - wanted[sample].reshape(-1)) ** 2).sum()
    found = Reconstruction(target=target, head=head)({"a": [spikes]}, shown)
    assert found.item() == pytest.approx(total / (7 * 4), rel=1e-9)


def test_soft_targets_are_weights_over_their_sum_and_an_empty_row_is_none():
    rng = np.random.default_rng(4)
    logits, weights = rng.normal(size=(5, 3)), rng.random((5, 3)) * 4
    weights[2] = 0
    rows = [k for k in range(5) if k != 2]
    total = -sum((weights[k] / weights[k].sum() * log_softmax(logits[k])).sum() for k in rows) / 4
    found = cross_entropy(torch.from_numpy(logits), torch.from_numpy(weights))
    assert found.item() == pytest.approx(total, rel=1e-12)
    hard = np.array([2, 0, 1, 1, 0])
    soft = cross_entropy(torch.from_numpy(logits), torch.from_numpy(7.0 * np.eye(3)[hard]))
    by_class = cross_entropy(torch.from_numpy(logits), torch.from_numpy(hard))
    assert soft.item() == pytest.approx(by_class.item(), rel=1e-12)
    assert cross_entropy(torch.from_numpy(logits), torch.zeros(5, 3)).item() == 0


def test_counts_are_compared_by_their_gain_or_through_a_head():
    rng = np.random.default_rng(5)
    spikes, labels = rasters(rng, 8, 6, 3), np.arange(6) % 3
    weight, bias = rng.normal(size=(3, 6)), rng.normal(size=3)
    shown = batch(targets={"label": labels}, map_weight=weight, map_bias=bias)
    halves = spikes.numpy().reshape(2, 4, 6, 3).mean(axis=1)
    logits = {
        CrossEntropyOfCounts(gain=4.0): 4.0 * spikes.numpy().mean(axis=0),
        CrossEntropyOfCounts(head="map", readout=Readout(segments=2)): (
            np.concatenate([*halves], axis=1) @ weight.T + bias
        ),
    }
    for objective, rows in logits.items():
        expected = -np.mean([log_softmax(row)[label] for row, label in zip(rows, labels, strict=True)])
        assert objective({"a": [spikes]}, shown).item() == pytest.approx(expected, rel=1e-9)
    with pytest.raises(UsageError, match="does not carry the linear map"):
        CrossEntropyOfCounts(head="other")({"a": [spikes]}, shown)
    with pytest.raises(UsageError, match="reads one input"):
        CrossEntropyOfCounts()({"a": [spikes], "b": [spikes]}, shown)


def test_a_weighted_sum_adds_its_terms_and_asks_for_what_each_needs():
    rng = np.random.default_rng(6)
    spikes = rasters(rng, 8, 6, 3)
    shown = batch(
        {"a": rng.random((6, 3))},
        {"label": np.arange(6) % 3, "teacher": rng.random((6, 3))},
        map_weight=rng.normal(size=(3, 3)),
        map_bias=rng.normal(size=3),
    )
    labels, teacher = CrossEntropyOfCounts(), CrossEntropyOfCounts("teacher", head="map")
    rebuilt = Reconstruction(head="map")
    both = WeightedSum(((0.25, labels), (2.0, teacher), (0.5, rebuilt)))
    parts = [term({"a": [spikes]}, shown).item() for term in (labels, teacher, rebuilt)]
    assert len(set(parts)) == 3
    expected = 0.25 * parts[0] + 2.0 * parts[1] + 0.5 * parts[2]
    assert both({"a": [spikes]}, shown).item() == pytest.approx(expected, rel=1e-12)
    assert (both.targets, both.heads) == (("label", "teacher"), ("map",))


def test_binary_cross_entropy_of_counts_is_that_of_each_logit():
    rng = np.random.default_rng(8)
    spikes = rasters(rng, 5, 6, 4)
    sets = (rng.random((6, 4)) < 0.5).astype(np.uint8)
    batch = Batch({}, {"next": torch.from_numpy(sets)}, {})
    found = BinaryCrossEntropyOfCounts("next", gain=3.0)({"a": [spikes]}, batch)
    logits = 3 * spikes.numpy().mean(0)
    wanted = np.mean([softened(logit, member) for logit, member in zip(logits.flat, sets.flat, strict=True)])
    assert found.item() == pytest.approx(wanted, rel=1e-6)

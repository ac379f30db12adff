import numpy as np
import pytest

pytest.importorskip("torch")

from snn_deploy.train.reference import Training, gru, mlp, train_reference

TRAINING = Training(epochs=12, learning_rate=0.02, batch=32)
NETWORKS = {"gru": lambda: gru(4, 12, 3), "mlp": lambda: mlp((6, 4), 12, 3)}


def sequences(n, seed):
    """Which of three channels fired last, among noise."""
    rng = np.random.default_rng(seed)
    inputs = (rng.random((n, 6, 4)) < 0.2).astype(np.float32)
    labels = rng.integers(0, 3, n)
    inputs[:, -1] = np.eye(4)[labels]
    return inputs, labels


@pytest.mark.parametrize("kind", NETWORKS)
def test_learns_and_repeats_itself(kind):
    inputs, labels = sequences(256, 0)
    asked, right = sequences(100, 1)
    validation = sequences(50, 2)
    first, again, other = (
        train_reference(NETWORKS[kind], inputs, labels, TRAINING, seed, validation=validation).scores(asked)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.argmax(1) == right).mean() > 0.9


def test_the_epoch_with_the_least_loss_on_validation_is_kept():
    inputs, labels = sequences(64, 0)
    held_out = sequences(64, 1)
    wrong = (held_out[0], (held_out[1] + 1) % 3)  # every epoch of learning makes it worse
    kept = train_reference(NETWORKS["mlp"], inputs, labels, TRAINING, 0, validation=wrong).scores(inputs)
    last = train_reference(NETWORKS["mlp"], inputs, labels, TRAINING, 0).scores(inputs)
    assert (last.argmax(1) == labels).mean() > 0.9 > (kept.argmax(1) == labels).mean()


def test_weights_of_answers_and_augmentation_are_learned_from():
    inputs, labels = sequences(256, 0)
    weights = 3.0 * np.eye(3)[labels]
    mirrored = train_reference(
        NETWORKS["mlp"], inputs, weights, TRAINING, 0, augment=lambda values, rng: values[:, ::-1].copy()
    )
    asked, right = sequences(100, 1)
    assert (mirrored.scores(asked[:, ::-1].copy()).argmax(1) == right).mean() > 0.9

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.train.objectives import nt_xent  # noqa: E402


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

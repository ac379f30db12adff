import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.train.readout import Readout  # noqa: E402


@pytest.mark.parametrize("every", [1, 2, 3, 5])
@pytest.mark.parametrize("last", [None, 1, 7, 0.5])
def test_reads_every_so_manieth_step_backwards_from_the_end(last, every):
    spikes = (np.random.default_rng(every).random((12, 4, 5)) < 0.4).astype(np.float32)
    counted = 12 if last is None else last if isinstance(last, int) else round(12 * last)
    chosen = [step for step in range(11, 11 - counted, -1) if (11 - step) % every == 0]
    found = Readout(last=last, every=every)([torch.from_numpy(spikes)]).numpy()
    np.testing.assert_allclose(found, spikes[chosen].mean(0), atol=1e-6)
    assert len(np.unique(found)) > 1

import pytest

from snn_deploy.errors import UsageError
from snn_deploy.train.curve import write_curve
from snn_deploy.train.progress import Epoch, described

HISTORY = [
    *(Epoch("rates", n, 3, 2.0 / n, {"a": (0.1,)}, None, {"a": 90.0 / n}) for n in (1, 2, 3)),
    *(Epoch("spikes", n, 2, 0.5 / n, {"a": (0.1,)}, 0.7 * n, {"a": 20.0}) for n in (1, 2)),
]


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_curve_shows_losses_spikes_and_the_kept_epoch(tmp_path, suffix):
    path = tmp_path / f"curve{suffix}"
    write_curve(path, HISTORY, best_epoch=2)
    whole = path.read_bytes()
    assert whole.startswith(b"<?xml" if suffix == ".svg" else b"\x89PNG")
    write_curve(path, HISTORY[:3])
    assert path.read_bytes() != whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_curve_of_nothing_or_of_an_unknown_kind_is_refused(tmp_path):
    for name, history in (("a.svg", []), ("a.txt", HISTORY)):
        with pytest.raises(UsageError, match="learning curve"):
            write_curve(tmp_path / name, history)


def test_an_epoch_is_described_in_one_line():
    text = described(HISTORY[-1])
    assert text == "spiking network, loss 0.250, a 20 spikes, score 1.400"

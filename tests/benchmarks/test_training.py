import pytest

from snn_deploy.benchmarks.training import train_task
from snn_deploy.errors import UsageError


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("emoji", "m.pt", "unknown task"),
        ("emoji-captions", "m.bin", "unknown model format"),
        ("emoji-captions", "none/m.pt", "no such folder"),
    ],
)
def test_wrong_requests_are_refused_before_training(tmp_path, task, name, message):
    with pytest.raises(UsageError, match=message):
        train_task(task, tmp_path / name)
    assert not list(tmp_path.iterdir())

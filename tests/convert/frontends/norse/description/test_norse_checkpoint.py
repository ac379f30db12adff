import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from snn_deploy.convert.frontends.norse.description.config import Config  # noqa: E402
from snn_deploy.convert.frontends.norse.description.modules import build  # noqa: E402
from snn_deploy.errors import ModelNotSupported, UnsafeFile, UsageError  # noqa: E402

DOCUMENT = {
    "format": "snn-deploy/1",
    "dt": 0.001,
    "reset": "zero",
    "inputs": {"image": 6, "caption": 5},
    "towers": {
        "image": [
            {"type": "Linear", "in": 6, "out": 8, "bias": True},
            {"type": "LIFCell", "size": 8, "tau_mem_inv": [100.0 + k for k in range(8)], "v_th": 0.2},
            {"type": "Linear", "in": 8, "out": 4},
            {"type": "LIFCell", "size": 4, "v_th": 0.1},
        ],
        "caption": [
            {"type": "LIFRecurrentCell", "in": 5, "size": 7, "v_th": 0.1},
            {"type": "Linear", "in": 7, "out": 4},
            {"type": "LIFCell", "size": 4, "v_leak": 0.05, "v_reset": -0.1, "v_th": 0.1},
        ],
    },
    "readout": "on_off_counts",
    "constants": {"mean": [5]},
    "task": "test",
    "encoder": "lif",
    "seed": 3,
    "versions": {"torch": str(torch.__version__)},
    "metadata": {"recipe": {"steps": 20, "note": "ünïcode"}},
}


@pytest.fixture
def model():
    config = Config.model_validate(DOCUMENT)
    torch.manual_seed(0)
    module = build(config)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(4)
        module.constants.mean.copy_(torch.arange(5.0))
    return module, config


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_round_trip_gives_the_same_weights_description_and_spikes(tmp_path, model, name):
    module, config = model
    save_checkpoint(tmp_path / name, module, config)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    state = torch.random.get_rng_state()
    again, description = load_checkpoint(tmp_path / name)
    assert torch.equal(state, torch.random.get_rng_state())
    assert description == config
    assert description.document() == config.document()
    for key, value in module.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    generator = torch.Generator().manual_seed(1)
    for tower, width in config.inputs.items():
        spikes = (torch.rand(30, 9, width, generator=generator) < 0.4).float()
        with torch.no_grad():
            expected = module(tower, spikes)
            assert torch.equal(expected, again(tower, spikes))
        assert expected.sum() > 20
        assert expected.sum((0, 2)).unique().numel() > 2


def test_the_same_model_gives_the_same_bytes(tmp_path, model):
    for suffix in ("pt", "safetensors"):
        for name in "ab":
            save_checkpoint(tmp_path / f"{name}.{suffix}", *model)
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_failed_write_keeps_the_old_file(tmp_path, model, monkeypatch):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(UsageError, match="disk full"):
        save_checkpoint(path, *model)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_refuses_other_suffixes_and_missing_folders(tmp_path, model):
    with pytest.raises(UsageError, match=r"allowed \.pt or \.safetensors"):
        save_checkpoint(tmp_path / "model.bin", *model)
    with pytest.raises(UsageError, match="folder to write to does not exist"):
        save_checkpoint(tmp_path / "none" / "model.pt", *model)


class Trap:
    """Its unpickling would write a file."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (open, (self.target, "w"))


def _tar(path):
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "pickle")


def _zip(path, compression=zipfile.ZIP_STORED, **files):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(f"archive/{name.replace('_', '.')}", content)


FILES = {
    "text": (lambda p: p.write_text("weights: none\n"), UnsafeFile, "found text"),
    "empty": (lambda p: p.write_bytes(b""), UnsafeFile, "an empty file"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps(Trap(p.parent / "trap"))), UnsafeFile, "found a pickle"),
    "legacy": (
        lambda p: torch.save({"w": torch.ones(2)}, p, _use_new_zipfile_serialization=False),
        UnsafeFile,
        "found a pickle",
    ),
    "tar": (_tar, UnsafeFile, "found a tar archive"),
    "pickle in zip": (lambda p: torch.save(Trap(p.parent / "trap"), p), UnsafeFile, "more than weights"),
    "class in zip": (lambda p: torch.save({"config": Path("x")}, p), UnsafeFile, "more than weights"),
    "zip of a broken pickle": (lambda p: _zip(p, data_pkl=b"\x80\x02garbage"), UnsafeFile, "damaged|more"),
    "packed zip": (
        lambda p: _zip(p, zipfile.ZIP_DEFLATED, data_pkl=b"0" * 10_000),
        UnsafeFile,
        "the archive is compressed",
    ),
    "other zip": (lambda p: _zip(p, readme_txt=b"hello"), ModelNotSupported, "no data.pkl"),
    "script": (lambda p: _zip(p, data_pkl=b"", constants_pkl=b""), ModelNotSupported, "TorchScript"),
    "weights only": (lambda p: torch.save({"w": torch.ones(2)}, p), ModelNotSupported, "weights alone"),
    "a list": (lambda p: torch.save([1, 2], p), ModelNotSupported, "found list"),
    "no tensors": (
        lambda p: torch.save({"config": {}, "state_dict": {"w": 1}}, p),
        ModelNotSupported,
        "not a dictionary of tensors",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_no_checkpoint_are_refused(tmp_path, kind):
    make, error, message = FILES[kind]
    path = tmp_path / "model.pt"
    make(path)
    with pytest.raises(error, match=message) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "trap").exists()


def test_first_bytes_decide_before_torch_sees_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch saw the file"))
    for kind in ("text", "empty", "pickle", "legacy", "tar", "packed zip", "script"):
        make, error, _ = FILES[kind]
        path = tmp_path / "model.pt"
        make(path)
        with pytest.raises(error):
            load_checkpoint(path)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.pt", tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(UsageError, match="no such file"):
            load_checkpoint(path)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_every_truncation_is_refused(tmp_path, model, name):
    path = tmp_path / name
    save_checkpoint(path, *model)
    content = path.read_bytes()
    for length in [*range(1, 40), *range(40, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(UnsafeFile):
            load_checkpoint(path)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_damaged_bytes_give_the_model_or_one_clear_error(tmp_path, model, name):
    path = tmp_path / name
    save_checkpoint(path, *model)
    content = path.read_bytes()
    refused = 0
    for position in range(0, len(content), 61):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            load_checkpoint(path)
        except (UnsafeFile, ModelNotSupported):
            refused += 1
    assert refused > 5


def _saved(path, document, state):
    torch.save({"config": document, "state_dict": state}, path)


def _state(model):
    return dict(model[0].state_dict())


def test_all_faults_of_a_description_are_listed(tmp_path, model):
    path = tmp_path / "model.pt"
    document = json.loads(json.dumps(DOCUMENT))
    document["reset"] = "subtract"
    document["dt"] = -1
    document["towers"]["image"][1]["type"] = "LSNNCell"
    document["surprise"] = 1
    _saved(path, document, _state(model))
    with pytest.raises(ModelNotSupported) as caught:
        load_checkpoint(path)
    text = str(caught.value)
    for part in ("config.reset", "config.dt", "config.towers.image.1", "config.surprise", "LIFRecurrentCell"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["towers"]["image"][2].update({"in": 9}), "image.2 takes 9 values and is given 8"),
        (lambda d: d["inputs"].update({"sound": 3}), "differ"),
        (lambda d: d["towers"]["image"][1].update(v_th=[1.0, 2.0]), "v_th holds 2 values for 8 neurons"),
        (lambda d: d["towers"].update(Image=[]), "pattern"),
        (lambda d: d.update(format="snn-deploy/9"), "config.format"),
    ],
)
def test_descriptions_that_do_not_hold_together(tmp_path, model, change, message):
    document = json.loads(json.dumps(DOCUMENT))
    change(document)
    _saved(tmp_path / "model.pt", document, _state(model))
    with pytest.raises(ModelNotSupported, match=message):
        load_checkpoint(tmp_path / "model.pt")


def test_all_faults_of_the_weights_are_listed(tmp_path, model):
    state = _state(model)
    del state["towers.image.0.bias"]
    state["towers.image.0.weight"] = torch.ones(8, 7)
    state["towers.image.2.weight"] = torch.ones(4, 8, dtype=torch.float64)
    state["towers.caption.0.input_weights"] = torch.full((7, 5), float("nan"))
    state["constants.mean"] = torch.ones(1).expand(5)
    state["extra"] = torch.ones(1)
    _saved(tmp_path / "model.pt", DOCUMENT, state)
    with pytest.raises(ModelNotSupported) as caught:
        load_checkpoint(tmp_path / "model.pt")
    assert len(caught.value.violations) == 6
    text = str(caught.value)
    for part in ("bias", "(8, 7); allowed (8, 6)", "torch.float64", "finite", "stored in full", "extra"):
        assert part in text


def test_a_description_cannot_ask_for_more_memory_than_the_file_holds(tmp_path, model, monkeypatch):
    document = json.loads(json.dumps(DOCUMENT))
    document["inputs"]["image"] = document["towers"]["image"][0]["in"] = 10**12
    _saved(tmp_path / "model.pt", document, _state(model))
    with pytest.raises(ModelNotSupported, match="wrong shape"):
        load_checkpoint(tmp_path / "model.pt")


def test_safetensors_of_others_and_bad_headers(tmp_path):
    from safetensors.torch import save

    path = tmp_path / "model.safetensors"
    for content, error, message in (
        (save({"w": torch.ones(2)}), ModelNotSupported, "holds no config"),
        (save({"w": torch.ones(2)}, {"config": "{"}), UnsafeFile, "no JSON"),
        (b"text that is long enough", UnsafeFile, "found text"),
        ((10**15).to_bytes(8, "little") + b"{}", UnsafeFile, "not a safetensors file"),
        (pickle.dumps({}), UnsafeFile, "not a safetensors file"),
    ):
        path.write_bytes(content)
        with pytest.raises(error, match=message):
            load_checkpoint(path)


def test_old_torch_is_refused(tmp_path, model, monkeypatch):
    from snn_deploy.errors import BackendUnavailable

    save_checkpoint(tmp_path / "model.pt", *model)
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(BackendUnavailable, match=r"2\.9\.1"):
        load_checkpoint(tmp_path / "model.pt")


def test_saving_refuses_a_module_that_is_not_the_one_described(tmp_path, model):
    module, _ = model
    other = Config.model_validate({**DOCUMENT, "constants": {}})
    with pytest.raises(ModelNotSupported, match=r"constants\.mean"):
        save_checkpoint(tmp_path / "model.pt", module, other)
    assert not list(tmp_path.iterdir())


def test_buffer_form_equals_file_form(model):
    """torch.save to a buffer is what the safe reader gets: a zip archive, stored without compression."""
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(3)}, buffer)
    assert all(e.compress_type == zipfile.ZIP_STORED for e in zipfile.ZipFile(buffer).infolist())

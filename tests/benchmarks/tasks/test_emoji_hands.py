import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.benchmarks.tasks.emoji_captions import data as emoji_data
from snn_deploy.benchmarks.tasks.emoji_captions import hands
from snn_deploy.errors import BackendUnavailable, UnsafeFile

COLOURS = {"noto": "#ff0000", "twemoji": "#00ff00", "fluent": "#0000ff"}
BRAIN, DOG, CAT = "\U0001f9e0", "\U0001f415", "\U0001f408"


def archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as out:
        for name, document in members.items():
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def drawn(colour):
    square = {"body": f'<path fill="{colour}" d="M2 2h6v6H2z"/>'}
    return archive(
        {
            "chars.json": {"1f9e0": "brain", "1f415": "dog", "1f408": "turned"},
            "icons.json": {
                "width": 10,
                "height": 10,
                "icons": {"brain": square, "hound": {**square, "width": 20, "height": 20}},
                "aliases": {"dog": {"parent": "hound"}, "turned": {"parent": "brain", "rotate": 1}},
            },
        }
    )


@pytest.fixture
def contents():
    """Archives of one square of each hand's own colour, and of keywords, by file name."""
    words = {BRAIN: ["brain", "smart", "big_head"], DOG: ["dog", "pet"]}
    found = {hands.HANDS[hand].file: drawn(colour) for hand, colour in COLOURS.items()}
    return {**found, hands.KEYWORDS.file: archive({"dist/emoji-en-US.json": words})}


@pytest.fixture
def known(monkeypatch, tmp_path, contents):
    """Packages that state the hashes of these archives, in an empty folder."""

    def stated(package):
        digest = hashlib.sha512(contents[package.file]).digest()
        return replace(package, sha512=base64.b64encode(digest).decode())

    monkeypatch.setattr(hands, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(hands, "HANDS", {name: stated(package) for name, package in hands.HANDS.items()})
    monkeypatch.setattr(hands, "KEYWORDS", stated(hands.KEYWORDS))
    monkeypatch.setattr(hands, "PACKAGES", (*hands.HANDS.values(), hands.KEYWORDS))
    return contents


@pytest.fixture
def npm(monkeypatch, tmp_path, known):
    """An npm that packs what it is asked for into the folder that it is given."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name, content in known.items():
        (shelf / name).write_bytes(content)
    tool = tmp_path / "bin" / "npm"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        f'name=$(echo "$2" | sed "s/^@//;s#/#-#;s/@/-/")\n'
        f'[ "$1 $3" = "pack --pack-destination" ] && cp "{shelf}/$name.tgz" "$4"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    return shelf


def test_fetch_brings_every_package_once(npm):
    assert not hands.present()
    found = hands.fetch()
    assert sorted(path.name for path in found) == sorted(package.file for package in hands.PACKAGES)
    assert hands.present()
    assert hands.fetch() == []


def test_another_content_is_refused_and_not_kept(npm):
    (npm / hands.HANDS["twemoji"].file).write_bytes(drawn("#000000"))
    with pytest.raises(UnsafeFile, match=r"twemoji: not the archive that this version knows.*make hands"):
        hands.fetch()
    assert [path.name for path in hands.folder().iterdir()] == [hands.HANDS["noto"].file]


def test_without_npm_or_registry_the_error_says_what_to_do(monkeypatch, npm, tmp_path):
    (npm / hands.HANDS["fluent"].file).unlink()
    with pytest.raises(BackendUnavailable, match=r"fluent-emoji-flat@.*npm could not fetch"):
        hands.fetch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendUnavailable, match=r"npm fetches.*OpenMoji alone"):
        hands.fetch()


def test_main_is_an_exit_code(npm):
    assert hands.main() == 0
    (hands.folder() / hands.KEYWORDS.file).unlink()
    (npm / hands.KEYWORDS.file).unlink()
    assert hands.main() == BackendUnavailable.exit_code


def test_drawings_are_found_by_code_points_and_aliases_but_not_turned(npm):
    pytest.importorskip("resvg_py")
    hands.fetch()
    for hand, colour in COLOURS.items():
        found = hands.drawings(hand)
        assert set(found) == {"1f9e0", "1f415"}
        assert f'fill="{colour}"' in found["1f9e0"]
        ink = emoji_data._render([found["1f9e0"], found["1f415"]])
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.array_equal(255 - ink[0, 16, 16], rgb)
        assert ink[0, 0].max() == 0
        assert np.count_nonzero(ink[0].max(2)) > 2 * np.count_nonzero(ink[1].max(2))  # half as wide


def test_a_damaged_archive_is_refused_before_it_is_opened(npm):
    hands.fetch()
    path = hands.folder() / hands.HANDS["noto"].file
    path.write_bytes(b"no archive")
    with pytest.raises(UnsafeFile, match="noto"):
        hands.drawings("noto")
    path.unlink()
    with pytest.raises(BackendUnavailable, match="make hands"):
        hands.drawings("noto")


def test_concepts_are_those_of_every_hand_and_texts_split_the_keywords(monkeypatch, npm):
    hands.fetch()
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h2v2z"/></svg>'
    file = Path(hands.folder()) / "one.svg"
    file.write_text(drawing)
    monkeypatch.setattr(
        emoji_data,
        "_concepts",
        lambda: iter([(BRAIN, "brain", file), (CAT, "cat", file), (DOG, "dog", file)]),
    )
    asked = []

    def embedded(texts):
        asked.append(list(texts))
        return np.zeros((len(texts), 512), np.float32)

    monkeypatch.setattr(emoji_data, "_embed", embedded)
    pytest.importorskip("resvg_py")
    found = emoji_data._made((emoji_data.OPENMOJI, *COLOURS))
    assert found["captions"].tolist() == ["brain", "dog"]  # the cat is drawn turned
    assert found["described"].tolist() == [True, False]
    assert asked == [
        ["brain", "dog"],
        ["brain, smart", "dog, pet"],
        ["smart", "pet"],
        ["brain, big head", "dog"],
    ]
    assert {name: found[name].shape for name in COLOURS} == dict.fromkeys(COLOURS, (2, 32, 32, 3))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_hands_runs_this_function():
    root = Path(__file__).resolve().parents[3]
    said = subprocess.run(
        ["make", "-n", "hands"], cwd=root, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "emoji_captions.hands import main" in said

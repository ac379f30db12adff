"""The fault table: whatever goes wrong, one clear error soon, and nothing of ours left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lava_nets as nets
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.lava import LavaBackend
from snn_deploy.deploy.lava import processes
from snn_deploy.deploy.lava.graph import process_graph
from snn_deploy.deploy.lava.guard import ChildTraceback, Limits, run_guarded, waiting_on
from snn_deploy.deploy.lava.interpreter import find_interpreter
from snn_deploy.deploy.lava.job import job_folder, write_job
from snn_deploy.deploy.lava.plan import make_plan
from snn_deploy.errors import BackendUnavailable

HERE = Path(__file__).parent
#: Seconds from a fault to the answer. An idle machine needs less than 10; tests share theirs.
PATIENCE = 60


def _artifact() -> Artifact:
    rng = np.random.default_rng(3)
    populations = [nets.population("a", 12, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
    ]
    return nets.artifact({"x": (10,)}, populations, edges, ("b",))


def _long() -> dict[str, Any]:
    """Input that keeps Lava busy for minutes."""
    return {"x": np.ones((1, 200_000, 10), dtype=np.uint8)}


def _wide() -> dict[str, Any]:
    """Samples enough to fill a small shared memory when they run side by side."""
    return {"x": np.ones((400, 20, 10), dtype=np.uint8)}


def _left(host: int) -> list[str]:
    """What there is of the Lava runs of process ``host``: processes, shared memory, folders.

    Shared memory counts when its leader is gone, or is a child of that host: other runs may go on here.
    """
    mark = f"/snnd-{processes._namespace()}-{host}-".encode()
    found = [str(path) for path in (*processes.stale_segments(), *Path("/tmp").glob(f"snnd-*-{host}-*"))]
    for entry in Path("/proc").iterdir():
        fields = processes.stat_fields(int(entry.name)) if entry.name.isdigit() else []
        if fields and fields[0] not in "ZX":
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"lava.worker.main" in command and mark in command:
                found += [entry.name, *map(str, processes.segments(processes.prefix_of(int(entry.name))))]
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    _gone(os.getpid(), time.monotonic())


def _gone(host: int, since: float) -> None:
    """Wait until nothing of the host's runs is left, at most until the issue's patience ends."""
    while (left := _left(host)) and time.monotonic() - since < PATIENCE:
        time.sleep(0.1)
    assert not left


def _while_running(act: Callable[[int], None], backend: LavaBackend | None = None) -> tuple[Exception, float]:
    """Start a long run, do ``act(group)`` once Lava steps, and return its error and its delay."""
    caught: list[Exception] = []

    def run() -> None:
        try:
            (backend or LavaBackend()).run(_artifact(), _long())
        except Exception as error:
            caught.append(error)

    before = set(_groups())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    _wait_for_steps(os.getpid())
    (group,) = set(_groups()) - before
    acted = time.monotonic()
    act(group)
    thread.join(60)
    return caught[0], time.monotonic() - acted


def _wait_for_steps(host: int) -> None:
    """Wait until the Lava run of process ``host`` has finished its first steps."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for beat in Path("/tmp").glob(f"snnd-*-{host}-*/beat.npy"):
            if beat.stat().st_size and np.load(beat).min() > 10:
                return
        time.sleep(0.05)
    pytest.fail("Lava took no step")


def _groups() -> list[int]:
    """Leaders of Lava groups that are children of this process."""
    mine = str(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        fields = processes.stat_fields(int(entry.name)) if entry.name.isdigit() else []
        if fields and fields[1] == mine and fields[2] == entry.name and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def _broken(break_it: Callable[[Path], None], limits: Limits = Limits(seconds=60)) -> BackendUnavailable:  # noqa: B008
    """Write a good job, break one of its files, run it, and return the error."""
    network = _artifact().network
    plan = make_plan(network, 1, 50)
    with job_folder() as folder, pytest.raises(BackendUnavailable) as caught:
        write_job(folder, process_graph(network, plan), plan, {})
        break_it(folder)
        run_guarded(find_interpreter(), folder, limits)
    return caught.value


def test_an_exception_in_run_spk_is_passed_on() -> None:
    error = _broken(lambda folder: np.save(folder / "source-0.npy", np.zeros((5, 3), dtype=np.uint8)))
    assert "source x" in str(error) and "Mismatch" in str(error)
    assert isinstance(error.__cause__, ChildTraceback) and "run_spk" in str(error.__cause__)


def test_an_exception_in_a_models_constructor_is_passed_on() -> None:
    error = _broken(lambda folder: (folder / "source-0.npy").unlink())
    assert "source x" in str(error) and "No such file" in str(error)
    assert isinstance(error.__cause__, ChildTraceback) and "__init__" in str(error.__cause__)


def test_an_exception_before_lava_starts_is_passed_on() -> None:
    error = _broken(lambda folder: (folder / "job.json").write_text("{", encoding="utf-8"))
    assert "the worker" in str(error) and "JSONDecodeError" in str(error)


@pytest.mark.parametrize("which", ["leader", "population"])
def test_a_killed_process_ends_the_run(which: str) -> None:
    def kill(group: int) -> None:
        others = sorted(member.pid for member in processes.members(group) if member.pid != group)
        os.kill(group if which == "leader" else others[-2], signal.SIGKILL)

    error, seconds = _while_running(kill)
    assert isinstance(error, BackendUnavailable) and "SIGKILL" in str(error)
    assert seconds < PATIENCE


def test_out_of_memory_ends_the_run() -> None:
    error = _broken(lambda folder: None, Limits(seconds=60, memory_bytes=20 << 20))
    assert "memory limit" in str(error) and "20 MiB" in str(error)


def test_a_time_out_ends_the_run() -> None:
    with pytest.raises(BackendUnavailable, match=r"no answer within 2 s; found Lava step \d+"):
        LavaBackend(Limits(seconds=2)).run(_artifact(), _long())


def test_a_stall_says_who_waited_on_what() -> None:
    def stop(_: int) -> None:
        (listing,) = Path("/tmp").glob(f"snnd-*-{os.getpid()}-*/actors.jsonl")
        actors = [json.loads(line) for line in listing.read_text(encoding="utf-8").splitlines()]
        os.kill(next(actor["pid"] for actor in actors if actor["name"] == "x->a"), signal.SIGSTOP)

    error, seconds = _while_running(stop, LavaBackend(Limits()))
    assert "all its processes have waited for 6 s" in str(error) and seconds < PATIENCE
    waits = r"; [^;:]*\ba\b[^;:]*: (in run_spk, a_in_data = self\.a_in\.recv\(\)|between two steps)"
    assert re.search(waits, str(error)), (
        "the population waits for its input, or for the runtime's next command"
    )
    assert "x->a: it did not say" in str(error)


def test_two_runs_at_once_do_not_disturb_each_other() -> None:
    artifact = _artifact()
    rng = np.random.default_rng(4)
    inputs = [{"x": nets.spikes(3, 20, 10, rng)} for _ in range(2)]
    results: dict[int, Any] = {}

    def run(i: int) -> None:
        results[i] = LavaBackend().run(artifact, inputs[i], record=("b",)).spikes["b"]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        np.testing.assert_array_equal(results[i], nets.reference(artifact.network, inputs[i])["b"])
    assert (results[0] != results[1]).any()


# A shell that starts a job in the background has it ignore Ctrl-C, and its children with it: not these.
_SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {here!r})
import numpy as np
import test_guard
from snn_deploy.deploy.backends.lava import LavaBackend
{body}
"""


def _host(body: str, *prefix: str, python: str = sys.executable, **options: Any) -> subprocess.Popen[str]:
    """Start a Python of its own process group that runs ``body``."""
    script = _SCRIPT.format(here=str(HERE), body=textwrap.dedent(body))
    return subprocess.Popen(
        [*prefix, python, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd=HERE.parents[2],
        **options,
    )


_RUN_LONG = """
LavaBackend().run(test_guard._artifact(), test_guard._long())
"""
_RUN_SHORT = """
artifact, x = test_guard._artifact(), np.ones((2, 20, 10), dtype=np.uint8)
result = LavaBackend().run(artifact, {"x": x}, record=("b",))
expected = test_guard.nets.reference(artifact.network, {"x": x})["b"]
print("equal" if expected.any() and (result.spikes["b"] == expected).all() else "different")
"""


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_host_takes_the_child_along(which: signal.Signals) -> None:
    """SIGINT goes to the host's whole group, as Ctrl-C does; the others to the host alone."""
    host = _host(_RUN_LONG)
    _wait_for_steps(host.pid)
    assert _left(host.pid)
    sent = time.monotonic()
    os.killpg(host.pid, which) if which == signal.SIGINT else os.kill(host.pid, which)
    host.communicate(timeout=30)
    assert host.returncode != 0
    _gone(host.pid, sent)


@pytest.mark.parametrize(("size", "how"), [("24k", "No space left"), ("300k", "SIGBUS")])
def test_full_shared_memory_is_one_clear_error(size: str, how: str) -> None:
    """Too small for Lava's semaphores; and too small for its channels, which kills whoever writes first."""
    mount = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$0" "$@"'
    small = ["unshare", "--mount", "sh", "-c", mount]
    if subprocess.run([*small, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small /dev/shm")
    host = _host("LavaBackend().run(test_guard._artifact(), test_guard._wide(), batch=400)", *small)
    text, _ = host.communicate(timeout=60)
    last = text.splitlines()[-1]
    assert "BackendUnavailable" in last and how in last and "Shared memory is full" in last, text


@pytest.mark.slow
def test_it_runs_after_a_torch_data_loader_with_workers() -> None:
    pytest.importorskip("torch")
    loader = """
    import torch
    from torch.utils.data import DataLoader
    (torch.rand(600, 600) @ torch.rand(600, 600)).sum()
    list(DataLoader(list(range(8)), num_workers=2))
    """
    text, _ = _host(textwrap.dedent(loader) + _RUN_SHORT).communicate(timeout=120)
    assert "equal" in text.splitlines(), text


@pytest.mark.slow
def test_it_runs_under_xdist() -> None:
    pytest.importorskip("xdist")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "-k",
        "feed_forward",
    ]
    done = subprocess.run(
        [*command, str(HERE / "test_backend.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=HERE.parents[2],
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


@pytest.mark.skipif(sys.version_info[:2] != (3, 10), reason="this is another Python: every test here does")
def test_it_runs_from_another_python() -> None:
    """A host on 3.11 or newer drives Lava in this 3.10 (with NumPy, SciPy, networkx)."""
    named = os.environ.get("SNN_DEPLOY_TEST_OTHER_PYTHON", str(HERE.parents[2] / ".venv-3.11/bin/python"))
    if not Path(named).exists():
        pytest.skip("no .venv-3.11 here, and SNN_DEPLOY_TEST_OTHER_PYTHON names no other Python")
    variables = {**os.environ, "SNN_DEPLOY_LAVA_PYTHON": sys.executable, "PYTHONPATH": str(HERE.parents[2])}
    body = "assert sys.version_info >= (3, 11)\n" + _RUN_SHORT
    text, _ = _host(body, python=named, env=variables).communicate(timeout=120)
    assert "equal" in text.splitlines(), text


def test_waiting_on_names_the_port() -> None:
    model = "/x/lava/proc/lif/models.py"
    frames = [f'  File "{model}", line 7 in run_spk', '  File "/x/core/model/py/model.py", line 5 in run']
    dump = 'Thread 1 (most recent call first):\n  File "/x/threading.py", line 320 in wait\n\nThread 2:\n'
    assert waiting_on(dump + "\n".join(frames)) == "in run_spk, line 7"
    assert waiting_on(dump + frames[1]) == "between two steps"
    assert waiting_on(dump) == "in wait"
    assert waiting_on("") == "it did not say"


def _held() -> tuple[int, int, int]:
    """File descriptors, threads and resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return descriptors, threading.active_count(), pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_two_hundred_runs_leave_no_trace() -> None:
    artifact = _artifact()
    inputs = {"x": nets.spikes(2, 20, 10, np.random.default_rng(8))}
    expected = nets.reference(artifact.network, inputs)["b"]
    assert expected.any()
    backend = LavaBackend()
    for run in range(201):
        np.testing.assert_array_equal(backend.run(artifact, inputs, record=("b",)).spikes["b"], expected)
        if run == 0:
            before = _held()
    after = _held()
    assert after[0] <= before[0] and after[1] <= before[1]  # descriptors, threads: fewer is no growth
    assert after[2] - before[2] < 20 << 20
    assert not _left(os.getpid())

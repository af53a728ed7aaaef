"""How the machine is divided among workers."""

import pytest

from littlenets.sweeps import cores
from littlenets.sweeps.cores import share_out


@pytest.mark.parametrize("available", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("points", [1, 2, 5, 100])
@pytest.mark.parametrize("threads", ["auto", 1, 2, 5])
def test_workers_times_threads_fit_the_cores(monkeypatch, available, points, threads):
    monkeypatch.setattr(cores, "available_cores", lambda: available)
    share = share_out(None, [{"threads": threads}] * points)
    used = max(share.threads, threads if threads != "auto" else 1)
    assert share.workers * used <= max(available, used)
    assert 1 <= share.workers <= points
    if threads in ("auto", 1):
        assert share.workers == min(available, points)


def test_no_more_at_once_than_asked_for(monkeypatch):
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    assert share_out(2, [{}] * 10) == (2, 4, [])
    # Twenty on eight cores would take turns.
    assert share_out(20, [{}] * 100) == (8, 1, [])


def test_gpus_are_shared_where_they_are_used(monkeypatch):
    monkeypatch.setattr(cores, "available_cores", lambda: 64)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5d")
    on_gpu, on_cpu = {"trainer": {"accelerator": "auto"}}, {"trainer": {"accelerator": "cpu"}}
    assert share_out(None, [on_cpu] * 100) == (64, 1, [])
    assert share_out(None, [on_cpu, *[on_gpu] * 99]) == (2 * cores.WORKERS_A_GPU, 8, ["2", "GPU-5d"])
    in_pairs = {"trainer": {"accelerator": "gpu", "devices": 2}}
    assert share_out(None, [in_pairs] * 100).gpus == ["2,GPU-5d"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    assert share_out(None, [on_gpu, in_pairs] * 50)[::2] == (2 * cores.WORKERS_A_GPU, ["0,1", "2,3"])
    assert share_out(None, [{"trainer": {"accelerator": "gpu", "devices": -1}}] * 100).gpus == ["0,1,2,3,4"]
    # CUDA uses the devices before the first that does not exist.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, 0,-1,2")
    assert share_out(None, [on_gpu] * 100).gpus == ["1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert share_out(None, [on_gpu] * 100).gpus == []


@pytest.mark.parametrize("devices", [2, "2", [0, 1]])
def test_processes_of_a_job_have_a_core_each(monkeypatch, devices):
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    settings = {"trainer": {"accelerator": "cpu", "devices": devices}}
    assert share_out(None, [settings] * 100) == (4, 2, [])
    assert share_out(None, [{**settings, "threads": 2}] * 100) == (2, 4, [])

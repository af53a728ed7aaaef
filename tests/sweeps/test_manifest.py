"""sweep.json, read and written."""

import json

import pytest

from littlenets.errors import SettingError
from littlenets.sweeps.manifest import Job, Manifest


def test_what_is_written_is_plain_json_and_reads_back(tmp_path):
    jobs = [
        Job(0, "0_optimizer.lr-0.01", ["optimizer.lr=0.01"], {"optimizer.lr": 0.01}, 1),
        Job(1, "1", [], {}, 2, {"type": "WorkerDied", "message": "gone"}),
    ]
    manifest = Manifest(["-m", "optimizer.lr=0.01,0.1"], "val/loss", None, jobs)
    manifest.write(tmp_path)

    content = json.loads((tmp_path / "sweep.json").read_text())
    assert content["arguments"] == ["-m", "optimizer.lr=0.01,0.1"]
    assert content["jobs"][0]["swept"] == {"optimizer.lr": 0.01}
    assert Manifest.read(tmp_path) == manifest


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{}", "[]", '{"arguments": [], "jobs": [{"number": 1, "size": 2}]}'),
        '{"arguments": [], "jobs": [{"number": 7, "folder": "7", "overrides": []}]}',
        '{"arguments": [], "jobs": [{"number": 0, "folder": 7, "overrides": []}]}',
    ],
)
def test_a_missing_or_damaged_file_is_a_mistake_that_a_user_can_mend(tmp_path, content):
    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(SettingError, match=r"sweep\.json"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("folder", ["", ".", "..", "../elsewhere", "/", "/tmp/x", "a/b"])
def test_a_job_has_its_folder_directly_in_the_sweeps(tmp_path, folder):
    Manifest(["-m"], jobs=[Job(0, folder, [])]).write(tmp_path)
    with pytest.raises(SettingError, match=r"sweep\.json is damaged"):
        Manifest.read(tmp_path)

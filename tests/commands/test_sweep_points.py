"""What can be swept, what is said of it beforehand, and where it goes."""

import re

import pytest

SHORT = "trainer.max_epochs=3"


@pytest.fixture(scope="module")
def two_at_once(commands, tmp_path_factory):
    """The same command twice, in one folder, in the same second."""
    cwd = tmp_path_factory.mktemp("twice")
    arguments = ["-m", "seed=range(0,5)", SHORT]
    processes = [commands.start(cwd, *arguments) for _ in range(2)]
    return [process.finish() for process in processes]


@pytest.fixture(scope="module")
def networks(train, tmp_path_factory):
    """Two networks, each with data and optimizer of its own."""
    return train(tmp_path_factory.mktemp("networks"), "-m", "model=linear,spiral", SHORT)


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    """A folder of configuration with two experiments, and a third that is a sweep."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "experiment").mkdir()
    for name, lr in (("slow", 0.001), ("fast", 0.02)):
        text = f"# @package _global_\noptimizer: {{lr: {lr}}}\ntrainer: {{max_epochs: 3}}\n"
        (folder / "experiment" / f"{name}.yaml").write_text(text)
    (folder / "experiment" / "scan.yaml").write_text(
        "# @package _global_\n"
        "trainer: {max_epochs: 3}\n"
        "sweep: {zip: [optimizer.lr, seed]}\n"
        'hydra: {mode: MULTIRUN, sweeper: {params: {optimizer.lr: "0.01,0.02", seed: "range(7,9)"}}}\n'
    )
    return folder


def test_two_sweeps_at_once_stay_apart(two_at_once):
    assert [done.code for done in two_at_once] == [0, 0]
    sweeps = sorted(two_at_once[0].cwd.glob("outputs/sweeps/linear/2*"))
    assert len(sweeps) == 2
    for sweep in sweeps:
        names = sorted(path.name for path in sweep.iterdir() if path.name[0].isdigit())
        assert names == [f"{seed}_seed-{seed}" for seed in range(5)]
        assert len(list(sweep.glob("*/results.json"))) == 5
    assert (two_at_once[0].cwd / "outputs/sweeps/linear/latest").resolve() in sweeps


def test_the_same_sweep_gives_the_same_runs(two_at_once):
    one, other = sorted(two_at_once[0].cwd.glob("outputs/sweeps/linear/2*"))
    for history in one.glob("*/history.csv"):
        assert history.read_text() == (other / history.relative_to(one)).read_text()


def test_each_network_has_its_own_recipe(networks):
    assert networks.code == 0, networks.err
    linear, spiral = networks.jobs
    assert [linear.path.name, spiral.path.name] == ["0_model-linear", "1_model-spiral"]
    assert [job.results["data"] for job in networks.jobs] == ["line", "spiral"]
    assert "SGD" in linear.config["optimizer"]["_target_"]
    assert "Adam" in spiral.config["optimizer"]["_target_"]
    assert [job.results["model"] for job in networks.jobs] == ["linear", "spiral"]
    assert networks.sweep.parent.name == "linear-spiral"
    assert [job["swept"] for job in networks.manifest["jobs"]] == [{"model": "linear"}, {"model": "spiral"}]


def test_experiments_can_be_swept(train, experiments, tmp_path):
    done = train(tmp_path, "--config-dir", str(experiments), "-m", "experiment=slow,fast")
    assert done.code == 0, done.err
    assert [job.config["optimizer"]["lr"] for job in done.jobs] == [0.001, 0.02]
    assert [job.path.name for job in done.jobs] == ["0_experiment-slow", "1_experiment-fast"]
    assert done.sweep.parent.name == "slow-fast"


def test_an_experiment_can_be_a_sweep(train, experiments, tmp_path):
    done = train(tmp_path, "--config-dir", str(experiments), "experiment=scan")
    assert done.code == 0, done.err
    assert done.sweep.parent.name == "scan"
    pairs = [(job.config["optimizer"]["lr"], job.config["seed"]) for job in done.jobs]
    assert pairs == [(0.01, 7), (0.02, 8)]


def test_one_after_another_gives_the_same_table(train, two_at_once, tmp_path):
    done = train(tmp_path, "-m", "seed=range(0,5)", SHORT, "hydra/launcher=basic")
    assert done.code == 0, done.err
    cwd = two_at_once[0].cwd
    for sweep in cwd.glob("outputs/sweeps/linear/2*"):
        assert (sweep / "sweep.csv").read_text().splitlines()[0] == ",".join(done.table[0])
        theirs = [line.split(",") for line in (sweep / "sweep.csv").read_text().splitlines()[1:]]
        ours = [list(row.values()) for row in done.table]
        seconds = list(done.table[0]).index("seconds")
        for row in (*ours, *theirs):
            del row[seconds]
        assert ours == theirs


@pytest.mark.parametrize("launcher", ["parallel", "basic"])
def test_a_wrong_point_trains_none(train, tmp_path, launcher):
    done = train(tmp_path, "-m", "optimizer.lr=0.1,oops,0.2,-1", "seed=1,2", f"hydra/launcher={launcher}")
    assert done.code == 2
    assert "optimizer.lr=oops: it should be a valid number" in done.err
    assert "optimizer.lr=-1: it should be greater than 0" in done.err
    assert "at optimizer.lr=oops seed=1" in done.err
    assert "Traceback" not in done.out + done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimizer.lrr=1,2"], "optimizer.lr"),
        (["model=liner,spiral"], "liner"),
        (["seed=1,2", "sweep.on_error=wait"], "sweep.on_error=wait: it should be 'continue' or 'stop'"),
        (["seed=1,2", "sweep.zip=[seed,optimizer.lr]"], "optimizer.lr is not swept"),
        (["seed=1,2", "hydra.launcher.jobs=many"], "hydra.launcher.jobs=many"),
    ],
)
def test_what_is_wrong_with_all_points_is_told_without_torch(commands, tmp_path, arguments, message):
    done, imported = commands.train_and_list_imports(tmp_path, "-m", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert "torch" not in imported
    assert not list(tmp_path.iterdir())


def test_five_hundred_jobs_are_previewed(train, tmp_path):
    done = train(tmp_path, "-m", "seed=range(0,250)", "trainer.max_epochs=20,2000", "sweep.preview=true")
    assert done.code == 0, done.err
    lines = re.findall(r"^ *(\d+)  seed=(\d+), max_epochs=(\d+)  about ([\d.]+) (s|min)$", done.out, re.MULTILINE)
    assert [int(number) for number, *_ in lines] == list(range(500))
    assert [(int(seed), int(epochs)) for _, seed, epochs, *_ in lines] == [
        (seed, epochs) for seed in range(250) for epochs in (20, 2000)
    ]
    # A hundred times the epochs take longer.
    short, long = (float(number) * {"s": 1, "min": 60}[unit] for *_, number, unit in lines[:2])
    assert long > short
    assert re.search(r"^500 jobs, \d+ at once: about", done.out, re.MULTILINE)
    assert not list(tmp_path.iterdir())


def test_a_sweep_may_be_put_anywhere_once(train, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sweep.json").write_text("{}")
    done = train(tmp_path, "-m", "seed=1,2", "hydra.sweep.dir=mine")
    assert done.code == 2
    assert "mine already holds a sweep" in done.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["sweep.json"]

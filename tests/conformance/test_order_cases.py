"""Cases of levels, --start and `dot` that no recorded run is named after (R-100 to R-169).

Real: the installed command. The order inside a level is read from the start messages on
standard error, which come in that order.
"""

import re

import pytest

from support.builders.factfiles import APPLES, CHAIN, EMPTY, FAIL, NOOP, factfile, graph, task

BANANA = graph("banana", a=[], b=["a"], c=["a"], banana=["b", "a"])
HELLO = graph(
    "hello",
    hello=[],
    hello_world=["hello"],
    say_hello=["hello"],
    say_goodbye=["say_hello", "hello_world"],
)


@pytest.fixture
def job(tmp_path):
    return (tmp_path / "job").write_text


def started(run):
    return re.findall(r"(?m)^Task '(.*)' was started at ", run.err)


@pytest.mark.parametrize(
    ("text", "args", "order"),
    [
        pytest.param(APPLES, [], "turnip apple egg orange potato chicken", id="R-100"),
        pytest.param(BANANA, [], "a c b banana", id="R-101"),
        pytest.param(HELLO, [], "hello say_hello hello_world say_goodbye", id="R-102"),
        pytest.param(CHAIN, ["--start", "b"], "b c", id="R-104"),
    ],
)
def test_tasks_start_level_by_level(text, args, order, factotum, job):
    job(text)

    run = factotum("run", "job", *args)

    assert run.exit == 0
    assert started(run) == order.split()


@pytest.mark.parametrize("case", [pytest.param(None, id="R-103")])
def test_descendants_are_direct_and_indirect(case, factotum, job):
    """Shown by what is skipped when their ancestor fails: in level order."""
    job(APPLES.replace('"echo","arguments":["apple"]', '"exit","arguments":["1"]'))

    run = factotum("run", "job")

    assert "not run: 'egg', 'orange', 'potato', 'chicken'!" in run.out
    assert started(run) == ["turnip", "apple"]


@pytest.mark.parametrize(
    ("start", "code", "order"),
    [
        pytest.param("c", 0, ["c", "d"], id="R-112.behind-the-failure"),
        pytest.param("b", 2, ["b"], id="R-112.at-the-failure"),
    ],
)
def test_start_leaves_ancestors_alone(start, code, order, factotum, job):
    job(FAIL)

    run = factotum("run", "job", "--start", start)

    assert run.exit == code
    assert started(run) == order


@pytest.mark.parametrize(
    ("name", "code"),
    [pytest.param("a", 3, id="R-113.no-such-task"), pytest.param("", 0, id="R-113.empty-name")],
)
def test_start_with_an_empty_name_means_a_task_of_that_name(name, code, factotum, job):
    job(factfile("j", task(name)))

    run = factotum("run", "job", "--start=")

    problem = "The job cannot be started from '' because the task specified could not be found\n"
    assert run.exit == code
    assert (run.out == problem) is (code == 3)


@pytest.mark.parametrize(
    "text", [pytest.param(FAIL, id="R-151.fail"), pytest.param(NOOP, id="R-151.noop")]
)
def test_dry_run_lets_every_task_succeed(text, factotum, job):
    job(text)

    run = factotum("run", "job", "--dry-run")

    total = len(started(run))
    assert run.exit == 0
    assert f"{total}/{total} tasks run in 0.0s" in run.out
    assert run.err.count("succeeded after 0.0s") == total


@pytest.mark.parametrize("case", [pytest.param(None, id="R-152")])
def test_dry_run_shows_the_command_of_each_task(case, factotum, job):
    job(factfile("j", task("a", "echo", "A")))

    run = factotum("run", "job", "--dry-run")

    table = "\n".join(
        [
            r"/------|------------------------\ ".rstrip(" "),
            r"| TASK | COMMAND                |",
            r"|------|------------------------|",
            r'| a    | "sh" "-c" "echo \"A\"" |',
            r"\------|------------------------/",
        ]
    )
    assert table in run.out


@pytest.mark.parametrize("case", [pytest.param(None, id="R-153")])
def test_table_is_as_wide_as_the_task_s_name(case, factotum, job):
    job(factfile("j", task("Simulation Task!", "echo")))

    run = factotum("run", "job", "--dry-run")

    assert f"/{'-' * 18}|" in run.out
    assert "| Simulation Task! |" in run.out


@pytest.mark.parametrize("case", [pytest.param(None, id="R-159")])
def test_dot_knows_no_such_task(case, factotum, job):
    job(CHAIN)

    run = factotum("dot", "job", "--start", "zz")

    problem = "Error: the task specified could not be found\n"
    assert (run.exit, run.out, run.err) == (3, "", problem)


@pytest.mark.parametrize(
    ("place", "args", "problem"),
    [
        pytest.param(
            "/dev/full",
            ["--overwrite"],
            "couldn't write to file '/dev/full' (No space left on device (os error 28))",
            id="R-167",
        ),
        pytest.param(
            "folder",
            [],
            "couldn't create file 'folder' (File exists (os error 17))",
            id="R-168.new",
        ),
        pytest.param(
            "folder",
            ["--overwrite"],
            "couldn't create file 'folder' (Is a directory (os error 21))",
            id="R-168.overwrite",
        ),
        pytest.param(
            "",
            [],
            "couldn't create file '' (No such file or directory (os error 2))",
            id="R-168.empty",
        ),
    ],
)
def test_dot_tells_why_it_cannot_write(place, args, problem, factotum, job, tmp_path):
    (tmp_path / "folder").mkdir()
    job(CHAIN)

    run = factotum("dot", "job", "--output", place, *args)

    assert (run.exit, run.out, run.err) == (3, "", f"Error: {problem}\n")


@pytest.mark.parametrize("case", [pytest.param(None, id="R-169")])
def test_bad_factfile_makes_no_graph_file(case, factotum, job, tmp_path):
    job(EMPTY[:-1])

    run = factotum("dot", "job", "--output", "x.dot")

    assert run.exit == 3
    assert not (tmp_path / "x.dot").exists()

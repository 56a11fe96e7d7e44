"""A setup that cannot work is refused before anything is taken, with file, line and what was probably meant."""

import json
import re
import subprocess
import sys

import pytest

from client.command import MIMODAQ, column

GOOD = ("numbers > RB_1 {n: 30}", "keep < RB_1 > RB_2", "to_csv < RB_2 {filename: out}")
SMALL = ("numbers > RB_1 {n: 30}", "save < RB_1")


def refused(project, command, *arguments):
    """The lines on stderr of a command that is refused, and the object it prints with --json."""
    done = project(command, *arguments, "--json", expect=2)
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    assert answer["error"] == done.stderr.rstrip("\n")
    return done.stderr.splitlines(), answer


MISSPELLED = {
    "module": ("my.py:keep", "myy:keep", 6, "there is no module 'myy'", "my.py"),
    "file": ("my.py:keep", "modules/my.py:keep", 6, "there is no file", ""),
    "function": ("my.py:keep", "my.py:kep", 6, "has no function 'kep'", "keep"),
    "buffer": ("RB_1: write", "RB_11: write", 5, "there is no buffer 'RB_11'", "RB_1"),
    "num_process": (
        "num_process: 1, RB_assign: {RB_1: r",
        "num_proces: 1, RB_assign: {RB_1: r",
        6,
        "unknown key",
        "num_process",
    ),
    "dtype": ("float64", "flaot64", 2, "'flaot64'", "float64"),
    "access word": ("RB_1: read", "RB_1: raed", 6, "expected read, write or observe, found 'raed'", "read"),
    "option key": ("{filename: out}", "{filname: out}", 7, "to_csv has no option 'filname'", "filename"),
    "option value": ("{n: 30}", "{n: many}", 5, "a whole number expected, 'many' found", ""),
    "buffer nobody reads": ("{RB_1: read, RB_2: write}", "{RB_2: write}", 2, "buffer 'RB_1' has no reader", ""),
}


@pytest.mark.parametrize("what", MISSPELLED)
def test_misspelled(project, what):
    """Ancestor: the program hangs instead of exiting, or the run starts and blocks, or it is ignored."""
    old, new, line, message, meant = MISSPELLED[what]
    text = project.setup(*GOOD).read_text()
    assert old in text
    project.write("setup.yaml", text.replace(old, new, 1))
    said, answer = refused(project, "check", "setup.yaml")
    assert len(said) == 1, said
    assert said[0].startswith(f"setup.yaml:{line}: ")
    assert message in said[0]
    assert answer["problems"][0]["line"] == line
    assert answer["problems"][0]["suggestion"] == meant
    assert said[0].endswith(f"(did you mean {meant!r}?)") == bool(meant)


def test_check_finds_every_problem_at_once(project):
    project.write("broken.py", "import os\n\ndef f(event:\n")
    project.setup("numbers > RB_1 {m: 3, k: 4}", "broken.py:f < RB_1 > RB_2", "to_cvs < RB_2 {filename: out}")
    said, answer = refused(project, "check")
    assert [line.split(": ")[0] for line in said] == ["setup.yaml:5", "setup.yaml:5", "setup.yaml:6", "setup.yaml:7"]
    assert "broken.py:3: " in said[2]
    assert [p["line"] for p in answer["problems"]] == [5, 5, 6, 7]


def test_a_function_on_buffers_of_another_form_is_a_problem(project):
    project.setup("keep > RB_1", "numbers < RB_1 > RB_2", "to_csv < RB_2")
    said, _ = refused(project, "check")
    assert said == [
        "setup.yaml:5: keep gets one event at a time and reads or observes exactly one buffer, found RB_1: write",
        "setup.yaml:6: numbers is a source (uses yield) and writes exactly one buffer, found RB_1: read, RB_2: write",
    ]


def test_run_refuses_what_check_refuses_and_leaves_nothing_behind(project):
    project.setup("numbers > RB_1 {m: 3}", "keep < RB_1 > RB_2 {k: 4}", "to_csv < RB_2 {filename: out}")
    done = project("run", "--headless", "--json", "--output", "out", expect=2)
    problems = [
        "setup.yaml:5: numbers has no option 'm'; it has n",
        "setup.yaml:6: keep has no option 'k'; it has no options",
    ]
    assert json.loads(done.stdout)["error"].splitlines() == problems
    assert done.stderr.splitlines()[-2:] == problems
    assert not (project.folder / "out").exists()
    project.setup(*SMALL)
    assert project.run("--output", "out")["verdict"] == "good"


def test_check_shows_the_layout_of_a_good_setup(project):
    project.setup(*GOOD)
    done = project("check")
    assert "2 buffers, 3 functions, no problem found" in done.stdout
    assert "RB_1  16 slots x 8 B  x float64[1]" in done.stdout
    assert "Fkt_2  keep (1)  read RB_1, write RB_2" in done.stdout
    assert json.loads(project("check", "--json").stdout)["problems"] == []


def test_check_shows_what_each_host_has_to_do(project):
    hosts = "hosts:\n  daq1: {address: 10.0.0.1}\n  ana1: {address: ana1.lab, data_port: 7900}\n"
    text = project.setup(*GOOD).read_text().replace("RB_2: write", "RB_2: write}, host: ana1, config: {")
    project.write("setup.yaml", hosts + text)
    shown = project("check").stdout
    for line in (
        r"daq1 +10.0.0.1 +7800 +128 B +Fkt_1 \(1\)",
        r"ana1 +ana1.lab +7900-7901 +256 B +Fkt_2 \(1\), Fkt_3 \(1\)",
        r"daq1 -> ana1 +RB_1:daq1>ana1",
    ):
        assert re.search(line, shown), shown
    told = json.loads(project("check", "--json").stdout)
    assert told["hosts"]["ana1"]["ports"] == [7900, 7901]
    assert told["links"] == [{"name": "RB_1:daq1>ana1", "from": "daq1", "to": "ana1"}]
    project.write("setup.yaml", hosts.replace("ana1.lab", "10.0.0.1").replace("7900", "7799") + text)
    said, _ = refused(project, "check")
    assert said == [
        "setup.yaml:3: hosts: 'ana1' needs the ports 7799 to 7800 of 10.0.0.1, of which 'daq1' has 7800: correct the "
        "address or, for two nodes on one computer, choose another data_port"
    ]


def test_a_module_that_fails_on_import_is_a_problem_of_its_function(project):
    project.write("gone.py", "import os\nos._exit(7)\n")
    project.setup("numbers > RB_1", "gone.py:f < RB_1")
    said, _ = refused(project, "check")
    assert said[0].startswith("setup.yaml:5: Fkt_2 cannot be loaded: its process ended (exit code 7) before ")


# -- where things are ---------------------------------------------------------------------------------------------


def test_setup_file_given_with_a_path(project):
    """Ancestor: FileNotFoundError. Everything in it is relative to its own directory."""
    project.setup(*SMALL)
    other = project.folder / "elsewhere"
    other.mkdir()
    result = project.run("../setup.yaml", cwd=other)
    assert result["run_dir"].startswith(f"{project.folder}/target/")
    assert project.run(str(project.folder / "setup.yaml"), cwd="/")["verdict"] == "good"


def test_a_directory_stands_for_its_one_setup(project):
    project.setup(*SMALL, name="demo_setup.yaml")
    assert "/target/demo_2" in project.run(".")["run_dir"]
    project.setup(*SMALL, name="other_setup.yaml")
    said, _ = refused(project, "check", ".")
    assert said == [". is a directory: name one of its setup files (*setup.yaml: demo_setup.yaml, other_setup.yaml)"]


def test_setup_without_fkt_main_config_file_or_without_general(project):
    """Ancestor: TypeError or KeyError, and the program does not exit."""
    project.setup(*SMALL, more="  - Fkt_main: {num_process: 1}")
    text = (project.folder / "setup.yaml").read_text()
    project.write("setup.yaml", text.replace("{num_process: 1}\n", "{config_file: common.yaml}\n"))
    project.write("common.yaml", "numbers: {n: 12}\n")
    project.setup("numbers > RB_1", *SMALL[1:], more="  - Fkt_main: {config_file: common.yaml}")
    assert project.run()["buffers"]["RB_1"]["events"] == 12
    project.setup(*SMALL)
    assert project.run()["buffers"]["RB_1"]["events"] == 30


def test_two_runs_in_the_same_minute(project):
    """Ancestor: second overwrites the first (50 rows -> 20 rows)."""
    project.setup("numbers > RB_1", *SMALL[1:])
    results = [project.run("--events", str(n)) for n in (50, 20, 10)]
    assert [len(column(f"{r['run_dir']}/out.csv")) for r in results] == [50, 20, 10]
    assert [r["run"] for r in results] == [1, 2, 3]
    assert len({r["run_dir"] for r in results}) == 3


def test_two_runs_at_the_same_time_do_not_disturb_each_other(project):
    project.setup("slow_numbers > RB_1 {n: 200}", *SMALL[1:])
    with project.started() as first, project.started() as second:
        results = [first.result(), second.result()]
    assert {r["run"] for r in results} == {1, 2}
    for result in results:
        assert column(f"{result['run_dir']}/out.csv") == list(range(200))


@pytest.mark.parametrize("place", ["/dev/null/out", "/proc/out"])
def test_an_output_directory_that_cannot_be_written_is_refused(project, place):
    project.setup(*SMALL)
    for arguments in (["--output", place], ["--set", f"output_directory={place}"]):
        said, _ = refused(project, "run", *arguments)
        assert said[-1].startswith(f"preparing the run directory, {place}")
        assert said[-1].endswith("Choose another place: --output DIR, or output_directory in the setup")


def test_more_processes_than_the_system_allows(project):
    project.setup("numbers > RB_1", "keep x40 < RB_1 > RB_2", "drain < RB_2")
    command = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *MIMODAQ, "run", "--json", "--headless"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"]) == (1, "interrupted")
    assert "could not start: starting a process: Too many open files" in result["reasons"][0]


def test_unicode_names(project):
    project.write(
        "größe_setup.yaml",
        """
        RingBuffer:
          - Püffer µ: {number_of_slots: 4, data_type: {1: [höhe, float64]}}
        Functions:
          - Quelle ⚛: {function: "möddule/ä.py:größen", RB_assign: {Püffer µ: write}}
          - Séb(1): {function: to_csv, RB_assign: {Püffer µ: read}, config: {filename: ergebnis_ß}}
        """,
    )
    project.write("möddule/ä.py", "def größen():\n    print('grüße')\n    yield {'höhe': 1}\n    yield {'höhe': 2}\n")
    result = project.run("größe_setup.yaml")
    assert column(f"{result['run_dir']}/ergebnis_ß.csv", "höhe") == [1, 2]
    assert "/größe_" in result["run_dir"]


# -- the other commands -----------------------------------------------------------------------------------------------


def test_init_copies_an_example_and_refuses_a_directory_that_is_not_empty(project):
    project("init", "mine")
    assert (project.folder / "mine/setup.yaml").exists()
    assert project("check", "mine").stdout
    done = project("init", "mine", expect=2)
    assert done.stderr == "mine exists and is not empty: choose a new directory\n"
    done = project("init", "other", "--example", "nothing", expect=2)
    assert done.stderr.startswith("there is no example 'nothing'; there are ")
    assert "template" in done.stderr


def test_examples_are_listed(project):
    assert "template" in project("examples").stdout


def test_wrong_usage_is_exit_code_2(project):
    project.setup(*SMALL)
    usages = ["run --events 0", "run --evnts 5", "rnu", "run no.yaml", "run --duration x"]
    for arguments in map(str.split, usages):
        assert "Traceback" not in project(*arguments, expect=2).stderr


COMMANDS = ["", "run", "check", "init", "examples", "recover", "replay", "bench"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(project, command):
    done = project(*command.split(), "--help")
    assert done.stdout.startswith(f"Usage: mimodaq {command}")
    assert "--help" in done.stdout


def test_the_version_is_told(project):
    assert project("--version").stdout.startswith("mimodaq 0.")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["examples"]])
def test_a_cold_start_imports_nothing_heavy(project, arguments):
    heavy = ["textual", "pyarrow", "picosdk", "matplotlib", "scipy", "pandas", "numpy", "zmq"]
    code = (
        "import sys\n"
        "from mimodaq.client import cli\n"
        "try:\n"
        f"    sys.argv = ['mimodaq', *{arguments!r}]\n"
        "    cli.main()\n"
        "finally:\n"
        f"    print('LOADED', [m for m in {heavy!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.folder, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("LOADED []\n")


def test_a_worker_imports_only_what_its_function_needs(project):
    heavy = ["pyarrow", "matplotlib", "scipy", "pandas", "pydantic", "textual", "zmq"]
    project.functions(
        f"""
        def modules(io):
            import sys
            io.note(loaded=[m for m in {heavy!r} if m in sys.modules])
            while io.reader.get() is not None:
                pass
        """
    )
    project.setup("numbers > RB_1 {n: 1}", "modules < RB_1")
    assert project.run()["figures"]["Fkt_2"]["0"] == {"loaded": []}

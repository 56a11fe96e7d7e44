"""Two people with the same setup on one computer at the same time: the same names of runs, buffers and functions."""

import os

from client.command import Project, column, wait_until


def test_two_runs_of_equal_names_do_not_meet(tmp_path):
    projects = []
    for name, first in (("anna", 0), ("ben", 100)):
        project = Project(tmp_path / name)
        project.functions(f"""
            def own():
                for i in range(20):
                    tell("begun")
                    until("go")
                    yield {{"x": {first} + i}}
        """)
        project.setup("own > RB_1", "save < RB_1")
        projects.append(project)
    anna, ben = projects
    env = [{**os.environ, "XDG_STATE_HOME": str(project.folder / "state")} for project in projects]
    with anna.started(env=env[0]) as first, ben.started(env=env[1]) as second:
        for project in projects:
            wait_until((project.folder / "begun").exists, f"{project.folder} does not begin")
        for project in projects:
            project.write("go", "")
        results = [first.result(), second.result()]
    assert [result["verdict"] for result in results] == ["good", "good"]
    assert [result["run"] for result in results] == [1, 1]
    assert [column(f"{result['run_dir']}/out.csv") for result in results] == [
        [float(i) for i in range(20)],
        [float(100 + i) for i in range(20)],
    ]

"""The function a setup names is found in the user's file, in an installed module or among the built-ins."""

import sys
import textwrap

import pytest

from mimodaq.functions import LoadError, load_function, to_csv


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files of a project; what importing them changes is undone."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    yield write
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def refusal(module, function, path, folder):
    with pytest.raises(LoadError) as caught:
        load_function(module, function, path, folder)
    return caught.value


def test_a_function_of_the_users_file(write, tmp_path):
    path = write("modules/my_filter.py", "def sel(event): return 17")
    assert load_function("modules/my_filter", "sel", path, tmp_path)(None) == 17


def test_modules_of_a_project_find_each_other(write, tmp_path):
    write("modules/helper.py", "VALUE = 1")
    write("constants.py", "VALUE = 2")
    path = write(
        "modules/my_filter.py",
        """
        import constants
        import helper

        def sel(event):
            return helper.VALUE + constants.VALUE
        """,
    )
    assert load_function("modules/my_filter", "sel", path, tmp_path)(None) == 3


def test_a_file_is_imported_once(write, tmp_path):
    path = write("counts.py", "def f(event): pass\ndef g(event): pass")
    f = load_function("counts", "f", path, tmp_path)
    g = load_function("counts", "g", path, tmp_path)
    assert f.__globals__ is g.__globals__


def test_a_file_with_the_name_of_an_imported_module_is_taken_and_harms_nobody(write, tmp_path):
    import json

    path = write("json.py", "def sel(event): return 'mine'")
    assert load_function("json", "sel", path, tmp_path)(None) == "mine"
    assert sys.modules["json"] is json


def test_a_built_in(tmp_path):
    assert load_function("mimodaq.functions", "to_csv", None, tmp_path) is to_csv


def test_a_function_of_an_installed_module(tmp_path):
    assert load_function("textwrap", "dedent", None, tmp_path) is textwrap.dedent


def test_a_missing_file_comes_with_the_one_that_was_meant(write, tmp_path):
    write("modules/my_filter.py", "")
    error = refusal("modules/my_filtr", "sel", tmp_path / "modules/my_filtr.py", tmp_path)
    assert (error.key, error.message) == ("file_name", f"there is no file {tmp_path}/modules/my_filtr.py")
    assert error.suggestion == "my_filter"


def test_a_missing_folder_is_a_missing_file(tmp_path):
    assert "there is no file" in refusal("no/where", "f", tmp_path / "no/where.py", tmp_path).message


def test_a_missing_module_comes_with_the_file_that_was_meant(write, tmp_path):
    write("modules/my_filter.py", "")
    error = refusal("my_filtre", "sel", None, tmp_path)
    assert error.message == ("there is no module 'my_filtre': install it, or name a file (modules/my_file.py:name)")
    assert (error.key, error.suggestion) == ("function", "modules/my_filter.py")


def test_a_missing_function_comes_with_the_one_that_was_meant(write, tmp_path):
    path = write("my.py", "def select(event): pass")
    error = refusal("my", "slect", path, tmp_path)
    assert (error.key, error.message) == ("fkt_name", f"{path} has no function 'slect'")
    assert error.suggestion == "select"
    assert str(error).endswith("(did you mean 'select'?)")


def test_a_misspelled_built_in_comes_with_the_one_that_was_meant(tmp_path):
    error = refusal("mimodaq.functions", "to_parqet", None, tmp_path)
    assert (error.message, error.suggestion) == ("mimodaq.functions has no function 'to_parqet'", "to_parquet")


@pytest.mark.parametrize("name", ["run", "load_function", "LoadError", "importlib"])
def test_the_runtimes_own_code_is_no_built_in(name, tmp_path):
    assert "has no function" in refusal("mimodaq.functions", name, None, tmp_path).message


def test_something_that_cannot_be_called_is_no_function(write, tmp_path):
    path = write("my.py", "sel = 5")
    assert refusal("my", "sel", path, tmp_path).message == f"'sel' in {path} is no function"


def test_a_syntax_error_comes_with_its_line(write, tmp_path):
    path = write("my.py", "import os\n\ndef sel(event:\n    pass\n")
    error = refusal("my", "sel", path, tmp_path)
    assert error.message.startswith(f"{path}:3: ")
    assert "my" not in sys.modules


def test_an_error_while_importing_comes_with_the_line_of_the_user(write, tmp_path):
    write("helper.py", "\n\ndef settings():\n    return {}['x']\n")
    path = write("my.py", "import helper\nVALUE = helper.settings()\n")
    assert refusal("my", "sel", path, tmp_path).message == f"{tmp_path}/helper.py:4: KeyError: 'x'"


def test_an_error_inside_a_library_comes_with_the_line_of_the_user(write, tmp_path):
    path = write("my.py", "import numpy as np\n\nX = np.linspace(0, 1, num=-5)\n")
    assert refusal("my", "sel", path, tmp_path).message.startswith(f"{path}:3: ValueError: ")


def test_a_module_the_users_file_needs_is_named(write, tmp_path):
    path = write("my.py", "import os\nimport no_such_library\n")
    assert refusal("my", "sel", path, tmp_path).message == f"{path}:2: module 'no_such_library' is not installed"


def test_a_missing_part_of_an_installed_package_is_named(tmp_path):
    assert "there is no module 'numpy.no_such_part'" in refusal("numpy.no_such_part", "f", None, tmp_path).message


def test_a_library_missing_inside_an_installed_module_is_not_taken_for_it(write, tmp_path):
    write("numpy_tools.py", "import numpy_tools_c\n")
    error = refusal("numpy_tools", "f", None, tmp_path)
    assert error.message == f"{tmp_path}/numpy_tools.py:1: module 'numpy_tools_c' is not installed"


def test_a_script_that_ends_itself_on_import_is_an_error(write, tmp_path):
    path = write("my.py", "import sys\nsys.exit('usage: my FILE')\n")
    assert refusal("my", "sel", path, tmp_path).message == f"{path}:2: SystemExit: usage: my FILE"

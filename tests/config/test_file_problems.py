"""Files that cannot be read, or are not YAML, are explained with file and line."""

import os

import pytest

from mimodaq.config import SetupErrors, load_setup


def problems_of(path):
    with pytest.raises(SetupErrors) as caught:
        load_setup(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_missing_file_suggests_its_neighbour(project):
    project.write("demo_setup.yaml", project.good)
    expected = ["demo_setup.yml: there is no such file (did you mean 'demo_setup.yaml'?)"]
    assert problems_of("demo_setup.yml") == expected


def test_a_missing_folder_is_a_missing_file(project):
    assert problems_of("nowhere/setup.yaml") == ["nowhere/setup.yaml: there is no such file"]


def test_a_folder_suggests_the_setup_in_it(project):
    project.write("demo/setup.yaml", project.good)
    expected = ["demo: this is a folder, not a setup file (did you mean 'demo/setup.yaml'?)"]
    assert problems_of("demo") == expected


def test_a_pipe_is_not_read(project):
    os.mkfifo("setup.yaml")
    assert problems_of("setup.yaml") == ["setup.yaml: this is not a file that can be read"]


def test_an_impossible_name_is_a_missing_file(project):
    name = "x" * 300
    assert problems_of(name) == [f"{name}: there is no such file"]


def test_a_huge_file_is_not_read(project):
    with open("setup.yaml", "wb") as file:
        file.truncate(20_000_000)
    assert problems_of("setup.yaml") == ["setup.yaml: cannot read: larger than 10 MB, so it is not a setup"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n", "---\n"])
def test_an_empty_file_is_named_as_such(project, text):
    assert project.problems(text) == ["setup.yaml: the file is empty: expected lines of the form 'key: value'"]


def test_text_in_another_encoding_is_found_by_line(project):
    (project.folder / "setup.yaml").write_bytes("a: 1\nb: 5 µs\n".encode("latin-1"))
    assert problems_of("setup.yaml") == [
        "setup.yaml:2: not UTF-8 text (byte 0xb5): save the file with the encoding UTF-8"
    ]


def test_a_byte_order_mark_is_accepted(project):
    (project.folder / "setup.yaml").write_bytes(b"\xef\xbb\xbf" + project.good.encode())
    assert load_setup("setup.yaml").buffers["RB_1"].slots == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "setup.yaml:1: expected lines of the form 'key: value', found a list"),
        ("just words\n", "setup.yaml:1: expected lines of the form 'key: value', found 'just words'"),
        ("a: 1\n\tb: 2\n", "setup.yaml:2: a tab is used for indentation: use spaces"),
        ("a: 1\nb: c: 2\n", "setup.yaml:2: a ':' where none can be: check the indentation, or put the text in quotes"),
        (
            "a:\n  b: 1\n c: 2\n",
            "setup.yaml:3: this does not fit the block that starts in line 1: check indentation and quotes",
        ),
        ("a: 1\nbcd\nc: 2\n", "setup.yaml:2: a key without ':' after it, or wrong indentation"),
        ("a: 1\nb: 'open\nc: 2\n", "setup.yaml:2: a quote that is opened here is not closed"),
        ("a: [1, 2\nb: 3\n", "setup.yaml:2: a comma, or the end of the '[' of line 1, is missing before this"),
        ("a: {x: 1\nb: 3\n", "setup.yaml:2: a comma, or the end of the '{' of line 1, is missing before this"),
        ("a: 1\nb: *base\n", "setup.yaml:2: '*base' is used, but no '&base' stands before it"),
        ("a: 1\n---\nb: 2\n", "setup.yaml:2: a second document starts with '---': one file holds one setup"),
        ("a: 1\nb: \x07\n", "setup.yaml:2: the character U+0007 cannot stand in a text file"),
        ("a: 1\nb: %x\n", "setup.yaml:2: a text that starts with '%' must be in quotes"),
        ('a: "\\q"\n', "setup.yaml:1: an unknown '\\' sequence in a text in double quotes: use single quotes"),
        ("a: &x 1\nb: &x 2\n", "setup.yaml:2: the anchor '&x' is defined twice, first in line 1"),
        ("a: 'x' y\n", "setup.yaml:1: this does not fit the block that starts in line 1: check indentation and quotes"),
        ("a: ]\n", "setup.yaml:1: not YAML: expected the node content, but found ']' while parsing a block node"),
    ],
)
def test_syntax_errors_are_explained(project, text, expected):
    assert project.problems(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: !!python/object:os.system {}\n",
            "setup.yaml:1: the YAML tag 'tag:yaml.org,2002:python/object:os.system' is not supported here",
        ),
        (
            "a: 2024-99-99\n",
            "setup.yaml:1: '2024-99-99' is not a valid timestamp; put it in quotes if it is meant as text",
        ),
        ("a: !mine 3\n", "setup.yaml:1: '3' is not a valid !mine; put it in quotes if it is meant as text"),
        ("a: 1\n? [b]\n: 2\n", "setup.yaml:2: a key must be a single word or number, not a list or mapping"),
        ("a:\n  <<: 3\n", "setup.yaml:2: '<<' needs a mapping or a list of mappings, such as *name"),
        ("a: &a [*a]\n", "setup.yaml:1: nested more than 100 deep (an alias inside itself?)"),
        ("a: &a\n  <<: *a\n", "setup.yaml:1: nested more than 100 deep (an alias inside itself?)"),
        ("a: " + "[" * 3000 + "]" * 3000, "setup.yaml: lists or mappings are nested more than 100 deep"),
        ("a: 1\nb: 2\na: 3\n", "setup.yaml:3: 'a' is given twice, first in line 1, with different values: remove one"),
    ],
)
def test_values_that_cannot_be_built_are_explained(project, text, expected):
    assert expected in project.problems(text)


def test_aliases_that_multiply_are_stopped(project):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (problem,) = project.problems("\n".join(lines))
    assert problem.endswith("more than 200000 values, aliases counted each time")


def test_merge_keys_that_multiply_are_stopped(project):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    (problem,) = project.problems("\n".join(lines))
    assert problem.endswith("more than 200000 values, aliases counted each time")

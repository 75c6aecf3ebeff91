"""Overrides survive Hydra's grammar, and rewriting twice is rewriting once."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from cnnlab.overrides import as_typed, for_hydra, parsed, value_of

PATHS = [
    "plain",
    "a b",
    "a,b",
    "a=b",
    "(1)",
    "é ü",
    "it's",
    'a "b"',
    "a\\b",
    "end\\",
    "end\\'",
    "[x]",
    "{y}",
    "~z",
    "#",
    "12",
]


@pytest.mark.parametrize("path", PATHS)
def test_hydra_reads_back_the_same_string(path: str) -> None:
    (argument,) = for_hydra([f"images={path}"])
    override = OverridesParser.create().parse_override(argument)
    assert override.value() == path
    assert not override.is_sweep_override()
    assert value_of("images", [argument]) == path
    assert for_hydra([argument]) == [argument]


def test_run_folders_and_data_folders_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("HOME", "/home/someone")
    assert for_hydra(["data.root=data"]) == [f"++data.root='{tmp_path}/data'"]
    assert for_hydra(["resume=~/run"]) == ["resume='/home/someone/run'"]
    assert for_hydra(["resume=null", "data.root=null"]) == ["resume=null", "++data.root=null"]


@pytest.mark.parametrize(
    ("typed", "rewritten"),
    [
        ("a", "'{0}/a'"),
        ("pretrained:vgg", "'pretrained:vgg'"),
        ("[a b,pretrained:vgg]", "['{0}/a b','pretrained:vgg']"),
        ("a,~/b", "'{0}/a','/home/someone/b'"),
        ("'a,b'", "'{0}/a,b'"),
        ("it's", r"'{0}/it\'s'"),
        *((same, same) for same in ("[]", "null", "${seed}", "[a],[b]", "choice(a,b)")),
    ],
)
def test_each_teacher_becomes_absolute(
    typed: str, rewritten: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("HOME", "/home/someone")
    argument = f"++classifier.teacher={rewritten.replace('{0}', str(tmp_path))}"
    assert for_hydra([f"classifier.teacher={typed}"]) == for_hydra([argument]) == [argument]
    OverridesParser.create().parse_override(argument)


def test_arguments_of_other_libraries_need_no_plus() -> None:
    assert for_hydra(["trainer.max_time=1", "model.pool=avg", "-m", "+trainer.x=1"]) == [
        "++trainer.max_time=1",
        "model.pool=avg",
        "-m",
        "+trainer.x=1",
    ]


def test_what_was_rewritten_is_shown_as_it_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    typed = ["data.root=my, photos", "data.path=/else/x=1.npz", "trainer.max_time=1", "model.pool=avg", "+a=1", "word"]
    typed += ["model.weights=/else/w.pth", "model.weights=DEFAULT"]
    typed += ["classifier.teacher=a", "classifier.teacher=[a,pretrained:vgg]", "classifier.teacher='a,b'"]
    assert as_typed(for_hydra(typed)) == typed


def test_parsed_overrides_are_keys_and_values_as_typed() -> None:
    arguments = ["-m", "+a.b=1", "++a.b=x,y", "~c", "~d=2", "hydra/sweeper@e='f=g'", "word"]
    assert parsed(arguments) == {"a.b": "x,y", "d": "2", "hydra/sweeper@e": "'f=g'"}

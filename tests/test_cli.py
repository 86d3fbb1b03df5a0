"""The command: what it says, how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from textlstm.cli import main
from textlstm.cli.main import STAGES


def run_main(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_lists_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_main(capsys, "--help")
    assert (code, err) == (0, "")
    assert [name for name in STAGES if f"  {name}" not in out] == []


def test_threads_are_told_to_spin_briefly_and_then_sleep(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    run_main(capsys, "--help")
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "10000")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    run_main(capsys, "--help")
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("ACTIVE", "7")


@pytest.mark.parametrize("stage", list(STAGES))
def test_stage_help_documents_every_setting(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    from textlstm.cli.settings_help import describe_settings

    code, out, _ = run_main(capsys, stage, "--help=all")
    assert code == 0
    undocumented = [key for key, _, meaning in describe_settings(STAGES[stage].config_class) if not meaning]
    assert undocumented == []
    assert all(f"  {key}=" in out for key, _, _ in describe_settings(STAGES[stage].config_class))


@pytest.mark.parametrize("stage", list(STAGES))
def test_stage_help_fits_the_terminal_and_shows_what_matters(
    stage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from textlstm.cli.settings_help import describe_settings

    monkeypatch.setenv("COLUMNS", "80")
    for page in ("--help", "--help=all"):
        _, out, _ = run_main(capsys, stage, page)
        assert [line for line in out.splitlines() if len(line) > 80] == []
    _, short, _ = run_main(capsys, stage, "--help")
    settings = [key for key, _, _ in describe_settings(STAGES[stage].config_class)]
    shown = [key for key in settings if f"\n  {key}=" in short]
    # Ten settings of a stage that has many, in front of the way to all of them; else all.
    assert len(shown) == (10 if len(settings) > 20 else len(settings))
    assert (f"`textlstm {stage} --help=all`" in short.replace("\n", " ")) is (len(settings) > 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "tracking.register=team/spam"],
            "textlstm: tracking.register must hold no / and no :, got 'team/spam'",
        ),
        (["trian"], "textlstm: trian: no such stage; did you mean 'train'? there is"),
        (
            ["train", "modle=bilstm"],
            "textlstm: modle: no such setting; did you mean 'model'? `textlstm train --help=all` lists them all\n",
        ),
        (
            ["train", "training.epochs=x"],
            "textlstm: training.epochs: Value 'x' of type 'str' could not be converted to Integer\n",
        ),
        (["train", "training.epochs=a(b"], "textlstm: training.epochs: expected a whole number, got 'a(b'\n"),
        (["train", "model.hidden_size=ü"], "textlstm: model.hidden_size: expected a whole number, got 'ü'\n"),
        (["train", "seed=[1"], "textlstm: seed: expected a whole number, got '[1'\n"),
        (["train", "text.pos={"], "textlstm: text.pos: expected true or false, got '{'\n"),
        (["train", "training.epochs=0"], "textlstm: training.epochs must be at least 1, got 0\n"),
        (["train", "model.num_layers=99999999"], "textlstm: model.num_layers must be at most 100, got 99999999\n"),
        (
            ["prepare", "text.language=../en"],
            "textlstm: text.language must be a language code such as en or de, got '../en'\n",
        ),
        (["sync", "tracking.dir="], "textlstm: tracking.dir must not be empty; a dot is the current folder\n"),
        (["prepare", "prepared_dir="], "textlstm: prepared_dir must not be empty; a dot is the current folder\n"),
        (["label", "labelling.label_name="], "textlstm: labelling.label_name must not be empty\n"),
        (["label", "labelling.probability_name="], "textlstm: labelling.probability_name must not be empty\n"),
        (["label", "labelling.num_workers=9999"], "textlstm: labelling.num_workers must be at most 512, got 9999\n"),
        (["train", "data.split_seed=-2"], "textlstm: data.split_seed must be at least 0, got -2\n"),
        (
            ["train", "model.hidden_size=65536", "model.num_layers=100"],
            "textlstm: model: a network of these sizes has 10,239,254,462,464 weights beside its word vectors, and at "
            "most 1,000,000,000 are taken; lower model.hidden_size, model.num_layers or what else is large\n",
        ),
        (
            ["train", "output_dir=s3://bucket/model"],
            "textlstm: output_dir=s3://bucket/model: is an address; name a folder or file of this machine\n",
        ),
        (
            ["prepare", "prepared_dir=s3://bucket/store"],
            "textlstm: prepared_dir=s3://bucket/store: is an address; name a folder or file of this machine\n",
        ),
        (["train", "training.learning_rate=nan"], "textlstm: training.learning_rate must be greater than 0, got nan\n"),
        (
            ["train", "hidden_size=3"],
            "textlstm: hidden_size: no such setting; did you mean 'model.hidden_size'? `textlstm train --help=all` lists them all\n",
        ),
        (
            ["train", "+model.extra=1"],
            "textlstm: +model.extra: settings cannot be added, removed or name code; only known ones can be changed\n",
        ),
        (
            ["train", "~model"],
            "textlstm: ~model: settings cannot be added, removed or name code; only known ones can be changed\n",
        ),
        (
            ["train", "hydra.launcher._target_=os.system"],
            "textlstm: hydra.launcher._target_: settings cannot be added, removed or name code; only known ones can be changed\n",
        ),
        (
            ["train", "seed=1,2,3"],
            "textlstm: seed: expected a whole number, got '1,2,3'; a setting has one value, and "
            "`textlstm sweep sweep.space=['seed=1,2,3']` tries several\n",
        ),
        (
            ["train", "model.encoder=lstm,gru"],
            "textlstm: model.encoder: expected one of rnn, lstm, gru, cnn_lstm, got 'lstm,gru'; a setting has one value",
        ),
        (["train", "model.bidirectional=2"], "textlstm: model.bidirectional: expected true or false, got '2'\n"),
        (["train", "model=gigantic"], "textlstm: model=gigantic: no such choice; there is"),
        (
            ["train", "output_dir=${oc.env:HOME}"],
            "textlstm: output_dir: interpolations (${...}) are not taken from the command line\n",
        ),
        (
            ["train", "--frobnicate"],
            "textlstm: --frobnicate: no such option; settings are KEY=VALUE, options are --help and --config\n",
        ),
        (["train", "data.train=a.csv"], "textlstm: data.train is only read with data=files; add data=files\n"),
        (
            ["train", "model.encoder=transformer"],
            "textlstm: model.encoder: Invalid value 'transformer', expected one of [rnn, lstm, gru, cnn_lstm]\n",
        ),
    ],
)
def test_bad_settings_are_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_main(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_number_has_an_upper_bound(stage: str) -> None:
    """Row 10 of issue 22: no size is taken that no machine could hold; each is refused by its own name."""
    from textlstm.cli.settings import setting_types
    from textlstm.config.overrides import with_settings
    from textlstm.errors import ConfigError

    config_class = STAGES[stage].config_class
    numbers = [key for key, hint in setting_types(config_class).items() if hint in (int, float)]
    refused = {}
    for key in numbers:
        with pytest.raises(ConfigError) as caught:
            with_settings(config_class(), [f"{key}=1{'0' * 30}"])
        refused[key] = caught.value.problems
    named = [key for key, problems in refused.items() if len(problems) == 1 and problems[0].startswith(f"{key} ")]
    assert named == numbers


def test_sizes_that_the_bounds_allow_count_the_weights_that_a_network_has() -> None:
    """The bound on the sizes together is on what is really built."""
    from textlstm.config import Encoder, ModelConfig, Pooling
    from textlstm.models.network.network import NetworkSizes, TextNetwork

    for encoder in Encoder:
        for pooling in (Pooling.max_mean, Pooling.last):
            config = ModelConfig(
                encoder=encoder, pooling=pooling, num_layers=2, hidden_size=40, char_cnn_size=20, dense_size=30
            )
            network = TextNetwork(config, NetworkSizes(vocabulary_size=50, num_labels=2))
            parameters = dict(network.named_parameters())
            built = sum(p.numel() for name, p in parameters.items() if name != "embedder.words.weight" and p.ndim > 1)
            byte_table_and_output = 256 * config.char_embedding_size + 2 * config.dense_size
            assert config.num_weights() == built - byte_table_and_output, (encoder, pooling)


def test_all_bad_settings_are_reported_together(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run_main(capsys, "train", "modle=x", "hydra.x=1", "sede=3")
    assert code == 2
    assert len(err.splitlines()) == 3


MOST_CPU_SECONDS = 0.4
"""Of an answer that needs no library; it takes 0.1 s, and a bare Python 0.04 s. Other programs hardly change it."""


def cpu_seconds(*arguments: str, runs: int = 3) -> float:
    """Return the processor time of `python ARGUMENTS`, the least of some runs."""
    seconds = []
    for _ in range(runs):
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(usage.ru_utime + usage.ru_stime)
    return min(seconds)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "modle=bilstm"]])
def test_answers_come_at_once(arguments: list[str]) -> None:
    assert cpu_seconds("-m", "textlstm", *arguments) < MOST_CPU_SECONDS


def test_an_answer_that_loads_a_library_is_noticed() -> None:
    """The negative control."""
    assert cpu_seconds("-c", "import spacy, textlstm.cli", runs=1) > MOST_CPU_SECONDS


def test_config_file_is_applied_and_typed_settings_win(tmp_path: Path) -> None:
    from textlstm.cli.settings import compose_config
    from textlstm.config import TrainConfig

    file = tmp_path / "mine.yaml"
    file.write_text("seed: 4\nmodel: {hidden_size: 32, num_layers: 2}\n")
    config = compose_config("train", TrainConfig, ["model.hidden_size=64"], str(file))
    assert (config.seed, config.model.hidden_size, config.model.num_layers) == (4, 64, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "model: {hiden_size: 3}\n",
            "model.hiden_size: no such setting; did you mean 'model.hidden_size'? `textlstm train --help=all` lists them all",
        ),
        ("a: &a [x, x]\nb: [*a, *a]\n", "2: YAML aliases are not allowed in a config file"),
        ("model: {_target_: os.system}\n", "interpolations (${...}) and _target_ are not allowed in a config file"),
        ("seed: ${oc.env:HOME}\n", "interpolations (${...}) and _target_ are not allowed in a config file"),
        ("- 1\n", "expected settings by name, such as `model: {hidden_size: 64}`"),
    ],
)
def test_bad_config_files_are_refused(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    code, _, err = run_main(capsys, "train", "--config", str(file))
    assert code == 2
    assert err.rstrip("\n").removeprefix(f"textlstm: {file}:").lstrip() == message


@pytest.mark.parametrize("value", ["a b (1).csv", "x=y,z.csv", "0123", "1e5", "{a}", "null"])
def test_text_settings_are_taken_literally(value: str) -> None:
    from textlstm.cli.settings import compose_config
    from textlstm.config import TrainConfig

    config = compose_config("train", TrainConfig, ["data=files", f"data.train={value}", f"output_dir={value}"])
    assert (config.data.train, config.output_dir) == ([value], value)


def test_lists_are_taken_in_brackets() -> None:
    from textlstm.cli.settings import compose_config
    from textlstm.config import TrainConfig

    config = compose_config("train", TrainConfig, ["data=files", "data.train=[a.csv,b.csv]", "text.keep_pos=[NOUN]"])
    assert (config.data.train, config.text.keep_pos) == (["a.csv", "b.csv"], ["NOUN"])


@pytest.mark.parametrize(
    ("typed", "items"),
    [
        ("[9d0b8a73,53327e75]", ["9d0b8a73", "53327e75"]),
        ("[1e5, 007, null, true]", ["1e5", "007", "null", "true"]),
        ("['a,b.csv', \"it's\", c d.csv]", ["a,b.csv", "it's", "c d.csv"]),
        ("[oos:0.18]", ["oos:0.18"]),
        ("[]", []),
        ("", []),
        ("trial 3", ["trial 3"]),
        ("[e=f.csv]", ["e=f.csv"]),
        ("[my (1).csv,a b.csv]", ["my (1).csv", "a b.csv"]),
        ("[ü.csv, {x}.csv]", ["ü.csv", "{x}.csv"]),
        ("[x].csv", ["[x].csv"]),
    ],
)
def test_items_of_lists_stay_as_they_were_typed(typed: str, items: list[str]) -> None:
    from textlstm.config import LabelConfig
    from textlstm.config.overrides import text_items, with_settings

    assert text_items(typed) == items
    assert with_settings(LabelConfig(), [f"input={typed}"]).input == items  # as a trial of a sweep does


def test_runs_are_named_by_place_and_never_read_as_numbers() -> None:
    from textlstm.cli.main import STAGES, _split_options
    from textlstm.cli.settings import compose_config
    from textlstm.config import CompareConfig

    overrides, _ = _split_options(["9d0b8a73", "53327e75"], STAGES["compare"])
    assert compose_config("compare", CompareConfig, overrides).runs == ["9d0b8a73", "53327e75"]

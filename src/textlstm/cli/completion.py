"""Completion in a shell: `textlstm --completion SHELL` prints a script, which asks `textlstm --complete LINE`."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from textlstm.cli.settings import group_choices, setting_types
from textlstm.errors import ConfigError

_BASH = """_textlstm() {
    local IFS=$'\\n'
    COMPREPLY=($(textlstm --complete "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    # bash takes = for the end of a word, so that only what follows it is completed.
    [[ ${COMP_LINE:0:COMP_POINT} =~ [^\\ ]=[^\\ ]*$ ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _textlstm textlstm"""
SCRIPTS = {
    "bash": _BASH,
    "zsh": f"autoload -U +X bashcompinit && bashcompinit\n{_BASH}",
    "fish": "complete -c textlstm -a '(textlstm --complete (commandline -cp) 2>/dev/null)'",
}


def script(shell: str) -> str:
    """Return the lines that switch completion on in `shell`.

    Raises:
        ConfigError: it is none of bash, zsh and fish.
    """
    if shell not in SCRIPTS:
        raise ConfigError(f"--completion: expected {', '.join(SCRIPTS)}, got {shell!r}")
    return SCRIPTS[shell]


def candidates(line: str, stages: Mapping[str, type]) -> list[str]:
    """Return what the last word of a typed line may become: a stage, `KEY=`, or `KEY=VALUE` where values are known.

    Args:
        line: from `textlstm` to the cursor.
        stages: config class of each stage.
    """
    words = line.split()[1:]
    begun = "" if not words or line.endswith(" ") else words.pop()
    if not words:
        return _beginning_with(begun, [*stages, "--help", "--version"])
    if words[0] not in stages:
        return []
    config_class = stages[words[0]]
    choices = group_choices(config_class)
    key, equals, _ = begun.partition("=")
    if equals:
        values = choices.get(key) or _values(setting_types(config_class).get(key))
        return _beginning_with(begun, [f"{key}={value}" for value in values])
    given = {word.partition("=")[0] for word in words}
    keys = dict.fromkeys([*choices, *setting_types(config_class)])
    return _beginning_with(begun, [f"{key}=" for key in keys if key not in given])


def _values(kind: Any) -> list[str]:
    if kind is bool:
        return ["true", "false"]
    return [str(value) for value in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _beginning_with(begun: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]

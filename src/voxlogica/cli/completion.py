"""`voxlogica completion`: a script, made from the declarations of the commands, by which a shell completes them.

It completes commands; after a command its options when a word begins with `-`, and files otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from voxlogica._dataclass import NamedTuple
from voxlogica.cli.arguments import COMMANDS, Options
from voxlogica.cli.parsing import described, parser_of
from voxlogica.errors import ProgramError


class Option(NamedTuple):
    """An option of a command, short or long, and whether a value must follow."""

    name: str
    help: str
    takes_value: bool


def completion(options: Options) -> int:
    """Prints the script for a shell."""
    shells = ", ".join(_SHELLS)
    if options.shell is None:
        help = f'it is one of {shells}; for example   eval "$(voxlogica completion bash)"'
        raise ProgramError.of("usage", "`voxlogica completion` needs a shell", help=help)
    if options.shell not in _SHELLS:
        raise ProgramError.of("usage", f"there is no completion for {options.shell}", help=f"there is for {shells}")
    print(_SHELLS[options.shell]())
    return 0


def options_of(name: str) -> Sequence[Option]:
    """The options of a command, in the order of its help."""
    return [
        Option(string, (action.help or "").split(" (")[0], action.nargs not in (0, "?"))
        for action in parser_of(name)._actions
        for string in action.option_strings
    ]


def _members() -> Mapping[str, str]:
    """The commands of the store and what they do."""
    return {name.split()[1]: each.summary for name, each in COMMANDS.items() if name.startswith("store ")}


def _bash() -> str:
    cases = "\n".join(
        f"        {_word(name)}) words='{' '.join(option.name for option in options_of(name))}' ;;" for name in COMMANDS
    )
    return f"""# Completion of voxlogica for bash.
_voxlogica() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}} words=
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W '{" ".join(described())} --help --version' -- "$word"))
        return
    fi
    if [[ $command == store ]]; then
        if ((COMP_CWORD == 2)); then
            COMPREPLY=($(compgen -W '{" ".join(_members())}' -- "$word"))
            return
        fi
        command="store ${{COMP_WORDS[2]}}"
    elif [[ $command == completion ]]; then
        words='{" ".join(_SHELLS)}'
    fi
    COMPREPLY=()
    if [[ $word == -* ]]; then
        case $command in
{cases}
        esac
    fi
    [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _voxlogica voxlogica"""


def _word(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _zsh() -> str:
    def list_(name: str, described: Mapping[str, str]) -> str:
        return f"    {name}=({' '.join(_single(f'{word}:{help}') for word, help in described.items())})"

    cases = "\n".join(
        f"        {_word(name)}) options=({' '.join(_single(f'{o.name}:{o.help}') for o in options_of(name))}) ;;"
        for name in COMMANDS
    )
    return f"""#compdef voxlogica
# Completion of voxlogica for zsh.
_voxlogica() {{
    local -a commands members options
    local command=$words[2]
{list_("commands", described())}
{list_("members", _members())}
    if ((CURRENT == 2)); then
        _describe -t commands command commands
        return
    fi
    if [[ $command == store ]]; then
        if ((CURRENT == 3)); then
            _describe -t commands 'command of the store' members
            return
        fi
        command="store $words[3]"
    elif [[ $command == completion && $PREFIX != -* ]]; then
        compadd {" ".join(_SHELLS)}
        return
    fi
    case $command in
{cases}
    esac
    if [[ $PREFIX == -* ]]; then
        _describe -o -t options option options
    else
        _files
    fi
}}
if [[ $funcstack[1] == _voxlogica ]]; then
    _voxlogica "$@"
else
    compdef _voxlogica voxlogica
fi"""


def _fish() -> str:
    lines = ["# Completion of voxlogica for fish."]
    for name, summary in described().items():
        lines.append(f"complete -c voxlogica -n __fish_use_subcommand -f -a {name} -d {_single(summary)}")
    members = _members()
    inside = f"__fish_seen_subcommand_from store; and not __fish_seen_subcommand_from {' '.join(members)}"
    for name, summary in members.items():
        lines.append(f"complete -c voxlogica -n '{inside}' -f -a {name} -d {_single(summary)}")
    shells = " ".join(_SHELLS)
    lines.append(f"complete -c voxlogica -n '__fish_seen_subcommand_from completion' -f -a '{shells}'")
    for name in COMMANDS:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split())
        for option in options_of(name):
            kind = "-l" if option.name.startswith("--") else "-s"
            value = " -r" if option.takes_value else ""
            lines.append(
                f"complete -c voxlogica -n '{seen}' {kind} {option.name.lstrip('-')}{value} -d {_single(option.help)}"
            )
    return "\n".join(lines)


def _single(text: str) -> str:
    """A word in single quotes; an apostrophe ends them and begins them anew, which all shells understand."""
    return "'" + text.replace("'", "'\\''") + "'"


_SHELLS: Mapping[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}

"""`factotum completion`: scripts that make a shell complete options, commands and files."""

from __future__ import annotations

from factotum.core.commandline import usage

_COMMANDS = {
    usage.RUN: "run a factfile",
    usage.VALIDATE: "check a factfile",
    usage.DOT: "write the graph of a factfile",
    usage.COMPLETION: "print a completion script",
}
_SHELLS = ("bash", "zsh", "fish")

# Options whose value is the name of a file.
_FILES = ("--output", "--verdict", "--resume")


def script(shell: str) -> str:
    """Return the script for a shell; it is meant to be sourced."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _options_of(command: str) -> list[str]:
    return [name for name, option in usage.OPTIONS.items() if command in option.commands]


def _bash() -> str:
    cases = "\n".join(
        f'        {command}) words="{" ".join(_options_of(command))}" ;;'
        for command in _COMMANDS
        if command != usage.COMPLETION
    )
    choices = "\n".join(
        f'        {name}) COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$current"));'
        " return ;;"
        for name, option in usage.OPTIONS.items()
        if option.choices
    )
    return f"""# bash completion for factotum: source <(factotum completion bash)
_factotum() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="" word words=""
    COMPREPLY=()
    if [ "$before" = "=" ]; then
        before="${{COMP_WORDS[COMP_CWORD-2]}}"
    elif [ "$current" = "=" ]; then
        current=""
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in {"|".join(_COMMANDS)}) command="$word"; break ;; esac
    done
    case "$before" in
{choices}
        {"|".join(_FILES)}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    if [ -z "$command" ]; then
        words="{" ".join(_COMMANDS)} --help --version --no-colour"
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
    fi
    case "$command" in
{cases}
        completion) COMPREPLY=($(compgen -W "{" ".join(_SHELLS)}" -- "$current")); return ;;
    esac
    case "$current" in
        -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
        *) COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _factotum factotum
"""


def _zsh() -> str:
    parts = []
    for command in _COMMANDS:
        if command == usage.COMPLETION:
            continue
        specs = "\n".join(
            f"                {_zsh_option(name)} \\" for name in _options_of(command)
        )
        parts.append(
            f"            {command})\n            _arguments \\\n{specs}\n"
            "                '*:factfile:_files'\n            ;;"
        )
    described = " ".join(f"'{name}:{text}'" for name, text in _COMMANDS.items())
    return f"""#compdef factotum
# zsh completion for factotum: source <(factotum completion zsh)
_factotum() {{
    local -a commands
    commands=({described})
    if (( CURRENT == 2 )); then
        _describe command commands
        _arguments '--help[Show the help text.]' '--version[Show the version.]'
        return
    fi
    local command="$words[2]"
    shift words
    (( CURRENT-- ))
    case "$command" in
{chr(10).join(parts)}
            completion) _values shell {" ".join(_SHELLS)} ;;
    esac
}}
compdef _factotum factotum
"""


def _zsh_option(name: str) -> str:
    option = usage.OPTIONS[name]
    text = option.explanation.replace("[", "\\[").replace("]", "\\]").replace("'", "'\\''")
    many = "*" if option.repeatable else ""
    if option.value is None:
        return f"'{many}{name}[{text}]'"
    action = ""
    if option.choices:
        action = f"({' '.join(option.choices)})"
    elif name in _FILES:
        action = "_files"
    return f"'{many}{name}=[{text}]:value:{action}'"


def _fish() -> str:
    lines = ["# fish completion for factotum: factotum completion fish | source"]
    none = "__fish_use_subcommand"
    lines += [
        f"complete -c factotum -n {none} -f -a {name} -d '{text}'"
        for name, text in _COMMANDS.items()
    ]
    lines += [
        f"complete -c factotum -n {none} -f -l help -s h -d 'Show the help text.'",
        f"complete -c factotum -n {none} -f -l version -s v -d 'Show the version.'",
        "complete -c factotum -n '__fish_seen_subcommand_from completion' -f"
        f" -a '{' '.join(_SHELLS)}'",
    ]
    for name, option in usage.OPTIONS.items():
        if not option.commands:
            continue
        text = option.explanation.replace("\\", "").replace("'", "")
        line = (
            "complete -c factotum -n"
            f" '__fish_seen_subcommand_from {' '.join(option.commands)}' -l {name[2:]}"
        )
        if option.choices:
            line += f" -x -a '{' '.join(option.choices)}'"
        elif option.value is not None:
            line += " -r" if name in _FILES else " -x"
        lines.append(f"{line} -d '{text}'")
    return "\n".join(lines) + "\n"

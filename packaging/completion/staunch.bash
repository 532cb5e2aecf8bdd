# SPDX-License-Identifier: Apache-2.0
# bash completion for staunch

# Codes that --accept takes, or (with "all") that explain takes.
_staunch_codes() {
        if [ "$1" = all ]; then
                staunch explain 2>/dev/null | sed -n 's/^  \([a-z0-9-][a-z0-9-]*\) .*/\1/p'
        else
                staunch explain 2>/dev/null | sed -n '/^About one process/q; s/^  \([a-z0-9-][a-z0-9-]*\) .*/\1/p'
        fi
}

_staunch_pids() {
        local p
        for p in /proc/[0-9]*; do
                echo "${p#/proc/}"
        done
}

_staunch_files() {
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_staunch_words() { # _staunch_words CURRENT WORD...
        local current=$1
        shift
        mapfile -t COMPREPLY < <(compgen -W "$*" -- "$current")
}

_staunch() {
        local current=${COMP_WORDS[COMP_CWORD]} previous= command=${COMP_WORDS[1]-}
        local commands='converge diff build show apply revert verify status list history health events release snapshot rollback config window doctor cve report assess explain'
        local options=

        COMPREPLY=()
        [ "$COMP_CWORD" -gt 0 ] && previous=${COMP_WORDS[COMP_CWORD - 1]}
        if [ "$COMP_CWORD" -le 1 ]; then
                _staunch_words "$current" "$commands" --help --version --explain
                return
        fi
        case $previous in
        --accept) _staunch_words "$current" "$(_staunch_codes update)"; return ;;
        --explain) _staunch_words "$current" "$(_staunch_codes all)"; return ;;
        --pid) _staunch_words "$current" "$(_staunch_pids)"; return ;;
        --format) _staunch_words "$current" table json openvex; return ;;
        --deadline | --since | --unit | --id | --package | --cve) return ;;
        --debug-old | --debug-new | --output | --root | --state | --config | --file | --events | --tracker | -o) _staunch_files "$current"; return ;;
        esac
        case $command in
        converge) options='--dry-run --accept --pid --root --deadline --no-debug --state --events --runtime --json' ;;
        diff) options='--debug-old --debug-new --no-debug --accept --json' ;;
        build) options='-o --output --debug-old --debug-new --no-debug --accept --json' ;;
        show) options='--json' ;;
        apply) options='--pid --all --deadline --accept --state --events --runtime --json' ;;
        revert) options='--pid --all --deadline --accept --no-hold --state --events --json' ;;
        verify) options='--pid --all --json' ;;
        status) options='--pid --runtime --json' ;;
        list) options='--config --state --json' ;;
        window) options='--config --state --json' ;;
        history) options='--since --unit --state --json' ;;
        events) options='--id --since --unit --package --cve --follow --file --json' ;;
        release) options='--state --root --config' ;;
        snapshot) options='--config --state --root --json' ;;
        rollback) options='--last --resume --dry-run --yes --config --state --root --json' ;;
        config) options='--json' ;;
        doctor) options='--root --json' ;;
        health) options='--runtime --json' ;;
        cve) options='--fixed --pid --tracker --root --state --json' ;;
        report) options='--format --fixed --pid --tracker --root --state' ;;
        assess) options='--download --accept --tracker --root --state --json' ;;
        explain) _staunch_words "$current" "$(_staunch_codes all)" --help; return ;;
        *) return ;;
        esac
        case $current in
        -*) _staunch_words "$current" "$options" --help --explain ;;
        *)
                case $command in
                diff | build | show | apply | revert | assess) _staunch_files "$current" ;;
                window) _staunch_words "$current" list next plan ;;
                config)
                        if [ "$COMP_CWORD" = 2 ]; then
                                _staunch_words "$current" check show
                        else
                                _staunch_files "$current"
                        fi
                        ;;
                snapshot) _staunch_words "$current" list take drop ;;
                *) _staunch_words "$current" "$options" --help --explain ;;
                esac
                ;;
        esac
}

complete -F _staunch staunch

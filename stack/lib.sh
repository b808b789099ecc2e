# Shared by the scripts beside it; sourced, bash.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
    /*) ;;
    *) BUILD=$ROOT/$BUILD ;;
esac


die()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}


# The reason, then the end of the log that holds it.
die_with_log()
{
    printf '%s: %s\n' "${0##*/}" "$1" >&2

    if [ -s "$2" ]; then
        printf -- '--- the end of %s:\n' "$2" >&2
        tail -n 15 "$2" | cut -c 1-500 >&2
    fi

    exit 1
}


absolute()
{
    case $1 in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s\n' "$PWD/$1" ;;
    esac
}


# Is the process in pid file $1 alive and ours?  A process number is used
# again after a crash, so its command line must hold the path $2.
owned()
{
    local pid

    read -r pid 2>/dev/null <"$1" || return 1
    running "$pid" "$2"
}


running()
{
    local state

    [ -n "$1" ] || return 1
    # a zombie is dead; its command line is empty
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- "$2" || return 1
    state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    [ "${state%% *}" != Z ]
}


# Waits up to $3 seconds until the process $1 with path $2 is gone.
wait_gone()
{
    local end=$((SECONDS + $3))

    while running "$1" "$2"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}


# Asks the command until it says yes, at most so many seconds.
wait_until()
{
    local end=$((SECONDS + $1))

    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}


listening()
{
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}


# A free TCP port below the range of outgoing connections.
free_port()
{
    local port

    for _ in {1..200}; do
        port=$((10000 + RANDOM % 20000))
        if ! listening "$port"; then
            printf '%s\n' "$port"
            return
        fi
    done

    die "could not find a free port"
}


# Processes of session $1 that hold a file below $2 open: what is left when
# the leader was killed.
session_members()
{
    local pid

    for pid in $(ps -o pid= -s "$1" 2>/dev/null); do
        if find "/proc/$pid/fd" -lname "$2/*" -print -quit 2>/dev/null \
            | grep -q .
        then
            printf '%s\n' "$pid"
        fi
    done
}


# Ends what a killed leader of pid file $1 left below $2.
sweep_session()
{
    local pid left end=$((SECONDS + 10))

    read -r pid 2>/dev/null <"$1" || return 0

    while left=$(session_members "$pid" "$2") && [ -n "$left" ]; do
        # shellcheck disable=SC2086
        kill -KILL $left 2>/dev/null
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

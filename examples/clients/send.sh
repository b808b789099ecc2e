#!/bin/sh
# Sends each line of its input, a JSON value, as a record of its own.
#
#     send.sh URL [SECONDS] < records
#
# What may be sent again is sent again for SECONDS (60), with the same
# Idempotency-Key: with "dedupe" in the daemon each record becomes one row.
# Exit status 1: a record was refused, or nobody knows whether it was kept.

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: send.sh URL [SECONDS] < records" >&2
    exit 2
fi
url=$1
seconds=${2:-60}
sent=0
kept=0
head=$(mktemp) || exit 1
body=$(mktemp) || exit 1
trap 'rm -f "$head" "$body"' EXIT


# Sets status (000: no answer) and wait, the seconds that the server asks for.
post()
{
    : >"$body"
    status=$(printf '%s' "$1" | curl -s -m 20 -o "$body" -D "$head" \
        -w '%{http_code}' -H 'Content-Type: application/json' \
        -H "Idempotency-Key: $2" --data-binary @- "$url") || status=000
    wait=$(tr -d '\r' <"$head" | sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]*\)$/\1/p')
}


# Whether the record is kept; says why not.
send()
{
    # it begins with the time, so that PostgreSQL finds its place at once
    key=$(date +%s)-$(cat /proc/sys/kernel/random/uuid)
    deadline=$(($(date +%s) + seconds))
    maybe='not kept'
    pause=1

    while :; do
        post "$1" "$key"
        case $status in
            2??) return 0 ;;
            000) maybe='maybe kept' ;;
        esac
        ! grep -q '"persisted":"possibly"' "$body" || maybe='maybe kept'

        case $status in
            000 | 408 | 429 | 500 | 502 | 503 | 504) again=1 ;;
            *) again=0 ;;
        esac
        wait=${wait:-$pause}
        if [ $again -eq 0 ] || [ $(($(date +%s) + wait)) -gt $deadline ]; then
            printf '%s: %s %s: %s\n' "$maybe" "$status" "$(cat "$body")" \
                "$1" >&2
            return 1
        fi
        sleep "$wait"
        pause=$((pause < 4 ? pause * 2 : 5))
    done
}


while IFS= read -r record; do
    [ -n "$record" ] || continue
    sent=$((sent + 1))
    ! send "$record" || kept=$((kept + 1))
done

echo "$kept of $sent records are kept"
[ $kept -eq $sent ]

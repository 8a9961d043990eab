#!/usr/bin/env bash
# The same kills for other supervisors, where they are installed: Supervisor (its bin directory in
# $SUPERVISOR), runit, s6. None of them promises to survive what is done here; docs/chaos.md says so.
# One row each: who was killed, and what came of a writer at full speed and of a quiet program.
set -u
ROUNDS=${ROUNDS:-20}
work=$(mktemp -d /tmp/appctl-peers-XXXXXX)
trap 'rm -rf "$work"' EXIT

# Prints 1, 2, 3, … and notes every start of itself.
writer() { printf '#!/bin/sh\necho $$ >>%s/starts\nexec seq 1 2000000000\n' "$1" >"$1/writer"; chmod +x "$1/writer"; }
quiet() { printf '#!/bin/sh\necho $$ >>%s/quiet\nexec sleep 3217\n' "$1" >"$1/silent"; chmod +x "$1/silent"; }
living() { local n=0; while read -r pid; do [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" && n=$((n+1)); done <"$1"; echo $n; }
end() { for list in "$@"; do [ -f "$list" ] && while read -r pid; do kill -9 "$pid" 2>/dev/null; done <"$list"; done; }
# Lost, doubled and torn lines of one writer.
tally() { awk '/^[0-9]+$/ { if (last && $1 <= last) d++; else { if (last) l += $1-last-1; last = $1 }; next } { t++ } END { print l+0, d+0, t+0 }'; }
row() { printf '| %s, %s kills | %s of %s times a second copy, or it died | %s of %s times a second copy | %s lost, %s doubled, %s torn lines |\n' "$@"; }

supervisor() {
    local bin=$1 died=0 copies=0
    for ((round = 0; round < ROUNDS; round++)); do
        local d=$work/sv$round; mkdir "$d"; writer "$d"; quiet "$d"
        printf '[unix_http_server]\nfile=%s/s\n[supervisord]\nlogfile=%s/log\npidfile=%s/pid\nnodaemon=true\n[program:w]\ncommand=%s/writer\nstdout_logfile=%s/out\nstdout_logfile_maxbytes=0\n[program:q]\ncommand=%s/silent\n' "$d" "$d" "$d" "$d" "$d" "$d" >"$d/c"
        "$bin/supervisord" -c "$d/c" >/dev/null 2>&1 & local pid=$!
        until [ -s "$d/quiet" ] && [ -s "$d/out" ]; do sleep 0.1; done
        disown $pid; kill -9 $pid; sleep 1
        # The next one, as a service manager would start it.
        "$bin/supervisord" -c "$d/c" >/dev/null 2>&1 & pid=$!
        for ((i = 0; i < 50; i++)); do [ "$(wc -l <"$d/quiet")" -ge 2 ] && break; sleep 0.1; done; sleep 0.2
        { [ "$(living "$d/starts")" -ge 2 ] || ! [ -d "/proc/$(head -1 "$d/starts")" ]; } && died=$((died+1))
        [ "$(living "$d/quiet")" -ge 2 ] && copies=$((copies+1))
        disown $pid; kill -9 $pid; end "$d/starts" "$d/quiet"; rm -rf "$d"
    done
    row "Supervisor: supervisord" "$ROUNDS" "$died" "$ROUNDS" "$copies" "$ROUNDS" - - -
}

# $1: what to call it, $2: command that runs one service directory, $3: logger's run script,
# $4: pattern of the process to kill ("" is the supervising process itself)
service() {
    local died=0 copies=0 lost=0 doubled=0 torn=0
    for ((round = 0; round < ROUNDS; round++)); do
        local d=$work/$1-$round; d=${d// /}; mkdir -p "$d/w/log" "$d/logs" "$d/s"; writer "$d"; quiet "$d"
        printf '#!/bin/sh\nexec %s/writer\n' "$d" >"$d/w/run"
        printf '#!/bin/sh\nexec %s/silent\n' "$d" >"$d/s/run"; chmod +x "$d/w/run" "$d/s/run"
        local super=()
        $2 "$d" >/dev/null 2>&1; mapfile -t super <"$d/supers"
        until [ -s "$d/quiet" ] && [ -s "$d/starts" ]; do sleep 0.05; done; sleep 0.3
        if [ -n "$4" ]; then
            for ((k = 0; k < 5; k++)); do kill -9 $(pgrep -f "$4 $d/logs") 2>/dev/null; sleep 0.2; done
        else
            kill -9 "${super[@]}" 2>/dev/null; sleep 1
            $2 "$d" >/dev/null 2>&1; sleep 0.7
            { [ "$(living "$d/starts")" -ge 2 ] || ! [ -d "/proc/$(head -1 "$d/starts")" ]; } && died=$((died+1))
            [ "$(living "$d/quiet")" -ge 2 ] && copies=$((copies+1))
        fi
        mapfile -t super <"$d/supers"; kill -9 "${super[@]}" 2>/dev/null; end "$d/starts" "$d/quiet"; sleep 0.3
        if [ -n "$4" ]; then
            read -r l b t < <(cat $(ls "$d"/logs/@* 2>/dev/null) "$d/logs/current" 2>/dev/null | tally)
            lost=$((lost+l)) doubled=$((doubled+b)) torn=$((torn+t))
            kill -9 $(pgrep -f "$4 $d/logs") 2>/dev/null
        fi
        [ -f "$d/starts.log" ] && end "$d/starts.log"
        rm -rf "$d"
    done
    [ -n "$4" ] && row "$1" "$((ROUNDS*5))" - - - - "$lost" "$doubled" "$torn" || row "$1" "$ROUNDS" "$died" "$ROUNDS" "$copies" "$ROUNDS" - - -
}

start_runit() {
    : >"$1/supers"; printf '#!/bin/sh\nexec svlogd %s/logs\n' "$1" >"$1/w/log/run"; printf 's1000000\nn10000\n' >"$1/logs/config"; chmod +x "$1/w/log/run"
    for s in w s; do setsid runsv "$1/$s" </dev/null >/dev/null 2>&1 & echo $! >>"$1/supers"; disown; done
}
start_s6() {
    : >"$1/supers"
    [ -p "$1/pipe" ] || mkfifo "$1/pipe"
    # The pipe is held open for ever, as s6-svscan does.
    setsid sh -c "exec 3<>$1/pipe; while :; do s6-log -b n10000 s1000000 $1/logs <&3; sleep 0.05; done" </dev/null >/dev/null 2>&1 & echo $! >>"$1/starts.log"; disown
    printf '#!/bin/sh\nexec %s/writer >%s/pipe\n' "$1" "$1" >"$1/w/run"
    for s in w s; do setsid s6-supervise "$1/$s" </dev/null >/dev/null 2>&1 & echo $! >>"$1/supers"; disown; done
}

echo "| killed with SIGKILL | a writer at full speed | a quiet program | output |"
echo "|---|---|---|---|"
[ -x "${SUPERVISOR:-}/supervisord" ] && supervisor "$SUPERVISOR" || echo "left out: Supervisor: set SUPERVISOR to its bin directory"
if command -v runsv >/dev/null; then
    service "runit: runsv" start_runit "" ""
    service "runit: svlogd" start_runit "" "svlogd"
else echo "left out: runit is not installed"; fi
if command -v s6-supervise >/dev/null; then
    service "s6: s6-supervise" start_s6 "" ""
    service "s6: s6-log" start_s6 "" "s6-log -b n10000 s1000000"
else echo "left out: s6 is not installed"; fi
pgrep -f "s6-log.*$work" | while read -r pid; do kill -9 "$pid"; done
exit 0

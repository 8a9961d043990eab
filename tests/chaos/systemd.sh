#!/usr/bin/env bash
# conf/appctl.service under a real systemd, booted in a container with this machine's /usr: needs
# root and systemd-nspawn (Debian: systemd-container). $APPCTL is the binary. Prints what held, one
# line each, and ends with 1 if something did not.
set -eu
cd "$(dirname "$0")/../.."
binary=$(realpath "${APPCTL:-target/debug/appctl}")
if [ "$(id -u)" != 0 ] || ! systemd-nspawn --version >/dev/null 2>&1; then
    echo "not tried under a real systemd: needs root and systemd-nspawn"
    exit 0
fi
work=$(mktemp -d /tmp/appctl-systemd-XXXXXX)
trap 'rm -rf "$work"' EXIT

cp "$binary" "$work/appctl"
# The watchdog is waited for: not for half a minute.
sed 's#/usr/local/bin/appctl#/work/appctl#; s#^WatchdogSec=.*#WatchdogSec=3s#' conf/appctl.service >"$work/appctl.service"
cat >"$work/supervisord.conf" <<'CONFIG'
[unix_http_server]
file=/run/appctl/appctl.sock
[supervisord]
logfile=/work/main.log
[program:tree]
command=/work/tree
stopwaitsecs=1
[program:plain]
command=/bin/sleep 3217
CONFIG
# What it starts ignores SIGTERM, in a session of its own.
printf '#!/bin/sh\nsetsid sh -c "trap \\"\\" TERM; exec sleep 3218" &\nexec sleep 3219\n' >"$work/tree"
cat >"$work/drive.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /work/drive
ExecStopPost=/bin/systemctl --force poweroff
StandardOutput=file:/work/said
StandardError=inherit
UNIT
cat >"$work/drive" <<'DRIVE'
appctl() { /work/appctl -c /etc/supervisord.conf "$@"; }
property() { systemctl show -p "$1" --value appctl; }
# Waits until a command succeeds, a minute at most.
until_true() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; return 1; }
# One line of what holds: what it is, and the functions that say so.
held() { local what=$1; shift; for one; do "$one" || { echo "FAILED: $what"; return; }; done; echo "ok: $what"; }

programs() { appctl pid tree; appctl pid plain; pgrep -f 'sleep 3218'; }
brain() { pgrep -f '^appctl: brain'; }
both_run() { [ "$(appctl status --json | grep -o '"state": *"RUNNING"' | wc -l)" = 2 ]; }
same_programs() { until_true both_run && [ "$(programs)" = "$programs" ]; }
same_main_pid() { [ "$(property MainPID)" = "$keeper" ]; }
is_another() { local now; now=$(property MainPID); [ "$now" != 0 ] && [ "$now" != "$keeper" ]; }
another_main_pid() { until_true is_another; }
nothing_of() { ! pgrep -f "$1" >/dev/null; }

starts() { systemctl start appctl; }
serves() { appctl version >/dev/null; }
held "started means that it serves" starts serves
until_true both_run
programs=$(programs) keeper=$(property MainPID)
in_cgroup() { grep -q '^0::/system.slice/appctl.service/appctl-[^/]*/tree$' "/proc/$(appctl pid tree)/cgroup"; }
held "each program has a cgroup below the unit's" in_cgroup
says_so() { [ "$(property StatusText)" = '2 processes: 2 RUNNING' ]; }
told() { until_true says_so; }
held "systemctl status tells how programs are" told
reloads() { systemctl reload appctl; }
held "systemctl reload touches no program" reloads same_main_pid same_programs
upgrades() { appctl upgrade /work/appctl >/dev/null; }
held "an upgrade touches neither the main pid nor a program" upgrades same_main_pid same_programs
kill -9 "$(brain)"
held "the brain killed: the same main pid, the same programs" same_programs same_main_pid
kill -9 "$keeper" "$(brain)"
held "keeper and brain killed: systemd starts the next one, the same programs" another_main_pid same_programs
keeper=$(property MainPID)
kill -STOP "$keeper" "$(brain)"
held "keeper and brain hang: the watchdog ends them, the same programs" another_main_pid same_programs
stops_tree() { appctl stop tree >/dev/null; }
no_tree() { nothing_of 'sleep 321[89]'; }
held "a stop ends the tree" stops_tree no_tree
appctl start tree >/dev/null
stops() { systemctl stop appctl; }
nothing() { nothing_of 'sleep 321' && [ ! -e /run/appctl/appctl.sock ] && ! ls -d /sys/fs/cgroup/*/system.slice/appctl.service >/dev/null 2>&1; }
held "systemctl stop leaves nothing" stops nothing
well() { [ "$(property ActiveState)" = inactive ]; }
held "and is no failure" well
DRIVE

chmod +x "$work/tree"
bind() { printf -- '--bind=%s:%s\n' "$work/$1" "$2"; }
# Ends with its own signal when it is powered off by force.
timeout 120 systemd-nspawn -D / --volatile=yes --register=no --keep-unit --bind="$work":/work \
    "$(bind appctl.service /etc/systemd/system/appctl.service)" \
    "$(bind drive.service /etc/systemd/system/drive.service)" \
    "$(bind supervisord.conf /etc/supervisord.conf)" \
    -b systemd.firstboot=no systemd.wants=drive.service systemd.unit=multi-user.target \
    </dev/null >"$work/console" 2>&1 || true
cat "$work/said" 2>/dev/null || { echo "FAILED: systemd did not come up:"; tail -20 "$work/console"; exit 1; }
[ "$(grep -c '^ok: ' "$work/said")" = 11 ] || { tail -60 "$work/main.log"; exit 1; }

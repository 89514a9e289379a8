#!/usr/bin/env bash
# A Docker engine for the chaos rig: the one that answers, else one of our own, where we are root on Linux (docker.io
# and docker-compose are installed where they are missing and apt is there).
#   docker-engine.sh start PID   prints the DOCKER_HOST to use, empty for the default; PID is who uses it
#   docker-engine.sh stop PID    PID uses it no more; ends our own engine when nobody else does
# Ends with 3, and says why, where no engine can be had. RIG_START_ENGINE=0 forbids to start or install one.
set -euo pipefail
state="${RIG_ENGINE_STATE:-/tmp/resilient-session-store-engine-$(id -u)}"
socket="$state/docker.sock" pidfile="$state/dockerd.pid" log="$state/dockerd.log" users="$state/users"

say() { echo "docker engine: $*" >&2; }
now() { date +%s%3N; }
# The socket file outlives a killed daemon; only an answered call proves that there is one.
answers() { (
  if [[ -z $1 ]]; then unset DOCKER_HOST; else export DOCKER_HOST=$1; fi
  timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
); }
# No such process, or a zombie, which kill -0 takes for alive.
gone() { [[ ! -r /proc/$1/stat ]] || [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1) == Z ]]; }
command_of() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null || true; }
# Process ids are used again: it has to be a dockerd, with our data.
ours() { [[ -n ${1:-} && $(cat "/proc/$1/comm" 2>/dev/null) == dockerd && $(command_of "$1") == *"--data-root $state/data "* ]]; }
pid_of() { cat "$pidfile" 2>/dev/null || true; }

# What a killed dockerd leaves: its shims with their containers, and the pid file of a containerd that is dead, for
# which the next dockerd would wait 15 s.
sweep() {
  local pid child file="$state/exec/containerd/containerd.pid"
  for pid in $(pgrep -f '^[^ ]*containerd-shim' || true); do
    [[ $(command_of "$pid") == *"-address $state/exec/containerd/"* ]] || continue
    for child in $(pgrep -P "$pid" || true); do kill -KILL "$child" 2>/dev/null || true; done
    kill -KILL "$pid" 2>/dev/null || true
  done
  pid=$(cat "$file" 2>/dev/null || true)
  if [[ -n $pid ]] && ! gone "$pid" && [[ $(command_of "$pid") == *"$state/exec/"* ]]; then
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..30}; do gone "$pid" && break; sleep 0.1; done
  fi
  rm -f "$file" "$socket" "$pidfile"
}

refuse() { say "$*"; exit 3; }

install_engine() {
  [[ ${RIG_START_ENGINE:-1} == 1 ]] || return 0
  [[ $(uname) == Linux && $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 0
  command -v docker >/dev/null && command -v dockerd >/dev/null &&
    { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; } && return 0
  say 'installing docker.io and docker-compose with apt-get'
  export DEBIAN_FRONTEND=noninteractive
  # Debian's way to forbid a package to start its service: we start an engine of our own, and end it.
  local policy=/usr/sbin/policy-rc.d made=''
  if [[ ! -e $policy ]]; then
    made=$policy
    # shellcheck disable=SC2064
    trap "rm -f '$policy'" EXIT
    printf '#!/bin/sh\n# Written while the chaos rig installs docker.io; safe to delete.\ncase " $* " in *" docker"*|*" containerd"*) exit 101 ;; esac\nexit 0\n' >"$policy"
    chmod 755 "$policy"
  fi
  { apt-get -o DPkg::Lock::Timeout=120 update || true
    apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends docker.io docker-compose iptables; } >&2 ||
    say 'apt-get failed'
  [[ -z $made ]] || rm -f "$made"
}

start() {
  install_engine
  command -v docker >/dev/null || refuse 'no docker client is installed'
  docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || refuse 'no docker compose is installed'
  if [[ -n ${DOCKER_HOST:-} ]]; then
    # An explicit choice is not second-guessed.
    answers "$DOCKER_HOST" || refuse "DOCKER_HOST is $DOCKER_HOST, which does not answer"
    echo "$DOCKER_HOST"
    return
  fi
  if answers ''; then echo; return; fi
  [[ ${RIG_START_ENGINE:-1} == 1 ]] || refuse 'none answers, and RIG_START_ENGINE=0 forbids to start one'
  [[ $(uname) == Linux && $(id -u) == 0 ]] && command -v dockerd >/dev/null ||
    refuse 'none answers, and starting one takes Linux, root and dockerd'
  mkdir -p "$users"
  # A second engine would undo the first one's iptables rules.
  exec 9>"$state/lock"
  flock 9
  if ! answers "unix://$socket"; then
    ours "$(pid_of)" || sweep
    launch
  fi
  touch "$users/$1"
  echo "unix://$socket"
}

launch() {
  local began
  began=$(now)
  # Without the default bridge, which would outlive it; the iptables chains do. None of our descriptors: whoever called us must not have to wait for the engine's end.
  setsid nohup dockerd --data-root "$state/data" --exec-root "$state/exec" --pidfile "$pidfile" \
    -H "unix://$socket" --bridge none </dev/null >"$log" 2>&1 9>&- &
  local pid=$!
  while (($(now) - began < 40000)); do
    if answers "unix://$socket"; then
      say "started one in $(($(now) - began)) ms"
      return
    fi
    if gone "$pid"; then
      tail -5 "$log" >&2
      refuse 'dockerd ended'
    fi
    sleep 0.1
  done
  kill -TERM "$pid" || true
  tail -5 "$log" >&2
  refuse 'dockerd is not ready after 40 s'
}

stop() {
  [[ -d $state ]] || return 0
  exec 9>"$state/lock"
  flock 9
  rm -f "$users/$1"
  local user pid began
  for user in "$users"/*; do
    [[ -e $user ]] || continue
    if gone "$(basename "$user")"; then rm -f "$user"; else return 0; fi
  done
  pid=$(pid_of)
  began=$(now)
  if ours "$pid"; then
    kill -TERM "$pid"
    while ! gone "$pid" && (($(now) - began < 30000)); do sleep 0.1; done
    gone "$pid" || kill -KILL "$pid"
  fi
  sweep
  # Its images are made again in a second; its data would stay for ever.
  awk -v s="$state/" 'index($2, s) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null || true
  rm -rf "$state"
}

case "${1:-} ${2:-}" in
  'start '?*) start "$2" ;;
  'stop '?*) stop "$2" ;;
  *) echo 'usage: docker-engine.sh start|stop PID' >&2; exit 2 ;;
esac

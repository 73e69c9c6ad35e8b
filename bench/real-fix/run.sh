#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [BUILD [NAME [FOR]]]: a real fix in real software. Debian's redis with its patches up to a security fix (NAME of fixes; acl) serves
# beside one without that fix, both under the same traffic, and plumb verify gets the patch as Debian has it. Exit code: the verdict's.
# Root. BUILD/redis-src (or REDIS_SRC) is built if it is not there. Leaves nothing behind, also when it is stopped.
set -eum   # -m: what runs beside this script has a process group of its own, and goes as a whole

here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "${1:-build}")
fix=${2:-acl} limit=${3:-60s}
source=${REDIS_SRC:-$build/redis-src}
name=redis-$$
work=$(mktemp -d)
declare -A port=()
pids=()

signal_all() {
	local pid rc=1
	for pid in "${pids[@]}"; do
		kill "-$1" -- "-$pid" 2>/dev/null && rc=0
	done
	return $rc
}

cleanup() {
	trap '' INT TERM HUP
	exec 2>/dev/null     # the shell tells of each that ends
	signal_all TERM || :
	for _ in $(seq 100); do
		signal_all 0 || break
		sleep 0.05
	done
	signal_all KILL || :
	wait || :
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

[ "$(id -u)" = 0 ] || { echo "run.sh attaches uprobes: run it as root" >&2; exit 2; }
[ -e "$source/.built" ] || "$here/../../tests/e2e/redis_source.sh" "$source"
patch=$source/fix/$fix/fix.patch
[ -e "$patch" ] || { echo "this version of redis has no fix '$fix'" >&2; exit 2; }

# serve ARM EXECUTABLE: on a port that is free
serve() {
	local at
	mkdir -p "$work/$1"
	cp "$2" "$work/$1/$name"
	for _ in $(seq 20); do
		at=$((20000 + RANDOM % 12000))
		"$work/$1/$name" --port "$at" --bind 127.0.0.1 --save '' --requirepass secret --logfile "$work/$1/log" >"$work/$1/out" 2>&1 &
		pids+=($!)
		for _ in $(seq 100); do
			if redis-cli -p "$at" -a secret --no-auth-warning config get logfile 2>/dev/null | grep -qxF "$work/$1/log"; then
				port[$1]=$at   # it is ours that answers there
				return
			fi
			kill -0 $! 2>/dev/null || break
			sleep 0.05
		done
	done
	echo "redis-server does not start" >&2
	return 1
}

# What the fix is about: rules that are right, one that is wrong in both, and the one that the bug accepts.
traffic_acl() {
	while :; do
		printf 'ACL SETUSER app ~k* %%R~r* %%W~w*\nACL SETUSER app %%X~x\nACL SETUSER app %%\n'
		sleep 0.01
	done | redis-cli -p "$1" -a secret --no-auth-warning >/dev/null 2>&1
}

# Clients that do not log in and ask for more than they read.
traffic_auth() {
	local many
	many=$(yes 'SET x 5' | head -n 2000)
	trap '' PIPE         # they are hung up on
	while :; do
		{ printf '%s\n' "$many" >&3; } 3<>"/dev/tcp/127.0.0.1/$1" || :
		sleep 0.02
	done 2>/dev/null
}

# Ordinary traffic, and that of the fix.
load() {
	redis-benchmark -p "$1" -a secret -q -c 2 -n 100000000 -t get,set >/dev/null 2>&1 &
	pids+=($!)
	"traffic_$fix" "$1" &
	pids+=($!)
}

claim_acl() {   # to accept the rule "%" is the error: 0 is C_OK
	claim=(--function ACLSetSelector --trigger 'oplen == 1 && op[0] == 37' --error '$ret == 0')
}

claim_auth() {   # a client that is to be closed, and is not
	claim=(--function checkClientOutputBufferLimits --trigger 'c->reply_bytes > 8192 && c->authenticated == 0' --error '$ret == 0')
}

id() { readelf -n "$1" | sed -n 's/.*Build ID: //p'; }

serve before "$source/fix/$fix/before/redis-server"
serve after "$source/fix/$fix/after/redis-server"
load "${port[before]}"
load "${port[after]}"
"claim_$fix"
# Beside the script, so that a signal to it is heard at once.
"$build/plumb" verify -s "$name" --patch "$patch" --baseline "build:$(id "$work/before/$name")" \
	--candidate "build:$(id "$work/after/$name")" "${claim[@]}" --expect gone --guard 'error_rate < +25 %' --for "$limit" &
pids+=($!)
wait $!

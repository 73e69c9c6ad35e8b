#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh [BUILD [VERSION...]]: an order service with a bug (v1) runs beside four fixes of it, one after the other, under the same
# traffic; plumb verify says of each whether it works.  Versions 2 to 5 unless some are given; 5-quiet: v5, while nobody orders what the bug bites.  No input, cleans up after itself;
# exit 1 if a verdict is not what the fix deserves.
set -eu

build=${1:-build}
[ $# -eq 0 ] || shift
versions=${*:-2 3 4 5 5-quiet}
targets=${PLUMB_TARGETS:-$build/targets}
fixes=$(cd "$(dirname "$0")/.." && pwd)/tests/targets/orderd/fixes
work=$(mktemp -d)
name=shop-$$
declare -A what=([2]="a right fix" [3]="a plausible wrong fix: the error moves to another function" [4]="right, but slow"
	[5]="its changed line never runs, the bug is still there"
	[5-quiet]="the same, while nobody orders what the bug bites")
declare -A due=([2]=PASS [3]=FAIL [4]=FAIL [5]=FAIL [5-quiet]=INCONCLUSIVE)
pids=

cleanup() {
	local pid
	for pid in $pids; do
		kill "$pid" 2>/dev/null || :
	done
	for pid in $pids; do
		while kill -0 "$pid" 2>/dev/null; do
			sleep 0.05
		done
	done
	pids=
}
trap 'cleanup; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

bold= dim= plain=
if [ -t 1 ]; then
	bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'
fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

if [ "$(id -u)" != 0 ]; then
	echo "make demo attaches uprobes: run it as root" >&2
	exit 1
fi

build_id() { readelf -n "$1" | sed -n 's/.*Build ID: //p' | head -c 10; }

# serve VERSION EXECUTABLE BAD-PERCENT: the service, by a name that no other has, and its traffic
serve() {
	local dir=$work/$1 port=
	mkdir -p "$dir"
	cp "$2" "$dir/$name"
	: >"$dir/out"   # read below, maybe before the service has opened it
	"$dir/$name" --threads 4 >"$dir/out" 2>&1 &
	pids="$! $pids"
	for _ in $(seq 200); do
		port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/out")
		[ -z "$port" ] || break
		sleep 0.05
	done
	[ -n "$port" ] || { echo "the service $1 did not start" >&2; return 1; }
	"$targets/orderload" --port "$port" --rate 1500 --seconds 100 --bad-percent "$3" --unknown-percent 1 >"$dir/load" 2>&1 &
	pids="$! $pids"
}

# verify VERSION: the verdict's line goes to $work/verdict.VERSION
verify() {
	local v=$1 n=${1%-quiet} base cand rc=0 bad=3
	[ "$v" = "$n" ] || bad=0
	serve v1 "$targets/orderd" "$bad"
	serve "v$n" "$targets/orderd-v$n/orderd" "$bad"
	base=$(build_id "$work/v1/$name") cand=$(build_id "$work/v$n/$name")
	set -- verify -s "$name" --patch "$fixes/v$n.diff" --baseline "build:$base" --candidate "build:$cand" --function checkout \
		--trigger 'o->qty == 0 && o->coupon == "HALF"' --expect gone --guard "${guard[$v]:-error_rate < +25 %}" \
		--guard 'no new error values' --lines "${lines[$v]:-all}" --for "${limit[$v]:-35s}"
	printf '%s$ plumb' "$dim"
	printf " %s" "${@@Q}" | sed "s| '\([-A-Za-z0-9_.:/]*\)'| \1|g"
	printf '%s\n' "$plain"
	"$build/plumb" "$@" >"$work/report" || rc=$?
	cat "$work/report"
	case $rc in 0 | 1 | 3) ;; *) return 1 ;; esac
	grep -m1 -E '^(PASS|FAIL|INCONCLUSIVE)' "$work/report" >"$work/verdict.$v"
	cleanup
}

# A checkout takes 4 us and the probes add 2 us to it: a latency guard with a narrow margin would be blocked, for that reason. So would be any while
# v4's new lines are counted, which are a loop.
declare -A limit=([5-quiet]=10s) guard=([4]="latency p90 < +300 %") lines=([4]=none)
say "An order service refuses orders of no items with the coupon HALF (checkout returns -EINVAL). Its fixes:"
for v in $versions; do
	say "v$v: ${what[$v]}"
	verify "$v"
done

say "The verdicts"
wrong=0
for v in $versions; do
	read -r verdict reason <"$work/verdict.$v"
	printf '%sv%-7s  %-12s%s  %s: %s\n' "$bold" "$v" "$verdict" "$plain" "${what[$v]}" "$reason"
	[ "$verdict" = "${due[$v]}" ] || { echo "    it should be ${due[$v]}"; wrong=1; }
done
exit $wrong

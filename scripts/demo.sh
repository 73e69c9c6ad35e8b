#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make demo: a small multi-threaded service with a bug that shows for some orders; plumb finds the call that fails,
# and with which argument, while the service runs.  Under a minute, no input, cleans up after itself.
set -eu

build=${1:-build}
work=$(mktemp -d)
service= load=

cleanup() {
	for pid in $load $service; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# Every step is a command that you can type yourself.
run() {
	printf "\033[2m$ plumb"
	printf " %s" "${@@Q}" | sed "s| '\([-A-Za-z0-9_.]*\)'| \1|g"
	printf "\033[0m\n"
	"$build/plumb" "$@"
}

if [ "$(id -u)" != 0 ]; then
	echo "make demo attaches uprobes: run it as root" >&2
	exit 1
fi

"$build/targets/orderd" --port 0 --threads 4 >"$work/orderd.out" 2>&1 &
service=$!
for _ in $(seq 100); do
	port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/orderd.out")
	[ -n "$port" ] && break
	sleep 0.05
done
"$build/targets/orderload" --port "$port" --rate 400 --seconds 50 --bad-percent 2 --unknown-percent 1 >"$work/load.out" 2>&1 &
load=$!

say "An order service (orderd, pid $service) runs under traffic. Some orders fail. Which call, with which argument?"

say "1. Which functions does it have?"
run funcs -p "$service" '*order*'

say "2. How often do the steps of a checkout fail, and how long do they take?"
run stat -p "$service" --for 3s --tick 3s checkout validate_order price_order apply_coupon

say "3. The failing calls of checkout, with the order they failed for"
run trace -p "$service" --errors --limit 4 --for 15s 'checkout'

say "4. One step deeper: only calls of apply_coupon that fail, chosen arguments"
run trace -p "$service" --limit 6 --for 15s 'apply_coupon(o->id, o->qty, o->coupon, o->price.subtotal) -> $ret, $duration if $ret < 0'

say "5. Is it qty 0 with coupon HALF? Then every such call fails, and no other."
run trace -p "$service" --errors --for 3s 'apply_coupon(o->coupon, o->qty) -> $ret if o->coupon == "HALF" && o->qty > 0' || :
run trace -p "$service" --for 3s --limit 3 'apply_coupon(o->coupon, o->qty) -> $ret if o->coupon == "HALF" && o->qty == 0'

kill -0 "$service"
say "The service ran on all the time, without a restart; its probes are gone."

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [BUILD [DIR]]: a real fix in real software. Debian's redis is built without and with one of its security patches, both serve the
# same traffic, and plumb verify gets the patch as Debian has it. Source and builds stay in DIR (default: BUILD/real-fix). Root.
set -eu

build=$(realpath "${1:-build}")
mkdir -p "${2:-$build/real-fix}"
dir=$(realpath "${2:-$build/real-fix}")
patch=0002-Fix-Read-Write-key-pattern-selector-CVE-2024-51741-1.patch
pids=
trap '[ -z "$pids" ] || kill $pids 2>/dev/null || :' EXIT

private_apt() {
	apt-get -q -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/lists" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@" >>"$dir/log" 2>&1
}

fetch() {
	apt-cache madison redis-server | sed -n 's#^[^|]*|[^|]*| *\([^ ]*\) \([^ ]*\)/\([^ /]*\) [^ ]* Packages$#deb-src \1 \2 \3#p' |
		sort -u >"$dir/sources.list"
	[ -s "$dir/sources.list" ] || { echo "no package source has redis-server: apt-get update" >&2; exit 1; }
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	(cd "$dir" && private_apt update && private_apt source --download-only redis) || { tail "$dir/log" >&2; exit 1; }
	rm -rf "$dir/src"
	dpkg-source --skip-patches -x "$dir"/redis_*.dsc "$dir/src" >>"$dir/log" 2>&1
}

compile() {
	make -C "$dir/src/src" -j"$(nproc)" MALLOC=libc OPTIMIZATION=-O2 DEBUG=-g REDIS_CFLAGS=-g redis-server >>"$dir/log" 2>&1 ||
		{ tail "$dir/log" >&2; exit 1; }
	mkdir -p "$dir/$1"
	cp "$dir/src/src/redis-server" "$dir/$1/redis-fixed"
}

# Debian's patches in their order up to the one; without it is the baseline, with it the candidate.
build_both() {
	local p
	while read -r p; do
		[ "$p" != "$patch" ] || break
		patch -d "$dir/src" -sp1 <"$dir/src/debian/patches/$p"
	done <"$dir/src/debian/patches/series"
	compile before
	patch -d "$dir/src" -sp1 <"$dir/src/debian/patches/$patch"
	compile after
}

# serve ARM PORT: the server, ordinary traffic, rules that are right, one that is wrong in both, and the one that the bug accepts
serve() {
	local port=$2
	"$dir/$1/redis-fixed" --port "$port" --bind 127.0.0.1 --save '' >"$dir/$1/out" 2>&1 &
	pids="$pids $!"
	for _ in $(seq 100); do
		redis-cli -p "$port" ping >/dev/null 2>&1 && break
		sleep 0.05
	done
	redis-benchmark -p "$port" -q -c 2 -n 100000000 -t get,set >/dev/null 2>&1 &
	pids="$pids $!"
	while :; do
		printf 'ACL SETUSER app ~k* %%R~r* %%W~w*\nACL SETUSER app %%X~x\nACL SETUSER app %%\n'
		sleep 0.01
	done | redis-cli -p "$port" >/dev/null 2>&1 &
	pids="$pids $!"
}

id() { readelf -n "$dir/$1/redis-fixed" | sed -n 's/.*Build ID: //p'; }

[ -x "$dir/after/redis-fixed" ] || { fetch; build_both; }
serve before 17601
serve after 17602
# To accept the rule "%" is the error: 0 is C_OK.
"$build/plumb" verify -s redis-fixed --patch "$dir/src/debian/patches/$patch" --baseline "build:$(id before)" \
	--candidate "build:$(id after)" --function ACLSetSelector --trigger 'oplen == 1 && op[0] == 37' --error '$ret == 0' \
	--expect gone --guard 'error_rate < +25 %' --for 40s

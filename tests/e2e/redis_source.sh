#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# redis_source.sh DIR: builds redis-server from the distribution's source package with -O2 -g, as DIR/redis-server. The package's
# patches are applied in their order, and for each of bench/real-fix/fixes there is a redis-server of just before its patch and one
# of just after it, DIR/fix/NAME/{before,after}/redis-server, with the patch beside them: its line numbers are those of these sources.
# Where the source package is comes from where the binary package is; lists and source stay in DIR.
set -eu

fixes=$(cd "$(dirname "$0")/../../bench/real-fix" && pwd)/fixes
dir=$(mkdir -p "$1" && cd "$1" && pwd)
log=$dir/log
: >"$log"

fail() {
	echo "redis_source: $1" >&2
	tail -n 20 "$log" >&2
	exit 1
}

# "redis-server | VERSION | URI SUITE/COMPONENT amd64 Packages" -> "deb-src URI SUITE COMPONENT"
source_lines() {
	apt-cache madison redis-server | sed -n 's#^[^|]*|[^|]*| *\([^ ]*\) \([^ ]*\)/\([^ /]*\) [^ ]* Packages$#deb-src \1 \2 \3#p' | sort -u
}

private_apt() {
	apt-get -q -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/lists" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@" >>"$log" 2>&1
}

source_lines >"$dir/sources.list"
if [ ! -s "$dir/sources.list" ]; then
	apt-get -q update >>"$log" 2>&1 || fail "apt-get update failed"
	source_lines >"$dir/sources.list"
fi
[ -s "$dir/sources.list" ] || fail "no package source has redis-server"

mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
rm -rf "$dir/redis-src" "$dir"/redis_*
cd "$dir"
private_apt update || fail "the lists of source packages cannot be fetched"
private_apt source --download-only redis || fail "the source package of redis cannot be fetched"
src=$dir/redis-src
dpkg-source --skip-patches -x "$dir"/redis_*.dsc "$src" >>"$log" 2>&1 || fail "the source package of redis cannot be unpacked"
patches=$src/debian/patches

# compile TO: only what a patch has changed is compiled again
compile() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$src/src" -j"$(nproc)" MALLOC=libc OPTIMIZATION=-O2 DEBUG=-g REDIS_CFLAGS=-g \
		redis-server >>"$log" 2>&1 || fail "redis does not build"
	mkdir -p "$1"
	cp "$src/src/redis-server" "$1/redis-server"
}

# A later version of the package may not have a patch any more: then there is no such fix.
rm -rf "$dir/fix"
grep -v '^#' "$patches/series" | while read -r patch _; do
	[ -n "$patch" ] || continue
	name=$(sed -n "s#^\([a-z]*\) $patch\$#\1#p" "$fixes")
	[ -z "$name" ] || compile "$dir/fix/$name/before"
	patch -d "$src" -sp1 <"$patches/$patch" >>"$log" 2>&1 || fail "$patch does not apply"
	[ -z "$name" ] || compile "$dir/fix/$name/after"
	[ -z "$name" ] || cp "$patches/$patch" "$dir/fix/$name/fix.patch"
done
compile "$dir"
rm -rf "$src" "$dir"/redis_* "$dir/lists" "$dir/cache"
touch "$dir/.built"

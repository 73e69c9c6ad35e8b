#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# redis_source.sh DIR: builds redis-server from the distribution's source package with -O2 -g, as DIR/redis-server; and for each of
# bench/real-fix/fixes once more without that one patch, as DIR/without/NAME/redis-server, with the patch beside it.
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
rm -rf "$dir"/redis-*/ "$dir"/redis_*
cd "$dir"
private_apt update || fail "the lists of source packages cannot be fetched"
private_apt source redis || fail "the source package of redis cannot be fetched"
src=$(ls -d "$dir"/redis-*/)

# compile TO: what make has built before is only linked again
compile() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$src/src" -j"$(nproc)" MALLOC=libc OPTIMIZATION=-O2 DEBUG=-g REDIS_CFLAGS=-g \
		redis-server >>"$log" 2>&1 || fail "redis does not build"
	mkdir -p "$1"
	cp "$src/src/redis-server" "$1/redis-server"
}

rm -rf "$dir/without"
compile "$dir"
grep -v '^#' "$fixes" | while read -r name patch; do
	# A later version of the package may have other patches: what is not there is missed by whoever wants it.
	patch -d "$src" --dry-run -fRsp1 <"$src/debian/patches/$patch" >>"$log" 2>&1 || continue
	patch -d "$src" -Rsp1 <"$src/debian/patches/$patch"
	compile "$dir/without/$name"
	cp "$src/debian/patches/$patch" "$dir/without/$name/fix.patch"
	patch -d "$src" -sp1 <"$src/debian/patches/$patch"
done
rm -rf "$src" "$dir"/redis_* "$dir/lists" "$dir/cache"
touch "$dir/.built"

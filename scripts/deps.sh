#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing plumb needs, on Debian and its relatives; silent when all is there.
# On other distributions it lists what to install. PLUMB_NO_INSTALL=1 only checks.
set -eu

packages='gcc make pkg-config clang-19 libclang-rt-19-dev bpftool libbpf-dev libelf-dev libdw-dev zlib1g-dev
libzydis-dev libevent-dev libjansson-dev libiberty-dev libcmocka-dev'

msgpack=libmsgpack-dev

installed() {
	dpkg-query -W -f='${db:Status-Abbrev}\n' "$@" 2>/dev/null | grep -c '^ii'
}

if ! command -v dpkg-query >/dev/null 2>&1; then
	missing=
	for tool in gcc make clang-19 bpftool; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	for header in bpf/bpf.h libelf.h elfutils/libdw.h zlib.h msgpack.h Zydis/Zydis.h event2/event.h jansson.h \
		libiberty/demangle.h cmocka.h; do
		echo "#include <$header>" | ${CC:-cc} -include stdarg.h -include stddef.h -include setjmp.h -include stdint.h -E - >/dev/null 2>&1 || missing="$missing <$header>"
	done
	[ -z "$missing" ] && exit 0
	echo "plumb cannot install packages on this distribution. Missing:$missing" >&2
	echo "Debian's names of what it needs: $(echo $packages) $msgpack" >&2
	exit 1
fi

apt-cache show libmsgpack-dev >/dev/null 2>&1 || [ "$(installed libmsgpack-c-dev)" = 0 ] || msgpack=libmsgpack-c-dev
set -- $packages $msgpack
[ "$(installed "$@")" = $# ] && exit 0

missing=
for p in "$@"; do
	[ "$(installed "$p")" = 1 ] || missing="$missing $p"
done
if [ "${PLUMB_NO_INSTALL:-0}" = 1 ] || [ "$(id -u)" != 0 ]; then
	echo "plumb needs these packages:$missing" >&2
	echo "install them as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null
apt-get install -y -qq --no-install-recommends $missing >/dev/null

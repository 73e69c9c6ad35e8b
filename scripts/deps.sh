#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building plumb needs (with "test": and testing it), on Debian and its relatives; silent when all is there.
# On other distributions it lists what to install. PLUMB_NO_INSTALL=1 only checks.
set -eu
. "$(dirname "$0")/packages.sh"

packages='gcc make pkg-config clang-19 libclang-rt-19-dev bpftool libbpf-dev libelf-dev libdw-dev zlib1g-dev libdeflate-dev
libzydis-dev libevent-dev libssl-dev libsqlite3-dev libcyaml-dev libseccomp-dev libcap-ng-dev libsystemd-dev libjansson-dev libiberty-dev libcmocka-dev'
tools='gcc make clang-19 bpftool npm'
# Debian 13 has another name for it.
msgpack='libmsgpack-dev libmsgpack-c-dev'

if [ "${1:-}" = test ]; then
	packages="$packages g++ python3 redis-server redis-tools dpkg-dev binutils cppcheck clang-tidy-19 chromium prometheus iproute2 sqlite3 systemd openssl curl jq python3-yaml"
	tools="$tools g++ python3 redis-server redis-benchmark dpkg-source objcopy cppcheck clang-tidy-19 curl jq"
fi

# ---- another distribution: say what is needed ----
if ! command -v dpkg-query >/dev/null 2>&1; then
	missing=
	for tool in $tools; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	for header in bpf/bpf.h libelf.h elfutils/libdw.h zlib.h libdeflate.h msgpack.h Zydis/Zydis.h event2/event.h openssl/ssl.h sqlite3.h jansson.h cyaml/cyaml.h seccomp.h cap-ng.h systemd/sd-daemon.h \
		libiberty/demangle.h cmocka.h; do
		echo "#include <$header>" | ${CC:-cc} -include stdarg.h -include stddef.h -include setjmp.h -include stdint.h -E - >/dev/null 2>&1 || missing="$missing <$header>"
	done
	[ -z "$missing" ] && exit 0
	echo "plumb cannot install packages on this distribution. Missing:$missing" >&2
	echo "Debian's names of what it needs: $(echo $packages) ${msgpack%% *}" >&2
	exit 1
fi

# ---- Debian ----
missing=$(packages_missing $packages)
# npm comes with Node.js, from Debian or from elsewhere.
command -v npm >/dev/null 2>&1 || missing="$missing npm"
# Either name of msgpack's will do.
case "$(packages_missing $msgpack)" in
*libmsgpack-dev*libmsgpack-c-dev*) missing="$missing ${msgpack%% *}" ;;
esac
[ -z "$missing" ] && exit 0

if ! packages_may_install; then
	echo "plumb needs these packages:$missing" >&2
	echo "install them as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing" >&2
packages_begin
case "$missing" in
*libmsgpack-dev*) apt-cache show libmsgpack-dev >/dev/null 2>&1 || missing="${missing%libmsgpack-dev}libmsgpack-c-dev" ;;
esac
apt-get install -y -qq --no-install-recommends $missing >/dev/null

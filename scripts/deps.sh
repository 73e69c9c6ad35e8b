#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building plumb needs (with "test": and testing it), on Debian and its relatives; silent when all is there.
# On other distributions it lists what to install. PLUMB_NO_INSTALL=1 only checks.
set -eu

packages='gcc make pkg-config clang-19 libclang-rt-19-dev bpftool libbpf-dev libelf-dev libdw-dev zlib1g-dev libdeflate-dev
libzydis-dev libevent-dev libssl-dev libsqlite3-dev libcyaml-dev libseccomp-dev libcap-ng-dev libsystemd-dev libjansson-dev libiberty-dev libcmocka-dev'
tools='gcc make clang-19 bpftool npm'
# Debian 13 has another name for it.
msgpack='libmsgpack-dev libmsgpack-c-dev'

if [ "${1:-}" = test ]; then
	packages="$packages python3 redis-server redis-tools dpkg-dev binutils cppcheck clang-tidy-19 chromium prometheus iproute2 sqlite3 systemd openssl curl jq python3-yaml"
	tools="$tools python3 redis-server redis-benchmark dpkg-source objcopy cppcheck clang-tidy-19 curl jq"
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

# ---- Debian: one question to dpkg, and none to apt when all is there ----
installed=" $(dpkg-query -W -f='${db:Status-Abbrev}${Package} ' $packages $msgpack 2>/dev/null || true)"

has() {
	case "$installed" in
	*" ii $1 "*) return 0 ;;
	esac
	return 1
}

missing=
for p in $packages; do
	has "$p" || missing="$missing $p"
done
has libmsgpack-dev || has libmsgpack-c-dev || missing="$missing ${msgpack%% *}"
# npm comes with Node.js, from Debian or from elsewhere.
command -v npm >/dev/null 2>&1 || missing="$missing npm"
[ -z "$missing" ] && exit 0

if [ "${PLUMB_NO_INSTALL:-0}" = 1 ] || [ "$(id -u)" != 0 ]; then
	echo "plumb needs these packages:$missing" >&2
	echo "install them as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing" >&2

# Packages must not start their daemons: a redis-server of ours is a test's child, not a service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null
case "$missing" in
*libmsgpack-dev*) apt-cache show libmsgpack-dev >/dev/null 2>&1 || missing="${missing%libmsgpack-dev}libmsgpack-c-dev" ;;
esac
apt-get install -y -qq --no-install-recommends $missing >/dev/null

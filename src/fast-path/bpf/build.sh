#!/bin/sh
# Compiles the BPF objects: build.sh OUTPUT_DIRECTORY writes flow, count, reflect and sink (.bpf.o) there.
# An object that is newer than every source is left alone. Exit 3: the machine lacks something.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: build.sh OUTPUT_DIRECTORY" >&2
	exit 2
fi
output=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
lab=$here/../../lab/bpf

clang=
for candidate in clang-14 clang clang-15 clang-16 clang-19; do
	if command -v "$candidate" >/dev/null 2>&1; then
		clang=$candidate
		break
	fi
done
if [ -z "$clang" ]; then
	echo "build.sh: clang is missing; apt-get install --no-install-recommends clang-14" >&2
	exit 3
fi
if [ ! -e /usr/include/bpf/bpf_helpers.h ]; then
	echo "build.sh: bpf/bpf_helpers.h is missing; apt-get install --no-install-recommends libbpf-dev" >&2
	exit 3
fi

# The target "bpf" does not know the machine's folder for asm/types.h.
machine_headers=
for folder in "/usr/include/$(uname -m)-linux-gnu" /usr/include/*-linux-gnu /usr/include; do
	if [ -e "$folder/asm/types.h" ]; then
		machine_headers=$folder
		break
	fi
done
if [ -z "$machine_headers" ] || [ ! -e /usr/include/linux/bpf.h ]; then
	echo "build.sh: kernel headers are missing; apt-get install --no-install-recommends linux-libc-dev" >&2
	exit 3
fi

mkdir -p "$output"
temporary=$output/.new.$$.o
trap 'rm -f "$temporary"' EXIT

# compile SOURCE OBJECT [DEPENDENCY ...]
compile() {
	source=$1
	object=$2
	shift 2
	if [ -e "$object" ] &&
		[ -z "$(find "$source" "$here/build.sh" "$@" -newer "$object" -print)" ]; then
		return
	fi
	# cpu v2: v3 spills 32 bits over spilled pointers, which needs CAP_PERFMON.
	"$clang" -target bpf -mcpu=v2 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
		-I"$machine_headers" -I"$here" -c "$source" -o "$temporary"
	mv "$temporary" "$object"
}

compile "$here/flow.bpf.c" "$output/flow.bpf.o" "$here/flow-core.h" "$here/flow-maps.h"
compile "$lab/count.bpf.c" "$output/count.bpf.o"
compile "$lab/reflect.bpf.c" "$output/reflect.bpf.o"
compile "$lab/sink.bpf.c" "$output/sink.bpf.o"

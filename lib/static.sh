#!/bin/sh
# static.sh CC OUTPUT LIBRARY ROOM...: one archive with one object, whose only names are mr_*.
set -eu
cc=$1
out=$2
library=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Objects that were compiled for link-time optimisation become code here.
nolto=
"$cc" --version | grep -q 'Free Software Foundation' && nolto=-flinker-output=nolto-rel
# shellcheck disable=SC2086  # none, or one option
"$cc" -r -nostdlib $nolto -o "$work/millrace.o" -Wl,--whole-archive "$library" -Wl,--no-whole-archive \
    -Wl,--start-group "$@" -Wl,--end-group
objcopy -w --keep-global-symbol='mr_*' "$work/millrace.o"
rm -f "$out"
ar rcsD "$out" "$work/millrace.o"

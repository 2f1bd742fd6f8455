#!/bin/bash
# Install what the interop tests need into a cache folder; quick when it is all there.
#
#   MILLRACE_INTEROP_CACHE   the folder (default: ~/.cache/millrace/interop)
#
#   jars/   real Kafka with its dependencies      tools.jsa   class archive for its tools
#   next/   a later Kafka, to run as a server     venv/       Python with confluent-kafka
#   java/   our Java driver, compiled             franz       our Go program on franz-go
#   kfake   our Go program on franz-go's fake cluster, where Go is new enough
#
# Debian's packages come first (only those whose command is missing), then each part whose
# inputs changed: a part's stamp is the checksum of the files that it is made from.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLRACE_INTEROP_CACHE:-$HOME/.cache/millrace/interop}
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # two runs at once would install into each other

# changed PART FILE...: is PART older than its files?  The part writes its stamp with `made`.
changed() {
    local part=$1
    shift
    sum=$(cat "$@" | sha256sum | cut -d' ' -f1)
    [ "$(cat "$cache/$part.stamp" 2>/dev/null)" != "$sum" ]
}
made() { echo "$sum" >"$cache/$1.stamp"; }
say() { echo "interop set-up: $*" >&2; }

# --- Debian -----------------------------------------------------------------------------------
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need kcat kcat
need javac default-jdk-headless
need mvn maven
need go golang-go
need zstd zstd
need ip iproute2
need python3 python3
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
    say "Debian packages ${missing[*]}"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
fi

# --- Kafka and the Java driver ----------------------------------------------------------------
# copy_jars PART OPTION...: what pom.xml names
copy_jars() {
    local part=$1
    shift
    changed "$part" "$here/pom.xml" || return 0
    say "Kafka's jars ($part)"
    rm -rf "${cache:?}/$part"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$cache/$part" "$@" \
        >"$cache/maven.log" 2>&1 || { cat "$cache/maven.log" >&2 && exit 1; }
    made "$part"
}
copy_jars jars
copy_jars next -Dkafka.version=4.4.0
if compgen -G "$here/java/*.java" >/dev/null && changed java "$here/pom.xml" "$here"/java/*.java; then
    say "Java driver"
    rm -rf "$cache/java"
    javac -Xlint:all,-processing,-classfile -Werror -d "$cache/java" -cp "$cache/jars/*" "$here"/java/*.java
    made java
fi

# The classes that every console tool loads, mapped instead of parsed: a third off each start.
if changed cds "$here/pom.xml"; then
    say "class archive for the tools"
    printf 'default.api.timeout.ms=300\nrequest.timeout.ms=200\n' >"$cache/hasty.properties"
    java -XX:+UseSerialGC -Xlog:disable -XX:ArchiveClassesAtExit="$cache/tools.jsa" -cp "$cache/jars/*" \
        org.apache.kafka.tools.TopicCommand --list --bootstrap-server 127.0.0.1:1 \
        --command-config "$cache/hasty.properties" >/dev/null 2>&1 || true # nobody listens there: it ends with a time-out
    [ -s "$cache/tools.jsa" ]
    made cds
fi

# --- confluent-kafka for Python ---------------------------------------------------------------
if changed venv "$here/requirements.txt" || ! "$cache/venv/bin/python3" -c 'import confluent_kafka' 2>/dev/null; then
    say "confluent-kafka"
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" >&2
    made venv
fi

# --- franz-go ---------------------------------------------------------------------------------
if changed franz "$here"/go/go.mod "$here"/go/go.sum "$here"/go/*.go; then
    say "franz-go program"
    (cd "$here/go" && go build -buildvcs=false -o "$cache/franz" .)
    made franz
fi
kfake_go=$(sed -n 's/^go 1\.\([0-9]*\).*/\1/p' "$here/kfake/go.mod")
have_go=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
if [ "${have_go:-0}" -ge "$kfake_go" ] && changed kfake "$here"/kfake/go.mod "$here"/kfake/go.sum "$here"/kfake/*.go; then
    say "kfake program"
    (cd "$here/kfake" && go build -buildvcs=false -o "$cache/kfake" .)
    made kfake
fi

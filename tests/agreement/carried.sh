#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# carried.sh [NAME...]: builds two releases each of C libraries whose source npm packages carry whole,
# as build.sh does with Debian's: releases further apart, where layouts do change.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/staunch/agreement
flags="-g -O2 -fPIC -shared -fstack-protector-strong -Wl,-z,relro -Wl,--build-id"

sqlite() { $1 $flags -w -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_JSON1 -DSQLITE_ENABLE_RTREE deps/sqlite3/sqlite3.c -o "$2/libsqlite3.so" -lm; }
tree_sitter() { $1 $flags -w -Ivendor/tree-sitter/lib/include -Ivendor/tree-sitter/lib/src vendor/tree-sitter/lib/src/lib.c -o "$2/libtree-sitter.so"; }
rdkafka() {
        (cd deps/librdkafka && CC=$1 ./configure --disable-ssl --disable-gssapi --disable-curl --disable-zstd --disable-lz4-ext \
                --disable-zlib --disable-syslog && nice make -j"${JOBS:-1}" -C src CC="$1") > "$2/log" 2>&1
        cp deps/librdkafka/src/librdkafka.so.1 "$2/"
}

# NAME NPM-PACKAGE OLD NEW RECIPE
table="
sqlite-3.42-3.43      better-sqlite3 8.5.0  8.6.0  sqlite
sqlite-3.43.0-3.43.1  better-sqlite3 8.6.0  8.7.0  sqlite
sqlite-3.43.1-3.43.2  better-sqlite3 8.7.0  9.0.0  sqlite
sqlite-3.44.0-3.44.2  better-sqlite3 9.1.1  9.2.0  sqlite
sqlite-3.44.2-3.45.1  better-sqlite3 9.2.0  9.4.0  sqlite
sqlite-3.45.1-3.45.3  better-sqlite3 9.4.0  9.6.0  sqlite
tree-sitter-0.20-0.21 tree-sitter    0.20.6 0.21.0 tree_sitter
tree-sitter-0.21.0-1  tree-sitter    0.21.0 0.21.1 tree_sitter
librdkafka-2.1-2.2    node-rdkafka   2.16.0 2.17.0 rdkafka
librdkafka-1.9-2.0    node-rdkafka   2.14.6 2.15.0 rdkafka
"

side() { # NAME NPM VERSION RECIPE COMPILER old|new
        out=$cache/build/$1/$6 work=$cache/work/$1
        rm -rf "$out" "$work"
        mkdir -p "$out" "$work" "$cache/source"
        tarball=$cache/source/$2-$3.tgz
        [ -e "$tarball" ] || (cd "$cache/source" && npm pack --silent "$2@$3" > /dev/null)
        tar xzf "$tarball" -C "$work" --strip-components=1
        (cd "$work" && "$4" "$5" "$out")
        printf '%s\n' "$2 $3" > "$out/version"
        rm -rf "$work"
}

failed=0
printf '%s\n' "$table" | while read -r name npm old new recipe; do
        [ "$name" ] || continue
        case " $* " in *" $name "* | "  ") ;; *) continue ;; esac
        for compiler in gcc clang; do
                command -v $compiler > /dev/null || continue
                full=$name-$compiler
                [ -e "$cache/build/$full/.done" ] && continue
                printf '%s: build\n' "$full" >&2
                if side "$full" "$npm" "$old" "$recipe" $compiler old && side "$full" "$npm" "$new" "$recipe" $compiler new; then
                        touch "$cache/build/$full/.done"
                else
                        printf '%s: does not build\n' "$full" >&2
                        failed=1
                fi
        done
        [ $failed = 0 ]
done

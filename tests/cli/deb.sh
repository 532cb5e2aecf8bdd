#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Packages as OLD and NEW: pairs by path and by soname, debug symbols beside the package.
. "$(dirname "$0")/lib.sh"
command -v dpkg-deb >/dev/null || { echo "dpkg-deb is missing"; exit 77; }

compile_pair server <<'C'
#ifndef NEW
#define NEW 0
#endif
__attribute__((noinline)) int answer(int x) { return x * 7 % 5 + NEW; }
int main(int argc, char **argv) { (void)argv; return answer(argc); }
C
compile_pair lib -g -shared -fPIC -Wl,-soname,libdemo.so.1 <<'C'
struct thing {
        int a;
#ifdef NEW
        int b;
#endif
        int c;
};
int demo(struct thing *t);
int demo(struct thing *t) { return t->c; }
C
compile_pair gone <<'C'
int main(void) { return 0; }
C

package() { # package FOLDER VERSION LIBRARY-VERSION [NAME]
        root=$tmp/root-$1
        mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib"
        printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\nDescription: test\n' \
                "${4:-demo}" "$2" >"$root/DEBIAN/control"
        cp "$tmp/$1/server" "$root/usr/bin/server"
        cp "$tmp/$1/lib" "$root/usr/lib/libdemo.so.$3"
        strip "$root/usr/lib/libdemo.so.$3"
        echo text >"$root/usr/bin/script"
}
symbols() { # symbols FOLDER VERSION
        root=$tmp/dbg-$1
        id=$(readelf -n "$tmp/$1/lib" | sed -n 's/.*Build ID: //p')
        folder=$root/usr/lib/debug/.build-id/$(echo "$id" | cut -c 1-2)
        mkdir -p "$root/DEBIAN" "$folder"
        printf 'Package: demo-dbgsym\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\nDescription: test\n' \
                "$2" >"$root/DEBIAN/control"
        objcopy --only-keep-debug "$tmp/$1/lib" "$folder/$(echo "$id" | cut -c 3-).debug"
        dpkg-deb --root-owner-group -b "$root" "$tmp/demo-dbgsym_$2_amd64.deb" >/dev/null
}
package old 1.0 1.0.0
cp "$tmp/old/gone" "$tmp/root-old/usr/bin/gone"
dpkg-deb --root-owner-group -b "$tmp/root-old" "$tmp/demo_1.0_amd64.deb" >/dev/null
package new 1.1 1.0.1
dpkg-deb --root-owner-group -b "$tmp/root-new" "$tmp/demo_1.1_amd64.deb" >/dev/null
old=$tmp/demo_1.0_amd64.deb new=$tmp/demo_1.1_amd64.deb

expect 3 diff --json "$old" "$new"
shape diff
value "[p['file'] for p in j['pairs']]" "['/usr/bin/server', '/usr/lib/libdemo.so.1.0.1']"
value "j['pairs'][1]['old']['path']" /usr/lib/libdemo.so.1.0.0
value "j['pairs'][0]['verdict']" hotpatch
value "j['pairs'][1]['verdict']" restart
value "j['only_old']" "['/usr/bin/gone']"
value "j['only_new']" "[]"
value "any(f['code'] == 'layout-changed' for f in j['pairs'][1]['findings'])" False
expect 3 diff "$old" "$new"
says 'demo 1.0 -> 1.1'
says 'only in the old package: /usr/bin/gone'

# Debug symbols beside the packages, or given.
symbols old 1.0
symbols new 1.1
expect 3 diff --json "$old" "$new"
value "any(f['code'] == 'layout-changed' for f in j['pairs'][1]['findings'])" True
expect 3 diff --json --no-debug "$old" "$new"
value "any(f['code'] == 'layout-changed' for f in j['pairs'][1]['findings'])" False
mkdir "$tmp/symbols"
mv "$tmp"/demo-dbgsym_*.deb "$tmp/symbols"
expect 3 diff --json --debug-old "$tmp/symbols/demo-dbgsym_1.0_amd64.deb" --debug-new "$tmp/symbols/demo-dbgsym_1.1_amd64.deb" \
        "$tmp/old/lib" "$tmp/new/lib"
value "any(f['code'] == 'layout-changed' for f in j['pairs'][0]['findings'])" True
expect 1 diff --debug-old "$tmp/symbols/demo-dbgsym_1.1_amd64.deb" "$tmp/old/server" "$tmp/new/server"
complains 'no debug information for this build-id'

# Patches of packages go into a folder.
expect 2 build "$old" "$new" -o "$tmp/patch"
complains 'existing folder'
mkdir "$tmp/patches"
expect 3 build --json "$old" "$new" -o "$tmp/patches"
shape builds
value "[p['patch'] is not None for p in j['patches']]" "[True, False]"
[ "$(ls "$tmp/patches")" = server.staunch ] || fail "patches: $(ls "$tmp/patches")"
expect 0 show --json "$tmp/patches/server.staunch"
value "(j['old']['version'], j['new']['version'], j['new']['path'])" "('1.0', '1.1', '/usr/bin/server')"

# What does not go together.
expect 1 diff "$old" "$tmp/new/server"
complains 'give two packages or two ELF files'
expect 1 diff "$tmp/old/server" "$new"
complains 'give two packages or two ELF files'
sed -i 's/^Package: .*/Package: another/' "$tmp/root-new/DEBIAN/control"
dpkg-deb --root-owner-group -b "$tmp/root-new" "$tmp/another_1.1_amd64.deb" >/dev/null
expect 1 diff "$old" "$tmp/another_1.1_amd64.deb"
complains 'two versions of one package'
head -c 300 "$old" >"$tmp/cut.deb"
expect 1 diff "$tmp/cut.deb" "$new"
complains 'cut.deb'
# Two files of one name get a patch each, and a file that is broken costs the others nothing.
for version in old new; do
        mkdir -p "$tmp/root-$version/usr/lib/a" "$tmp/root-$version/usr/lib/b"
        cp "$tmp/$version/server" "$tmp/root-$version/usr/lib/a/plug.so"
        objcopy --add-section .other="$tmp/$version/server" "$tmp/$version/server" \
                "$tmp/root-$version/usr/lib/b/plug.so"
        head -c 1000 "$tmp/$version/server" >"$tmp/root-$version/usr/lib/b/broken"
        sed -i 's/^Package: .*/Package: demo/' "$tmp/root-$version/DEBIAN/control"
        dpkg-deb --root-owner-group -b "$tmp/root-$version" "$tmp/many-$version.deb" >/dev/null
done
expect 1 diff --json "$tmp/many-old.deb" "$tmp/many-new.deb"
shape diff
complains '/usr/lib/b/broken: '
value "len(j['pairs'])" 4
expect 1 diff "$tmp/many-old.deb" "$tmp/many-new.deb"
says '/usr/lib/a/plug.so  *hotpatch'
mkdir "$tmp/many"
expect 1 build "$tmp/many-old.deb" "$tmp/many-new.deb" -o "$tmp/many"
complains '/usr/lib/b/broken: '
for name in server usr-lib-a-plug.so usr-lib-b-plug.so; do
        [ -s "$tmp/many/$name.staunch" ] || fail "no patch $name.staunch"
done
finish

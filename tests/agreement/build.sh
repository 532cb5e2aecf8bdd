#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh SOURCE...: builds the two newest versions of each source package that the archive offers,
# with the package's own rules, its own flags and debug information, and keeps the ELF files:
#   $cache/build/SOURCE/VERSION/PATH-IN-THE-BUILD-TREE
# What is there already is not built again. The cache is outside the repository.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/staunch/agreement
say() { printf '%s\n' "$*" >&2; }

# An apt of our own beside the system's: the same mirrors, read from its configuration, with sources.
prepare_apt() {
        mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial" "$cache/apt/parts"
        for f in /etc/apt/sources.list.d/*.sources; do
                [ -e "$f" ] && grep -q 'Suites:.*bookworm' "$f" &&
                        sed 's/^Types: deb$/Types: deb deb-src/' "$f" > "$cache/apt/parts/$(basename "$f")"
        done
        if [ -s /etc/apt/sources.list ]; then
                sed -n 's/^deb \(.*bookworm.*\)/deb \1\ndeb-src \1/p' /etc/apt/sources.list > "$cache/apt/parts/system.list"
        fi
        cat > "$cache/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$cache/apt/parts";
Dir::State::lists "$cache/apt/lists";
Dir::Cache "$cache/apt";
APT::Sandbox::User "root";
CONF
        export APT_CONFIG="$cache/apt/apt.conf"
        apt-get update -qq
}

# The two newest versions, older first.
versions() {
        apt-cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -u |
                while read -r v; do printf '%s\n' "$v"; done > "$cache/versions.$1"
        # sort -V agrees with dpkg on the versions of one package's updates
        sort -V "$cache/versions.$1" | tail -2
        rm -f "$cache/versions.$1"
}

is_elf_to_keep() {
        case $(od -An -N18 -tx1 "$1" 2>/dev/null | tr -d ' \n') in
        7f454c460201????????????????????0[23]00) return 0 ;;
        esac
        return 1
}

build_one() {
        package=$1 version=$2
        plain=$(printf '%s' "$version" | tr ':~+' '___')
        out=$cache/build/$package/$plain
        [ -e "$out/.done" ] && return 0
        # The same path for both versions: paths are in the binaries.
        work=$cache/work/$package
        rm -rf "$work" "$out"
        mkdir -p "$work" "$out"
        say "$package $version: fetch"
        (cd "$work" && apt-get source -qq --download-only "$package=$version") > "$out/log" 2>&1 || { say "$package $version: not fetched"; return 1; }
        (cd "$work" && dpkg-source -x ./*.dsc tree) >> "$out/log" 2>&1 || { say "$package $version: not unpacked"; return 1; }
        if ! (cd "$work/tree" && dpkg-checkbuilddeps -A 2>/dev/null || dpkg-checkbuilddeps -B) > /dev/null 2>&1; then
                say "$package: install what it needs to build"
                DEBIAN_FRONTEND=noninteractive apt-get build-dep -qq -y --arch-only --no-install-recommends \
                        -o DPkg::Lock::Timeout=300 "$package=$version" >> "$out/log" 2>&1 ||
                        { say "$package: its build dependencies cannot be installed"; return 1; }
        fi
        say "$package $version: build"
        (cd "$work/tree" && DEB_BUILD_OPTIONS="nocheck nodoc nostrip parallel=${JOBS:-1}" DEB_BUILD_PROFILES="nocheck nodoc" \
                nice dpkg-buildpackage -B -T build-arch -uc -us --no-check-builddeps) >> "$out/log" 2>&1 ||
                { say "$package $version: does not build; see $out/log"; return 1; }
        (cd "$work/tree" && find . -type f -size +4k ! -name '*.o' ! -path '*/test*' ! -path '*/CMakeFiles/*' ! -path './debian/*/usr/*') |
                while read -r f; do
                        is_elf_to_keep "$work/tree/$f" || continue
                        mkdir -p "$out/$(dirname "$f")"
                        cp "$work/tree/$f" "$out/$f"
                done
        rm -rf "$work"
        touch "$out/.done"
}

prepare_apt
failed=0
for package in "$@"; do
        for version in $(versions "$package"); do
                build_one "$package" "$version" || failed=1
        done
done
exit $failed

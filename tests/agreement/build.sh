#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh SOURCE...: builds two versions of each Debian source package, with the package's own rules,
# its own flags and debug information, and keeps the ELF files:
#   $cache/build/SOURCE/{old,new}/PATH-IN-THE-BUILD-TREE, and the versions in .../version
# The versions are the two newest whose sources the archive still has; where it has one only, the older
# is that one without the patches of its last update. What is there already is not built again. The
# cache is outside the repository.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/staunch/agreement
say() { printf '%s\n' "$*" >&2; }

# An apt of our own beside the system's: the same mirrors, read from its configuration, with sources.
prepare_apt() {
        mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial" "$cache/apt/parts"
        for f in /etc/apt/sources.list.d/debian*.sources; do
                [ -e "$f" ] && sed 's/^Types: deb$/Types: deb deb-src/' "$f" > "$cache/apt/parts/$(basename "$f")"
        done
        if [ -s /etc/apt/sources.list ]; then
                sed -n 's/^deb \(.*\)/deb \1\ndeb-src \1/p' /etc/apt/sources.list > "$cache/apt/parts/system.list"
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

# Versions in the archive's lists, newest first.
versions() {
        apt-cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -u | sort -rV
}

fetch() { # PACKAGE VERSION -> directory with the .dsc
        dir=$cache/source/$1/$(printf '%s' "$2" | tr ':~+' '___')
        if [ ! -e "$dir/.done" ]; then
                rm -rf "$dir"
                mkdir -p "$dir"
                (cd "$dir" && apt-get source -qq --download-only "$1=$2") > "$dir/log" 2>&1 || { rm -rf "$dir"; return 1; }
                touch "$dir/.done"
        fi
        printf '%s\n' "$dir"
}

is_elf_to_keep() { # 64-bit, a program or a shared object
        case $(od -An -N18 -tx1 "$1" 2>/dev/null | tr -d ' \n') in
        7f454c460201????????????????????0[23]00) return 0 ;;
        esac
        return 1
}

build_one() { # PACKAGE VERSION SOURCE-DIRECTORY old|new before?
        package=$1 version=$2 source=$3 out=$cache/build/$1/$4 before=$5
        # The same path for both versions: paths are in the binaries.
        work=$cache/work/$package
        rm -rf "$work" "$out"
        mkdir -p "$work" "$out"
        (cd "$work" && dpkg-source --skip-patches -x "$source"/*.dsc tree) > "$out/log" 2>&1 || { say "$package $version: not unpacked"; return 1; }
        if [ "$before" ]; then
                dropped=$(python3 "$here/before.py" "$work/tree") || { say "$package $version: its last update has no patches"; return 1; }
                version="$version without its last update ($dropped)"
        fi
        if ! (cd "$work/tree" && dpkg-checkbuilddeps -B) > /dev/null 2>&1; then
                say "$package: install what it needs to build"
                DEBIAN_FRONTEND=noninteractive apt-get build-dep -qq -y --arch-only --no-install-recommends \
                        -o DPkg::Lock::Timeout=600 "$package=$2" >> "$out/log" 2>&1 ||
                        { say "$package: its build dependencies cannot be installed"; return 1; }
        fi
        # -T leaves the patches to the caller
        (cd "$work" && dpkg-source --before-build tree) >> "$out/log" 2>&1 || { say "$package $version: patches do not apply"; return 1; }
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
        printf '%s\n' "$version" > "$out/version"
}

build_pair() {
        package=$1 newest='' newest_dir='' older='' older_dir=''
        [ -e "$cache/build/$package/.done" ] && return 0
        for v in $(versions "$package"); do
                d=$(fetch "$package" "$v") || continue
                if [ -z "$newest" ]; then
                        newest=$v newest_dir=$d
                else
                        older=$v older_dir=$d
                        break
                fi
        done
        [ "$newest" ] || { say "$package: the archive has no source for it"; return 1; }
        if [ "$older" ]; then
                build_one "$package" "$older" "$older_dir" old '' || return 1
        else
                build_one "$package" "$newest" "$newest_dir" old before || return 1
        fi
        build_one "$package" "$newest" "$newest_dir" new '' || return 1
        touch "$cache/build/$package/.done"
}

prepare_apt
failed=0
for package in "$@"; do
        build_pair "$package" || failed=1
done
exit $failed

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a .deb for the tests: make-deb.py OUT COMPRESSION ARCHIVE-PATH=FILE..."""
import bz2
import gzip
import io
import lzma
import sys
import tarfile

PACK = {'none': ('', bytes), 'gz': ('.gz', lambda b: gzip.compress(b, mtime=0)), 'xz': ('.xz', lzma.compress),
        'lzma': ('.lzma', lambda b: lzma.compress(b, lzma.FORMAT_ALONE)), 'bz2': ('.bz2', bz2.compress)}
CONTROL = b'Package: fixture\nVersion: 1:2.3-4\nArchitecture: amd64\nDescription: for tests\n Version: 9\n'


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.GNU_FORMAT) as t:
        for path, data in files:
            info = tarfile.TarInfo(path)
            if data is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
            else:
                info.size = len(data)
            t.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return out.getvalue()


def member(name, data):
    header = f'{name:<16}{0:<12}{0:<6}{0:<6}{"100644":<8}{len(data):<10}`\n'
    return header.encode() + data + b'\n' * (len(data) % 2)


def main():
    out, (suffix, pack) = sys.argv[1], PACK[sys.argv[2]]
    files = [('./', None), ('./usr/', None), ('./usr/share/note', b'no ELF'), ('./usr/bin/link', 'program')]
    for pair in sys.argv[3:]:
        path, source = pair.split('=', 1)
        with open(source, 'rb') as f:
            files.append((path, f.read()))
    with open(out, 'wb') as f:
        f.write(b'!<arch>\n' + member('debian-binary', b'2.0\n'))
        f.write(member('control.tar' + suffix, pack(tar([('./', None), ('./control', CONTROL)]))))
        f.write(member('data.tar' + suffix, pack(tar(files))))


main()

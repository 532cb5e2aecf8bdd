/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/image-parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { NOTES_MAX = 1 << 20 };

int image_parse_build_id(const char *path, Cursor notes, uint64_t align, BuildId *out, Error *e) {
        align = align == 8 ? 8 : 4;
        while (cursor_left(&notes) >= 12) {
                uint32_t name_size = cursor_u32(&notes), size = cursor_u32(&notes), type = cursor_u32(&notes);
                const uint8_t *name = cursor_take(&notes, name_size), *bytes;

                cursor_seek(&notes, align_up(notes.at, align));
                bytes = cursor_take(&notes, size);
                if (notes.failed)
                        break;
                if (type == NT_GNU_BUILD_ID && name_size == 4 && memcmp(name, "GNU", 4) == 0) {
                        if (size > BUILD_ID_MAX)
                                return error_set(e, -EBADMSG, "%s: build-id of %" PRIu32 " bytes", path,
                                                 size);
                        memcpy(out->bytes, bytes, size);
                        out->n = size;
                        return 0;
                }
                /* The padding behind the last note is often missing. */
                cursor_seek(&notes, MIN(align_up(notes.at, align), notes.size));
        }
        if (notes.failed)
                return error_set(e, -EBADMSG, "%s: notes: cut short", path);
        return 0;
}

static int read_at(int fd, const char *name, void *to, size_t size, uint64_t offset, Error *e) {
        size_t at = 0;

        if (offset > INT64_MAX - size)
                return error_set(e, -EBADMSG, "%s: offset %#" PRIx64 ": beyond the end of the file", name,
                                 offset);
        while (at < size) {
                ssize_t n = pread(fd, (uint8_t *)to + at, size - at, (off_t)(offset + at));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_errno(e, -errno, "%s: read at %#" PRIx64, name, offset + at);
                if (n == 0)
                        return error_set(e, -EBADMSG, "%s: offset %#" PRIx64 ": beyond the end of the file",
                                         name, offset + at);
                at += (size_t)n;
        }
        return 0;
}

static int read_notes(int fd, const char *name, uint64_t offset, uint64_t size, uint64_t align, BuildId *out,
                      Error *e) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        int r;

        if (size == 0)
                return 0;
        if (size > NOTES_MAX)
                return error_set(e, -EBADMSG, "%s: %" PRIu64 " bytes of notes are over the limit", name,
                                 size);
        bytes = malloc(size);
        if (!bytes)
                return error_errno(e, -ENOMEM, "%s", name);
        r = read_at(fd, name, bytes, size, offset, e);
        if (r < 0)
                return r;
        return image_parse_build_id(name, cursor_make(bytes, size), align, out, e);
}

/* As much of the ELF header as is there: a short file is "not ELF" rather than a read error. */
static int read_header(int fd, const char *name, uint8_t to[sizeof(Elf64_Ehdr)], Error *e) {
        size_t at = 0;

        while (at < sizeof(Elf64_Ehdr)) {
                ssize_t n = pread(fd, to + at, sizeof(Elf64_Ehdr) - at, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_errno(e, -errno, "%s: read", name);
                if (n == 0)
                        break;
                at += (size_t)n;
        }
        return image_check_header(name, cursor_make(to, at), e);
}

int image_build_id_fd(int fd, const char *name, BuildId *out, Error *e) {
        uint8_t header[sizeof(Elf64_Ehdr)];
        _cleanup_(freep) uint8_t *table = NULL;
        uint64_t offset;
        uint16_t entry, n;
        BuildId id = { 0 };
        Cursor c;
        int r;

        r = read_header(fd, name, header, e);
        if (r != 0)
                return r;
        c = cursor_make(header, sizeof(header));
        cursor_seek(&c, offsetof(Elf64_Ehdr, e_phoff));
        offset = cursor_u64(&c);
        cursor_seek(&c, offsetof(Elf64_Ehdr, e_phentsize));
        entry = cursor_u16(&c);
        n = cursor_u16(&c);
        if (offset != 0 && n != 0) {
                if (entry != sizeof(Elf64_Phdr))
                        return error_set(e, -EBADMSG, "%s: program header size %u", name, entry);
                table = malloc((size_t)n * sizeof(Elf64_Phdr));
                if (!table)
                        return error_errno(e, -ENOMEM, "%s", name);
                r = read_at(fd, name, table, (size_t)n * sizeof(Elf64_Phdr), offset, e);
                if (r < 0)
                        return r;
        } else {
                n = 0;
        }
        for (size_t i = 0; i < n && id.n == 0; i++) {
                uint64_t notes, size, align;

                c = cursor_make(table + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
                if (cursor_u32(&c) != PT_NOTE)
                        continue;
                cursor_seek(&c, offsetof(Elf64_Phdr, p_offset));
                notes = cursor_u64(&c);
                cursor_seek(&c, offsetof(Elf64_Phdr, p_filesz));
                size = cursor_u64(&c);
                cursor_seek(&c, offsetof(Elf64_Phdr, p_align));
                align = cursor_u64(&c);
                r = read_notes(fd, name, notes, size, align, &id, e);
                if (r < 0)
                        return r;
        }
        *out = id;
        return 0;
}

bool build_id_equal(const BuildId *a, const BuildId *b) {
        return a->n && a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

const char *build_id_text(const BuildId *id, char out[2 * BUILD_ID_MAX + 1]) {
        static const char digits[] = "0123456789abcdef";
        size_t n = MIN(id->n, (size_t)BUILD_ID_MAX);

        for (size_t i = 0; i < n; i++) {
                out[2 * i] = digits[id->bytes[i] >> 4];
                out[2 * i + 1] = digits[id->bytes[i] & 15];
        }
        out[2 * n] = 0;
        return out;
}

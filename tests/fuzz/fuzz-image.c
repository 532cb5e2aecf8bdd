/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "elf/image.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(a, n) ((void)(a), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(a, n) ((void)(a), (void)(n))
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static volatile size_t sink;

static void check_symbols(const ImageSymbol *symbols, size_t n) {
        for (size_t i = 0; i < n; i++)
                sink += symbols[i].name[0] + symbols[i].version[0] +
                        (unsigned char)symbols[i].name[strnlen(symbols[i].name, 64)];
}

/* What every caller takes for granted of an image that was read. */
static void check_image(const Image *image) {
        CHECK(image->n_segments > 0 && image->lo < image->hi && image->machine == EM_X86_64);
        for (size_t i = 0; i < image->n_segments; i++) {
                const ImageSegment *s = &image->segments[i];

                CHECK(s->addr >= image->lo && s->addr + s->size <= image->hi && s->size > 0);
                CHECK(i == 0 || s->addr >= s[-1].addr + s[-1].size);
                CHECK(image_segment_at(image, s->addr + s->size - 1) == s);
                if (s->file_size) {
                        const uint8_t *p = image_bytes(image, s->addr, s->file_size);

                        CHECK(p && p >= image->file.bytes &&
                              s->file_size <= (size_t)(image->file.bytes + image->file.size - p));
                        CHECK(!image_bytes(image, s->addr, s->file_size + 1));
                }
        }
        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];

                sink += strlen(s->name);
                if (s->bytes && s->size)
                        sink += s->bytes[0] + s->bytes[s->size - 1];
                if (image_section_at(image, s->addr) == s)
                        CHECK(image_section_at(image, s->addr + s->size - 1) == s);
        }
        check_symbols(image->dynsyms, image->n_dynsyms);
        check_symbols(image->syms, image->n_syms);
        for (size_t i = 0; i < image->n_relocs; i++) {
                const ImageReloc *r = &image->relocs[i];

                CHECK(i == 0 || r[-1].addr <= r->addr);
                CHECK(r->symbol == 0 || r->symbol < image->n_dynsyms);
                CHECK(image_segment_at(image, r->addr) && image_reloc_at(image, r->addr)->addr == r->addr);
                CHECK(image_reloc_from(image, r->addr) <= i);
        }
        for (size_t i = 0; i < image->n_fdes; i++) {
                const ImageFde *f = &image->fdes[i];

                CHECK(f->size > 0 && (i == 0 || f->addr >= f[-1].addr + f[-1].size));
                CHECK(image_segment_at(image, f->addr) == image_segment_at(image, f->addr + f->size - 1));
                CHECK(image_fde_at(image, f->addr + f->size - 1) == f);
        }
        for (size_t i = 0; i < image->n_plts; i++) {
                const ImagePlt *p = &image->plts[i];

                CHECK(image_plt_at(image, p->addr) == p && image_reloc_at(image, p->got));
                CHECK(p->symbol == 0 || p->symbol < image->n_dynsyms);
        }
        for (size_t i = 0; i < image->n_needed; i++)
                sink += strlen(image->needed[i]);
        sink += image->soname ? strlen(image->soname) : 0;
        sink += image->interp ? strlen(image->interp) : 0;
        sink += image->debug_link ? strlen(image->debug_link) : 0;
        CHECK(image->build_id.n <= BUILD_ID_MAX);
}

/* The build-id alone, read through a descriptor. */
static void read_build_id(const uint8_t *bytes, size_t size) {
        _cleanup_(closep) int fd = memfd_create("input", MFD_CLOEXEC);
        BuildId id = { 0 };
        Error e = { 0 };
        int r;

        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
                return;
        r = image_build_id_fd(fd, "input", &id, &e);
        CHECK(r == 0 ? id.n <= BUILD_ID_MAX : id.n == 0 && e.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        size_t pages = (size + 4095) & ~(size_t)4095;
        Image *image = NULL;
        Error e = { 0 };
        uint8_t *map;
        FileBytes f;
        int r;

        if (size == 0)
                return 0;
        map = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
                return 0;
        memcpy(map, bytes, size);
        ASAN_POISON_MEMORY_REGION(map + size, pages - size);
        f = (FileBytes){ .bytes = map, .size = size };
        r = image_parse("input", &f, &image, &e);
        CHECK(!f.bytes);
        if (r == 0)
                check_image(image);
        else
                CHECK(e.text[0] && e.code < 0 && !image);
        ASAN_UNPOISON_MEMORY_REGION(map + size, pages - size);
        read_build_id(bytes, size);
        image_free(image);
        return 0;
}

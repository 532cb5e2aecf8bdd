/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * An ELF image as the differ and the engine see it: everything is read once, bounds-checked,
 * sorted, and owned by the image's arena. Addresses are link-time virtual addresses of the image
 * ("vaddr"), never addresses in a process.
 */

enum {
        IMAGE_MAX_SIZE = 1 << 30,    /* bytes of one file */
        IMAGE_MAX_SYMBOLS = 4 << 20, /* each table */
        IMAGE_MAX_RELOCS = 16 << 20,
        IMAGE_MAX_FDES = 4 << 20,
        BUILD_ID_MAX = 64,
};

typedef struct BuildId {
        uint8_t bytes[BUILD_ID_MAX];
        size_t n; /* 0: the image has none */
} BuildId;

typedef struct ImageSection {
        const char *name;
        uint32_t type;  /* SHT_* */
        uint64_t flags; /* SHF_* */
        uint64_t addr, size;
        const uint8_t *bytes; /* NULL for SHT_NOBITS */
        uint64_t align;
} ImageSection;

typedef struct ImageSegment { /* PT_LOAD */
        uint64_t offset, addr, file_size, size;
        uint32_t flags; /* PF_* */
} ImageSegment;

typedef struct ImageSymbol {
        const char *name;    /* never NULL */
        const char *version; /* "" when unversioned */
        uint64_t addr, size;
        uint8_t type;        /* STT_* */
        uint8_t bind;        /* STB_* */
        uint8_t other;       /* st_other */
        bool defined;        /* has a section */
        bool hidden_version; /* "@" rather than "@@" */
} ImageSymbol;

typedef struct ImageReloc { /* sorted by addr */
        uint64_t addr;      /* where */
        int64_t addend;
        uint32_t type;   /* R_X86_64_* */
        uint32_t symbol; /* index into dynsyms; 0: none */
} ImageReloc;

/* A range of code described by one FDE of .eh_frame (or .debug_frame). Sorted by addr. */
typedef struct ImageFde {
        uint64_t addr, size;
        uint64_t lsda;        /* vaddr, 0: none */
        uint64_t personality; /* vaddr of the pointer or routine as encoded, 0: none */
        bool signal_frame;
} ImageFde;

/* A PLT entry: code that jumps through a GOT slot. Sorted by addr. Covers .plt, .plt.sec, .plt.got. */
typedef struct ImagePlt {
        uint64_t addr, size;
        uint64_t got;    /* vaddr of the slot it jumps through */
        uint32_t symbol; /* index into dynsyms; 0: the slot has a relocation without a symbol (IRELATIVE) */
} ImagePlt;

typedef struct Image {
        Arena *arena;
        char *path; /* for messages */
        FileBytes file;
        BuildId build_id;
        uint16_t type;    /* ET_DYN or ET_EXEC */
        uint16_t machine; /* EM_X86_64 */
        bool executable;  /* a program: ET_EXEC, or DF_1_PIE, or an interpreter and no soname (libc.so.6 has
                             both) */
        bool dynamic;     /* has PT_DYNAMIC */
        uint64_t entry;
        uint64_t lo, hi; /* vaddr span of all PT_LOAD, page-aligned */

        ImageSection *sections;
        size_t n_sections;
        ImageSegment *segments;
        size_t n_segments;

        ImageSymbol *dynsyms; /* in file order: index 0 is the null symbol */
        size_t n_dynsyms;
        ImageSymbol *syms; /* .symtab of the image or of its debug file; in file order */
        size_t n_syms;
        ImageReloc *relocs; /* .rela.dyn + .rela.plt + .relr.dyn (as R_X86_64_RELATIVE) */
        size_t n_relocs;
        ImageFde *fdes;
        size_t n_fdes;
        ImagePlt *plts;
        size_t n_plts;

        bool has_tls;
        uint64_t tls_addr, tls_file_size, tls_size, tls_align;
        uint64_t relro_addr, relro_size; /* PT_GNU_RELRO; 0, 0: none */
        uint64_t init, fini;             /* DT_INIT, DT_FINI; 0: none */
        uint64_t init_array, init_array_size, fini_array, fini_array_size, preinit_array, preinit_array_size;
        const char *soname; /* NULL: none */
        const char **needed;
        size_t n_needed;
        const char *interp;     /* NULL: none */
        const char *debug_link; /* .gnu_debuglink file name, NULL: none */
        uint32_t debug_link_crc;
        const uint8_t *eh_frame; /* section content, NULL: none */
        uint64_t eh_frame_addr, eh_frame_size;
        bool has_debug_info; /* .debug_info in the file itself */
} Image;

/* Reads an image. `path` is for messages. Takes `file` over (also on failure).
 * Positive outcome: IMAGE_NOT_ELF (not an ELF file at all), IMAGE_UNSUPPORTED (ELF, but another
 * machine, class, byte order or type: e->text says which). */
enum { IMAGE_NOT_ELF = 1, IMAGE_UNSUPPORTED = 2 };
int image_parse(const char *path, FileBytes *file, Image **out, Error *e);
int image_open(const char *path, Image **out, Error *e);
int image_open_fd(int fd, const char *name, Image **out, Error *e);
Image *image_free(Image *image); /* accepts NULL */
static inline void image_freep(Image **image) {
        image_free(*image);
}

/* The build-id only, cheaply: reads the header, program headers and notes through pread. 0 with
 * out->n == 0 when there is none. Same positive outcomes as image_parse. */
int image_build_id_fd(int fd, const char *name, BuildId *out, Error *e);
bool build_id_equal(const BuildId *a, const BuildId *b); /* false when either is empty */
/* Lower-case hex; `out` has room for 2 * BUILD_ID_MAX + 1. */
const char *build_id_text(const BuildId *id, char out[2 * BUILD_ID_MAX + 1]);

/* Takes .symtab (and nothing else) from a debug file whose build-id equals the image's;
 * -EINVAL when it differs. */
int image_add_symbols(Image *image, const Image *debug, Error *e);

const ImageSection *image_section_at(const Image *image,
                                     uint64_t addr); /* NULL: none; SHF_ALLOC only, not TLS .tbss */
const ImageSection *image_section(const Image *image, const char *name);
const ImageSegment *image_segment_at(const Image *image, uint64_t addr);
/* `size` bytes at `addr` as the file holds them before relocation, or NULL when they are not all in
 * the file part of one segment (.bss, outside). */
const uint8_t *image_bytes(const Image *image, uint64_t addr, uint64_t size);
/* All bytes from `addr` to the end of that file part, and how many: for who looks at one after the other. */
const uint8_t *image_bytes_from(const Image *image, uint64_t addr, uint64_t *left);
/* Index of the first relocation with addr >= `addr`; n_relocs when none. */
size_t image_reloc_from(const Image *image, uint64_t addr);
const ImageReloc *image_reloc_at(const Image *image, uint64_t addr); /* exactly there, or NULL */
const ImagePlt *image_plt_at(const Image *image, uint64_t addr);     /* the entry that holds addr, or NULL */
const ImageFde *image_fde_at(const Image *image, uint64_t addr);     /* the FDE that holds addr, or NULL */

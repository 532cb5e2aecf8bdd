/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor for comparing two images: every instruction of both texts decoded once, by the same
 * decoder, with as many threads as there are cores, and nothing else.
 * Usage: decode-floor OLD NEW. Prints {"usec", "instructions", "bytes", "threads"}.
 */
#include "base/macro.h"
#include "elf/image.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { CHUNK = 1 << 16, MAX_CHUNKS = 1 << 16 };

typedef struct Chunk {
        const uint8_t *bytes;
        size_t size, left; /* up to `size` begins here; `left` bytes may be read */
} Chunk;

static Chunk chunks[MAX_CHUNKS];
static size_t n_chunks;
static atomic_size_t next;
static atomic_size_t instructions;

static void *decode(void *arg) {
        ZydisDecoder decoder;
        size_t n = 0, i;

        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        while ((i = atomic_fetch_add(&next, 1)) < n_chunks) {
                for (size_t at = 0; at < chunks[i].size;) {
                        ZydisDecodedInstruction insn;
                        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

                        if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, chunks[i].bytes + at,
                                                               chunks[i].left - at, &insn, operands))) {
                                at++;
                                continue;
                        }
                        at += insn.length;
                        n++;
                }
        }
        atomic_fetch_add(&instructions, n);
        return arg;
}

static size_t add_text(const Image *image) {
        size_t bytes = 0;

        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];

                if (!(s->flags & SHF_EXECINSTR) || !s->bytes)
                        continue;
                bytes += s->size;
                for (size_t at = 0; at < s->size && n_chunks < MAX_CHUNKS; at += CHUNK)
                        chunks[n_chunks++] =
                                (Chunk){ s->bytes + at, MIN((size_t)CHUNK, s->size - at), s->size - at };
        }
        return bytes;
}

int main(int argc, char **argv) {
        _cleanup_(image_freep) Image *old = NULL, *new = NULL;
        long threads = sysconf(_SC_NPROCESSORS_ONLN);
        pthread_t ids[64];
        struct timespec a, b;
        size_t bytes;
        Error e = { 0 };

        if (argc != 3) {
                fprintf(stderr, "usage: decode-floor OLD NEW\n");
                return 2;
        }
        if (image_open(argv[1], &old, &e) != 0 || image_open(argv[2], &new, &e) != 0) {
                fprintf(stderr, "decode-floor: %s\n", e.text);
                return 1;
        }
        bytes = add_text(old) + add_text(new);
        threads = threads < 1 ? 1 : MIN(threads, (long)ELEMENTSOF(ids));
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (long i = 0; i < threads; i++)
                if (pthread_create(&ids[i], NULL, decode, NULL) != 0)
                        return 1;
        for (long i = 0; i < threads; i++)
                pthread_join(ids[i], NULL);
        clock_gettime(CLOCK_MONOTONIC, &b);
        printf("{\"usec\": %lld, \"instructions\": %zu, \"bytes\": %zu, \"threads\": %ld}\n",
               (long long)(b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000,
               atomic_load(&instructions), bytes, threads);
        return 0;
}

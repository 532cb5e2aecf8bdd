/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer: over each file given (of a directory: each file in it), and
 * with -m N over N mutations of each file. The mutations are the same in every run.
 */
#include "base/file.h"
#include "base/macro.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { INPUT_MAX = 64 << 20 };

static uint64_t random_state;

static uint64_t next_random(void) {
        /* xorshift64*: no quality is needed, only that it is the same everywhere. */
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return random_state * UINT64_C(2685821657736338717);
}

/* Runs on an exact copy on the heap, so that a sanitizer sees a read past the end. */
static void run_copy(const uint8_t *bytes, size_t size) {
        uint8_t *copy = malloc(size ? size : 1);

        if (!copy)
                abort();
        if (size)
                memcpy(copy, bytes, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
}

static void mutate(uint8_t *bytes, size_t *size) {
        static const uint64_t edges[] = { 0,          1,          0x7f,      0x80,
                                          0xff,       0x7fff,     0xffff,    0x7fffffff,
                                          0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MIN,
                                          UINT64_MAX };
        unsigned changes = 1 + (unsigned)(next_random() % 3);

        while (changes-- && *size) {
                size_t at = (size_t)(next_random() % *size);
                uint64_t value = edges[next_random() % ELEMENTSOF(edges)];
                size_t width = (size_t)1 << (next_random() % 4); /* MIN would draw twice */

                width = MIN(width, *size - at);

                switch (next_random() % 6) {
                case 0:
                        bytes[at] ^= (uint8_t)(1u << (next_random() % 8));
                        break;
                case 1:
                        bytes[at] = (uint8_t)next_random();
                        break;
                case 2:
                case 3:
                        memcpy(bytes + at, &value, width);
                        break;
                case 4: {
                        size_t from = (size_t)(next_random() % *size), n = (size_t)(next_random() % 64);

                        memmove(bytes + at, bytes + from, MIN(n, *size - MAX(at, from)));
                        break;
                }
                default:
                        if (next_random() % 4 == 0)
                                *size = at;
                        else
                                bytes[at] += (uint8_t)(next_random() % 2 ? 1 : -1);
                }
        }
}

static int run_file(const char *path, unsigned long mutations) {
        FileBytes f = { 0 };
        Error e = { 0 };
        int r = file_read(path, INPUT_MAX, &f, &e);
        uint8_t *copy;

        if (r == -ENODATA) {
                run_copy(NULL, 0);
                return 0;
        }
        if (r < 0) {
                fprintf(stderr, "%s\n", e.text);
                return r;
        }
        run_copy(f.bytes, f.size);
        copy = malloc(f.size);
        if (!copy)
                abort();
        random_state = UINT64_C(0x9e3779b97f4a7c15);
        for (unsigned long i = 0; i < mutations; i++) {
                size_t size = f.size;

                memcpy(copy, f.bytes, size);
                mutate(copy, &size);
                run_copy(copy, size);
        }
        free(copy);
        file_release(&f);
        return 0;
}

/* Files in `path`, in order of name. Returns how many ran, or negative. */
static int run_directory(const char *path, unsigned long mutations) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), ran = 0;

        if (n < 0) {
                perror(path);
                return -errno;
        }
        for (int i = 0; i < n; i++) {
                char name[PATH_MAX];

                if (entries[i]->d_name[0] != '.' && ran >= 0) {
                        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
                        ran = run_file(name, mutations) < 0 ? -EIO : ran + 1;
                }
                free(entries[i]);
        }
        free(entries);
        return ran;
}

int main(int argc, char **argv) {
        unsigned long mutations = 0;
        int ran = 0, first = 1;

        if (argc > 2 && strcmp(argv[1], "-m") == 0) {
                mutations = strtoul(argv[2], NULL, 10);
                first = 3;
        }
        for (int i = first; i < argc; i++) {
                struct stat st;
                int r;

                if (stat(argv[i], &st) < 0) {
                        perror(argv[i]);
                        return 1;
                }
                r = S_ISDIR(st.st_mode)                ? run_directory(argv[i], mutations)
                    : run_file(argv[i], mutations) < 0 ? -EIO
                                                       : 1;
                if (r < 0)
                        return 1;
                ran += r;
        }
        if (!ran) {
                fprintf(stderr, "usage: %s [-m MUTATIONS] FILE|DIRECTORY...\n", argv[0]);
                return 2;
        }
        printf("%d inputs, %lu mutations of each\n", ran, mutations);
        return 0;
}

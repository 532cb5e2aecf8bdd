/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/test-support.h"
#include "base/macro.h"
#include "base/vec.h"

#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

const char *victim_path;

Victim victim_start(char *const argv[]) {
        int in[2], out[2];
        char line[64];
        Victim v;

        if (pipe(in) < 0 || pipe(out) < 0)
                abort();
        v.pid = fork();
        if (v.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(in[0], 0);
                dup2(out[1], 1);
                close_range(3, ~0U, 0);
                close_range(3, ~0U, 0);
                execv(argv[0], argv);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        v.to = fdopen(in[1], "w");
        v.from = fdopen(out[0], "r");
        if (!fgets(line, sizeof(line), v.from) || strcmp(line, "ready\n") != 0)
                abort();
        return v;
}

void victim_stop(Victim *v) {
        kill(v->pid, SIGKILL);
        waitpid(v->pid, NULL, 0);
        fclose(v->to);
        fclose(v->from);
}

int victim_ask(Victim *v, const char *command, int *second) {
        char line[64];
        int a = -1, b = -1;

        fprintf(v->to, "%s\n", command);
        fflush(v->to);
        if (fgets(line, sizeof(line), v->from) && sscanf(line, "%d %d", &a, &b) == 2 && second)
                *second = b;
        return a;
}

static const ImageSymbol *symbol(const Image *image, const char *name) {
        for (size_t i = 0; i < image->n_syms; i++)
                if (image->syms[i].defined && strcmp(image->syms[i].name, name) == 0)
                        return &image->syms[i];
        abort();
}

static int by_old(const void *a, const void *b) {
        uint64_t x = ((const PatchSite *)a)->old_addr, y = ((const PatchSite *)b)->old_addr;

        return (x > y) - (x < y);
}

void patch_seal(Patch *p) {
        uint8_t *bytes;
        size_t size;
        Error e;

        if (patch_write(p, &bytes, &size, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                abort();
        }
        free(bytes);
}

/* All are freed at the end: a guardian may know them until then. */
static VEC(Arena *) arenas;

static void free_patches(void) {
        for (size_t i = 0; i < arenas.n; i++)
                arena_free(arenas.items[i]);
        vec_free(&arenas);
}

Patch *patch_make(const Replacement *r, size_t n, uint8_t id) {
        Arena *a = arena_new();
        Patch *p = arena_new0(a, Patch);
        Error e;
        Image *image;

        if (!arenas.n)
                atexit(free_patches);
        vec_push(&arenas, a);
        if (image_open(victim_path, &image, &e) != 0)
                abort();
        p->arena = a;
        p->old_id = p->new_id = image->build_id;
        p->new_id.bytes[0] ^= id;
        p->name = "victim";
        p->old_path = p->new_path = p->old_version = p->new_version = "";
        p->executable = true;
        verdict_init(&p->verdict, a);
        p->verdict.evidence = "made by hand";
        p->old_lo = image->lo;
        p->old_hi = image->hi;
        p->lo = 0x4000;
        p->hi = 0x4000 + align_up(n * 256, 4096);
        p->n_sections = p->n_sites = p->n_ranges = n;
        p->sections = arena_newa(a, PatchSection, n);
        p->sites = arena_newa(a, PatchSite, n);
        p->ranges = arena_newa(a, PatchRange, n);
        p->relocs = arena_newa(a, PatchReloc, n);
        p->imports = arena_newa(a, PatchImport, n);
        for (size_t i = 0; i < n; i++) {
                uint64_t at = 0x4000 + 256 * i;

                p->sections[i] = (PatchSection){ .name = arena_printf(a, ".text.%s", r[i].function),
                                                 .addr = at,
                                                 .size = r[i].size,
                                                 .flags = SHF_ALLOC | SHF_EXECINSTR,
                                                 .type = SHT_PROGBITS,
                                                 .align = 16,
                                                 .bytes = arena_dup(a, r[i].code, r[i].size) };
                if (r[i].variable)
                        p->relocs[p->n_relocs++] =
                                (PatchReloc){ .where = at + r[i].reloc_at,
                                              .type = r[i].reloc_type,
                                              .base = PATCH_BASE_OLD,
                                              .addend = r[i].addend,
                                              .value = symbol(image, r[i].variable)->addr };
                if (r[i].import) {
                        p->relocs[p->n_relocs++] = (PatchReloc){ .where = at + r[i].reloc_at,
                                                                 .type = r[i].reloc_type,
                                                                 .base = PATCH_BASE_IMPORT,
                                                                 .addend = r[i].addend,
                                                                 .value = p->n_imports };
                        p->imports[p->n_imports++] =
                                (PatchImport){ .name = r[i].import, .version = "", .function = true };
                }
        }
        for (size_t i = 0; i < n; i++) {
                const ImageSymbol *s = symbol(image, r[i].function);
                const uint8_t *bytes = image_bytes(image, s->addr, PATCH_SITE_BYTES);
                bool endbr = memcmp(bytes, "\xf3\x0f\x1e\xfa", 4) == 0;
                PatchSite *site = &p->sites[i];

                *site = (PatchSite){ .name = arena_strdup(a, r[i].function),
                                     .old_addr = s->addr,
                                     .new_addr = 0x4000 + 256 * i,
                                     .jump_addr = s->addr + (endbr ? 4 : 0),
                                     .patch_addr = s->addr,
                                     .n_expect = endbr ? 9 : 5,
                                     .short_at = 0xff };
                memcpy(site->expect, bytes, site->n_expect);
                p->ranges[i] = (PatchRange){ .addr = s->addr, .size = s->size };
        }
        qsort(p->sites, n, sizeof(*p->sites), by_old);
        for (size_t i = 0; i < n; i++)
                p->ranges[i] = (PatchRange){ .addr = p->sites[i].old_addr, .size = 0, .site = (uint32_t)i };
        for (size_t i = 0; i < n; i++)
                p->ranges[i].size = symbol(image, p->sites[i].name)->size;
        patch_seal(p);
        image_free(image);
        return p;
}

/* addl %edi, counter(%rip); mov $2, %eax; ret */
const uint8_t code_two[12] = { 0x01, 0x3d, 0, 0, 0, 0, 0xb8, 2, 0, 0, 0, 0xc3 };
const uint8_t code_three[12] = { 0x01, 0x3d, 0, 0, 0, 0, 0xb8, 3, 0, 0, 0, 0xc3 };

/* The tables of the victim lead to the code of `answer`, which returns the version. */
static void add_words(Patch *p) {
        _cleanup_(image_freep) Image *image = NULL;
        Error e;

        if (image_open(victim_path, &image, &e) != 0)
                abort();
        p->words = arena_newa(p->arena, PatchWord, 2);
        p->n_words = 2;
        p->words[0].where = symbol(image, "table_a")->addr + 3 * 8;
        p->words[1].where = symbol(image, "table_b")->addr + 5 * 8;
        for (size_t i = 0; i < 2; i++) {
                p->words[i].old_value = symbol(image, "first")->addr;
                p->words[i].base = PATCH_BASE_SHADOW;
                p->words[i].value = 0x4000;
        }
        if (p->words[0].where > p->words[1].where) {
                PatchWord first = p->words[0];

                p->words[0] = p->words[1];
                p->words[1] = first;
        }
        patch_seal(p);
}

Patch *patch_simple(const uint8_t code[12], uint8_t id) {
        const Replacement r[] = {
                { "answer", code, 12, 2, R_X86_64_PC32, "counter", NULL, -4 },
                { "caller", code, 12, 2, R_X86_64_PC32, "counter", NULL, -4 },
        };

        Patch *p = patch_make(r, 2, id);

        add_words(p);
        return p;
}

void show(const char *what, int r, const EngineResult *res, const Error *e) {
        printf("%s: %d %s %s %s %s threads %u pause %lu total %lu stage %lu attempts %u private %lu shared "
               "%lu\n",
               what, r, r < 0 ? e->text : "", res->refusal < REFUSAL_N ? refusal_get(res->refusal)->code : "",
               res->subject, res->detail, res->threads, res->pause_usec, res->pause_total_usec,
               res->stage_usec, res->attempts, res->private_bytes, res->shared_bytes);
}

int victim_apply(Victim *v, Patch *p, EngineResult *res) {
        const Patch *patches[] = { p };
        Error e = { 0 };
        int r;

        *res = (EngineResult){ .refusal = REFUSAL_N };
        r = engine_apply(v->pid, patches, 1, NULL, res, &e);
        if (getenv("STAUNCH_TEST_SHOW") || r)
                show("apply", r, res, &e);
        return r;
}

int victim_revert(Victim *v, EngineResult *res) {
        Error e = { 0 };
        int r;

        *res = (EngineResult){ .refusal = REFUSAL_N };
        r = engine_revert(v->pid, NULL, NULL, res, &e);
        if (getenv("STAUNCH_TEST_SHOW") || r)
                show("revert", r, res, &e);
        return r;
}

Victim victim_start_with(const char *a, const char *b) {
        char path[4096], x[16], y[16];
        char *argv[] = { path, x, y, NULL };

        snprintf(path, sizeof(path), "%s", victim_path);
        snprintf(x, sizeof(x), "%s", a ? a : "");
        snprintf(y, sizeof(y), "%s", b ? b : "");
        argv[1] = a ? x : NULL;
        argv[2] = a && b ? y : NULL;
        return victim_start(argv);
}

Patch *patch_one(const char *function, uint8_t id) {
        const Replacement r = { function, code_two, sizeof(code_two), 2, R_X86_64_PC32, "counter", NULL, -4 };

        return patch_make(&r, 1, id);
}

int apply_within(pid_t pid, Patch *p, uint64_t usec, EngineResult *res) {
        const EngineOptions options = { .deadline_usec = usec };
        const Patch *patches[] = { p };
        Error e;

        return engine_apply(pid, patches, 1, &options, res, &e);
}

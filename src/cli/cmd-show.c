/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/report.h"
#include "patch/digest.h"

#include <elf.h>

typedef struct Sums {
        uint64_t code, constant, writable;
} Sums;

static Sums sum_sections(const Patch *p) {
        Sums s = { 0 };

        for (size_t i = 0; i < p->n_sections; i++) {
                uint64_t flags = p->sections[i].flags;

                *(flags & SHF_EXECINSTR ? &s.code
                  : flags & SHF_WRITE   ? &s.writable
                                        : &s.constant) += p->sections[i].size;
        }
        return s;
}

static json_t *side_json(const char *path, const char *version, const BuildId *id, uint64_t lo, uint64_t hi) {
        return json_pack("{s:o, s:o, s:o, s:o, s:o}", "path", json_text(path), "version", json_text(version),
                         "build_id", json_build_id(id), "lo", json_hex(lo), "hi", json_hex(hi));
}

static json_t *sites_json(const Patch *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_sites; i++) {
                const PatchSite *s = &p->sites[i];
                json_t *j = json_object();

                json_object_set_new(j, "name", json_text(s->name));
                json_object_set_new(j, "old_addr", json_hex(s->old_addr));
                json_object_set_new(j, "new_addr", json_hex(s->new_addr));
                json_object_set_new(j, "jump_addr", json_hex(s->jump_addr));
                json_object_set_new(j, "ranges", json_array());
                json_array_append_new(list, j);
        }
        for (size_t i = 0; i < p->n_ranges; i++) {
                const PatchRange *r = &p->ranges[i];

                json_array_append_new(
                        json_object_get(json_array_get(list, r->site), "ranges"),
                        json_pack("{s:o, s:I}", "addr", json_hex(r->addr), "size", (json_int_t)r->size));
        }
        return list;
}

static json_t *sections_json(const Patch *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_sections; i++) {
                const PatchSection *s = &p->sections[i];

                json_array_append_new(list, json_pack("{s:o, s:o, s:I, s:b, s:b}", "name", json_text(s->name),
                                                      "addr", json_hex(s->addr), "size", (json_int_t)s->size,
                                                      "executable", (s->flags & SHF_EXECINSTR) != 0,
                                                      "writable", (s->flags & SHF_WRITE) != 0));
        }
        return list;
}

static json_t *imports_json(const Patch *p) {
        json_t *list = json_array();

        for (size_t i = 0; i < p->n_imports; i++) {
                const PatchImport *m = &p->imports[i];

                json_array_append_new(list, json_pack("{s:o, s:o, s:b, s:b}", "name", json_text(m->name),
                                                      "version", json_text(m->version), "weak", m->weak,
                                                      "function", m->function));
        }
        return list;
}

static const char *way_back_text(const Patch *p) {
        for (size_t i = 0; i < p->verdict.n; i++)
                if (p->verdict.findings[i].code == REFUSAL_CODE_REVERT_UNPROVED)
                        return "unproved";
        return "proved";
}

static int show_json(const Patch *p) {
        json_t *j = json_object();

        json_object_set_new(j, "name", json_text(p->name));
        json_object_set_new(j, "digest", json_digest(p->digest));
        json_object_set_new(j, "executable", json_boolean(p->executable));
        json_object_set_new(j, "low_addresses", json_boolean(p->low_addresses));
        json_object_set_new(j, "old",
                            side_json(p->old_path, p->old_version, &p->old_id, p->old_lo, p->old_hi));
        json_object_set_new(j, "new", side_json(p->new_path, p->new_version, &p->new_id, p->lo, p->hi));
        json_object_set_new(j, "grade", json_text(layout_grade_text(p->verdict.grade)));
        json_object_set_new(j, "evidence", json_text(p->verdict.evidence));
        json_object_set_new(j, "way_back", json_text(way_back_text(p)));
        json_object_set_new(j, "sites", sites_json(p));
        json_object_set_new(j, "sections", sections_json(p));
        json_object_set_new(j, "imports", imports_json(p));
        json_object_set_new(j, "relocations", json_integer((json_int_t)p->n_relocs));
        json_object_set_new(j, "findings", json_findings(&p->verdict));
        return json_print(j);
}

static void show_side(const char *label, const char *path, const char *version, const BuildId *id, Arena *a) {
        char text[2 * BUILD_ID_MAX + 1];

        printf("  %-10s%s%s%s  build-id %s\n", label, text_safe(a, path), *version ? " " : "",
               text_safe(a, version), build_id_text(id, text));
}

static void show_text(const Patch *p) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        char digest[2 * DIGEST_SIZE + 1];
        Sums sums = sum_sections(p);
        Table t;

        printf("%s%s%s (%s)\n", colour_begin(stdout, COLOUR_BOLD), text_safe(a, p->name), colour_end(stdout),
               p->executable ? "program" : "library");
        printf("  %-10s%s\n", "digest", digest_text(p->digest, digest));
        show_side("from", p->old_path, p->old_version, &p->old_id, a);
        show_side("to", p->new_path, p->new_version, &p->new_id, a);
        printf("  %-10s%s%s%s\n", "layout", layout_grade_text(p->verdict.grade),
               *p->verdict.evidence ? ": " : "", text_safe(a, p->verdict.evidence));
        printf("  %-10s%s\n", "way back", way_back_text(p));
        printf("  %-10s%zu function%s replaced; %lu bytes of code, %lu of constants, %lu of variables\n",
               "content", p->n_sites, plural(p->n_sites), sums.code, sums.constant, sums.writable);
        printf("  %-10s%zu relocation%s, %zu import%s\n\n", "", p->n_relocs, plural(p->n_relocs),
               p->n_imports, plural(p->n_imports));
        table_init(&t, a, 4);
        table_cell(&t, COLOUR_BOLD, "FUNCTION");
        table_cell(&t, COLOUR_BOLD, "OLD");
        table_cell(&t, COLOUR_BOLD, "NEW");
        table_cell(&t, COLOUR_BOLD, "JUMP");
        for (size_t i = 0; i < p->n_sites; i++) {
                const PatchSite *s = &p->sites[i];

                table_cell(&t, COLOUR_NONE, "%s", s->name);
                table_cell(&t, COLOUR_NONE, "%#lx", s->old_addr);
                table_cell(&t, COLOUR_NONE, "%#lx", s->new_addr);
                table_cell(&t, COLOUR_NONE, "%s",
                           s->short_at != 0xff           ? "in padding"
                           : s->jump_addr == s->old_addr ? "at entry"
                                                         : "behind endbr64");
        }
        table_print(&t, stdout);
        if (p->verdict.n)
                putchar('\n');
        report_findings(&p->verdict, stdout);
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(patch_freep) Patch *p = NULL;
        Error e = { 0 };
        int code = options_read(&o, self, TAKES_JSON, argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind != 1)
                return usage_error(self, "one patch file is needed");
        if (patch_open(argv[optind], &p, &e) < 0)
                return report_error(&e);
        if (o.json)
                return show_json(p);
        show_text(p);
        return EXIT_DONE;
}

const Command command_show = {
        .name = "show",
        .arguments = "FILE",
        .summary = "Shows what is in a patch",
        .help = "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n",
        .run = run,
};

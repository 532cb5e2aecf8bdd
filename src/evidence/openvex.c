/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/openvex.h"
#include "base/macro.h"
#include "evidence/read.h"
#include "patch/digest.h"
#include "patch/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Percent-encodes what a package URL does not take as it is. */
static const char *encoded(Arena *a, const char *s) {
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:";
        char *out = arena_alloc(a, 3 * strlen(s) + 1), *to = out;

        for (; *s; s++)
                if (strchr(plain, *s))
                        *to++ = *s;
                else
                        to += snprintf(to, 4, "%%%02X", (unsigned char)*s);
        return out;
}

const char *package_url(Arena *a, const char *vendor, const char *name, const char *version,
                        const char *arch) {
        return arena_printf(a, "pkg:deb/%s/%s%s%s?arch=%s", encoded(a, vendor), encoded(a, name),
                            version ? "@" : "", version ? encoded(a, version) : "", encoded(a, arch));
}

typedef struct Document {
        const Exposure *x;
        Arena *arena;
        const char *vendor;
        json_t *statements, *now;
} Document;

/* The images of a package that were started with one version; NULL: an unknown one. */
typedef struct Group {
        const CvePackage *package;
        const char *version;
} Group;

static bool in_group(const Group *g, const CveImage *c) {
        const char *v = c->image->run->version;

        return g->version && v ? strcmp(g->version, v) == 0 : g->version == v;
}

static CveState group_state(const Group *g) {
        CveState state = CVE_NOT_AFFECTED;

        for (size_t i = 0; i < g->package->n; i++)
                if (in_group(g, &g->package->images[i]))
                        state = MAX(state, g->package->images[i].state);
        return state;
}

static const char *hash_text(const RunningImage *image, char out[2 * DIGEST_SIZE + 1]) {
        return image->has_code ? digest_text(image->code_sha256, out) : "not read";
}

/* "process 12 (nginx) runs /usr/sbin/nginx of 1.2-3: exposed-in-memory; ..." */
static const char *notes(const Document *d, const Group *g) {
        enum { SHOWN = 50 };
        const char *text = "";
        size_t n = 0;

        for (size_t i = 0; i < g->package->n; i++) {
                const CveImage *c = &g->package->images[i];
                char hash[2 * DIGEST_SIZE + 1];

                if (!in_group(g, c) || c->state == CVE_CURRENT || n++ >= SHOWN)
                        continue;
                text = arena_printf(d->arena, "%s%sprocess %d (%s) maps %s of %s: %s", text,
                                    *text ? "; " : "", c->image->process->pid, c->image->process->comm,
                                    c->image->path, g->version ? g->version : "an unknown version",
                                    cve_state_text(c->state));
                if (c->image->patched)
                        text = arena_printf(d->arena, "%s, patched to %s, code sha-256 %s", text,
                                            c->image->effective && c->image->effective->version
                                                    ? c->image->effective->version
                                                    : "an unknown version",
                                            hash_text(c->image, hash));
        }
        return n > SHOWN ? arena_printf(d->arena, "%s; and %zu more", text, n - SHOWN) : text;
}

/* The patches that keep the vulnerable code from running, one for each process and image. */
static json_t *subcomponents(const Document *d, const Group *g) {
        json_t *list = json_array();

        for (size_t i = 0; i < g->package->n; i++) {
                const RunningImage *image = g->package->images[i].image;
                char digest[2 * DIGEST_SIZE + 1], id[2 * BUILD_ID_MAX + 1];
                const char *url;
                json_t *j;

                if (!in_group(g, &g->package->images[i]) || !image->patched)
                        continue;
                url = arena_printf(d->arena, "pkg:generic/staunch-patch@%s?build_id=%s&pid=%d&start=%lu",
                                   digest_text(image->patch.digest, digest),
                                   build_id_text(&image->run->id, id), image->process->pid,
                                   image->process->start_time);
                j = json_pack("{s:s, s:{s:s}}", "@id", url, "identifiers", "purl", url);
                if (image->has_code)
                        json_object_set_new(j, "hashes",
                                            json_pack("{s:o}", "sha-256", json_digest(image->code_sha256)));
                json_array_append_new(list, j);
        }
        return list;
}

static const char *action(const Document *d, const Group *g, CveState state) {
        const CvePackage *p = g->package;

        if (state == CVE_EXPOSED_IN_MEMORY)
                return arena_printf(
                        d->arena,
                        "The fix is on disk (%s). Run 'staunch converge', or restart the processes.",
                        p->package ? p->package->version : "another package");
        if (p->available)
                return arena_printf(d->arena, "Upgrade %s: the release has a fixed version.", p->name);
        return *p->fixed ? arena_printf(d->arena, "Upgrade %s to a version with the fix (source %s).",
                                        p->name, p->fixed)
                         : arena_printf(d->arena, "No fixed version of %s is known here.", p->name);
}

static void add_statement(Document *d, const Cve *cve, const Group *g, CveState state) {
        static const char *const status[] = { "not_affected",        "fixed",    "not_affected",
                                              "under_investigation", "affected", "affected" };
        const CvePackage *p = g->package;
        const char *url = package_url(d->arena, d->vendor, p->name, g->version, p->arch),
                   *by = arena_printf(d->arena, "By %s.", cve_source_text(p->by)), *said = notes(d, g);
        json_t *j = json_object(),
               *product = json_pack("{s:s, s:{s:s}}", "@id", url, "identifiers", "purl", url);

        json_object_set_new(j, "vulnerability", json_pack("{s:o}", "name", json_text(cve->name)));
        json_object_set(j, "timestamp", d->now);
        json_object_set_new(j, "status", json_string(status[state]));
        json_object_set_new(j, "status_notes",
                            json_text(arena_printf(d->arena, "%s%s%s", by, *said ? " " : "", said)));
        if (state == CVE_HOTPATCHED) {
                json_object_set_new(j, "justification", json_string("inline_mitigations_already_exist"));
                json_object_set_new(product, "subcomponents", subcomponents(d, g));
        } else if (state >= CVE_EXPOSED_IN_MEMORY) {
                json_object_set_new(j, "action_statement", json_text(action(d, g, state)));
                json_object_set(j, "action_statement_timestamp", d->now);
        }
        json_object_set_new(j, "products", json_pack("[o]", product));
        json_array_append_new(d->statements, j);
}

static void add_package(Document *d, const Cve *cve, const CvePackage *p) {
        bool disk_done = !p->package;

        for (size_t i = 0; i < p->n; i++) {
                Group g = { p, p->images[i].image->run->version };
                bool seen = false;

                for (size_t k = 0; k < i; k++)
                        seen |= in_group(&g, &p->images[k]);
                if (seen)
                        continue;
                add_statement(d, cve, &g, group_state(&g));
                disk_done |= g.version && p->package && strcmp(g.version, p->package->version) == 0;
        }
        if (!disk_done)
                add_statement(d, cve, &(Group){ p, p->package->version },
                              p->on_disk                ? CVE_CURRENT
                              : p->state == CVE_EXPOSED ? CVE_EXPOSED
                                                        : CVE_UNKNOWN);
}

/* Who makes the packages: "debian", "ubuntu". */
static const char *vendor_of(const Exposure *x, Arena *a) {
        FileBytes text = { 0 };
        const char *id = NULL;

        if (root_read(x->running.builds.dpkg.root, "etc/os-release", 1 << 20, &text, NULL) == 0)
                id = read_setting(&text, "ID", a);
        file_release(&text);
        return id ? id : "debian";
}

static json_t *document_id(void) {
        uint8_t b[16] = { 0 };
        char text[64];

        if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
                return json_null();
        b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
        b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
        snprintf(text, sizeof(text),
                 "urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
        return json_string(text);
}

int openvex_document(const Exposure *x, const OpenvexOptions *o, json_t **out, Error *e) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Document d = { .x = x,
                       .arena = arena,
                       .vendor = vendor_of(x, arena),
                       .statements = json_array(),
                       .now = json_time(o->now_usec) };

        for (size_t i = 0; i < x->n; i++)
                for (size_t k = 0; k < x->cves[i].n; k++)
                        add_package(&d, &x->cves[i], &x->cves[i].packages[k]);
        if (!json_array_size(d.statements)) {
                json_decref(d.statements);
                json_decref(d.now);
                return error_set(e, -ENODATA,
                                 "nothing to state: no CVE is known here that an update on disk fixes and "
                                 "some process was started without");
        }
        *out = json_pack("{s:s, s:o, s:o, s:s, s:o, s:i, s:o, s:o}", "@context", OPENVEX_CONTEXT, "@id",
                         document_id(), "author", json_text(o->author), "role", "Document Creator",
                         "timestamp", d.now, "version", 1, "tooling", json_text(o->tooling), "statements",
                         d.statements);
        return *out ? 0 : error_errno(e, -ENOMEM, "the document");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/record.h"
#include "base/macro.h"
#include "patch/json.h"

#include <errno.h>
#include <string.h>

enum { MAX_NAMES = 4096 };

static const char *const outcomes[] = { "hotpatch", "restart", "unchanged", "unsupported" };

json_t *record_encode(const Comparison *c) {
        json_t *j = json_object(), *needed = json_array();

        for (size_t i = 0; i < c->n_needed; i++)
                json_array_append_new(needed, json_text(c->needed[i]));
        json_object_set_new(j, "outcome", json_string(outcomes[c->outcome]));
        json_object_set_new(j, "old_build_id", json_build_id(&c->old_id));
        json_object_set_new(j, "new_build_id", json_build_id(&c->new_id));
        json_object_set_new(j, "grade", json_string(layout_grade_text(c->verdict.grade)));
        json_object_set_new(j, "evidence", json_text(c->verdict.evidence));
        json_object_set_new(j, "findings", json_findings(&c->verdict));
        json_object_set_new(j, "functions",
                            json_pack("[I,I,I,I,I]", (json_int_t)c->identical, (json_int_t)c->changed,
                                      (json_int_t)c->carried, (json_int_t)c->added, (json_int_t)c->removed));
        json_object_set_new(j, "usec", json_integer((json_int_t)c->usec));
        json_object_set_new(j, "peak_kib", json_integer((json_int_t)c->peak_kib));
        json_object_set_new(j, "soname", c->soname ? json_text(c->soname) : json_null());
        json_object_set_new(j, "needed", needed);
        return j;
}

static const char *text_of(const json_t *j, const char *key) {
        return json_string_value(json_object_get(j, key));
}

static int decode_id(const json_t *j, const char *key, BuildId *out) {
        const char *s = text_of(j, key);
        size_t n = s ? strlen(s) : 1;

        if (n % 2 || n / 2 > BUILD_ID_MAX)
                return -EINVAL;
        *out = (BuildId){ .n = n / 2 };
        for (size_t i = 0; i < n / 2; i++) {
                unsigned v;

                if (sscanf(s + 2 * i, "%2x", &v) != 1)
                        return -EINVAL;
                out->bytes[i] = (uint8_t)v;
        }
        return 0;
}

static int decode_verdict(const json_t *j, Comparison *c) {
        const char *grade = text_of(j, "grade"), *evidence = text_of(j, "evidence");
        const json_t *findings = json_object_get(j, "findings"), *f;
        size_t i;
        int g;

        if (!grade || !evidence || !json_is_array(findings))
                return -EINVAL;
        for (g = GRADE_PROVED; g >= 0 && strcmp(grade, layout_grade_text((LayoutGrade)g)) != 0; g--)
                ;
        if (g < 0)
                return -EINVAL;
        c->verdict.grade = (LayoutGrade)g;
        c->verdict.evidence = arena_strdup(c->arena, evidence);
        json_array_foreach((json_t *)findings, i, f) {
                const char *code = text_of(f, "code"), *subject = text_of(f, "subject"),
                           *detail = text_of(f, "detail");

                if (!code || !subject || !detail || refusal_find(code) == REFUSAL_N)
                        return -EINVAL;
                verdict_add(&c->verdict, refusal_find(code), subject, "%s", detail);
        }
        return 0;
}

static int decode_numbers(const json_t *j, Comparison *c) {
        const json_t *functions = json_object_get(j, "functions");
        size_t *const to[] = { &c->identical, &c->changed, &c->carried, &c->added, &c->removed };

        for (size_t i = 0; i < ELEMENTSOF(to); i++) {
                json_int_t v = json_integer_value(json_array_get(functions, i));

                if (v < 0)
                        return -EINVAL;
                *to[i] = (size_t)v;
        }
        c->usec = (uint64_t)json_integer_value(json_object_get(j, "usec"));
        c->peak_kib = (uint64_t)json_integer_value(json_object_get(j, "peak_kib"));
        return 0;
}

static int decode_names(const json_t *j, Comparison *c) {
        const json_t *needed = json_object_get(j, "needed");
        const char *soname = text_of(j, "soname");
        size_t n = json_array_size(needed);

        if (n > MAX_NAMES)
                return -EINVAL;
        c->soname = soname ? arena_strdup(c->arena, soname) : NULL;
        c->needed = arena_newa(c->arena, const char *, n);
        for (size_t i = 0; i < n; i++) {
                const char *s = json_string_value(json_array_get(needed, i));

                if (!s)
                        return -EINVAL;
                c->needed[c->n_needed++] = arena_strdup(c->arena, s);
        }
        return 0;
}

static int decode(const json_t *j, Comparison *c) {
        const char *outcome = text_of(j, "outcome");
        size_t k;

        for (k = 0; k < ELEMENTSOF(outcomes) && (!outcome || strcmp(outcome, outcomes[k]) != 0); k++)
                ;
        if (k == ELEMENTSOF(outcomes) || decode_id(j, "old_build_id", &c->old_id) < 0 ||
            decode_id(j, "new_build_id", &c->new_id) < 0 || decode_verdict(j, c) < 0 ||
            decode_numbers(j, c) < 0)
                return -EINVAL;
        c->outcome = (Outcome)k;
        return decode_names(j, c);
}

static int keep_patch(const char *name, FileBytes *patch, Comparison *c, Error *e) {
        int r;

        c->patch_bytes = malloc(patch->size ? patch->size : 1);
        if (!c->patch_bytes)
                return error_errno(e, -ENOMEM, "%s", name);
        if (patch->size) /* an empty file has no bytes at all; the parser says so */
                memcpy(c->patch_bytes, patch->bytes, patch->size);
        c->patch_size = patch->size;
        r = patch_parse(name, patch, &c->patch, e);
        if (r < 0)
                return r;
        if (!build_id_equal(&c->patch->old_id, &c->old_id) || !build_id_equal(&c->patch->new_id, &c->new_id))
                return error_set(e, -EINVAL, "%s: the patch is for other builds than its record", name);
        return 0;
}

int record_decode(const char *name, const json_t *j, FileBytes *patch, Comparison *out, Error *e) {
        Comparison c = { .arena = arena_new() };
        int r;

        verdict_init(&c.verdict, c.arena);
        r = decode(j, &c);
        if (r < 0)
                error_set(e, r, "%s: not the record of a comparison", name);
        else if (c.outcome == OUTCOME_HOTPATCH)
                r = keep_patch(name, patch, &c, e);
        file_release(patch);
        if (r < 0) {
                comparison_free(&c);
                return r;
        }
        *out = c;
        return 0;
}

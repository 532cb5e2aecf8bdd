/* SPDX-License-Identifier: Apache-2.0 */
#include "patch/json.h"
#include "base/macro.h"
#include "patch/digest.h"

#include <string.h>
#include <time.h>

json_t *json_text(const char *s) {
        json_t *j = json_string(s ? s : "");
        _cleanup_(freep) char *escaped = NULL;
        char *to;

        if (j)
                return j;
        /* Not UTF-8: keep what is ASCII. */
        to = escaped = malloc(strlen(s) * 4 + 1);
        if (!escaped)
                return NULL;
        for (const unsigned char *p = (const unsigned char *)s; *p; p++)
                if (*p < 0x80)
                        *to++ = (char)*p;
                else
                        to += sprintf(to, "\\x%02x", *p);
        *to = 0;
        return json_string(escaped);
}

json_t *json_time(uint64_t wall_usec) {
        time_t sec = (time_t)(wall_usec / 1000000);
        char text[40];
        struct tm tm;

        gmtime_r(&sec, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        return json_sprintf("%s.%06uZ", text, (unsigned)(wall_usec % 1000000));
}

json_t *json_hex(uint64_t v) {
        return json_sprintf("0x%lx", v);
}

json_t *json_build_id(const BuildId *id) {
        char text[2 * BUILD_ID_MAX + 1];

        return json_string(build_id_text(id, text));
}

json_t *json_digest(const uint8_t digest[32]) {
        char text[2 * DIGEST_SIZE + 1];

        return json_string(digest_text(digest, text));
}

json_t *json_finding(RefusalCode code, const char *subject, const char *detail) {
        static const char *const kinds[] = { "update", "process", "advice" };
        const Refusal *r = refusal_get(code);
        json_t *j = json_object();

        json_object_set_new(j, "code", json_text(r ? r->code : "unknown"));
        json_object_set_new(j, "kind", json_text(r ? kinds[r->kind] : "process"));
        json_object_set_new(j, "subject", json_text(subject));
        json_object_set_new(j, "detail", json_text(detail));
        return j;
}

json_t *json_findings(const Verdict *v) {
        json_t *list = json_array();

        for (size_t i = 0; i < v->n; i++)
                json_array_append_new(list, json_finding(v->findings[i].code, v->findings[i].subject,
                                                         v->findings[i].detail));
        return list;
}

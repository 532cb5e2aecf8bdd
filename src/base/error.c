/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(Error *e, int code, const char *format, ...) {
        if (e) {
                va_list ap;

                e->code = code;
                va_start(ap, format);
                vsnprintf(e->text, sizeof(e->text), format, ap);
                va_end(ap);
        }
        return code;
}

int error_errno(Error *e, int code, const char *format, ...) {
        if (e) {
                va_list ap;
                size_t n;

                e->code = code;
                va_start(ap, format);
                vsnprintf(e->text, sizeof(e->text), format, ap);
                va_end(ap);
                n = strlen(e->text);
                snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(-code));
        }
        return code;
}

int error_prefix(Error *e, const char *format, ...) {
        char before[sizeof(e->text)], rest[sizeof(e->text)];
        va_list ap;
        int n;

        if (!e)
                return -1;
        va_start(ap, format);
        n = vsnprintf(before, sizeof(before), format, ap);
        va_end(ap);
        if (n < 0 || (size_t)n >= sizeof(before))
                return e->code;
        memcpy(rest, e->text, sizeof(rest));
        snprintf(e->text, sizeof(e->text), "%s: %.*s", before, (int)(sizeof(e->text) - (size_t)n - 3), rest);
        return e->code;
}

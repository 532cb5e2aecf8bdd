/* SPDX-License-Identifier: Apache-2.0 */
/* Of another image: stands for a library whose functions the judge knows by name. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

char *g_build_filename(const char *first, ...);

char *g_build_filename(const char *first, ...) {
        char *out = calloc(1, 256);
        va_list ap;

        va_start(ap, first);
        for (const char *s = first; out && s; s = va_arg(ap, const char *)) {
                strncat(out, s, 255 - strlen(out));
                strncat(out, "/", 255 - strlen(out));
        }
        va_end(ap);
        return out;
}

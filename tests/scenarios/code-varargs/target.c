/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdarg.h>

static char out[256];
static int formatted;

NOINLINE static void append(const char *s) {
        strncat(out, s, sizeof(out) - strlen(out) - 1);
        formatted++;
}

NOINLINE static void emit(const char *types, ...) {
        char text[64];
        va_list ap;
        va_start(ap, types);
        for (; *types; types++) {
                switch (*types) {
                case 'i':
                        snprintf(text, sizeof(text), PICK("%d,", "%d;"), va_arg(ap, int));
                        break;
                case 'l':
                        snprintf(text, sizeof(text), PICK("%ld,", "%lx;"), va_arg(ap, long));
                        break;
                case 'd':
                        snprintf(text, sizeof(text), PICK("%.2f,", "%.3f;"), va_arg(ap, double));
                        break;
                default:
                        snprintf(text, sizeof(text), "%s|", va_arg(ap, const char *));
                }
                append(text);
        }
        va_end(ap);
}

NOINLINE static void clear(void) {
        out[0] = 0;
        formatted = 0;
}

void target_work(void) {
        clear();
        emit("isd", 1, "x", 2.5);
        EXPECT_EQ(formatted, 3);
}

void target_check(int version) {
        clear();
        emit("ilsdddddddddiiiii", 7, 255L, "str", 1.25, 2., 3., 4., 5., 6., 7., 8., 9.5, 1, 2, 3, 4, 5);
        EXPECT_STR(out, version >= 2
                   ? "7;ff;str|1.250;2.000;3.000;4.000;5.000;6.000;7.000;8.000;9.500;1;2;3;4;5;"
                   : "7,255,str|1.25,2.00,3.00,4.00,5.00,6.00,7.00,8.00,9.50,1,2,3,4,5,");
        EXPECT_EQ(formatted, 17);
}

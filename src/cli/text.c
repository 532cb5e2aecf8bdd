/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"
#include "base/macro.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

/* Length of the well-formed, printable character at s; 0 when there is none. */
static size_t character(const unsigned char *s) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = s[0] < 0x80                   ? 1
                   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                   : (s[0] & 0xf0) == 0xe0       ? 3
                   : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                 : 0;
        uint32_t v;

        if (n == 1)
                return s[0] >= 0x20 && s[0] != 0x7f;
        if (n == 0)
                return 0;
        v = s[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                v = v << 6 | (s[i] & 0x3f);
        }
        /* Not overlong, no surrogate, no C1 control, nothing that turns the direction of text. */
        if (v < least[n] || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff || (v >= 0x80 && v < 0xa0) ||
            (v >= 0x202a && v <= 0x202e) || (v >= 0x2066 && v <= 0x2069))
                return 0;
        return n;
}

const char *text_safe(Arena *a, const char *s) {
        const unsigned char *p = (const unsigned char *)s;
        char *out = arena_alloc(a, strlen(s) * 4 + 1), *to = out;

        while (*p) {
                size_t n = character(p);

                if (n) {
                        memcpy(to, p, n);
                        to += n;
                        p += n;
                } else {
                        to += sprintf(to, "\\x%02x", *p++);
                }
        }
        *to = 0;
        return out;
}

void text_put(FILE *to, const char *s) {
        _cleanup_(arena_freep) Arena *a = arena_new();

        fputs(text_safe(a, s), to);
}

bool colour_on(FILE *to) {
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(fileno(to)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

const char *colour_begin(FILE *to, Colour c) {
        static const char *const codes[] = {
                [COLOUR_NONE] = "",         [COLOUR_GOOD] = "\033[32m", [COLOUR_BAD] = "\033[31m",
                [COLOUR_WARN] = "\033[33m", [COLOUR_DIM] = "\033[2m",   [COLOUR_BOLD] = "\033[1m",
        };

        return colour_on(to) ? codes[c] : "";
}

const char *colour_end(FILE *to) {
        return colour_on(to) ? "\033[0m" : "";
}

void table_init(Table *t, Arena *arena, size_t columns) {
        *t = (Table){ .arena = arena, .columns = columns };
}

void table_cell(Table *t, Colour c, const char *format, ...) {
        char text[4096];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (t->n == t->room) {
                size_t room = t->room ? t->room * 2 : 64;
                const char **cells = arena_newa(t->arena, const char *, room);
                Colour *colours = arena_newa(t->arena, Colour, room);

                if (t->n) {
                        memcpy(cells, t->cells, t->n * sizeof(*cells));
                        memcpy(colours, t->colours, t->n * sizeof(*colours));
                }
                t->cells = cells;
                t->colours = colours;
                t->room = room;
        }
        t->cells[t->n] = text_safe(t->arena, text);
        t->colours[t->n++] = c;
}

/* Columns on the screen: every character counts as one. */
static size_t width(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

void table_print(const Table *t, FILE *to) {
        size_t widest[TABLE_COLUMNS] = { 0 };

        for (size_t i = 0; i < t->n; i++)
                widest[i % t->columns] = MAX(widest[i % t->columns], width(t->cells[i]));
        for (size_t i = 0; i < t->n; i++) {
                size_t column = i % t->columns;
                int pad = (int)(widest[column] - width(t->cells[i]));
                bool last = column == t->columns - 1;

                fprintf(to, "%*s%s%s%s%*s%s", t->right[column] ? pad : 0, "", colour_begin(to, t->colours[i]),
                        t->cells[i], t->colours[i] ? colour_end(to) : "", t->right[column] || last ? 0 : pad,
                        "", last ? "\n" : "  ");
        }
}

const char *text_time(uint64_t wall_usec, char out[TEXT_TIME]) {
        time_t sec = (time_t)(wall_usec / 1000000);
        struct tm tm;

        localtime_r(&sec, &tm);
        strftime(out, TEXT_TIME, "%Y-%m-%dT%H:%M:%S%z", &tm);
        return out;
}

const char *text_duration(Arena *a, uint64_t usec) {
        if (usec < 1000)
                return arena_printf(a, "%lu us", usec);
        if (usec < 1000000)
                return arena_printf(a, "%.1f ms", (double)usec / 1e3);
        return arena_printf(a, "%.2f s", (double)usec / 1e6);
}

static unsigned terminal_width(FILE *to) {
        struct winsize w;

        if (isatty(fileno(to)) && ioctl(fileno(to), TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
                return MIN(w.ws_col, 120);
        return 100;
}

void text_wrap(FILE *to, const char *text, unsigned indent) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        const char *p = text_safe(a, text);
        size_t room = terminal_width(to) - indent, used = 0;

        while (*p) {
                size_t n = strcspn(p, " ");

                if (used && used + 1 + n > room) {
                        fputc('\n', to);
                        used = 0;
                }
                if (used)
                        fputc(' ', to);
                else
                        fprintf(to, "%*s", (int)indent, "");
                fprintf(to, "%.*s", (int)n, p);
                used += n + (used ? 1 : 0);
                p += n;
                while (*p == ' ')
                        p++;
        }
        fputc('\n', to);
}

static bool progress_shown;

void progress(const char *format, ...) {
        char text[4096];
        va_list ap;
        _cleanup_(arena_freep) Arena *a = NULL;

        if (!isatty(STDERR_FILENO))
                return;
        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        a = arena_new();
        fprintf(stderr, "\r\033[K%.*s", (int)terminal_width(stderr) - 1, text_safe(a, text));
        fflush(stderr);
        progress_shown = true;
}

void progress_clear(void) {
        if (progress_shown)
                fputs("\r\033[K", stderr);
        progress_shown = false;
}

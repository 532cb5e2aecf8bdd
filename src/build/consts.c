/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

#include <elf.h>
#include <string.h>

/* Comparing constants of two builds, whose extent nothing tells but what else is referred to. */

/* Length of the character at b, ASCII or UTF-8; 0: none that is printed. */
static uint64_t character(const uint8_t *b, uint64_t n) {
        uint64_t length = b[0] < 0x80 ? 1 : b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : b[0] >= 0xc2 ? 2 : 0;

        if (length == 1)
                return b[0] >= 0x20 ? b[0] != 0x7f : (b[0] >= '\t' && b[0] <= '\r') || b[0] == 0x1b;
        if (length > n || b[0] > 0xf4)
                return 0;
        for (uint64_t i = 1; i < length; i++)
                if ((b[i] & 0xc0) != 0x80)
                        return 0;
        return length;
}

bool single_string(const uint8_t *b, uint64_t n) {
        uint64_t i = 0, step;

        while (i < n && (step = character(b + i, n - i)))
                i += step;
        if (i == 0 || i == n)
                return false;
        for (; i < n; i++)
                if (b[i])
                        return false;
        return true;
}

/* Small numbers look like a text of a few characters, too, where they lie as numbers do. */
bool lone_text(uint64_t addr, const uint8_t *b, uint64_t n) {
        uint64_t length = 0;

        if (!single_string(b, n))
                return false;
        while (b[length])
                length++;
        if (addr % 2 == 0 && n == 2)
                return false;
        return addr % 4 || n % 4 || length > 3 || n - length < 2;
}

/*
 * Strings with one NUL between them, as a linker's string section holds them. Small numbers of two bytes each
 * look like strings of one character; so at an even address each has to have two at least.
 */
static bool strings_only(uint64_t addr, const uint8_t *b, uint64_t n) {
        uint64_t length = 0, least = addr % 2 ? 1 : 2;

        for (uint64_t i = 0, step; i < n; i += step) {
                step = 1;
                if (b[i] == 0) {
                        if (length < least)
                                return false;
                        length = 0;
                        continue;
                }
                step = character(b + i, n - i);
                if (step == 0)
                        return false;
                length++;
        }
        return n > 0 && length == 0;
}

bool all_zero(const uint8_t *b, uint64_t n) {
        for (uint64_t i = 0; i < n; i++)
                if (b[i])
                        return false;
        return true;
}

enum { OFFSET_TEXT = 256 };

/* clang writes tables of strings as 4-byte distances from the table. Equal distances may still lead
 * to text that has changed. A table is what leads to the start of a text with each of its words. */
static bool offsets_same(const Diff *d, uint64_t old, uint64_t new, uint64_t size) {
        bool same = true;

        if (old % 4 || new % 4 || size < 8)
                return true;
        for (uint64_t at = 0; at + 4 <= size; at += 4) {
                const uint8_t *w = image_bytes(d->old_image, old + at, 4), *a, *b;
                int32_t v = 0;
                uint64_t n = 1;

                if (w)
                        memcpy(&v, w, 4);
                a = image_bytes(d->old_image, old + (uint64_t)(int64_t)v - 1, 2);
                if (v == 0 || !a || a[0] || a[1] < 0x20 ||
                    place_of(d->old, old + (uint64_t)(int64_t)v).kind != PLACE_CONST)
                        return true; /* no such table */
                do {
                        a = image_bytes(d->old_image, old + (uint64_t)(int64_t)v, n);
                        b = image_bytes(d->new_image, new + (uint64_t)(int64_t)v, n);
                        if (!a || !b || a[n - 1] != b[n - 1]) {
                                same = false;
                                break;
                        }
                } while (a[n - 1] && n++ < OFFSET_TEXT);
        }
        return same;
}

static bool same_within(const Diff *d, uint64_t old, uint64_t new, unsigned depth);

enum { ADDRESS_DEPTH = 8 }; /* how far addresses among constants are followed; more counts as changed */

/* In programs at a fixed address constants hold addresses, as linked. Equal ones may lead to what has
 * changed; variables are held against the map by whoever calls. */
static bool addresses_same(const Diff *d, uint64_t old, uint64_t new, uint64_t size, unsigned depth) {
        const uint8_t *b;

        if (d->old_image->type != ET_EXEC || d->new_image->type != ET_EXEC)
                return true;
        b = image_bytes(d->old_image, old, size);
        for (uint64_t at = -old % 8; b && at + 8 <= size; at += 8) {
                uint64_t v;
                Place p, q;

                memcpy(&v, b + at, sizeof(v));
                if (v < d->old_image->lo || v >= d->old_image->hi)
                        continue;
                p = place_of(d->old, v);
                q = place_of(d->new, v);
                if (p.kind != q.kind)
                        return false;
                if (p.kind == PLACE_FUNCTION && (d->matches[d->old_match[p.index]].new != q.index ||
                                                 p.part != q.part || p.offset != q.offset))
                        return false;
                if (p.kind == PLACE_CONST && v - old >= size &&
                    (depth == 0 || !same_within(d, v, v, depth - 1)))
                        return false;
        }
        return true;
}

enum { TEXT_MIN = 4, TEXT_MAX = 1 << 16, TEXT_SURE = 16, TEXT_ALIGN = 8 };

static bool is_character(const Image *image, uint64_t addr) {
        const uint8_t *b = image_bytes(image, addr, 1);

        return b && b[0] < 0x80 && character(b, 1);
}

/* The end of a text: an empty string that a linker found there. Two bytes of a number in front of another one
 * that begins with a zero are no text: it has to begin behind a zero and have some characters, and another
 * text has to follow, at once or after padding. No number of several bytes is referred to at an odd address.
 */
static bool ends_text(const Code *code, uint64_t addr) {
        const Image *image = code->image;
        const uint8_t *b = image_bytes(image, addr, 1);
        uint64_t n = 0, next = addr + 1;

        if (!b || b[0])
                return false;
        if (!is_character(image, next)) {
                next = align_up(next, TEXT_ALIGN);
                b = image_bytes(image, addr, next - addr);
                if (!b || !all_zero(b, next - addr) || !is_character(image, next))
                        return false;
        }
        while (n < TEXT_SURE && is_character(image, addr - n - 1))
                n++;
        b = image_bytes(image, addr - n - 1, 1);
        return n == TEXT_SURE || (b && b[0] == 0 &&
                                  (n >= TEXT_MIN || (n >= 2 && addr % 4 && next > addr + 1) ||
                                   (n >= 2 && (addr - n) % 2 && is_target(code, addr - n))));
}

static bool same_within(const Diff *d, uint64_t old, uint64_t new, unsigned depth) {
        uint64_t n_old = const_extent(d->old, old), n_new = const_extent(d->new, new), n = MIN(n_old, n_new);
        const uint8_t *a = image_bytes(d->old_image, old, n_old), *b = image_bytes(d->new_image, new, n_new),
                      *behind;

        if (!a || !b || memcmp(a, b, n) != 0 || !offsets_same(d, old, new, n) ||
            !addresses_same(d, old, new, n, depth))
                return false;
        if (n_old == n_new)
                return true;
        /* Something that nothing refers to was put behind, or taken away. A neighbour of a complete text is
         * none of this constant's; nor is padding, and should the zeros be elements, new code finds them
         * there, too. */
        if (n_new > n_old) {
                behind = image_bytes(d->old_image, old + n, n_new - n);
                if (behind && all_zero(behind, n_new - n) && all_zero(b + n, n_new - n))
                        return true;
        } else if (all_zero(a + n, n_old - n)) {
                return true;
        }
        if (ends_text(d->old, old) && ends_text(d->new, new))
                return true;
        while (n > 1 && a[n - 1] == 0 && a[n - 2] == 0)
                n--; /* padding of the text itself */
        return strings_only(old | new, a, n);
}

bool constant_bytes_same(const Diff *d, uint64_t old, uint64_t new, uint64_t size) {
        const uint8_t *a = image_bytes(d->old_image, old, size), *b = image_bytes(d->new_image, new, size);

        return a && b && memcmp(a, b, size) == 0 && addresses_same(d, old, new, size, ADDRESS_DEPTH);
}

bool constants_same(const Diff *d, uint64_t old, uint64_t new) {
        return same_within(d, old, new, ADDRESS_DEPTH);
}

bool pointees_same(const Diff *d, uint64_t old, uint64_t new) {
        const uint8_t *a, *b;
        uint64_t n = 0;

        if (constants_same(d, old, new))
                return true;
        for (;; n++) {
                a = image_bytes(d->old_image, old - 1, n + 2);
                b = image_bytes(d->new_image, new - 1, n + 2);
                if (!a || !b || a[0] || b[0] || a[n + 1] != b[n + 1])
                        return false;
                if (a[n + 1] == 0)
                        return n > 0;
                if (a[n + 1] < 0x20 && (a[n + 1] < '\t' || a[n + 1] > '\r'))
                        return false;
        }
}

/* Text: what is read, and never compared by its address. */
bool constant_is_text(const Image *image, uint64_t addr, uint64_t size) {
        const uint8_t *b = image_bytes(image, addr, size), *before = image_bytes(image, addr - 1, 1);
        uint64_t n = 0;

        if (!b)
                return false;
        if (single_string(b, size) || strings_only(addr, b, size))
                return true;
        /* References to tails of texts cut them into pieces: look as far as the text goes, and take a
         * tail that follows more text. */
        for (uint64_t step, left = 0; n < TEXT_MAX; n += step, left -= step, b += step) {
                if (left == 0 && !(b = image_bytes_from(image, addr + n, &left)))
                        break;
                step = *b ? character(b, left) : 0;
                if (step == 0)
                        break;
        }
        b = image_bytes(image, addr + n, 1);
        return n >= TEXT_MIN && n < TEXT_MAX && b && *b == 0 && (!before || *before == 0 || *before >= 0x20);
}

/* How long the version is that text may hold: it begins with a digit. */
static uint64_t version_length(const uint8_t *s, uint64_t n) {
        uint64_t i = 0;

        while (i < n &&
               (s[i] == '.' || s[i] == '+' || s[i] == '-' || s[i] == '~' || s[i] == ':' ||
                (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')))
                i++;
        return n && s[0] >= '0' && s[0] <= '9' ? i : 0;
}

/* Two Debian versions of one upstream release: the same up to a `+`, `~` or the revision behind the last
 * `-`, and a revision with a digit in each. */
static bool revisions_of_one(const uint8_t *a, uint64_t n, const uint8_t *b, uint64_t m) {
        uint64_t same = 0, upstream = 0;
        bool x = false, y = false;

        while (same < n && same < m && a[same] == b[same]) {
                if (a[same] == '-')
                        upstream = same;
                same++;
        }
        if (upstream < 3 || same <= upstream || !memchr(a, '.', upstream))
                return false;
        for (uint64_t i = upstream + 1; i < n; i++)
                x = x || (a[i] >= '0' && a[i] <= '9');
        for (uint64_t i = upstream + 1; i < m; i++)
                y = y || (b[i] >= '0' && b[i] <= '9');
        return x && y;
}

/* Texts that are the same but for the revision of one package in them, wherever that stands. */
static bool revisions_alike(const Diff *d, uint64_t old, uint64_t new) {
        const uint8_t *a, *b;
        uint64_t n = 0, m = 0, i = 0, k = 0;
        bool differ = false;

        while (n < TEXT_MAX && (a = image_bytes(d->old_image, old + n, 1)) && *a)
                n++;
        while (m < TEXT_MAX && (b = image_bytes(d->new_image, new + m, 1)) && *b)
                m++;
        a = image_bytes(d->old_image, old, n + 1);
        b = image_bytes(d->new_image, new, m + 1);
        if (!a || !b || a[n] || b[m])
                return false;
        while (i < n && k < m) {
                bool begins =
                        i == 0 || a[i - 1] == ' ' || a[i - 1] == '/' || a[i - 1] == '(' || a[i - 1] == '"';
                uint64_t x = begins ? version_length(a + i, n - i) : 0,
                         y = begins ? version_length(b + k, m - k) : 0;

                if (x && y && (x != y || memcmp(a + i, b + k, x) != 0)) {
                        if (!revisions_of_one(a + i, x, b + k, y))
                                return false;
                        differ = true;
                        i += x;
                        k += y;
                        continue;
                }
                if (a[i] != b[k] || (a[i] < 0x20 && (a[i] < '\t' || a[i] > '\r')))
                        return false;
                i++, k++;
        }
        return differ && i == n && k == m;
}

static bool dates_alike(const Diff *d, uint64_t old, uint64_t new) {
        static const char digits[] = "0123456789./-:+~";
        unsigned separators = 0;
        uint64_t i = 0, k = 0;

        for (;;) {
                const uint8_t *a = image_bytes(d->old_image, old + i, 1),
                              *b = image_bytes(d->new_image, new + k, 1);

                if (!a || !b || i > TEXT_MAX || k > TEXT_MAX)
                        return false;
                if (*a == 0 || *b == 0)
                        return *a == *b && separators >= 2;
                if (*a < 0x20 || *b < 0x20)
                        return false;
                if (!strchr(digits, *a) || !strchr(digits, *b)) {
                        if (*a != *b)
                                return false;
                        i++, k++;
                        continue;
                }
                /* Outside of runs of digits and separators the texts are the same. */
                for (; (a = image_bytes(d->old_image, old + i, 1)) && *a && strchr(digits, *a); i++)
                        separators += *a < '0' || *a > '9';
                for (; (b = image_bytes(d->new_image, new + k, 1)) && *b && strchr(digits, *b); k++)
                        ;
        }
}

bool versions_alike(const Diff *d, uint64_t old, uint64_t new) {
        return dates_alike(d, old, new) || revisions_alike(d, old, new);
}

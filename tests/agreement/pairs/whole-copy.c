/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Only whole objects are copied and cleared: nothing but sizes differs. */
struct settings {
        char text[PICK(64, 96)];
};
static struct settings *current, *fallback;

static NOINLINE void settings_init(void) {
        current = malloc(sizeof(*current));
        fallback = malloc(sizeof(*fallback));
        memset(current, 0, sizeof(*current));
        memset(fallback, 1, sizeof(*fallback));
}

static NOINLINE void settings_swap(void) {
        struct settings t;

        memcpy(&t, current, sizeof(t));
        memcpy(current, fallback, sizeof(t));
        memcpy(fallback, &t, sizeof(t));
}

int main(void) {
        settings_init();
        for (int i = 0; i < 1000; i++) {
                settings_swap();
                log_line(current->text, hash_bytes(current, sizeof(*current)));
        }
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct buffer {
        char *bytes;
#ifndef NEW
        size_t used;
#endif
        size_t room;
        int error;
};
static struct buffer *buffer;

static NOINLINE void buffer_put(char c) {
        if (!buffer) {
                buffer = calloc(1, sizeof(*buffer));
                buffer->bytes = malloc(buffer->room = 64);
        }
#ifdef NEW
        buffer->bytes[(unsigned char)c % buffer->room] = c;
#else
        buffer->bytes[buffer->used++ % buffer->room] = c;
#endif
        buffer->error |= c == 7;
}

static NOINLINE int buffer_check(void) {
        return buffer->error + (int)buffer->room;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                buffer_put((char)next_input());
                log_line("check", buffer_check());
        }
        return 0;
}

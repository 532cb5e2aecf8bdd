/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define CODE(a, b, c, d) ((unsigned)(a) | (unsigned)(b) << 8 | (unsigned)(c) << 16 | (unsigned)(d) << 24)

struct stream {
        long uses;
        unsigned code;
        int id;
};
static struct stream *streams[16];

NOINLINE static int stream_id(const struct stream *s, int base) {
        switch (s->code) {
        case CODE('s', 'p', 'u', ' '):
                return base + 0x20;
        case CODE('d', 't', 's', ' '):
                return s->id ^ 0x88;
        case CODE('a', '5', '2', ' '):
                return s->id * 3 + 0x80;
        case CODE('l', 'p', 'c', 'm'):
                return base - s->id;
        case CODE('m', 'p', 'g', 'v'):
                return 0xe0 + base * 2;
#if NEW
        case CODE('m', 'p', '2', ' '):
        case CODE('m', 'p', '3', ' '):
#endif
        case CODE('m', 'p', 'g', 'a'):
                return 0xc0 + s->id;
        default:
                return -1;
        }
}

void target_start(void) {
        static const char *const codes[] = { "spu ", "dts ", "a52 ", "lpcm", "mpgv", "mpga", "mp3 ", "none" };

        for (int i = 0; i < 16; i++) {
                streams[i] = calloc(1, sizeof(*streams[i]));
                memcpy(&streams[i]->code, codes[i & 7], 4);
                streams[i]->id = i;
        }
}

void target_work(void) {
        EXPECT_EQ(stream_id(streams[1], 3), 1 ^ 0x88);
        EXPECT_EQ(stream_id(streams[5], 3), 0xc5);
        streams[harness_turns() & 15]->uses++;
}

void target_check(int version) {
        EXPECT_EQ(stream_id(streams[6], 3), version >= 2 ? 0xc6 : -1);
        EXPECT_EQ(stream_id(streams[7], 3), -1);
}

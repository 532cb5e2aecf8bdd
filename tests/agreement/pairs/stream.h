/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that each keep an `enum state`, which comes before, and what makes steps of them. */
#pragma once

struct stream {
        long sum;
        enum state state;
};
static struct stream *streams[16];

static NOINLINE void stream_step(struct stream *s, long n);

int main(void) {
        for (int i = 0; i < 16; i++)
                streams[i] = calloc(1, sizeof(**streams));
        for (int i = 0; i < 100; i++) {
                stream_step(streams[i % 16], next_input());
                log_line("sum", streams[i % 16]->sum);
        }
        return 0;
}

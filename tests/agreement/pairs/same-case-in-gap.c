/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A number that had none gets a text: the cases behind it are compiled in other places, and mean what
 * they meant. */
enum failure { FINE, TOO_LONG, TOO_SHORT, BAD_TREE, BAD_MAP,
#ifdef NEW
        BAD_SWITCH = 5,
#endif
        BAD_WINDOW = 6, BAD_BLOCK, BAD_DISTANCE, BAD_PADDING, UNKNOWN };
struct stream {
        enum failure last;
        long failures;
};
static struct stream *stream;

static NOINLINE const char *text(enum failure f) {
        switch (f) {
        case FINE:
                return "fine";
        case TOO_LONG:
                return "too long";
        case TOO_SHORT:
                return "too short";
        case BAD_TREE:
                return "the tree";
        case BAD_MAP:
                return "the map";
#ifdef NEW
        case BAD_SWITCH:
                return "the switch";
#endif
        case BAD_WINDOW:
                return "the window";
        case BAD_BLOCK:
                return "the block";
        case BAD_DISTANCE:
                return "the distance";
        case BAD_PADDING:
                return "the padding";
        default:
                return "unknown";
        }
}

static NOINLINE void feed(long n) {
        stream->last = (enum failure)(n % 10);
#ifdef NEW
        if (n > 60000)
                stream->last = BAD_SWITCH;
#endif
        stream->failures += stream->last != FINE;
}

int main(void) {
        stream = calloc(1, sizeof(*stream));
        for (int i = 0; i < 100; i++) {
                feed(next_input());
                log_line(text(stream->last), stream->failures);
        }
        return 0;
}

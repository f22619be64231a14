/* Rows of a column of texts, gathered out of a mapped file.

   To wait for a row from anywhere in memory takes longer than to copy it, so the rows to come are asked for while
   the ones before them are copied. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum { AHEAD = 16, FEW = 4096 }; /* rows; few stay in the processor's caches from the first pass to the second */
enum { DAMAGED = -1, TOO_LONG = -2 };

/* Texts are often longer than a line of memory, so both of their ends are asked for. */
#define ASK_FOR(data, first, last) (PREFETCH((data) + (first)), PREFETCH((data) + (last) - 1))

/* For offsets of either width:

   texts_measure: where the texts of `count` rows end once they lie one behind another, into `ends` (count + 1,), of
   which the first is 0. All bytes of them; or DAMAGED where offsets lead outside the `size` bytes of `data`, or
   TOO_LONG where these offsets cannot say it.

   texts_copy: puts them there. */
#define TEXTS(NAME, OFFSET, MOST)                                                                                      \
    API int64_t NAME##_measure(                                                                                        \
        const OFFSET *offsets, const uint8_t *data, int64_t size, const int64_t *rows, int64_t count, OFFSET *ends     \
    ) {                                                                                                                \
        int64_t total = 0;                                                                                             \
        ends[0] = 0;                                                                                                   \
        for (int64_t i = -AHEAD; i < count; i++) {                                                                     \
            if (i + AHEAD < count) PREFETCH(offsets + rows[i + AHEAD]);                                                \
            if (i < 0) continue;                                                                                       \
            int64_t first = offsets[rows[i]], last = offsets[rows[i] + 1];                                             \
            if (first < 0 || last < first || last > size) return DAMAGED;                                              \
            if (count <= FEW) ASK_FOR(data, first, last);                                                              \
            total += last - first;                                                                                     \
            if (total > MOST) return TOO_LONG;                                                                         \
            ends[i + 1] = (OFFSET)total;                                                                               \
        }                                                                                                              \
        return total;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    API void NAME##_copy(                                                                                              \
        const OFFSET *offsets, const uint8_t *data, const int64_t *rows, int64_t count, const OFFSET *ends,            \
        uint8_t *copied                                                                                                \
    ) {                                                                                                                \
        for (int64_t i = -2 * AHEAD; i < count; i++) {                                                                 \
            int64_t near = i + AHEAD, far = near + AHEAD;                                                              \
            if (far < count) PREFETCH(offsets + rows[far]);                                                            \
            if (near >= 0 && near < count) {                                                                           \
                int64_t first = offsets[rows[near]];                                                                   \
                ASK_FOR(data, first, first + (ends[near + 1] - ends[near]));                                           \
            }                                                                                                          \
            if (i >= 0) memcpy(copied + ends[i], data + offsets[rows[i]], (size_t)(ends[i + 1] - ends[i]));            \
        }                                                                                                              \
    }

TEXTS(texts, int32_t, INT32_MAX)
TEXTS(large_texts, int64_t, INT64_MAX)

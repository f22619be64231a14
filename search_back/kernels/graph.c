/* Best-first search in a graph of near neighbours, over codes of a scalar quantiser that lie in a mapped file, from
   rows that are near already.

   A query is one weight for each dimension; what a row scores is the sum of weight times code. Reading a row from
   anywhere in memory takes longer than scoring it, so all rows that one step needs are asked for at once, before the
   first is scored. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { MOST_LINKS = 256, FIRST_SLOTS = 1 << 12, AHEAD = 8 };
enum { TOGETHER = 4, MEMBERS_TOGETHER = 128 }; /* rows that are compared while they are at hand */
enum { NO_MEMORY = -1 };
static const uint32_t FREE = UINT32_MAX;
static const uint32_t EXPANDED = UINT32_C(1) << 31; /* of a candidate whose neighbours have been scored */

typedef struct {
    const uint8_t *codes;      /* (rows, width): a byte or a half float for each dimension */
    const int32_t *links;      /* (rows, degree): neighbours; -1 behind the last */
    const float *scale;        /* (dimension,): of a step of a code; unused for half floats */
    const float *least;        /* (dimension,): what the code 0 stands for; unused for half floats */
    int64_t rows;
    int32_t degree, dimension, is_half;
} graph;

typedef struct {
    float score;
    uint32_t row;
} candidate;

/* Rows that have been scored: open addressing, at most half full. */
typedef struct {
    uint32_t *slots;
    uint32_t mask, used;
} row_set;

static uint32_t slot_of(uint32_t row, uint32_t mask) { return (row * UINT32_C(2654435769) >> 7) & mask; }

static int grow(row_set *set) {
    uint32_t size = set->slots ? 2 * (set->mask + 1) : FIRST_SLOTS;
    uint32_t *slots = malloc((size_t)size * sizeof *slots);
    if (!slots) return 0;
    memset(slots, 0xff, (size_t)size * sizeof *slots);
    for (uint32_t i = 0; set->slots && i <= set->mask; i++) {
        if (set->slots[i] == FREE) continue;
        uint32_t at = slot_of(set->slots[i], size - 1);
        while (slots[at] != FREE) at = (at + 1) & (size - 1);
        slots[at] = set->slots[i];
    }
    free(set->slots);
    set->slots = slots;
    set->mask = size - 1;
    return 1;
}

INLINE int is_new(row_set *set, uint32_t row) {
    uint32_t at = slot_of(row, set->mask);
    while (set->slots[at] != FREE) {
        if (set->slots[at] == row) return 0;
        at = (at + 1) & set->mask;
    }
    set->slots[at] = row;
    set->used++;
    return 1;
}

typedef union {
    uint32_t bits;
    float value;
} word;

/* A half float's bits moved to where a float has them, the exponent corrected as a number: to multiply by a power of
   two instead lets a compiler put off the multiplication, and add up what is too small for full speed. */
INLINE float from_half(uint16_t half) {
    uint32_t size = half & 0x7fff;
    word normal = {(size << 13) + (UINT32_C(112) << 23)};
    word least = {UINT32_C(113) << 23}, small = {(size << 13) + least.bits};
    small.value -= least.value;
    word found = {size < 0x400 ? small.bits : normal.bits};
    found.bits |= (uint32_t)(half & 0x8000) << 16;
    return found.value;
}

INLINE int32_t sum_of_products(const uint8_t *code, const int8_t *weights, int dimension) {
    int32_t sum = 0;
    for (int j = 0; j < dimension; j++) sum += (int32_t)code[j] * (int32_t)weights[j];
    return sum;
}

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

static int has_byte_products(void) {
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
}

#define BYTE_PRODUCTS __attribute__((target("avx512f,avx512bw,avx512vnni")))

BYTE_PRODUCTS static int32_t sum_of_byte_products(
    const uint8_t *code, const int8_t *weights, int dimension
) {
    __m512i sums[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    int j = 0;
    for (; j + 128 <= dimension; j += 128)
        for (int half = 0; half < 2; half++)
            sums[half] = _mm512_dpbusd_epi32(
                sums[half], _mm512_loadu_si512(code + j + 64 * half), _mm512_loadu_si512(weights + j + 64 * half)
            );
    for (; j < dimension; j += 64) {
        __mmask64 present = dimension - j < 64 ? (UINT64_C(1) << (dimension - j)) - 1 : UINT64_MAX;
        sums[0] = _mm512_dpbusd_epi32(
            sums[0], _mm512_maskz_loadu_epi8(present, code + j), _mm512_maskz_loadu_epi8(present, weights + j)
        );
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
}

/* The same for four queries, whose weights lie `width` bytes from each other; `width`: a multiple of 64. */
BYTE_PRODUCTS static void four_sums_of_byte_products(
    const uint8_t *code, const int8_t *weights, size_t width, int32_t *sums
) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t j = 0; j < width; j += 64) {
        __m512i part = _mm512_loadu_si512(code + j);
        a = _mm512_dpbusd_epi32(a, part, _mm512_loadu_si512(weights + j));
        b = _mm512_dpbusd_epi32(b, part, _mm512_loadu_si512(weights + width + j));
        c = _mm512_dpbusd_epi32(c, part, _mm512_loadu_si512(weights + 2 * width + j));
        d = _mm512_dpbusd_epi32(d, part, _mm512_loadu_si512(weights + 3 * width + j));
    }
    /* Lanes of all four side by side, added up until one of each is left. */
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    _mm_storeu_si128((void *)sums, _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
}

#else

static int has_byte_products(void) { return 0; }
#define sum_of_byte_products sum_of_products
#define four_sums_of_byte_products(code, weights, width, sums) ((void)(sums))

#endif

INLINE float score_bytes_exactly(const uint8_t *code, const float *weights, int dimension) {
    float sum = 0;
    for (int j = 0; j < dimension; j++) sum += weights[j] * (float)code[j];
    return sum;
}

INLINE float score_halves(const uint8_t *code, const float *weights, int dimension) {
    const uint16_t *halves = (const uint16_t *)code;
    float sum = 0;
    for (int j = 0; j < dimension; j++) sum += weights[j] * from_half(halves[j]);
    return sum;
}

/* The best `most`, best first; `first`: where the highest that was put in is, if that is higher. */
INLINE int keep(candidate *pool, int count, int most, float score, uint32_t row, int *first) {
    if (count == most && score <= pool[count - 1].score) return count;
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (pool[middle].score >= score) low = middle + 1;
        else high = middle;
    }
    int moved = (count < most ? count : most - 1) - low;
    memmove(pool + low + 1, pool + low, (size_t)moved * sizeof *pool);
    pool[low] = (candidate){score, row};
    if (low < *first) *first = low;
    return count < most ? count + 1 : count;
}

/* What a query is while it is answered. */
typedef struct {
    const graph *g;
    size_t width;      /* bytes of a code */
    int byte_products; /* whether the processor has an instruction for sums of them */
    float *weights;    /* (dimension,) */
    int8_t *few;       /* the same in a byte each: for codes of bytes, to find candidates with */
    candidate *pool;
    row_set scored;
} query;

INLINE float score(const query *q, const uint8_t *code) {
    int d = q->g->dimension;
    if (q->g->is_half) return score_halves(code, q->weights, d);
    return (float)(q->byte_products ? sum_of_byte_products(code, q->few, d) : sum_of_products(code, q->few, d));
}

INLINE float weigh(query *q, const float *vector) {
    const graph *g = q->g;
    float offset = 0, largest = 0;
    for (int j = 0; j < g->dimension; j++) {
        float weight = g->is_half ? vector[j] : vector[j] * g->scale[j];
        if (!g->is_half) offset += vector[j] * g->least[j];
        q->weights[j] = weight;
        float size = weight < 0 ? -weight : weight;
        if (size > largest) largest = size;
    }
    float step = largest > 0 ? 127 / largest : 0;
    for (int j = 0; j < g->dimension; j++) {
        float value = q->weights[j] * step;
        q->few[j] = (int8_t)(int32_t)(value + copysignf(0.5f, value));
    }
    return offset;
}

INLINE void ask_for(const query *q, int64_t row) {
    const uint8_t *code = q->g->codes + q->width * (size_t)row;
    for (size_t b = 0; b < q->width; b += LINE) PREFETCH(code + b);
}

/* The best-first search: the best `ef` candidates come into the pool; how many there are. */
INLINE int walk(query *q, int ef, const int64_t *seeds, int32_t seed_count, int64_t hidden, int64_t *compared) {
    const graph *g = q->g;
    int count = 0, at = 0;
    if (hidden >= 0) is_new(&q->scored, (uint32_t)hidden);
    for (int32_t i = 0; i < seed_count + AHEAD; i++) {
        if (i < seed_count && seeds[i] >= 0 && seeds[i] < g->rows) ask_for(q, seeds[i]);
        int64_t row = i < AHEAD ? -1 : seeds[i - AHEAD];
        if (row < 0 || row >= g->rows) continue;
        if (2 * q->scored.used > q->scored.mask && !grow(&q->scored)) return NO_MEMORY;
        if (!is_new(&q->scored, (uint32_t)row)) continue;
        count = keep(q->pool, count, ef, score(q, g->codes + q->width * (size_t)row), (uint32_t)row, &at);
        *compared += 1;
    }
    uint32_t fresh[MOST_LINKS];
    for (at = 0; at < count;) {
        if (q->pool[at].row & EXPANDED) {
            at++;
            continue;
        }
        const int32_t *links = g->links + (size_t)q->pool[at].row * g->degree;
        q->pool[at].row |= EXPANDED;
        if (2 * (q->scored.used + (uint32_t)g->degree) > q->scored.mask && !grow(&q->scored)) return NO_MEMORY;
        int found = 0;
        for (int j = 0; j < g->degree && links[j] >= 0; j++) {
            uint32_t row = (uint32_t)links[j];
            if (row >= g->rows || !is_new(&q->scored, row)) continue;
            ask_for(q, row);
            fresh[found++] = row;
        }
        if (at + 1 < count) {
            const int32_t *next = g->links + (size_t)(q->pool[at + 1].row & ~EXPANDED) * g->degree;
            for (int j = 0; j < g->degree; j += LINE / (int)sizeof *next) PREFETCH(next + j);
        }
        int best = count;
        for (int j = 0; j < found; j++)
            count = keep(q->pool, count, ef, score(q, g->codes + q->width * fresh[j]), fresh[j], &best);
        *compared += found;
        at = best <= at ? best : at + 1;
    }
    return count;
}

/* The best k of the pool by their full score, best first, padded with -1. */
INLINE void finish(const query *q, int count, int k, float offset, float *scores, int64_t *rows) {
    const graph *g = q->g;
    int first = 0, kept = 0;
    for (int i = 0; i < count; i++) {
        candidate c = {q->pool[i].score, q->pool[i].row & ~EXPANDED};
        if (!g->is_half) c.score = score_bytes_exactly(g->codes + q->width * c.row, q->weights, g->dimension);
        /* Those before i have been looked at: their places are free. */
        kept = keep(q->pool, kept, k < i + 1 ? k : i + 1, c.score, c.row, &first);
    }
    for (int i = 0; i < k; i++) {
        scores[i] = i < kept ? q->pool[i].score + offset : 0;
        rows[i] = i < kept ? (int64_t)q->pool[i].row : -1;
    }
}

/* Answers `queries` (count, dimension) into `scores` and `rows` (count, k), each from its `seeds`
   (count, seed_count), of which -1 is none, as if its `hidden` row (count,), -1 for none, were not there; how many
   rows were compared, or -1 where memory ran out. */
FOR_EACH_PROCESSOR API int64_t graph_search(
    const graph *g, const float *queries, int64_t count, const int64_t *seeds, int32_t seed_count,
    const int64_t *hidden, int32_t k, int32_t ef, float *scores, int64_t *rows
) {
    query q = {
        .g = g, .width = (size_t)g->dimension * (g->is_half ? 2 : 1), .byte_products = has_byte_products()
    };
    q.weights = malloc((size_t)g->dimension * sizeof *q.weights);
    q.few = malloc((size_t)g->dimension);
    q.pool = malloc(((size_t)ef + 1) * sizeof *q.pool);
    int64_t compared = q.weights && q.few && q.pool ? 0 : NO_MEMORY;
    for (int64_t i = 0; i < count && compared >= 0; i++) {
        free(q.scored.slots);
        q.scored = (row_set){0};
        if (!grow(&q.scored)) {
            compared = NO_MEMORY;
            break;
        }
        float offset = weigh(&q, queries + i * g->dimension);
        int found = walk(&q, ef, seeds + i * seed_count, seed_count, hidden[i], &compared);
        if (found < 0) compared = NO_MEMORY;
        else finish(&q, found, k, offset, scores + i * k, rows + i * k);
    }
    free(q.weights);
    free(q.few);
    free(q.pool);
    free(q.scored.slots);
    return compared;
}

INLINE void decode(const graph *g, int64_t row, float *vector) {
    const uint8_t *code = g->codes + (size_t)row * (size_t)g->dimension * (g->is_half ? 2 : 1);
    for (int j = 0; j < g->dimension; j++)
        vector[j] = g->is_half ? from_half(((const uint16_t *)code)[j]) : g->least[j] + g->scale[j] * (float)code[j];
}

/* Finds for each row of `own` (count,) in `from` the best `k` rows of `members` (member_count,), of which none is left
   out and none is there twice, in `among`, whose codes mean the same: `found` (count, k), best first, padded with -1.
   Where both are one graph a row does not find itself. Returns 0, or -1 where memory ran out. */
FOR_EACH_PROCESSOR API int32_t graph_compare(
    const graph *from, const int64_t *own, int64_t count, const graph *among, const int64_t *members,
    int64_t member_count, int32_t k, int32_t *found
) {
    int d = from->dimension, byte_products = has_byte_products() && !from->is_half;
    size_t width = (size_t)d * (from->is_half ? 2 : 1), padded = (width + 63) / 64 * 64, all = (size_t)count;
    float *vector = malloc((size_t)d * sizeof *vector);
    float *weights = malloc((byte_products ? 1 : all) * (size_t)d * sizeof *weights);
    int8_t *few = calloc((all + TOGETHER - 1) / TOGETHER * TOGETHER, padded);
    uint8_t *at_hand = calloc(MEMBERS_TOGETHER, padded);
    candidate *pools = malloc(all * ((size_t)k + 1) * sizeof *pools);
    int32_t *held = calloc(all, sizeof *held);
    int32_t failed = vector && weights && few && at_hand && pools && held ? 0 : NO_MEMORY;
    query q = {.g = among, .width = width};
    for (size_t i = 0; i < all && !failed; i++) {
        q.weights = weights + (byte_products ? 0 : i * (size_t)d);
        q.few = few + i * padded;
        decode(from, own[i], vector);
        weigh(&q, vector);
    }
    for (int64_t first = 0; first < member_count && !failed; first += MEMBERS_TOGETHER) {
        int64_t left = member_count - first, block = left < MEMBERS_TOGETHER ? left : MEMBERS_TOGETHER;
        for (int64_t m = 0; m < block; m++)
            memcpy(at_hand + padded * (size_t)m, among->codes + width * (size_t)members[first + m], width);
        for (size_t tile = 0; tile < all; tile += TOGETHER)
            for (int64_t m = 0; m < block; m++) {
                const uint8_t *code = at_hand + padded * (size_t)m;
                int64_t member = members[first + m];
                int32_t sums[TOGETHER] = {0};
                if (byte_products) four_sums_of_byte_products(code, few + tile * padded, padded, sums);
                for (size_t i = tile; i < all && i < tile + TOGETHER; i++) {
                    q.weights = weights + (byte_products ? 0 : i * (size_t)d);
                    q.few = few + i * padded;
                    float of_member = byte_products ? (float)sums[i - tile] : score(&q, code);
                    candidate *pool = pools + i * ((size_t)k + 1);
                    if (held[i] == k && of_member <= pool[k - 1].score) continue;
                    if (from == among && member == own[i]) continue;
                    int unused = k;
                    held[i] = keep(pool, held[i], k, of_member, (uint32_t)member, &unused);
                }
            }
    }
    for (size_t i = 0; i < all && !failed; i++)
        for (int32_t j = 0; j < k; j++)
            found[i * (size_t)k + (size_t)j] = j < held[i] ? (int32_t)pools[i * ((size_t)k + 1) + (size_t)j].row : -1;
    free(vector);
    free(weights);
    free(few);
    free(at_hand);
    free(pools);
    free(held);
    return failed;
}

/* Links every row from its neighbours too, nearest first, while they have room: `links` (rows, degree) holds
   `forward` neighbours in front, and -1 behind them. */
API void graph_link_back(int32_t *links, int64_t rows, int32_t degree, int32_t forward) {
    for (int32_t rank = 0; rank < forward; rank++)
        for (int64_t row = 0; row < rows; row++) {
            int32_t neighbour = links[row * degree + rank];
            if (neighbour < 0) continue;
            int32_t *theirs = links + (int64_t)neighbour * degree;
            int32_t at = 0;
            while (at < degree && theirs[at] >= 0 && theirs[at] != row) at++;
            if (at < degree && theirs[at] < 0) theirs[at] = (int32_t)row;
        }
}

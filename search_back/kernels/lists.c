/* Search in inverted lists of 4-bit codes: codes find candidates, whole rows score them.

   Most of the time goes to waiting for memory: lists, and the rows of candidates, lie anywhere in it. So what comes
   next is asked for while what has come is compared.

   Codes lie as faiss packs them for its fast scan (Andre et al., Quicker ADC, 2019): 32 rows to a block, and of each
   two parts of their codes 32 bytes: 16 of the first part, 16 of the second. The lower half of byte j belongs to row
   j / 2 of the block, or 8 more where j is odd, the upper half to the row 16 behind that. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

typedef struct {
    const uint8_t *const *codes; /* (lists,): the blocks of each */
    const uint8_t *const *ids;   /* (lists,): numbers of eight bytes, aligned or not */
    const int64_t *sizes;        /* (lists,) */
    const float *codebook;       /* (parts, 16, dimension / parts): what a code stands for, beyond its list's centre */
    const uint8_t *rows;         /* (row_count, dimension), row_width bytes each */
    const float *scale;          /* (dimension,): of a step of a byte; unused for others */
    const float *least;          /* (dimension,): what the byte 0 stands for; unused for others */
    int64_t list_count, row_count;
    int32_t parts, dimension, row_width; /* row_width: 1 of bytes, 2 of half floats, 4 of floats */
} lists;

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define HASWELL __attribute__((target("avx2,fma,f16c")))

enum { BLOCK = 32, BLOCKS_AHEAD = 2, ROWS_AHEAD = 8 };
enum { DIGIT = 11, FEW = 48 }; /* bits that one pass sorts by; keys that are sorted one by one */
enum { NO_MEMORY = -1 };

typedef union {
    uint32_t bits;
    float value;
} word;

/* A score and an id as a number: the smaller, the better; of equal scores the smaller id. */
INLINE uint64_t key_of(float score, uint32_t id) {
    word w = {.value = score};
    uint32_t falling = w.bits >> 31 ? w.bits : ~w.bits & 0x7fffffff;
    return (uint64_t)falling << 32 | id;
}

INLINE float score_of(uint64_t key) {
    uint32_t falling = (uint32_t)(key >> 32);
    word w = {.bits = falling >> 31 ? falling : ~falling & 0x7fffffff};
    return w.value;
}

/* Moves the `wanted` smallest of `count` keys, 1 at least, to the front, the largest of them behind the others. */
static void choose(uint64_t *keys, int64_t count, int64_t wanted) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        uint64_t a = keys[low], b = keys[low + (high - low) / 2], c = keys[high];
        uint64_t middle = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        int64_t i = low, j = high;
        while (i <= j) {
            while (keys[i] < middle) i++;
            while (keys[j] > middle) j--;
            if (i > j) break;
            uint64_t swapped = keys[i];
            keys[i++] = keys[j];
            keys[j--] = swapped;
        }
        if (wanted - 1 <= j) high = j;
        else if (wanted - 1 >= i) low = i;
        else return;
    }
}

/* Sorts `count` keys by their lowest `bits`; `spare` has room for as many. */
static void sort(uint64_t *keys, uint64_t *spare, int64_t count, int bits) {
    if (count <= FEW) {
        for (int64_t i = 1; i < count; i++) {
            uint64_t key = keys[i];
            int64_t at = i;
            for (; at > 0 && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
            keys[at] = key;
        }
        return;
    }
    uint64_t *from = keys, *to = spare;
    for (int shift = 0; shift < bits; shift += DIGIT) {
        int64_t starts[(1 << DIGIT) + 1] = {0};
        for (int64_t i = 0; i < count; i++) starts[(from[i] >> shift & ((1 << DIGIT) - 1)) + 1]++;
        for (int digit = 0; digit < 1 << DIGIT; digit++) starts[digit + 1] += starts[digit];
        for (int64_t i = 0; i < count; i++) to[starts[from[i] >> shift & ((1 << DIGIT) - 1)]++] = from[i];
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keys) memcpy(keys, from, (size_t)count * sizeof *keys);
}

/* A block of the lists that a query visits. */
typedef struct {
    const lists *l;
    const int64_t *visit; /* (visits,): lists; -1 is none */
    int32_t visits, at;
    int64_t block, blocks;
} place;

/* To the next block; 0 behind the last. */
INLINE int advance(place *p) {
    if (++p->block < p->blocks) return 1;
    p->block = p->blocks = 0;
    while (p->at + 1 < p->visits) {
        int64_t list = p->visit[++p->at];
        if (list < 0 || list >= p->l->list_count) continue;
        p->blocks = (p->l->sizes[list] + BLOCK - 1) / BLOCK;
        if (p->blocks) return 1;
    }
    return 0;
}

INLINE const uint8_t *codes_at(const place *p) {
    return p->l->codes[p->visit[p->at]] + (size_t)p->block * (size_t)p->l->parts * (BLOCK / 2);
}

INLINE const uint8_t *ids_at(const place *p) {
    return p->l->ids[p->visit[p->at]] + (size_t)p->block * BLOCK * sizeof(int64_t);
}

INLINE int64_t id_of(const uint8_t *ids, int row) {
    int64_t id;
    memcpy(&id, ids + (size_t)row * sizeof id, sizeof id);
    return id;
}

/* What a query is while it is answered. */
typedef struct {
    const lists *l;
    const float *vector;   /* (dimension,) */
    const uint8_t *among;  /* a bit for each id: whether it may be found; NULL: all may */
    int64_t among_bytes;   /* ids beyond may not */
    float *weights;        /* (dimension,): of what the numbers of a row stand for */
    float *table;          /* (parts, 16): what each code adds to a score */
    uint8_t *steps;        /* (parts, 16): the same in steps above the least of its part */
    float base, per_score; /* the sum of the least; steps of a score */
    uint64_t *keys, *spare;
    int64_t room, wanted; /* keys that are kept before the best `wanted` are chosen; room for BLOCK more */
} query;

HASWELL INLINE void tabulate(query *q) {
    const lists *l = q->l;
    int width = l->dimension / l->parts;
    float largest = 0, sum = 0;
    q->base = 0;
    for (int part = 0; part < l->parts; part++) {
        const float *centre = l->codebook + part * 16 * width, *x = q->vector + part * width;
        float *scores = q->table + part * 16, least, most;
        for (int code = 0; code < 16; code++) {
            float score = 0;
            for (int j = 0; j < width; j++) score += x[j] * centre[code * width + j];
            scores[code] = score;
        }
        least = most = scores[0];
        for (int code = 1; code < 16; code++) {
            least = scores[code] < least ? scores[code] : least;
            most = scores[code] > most ? scores[code] : most;
        }
        for (int code = 0; code < 16; code++) scores[code] -= least;
        q->base += least;
        sum += most - least;
        largest = most - least > largest ? most - least : largest;
    }
    /* A step fits a byte, and all of them 16 bits. */
    q->per_score = largest > 0 ? 255 / largest : 1;
    if (sum * q->per_score > (float)(UINT16_MAX - l->parts)) q->per_score = (float)(UINT16_MAX - l->parts) / sum;
    for (int i = 0; i < 16 * l->parts; i++) q->steps[i] = (uint8_t)(q->table[i] * q->per_score + 0.5f);
}

/* The steps of each row of a block into `found`; a bit for each that has `least` or more. Asks for `ahead`. */
HASWELL INLINE uint32_t
score_block(const uint8_t *codes, const uint8_t *steps, int parts, uint16_t least, uint16_t *found, const uint8_t *ahead) {
    /* 16-bit sums of rows 0 to 7, with those of 8 to 15 in their upper bytes; these alone; the same 16 rows behind. */
    __m256i both = _mm256_setzero_si256(), upper = both, both_behind = both, upper_behind = both;
    const __m256i low = _mm256_set1_epi8(15);
    for (int part = 0; part < parts; part += 2) {
        __m256i code = _mm256_loadu_si256((const __m256i *)(codes + 16 * part));
        __m256i of_part = _mm256_loadu_si256((const __m256i *)(steps + 16 * part));
        __m256i near = _mm256_shuffle_epi8(of_part, _mm256_and_si256(code, low));
        __m256i behind = _mm256_shuffle_epi8(of_part, _mm256_and_si256(_mm256_srli_epi16(code, 4), low));
        both = _mm256_add_epi16(both, near);
        upper = _mm256_add_epi16(upper, _mm256_srli_epi16(near, 8));
        both_behind = _mm256_add_epi16(both_behind, behind);
        upper_behind = _mm256_add_epi16(upper_behind, _mm256_srli_epi16(behind, 8));
        if (part % 4 == 0) PREFETCH(ahead + 16 * part);
    }
    both = _mm256_sub_epi16(both, _mm256_slli_epi16(upper, 8));
    both_behind = _mm256_sub_epi16(both_behind, _mm256_slli_epi16(upper_behind, 8));
    /* The lower half of each is of even parts, the upper of odd ones. */
    __m256i first = _mm256_add_epi16(
        _mm256_permute2x128_si256(both, upper, 0x20), _mm256_permute2x128_si256(both, upper, 0x31)
    );
    __m256i second = _mm256_add_epi16(
        _mm256_permute2x128_si256(both_behind, upper_behind, 0x20),
        _mm256_permute2x128_si256(both_behind, upper_behind, 0x31)
    );
    _mm256_storeu_si256((__m256i *)found, first);
    _mm256_storeu_si256((__m256i *)(found + 16), second);
    __m256i bound = _mm256_set1_epi16((int16_t)least);
    __m256i enough = _mm256_packs_epi16(
        _mm256_cmpeq_epi16(_mm256_max_epu16(first, bound), first),
        _mm256_cmpeq_epi16(_mm256_max_epu16(second, bound), second)
    );
    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(enough, 0xd8));
}

INLINE int may_be_found(const query *q, int64_t id) {
    if (id < 0 || id >= q->l->row_count) return 0;
    if (!q->among) return 1;
    return id >> 3 < q->among_bytes && q->among[id >> 3] >> (id & 7) & 1;
}

/* The keys of the best candidates come to the front; how many. `near`: (visits,): what the centre of each list adds. */
HASWELL INLINE int64_t scan(query *q, const int64_t *visit, const float *near, int32_t visits, int64_t *compared) {
    const lists *l = q->l;
    place at = {.l = l, .visit = visit, .visits = visits, .at = -1}, ahead = at;
    int more = 1;
    for (int i = 0; i < BLOCKS_AHEAD && more; i++) more = advance(&ahead);
    const float per_step = 1 / q->per_score;
    int64_t held = 0;
    int is_full = 0;
    float worst = 0; /* of those kept, once it is full */
    while (advance(&at)) {
        const uint8_t *codes = codes_at(&at), *next = codes;
        if (more && (more = advance(&ahead))) {
            const uint8_t *ids = ids_at(&ahead);
            next = codes_at(&ahead);
            for (size_t b = 0; b < BLOCK * sizeof(int64_t); b += LINE) PREFETCH(ids + b);
        }
        const float centre = near[at.at] + q->base;
        float least = is_full ? (worst - centre) * q->per_score : 0;
        uint16_t bound = !(least > 0) ? 0 : least < UINT16_MAX ? (uint16_t)least : UINT16_MAX;
        uint16_t found[BLOCK];
        uint32_t good = score_block(codes, q->steps, l->parts, bound, found, next);
        int64_t left = l->sizes[visit[at.at]] - at.block * BLOCK;
        if (left < BLOCK) good &= (UINT32_C(1) << left) - 1;
        *compared += left < BLOCK ? left : BLOCK;
        const uint8_t *ids = ids_at(&at);
        for (; good; good &= good - 1) {
            int row = __builtin_ctz(good);
            int64_t id = id_of(ids, row);
            if (may_be_found(q, id)) q->keys[held++] = key_of(centre + (float)found[row] * per_step, (uint32_t)id);
        }
        if (held > q->room) {
            choose(q->keys, held, q->wanted);
            held = q->wanted;
            worst = score_of(q->keys[held - 1]);
            is_full = 1;
        }
    }
    if (held <= q->wanted) return held;
    choose(q->keys, held, q->wanted);
    return q->wanted;
}

HASWELL INLINE float score_row(const query *q, const uint8_t *row) {
    const lists *l = q->l;
    const float *weights = q->weights;
    __m256 sum = _mm256_setzero_ps(), other = sum;
    int j = 0;
    float rest = 0;
    if (l->row_width == 2) {
        const uint16_t *x = (const uint16_t *)row;
        for (; j + 16 <= l->dimension; j += 16) {
            __m256 a = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + j)));
            __m256 b = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + j + 8)));
            sum = _mm256_fmadd_ps(a, _mm256_loadu_ps(weights + j), sum);
            other = _mm256_fmadd_ps(b, _mm256_loadu_ps(weights + j + 8), other);
        }
        for (; j < l->dimension; j++) rest += _cvtsh_ss(x[j]) * weights[j];
    } else if (l->row_width == 1) {
        for (; j + 16 <= l->dimension; j += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(row + j));
            __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x));
            __m256 b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)));
            sum = _mm256_fmadd_ps(a, _mm256_loadu_ps(weights + j), sum);
            other = _mm256_fmadd_ps(b, _mm256_loadu_ps(weights + j + 8), other);
        }
        for (; j < l->dimension; j++) rest += (float)row[j] * weights[j];
    } else {
        const float *x = (const float *)row;
        for (; j + 16 <= l->dimension; j += 16) {
            sum = _mm256_fmadd_ps(_mm256_loadu_ps(x + j), _mm256_loadu_ps(weights + j), sum);
            other = _mm256_fmadd_ps(_mm256_loadu_ps(x + j + 8), _mm256_loadu_ps(weights + j + 8), other);
        }
        for (; j < l->dimension; j++) rest += x[j] * weights[j];
    }
    float sums[8];
    _mm256_storeu_ps(sums, _mm256_add_ps(sum, other));
    for (int i = 0; i < 8; i++) rest += sums[i];
    return rest;
}

/* Scores `held` candidates by their rows, in the order in which these lie: pages are found faster so. */
HASWELL INLINE void score_again(query *q, int64_t held) {
    const lists *l = q->l;
    float base = 0;
    for (int j = 0; j < l->dimension; j++) {
        q->weights[j] = l->row_width == 1 ? q->vector[j] * l->scale[j] : q->vector[j];
        if (l->row_width == 1) base += q->vector[j] * l->least[j];
    }
    for (int64_t i = 0; i < held; i++) q->keys[i] &= UINT32_MAX;
    sort(q->keys, q->spare, held, 32);
    size_t bytes = (size_t)l->dimension * (size_t)l->row_width;
    for (int64_t i = -ROWS_AHEAD; i < held; i++) {
        if (i + ROWS_AHEAD < held) {
            const uint8_t *row = l->rows + q->keys[i + ROWS_AHEAD] * bytes;
            for (size_t b = 0; b < bytes; b += LINE) PREFETCH(row + b);
        }
        if (i < 0) continue;
        uint32_t id = (uint32_t)q->keys[i];
        q->keys[i] = key_of(base + score_row(q, l->rows + id * bytes), id);
    }
}

HASWELL static int64_t answer(
    const lists *l, const float *queries, int64_t count, const int64_t *visit, const float *near, int32_t visits,
    query *q, int32_t again, int64_t k, float *scores, int64_t *ids
) {
    int64_t compared = 0;
    for (int64_t i = 0; i < count; i++) {
        q->vector = queries + i * l->dimension;
        tabulate(q);
        int64_t held = scan(q, visit + i * visits, near + i * visits, visits, &compared);
        if (again) score_again(q, held);
        if (held > k) choose(q->keys, held, k);
        held = held < k ? held : k;
        sort(q->keys, q->spare, held, 64);
        for (int64_t j = 0; j < k; j++) {
            scores[i * k + j] = j < held ? score_of(q->keys[j]) : 0;
            ids[i * k + j] = j < held ? (int64_t)(q->keys[j] & UINT32_MAX) : -1;
        }
    }
    return compared;
}

/* Whether this processor can do what follows. */
API int32_t lists_searchable(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

/* Answers `queries` (count, dimension) into `scores` and `ids` (count, k), padded with -1, from the lists of `visit`
   (count, visits), of which -1 is none; how many codes were compared, or -1 where memory ran out.

   `near` (count, visits): what a row in the centre of each list scores. `candidates`: found by codes, k at least; of
   these the best k, where `again` by the scores of their rows. `among`: see `query`. */
API int64_t lists_search(
    const lists *l, const float *queries, int64_t count, const int64_t *visit, const float *near, int32_t visits,
    const uint8_t *among, int64_t among_bytes, int64_t candidates, int32_t again, int64_t k, float *scores, int64_t *ids
) {
    query q = {.l = l, .among = among, .among_bytes = among_bytes, .wanted = candidates, .room = 2 * candidates};
    q.weights = malloc((size_t)l->dimension * sizeof *q.weights);
    q.table = malloc((size_t)l->parts * 16 * sizeof *q.table);
    q.steps = malloc((size_t)l->parts * 16);
    q.keys = malloc((size_t)(q.room + BLOCK) * sizeof *q.keys);
    q.spare = malloc((size_t)candidates * sizeof *q.spare);
    int64_t compared = NO_MEMORY;
    if (q.weights && q.table && q.steps && q.keys && q.spare)
        compared = answer(l, queries, count, visit, near, visits, &q, again, k, scores, ids);
    free(q.weights);
    free(q.table);
    free(q.steps);
    free(q.keys);
    free(q.spare);
    return compared;
}

#else

API int32_t lists_searchable(void) { return 0; }

API int64_t lists_search(
    const lists *l, const float *queries, int64_t count, const int64_t *visit, const float *near, int32_t visits,
    const uint8_t *among, int64_t among_bytes, int64_t candidates, int32_t again, int64_t k, float *scores, int64_t *ids
) {
    (void)l, (void)queries, (void)count, (void)visit, (void)near, (void)visits, (void)among, (void)among_bytes;
    (void)candidates, (void)again, (void)k, (void)scores, (void)ids;
    return -1;
}

#endif

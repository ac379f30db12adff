/* The memory's inner loops: codes of keys, overlaps of codes, chains, inner products of counts.
 *
 * Each has an equivalent in NumPy (deploy/memory) that gives the same bits. Floats are only added,
 * subtracted and divided, one by one, so that vectors of any width round alike.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

/* One body, compiled for AVX2 too where there is x86: the compiler vectorises the loops. */
#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE __attribute__((target("avx2")))
#define HAVE_WIDE (__builtin_cpu_supports("avx2"))
#endif

#define LANES 8 /* blocks that are transformed side by side */

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t flags __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* Walsh-Hadamard transform along `order` (a power of two) of rows of `width` floats. */
INLINE void transform(float *restrict x, int64_t order, int64_t width)
{
    for (int64_t half = 1; half < order; half *= 2)
        for (int64_t base = 0; base < order; base += 2 * half)
            for (int64_t i = base; i < base + half; i++) {
                float *restrict a = x + i * width, *restrict b = x + (i + half) * width;
                for (int64_t j = 0; j < width; j++) {
                    const float sum = a[j] + b[j], difference = a[j] - b[j];
                    a[j] = sum;
                    b[j] = difference;
                }
            }
}

/* Two stages at once for rows of LANES floats: the same sums, half the traffic. */
INLINE void transform_lanes(lanes *x, int64_t order)
{
    int64_t half = 1;
    for (; 2 * half < order; half *= 4)
        for (int64_t base = 0; base < order; base += 4 * half)
            for (int64_t i = base; i < base + half; i++) {
                lanes *p = x + i;
                const lanes a = p[0], b = p[half], c = p[2 * half], d = p[3 * half];
                const lanes ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
                p[0] = ab + cd;
                p[half] = a_b + c_d;
                p[2 * half] = ab - cd;
                p[3 * half] = a_b - c_d;
            }
    if (half < order)
        for (int64_t i = 0; i < half; i++) {
            const lanes a = x[i], b = x[i + half];
            x[i] = a + b;
            x[i + half] = a - b;
        }
}

/* What a projection is made of. signs[0]: of the key, `order`; signs[1..]: groups of LANES blocks,
 * (groups, order, LANES); mean and scale in that order too, mean infinite where there is no unit. */
typedef struct {
    const float *signs, *block_signs, *mean, *scale;
    int64_t dim, order, groups, units, k;
} projection;

/* Fields of one key: (groups, order, LANES). mixed: `order` floats of scratch. */
INLINE void fields_of(const projection *p, const float *key, float *restrict mixed, float *restrict fields)
{
    for (int64_t i = 0; i < p->dim; i++) mixed[i] = key[i] * p->signs[i];
    for (int64_t i = p->dim; i < p->order; i++) mixed[i] = 0;
    transform(mixed, p->order, 1);
    for (int64_t g = 0; g < p->groups; g++) {
        lanes *x = (lanes *)fields + g * p->order;
        const lanes *s = (const lanes *)p->block_signs + g * p->order;
        for (int64_t i = 0; i < p->order; i++) x[i] = s[i] * mixed[i];
        transform_lanes(x, p->order);
    }
}

/* The k-th largest of n floats; reorders them. */
static float kth_largest(float *x, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1, place = k - 1;
    while (low < high) {
        const float pivot = x[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i <= j) {
                const float t = x[i];
                x[i++] = x[j];
                x[j--] = t;
            }
        }
        if (place <= j) high = j;
        else if (place >= i) low = i;
        else break;
    }
    return x[place];
}

static int by_unit(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* The k largest z-scores, ties to the lower unit, as increasing units. The k-th largest of the maxima of
 * disjoint parts bounds the k-th largest of all from below, so few values are looked at closely. */
INLINE void winners(const projection *p, float *restrict z, float *restrict maxima, float *restrict kept,
                    int32_t *restrict at, uint16_t *code)
{
    const int64_t rows = p->groups * p->order, all = rows * LANES;
    int64_t parts = rows;
    int64_t length = 1;
    while (parts / 2 * LANES >= 4 * p->k && parts % 2 == 0) parts /= 2, length *= 2;
    lanes *v = (lanes *)z;
    const lanes *mean = (const lanes *)p->mean, *scale = (const lanes *)p->scale;
    for (int64_t part = 0; part < parts; part++) {
        lanes most = (v[part * length] - mean[part * length]) / scale[part * length];
        v[part * length] = most;
        for (int64_t r = part * length + 1; r < (part + 1) * length; r++) {
            const lanes value = (v[r] - mean[r]) / scale[r];
            const flags more = value > most;
            most = (lanes)(((flags)value & more) | ((flags)most & ~more));
            v[r] = value;
        }
        memcpy(maxima + part * LANES, &most, sizeof most);
    }
    const float bound = parts * LANES >= p->k ? kth_largest(maxima, parts * LANES, p->k) : -INFINITY;
    int64_t count = 0;
    for (int64_t r = 0; r < all; r += LANES) {
        const flags over = v[r / LANES] >= bound;
        int64_t any[LANES / 2];
        memcpy(any, &over, sizeof any);
        if (!(any[0] | any[1] | any[2] | any[3])) continue;
        for (int j = 0; j < LANES; j++)
            if (z[r + j] >= bound && p->mean[r + j] != INFINITY) {
                const int64_t group = r / LANES / p->order, index = r / LANES % p->order;
                at[count] = (int32_t)((group * LANES + j) * p->order + index);
                maxima[count] = kept[count] = z[r + j];
                count++;
            }
    }
    const float cut = kth_largest(maxima, count, p->k);
    int64_t chosen = 0, level = 0;
    for (int64_t c = 0; c < count; c++) {
        if (kept[c] > cut) code[chosen++] = (uint16_t)at[c];
        else if (kept[c] == cut) at[level++] = at[c];
    }
    while (chosen < p->k) { /* ties: the lowest units first */
        int64_t lowest = 0;
        for (int64_t c = 1; c < level; c++) lowest = at[c] < at[lowest] ? c : lowest;
        code[chosen++] = (uint16_t)at[lowest];
        at[lowest] = INT32_MAX;
    }
    qsort(code, (size_t)p->k, sizeof *code, by_unit);
}

INLINE int32_t encode(const projection *p, const float *keys, int64_t count, uint16_t *codes)
{
    const size_t all = (size_t)(p->groups * p->order * LANES);
    float *memory = malloc((all * 3 + (size_t)p->order) * sizeof *memory + all * sizeof(int32_t));
    if (!memory) return 1;
    float *z = memory, *maxima = z + all, *kept = maxima + all, *mixed = kept + all;
    int32_t *at = (int32_t *)(mixed + p->order);
    for (int64_t n = 0; n < count; n++) {
        fields_of(p, keys + n * p->dim, mixed, z);
        winners(p, z, maxima, kept, at, codes + n * p->k);
    }
    free(memory);
    return 0;
}

/* Adds the fields of keys, and their squares, to sums in unit order: what unit statistics need. */
INLINE int32_t sum_fields(const projection *p, const float *keys, int64_t count, double *restrict total,
                          double *restrict squares)
{
    const size_t all = (size_t)(p->groups * p->order * LANES);
    float *memory = malloc((all + (size_t)p->order) * sizeof *memory);
    if (!memory) return 1;
    for (int64_t n = 0; n < count; n++) {
        fields_of(p, keys + n * p->dim, memory + all, memory);
        for (size_t i = 0; i < all; i++) {
            const double value = memory[i];
            total[i] += value;
            squares[i] += value * value;
        }
    }
    free(memory);
    return 0;
}

/* An inverted index in segments: unit u of segment s names slots[s][starts[s][u] .. starts[s][u + 1]];
 * codes from `listed` on are compared one by one. Edges: see edges.py. */
typedef struct {
    const int32_t *const *starts, *const *slots;
    const uint16_t *codes;
    const int32_t *degree, *newest, *previous, *targets;
    const double *weights;
    uint16_t *overlap; /* (size), scratch */
    uint8_t *active;   /* (code_dim), zeros */
    double *votes;     /* (size), zeros */
    int32_t *voted;    /* (size), scratch */
    int64_t segments, size, listed, k, code_dim;
} index_;

INLINE void count_overlaps(const index_ *x, const uint16_t *cue, int64_t winners_)
{
    memset(x->overlap, 0, (size_t)x->size * sizeof *x->overlap);
    for (int64_t s = 0; s < x->segments; s++)
        for (int64_t w = 0; w < winners_; w++) {
            const int32_t first = x->starts[s][cue[w]], last = x->starts[s][(int32_t)cue[w] + 1];
            const int32_t *slots = x->slots[s];
            for (int32_t i = first; i < last; i++) x->overlap[slots[i]]++;
        }
    if (x->listed == x->size) return;
    for (int64_t w = 0; w < winners_; w++) x->active[cue[w]] = 1;
    for (int64_t slot = x->listed; slot < x->size; slot++) {
        uint16_t shared = 0;
        for (int64_t j = 0; j < x->k; j++) shared += x->active[x->codes[slot * x->k + j]];
        x->overlap[slot] = shared;
    }
    for (int64_t w = 0; w < winners_; w++) x->active[cue[w]] = 0;
}

INLINE int best_overlap(const index_ *x)
{
    int best = 0;
    for (int64_t slot = 0; slot < x->size; slot++) {
        const int overlap = x->degree[slot] > 0 ? x->overlap[slot] : 0;
        best = overlap > best ? overlap : best;
    }
    return best;
}

/* Slot with most votes of the voters, ties to the lower; leaves votes zero. */
INLINE int32_t elected(const index_ *x, int32_t only, double least)
{
    int64_t count = 0;
    for (int64_t slot = only >= 0 ? only : 0; slot < (only >= 0 ? only + 1 : x->size); slot++) {
        if (x->degree[slot] <= 0 || (double)x->overlap[slot] < least) continue;
        for (int32_t edge = x->newest[slot]; edge >= 0; edge = x->previous[edge]) {
            if (x->weights[edge] == 0) continue;
            const int32_t target = x->targets[edge];
            if (x->votes[target] == 0) x->voted[count++] = target;
            x->votes[target] += x->weights[edge] * (double)x->overlap[slot];
        }
    }
    int32_t winner = x->voted[0];
    for (int64_t i = 1; i < count; i++) {
        const int32_t target = x->voted[i];
        const double more = x->votes[target] - x->votes[winner];
        if (more > 0 || (more == 0 && target < winner)) winner = target;
    }
    for (int64_t i = 0; i < count; i++) x->votes[x->voted[i]] = 0;
    return winner;
}

/* Hops from the code `cue` of the item in `slot` (-1: of none); writes slots and overlaps, returns how many. */
INLINE int64_t chain(const index_ *x, const uint16_t *cue, int32_t slot, int64_t hops, double stop,
                     double threshold, int32_t *path, int32_t *overlaps, int32_t *last)
{
    for (int64_t hop = 0; hop < hops; hop++) {
        count_overlaps(x, cue, x->k);
        const int best = best_overlap(x);
        *last = best;
        if (!best || (double)best / (double)x->k < stop) return hop;
        const int own = slot >= 0 && best == x->k && x->degree[slot] > 0 && x->overlap[slot] == x->k;
        slot = elected(x, own ? slot : -1, best == x->k ? best : threshold * best);
        cue = x->codes + (int64_t)slot * x->k;
        path[hop] = slot;
        overlaps[hop] = best;
    }
    return hops;
}

/* Inner products of uint8 rows (count, dim) with int16 queries (queries, dim): int32 (queries, count). */
INLINE void inner_products(const uint8_t *restrict rows, int64_t count, int64_t dim,
                           const int16_t *restrict queries, int64_t asked, int32_t *restrict products)
{
    int64_t q = 0;
    for (; q + 4 <= asked; q += 4) {
        const int16_t *restrict a = queries + q * dim, *restrict b = a + dim, *restrict c = b + dim;
        const int16_t *restrict d = c + dim;
        for (int64_t n = 0; n < count; n++) {
            const uint8_t *restrict row = rows + n * dim;
            int32_t sa = 0, sb = 0, sc = 0, sd = 0;
            for (int64_t i = 0; i < dim; i++) {
                const int16_t value = row[i];
                sa += value * a[i];
                sb += value * b[i];
                sc += value * c[i];
                sd += value * d[i];
            }
            products[q * count + n] = sa;
            products[(q + 1) * count + n] = sb;
            products[(q + 2) * count + n] = sc;
            products[(q + 3) * count + n] = sd;
        }
    }
    for (; q < asked; q++)
        for (int64_t n = 0; n < count; n++) {
            const uint8_t *restrict row = rows + n * dim;
            const int16_t *restrict a = queries + q * dim;
            int32_t sum = 0;
            for (int64_t i = 0; i < dim; i++) sum += (int16_t)row[i] * a[i];
            products[q * count + n] = sum;
        }
}

#if defined(HAVE_WIDE)
WIDE static int32_t encode_wide(const projection *p, const float *keys, int64_t count, uint16_t *codes)
{
    return encode(p, keys, count, codes);
}
WIDE static int32_t sum_fields_wide(const projection *p, const float *keys, int64_t count, double *t, double *s)
{
    return sum_fields(p, keys, count, t, s);
}
WIDE static int64_t chain_wide(const index_ *x, const uint16_t *cue, int32_t slot, int64_t hops, double stop,
                               double threshold, int32_t *path, int32_t *overlaps, int32_t *last)
{
    return chain(x, cue, slot, hops, stop, threshold, path, overlaps, last);
}
WIDE static void inner_products_wide(const uint8_t *rows, int64_t count, int64_t dim, const int16_t *queries,
                                     int64_t asked, int32_t *products)
{
    inner_products(rows, count, dim, queries, asked, products);
}
#define CALL(name, ...) (HAVE_WIDE ? name##_wide(__VA_ARGS__) : name(__VA_ARGS__))
#else
#define CALL(name, ...) name(__VA_ARGS__)
#endif

/* Lists of the slots first, first + 1, ... of codes (count, k), by unit: a counting sort. starts: (units + 1). */
EXPORT void snn_memory_lists(const uint16_t *codes, int64_t first, int64_t count, int64_t k, int64_t units,
                             int32_t *starts, int32_t *slots)
{
    memset(starts, 0, (size_t)(units + 1) * sizeof *starts);
    for (int64_t i = 0; i < count * k; i++) starts[codes[i] + 1]++;
    for (int64_t u = 0; u < units; u++) starts[u + 1] += starts[u];
    for (int64_t n = 0; n < count; n++) /* starts[u] runs to the end of its list, where that of u + 1 began */
        for (int64_t j = 0; j < k; j++) slots[starts[codes[n * k + j]]++] = (int32_t)(first + n);
    memmove(starts + 1, starts, (size_t)units * sizeof *starts);
    starts[0] = 0;
}

/* Codes uint16 (count, k) of unit keys float32 (count, dim); 1 where memory ran out. */
EXPORT int32_t snn_memory_encode(const projection *p, const float *keys, int64_t count, uint16_t *codes)
{
    return CALL(encode, p, keys, count, codes);
}

EXPORT int32_t snn_memory_sum_fields(const projection *p, const float *keys, int64_t count, double *total,
                                     double *squares)
{
    return CALL(sum_fields, p, keys, count, total, squares);
}

EXPORT void snn_memory_overlaps(const index_ *x, const uint16_t *cue, int64_t winners_)
{
    count_overlaps(x, cue, winners_);
}

EXPORT int64_t snn_memory_chain(const index_ *x, const uint16_t *cue, int32_t slot, int64_t hops, double stop,
                                double threshold, int32_t *path, int32_t *overlaps, int32_t *last)
{
    return CALL(chain, x, cue, slot, hops, stop, threshold, path, overlaps, last);
}

EXPORT void snn_memory_products(const uint8_t *rows, int64_t count, int64_t dim, const int16_t *queries,
                                int64_t asked, int32_t *products)
{
    CALL(inner_products, rows, count, dim, queries, asked, products);
}

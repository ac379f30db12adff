/* The kernel for x86-64 with AVX-512 (F, BW, DQ, VL). */
#include "engine.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,bmi,popcnt")
#endif
#include <immintrin.h>

#define LANES 16
typedef __m512i VS;
typedef __m512i VI;
typedef __m512 VF;

#define vs_zero() _mm512_setzero_si512()
/* written out, because GCC regroups the sums and then loads before it adds */
#define vs_add_row(acc, p) __asm__("vpaddw %1, %0, %0" : "+v"(acc) : "m"(*(const __m512i *)(p)))
#define vs_even(x) _mm512_slli_epi32(x, 16)
#define vs_odd(x) _mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000))
#define vi_zero() _mm512_setzero_si512()
#define vi_load(p) _mm512_load_si512(p)
#define vi_load_narrow(p) _mm512_cvtepi16_epi32(_mm256_load_si256((const __m256i *)(p)))
#define vi_store(p, x) _mm512_store_si512(p, x)
#define vi_add(a, b) _mm512_add_epi32(a, b)
#define vi_or(a, b) _mm512_or_si512(a, b)
#define vi_xor(a, b) _mm512_xor_si512(a, b)
#define vi_sll(x, n) _mm512_sll_epi32(x, _mm_cvtsi32_si128(n))
#define vi_sra(x, n) _mm512_sra_epi32(x, _mm_cvtsi32_si128(n))
#define vf_load(p) _mm512_load_ps(p)
#define vf_store(p, x) _mm512_store_ps(p, x)
#define vf_set(x) _mm512_set1_ps(x)
#define vf_add(a, b) _mm512_add_ps(a, b)
#define vf_mul(a, b) _mm512_mul_round_ps(a, b, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define vf_trunc(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define vf_from_int(x) _mm512_cvtepi32_ps(x)
#define vi_from_float(x) _mm512_cvttps_epi32(x)

static inline void add_run(int16_t *to, const int16_t *weights, int width, int grain)
{
    if (grain % 32 == 0) {
        for (int c = 0; c < width; c += 32)
            _mm512_storeu_si512(
                to + c, _mm512_add_epi16(_mm512_loadu_si512(to + c), _mm512_loadu_si512(weights + c)));
        return;
    }
    for (int c = 0; c < width; c += 16) {
        __m256i *sums = (__m256i *)(to + c);
        _mm256_storeu_si256(sums, _mm256_add_epi16(_mm256_loadu_si256(sums),
                                                   _mm256_loadu_si256((const __m256i *)(weights + c))));
    }
}

static inline VI vi_wrap(VI u)
{
    const VI turn = _mm512_set1_epi32(1 << 24);
    const __mmask16 above = _mm512_cmpgt_epi32_mask(u, _mm512_set1_epi32(1 << 23));
    const __mmask16 below = _mm512_cmple_epi32_mask(u, _mm512_set1_epi32(-(1 << 23)));
    return _mm512_mask_add_epi32(_mm512_mask_sub_epi32(u, above, u, turn), below, u, turn);
}

static inline VF vf_clip(VF v)
{
    const VF limit = _mm512_set1_ps((1 << 23) - 1);
    return _mm512_max_ps(_mm512_min_ps(v, limit), _mm512_sub_ps(_mm512_setzero_ps(), limit));
}

#define FIRE_TILE
static inline __attribute__((always_inline)) uint64_t fire_tile(VF v[4], VF threshold)
{
    __mmask16 quiet[4];
    for (int i = 0; i < 4; i++) {
        quiet[i] = _mm512_cmp_ps_mask(v[i], threshold, _CMP_LE_OQ);
        v[i] = _mm512_maskz_mov_ps(quiet[i], v[i]);
    }
    return ~(uint64_t)_mm512_kunpackd(_mm512_kunpackw(quiet[3], quiet[2]), _mm512_kunpackw(quiet[1], quiet[0]));
}

#include "tile.inc"

static int usable(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static void pack(const uint8_t *raster, snn_node *node, int steps)
{
    for (int t = 0; t < steps; t++, raster += node->neurons) {
        uint64_t *row = node->bits + (int64_t)t * node->words;
        for (int w = 0; w < node->words; w++) {
            const int64_t here = node->neurons - (int64_t)w * 64;
            const __mmask64 exists = here >= 64 ? ~0ull : (1ull << here) - 1;
            const __m512i bytes = _mm512_maskz_loadu_epi8(exists, raster + w * 64);
            row[w] = _mm512_test_epi8_mask(bytes, bytes);
        }
    }
}

static int decode(snn_node *node, int begin, int end)
{
    const int words = node->words;
    int64_t used = begin ? node->first[begin - 1] + node->padded[begin - 1] : 0;
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i start = _mm512_mullo_epi32(lane, _mm512_set1_epi32(ROW)), next = _mm512_set1_epi32(16 * ROW);
    const __m128i none = _mm_set1_epi32((int)(node->neurons * ROW));
    const uint64_t *row = node->bits + (int64_t)begin * words;
    for (int t = begin; t < end; t++, row += words) {
        __m512i index = start;
        if (used + words * 64 + 64 > node->capacity && snn_reserve(node, used, words * 64)) return 1;
        uint32_t *const list = node->list + used;
        uint32_t *out = list;
        for (int w = 0; w < words; w++) {
            uint64_t word = row[w];
            for (int part = 0; part < 4; part++) {
                const __mmask16 mask = (__mmask16)word;
                _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(mask, index));
                out += __builtin_popcount(mask);
                index = _mm512_add_epi32(index, next);
                word >>= 16;
            }
        }
        _mm_storeu_si128((__m128i *)out, none);
        const int events = (int)(out - list);
        node->first[t] = used;
        node->events[t] = events;
        node->padded[t] = (events + 3) & ~3;
        used += (events + 3) & ~3;
    }
    return 0;
}

static void read_counts(const uint64_t *planes, int words, int32_t *counts)
{
    int used = PLANES;
    for (; used > 0; used--) {
        uint64_t any = 0;
        for (int w = 0; w < words; w++) any |= planes[(int64_t)(used - 1) * words + w];
        if (any) break;
    }
    for (int w = 0; w < words; w++)
        for (int part = 0; part < 4; part++) {
            __m512i total = _mm512_setzero_si512();
            for (int k = 0; k < used; k++) {
                const __mmask16 mask = (__mmask16)(planes[(int64_t)k * words + w] >> (16 * part));
                total = _mm512_mask_or_epi32(total, mask, total, _mm512_set1_epi32((int)(1u << k)));
            }
            _mm512_storeu_si512(counts + w * 64 + part * 16, total);
        }
}

const snn_kernel snn_avx512 = {"avx512", LANES, usable, forward, advance, pack, decode, count, read_counts,
                               load_and_add};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif

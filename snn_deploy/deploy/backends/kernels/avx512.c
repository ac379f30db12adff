/* The kernel for x86-64 with AVX-512 (F, BW, DQ, VL). */
#include "engine.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt")
#endif
#include <immintrin.h>

#define LANES 16
typedef __m512i VS;
typedef __m256i VH;
typedef __m512i VI;
typedef __m512 VF;
typedef __mmask16 VM;

#define vs_zero() _mm512_setzero_si512()
/* written out, because GCC regroups the sums and then loads before it adds */
#define vs_add_row(acc, p) __asm__("vpaddw %1, %0, %0" : "+v"(acc) : "m"(*(const __m512i *)(p)))
#define vs_store(p, x) _mm512_storeu_si512(p, x)
#define VH_LANES 16
#define vh_zero() _mm256_setzero_si256()
#define vh_add_row(acc, p) (acc) = _mm256_add_epi16(acc, _mm256_loadu_si256((const __m256i *)(p)))
#define vh_store(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define vs_add_high(acc, p) \
    (acc) = _mm512_add_epi16(acc, _mm512_srli_epi16(_mm512_load_si512(p), 8))
#define vs_set(n) _mm512_set1_epi16(n)
#define vs_sub(a, b) _mm512_sub_epi16(a, b)
#define vs_sll8(x) _mm512_slli_epi16(x, 8)
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
#define vf_scaled_add(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_largest(a, b) _mm512_range_ps(a, b, 0x0b)
#define vf_trunc(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define vf_from_int(x) _mm512_cvtepi32_ps(x)
#define vi_from_float(x) _mm512_cvttps_epi32(x)
#define vm_all() ((VM)0xffff)
#define vf_quiet(v, threshold) _mm512_cmp_ps_mask(v, threshold, _CMP_LE_OQ)
#define vf_where(m, v) _mm512_maskz_mov_ps(m, v)
#define vf_mul_where(m, v, k) _mm512_maskz_mul_round_ps(m, v, k, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)

static inline __attribute__((always_inline)) uint64_t tile_spikes(const VM quiet[4])
{
    return ~(uint64_t)_mm512_kunpackd(_mm512_kunpackw(quiet[3], quiet[2]), _mm512_kunpackw(quiet[1], quiet[0]));
}

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

static inline VF vf_one(void)
{
    VF one = _mm512_set1_ps(1);
    __asm__("" : "+v"(one));
    return one;
}

#define vf_clip_above(v) _mm512_min_ps(v, _mm512_set1_ps(V_LIMIT))
#define vf_clip_below(v) _mm512_max_ps(v, _mm512_set1_ps(-V_LIMIT))

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

/* Sixteen neurons at a time, for processors that compress no 16-bit lanes. */
static uint16_t *list_by_quarters(uint16_t *out, const uint64_t *row, int words, int first)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i entry = _mm512_add_epi32(_mm512_slli_epi32(lane, 4), _mm512_set1_epi32(first));
    for (int w = 0; w < words; w++)
        for (uint64_t word = row[w], part = 0; part < 4; part++, word >>= 16) {
            const __m512i spiking = _mm512_maskz_compress_epi32((__mmask16)word, entry);
            _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi32_epi16(spiking));
            out += __builtin_popcount((__mmask16)word);
            entry = _mm512_add_epi32(entry, _mm512_set1_epi32(16 * ENTRY));
        }
    return out;
}

__attribute__((target("avx512vbmi2"))) static uint16_t *list_by_halves(
    uint16_t *out, const uint64_t *row, int words, int first)
{
    const __m512i next = _mm512_set1_epi16(32 * ENTRY);
    const __m256i lane = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                          22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    __m512i entry = _mm512_slli_epi16(_mm512_cvtepu8_epi16(lane), 4);
    entry = _mm512_add_epi16(entry, _mm512_set1_epi16((int16_t)first));
    for (int w = 0; w < words; w++)
        for (uint64_t word = row[w], half = 0; half < 2; half++, word >>= 32) {
            const __m512i spiking = _mm512_maskz_compress_epi16((__mmask32)word, entry);
            const int events = __builtin_popcount((uint32_t)word);
            _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(spiking));
            /* few halves have more: half of the stores suffices */
            if (__builtin_expect(events > 16, 0)) _mm512_storeu_si512(out, spiking);
            out += events;
            entry = _mm512_add_epi16(entry, next);
        }
    return out;
}

static uint16_t *list_words(uint16_t *out, const uint64_t *row, int words, int first)
{
    return __builtin_cpu_supports("avx512vbmi2") ? list_by_halves(out, row, words, first)
                                                 : list_by_quarters(out, row, words, first);
}

#include "lists.inc"

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

/* Adds the spikes of `steps` steps to counters that hold bit k of every neuron's count in plane k (Harley and
 * Seal's carry-save adder: fourteen operations for 512 neurons and eight steps). */
#define SUM(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define CARRY(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xe8)

static void count(const uint64_t *bits, int steps, int words, uint64_t *planes)
{
    for (int first = 0; first < words; first += 8) {
        const __mmask8 here = words - first < 8 ? (__mmask8)((1 << (words - first)) - 1) : 0xff;
        uint64_t *plane = planes + first;
        __m512i ones = _mm512_maskz_loadu_epi64(here, plane);
        __m512i twos = _mm512_maskz_loadu_epi64(here, plane + words);
        __m512i fours = _mm512_maskz_loadu_epi64(here, plane + 2 * words);
        for (int t = 0; t < steps; t += 8) {
            __m512i row[8];
            for (int i = 0; i < 8; i++)
                row[i] = _mm512_maskz_loadu_epi64(t + i < steps ? here : 0, bits + (int64_t)(t + i) * words + first);
            const __m512i two_a = CARRY(ones, row[0], row[1]);
            ones = SUM(ones, row[0], row[1]);
            const __m512i two_b = CARRY(ones, row[2], row[3]);
            ones = SUM(ones, row[2], row[3]);
            const __m512i two_c = CARRY(ones, row[4], row[5]);
            ones = SUM(ones, row[4], row[5]);
            const __m512i two_d = CARRY(ones, row[6], row[7]);
            ones = SUM(ones, row[6], row[7]);
            const __m512i four_a = CARRY(twos, two_a, two_b);
            twos = SUM(twos, two_a, two_b);
            const __m512i four_b = CARRY(twos, two_c, two_d);
            twos = SUM(twos, two_c, two_d);
            __m512i carry = CARRY(fours, four_a, four_b);
            fours = SUM(fours, four_a, four_b);
            for (int k = 3; k < PLANES && _mm512_test_epi64_mask(carry, carry); k++) {
                const __m512i old = _mm512_maskz_loadu_epi64(here, plane + (int64_t)k * words);
                _mm512_mask_storeu_epi64(plane + (int64_t)k * words, here, _mm512_xor_si512(old, carry));
                carry = _mm512_and_si512(carry, old);
            }
        }
        _mm512_mask_storeu_epi64(plane, here, ones);
        _mm512_mask_storeu_epi64(plane + words, here, twos);
        _mm512_mask_storeu_epi64(plane + 2 * words, here, fours);
    }
}

#include "tile.inc"

static int usable(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
}

const snn_kernel snn_avx512 = {"avx512", LANES, usable, forward, advance, pack, decode, count, read_counts,
                               load_and_add};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif

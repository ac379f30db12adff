/* The kernel for x86-64 with AVX-512 (F, BW, DQ, VL). */
#include "engine.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt")
#endif
#include <immintrin.h>
#include <string.h>

#define LANES 16
#define TWO_SUMS 1
typedef __m512i VS;
typedef __m256i VH;
typedef __m512i VI;
typedef __m512 VF;
typedef __mmask16 VM;

#define vs_zero() _mm512_setzero_si512()
/* written out, because GCC regroups the sums and then loads before it adds */
#define vs_add_row(acc, p) __asm__("vpaddw %1, %0, %0" : "+v"(acc) : "m"(*(const __m512i *)(p)))
#define vs_add_entry(acc, rows, entry)                          \
    __asm__("vpaddw (%2,%3,8), %0, %0\n\tvpaddw 64(%2,%3,8), %1, %1" \
            : "+v"((acc)[0]), "+v"((acc)[1])                    \
            : "r"(rows), "r"(entry), "m"(*(const char(*)[])(rows)))
#define entry_of(four, k) ((k) == 0 ? (uint16_t)(four) : (k) == 3 ? (four) >> 48 : _bextr_u64(four, 16 * (k), 16))
#define vs_store(p, x) _mm512_storeu_si512(p, x)
#define VH_LANES 16
#define vh_zero() _mm256_setzero_si256()
#define vh_add_row(acc, p) (acc) = _mm256_add_epi16(acc, _mm256_loadu_si256((const __m256i *)(p)))
#define vh_store(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define vs_add_to(acc, x) __asm__("vpaddw %1, %0, %0" : "+v"(acc) : "v"(x))
#define vs_load(p) _mm512_load_si512(p)
#define vs_srl8(x) _mm512_srli_epi16(x, 8)
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
#define vf_less_unless(m, v, t) _mm512_mask_sub_ps(v, _knot_mask16(m), v, t)
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

#define vf_min(a, b) _mm512_min_ps(a, b)
#define vf_max(a, b) _mm512_max_ps(a, b)
#define vi_any(x) (_mm512_test_epi32_mask(x, x) != 0)
#define vf_any_above(a, b) (_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0)

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
static uint16_t *list_by_quarters(uint16_t *out, const uint64_t *row, int words)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i entry = _mm512_slli_epi32(lane, 4);
    for (int w = 0; w < words; w++)
        for (uint64_t word = row[w], part = 0; part < 4; part++, word >>= 16) {
            const __m512i spiking = _mm512_maskz_compress_epi32((__mmask16)word, entry);
            _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi32_epi16(spiking));
            out += __builtin_popcount((__mmask16)word);
            entry = _mm512_add_epi32(entry, _mm512_set1_epi32(16 * ENTRY));
        }
    return out;
}

/* Entries of sixteen neurons, given by their places in a word. */
INLINE void store_entries(uint16_t *out, __m128i lanes, __m256i first)
{
    const __m256i rows = _mm256_slli_epi16(_mm256_cvtepu8_epi16(lanes), 4);
    _mm256_storeu_si256((__m256i *)out, _mm256_add_epi16(rows, first));
}

__attribute__((target("avx512vbmi2"))) static uint16_t *list_by_words(uint16_t *out, const uint64_t *row, int words)
{
    const __m256i step = _mm256_set1_epi16(64 * ENTRY);
    const __m512i lane =
        _mm512_set_epi64(0x3f3e3d3c3b3a3938, 0x3736353433323130, 0x2f2e2d2c2b2a2928, 0x2726252423222120,
                         0x1f1e1d1c1b1a1918, 0x1716151413121110, 0x0f0e0d0c0b0a0908, 0x0706050403020100);
    __m256i entry = _mm256_setzero_si256();
    for (int w = 0; w < words; w++) {
        const __m512i spiking = _mm512_maskz_compress_epi8(row[w], lane);
        const int events = __builtin_popcountll(row[w]);
        store_entries(out, _mm512_castsi512_si128(spiking), entry);
        /* few words have more */
        if (__builtin_expect(events > 16, 0)) {
            store_entries(out + 16, _mm512_extracti32x4_epi32(spiking, 1), entry);
            store_entries(out + 32, _mm512_extracti32x4_epi32(spiking, 2), entry);
            store_entries(out + 48, _mm512_extracti32x4_epi32(spiking, 3), entry);
        }
        out += events;
        entry = _mm256_add_epi16(entry, step);
    }
    return out;
}

#include "lists.inc"

static __attribute__((target("avx512vbmi2"))) int decode_by_words(snn_node *node, int begin, int end)
{
    return decode_by(node, begin, end, list_by_words);
}

static int decode(snn_node *node, int begin, int end)
{
    return __builtin_cpu_supports("avx512vbmi2") ? decode_by_words(node, begin, end)
                                                 : decode_by(node, begin, end, list_by_quarters);
}

/* Reads the counters in `planes`, adds them to the totals and clears them. */
static void read_counts(uint64_t *planes, int words, int32_t *counts, int64_t *totals)
{
    int used = PLANES;
    for (; used > 0; used--) {
        uint64_t any = 0;
        for (int w = 0; w < words; w++) any |= planes[(int64_t)(used - 1) * words + w];
        if (any) break;
    }
    for (int w = 0; w < words; w++)
        for (int part = 0; part < 4; part++, counts += 16, totals += 16) {
            __m512i total = _mm512_setzero_si512();
            for (int k = 0; k < used; k++) {
                const __mmask16 mask = (__mmask16)(planes[(int64_t)k * words + w] >> (16 * part));
                total = _mm512_mask_or_epi32(total, mask, total, _mm512_set1_epi32((int)(1u << k)));
            }
            _mm512_storeu_si512(counts, total);
            const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(total));
            const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(total, 1));
            _mm512_storeu_si512(totals, _mm512_add_epi64(_mm512_loadu_si512(totals), low));
            _mm512_storeu_si512(totals + 8, _mm512_add_epi64(_mm512_loadu_si512(totals + 8), high));
        }
    memset(planes, 0, (size_t)used * words * sizeof *planes);
}

/* Adds the spikes of `steps` steps to counters that hold bit k of every neuron's count in plane k, by Harley and
 * Seal's carry-save adder: three operations for 512 neurons and a step. Sixty-four steps are counted in registers
 * before memory is asked. */
#define SUM(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define CARRY(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xe8)
/* low + b + c = low + 2 high */
#define ADD_THREE(high, low, b, c)      \
    do {                                \
        const __m512i b_ = b, c_ = c;   \
        high = CARRY(low, b_, c_);      \
        low = SUM(low, b_, c_);         \
    } while (0)

static void count(const uint64_t *bits, int steps, int words, uint64_t *planes)
{
    const __m512i none = _mm512_setzero_si512();
    for (int first = 0; first < words; first += 8) {
        const __mmask8 here = words - first < 8 ? (__mmask8)((1 << (words - first)) - 1) : 0xff;
        for (int begin = 0; begin < steps; begin += 64) {
            __m512i digit[7] = {none, none, none, none, none, none, none};
            for (int eight = begin; eight < steps && eight < begin + 64; eight += 8) {
                __m512i row[8], twos[4], fours[2], carry;
                EACH(i, 8)
                    row[i] = eight + i < steps ? _mm512_loadu_si512(bits + (int64_t)(eight + i) * words + first) : none;
                EACH(i, 4) ADD_THREE(twos[i], digit[0], row[2 * i], row[2 * i + 1]);
                EACH(i, 2) ADD_THREE(fours[i], digit[1], twos[2 * i], twos[2 * i + 1]);
                ADD_THREE(carry, digit[2], fours[0], fours[1]);
                EACH(k, 4) {
                    const __m512i old = digit[3 + k];
                    digit[3 + k] = _mm512_xor_si512(old, carry);
                    carry = _mm512_and_si512(old, carry);
                }
            }
            uint64_t *plane = planes + first;
            __m512i carry = none;
            for (int k = 0; k < PLANES && (k < 7 || _mm512_test_epi64_mask(carry, carry)); k++, plane += words) {
                __m512i sum = _mm512_maskz_loadu_epi64(here, plane);
                ADD_THREE(carry, sum, k < 7 ? digit[k] : none, carry);
                _mm512_mask_storeu_epi64(plane, here, sum);
            }
        }
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

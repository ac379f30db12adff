/* The kernel for x86-64 with AVX2. Multiplication rounds toward zero because engine.c sets the mode. */
#include "engine.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,bmi,bmi2,popcnt")
#endif
#include <immintrin.h>
#include <string.h>

#define LANES 8
#define TWO_SUMS 0
typedef __m256i VS;
typedef __m256i VH;
typedef __m256i VI;
typedef __m256 VF;
typedef __m256 VM;

#define vs_zero() _mm256_setzero_si256()
/* written out, because GCC regroups the sums and then loads before it adds */
#define vs_add_row(acc, p) __asm__("vpaddw %1, %0, %0" : "+x"(acc) : "m"(*(const __m256i *)(p)))
#define vs_add_entry(acc, rows, entry)                                          \
    __asm__("vpaddw (%4,%5,8), %0, %0\n\tvpaddw 32(%4,%5,8), %1, %1\n\t"        \
            "vpaddw 64(%4,%5,8), %2, %2\n\tvpaddw 96(%4,%5,8), %3, %3"          \
            : "+x"((acc)[0]), "+x"((acc)[1]), "+x"((acc)[2]), "+x"((acc)[3])    \
            : "r"(rows), "r"(entry), "m"(*(const char(*)[])(rows)))
#define entry_of(four, k) ((k) == 0 ? (uint16_t)(four) : (k) == 3 ? (four) >> 48 : _bextr_u64(four, 16 * (k), 16))
#define vs_store(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define VH_LANES 16
#define vh_zero() vs_zero()
#define vh_add_row(acc, p) vs_add_row(acc, p)
#define vh_store(p, x) vs_store(p, x)
#define vs_add_to(acc, x) (acc) = _mm256_add_epi16(acc, x)
#define vs_load(p) _mm256_load_si256((const __m256i *)(p))
#define vs_srl8(x) _mm256_srli_epi16(x, 8)
#define vs_set(n) _mm256_set1_epi16(n)
#define vs_sub(a, b) _mm256_sub_epi16(a, b)
#define vs_sll8(x) _mm256_slli_epi16(x, 8)
#define vs_even(x) _mm256_slli_epi32(x, 16)
#define vs_odd(x) _mm256_and_si256(x, _mm256_set1_epi32((int)0xffff0000))
#define vi_zero() _mm256_setzero_si256()
#define vi_load(p) _mm256_load_si256((const __m256i *)(p))
#define vi_load_narrow(p) _mm256_cvtepi16_epi32(_mm_load_si128((const __m128i *)(p)))
#define vi_store(p, x) _mm256_store_si256((__m256i *)(p), x)
#define vi_add(a, b) _mm256_add_epi32(a, b)
#define vi_or(a, b) _mm256_or_si256(a, b)
#define vi_xor(a, b) _mm256_xor_si256(a, b)
#define vi_sll(x, n) _mm256_sll_epi32(x, _mm_cvtsi32_si128(n))
#define vi_sra(x, n) _mm256_sra_epi32(x, _mm_cvtsi32_si128(n))
#define vf_load(p) _mm256_load_ps(p)
#define vf_store(p, x) _mm256_store_ps(p, x)
#define vf_set(x) _mm256_set1_ps(x)
#define vf_add(a, b) _mm256_add_ps(a, b)
#define vf_mul(a, b) _mm256_mul_ps(a, b)
#define vf_scaled_add(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_largest(a, b) _mm256_max_ps(a, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), b))
#define vf_trunc(x) _mm256_round_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define vf_from_int(x) _mm256_cvtepi32_ps(x)
#define vi_from_float(x) _mm256_cvttps_epi32(x)
#define vm_all() _mm256_castsi256_ps(_mm256_set1_epi32(-1))
#define vf_quiet(v, threshold) _mm256_cmp_ps(v, threshold, _CMP_LE_OQ)
#define vf_where(m, v) _mm256_and_ps(m, v)
#define vf_less_unless(m, v, t) _mm256_sub_ps(v, _mm256_andnot_ps(m, t))
#define vf_mul_where(m, v, k) _mm256_mul_ps(_mm256_and_ps(m, v), k)

static inline __attribute__((always_inline)) uint64_t tile_spikes(const VM quiet[8])
{
    uint64_t still = 0;
    for (int i = 0; i < 8; i++) still |= (uint64_t)(uint32_t)_mm256_movemask_ps(quiet[i]) << (8 * i);
    return ~still;
}

static inline void add_run(int16_t *to, const int16_t *weights, int width, int grain)
{
    (void)grain;
    for (int c = 0; c < width; c += 16) {
        __m256i *sums = (__m256i *)(to + c);
        _mm256_storeu_si256(sums, _mm256_add_epi16(_mm256_loadu_si256(sums),
                                                   _mm256_loadu_si256((const __m256i *)(weights + c))));
    }
}

static inline VI vi_wrap(VI u)
{
    const VI turn = _mm256_set1_epi32(1 << 24);
    const VI above = _mm256_cmpgt_epi32(u, _mm256_set1_epi32(1 << 23));
    const VI inside = _mm256_cmpgt_epi32(u, _mm256_set1_epi32(-(1 << 23)));
    const VI lowered = _mm256_sub_epi32(u, _mm256_and_si256(above, turn));
    return _mm256_add_epi32(lowered, _mm256_andnot_si256(inside, turn));
}

#define vf_one() vf_set(1)
#define vf_min(a, b) _mm256_min_ps(a, b)
#define vf_max(a, b) _mm256_max_ps(a, b)
#define vi_any(x) (!_mm256_testz_si256(x, x))
#define vf_any_above(a, b) (_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0)

static uint64_t word_of(const uint8_t bytes[64])
{
    uint64_t word = 0;
    for (int half = 0; half < 2; half++) {
        const __m256i silent = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)bytes + half), vs_zero());
        word |= (uint64_t) ~(uint32_t)_mm256_movemask_epi8(silent) << (32 * half);
    }
    return word;
}

/* Four at a time, whether they spike or not: how many there are is hard to predict. */
static uint16_t *list_words(uint16_t *out, const uint64_t *row, int words)
{
    for (int w = 0; w < words; w++) {
        uint64_t word = row[w];
        uint16_t *const end = out + __builtin_popcountll(word);
        for (; word; out += 4)
            EACH(i, 4) {
                out[i] = (uint16_t)((w * 64 + (int)_tzcnt_u64(word)) * ENTRY);
                word = _blsr_u64(word);
            }
        out = end;
    }
    return out;
}

#include "words.inc"

#include "tile.inc"

static int usable(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

const snn_kernel snn_avx2 = {"avx2", LANES, usable, forward, advance, pack, decode, count, read_counts,
                               load_and_add};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif

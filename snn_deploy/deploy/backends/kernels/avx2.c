/* The kernel for x86-64 with AVX2. Multiplication rounds toward zero because engine.c sets the mode. */
#include "engine.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi,popcnt")
#endif
#include <immintrin.h>

#define LANES 8
typedef __m256i VS;
typedef __m256i VI;
typedef __m256 VF;

#define vs_zero() _mm256_setzero_si256()
/* written out, because GCC regroups the sums and then loads before it adds */
#define vs_add_row(acc, p) __asm__("vpaddw %1, %0, %0" : "+x"(acc) : "m"(*(const __m256i *)(p)))
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
#define vf_trunc(x) _mm256_round_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define vf_from_int(x) _mm256_cvtepi32_ps(x)
#define vi_from_float(x) _mm256_cvttps_epi32(x)

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

static inline VF vf_clip(VF v)
{
    const VF limit = _mm256_set1_ps((1 << 23) - 1);
    return _mm256_max_ps(_mm256_min_ps(v, limit), _mm256_sub_ps(_mm256_setzero_ps(), limit));
}

static inline uint32_t vf_fire(VF *v, VF threshold)
{
    const VF fired = _mm256_cmp_ps(*v, threshold, _CMP_GT_OQ);
    *v = _mm256_andnot_ps(fired, *v);
    return (uint32_t)_mm256_movemask_ps(fired);
}

#include "tile.inc"
#include "words.inc"

static int usable(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

const snn_kernel snn_avx2 = {"avx2", LANES, usable, forward, advance, pack, decode, count, read_counts,
                               load_and_add};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif

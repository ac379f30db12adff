/* The kernel for any processor, in the vector types that GCC and Clang lower to what there is.
 * Multiplication rounds toward zero because engine.c sets the mode. */
#include "engine.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define LANES 4
typedef int16_t VS __attribute__((vector_size(16), may_alias));
typedef int32_t VI __attribute__((vector_size(16), may_alias));
typedef uint32_t VU __attribute__((vector_size(16), may_alias));
typedef float VF __attribute__((vector_size(16), may_alias));

#define vs_zero() ((VS){0})
#define vs_add_row(acc, p) ((acc) += *(const VS *)(p))
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define vs_odd(x) ((VI)((VU)(x) << 16))
#define vs_even(x) ((VI)((VU)(x) & 0xffff0000u))
#else
#define vs_even(x) ((VI)((VU)(x) << 16))
#define vs_odd(x) ((VI)((VU)(x) & 0xffff0000u))
#endif
#define vi_zero() ((VI){0})
#define vi_load(p) (*(const VI *)(p))
#define vi_load_narrow(p) ((VI){(p)[0], (p)[1], (p)[2], (p)[3]})
#define vi_store(p, x) (*(VI *)(p) = (x))
#define vi_add(a, b) ((a) + (b))
#define vi_or(a, b) ((a) | (b))
#define vi_xor(a, b) ((a) ^ (b))
#define vi_sll(x, n) ((VI)((VU)(x) << (n)))
#define vi_sra(x, n) ((x) >> (n))
#define vf_load(p) (*(const VF *)(p))
#define vf_store(p, x) (*(VF *)(p) = (x))
#define vf_set(x) ((VF){(x), (x), (x), (x)})
#define vf_add(a, b) ((a) + (b))
#define vf_mul(a, b) ((a) * (b))
#define vf_trunc(x) vf_from_int(vi_from_float(x))
#define vf_from_int(x) __builtin_convertvector(x, VF)
#define vi_from_float(x) __builtin_convertvector(x, VI)

/* Vectors at any address. */
typedef int16_t VS_ANY __attribute__((vector_size(16), aligned(2), may_alias));

static inline void add_run(int16_t *to, const int16_t *weights, int width, int grain)
{
    (void)grain;
    for (int c = 0; c < width; c += 8) *(VS_ANY *)(to + c) += *(const VS_ANY *)(weights + c);
}

static inline VI vi_wrap(VI u)
{
    const VI turn = vi_zero() + (1 << 24);
    return u - ((u > (1 << 23)) & turn) + ((u <= -(1 << 23)) & turn);
}

static inline VF vf_clip(VF v)
{
    const VF limit = vf_set((1 << 23) - 1);
    const VI above = v > limit, below = v < -limit;
    return (VF)(((VI)v & ~(above | below)) | ((VI)limit & above) | ((VI)-limit & below));
}

static inline uint32_t vf_fire(VF *v, VF threshold)
{
    const VI fired = *v > threshold;
    *v = (VF)((VI)*v & ~fired);
#if defined(__SSE2__)
    return (uint32_t)_mm_movemask_ps((__m128)fired);
#else
    const VI bits = fired & (VI){1, 2, 4, 8};
    return (uint32_t)(bits[0] | bits[1] | bits[2] | bits[3]);
#endif
}

#include "tile.inc"
#include "words.inc"

static int usable(void)
{
    return 1;
}

const snn_kernel snn_portable = {"portable", LANES, usable, forward, advance, pack, decode, count, read_counts,
                               load_and_add};

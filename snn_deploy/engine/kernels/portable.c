/* The kernel for any processor, in the vector types that GCC and Clang lower to what there is.
 * Multiplication rounds toward zero because engine.c sets the mode. */
#include "engine.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define LANES 4
#define TWO_SUMS 0
typedef int16_t VS __attribute__((vector_size(16), may_alias));
typedef VS VH;
typedef int32_t VI __attribute__((vector_size(16), may_alias));
typedef uint32_t VU __attribute__((vector_size(16), may_alias));
typedef float VF __attribute__((vector_size(16), may_alias));
typedef uint16_t VSU __attribute__((vector_size(16), may_alias));
typedef VI VM;

#define vs_zero() ((VS){0})
/* modulo 2^16, as the sums of byte rows need */
#define vs_add_row(acc, p) ((acc) = (VS)((VSU)(acc) + *(const VSU *)(p)))
#define vs_add_entry(acc, rows, entry) add_row(acc, (rows) + 8 * (entry))
#define entry_of(four, k) (uint16_t)((four) >> 16 * (k))
#define vs_store(p, x) (*(VS *)(p) = (x))
#define VH_LANES 8
#define vh_zero() vs_zero()
#define vh_add_row(acc, p) vs_add_row(acc, p)
#define vh_store(p, x) vs_store(p, x)
#define vs_add_to(acc, x) ((acc) = (VS)((VSU)(acc) + (VSU)(x)))
#define vs_load(p) (*(const VS *)(p))
#define vs_srl8(x) ((VS)((VSU)(x) >> 8))
#define vs_set(n) ((VS){0} + (int16_t)(n))
#define vs_sub(a, b) ((VS)((VSU)(a) - (VSU)(b)))
#define vs_sll8(x) ((VS)((VSU)(x) << 8))
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
#define vf_scaled_add(a, b, c) ((a) * (b) + (c))
#define vf_trunc(x) vf_from_int(vi_from_float(x))
#define vf_from_int(x) __builtin_convertvector(x, VF)
#define vi_from_float(x) __builtin_convertvector(x, VI)
#define vm_all() (vi_zero() - 1)
#define vf_quiet(v, threshold) ((v) <= (threshold))
#define vf_where(m, v) ((VF)((VI)(v) & (m)))
#define vf_less_unless(m, v, t) ((v) - (VF)((VI)(t) & ~(m)))
#define vf_mul_where(m, v, k) (vf_where(m, v) * (k))

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

#define vf_one() vf_set(1)

static inline VF vf_largest(VF a, VF b)
{
    const VF size = (VF)((VI)b & 0x7fffffff);
    const VI larger = size > a;
    return (VF)(((VI)a & ~larger) | ((VI)size & larger));
}

static inline int vi_any(VI x)
{
    return (x[0] | x[1] | x[2] | x[3]) != 0;
}

#define vf_any_above(a, b) vi_any((VI)((a) > (b)))

#if defined(__SSE2__)
#define vf_min(a, b) ((VF)_mm_min_ps((__m128)(a), (__m128)(b)))
#define vf_max(a, b) ((VF)_mm_max_ps((__m128)(a), (__m128)(b)))
#else
static inline VF vf_min(VF a, VF b)
{
    const VI less = a < b;
    return (VF)(((VI)a & less) | ((VI)b & ~less));
}

static inline VF vf_max(VF a, VF b)
{
    const VI less = a < b;
    return (VF)(((VI)b & less) | ((VI)a & ~less));
}
#endif

static inline uint64_t tile_spikes(const VM quiet[16])
{
    uint64_t still = 0;
    for (int i = 0; i < 16; i++) {
#if defined(__SSE2__)
        still |= (uint64_t)(uint32_t)_mm_movemask_ps((__m128)quiet[i]) << (4 * i);
#else
        const VI bits = quiet[i] & (VI){1, 2, 4, 8};
        still |= (uint64_t)(uint32_t)(bits[0] | bits[1] | bits[2] | bits[3]) << (4 * i);
#endif
    }
    return ~still;
}

static uint64_t word_of(const uint8_t bytes[64])
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t eight;
        memcpy(&eight, bytes + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        eight = __builtin_bswap64(eight);
#endif
        /* byte k holds 0 or 1: the product gathers them in the top byte, byte k in bit k */
        word |= ((eight * 0x0102040810204080ull) >> 56) << (8 * i);
    }
    return word;
}

static uint16_t *list_words(uint16_t *out, const uint64_t *row, int words)
{
    for (int w = 0; w < words; w++)
        for (uint64_t word = row[w]; word; word &= word - 1)
            *out++ = (uint16_t)((w * 64 + __builtin_ctzll(word)) * ENTRY);
    return out;
}

#include "words.inc"

#include "tile.inc"

static int usable(void)
{
    return 1;
}

const snn_kernel snn_portable = {"portable", LANES, usable, forward, advance, pack, decode, count, read_counts,
                               load_and_add};

/* The data that Python hands to the kernels, and what every kernel offers.
 *
 * structures.py mirrors the structures below; snn_sizes() lets it check that both sides agree.
 * Neurons are in the kernel's own order, padded to whole tiles of TILE neurons.
 */
#ifndef SNN_ENGINE_H
#define SNN_ENGINE_H

#include <stdint.h>

#define TILE 64
/* Neurons that one part of a list names: an entry is a row's offset in units of 8 bytes, in 16 bits. */
#define SEGMENT 4032
#define ENTRY (TILE * 2 / 8)
#define PLANES 32
#define V_LIMIT ((1 << 23) - 1)

#define INLINE static inline __attribute__((always_inline))

/* Loops over a few vectors are unrolled early: state and sums then live in registers, and GCC makes no
 * memmove of the loads. */
#define EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); i++)

/* Dense projection from one segment of its source: for each tile of the target, `rows` rows of TILE weights.
 * Byte rows: see rows.inc. */
typedef struct {
    const int16_t *weights;
    int32_t source;
    int32_t delay;
    int32_t segment;
    int32_t rows;
    int32_t offset; /* of byte rows: what a weight of zero is stored as */
} snn_dense;

/* Any other projection: spike j adds weights[row[k] .. + width] to target[k] .. + width,
 * for k in first[j] .. first[j + 1]. graded: multiplied by the message. */
typedef struct {
    const int16_t *weights;
    const int64_t *first;
    const int32_t *target;
    const int32_t *row;
    int32_t source;
    int32_t delay;
    int32_t width;
    int32_t grain; /* runs begin at multiples of this: loads and stores of that size never overlap in part */
    int32_t graded;
    int32_t segments;
} snn_scatter;

/* Convolution by tables (patches.inc). A source's spikes are copied into frames: `planes` of `framed_lines` lines of
 * line_bytes, `left` bits and `top` lines of zeros before them. A pixel's field has field_lines runs, at field[l]
 * bytes from where it begins, of `chunks` chunks of `chunk` bits; each chunk has 2^chunk rows of 2^row_shift bytes. */
typedef struct {
    const int16_t *tables;
    const int32_t *field;
    int32_t source;
    int32_t delay;
    int32_t index; /* position of its frames in the workspace */
    int32_t planes;
    int32_t lines;
    int32_t line_bits;
    int32_t framed_lines;
    int32_t line_bytes;
    int32_t frame_bytes;
    int32_t top;
    int32_t left;
    int32_t field_lines;
    int32_t chunk;
    int32_t chunks;
    int32_t row_shift;
    int32_t channels;
    int32_t columns;     /* pixels of a line of the target */
    int32_t pixels;
    int32_t row_bytes;   /* from a line of pixels to the next, in a frame */
    int32_t column_bits; /* from a pixel to its neighbour */
    int32_t shared;      /* a word holds a line of all fields of a tile, where they are neighbours */
} snn_patches;

/* Projections whose summed input is shifted together. */
typedef struct {
    const snn_dense *dense;
    const snn_patches *patches;
    const snn_scatter *narrow; /* sums proven to fit 16 bits */
    const snn_scatter *wide;   /* sums of 32 bits */
    int32_t dense_count;
    int32_t patch_count;
    int32_t narrow_count;
    int32_t wide_count;
    int32_t exponent; /* weight_exp */
    int32_t rows;     /* rows that surely fit a 16-bit sum */
    int32_t bytes;    /* dense rows hold bytes */
    int32_t unit;     /* dense rows and tables hold weights / 2^unit */
    int32_t index;    /* position of its buffers in the workspace */
} snn_group;

enum { NEVER, BELOW, BOTH_SIDES };

typedef struct {
    const snn_group *groups;
    const float *bias;
    const float *u0;
    const float *v0;
    float keep_u; /* (4095 - du) / 4096 */
    float keep_v; /* (4096 - dv) / 4096 */
    float threshold;
    int32_t node;
    int32_t group_count;
    int32_t wraps; /* u may leave (-2^23, 2^23], as far as can be said without the spikes */
    int32_t clips; /* where v may leave [-(2^23 - 1), 2^23 - 1], and a clip changes what follows: one of these */
    int32_t reset_interval; /* LIFReset: u = v = 0 where (t + 1) % interval == offset; 0: never */
    int32_t reset_offset;
    int32_t subtracts; /* a spike takes the threshold off v, else it leaves v = 0 */
} snn_population;

/* Populations that advance together; forward: one population that no cycle passes through and that
 * has no scattered projections, so that a tile runs through all time steps in registers. */
typedef struct {
    const int32_t *members;
    int32_t count;
    int32_t forward;
} snn_stage;

typedef struct {
    const int64_t *neurons;       /* of each node: the inputs, then the populations */
    const int32_t *message_bits;  /* of each node: 0 for spikes, else int32 messages */
    const int32_t *listed;        /* of each node: whether a dense projection reads its spikes */
    const snn_population *populations;
    const snn_stage *stages;
    int32_t inputs;
    int32_t population_count;
    int32_t stage_count;
    int32_t group_count;
    int32_t patch_count;
} snn_network;

/* Spikes of one node in the last `delay` steps of a sample: they arrive nowhere. */
typedef struct {
    int64_t *late; /* (neurons): added to */
    int32_t node;
    int32_t delay;
} snn_tail;

/* Neuron-steps of one population in which u wrapped, and in which v was clipped. */
typedef struct {
    int64_t wraps;
    int64_t saturations;
} snn_overflows;

typedef struct {
    const void *const *inputs;  /* of each input: uint8 or int32 (samples, steps, neurons) */
    int32_t *const *counts;     /* of each population, or NULL: (samples, padded neurons) */
    uint8_t *const *rasters;    /* of each population, or NULL: (samples, steps, neurons) */
    int32_t *const *membranes;  /* of each population, or NULL: v, (samples, steps, neurons) */
    int64_t *const *totals;     /* of each node: spikes a neuron, (padded neurons): added to */
    snn_overflows *overflows;         /* of each population: added to */
    const snn_tail *tails;
    int64_t first_sample;
    int64_t samples;
    int32_t steps;
    int32_t tail_count;
} snn_job;

/* Spikes of one node through one sample. */
typedef struct {
    uint64_t *bits;    /* (steps, words) */
    uint16_t *list;    /* spiking neurons: segment by segment of step by step */
    int32_t *message;  /* of graded inputs: what each spike carries */
    int64_t *first;    /* (steps x segments + 1): where a part begins in the list; (steps): in the messages */
    int32_t *listed;   /* (steps x segments): entries of a part: faster to ask than `first` twice */
    uint64_t *planes;  /* (PLANES, words): spikes a neuron, one bit a plane */
    int64_t capacity;
    int64_t neurons;
    int32_t words;
    int32_t graded;
    int32_t segments;
} snn_node;

typedef struct {
    snn_node *nodes;
    float **u; /* of each population, (padded neurons) */
    float **v;
    int16_t **narrow; /* of each group, or NULL: sums of the current step, twice */
    int64_t *second;  /* of each group: where the second copy of its narrow sums begins */
    int32_t **wide;
    char **frames; /* of each convolution by tables: (steps, frame_bytes) */
    int32_t *const *membranes; /* of the current job, at the current sample */
    snn_overflows *overflows_of;     /* of the current job, of each population */
    snn_overflows *overflows;        /* of the current population */
    int32_t steps;
    int32_t inexact; /* some |u| left 2^24, beyond which float no longer holds every integer */
} snn_workspace;

/* What each instruction set provides. */
typedef struct {
    const char *name;
    int32_t lanes; /* float lanes of a vector: the order of dense weights depends on it */
    int (*usable)(void);
    int (*forward)(const snn_network *, snn_workspace *, int population);
    int (*advance)(const snn_network *, snn_workspace *, int population, int t);
    void (*pack)(const uint8_t *raster, snn_node *node, int steps);
    int (*decode)(snn_node *node, int begin, int end);
    void (*count)(const uint64_t *bits, int steps, int words, uint64_t *planes);
    void (*read_counts)(uint64_t *planes, int words, int32_t *counts, int64_t *totals);
    void (*load_and_add)(const int16_t *rows, int count, int rounds, int16_t *out);
} snn_kernel;

extern const snn_kernel snn_portable;
#if defined(__x86_64__)
extern const snn_kernel snn_avx2;
extern const snn_kernel snn_avx512;
#endif

/* Room for `more` entries behind the first `used` of the list, or of the messages; nonzero where memory is out. */
int snn_reserve(snn_node *node, int64_t used, int64_t more);

#endif

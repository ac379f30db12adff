/* The engine: samples one after the other, each layer by layer. One call runs a whole network.
 *
 * It is called through ctypes, without the GIL; a workspace serves one thread.
 */
#define Py_LIMITED_API 0x030a0000
#include <Python.h>

#include "engine.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define ALIGNMENT 64
/* Vectors may touch this many bytes behind an array. */
#define SLACK 256

static void *allocate(int64_t bytes)
{
    const size_t whole = ((size_t)bytes + SLACK + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, whole);
    if (memory) memset(memory, 0, whole);
    return memory;
}

int snn_reserve(snn_node *node, int64_t used, int64_t more)
{
    const int64_t needed = used + more + SLACK;
    if (needed <= node->capacity) return 0;
    const int64_t capacity = needed + node->capacity;
    void *memory = node->graded ? realloc(node->message, (size_t)capacity * sizeof *node->message)
                                : realloc(node->list, (size_t)capacity * sizeof *node->list);
    if (!memory) return 1;
    if (node->graded) node->message = memory;
    else node->list = memory;
    node->capacity = capacity;
    return 0;
}

static const snn_kernel *const kernels[] = {
#if defined(__x86_64__)
    &snn_avx512, &snn_avx2,
#endif
    &snn_portable,
};
#define KERNELS ((int)(sizeof kernels / sizeof *kernels))

static const snn_kernel *named(const char *name)
{
    for (int i = 0; i < KERNELS; i++)
        if (!strcmp(kernels[i]->name, name)) return kernels[i];
    return 0;
}

/* Name of kernel i, fastest first, or NULL behind the last. */
EXPORT const char *snn_kernel_name(int i)
{
    return i < KERNELS ? kernels[i]->name : 0;
}

/* Lanes of a kernel where this processor can run it, else 0. */
EXPORT int32_t snn_lanes(const char *name)
{
    const snn_kernel *kernel = named(name);
    return kernel && kernel->usable() ? kernel->lanes : 0;
}

/* Bytes of each structure, in the order of engine.h. */
EXPORT void snn_sizes(int32_t *sizes)
{
    const int32_t all[] = {sizeof(snn_dense), sizeof(snn_scatter), sizeof(snn_patches), sizeof(snn_group), sizeof(snn_population),
                           sizeof(snn_stage), sizeof(snn_network), sizeof(snn_tail),  sizeof(snn_job)};
    memcpy(sizes, all, sizeof all);
}

static int padded(int64_t neurons)
{
    return (int)((neurons + TILE - 1) / TILE * TILE);
}

EXPORT void snn_free_workspace(const snn_network *net, snn_workspace *ws)
{
    if (!ws) return;
    const int nodes = net->inputs + net->population_count;
    for (int i = 0; ws->nodes && i < nodes; i++) {
        free(ws->nodes[i].bits);
        free(ws->nodes[i].list);
        free(ws->nodes[i].message);
        free(ws->nodes[i].first);
        free(ws->nodes[i].planes);
        free(ws->nodes[i].listed);
    }
    for (int p = 0; p < net->population_count; p++) {
        if (ws->u) free(ws->u[p]);
        if (ws->v) free(ws->v[p]);
    }
    for (int g = 0; g < net->group_count; g++) {
        if (ws->narrow) free(ws->narrow[g]);
        if (ws->wide) free(ws->wide[g]);
    }
    for (int f = 0; ws->frames && f < net->patch_count; f++) free(ws->frames[f]);
    free(ws->nodes);
    free(ws->frames);
    free(ws->u);
    free(ws->v);
    free(ws->narrow);
    free(ws->second);
    free(ws->wide);
    free(ws);
}

static int make_node(snn_node *node, int64_t neurons, int graded, int steps)
{
    node->neurons = neurons;
    node->words = padded(neurons) / TILE;
    node->segments = (int)((neurons + SEGMENT - 1) / SEGMENT);
    node->bits = allocate((int64_t)steps * node->words * 8);
    node->first = allocate(((int64_t)steps * node->segments + 1) * 8);
    node->listed = allocate((int64_t)steps * node->segments * 4);
    node->planes = allocate((int64_t)PLANES * node->words * 8);
    node->graded = graded;
    return !node->bits || !node->first || !node->listed || !node->planes;
}

static int make_population(const snn_network *net, snn_workspace *ws, int index)
{
    const snn_population *p = &net->populations[index];
    const int64_t width = padded(net->neurons[p->node]);
    ws->u[index] = allocate(width * 4);
    ws->v[index] = allocate(width * 4);
    int failed = !ws->u[index] || !ws->v[index];
    for (int g = 0; g < p->group_count; g++) {
        const snn_group *group = &p->groups[g];
        for (int m = 0; m < group->patch_count; m++) {
            const snn_patches *patches = &group->patches[m];
            failed |= !(ws->frames[patches->index] = allocate((int64_t)ws->steps * patches->frame_bytes));
        }
        int64_t run = 0; /* a run that begins at the last neuron reaches that far beyond it, with zeros */
        for (int m = 0; m < group->narrow_count; m++)
            if (group->narrow[m].width > run) run = group->narrow[m].width;
        for (int m = 0; m < group->wide_count; m++)
            if (group->wide[m].width > run) run = group->wide[m].width;
        ws->second[group->index] = (width + run + 31) / 32 * 32;
        if (group->narrow_count)
            failed |= !(ws->narrow[group->index] = allocate(ws->second[group->index] * 4));
        if (group->wide_count) failed |= !(ws->wide[group->index] = allocate((width + run) * 4));
    }
    return failed;
}

/* Scratch memory for one thread and a number of steps; NULL where memory is out. */
EXPORT snn_workspace *snn_make_workspace(const snn_network *net, int32_t steps)
{
    const int nodes = net->inputs + net->population_count;
    snn_workspace *ws = calloc(1, sizeof *ws);
    if (!ws) return 0;
    ws->steps = steps;
    ws->nodes = calloc(nodes, sizeof *ws->nodes);
    ws->u = calloc(net->population_count, sizeof *ws->u);
    ws->v = calloc(net->population_count, sizeof *ws->v);
    ws->narrow = calloc(net->group_count + 1, sizeof *ws->narrow);
    ws->wide = calloc(net->group_count + 1, sizeof *ws->wide);
    ws->frames = calloc(net->patch_count + 1, sizeof *ws->frames);
    ws->second = calloc(net->group_count + 1, sizeof *ws->second);
    int failed = !ws->nodes || !ws->u || !ws->v || !ws->narrow || !ws->wide || !ws->frames || !ws->second;
    for (int i = 0; !failed && i < nodes; i++)
        failed = make_node(&ws->nodes[i], net->neurons[i], net->message_bits[i] > 0, steps);
    for (int p = 0; !failed && p < net->population_count; p++) failed = make_population(net, ws, p);
    if (!failed) return ws;
    snn_free_workspace(net, ws);
    return 0;
}

/* The nonzero messages of a graded input, in the order of its neurons. */
static int read_messages(const int32_t *raster, snn_node *node, int steps)
{
    int64_t used = 0;
    memset(node->bits, 0, (size_t)steps * node->words * 8);
    for (int t = 0; t < steps; t++, raster += node->neurons) {
        if (snn_reserve(node, used, node->neurons)) return 1;
        node->first[t] = used;
        for (int64_t j = 0; j < node->neurons; j++) {
            if (!raster[j]) continue;
            node->bits[(int64_t)t * node->words + j / 64] |= 1ull << (j % 64);
            node->message[used++] = raster[j];
        }
    }
    return 0;
}

static int read_inputs(const snn_network *net, const snn_job *job, const snn_kernel *kernel, snn_workspace *ws,
                       int64_t sample)
{
    for (int i = 0; i < net->inputs; i++) {
        snn_node *node = &ws->nodes[i];
        const int64_t start = sample * job->steps * node->neurons;
        if (net->message_bits[i]) {
            if (read_messages((const int32_t *)job->inputs[i] + start, node, job->steps)) return 1;
            continue;
        }
        kernel->pack((const uint8_t *)job->inputs[i] + start, node, job->steps);
        if (net->listed[i] && kernel->decode(node, 0, job->steps)) return 1;
    }
    return 0;
}

/* Asks for a part of a sample's inputs while a stage runs: the caches would bring them only when they are read. */
static void prefetch_inputs(const snn_network *net, const snn_job *job, int64_t sample, int stage)
{
    if (sample >= job->first_sample + job->samples) return;
    for (int i = 0; i < net->inputs; i++) {
        const int64_t bytes = job->steps * net->neurons[i] * (net->message_bits[i] ? 4 : 1);
        const char *raster = (const char *)job->inputs[i] + sample * bytes;
        const int64_t end = bytes * (stage + 1) / net->stage_count;
        for (int64_t k = bytes * stage / net->stage_count; k < end; k += ALIGNMENT)
            __builtin_prefetch(raster + k, 0, 2);
    }
}

static int run_stage(const snn_network *net, const snn_stage *stage, const snn_kernel *kernel, snn_workspace *ws)
{
    if (stage->forward) return kernel->forward(net, ws, stage->members[0]);
    for (int m = 0; m < stage->count; m++) {
        const int index = stage->members[m];
        const snn_population *p = &net->populations[index];
        const size_t bytes = (size_t)padded(net->neurons[p->node]) * 4;
        memcpy(ws->u[index], p->u0, bytes);
        memcpy(ws->v[index], p->v0, bytes);
    }
    for (int t = 0; t < ws->steps; t++)
        for (int m = 0; m < stage->count; m++)
            if (kernel->advance(net, ws, stage->members[m], t)) return 1;
    return 0;
}

static void unpack(const snn_node *node, int steps, uint8_t *raster)
{
    for (int t = 0; t < steps; t++, raster += node->neurons) {
        const uint64_t *row = node->bits + (int64_t)t * node->words;
        for (int64_t j = 0; j < node->neurons; j++) raster[j] = (row[j / 64] >> (j % 64)) & 1;
    }
}

/* Counts of one sample, in bit planes; those of outputs are read out, the others wait for the end. */
static void count_sample(const snn_network *net, const snn_job *job, const snn_kernel *kernel, snn_workspace *ws,
                         int64_t sample)
{
    for (int i = 0; i < net->inputs + net->population_count; i++) {
        snn_node *node = &ws->nodes[i];
        const int p = i - net->inputs;
        kernel->count(node->bits, job->steps, node->words, node->planes);
        if (p < 0) continue;
        if (job->counts[p]) {
            const int64_t width = (int64_t)node->words * TILE;
            kernel->read_counts(node->planes, node->words, job->counts[p] + sample * width, job->totals[i]);
        }
        if (job->rasters[p])
            unpack(node, job->steps, job->rasters[p] + sample * job->steps * node->neurons);
    }
    for (int k = 0; k < job->tail_count; k++) {
        const snn_tail *tail = &job->tails[k];
        const snn_node *node = &ws->nodes[tail->node];
        int t = job->steps - tail->delay;
        for (t = t < 0 ? 0 : t; t < job->steps; t++)
            for (int w = 0; w < node->words; w++)
                for (uint64_t word = node->bits[(int64_t)t * node->words + w]; word; word &= word - 1)
                    tail->late[w * 64 + __builtin_ctzll(word)]++;
    }
}

static int count_rest(const snn_network *net, const snn_job *job, const snn_kernel *kernel, snn_workspace *ws)
{
    for (int i = 0; i < net->inputs + net->population_count; i++) {
        snn_node *node = &ws->nodes[i];
        if (i >= net->inputs && job->counts[i - net->inputs]) continue;
        int32_t *counts = malloc((size_t)node->words * TILE * sizeof *counts);
        if (!counts) return 1;
        kernel->read_counts(node->planes, node->words, counts, job->totals[i]);
        free(counts);
    }
    return 0;
}

static int run_samples(const snn_network *net, const snn_job *job, const snn_kernel *kernel, snn_workspace *ws)
{
    int32_t **membranes = calloc(net->population_count, sizeof *membranes);
    int failed = !membranes;
    ws->inexact = 0;
    ws->overflows_of = job->overflows;
    for (int64_t sample = job->first_sample; !failed && sample < job->first_sample + job->samples; sample++) {
        for (int p = 0; p < net->population_count; p++)
            if (job->membranes[p])
                membranes[p] =
                    job->membranes[p] + sample * job->steps * net->neurons[net->populations[p].node];
        ws->membranes = membranes;
        failed = read_inputs(net, job, kernel, ws, sample);
        for (int s = 0; !failed && s < net->stage_count; s++) {
            prefetch_inputs(net, job, sample + 1, s);
            failed = run_stage(net, &net->stages[s], kernel, ws);
        }
        if (!failed) count_sample(net, job, kernel, ws, sample);
        if (!failed && ws->inexact) failed = 3;
    }
    if (!failed) failed = count_rest(net, job, kernel, ws);
    free(membranes);
    return failed;
}

/* Runs a job; the workspace must have been made for its number of steps. 0: done, 1: out of memory,
 * 2: this processor lacks the kernel, 3: a state left the integers that float holds exactly (the
 * NumPy kernel can run such a network). Multiplications in float round toward zero meanwhile. */
EXPORT int snn_run(const snn_network *net, const snn_job *job, const char *kernel_name, snn_workspace *ws)
{
    const snn_kernel *kernel = named(kernel_name);
    const int mode = fegetround();
    if (!kernel || !kernel->usable() || fesetround(FE_TOWARDZERO)) return 2;
    const int failed = run_samples(net, job, kernel, ws);
    fesetround(mode);
    return failed;
}

/* Loads and adds `count` rows of TILE 16-bit integers (a multiple of 4), `rounds` times: the machine's ceiling. */
EXPORT int snn_load_and_add(const char *kernel_name, int32_t count, int32_t rounds)
{
    const snn_kernel *kernel = named(kernel_name);
    if (!kernel || !kernel->usable()) return 2;
    int16_t *rows = allocate((int64_t)count * TILE * 2), *out = allocate(TILE * 2);
    const int failed = !rows || !out;
    if (!failed) kernel->load_and_add(rows, count, rounds, out);
    free(rows);
    free(out);
    return failed;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_engine", "The compiled kernels; called through ctypes.", 0, 0, 0, 0, 0, 0,
};

PyMODINIT_FUNC PyInit__engine(void)
{
    return PyModule_Create(&module);
}

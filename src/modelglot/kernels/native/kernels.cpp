// The C entry points, one shared library an instruction set. No exception crosses them, nothing is allocated but in
// mg_quantize_rows. kind: 0 f32, 1 f16, 2 bf16, all little-endian like the machine.
#include <cstdlib>

#include "grid_blocks.h"
#include "k_signed.h"
#include "simple.h"
#include "stochastic.h"
#include "ternary.h"
#include "third_blocks.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int mg_abi(void) { return 2; }
EXPORT int mg_lanes(void) { return LANES; }

// 1 where this processor runs the level, by its name.
EXPORT int mg_supports(const char* level) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (!strcmp(level, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(level, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return !strcmp(level, "baseline");
}

EXPORT void mg_set_grids(const Grids* given) { grids = *given; }

EXPORT int64_t mg_unusual(const void* x, int kind, int64_t n) {
    float wide[4096];
    int64_t found = 0;
    for (int64_t at = 0; at < n; at += 4096) {
        const int64_t count = n - at < 4096 ? n - at : 4096;
        widen((const char*)x + at * (kind == KIND_F32 ? 4 : 2), kind, count, wide);
        found += unusual(wide, count);
    }
    return found;
}

// int64_t mg_quantize_TYPE(x, kind, y, n, row, importance): how many of the n elements are infinite or NaN.
#define QUANTIZE(type, elements, bytes)                                                                               \
    EXPORT int64_t mg_quantize_##type(const void* x, int kind, uint8_t* y, int64_t n, int64_t row, const float* w) {   \
        return in_batches(quantize_##type, elements, bytes, x, kind, y, n, row, w);                                    \
    }
QUANTIZE(q4_0, 32, 18) QUANTIZE(q4_1, 32, 20) QUANTIZE(q5_0, 32, 22) QUANTIZE(q5_1, 32, 24) QUANTIZE(q8_0, 32, 34)
QUANTIZE(q2_k, 256, 84) QUANTIZE(q3_k, 256, 110) QUANTIZE(q4_k, 256, 144) QUANTIZE(q5_k, 256, 176)
QUANTIZE(q6_k, 256, 210) QUANTIZE(iq4_nl, 32, 18) QUANTIZE(iq4_xs, 256, 136) QUANTIZE(tq1_0, 256, 54)
QUANTIZE(tq2_0, 256, 66) QUANTIZE(mxfp4, 32, 17) QUANTIZE(nvfp4, 64, 36) QUANTIZE(q1_0, 128, 18) QUANTIZE(q2_0, 64, 18)

// With a codebook; -1 where no memory is left for it.
#define QUANTIZE_GRID(type, codebook, bytes)                                                                          \
    EXPORT int64_t mg_quantize_##type(const void* x, int kind, uint8_t* y, int64_t n, int64_t row, const float* w) {   \
        return codebook_##codebook() ? in_batches(quantize_##type, SUPER, bytes, x, kind, y, n, row, w) : -1;          \
    }
QUANTIZE_GRID(iq2_xxs, iq2_xxs, 66) QUANTIZE_GRID(iq2_xs, iq2_xs, 74) QUANTIZE_GRID(iq2_s, iq2_s, 82)
QUANTIZE_GRID(iq3_xxs, iq3_xxs, 98) QUANTIZE_GRID(iq3_s, iq3_s, 110) QUANTIZE_GRID(iq1_s, iq1_s, 50)
QUANTIZE_GRID(iq1_m, iq1_s, 56)

// Q4_0 to Q5_1 with importances weigh with the mean square of the whole row, so whole rows come in (n a multiple of
// row). Returns -1 where no memory is left.
static int64_t quantize_rows(
    Quantizer weighted, const void* x, int kind, uint8_t* y, int64_t n, int64_t row, const float* importance,
    int bytes) {
    int64_t rows = 4096 / row, bad = 0;
    if (rows < 4) rows = 4;
    float* buffer = (float*)malloc((size_t)(rows * row + 2 * BATCH) * sizeof(float));
    float* sums = (float*)malloc((size_t)rows * sizeof(float));
    if (!buffer || !sums) {
        free(buffer);
        free(sums);
        return -1;
    }
    float *padded = buffer + rows * row, *w = padded + BATCH;
    for (int64_t first = 0; first * row < n; first += rows) {
        const int64_t count = n / row - first < rows ? n / row - first : rows, size = count * row;
        widen((const char*)x + first * row * (kind == KIND_F32 ? 4 : 2), kind, size, buffer);
        const int64_t found = unusual(buffer, size);
        bad += found;
        if (found) continue;
        square_sums(buffer, (int)count, row, sums);
        int64_t r = 0, column = 0;
        for (int64_t at = 0; at < size; at += BATCH) {
            const int part = (int)(size - at < BATCH ? size - at : BATCH);
            memcpy(padded, buffer + at, (size_t)part * 4);
            memset(padded + part, 0, (size_t)(BATCH - part) * 4);
            memset(w + part, 0, (size_t)(BATCH - part) * 4);
            for (int i = 0; i < part; i += 32) {
                importances(padded + i, importance + column, sums[r] / (float)row, 32, w + i);
                if ((column += 32) == row) {
                    column = 0;
                    ++r;
                }
            }
            weighted(padded, part, y + (first * row + at) / 32 * bytes, w);
        }
    }
    free(buffer);
    free(sums);
    return bad;
}
#define QUANTIZE_ROWS(type, bytes)                                                                                    \
    EXPORT int64_t mg_weighted_##type(const void* x, int kind, uint8_t* y, int64_t n, int64_t row, const float* w) {   \
        return quantize_rows(weighted_##type, x, kind, y, n, row, w, bytes);                                           \
    }
QUANTIZE_ROWS(q4_0, 18) QUANTIZE_ROWS(q4_1, 20) QUANTIZE_ROWS(q5_0, 22) QUANTIZE_ROWS(q5_1, 24)

// void mg_dequantize_TYPE(q, x, kind, n): n elements, straight to f32 or by way of a buffer to f16 and bf16.
#define DEQUANTIZE(type, elements, bytes)                                                                             \
    EXPORT void mg_dequantize_##type(const uint8_t* q, uint8_t* x, int kind, int64_t n) {                             \
        constexpr int PART = 8192 / elements * elements;                                                               \
        if (kind == KIND_F32) {                                                                                        \
            for (int64_t at = 0; at < n; at += elements, q += bytes) dequantize_##type(q, (float*)x + at);             \
            return;                                                                                                    \
        }                                                                                                              \
        alignas(64) float wide[PART];                                                                                  \
        for (int64_t at = 0; at < n; at += PART) {                                                                     \
            const int count = (int)(n - at < PART ? n - at : PART);                                                    \
            for (int i = 0; i < count; i += elements, q += bytes) dequantize_##type(q, wide + i);                      \
            narrow(wide, kind, count, x + 2 * at);                                                                     \
        }                                                                                                              \
    }
DEQUANTIZE(q4_0, 32, 18) DEQUANTIZE(q4_1, 32, 20) DEQUANTIZE(q5_0, 32, 22) DEQUANTIZE(q5_1, 32, 24)
DEQUANTIZE(q8_0, 32, 34) DEQUANTIZE(q8_1, 32, 36) DEQUANTIZE(q2_k, 256, 84) DEQUANTIZE(q3_k, 256, 110)
DEQUANTIZE(q4_k, 256, 144) DEQUANTIZE(q5_k, 256, 176) DEQUANTIZE(q6_k, 256, 210) DEQUANTIZE(q8_k, 256, 292)
DEQUANTIZE(iq2_xxs, 256, 66) DEQUANTIZE(iq2_xs, 256, 74) DEQUANTIZE(iq2_s, 256, 82) DEQUANTIZE(iq3_xxs, 256, 98)
DEQUANTIZE(iq3_s, 256, 110) DEQUANTIZE(iq1_s, 256, 50) DEQUANTIZE(iq1_m, 256, 56) DEQUANTIZE(iq4_nl, 32, 18)
DEQUANTIZE(iq4_xs, 256, 136) DEQUANTIZE(tq1_0, 256, 54) DEQUANTIZE(tq2_0, 256, 66) DEQUANTIZE(mxfp4, 32, 17)
DEQUANTIZE(nvfp4, 64, 36) DEQUANTIZE(q1_0, 128, 18) DEQUANTIZE(q2_0, 64, 18)

// kind, here also: 3 f64, 4 f8_e4m3, 5 f8_e5m2, 6 f8_e4m3fnuz, 7 f8_e5m2fnuz. Adds to counts.
EXPORT void mg_cast(const uint8_t* in, int from, int64_t n, uint8_t* out, int to, Counts* counts) {
    cast(in, from, n, out, to, counts);
}
// first: the index of in[0] in its tensor
EXPORT void mg_cast_by_chance(
    const uint8_t* in, int from, int64_t n, uint8_t* out, int to, uint64_t key, uint64_t first, Counts* counts) {
    cast_by_chance(in, from, n, out, to, key, first, counts);
}

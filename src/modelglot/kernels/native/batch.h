// How blocks reach the searches: a batch of LANES super-blocks (or as many elements of small blocks), padded with 0.
#pragma once
#include "scalar.h"

constexpr int BATCH = LANES * SUPER;  // elements of a batch

enum Kind { KIND_F32 = 0, KIND_F16 = 1, KIND_BF16 = 2 };

static void widen(const void* source, int kind, int64_t n, float* out);  // casts.h

// Infinities and NaN among n numbers.
static int64_t unusual(const float* x, int64_t n) {
    int64_t found = 0;
    for (int64_t at = 0; at < n; at += 4096) {
        int32_t count = 0;
        const int64_t stop = at + 4096 < n ? at + 4096 : n;
        for (int64_t i = at; i < stop; ++i) {
            int32_t u;
            memcpy(&u, x + i, 4);
            count += (u & 0x7f800000) == 0x7f800000;
        }
        found += count;
    }
    return found;
}

// A quantizer of up to BATCH elements: x (0 beyond n), n elements, y, and weights as many as x or null.
typedef void (*Quantizer)(const float* x, int n, uint8_t* y, const float* w);

// Quantize n elements of `kind`; rows are `row` elements, `importance` holds a weight a column or is null.
// Returns how many elements are infinite or NaN (their batch is not written).
__attribute__((noinline)) static int64_t in_batches(
    Quantizer quantizer, int elements, int bytes, const void* source, int kind, uint8_t* y, int64_t n, int64_t row,
    const float* importance) {
    alignas(64) float x[BATCH], w[BATCH];
    int64_t bad = 0, column = 0;
    const int size = kind == KIND_F32 ? 4 : 2;
    for (int64_t at = 0; at < n; at += BATCH) {
        const int count = (int)(n - at < BATCH ? n - at : BATCH);
        const char* from = (const char*)source + at * size;
        const float* in = (const float*)from;
        if (kind != KIND_F32 || count < BATCH || (uintptr_t)from % 4) {
            widen(from, kind, count, x);
            memset(x + count, 0, (size_t)(BATCH - count) * 4);
            in = x;
        }
        if (importance) {
            for (int i = 0; i < count; i += elements) {
                memcpy(w + i, importance + column, (size_t)elements * 4);
                if ((column += elements) == row) column = 0;
            }
            memset(w + count, 0, (size_t)(BATCH - count) * 4);
        }
        const int64_t found = unusual(in, count);
        bad += found;
        if (!found) quantizer(in, count, y + at / elements * bytes, importance ? w : nullptr);
    }
    return bad;
}

// sums[i] = the squares of the i-th run of `length` numbers, added in order; four runs at a time hide the latency.
INLINE void square_sums(const float* x, int runs, int64_t length, float* sums) {
    int r = 0;
    for (; r + 4 <= runs; r += 4) {
        const float *a = x + r * length, *b = a + length, *c = b + length, *d = c + length;
        float sa = 0, sb = 0, sc = 0, sd = 0;
        for (int64_t i = 0; i < length; ++i) {
            sa += a[i] * a[i]; sb += b[i] * b[i]; sc += c[i] * c[i]; sd += d[i] * d[i];
        }
        sums[r] = sa; sums[r + 1] = sb; sums[r + 2] = sc; sums[r + 3] = sd;
    }
    for (; r < runs; ++r) {
        float s = 0;
        for (int64_t i = 0; i < length; ++i) s += x[r * length + i] * x[r * length + i];
        sums[r] = s;
    }
}

// out = w * sqrt(sigma2 + x * x)
INLINE void importances(const float* x, const float* w, float sigma2, int n, float* out) {
    for (int i = 0; i < n; ++i) out[i] = w[i] * sqrtf(sigma2 + x[i] * x[i]);
}

// l[i] = nearest((x[i] + shift) / d), clamped to low..high, minus low.
INLINE void requantize(const float* x, int n, float shift, float d, int low, int high, uint8_t* l) {
    for (int i = 0; i < n; ++i) {
        int32_t v = (int32_t)(bits_of((x[i] + shift) / d + MAGIC) & 0x7fffff) - 0x400000;
        l[i] = (uint8_t)((v < low ? low : v > high ? high : v) - low);
    }
}

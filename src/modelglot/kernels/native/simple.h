// Blocks of 32 with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4, NVFP4.
#pragma once
#include "pieces.h"
#include "search_min.h"
#include "search_scale.h"

static void quantize_q8_0(const float* x, int n, uint8_t* y, const float*) {
    for (int at = 0; at < n; at += 32, y += 34) {
        const Block b = load_block(x + at);
        vf top = magnitude(b.v[0]);
        for (int i = 1; i < VECTORS; ++i) top = greater(top, magnitude(b.v[i]));
        const float d = top_of(top) / 127.f, inverse = d != 0 ? 1.f / d : 0.f;
        vi l[VECTORS];
        for (int i = 0; i < VECTORS; ++i) l[i] = rounded_away(b.v[i] * spread(inverse));
        put_half(y, d);
        put_bytes(l, y + 2);
    }
}

// The first of the numbers with the greatest magnitude.
INLINE float peak(const float* x, const Block& b) {
    const float high = top_of(folded_top(b)), low = top_of(-folded_bottom(b));
    if (high != low) return high > low ? high : -low;
    for (int i = 0; i < 32; ++i)
        if (fabsf(x[i]) == high && high > 0) return x[i];
    return 0.f;
}

// Q4_0 (8 levels a side) and Q5_0 (16).
template <int HALF> INLINE void quantize_centred(const float* x, int n, uint8_t* y) {
    for (int at = 0; at < n; at += 32) {
        const Block b = load_block(x + at);
        const float d = peak(x + at, b) / -(float)HALF, inverse = d != 0 ? 1.f / d : 0.f;
        uint8_t l[32];
        vi v[VECTORS];
        for (int i = 0; i < VECTORS; ++i) {
            v[i] = truncated(b.v[i] * spread(inverse) + spread((float)HALF + 0.5f));
            v[i] = v[i] < 0 ? vi{} : v[i] > 2 * HALF - 1 ? 2 * HALF - 1 - vi{} : v[i];  // below 0: only overflow
        }
        put_bytes(v, l);
        put_half(y, d);
        if (HALF == 16) put_u32(y + 2, fifth_bits(l));
        put_nibbles(l, y + (HALF == 16 ? 6 : 2));
        y += HALF == 16 ? 22 : 18;
    }
}

// Q4_1 (15 steps) and Q5_1 (31).
template <int STEPS> INLINE void quantize_offset(const float* x, int n, uint8_t* y) {
    for (int at = 0; at < n; at += 32) {
        const Block b = load_block(x + at);
        float high = top_of(folded_top(b)), low = -top_of(-folded_bottom(b));
        if (low == 0) {  // the first zero decides the sign
            int i = 0;
            while (x[at + i] != 0) ++i;
            low = x[at + i];
            if (high == 0) high = low;
        }
        const float d = (high - low) / (float)STEPS, inverse = d != 0 ? 1.f / d : 0.f;
        uint8_t l[32];
        vi v[VECTORS];
        for (int i = 0; i < VECTORS; ++i) {
            v[i] = truncated((b.v[i] - spread(low)) * spread(inverse) + spread(0.5f));
            if (STEPS == 15) v[i] = v[i] > 15 ? 15 - vi{} : v[i];
        }
        put_bytes(v, l);
        put_half(y, d);
        put_half(y + 2, low);
        if (STEPS == 31) put_u32(y + 4, fifth_bits(l));
        put_nibbles(l, y + (STEPS == 31 ? 8 : 4));
        y += STEPS == 31 ? 24 : 20;
    }
}

static void quantize_q4_0(const float* x, int n, uint8_t* y, const float*) { quantize_centred<8>(x, n, y); }
static void quantize_q5_0(const float* x, int n, uint8_t* y, const float*) { quantize_centred<16>(x, n, y); }
static void quantize_q4_1(const float* x, int n, uint8_t* y, const float*) { quantize_offset<15>(x, n, y); }
static void quantize_q5_1(const float* x, int n, uint8_t* y, const float*) { quantize_offset<31>(x, n, y); }

// The same four with importances. w: already multiplied with sqrt(mean square of the row + x * x).
template <int NMAX> INLINE void fit_centred(const float* x, int n, uint8_t* y, const float* w) {
    for (int first = 0; first < n; first += LANES * 32) {
        F xs[32], ws[32];
        Scale fit;
        alignas(64) float scale[LANES], inverse[LANES];
        alignas(64) int32_t flat[LANES];
        load_lanes<32>(x + first, 32, xs);
        load_lanes<32>(w + first, 32, ws);
        fit_scale<32, NMAX>(xs, ws, &fit);
        store(scale, fit.scale);
        store(inverse, fit.inverse);
        store(flat, fit.flat);
        for (int k = 0; k < LANES && first + 32 * k < n; ++k) {
            uint8_t l[32];
            for (int i = 0; i < 32; ++i) {
                const int v = nearest_int(inverse[k] * x[first + 32 * k + i]);
                l[i] = (uint8_t)(flat[k] ? 0 : clamp(v, -NMAX, NMAX - 1) + NMAX);
            }
            put_half(y, scale[k]);
            if (NMAX == 16) put_u32(y + 2, fifth_bits(l));
            put_nibbles(l, y + (NMAX == 16 ? 6 : 2));
            y += NMAX == 16 ? 22 : 18;
        }
    }
}

template <int NMAX> INLINE void fit_offset(const float* x, int n, uint8_t* y, const float* w) {
    for (int first = 0; first < n; first += LANES * 32) {
        F xs[32], ws[32];
        Fit fit;
        alignas(64) float scale[LANES], minus[LANES], inverse[LANES], offset[LANES];
        alignas(64) int32_t flat[LANES], later[LANES];
        load_lanes<32>(x + first, 32, xs);
        load_lanes<32>(w + first, 32, ws);
        fit_min<32, NMAX, false, true>(xs, ws, -0.9f, 0.05f, 36, &fit);
        store(scale, fit.scale);
        store(minus, fit.minus);
        store(inverse, fit.inverse);
        store(offset, fit.offset);
        store(flat, fit.flat);
        store(later, fit.later);
        for (int k = 0; k < LANES && first + 32 * k < n; ++k) {
            uint8_t l[32] = {0};
            if (!flat[k]) levels_of(x + first + 32 * k, 32, NMAX, later[k], inverse[k], offset[k], l);
            put_half(y, scale[k]);
            put_half(y + 2, -minus[k]);
            if (NMAX == 31) put_u32(y + 4, fifth_bits(l));
            put_nibbles(l, y + (NMAX == 31 ? 8 : 4));
            y += NMAX == 31 ? 24 : 20;
        }
    }
}

static void weighted_q4_0(const float* x, int n, uint8_t* y, const float* w) { fit_centred<8>(x, n, y, w); }
static void weighted_q5_0(const float* x, int n, uint8_t* y, const float* w) { fit_centred<16>(x, n, y, w); }
static void weighted_q4_1(const float* x, int n, uint8_t* y, const float* w) { fit_offset<15>(x, n, y, w); }
static void weighted_q5_1(const float* x, int n, uint8_t* y, const float* w) { fit_offset<31>(x, n, y, w); }

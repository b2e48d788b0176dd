// One to two bits an element: TQ1_0, TQ2_0, Q1_0, Q2_0.
#pragma once
#include "pieces.h"

// Levels 0, 1, 2 for x * inverse rounded to -1, 0, 1; 1 where that is no number (a denormal scale).
INLINE float ternary_levels(const float* x, uint8_t* l) {
    float top = 0;
    for (int i = 0; i < SUPER; i += 32) {
        const Block b = load_block(x + i);
        vf t = magnitude(b.v[0]);
        for (int k = 1; k < VECTORS; ++k) t = greater(t, magnitude(b.v[k]));
        const float found = top_of(t);
        if (found > top) top = found;
    }
    const float inverse = top != 0 ? 1.f / top : 0.f;
    for (int i = 0; i < SUPER; i += 32) {
        const Block b = load_block(x + i);
        vi v[VECTORS];
        for (int k = 0; k < VECTORS; ++k) v[k] = rounded_away(b.v[k] * spread(inverse)) + 1;
        put_bytes(v, l + i);
    }
    return top;
}

// Five trits, the first the most significant, as a fraction of 256 rounded up.
INLINE uint8_t trits(int q) { return (uint8_t)(((uint32_t)(uint8_t)q * 256 + 242) / 243); }

static void quantize_tq1_0(const float* x, int n, uint8_t* y, const float*) {
    uint8_t l[SUPER];
    for (int at = 0; at < n; at += SUPER, y += 54) {
        put_half(y + 52, ternary_levels(x + at, l));
        for (int i = 0; i < 32; ++i)
            y[i] = trits((((l[i] * 3 + l[i + 32]) * 3 + l[i + 64]) * 3 + l[i + 96]) * 3 + l[i + 128]);
        for (int i = 0; i < 16; ++i) {
            const uint8_t* p = l + 160 + i;
            y[32 + i] = trits((((p[0] * 3 + p[16]) * 3 + p[32]) * 3 + p[48]) * 3 + p[64]);
        }
        for (int i = 0; i < 4; ++i) {
            const uint8_t* p = l + 240 + i;
            y[48 + i] = trits((((p[0] * 3 + p[4]) * 3 + p[8]) * 3 + p[12]) * 3);
        }
    }
}

static void quantize_tq2_0(const float* x, int n, uint8_t* y, const float*) {
    uint8_t l[SUPER];
    for (int at = 0; at < n; at += SUPER, y += 66) {
        put_half(y + 64, ternary_levels(x + at, l));
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const uint8_t* p = l + 128 * half + i;
                y[32 * half + i] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 | (p[96] & 3) << 6);
            }
    }
}

// Q1_0: signs, and the mean magnitude added in order.
static void quantize_q1_0(const float* x, int n, uint8_t* y, const float*) {
    for (int at = 0; at < n; at += 128, y += 18) {
        float sum = 0;
        for (int i = 0; i < 128; ++i) sum += fabsf(x[at + i]);
        put_half(y, sum / 128.f);
        for (int i = 0; i < 16; ++i) {
            int bits = 0;
            for (int k = 0; k < 8; ++k) bits |= (x[at + 8 * i + k] >= 0.f) << k;
            y[2 + i] = (uint8_t)bits;
        }
    }
}

// Q2_0: -1, 0, 1, 2 times the largest magnitude.
static void quantize_q2_0(const float* x, int n, uint8_t* y, const float*) {
    for (int at = 0; at < n; at += 64, y += 18) {
        float top = 0;
        for (int i = 0; i < 64; ++i) if (fabsf(x[at + i]) > top) top = fabsf(x[at + i]);
        const float inverse = top > 0 ? 1.f / top : 0.f;
        uint8_t l[64];
        for (int i = 0; i < 64; i += WIDTH) {
            vf v;
            memcpy(&v, x + at + i, sizeof v);
            vi r = rounded_away(v * spread(inverse)) + 1;
            r = r < 0 ? vi{} : r > 3 ? 3 - vi{} : r;
            for (int k = 0; k < WIDTH; ++k) l[i + k] = (uint8_t)r[k];
        }
        put_half(y, top);
        for (int i = 0; i < 16; ++i)
            y[2 + i] = (uint8_t)(l[4 * i] | l[4 * i + 1] << 2 | l[4 * i + 2] << 4 | l[4 * i + 3] << 6);
    }
}

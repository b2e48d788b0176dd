// Blocks to f32: small blocks, K-quants, ternary and 4-bit floats. q: a block, x: its elements.
#pragma once
#include "fp4.h"
#include "k_quants.h"
#include "search_iq4.h"

#define EACH(n) for (int i = 0; i < (n); ++i)

INLINE void dequantize_q4_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    EACH(16) x[i] = (float)((q[2 + i] & 15) - 8) * d;
    EACH(16) x[i + 16] = (float)((q[2 + i] >> 4) - 8) * d;
}
INLINE void dequantize_q4_1(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    EACH(16) x[i] = (float)(q[4 + i] & 15) * d + m;
    EACH(16) x[i + 16] = (float)(q[4 + i] >> 4) * d + m;
}
INLINE void fifths(const uint8_t* q, const uint8_t* high, int32_t* l) {  // 5-bit levels from nibbles and a bit plane
    const uint32_t bits = get_u32(high);
    EACH(16) l[i] = (int32_t)((q[i] & 15) | (bits >> i & 1) << 4);
    EACH(16) l[i + 16] = (int32_t)(q[i] >> 4 | (bits >> (i + 16) & 1) << 4);
}
INLINE void dequantize_q5_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    int32_t l[32];
    fifths(q + 6, q + 2, l);
    EACH(32) x[i] = (float)(l[i] - 16) * d;
}
INLINE void dequantize_q5_1(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    int32_t l[32];
    fifths(q + 8, q + 4, l);
    EACH(32) x[i] = (float)l[i] * d + m;
}
INLINE void dequantize_q8_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    EACH(32) x[i] = (float)(int8_t)q[2 + i] * d;
}
INLINE void dequantize_q8_1(const uint8_t* q, float* x) {
    const float d = get_half(q);
    EACH(32) x[i] = (float)(int8_t)q[4 + i] * d;
}
INLINE void dequantize_q8_k(const uint8_t* q, float* x) {
    const float d = float_of_bits(get_u32(q));
    EACH(256) x[i] = d * (float)(int8_t)q[4 + i];
}

INLINE void dequantize_q2_k(const uint8_t* q, float* x) {
    const float d = get_half(q + 80), m = get_half(q + 82);
    for (int j = 0; j < 16; ++j, x += 16) {
        const float dl = d * (float)(q[j] & 15), ml = m * (float)(q[j] >> 4);
        const uint8_t* l = q + 16 + 32 * (j / 8) + 16 * (j % 2);
        const int shift = j % 8 / 2 * 2;
        EACH(16) x[i] = dl * (float)(l[i] >> shift & 3) - ml;
    }
}
INLINE void dequantize_q3_k(const uint8_t* q, float* x) {
    const float d = get_half(q + 108);
    for (int j = 0; j < 16; ++j, x += 16) {
        const int low = j < 8 ? q[96 + j] & 15 : q[88 + j] >> 4, high = q[104 + j % 4] >> (j / 4 * 2) & 3;
        const float dl = d * (float)((low | high << 4) - 32);
        const uint8_t *l = q + 32 + 32 * (j / 8) + 16 * (j % 2), *h = q + 16 * (j % 2);
        const int shift = j % 8 / 2 * 2, bit = j / 2;
        EACH(16) x[i] = dl * (float)((l[i] >> shift & 3) + (h[i] >> bit & 1) * 4 - 4);
    }
}
INLINE void dequantize_q4_k(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    uint8_t s[8], t[8];
    get_k4_scales(q + 4, s, t);
    for (int g = 0; g < 4; ++g, x += 64) {
        const float d0 = d * (float)s[2 * g], m0 = m * (float)t[2 * g];
        const float d1 = d * (float)s[2 * g + 1], m1 = m * (float)t[2 * g + 1];
        const uint8_t* l = q + 16 + 32 * g;
        EACH(32) x[i] = d0 * (float)(l[i] & 15) - m0;
        EACH(32) x[i + 32] = d1 * (float)(l[i] >> 4) - m1;
    }
}
INLINE void dequantize_q5_k(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    uint8_t s[8], t[8];
    get_k4_scales(q + 4, s, t);
    for (int g = 0; g < 4; ++g, x += 64) {
        const float d0 = d * (float)s[2 * g], m0 = m * (float)t[2 * g];
        const float d1 = d * (float)s[2 * g + 1], m1 = m * (float)t[2 * g + 1];
        const uint8_t *l = q + 48 + 32 * g, *h = q + 16;
        EACH(32) x[i] = d0 * (float)((l[i] & 15) + (h[i] >> 2 * g & 1) * 16) - m0;
        EACH(32) x[i + 32] = d1 * (float)((l[i] >> 4) + (h[i] >> (2 * g + 1) & 1) * 16) - m1;
    }
}
INLINE void dequantize_q6_k(const uint8_t* q, float* x) {
    const float d = get_half(q + 208);
    for (int j = 0; j < 16; ++j, x += 16) {
        const int part = j % 8 / 2;  // which 32 of a half
        const float dl = d * (float)(int8_t)q[192 + j];
        const uint8_t* l = q + 64 * (j / 8) + 32 * (part % 2) + 16 * (j % 2);
        const uint8_t* h = q + 128 + 32 * (j / 8) + 16 * (j % 2);
        const int low = part / 2 * 4, high = part * 2;
        EACH(16) x[i] = dl * (float)(((l[i] >> low & 15) | (h[i] >> high & 3) << 4) - 32);
    }
}

INLINE void iq4_floats(const uint8_t* q, float d, float* x) {
    EACH(16) x[i] = d * (float)IQ4_LEVELS[q[i] & 15];
    EACH(16) x[i + 16] = d * (float)IQ4_LEVELS[q[i] >> 4];
}
INLINE void dequantize_iq4_nl(const uint8_t* q, float* x) { iq4_floats(q + 2, get_half(q), x); }
INLINE void dequantize_iq4_xs(const uint8_t* q, float* x) {
    const float d = get_half(q);
    const int high = get_u16(q + 2);
    for (int j = 0; j < 8; ++j) {
        const int s = (q[4 + j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4;
        iq4_floats(q + 8 + 16 * j, d * (float)(s - 32), x + 32 * j);
    }
}
INLINE void e2m1_floats(const uint8_t* q, float d, int half, float* x) {
    EACH(half) x[i] = (float)E2M1[q[i] & 15] * d;
    EACH(half) x[i + half] = (float)E2M1[q[i] >> 4] * d;
}
INLINE void dequantize_mxfp4(const uint8_t* q, float* x) { e2m1_floats(q + 1, half_power(q[0]), 16, x); }
INLINE void dequantize_nvfp4(const uint8_t* q, float* x) {
    for (int s = 0; s < 4; ++s) e2m1_floats(q + 4 + 8 * s, half_ue4m3(q[s]), 8, x + 16 * s);
}

INLINE void dequantize_tq1_0(const uint8_t* q, float* x) {
    static const int POWERS[5] = {1, 3, 9, 27, 81};
    const float d = get_half(q + 52);
    for (int n = 0; n < 5; ++n, x += 32) EACH(32) x[i] = (float)((int)((uint32_t)(uint8_t)(q[i] * POWERS[n]) * 3 >> 8) - 1) * d;
    for (int n = 0; n < 5; ++n, x += 16) EACH(16) x[i] = (float)((int)((uint32_t)(uint8_t)(q[32 + i] * POWERS[n]) * 3 >> 8) - 1) * d;
    for (int n = 0; n < 4; ++n, x += 4) EACH(4) x[i] = (float)((int)((uint32_t)(uint8_t)(q[48 + i] * POWERS[n]) * 3 >> 8) - 1) * d;
}
INLINE void dequantize_tq2_0(const uint8_t* q, float* x) {
    const float d = get_half(q + 64);
    for (int half = 0; half < 2; ++half, q += 32)
        for (int n = 0; n < 4; ++n, x += 32) EACH(32) x[i] = (float)((q[i] >> 2 * n & 3) - 1) * d;
}
INLINE void dequantize_q1_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    EACH(128) x[i] = q[2 + i / 8] >> i % 8 & 1 ? d : -d;
}
INLINE void dequantize_q2_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    EACH(64) x[i] = (float)((q[2 + i / 4] >> i % 4 * 2 & 3) - 1) * d;
}

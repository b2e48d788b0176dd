// Blocks to f32: small blocks, K-quants, ternary and 4-bit floats. q: a block, x: its elements.
#pragma once
#include "fp4.h"
#include "k_quants.h"
#include "search_iq4.h"
#include "sixteen.h"

#define EACH(n) for (int i = 0; i < (n); ++i)

INLINE void dequantize_q4_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    const Levels l = load16(q + 2);
    put_scaled(x, (l & 15) - 8, d);
    put_scaled(x + 16, (l >> 4) - 8, d);
}
INLINE void dequantize_q4_1(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    const Levels l = load16(q + 4);
    put_scaled_plus(x, l & 15, d, m);
    put_scaled_plus(x + 16, l >> 4, d, m);
}
INLINE void dequantize_q5_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    const uint32_t high = get_u32(q + 2);
    const Levels l = load16(q + 6);
    put_scaled(x, ((l & 15) | bit_bytes(high, 16)) - 16, d);
    put_scaled(x + 16, ((l >> 4) | bit_bytes(high >> 16, 16)) - 16, d);
}
INLINE void dequantize_q5_1(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    const uint32_t high = get_u32(q + 4);
    const Levels l = load16(q + 8);
    put_scaled_plus(x, (l & 15) | bit_bytes(high, 16), d, m);
    put_scaled_plus(x + 16, (l >> 4) | bit_bytes(high >> 16, 16), d, m);
}
INLINE void dequantize_q8_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int i = 0; i < 32; i += 16) put_scaled(x + i, load16(q + 2 + i), d);
}
INLINE void dequantize_q8_1(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int i = 0; i < 32; i += 16) put_scaled(x + i, load16(q + 4 + i), d);
}
INLINE void dequantize_q8_k(const uint8_t* q, float* x) {
    const float d = float_of_bits(get_u32(q));
    for (int i = 0; i < 256; i += 16) put_scaled(x + i, load16(q + 4 + i), d);
}

// Halves of 128, columns of 16: four elements 32 apart share a byte; sub-block 8 * half + 2 * part + column.
INLINE void dequantize_q2_k(const uint8_t* q, float* x) {
    const float d = get_half(q + 80), m = get_half(q + 82);
    for (int half = 0; half < 2; ++half, x += 128)
        for (int column = 0; column < 2; ++column) {
            Levels l = load16(q + 16 + 32 * half + 16 * column);
            for (int part = 0; part < 4; ++part, l = l >> 2) {
                const uint8_t s = q[8 * half + 2 * part + column];
                put_scaled_minus(x + 32 * part + 16 * column, l & 3, d * (float)(s & 15), m * (float)(s >> 4));
            }
        }
}
INLINE void dequantize_q3_k(const uint8_t* q, float* x) {
    const float d = get_half(q + 108);
    for (int half = 0; half < 2; ++half, x += 128)
        for (int column = 0; column < 2; ++column) {
            Levels l = load16(q + 32 + 32 * half + 16 * column), h = load16(q + 16 * column) >> 4 * half;
            for (int part = 0; part < 4; ++part, l = l >> 2, h = h >> 1) {
                const int j = 8 * half + 2 * part + column;
                const int low = j < 8 ? q[96 + j] & 15 : q[88 + j] >> 4, high = q[104 + j % 4] >> (j / 4 * 2) & 3;
                const float size = d * (float)((low | high << 4) - 32);
                put_scaled(x + 32 * part + 16 * column, ((l & 3) | (h & 1) << 2) - 4, size);
            }
        }
}
INLINE void dequantize_q4_k(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    uint8_t s[8], t[8];
    get_k4_scales(q + 4, s, t);
    for (int g = 0; g < 8; g += 2, x += 64) {
        const float d0 = d * (float)s[g], m0 = m * (float)t[g], d1 = d * (float)s[g + 1], m1 = m * (float)t[g + 1];
        for (int i = 0; i < 32; i += 16) {
            const Levels l = load16(q + 16 + 16 * g + i);
            put_scaled_minus(x + i, l & 15, d0, m0);
            put_scaled_minus(x + i + 32, l >> 4, d1, m1);
        }
    }
}
INLINE void dequantize_q5_k(const uint8_t* q, float* x) {
    const float d = get_half(q), m = get_half(q + 2);
    uint8_t s[8], t[8];
    get_k4_scales(q + 4, s, t);
    Levels high[2] = {load16(q + 16), load16(q + 32)};
    for (int g = 0; g < 8; g += 2, x += 64) {
        const float d0 = d * (float)s[g], m0 = m * (float)t[g], d1 = d * (float)s[g + 1], m1 = m * (float)t[g + 1];
        for (int i = 0; i < 2; ++i, x += 16) {
            const Levels l = load16(q + 48 + 16 * g + 16 * i);
            put_scaled_minus(x, (l & 15) | (high[i] & 1) << 4, d0, m0);
            put_scaled_minus(x + 32, (l >> 4) | (high[i] & 2) << 3, d1, m1);
            high[i] = high[i] >> 2;
        }
        x -= 32;
    }
}
INLINE void dequantize_q6_k(const uint8_t* q, float* x) {
    const float d = get_half(q + 208);
    for (int half = 0; half < 2; ++half, x += 128)
        for (int column = 0; column < 2; ++column) {
            const uint8_t *low = q + 64 * half + 16 * column, *s = q + 192 + 8 * half + column;
            const Levels l0 = load16(low), l1 = load16(low + 32), h = load16(q + 128 + 32 * half + 16 * column);
            float* to = x + 16 * column;
            put_scaled(to, ((l0 & 15) | (h & 3) << 4) - 32, d * (float)(int8_t)s[0]);
            put_scaled(to + 32, ((l1 & 15) | (h & 12) << 2) - 32, d * (float)(int8_t)s[2]);
            put_scaled(to + 64, ((l0 >> 4) | (h & 48)) - 32, d * (float)(int8_t)s[4]);
            put_scaled(to + 96, ((l1 >> 4) | (h & 192) >> 2) - 32, d * (float)(int8_t)s[6]);
        }
}

INLINE void iq4_floats(const uint8_t* q, float d, float* x) {
    const Levels l = load16(q);
    put_scaled(x, looked_up(IQ4_LEVELS, l & 15), d);
    put_scaled(x + 16, looked_up(IQ4_LEVELS, l >> 4), d);
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
INLINE void dequantize_mxfp4(const uint8_t* q, float* x) {
    const float d = half_power(q[0]);
    const Levels l = load16(q + 1);
    put_scaled(x, looked_up(E2M1, l & 15), d);
    put_scaled(x + 16, looked_up(E2M1, l >> 4), d);
}
INLINE void dequantize_nvfp4(const uint8_t* q, float* x) {
    for (int s = 0; s < 4; ++s, x += 16) {
        const uint64_t l = get_u64(q + 4 + 8 * s), mask = 0x0f0f0f0f0f0f0f0full;
        put_scaled(x, looked_up(E2M1, join(l & mask, l >> 4 & mask)), half_ue4m3(q[s]));
    }
}

// Sixteen trits of one power: the byte times 3^n is again a fraction of 256, and its first trit comes next.
INLINE void put_trits(float* x, Levels l, int power, float d) {
    typedef uint16_t Products __attribute__((vector_size(32)));
    const Levels q = l * same16(power);
    const Products wide = __builtin_convertvector(q, Products) * 3 >> 8;
    put_scaled(x, __builtin_convertvector(wide, Levels) - 1, d);
}
INLINE void dequantize_tq1_0(const uint8_t* q, float* x) {
    static const int POWERS[5] = {1, 3, 9, 27, 81};
    const float d = get_half(q + 52);
    for (int n = 0; n < 5; ++n) {
        put_trits(x + 32 * n, load16(q), POWERS[n], d);
        put_trits(x + 32 * n + 16, load16(q + 16), POWERS[n], d);
        put_trits(x + 160 + 16 * n, load16(q + 32), POWERS[n], d);
    }
    for (int n = 0; n < 4; ++n)
        EACH(4) x[240 + 4 * n + i] = (float)((int)((uint32_t)(uint8_t)(q[48 + i] * POWERS[n]) * 3 >> 8) - 1) * d;
}
INLINE void dequantize_tq2_0(const uint8_t* q, float* x) {
    const float d = get_half(q + 64);
    for (int half = 0; half < 2; ++half, q += 32, x += 128)
        for (int column = 0; column < 32; column += 16) {
            Levels l = load16(q + column);
            for (int part = 0; part < 4; ++part, l = l >> 2) put_scaled(x + 32 * part + column, (l & 3) - 1, d);
        }
}

struct Quads {  // four 2-bit levels, less 1, for a byte
    uint32_t of[256];
    constexpr Quads() : of() {
        for (int b = 0; b < 256; ++b)
            for (int i = 0; i < 4; ++i) of[b] |= (uint32_t)(uint8_t)((b >> 2 * i & 3) - 1) << 8 * i;
    }
};
static constexpr Quads QUADS;
INLINE void dequantize_q2_0(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int i = 0; i < 16; i += 4) {
        const uint8_t* b = q + 2 + i;
        const uint64_t low = QUADS.of[b[0]] | (uint64_t)QUADS.of[b[1]] << 32;
        const uint64_t high = QUADS.of[b[2]] | (uint64_t)QUADS.of[b[3]] << 32;
        put_scaled(x + 4 * i, join(low, high), d);
    }
}

// Blocks whose elements are points of a grid: IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S.
#pragma once
#include "dequant.h"

// The grids, a byte an element (signed for IQ1), and the 128 sign patterns with even parity; given once by Python.
struct Grids {
    const uint8_t *iq2_xxs, *iq2_xs, *iq2_s, *iq3_xxs, *iq3_s;
    const int8_t* iq1_s;
    const uint8_t* signs;
};
static Grids grids;

struct SignBits {  // 8 sign bits of floats for a byte of signs
    uint32_t of[256][8];
    constexpr SignBits() : of() {
        for (int b = 0; b < 256; ++b)
            for (int i = 0; i < 8; ++i) of[b][i] = (uint32_t)(b >> i & 1) << 31;
    }
};
static constexpr SignBits SIGN_BITS;

INLINE void signed_eight(const uint8_t* grid, float d, int signs, float* x) {
    EACH(8) x[i] = float_of_bits(bits_of(d * (float)grid[i]) ^ SIGN_BITS.of[signs][i]);
}
INLINE void signed_two_fours(const uint8_t* a, const uint8_t* b, float d, int signs, float* x) {
    uint8_t both[8];
    memcpy(both, a, 4);
    memcpy(both + 4, b, 4);
    signed_eight(both, d, signs, x);
}

INLINE void dequantize_iq2_xxs(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int j = 0; j < 8; ++j) {
        const uint8_t* at = q + 2 + 8 * j;
        const uint32_t word = get_u32(at + 4);
        const float dl = d * (0.5f + (float)(word >> 28)) * 0.25f;
        for (int k = 0; k < 4; ++k, x += 8)
            signed_eight(grids.iq2_xxs + 8 * at[k], dl, grids.signs[word >> 7 * k & 127], x);
    }
}
INLINE void dequantize_iq2_xs(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int j = 0; j < 32; ++j, x += 8) {
        const uint16_t word = get_u16(q + 2 + 2 * j);
        const int scale = q[66 + j / 4] >> 4 * (j / 2 % 2) & 15;
        signed_eight(grids.iq2_xs + 8 * (word & 511), d * (0.5f + (float)scale) * 0.25f, grids.signs[word >> 9], x);
    }
}
INLINE void dequantize_iq2_s(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int j = 0; j < 32; ++j, x += 8) {
        const int scale = q[74 + j / 4] >> 4 * (j / 2 % 2) & 15;
        const int index = q[2 + j] | (q[66 + j / 4] >> 2 * (j % 4) & 3) << 8;
        signed_eight(grids.iq2_s + 8 * index, d * (0.5f + (float)scale) * 0.25f, q[34 + j], x);
    }
}
INLINE void dequantize_iq3_xxs(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int j = 0; j < 8; ++j) {
        const uint32_t word = get_u32(q + 66 + 4 * j);
        const float dl = d * (0.5f + (float)(word >> 28)) * 0.5f;
        for (int k = 0; k < 4; ++k, x += 8) {
            const uint8_t* at = q + 2 + 8 * j + 2 * k;
            const uint8_t signs = grids.signs[word >> 7 * k & 127];
            signed_two_fours(grids.iq3_xxs + 4 * at[0], grids.iq3_xxs + 4 * at[1], dl, signs, x);
        }
    }
}
INLINE void dequantize_iq3_s(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int j = 0; j < 32; ++j, x += 8) {
        const int scale = q[106 + j / 8] >> 4 * (j / 4 % 2) & 15, high = q[66 + j / 4] >> 2 * (j % 4);
        const int a = q[2 + 2 * j] | (high & 1) << 8, b = q[3 + 2 * j] | (high & 2) << 7;
        signed_two_fours(grids.iq3_s + 4 * a, grids.iq3_s + 4 * b, d * (float)(1 + 2 * scale), q[74 + j], x);
    }
}
// IQ1: points of -1, 0, 1 shifted up or down by an eighth, counted in eighths.
INLINE void put_shifted(float* x, int a, int b, bool down_a, bool down_b, float d) {
    uint64_t low, high;
    memcpy(&low, grids.iq1_s + 8 * a, 8);
    memcpy(&high, grids.iq1_s + 8 * b, 8);
    const uint64_t up = 0x0101010101010101ull;
    const Levels shift = join(down_a ? ~0ull : up, down_b ? ~0ull : up);
    const Wide w = wide((join(low, high) << 3) + shift);
    for (int k = 0; k < WIDES; ++k) put(x, k, (d - vf{}) * (w.v[k] * (0.125f - vf{})));
}
INLINE void dequantize_iq1_s(const uint8_t* q, float* x) {
    const float d = get_half(q);
    for (int j = 0; j < 8; ++j, x += 32) {
        const int h = get_u16(q + 34 + 2 * j);
        const uint8_t* l = q + 2 + 4 * j;
        const float dl = d * (float)(2 * (h >> 12 & 7) + 1);
        const bool down = h & 0x8000;
        put_shifted(x, l[0] | (h & 7) << 8, l[1] | (h >> 3 & 7) << 8, down, down, dl);
        put_shifted(x + 16, l[2] | (h >> 6 & 7) << 8, l[3] | (h >> 9 & 7) << 8, down, down, dl);
    }
}
INLINE void dequantize_iq1_m(const uint8_t* q, float* x) {
    const uint8_t* s = q + 48;
    const int low = get_u16(s) >> 12 | (get_u16(s + 2) >> 8 & 0xf0), high = (get_u16(s + 4) >> 4 & 0xf00);
    const float d = float_of_half((uint16_t)(low | high | (get_u16(s + 6) & 0xf000)));
    for (int j = 0; j < 16; ++j, x += 16) {
        const int h = q[32 + j], scale = get_u16(s + j / 4 * 2) >> 3 * (j % 4) & 7;
        const int a = q[2 * j] | (h & 7) << 8, b = q[2 * j + 1] | (h >> 4 & 7) << 8;
        put_shifted(x, a, b, h & 8, h & 128, d * (float)(2 * scale + 1));
    }
}
INLINE void dequantize_q1_0(const uint8_t* q, float* x) {
    const uint32_t d = bits_of(get_half(q));
    for (int j = 0; j < 16; ++j, x += 8)
        EACH(8) x[i] = float_of_bits(d ^ SIGN_BITS.of[(uint8_t)~q[2 + j]][i]);
}

// E2M1 elements: MXFP4 (32 with a power of two) and NVFP4 (four times 16 with an unsigned E4M3).
#pragma once
#include "pieces.h"

static const int8_t E2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // twice the value

INLINE float half_power(uint8_t e) {  // 2^(e - 128): half of what E8M0 means, since the table above is doubled
    return float_of_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

// floor(log2(x)) as single precision sees it: just below a power of two the logarithm rounds up to the integer.
INLINE float floor_log2(float x) {
    if (x >= 0x1p-126f && (bits_of(x) & 0x7fffff) < 0x7ff000) return (float)((int)(bits_of(x) >> 23) - 127);
    return floorf((float)log2((double)x));
}

// Index of the nearest of E2M1 * d; of equal distances the smaller magnitude. d is a power of two, so that all
// differences near a middle are exact.
INLINE vi nearest_e2m1(vf x, float d) {
    const vf a = magnitude(x);
    vi index = {};
    const float middle[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5.f, 7.f, 10.f};
    for (int i = 0; i < 7; ++i) index -= a > spread(middle[i] * d);
    return index + (((index > 0) & ((vi)x < 0)) ? 8 - vi{} : vi{});
}

static void quantize_mxfp4(const float* x, int n, uint8_t* y, const float*) {
    for (int at = 0; at < n; at += 32, y += 17) {
        const Block b = load_block(x + at);
        vf top = magnitude(b.v[0]);
        for (int i = 1; i < VECTORS; ++i) top = greater(top, magnitude(b.v[i]));
        const float amax = top_of(top);
        const uint8_t e = amax > 0 ? (uint8_t)(int)(floor_log2(amax) - 2.f + 127.f) : 0;
        const float d = half_power(e);
        uint8_t l[32];
        vi v[VECTORS];
        for (int i = 0; i < VECTORS; ++i) v[i] = nearest_e2m1(b.v[i], d);
        put_bytes(v, l);
        y[0] = e;
        put_nibbles(l, y + 1);
    }
}

// Unsigned E4M3, bias 7, halved for the doubled table; 0x7f means 0 here.
INLINE float half_ue4m3(uint8_t u) {
    if (u == 0 || u == 0x7f) return 0.f;
    const int e = u >> 3 & 15;
    const float m = (float)(u & 7);
    return (e == 0 ? m * 0x1p-9f : ldexpf(1.f + m / 8.f, e - 7)) * 0.5f;
}

// Halves of the mantissa go up, whatever is left below.
INLINE uint8_t ue4m3_of(float x) {
    if (!(x > 0)) return 0;
    if (x > 448.f) x = 448.f;
    const uint32_t u = bits_of(x);
    int e = (int)(u >> 23 & 255) - 127 + 7, m = (int)(u >> 20 & 7);
    if (e <= 0) {
        m = (int)(x * 512.f + 0.5f);
        return (uint8_t)(m > 7 ? 7 : m < 1 ? 0 : m);
    }
    if (e >= 15) return 0x7e;
    m += (int)(u >> 19 & 1);
    if (m > 7) {
        m = 0;
        if (++e >= 15) return 0x7e;
    }
    return (uint8_t)(e << 3 | m);
}

static void quantize_nvfp4(const float* x, int n, uint8_t* y, const float*) {
    for (int at = 0; at < n; at += 64, y += 36)
        for (int s = 0; s < 4; ++s) {
            const float* xs = x + at + 16 * s;
            float amax = 0;
            for (int i = 0; i < 16; ++i) if (fabsf(xs[i]) > amax) amax = fabsf(xs[i]);
            const uint8_t scale = ue4m3_of(amax / 6.f);
            const float d = half_ue4m3(scale);
            uint8_t l[16];
            y[s] = scale;
            for (int i = 0; i < 16; i += WIDTH) {
                vf v, best, index = {};
                memcpy(&v, xs + i, sizeof v);
                best = magnitude(-v);
                for (int k = 1; k < 16; ++k) {
                    const vf error = magnitude(spread((float)E2M1[k] * d) - v);
                    index = error < best ? spread((float)k) : index;
                    best = lesser(error, best);
                }
                for (int k = 0; k < WIDTH; ++k) l[i + k] = (uint8_t)index[k];
            }
            for (int i = 0; i < 8; ++i) y[4 + 8 * s + i] = (uint8_t)(l[i] | l[i + 8] << 4);
        }
}

// Super-blocks of 256 with signed scales and no minimum: Q3_K, Q6_K, IQ4_XS; and IQ4_NL, a block of 32 alone.
#pragma once
#include "batch.h"
#include "search_iq4.h"
#include "search_scale.h"

constexpr int SUBS = LANES * 16;  // sub-blocks of 16 in a batch

INLINE void level_of_scale(const float* x, int n, int nmax, float inverse, bool flat, uint8_t* l) {
    for (int i = 0; i < n; ++i) l[i] = flat ? 0 : (uint8_t)(clamp(nearest_int(inverse * x[i]), -nmax, nmax - 1) + nmax);
}

// The first of the values largest in magnitude; *amax is 0 and the result 0 for zeros.
INLINE float largest_signed(const float* x, int n, float* amax) {
    float max = 0;
    *amax = 0;
    for (int i = 0; i < n; ++i)
        if (fabsf(x[i]) > *amax) {
            *amax = fabsf(x[i]);
            max = x[i];
        }
    return max;
}

static void quantize_q6_k(const float* x, int n, uint8_t* y, const float* w) {
    alignas(64) float scale[SUBS], inverse[SUBS];
    alignas(64) int32_t flat[SUBS];
    uint8_t l[SUPER];
    for (int first = 0; first * 16 < n; first += LANES) {
        F xs[16], ws[16];
        Scale fit;
        load_lanes<16>(x + first * 16, 16, xs);
        if (w) load_lanes<16>(w + first * 16, 16, ws);
        if (w) fit_scale<16, 32>(xs, ws, &fit);
        else fit_scale<16, 32>(xs, nullptr, &fit);
        store(scale + first, fit.scale);
        store(inverse + first, fit.inverse);
        store(flat + first, fit.flat);
    }
    for (int b = 0; b * SUPER < n; ++b, y += 210) {
        const float *xb = x + b * SUPER, *sb = scale + 16 * b;
        float amax;
        const float max = largest_signed(sb, 16, &amax);
        if (amax < TINY) {
            memset(y, 0, 210);
            continue;
        }
        const float to_scale = -128.f / max;
        put_half(y + 208, 1.f / to_scale);
        const float df = get_half(y + 208);
        for (int j = 0; j < 16; ++j) {
            const int s = nearest_int(to_scale * sb[j]);
            const int8_t stored = (int8_t)(s < 127 ? s : 127);
            memcpy(y + 192 + j, &stored, 1);
            const float d = df * (float)stored;
            if (d != 0) requantize(xb + 16 * j, 16, 0.f, d, -32, 31, l + 16 * j);
            else level_of_scale(xb + 16 * j, 16, 32, inverse[16 * b + j], flat[16 * b + j], l + 16 * j);
        }
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const uint8_t* p = l + 128 * half + i;
                y[64 * half + i] = (uint8_t)((p[0] & 15) | (p[64] & 15) << 4);
                y[64 * half + 32 + i] = (uint8_t)((p[32] & 15) | (p[96] & 15) << 4);
                y[128 + 32 * half + i] = (uint8_t)(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 | p[96] >> 4 << 6);
            }
    }
}

static void quantize_q3_k(const float* x, int n, uint8_t* y, const float* w) {
    alignas(64) float scale[SUBS], inverse[SUBS], weight[SUBS], levels[16 * SUBS], weights[BATCH];
    alignas(64) int32_t flat[SUBS];
    alignas(64) float block_d[LANES], block_inverse[LANES];
    alignas(64) int32_t block_flat[LANES];
    uint8_t l[SUPER];
    if (w) {
        float sums[LANES];
        memset(scale, 0, sizeof scale);
        memset(weight, 0, sizeof weight);
        square_sums(x, n / SUPER, SUPER, sums);
        for (int i = 0; i < n; i += SUPER) importances(x + i, w + i, 2.f * sums[i / SUPER] / SUPER, SUPER, weights + i);
        memset(weights + n, 0, (size_t)(BATCH - n) * 4);
    }
    for (int first = 0; first * 16 < n; first += LANES) {
        F xs[16], ws[16];
        load_lanes<16>(x + first * 16, 16, xs);
        if (w) {
            Scale fit;
            load_lanes<16>(weights + first * 16, 16, ws);
            F sum = all(0.f);
            for (int i = 0; i < 16; ++i) sum = sum + ws[i];
            fit_scale<16, 4>(xs, ws, &fit);
            store(weight + first, sum);
            store(scale + first, fit.scale);
            store(inverse + first, fit.inverse);
            store(flat + first, fit.flat);
        } else {
            F ls[16], s;
            I f;
            fit_by_steps<16, 4>(xs, ls, &s, &f);
            store(scale + first, s);
            store(flat + first, f);
            memcpy(levels + first * 16, ls, sizeof ls);
        }
    }
    if (w) {
        F xs[16], ws[16];
        Scale fit;
        load_lanes<16>(scale, 16, xs);
        load_lanes<16>(weight, 16, ws);
        fit_scale<16, 32, true>(xs, ws, &fit);
        store(block_d, fit.scale);
        store(block_inverse, fit.inverse);
        store(block_flat, fit.flat);
    }
    for (int b = 0; b * SUPER < n; ++b, y += 110) {
        const float *xb = x + b * SUPER, *sb = scale + 16 * b;
        uint8_t s[16];
        float d_block = 0;
        if (w) {
            level_of_scale(sb, 16, 32, block_inverse[b], block_flat[b], s);
            d_block = block_d[b];
        } else {
            float amax;
            const float max = largest_signed(sb, 16, &amax);
            const float to_scale = -32.f / max;
            for (int j = 0; j < 16; ++j) {
                const int8_t byte = max != 0 ? (int8_t)nearest_int(to_scale * sb[j]) : -32;
                s[j] = (uint8_t)(clamp(byte, -32, 31) + 32);
            }
            if (max != 0) d_block = 1.f / to_scale;
        }
        put_half(y + 108, d_block);
        const float df = get_half(y + 108);
        for (int j = 0; j < 8; ++j) y[96 + j] = (uint8_t)((s[j] & 15) | (s[j + 8] & 15) << 4);
        for (int j = 0; j < 4; ++j)
            y[104 + j] = (uint8_t)(s[j] >> 4 | s[j + 4] >> 4 << 2 | s[j + 8] >> 4 << 4 | s[j + 12] >> 4 << 6);
        for (int j = 0; j < 16; ++j) {
            const float d = df * (float)((int)s[j] - 32);
            const int sub = 16 * b + j;
            uint8_t* lj = l + 16 * j;
            if (d != 0) requantize(xb + 16 * j, 16, 0.f, d, -4, 3, lj);
            else if (w || flat[sub]) level_of_scale(xb + 16 * j, 16, 4, w ? inverse[sub] : 0, flat[sub], lj);
            else
                for (int i = 0; i < 16; ++i)
                    lj[i] = (uint8_t)(levels[(sub / LANES * 16 + i) * LANES + sub % LANES] + 4.f);
        }
        for (int i = 0; i < 32; ++i) {
            int high = 0;
            for (int g = 0; g < 8; ++g) high |= (l[32 * g + i] >> 2 & 1) << g;
            y[i] = (uint8_t)high;
        }
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const uint8_t* p = l + 128 * half + i;
                y[32 + 32 * half + i] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 | (p[96] & 3) << 6);
            }
    }
}

// Scales of all 32-element blocks of a batch; sums of squares for the importances run over `length` elements.
INLINE void iq4_scales(const float* x, int n, const float* w, int length, float* scale) {
    alignas(64) float weights[BATCH];
    if (w) {
        float sums[BATCH / 32];
        square_sums(x, n / length, length, sums);
        for (int i = 0; i < n; i += length)
            importances(x + i, w + i, sums[i / length] * (2.f / (float)length), length, weights + i);
        memset(weights + n, 0, (size_t)(BATCH - n) * 4);
    }
    for (int first = 0; first * 32 < n; first += LANES) {
        F xs[32], ws[32], s;
        load_lanes<32>(x + first * 32, 32, xs);
        if (w) load_lanes<32>(weights + first * 32, 32, ws);
        if (w) fit_iq4(xs, ws, &s);
        else fit_iq4(xs, nullptr, &s);
        store(scale + first, s);
    }
}

INLINE void put_iq4_levels(const float* x, float inverse, uint8_t* q) {
    uint8_t l[32];
    for (int i = 0; i < 32; ++i) l[i] = iq4_index(inverse * x[i]);
    for (int i = 0; i < 16; ++i) q[i] = (uint8_t)(l[i] | l[i + 16] << 4);
}

static void quantize_iq4_nl(const float* x, int n, uint8_t* y, const float* w) {
    alignas(64) float scale[BATCH / 32];
    iq4_scales(x, n, w, 32, scale);
    for (int b = 0; b * 32 < n; ++b, y += 18) {
        put_half(y, scale[b]);
        put_iq4_levels(x + 32 * b, scale[b] != 0 ? 1.f / scale[b] : 0.f, y + 2);
    }
}

static void quantize_iq4_xs(const float* x, int n, uint8_t* y, const float* w) {
    alignas(64) float scale[BATCH / 32];
    iq4_scales(x, n, w, SUPER, scale);
    for (int b = 0; b * SUPER < n; ++b, y += 136) {
        float amax;
        const float d = -largest_signed(scale + 8 * b, 8, &amax) / 32.f, inverse = d != 0 ? 1.f / d : 0.f;
        uint32_t high = 0;
        put_half(y, d);
        memset(y + 4, 0, 4);
        for (int j = 0; j < 8; ++j) {
            const int s = clamp(nearest_int(inverse * scale[8 * b + j]), -32, 31);
            const float size = d * (float)s;
            put_iq4_levels(x + b * SUPER + 32 * j, size != 0 ? 1.f / size : 0.f, y + 8 + 16 * j);
            y[4 + j / 2] = (uint8_t)(y[4 + j / 2] | ((s + 32) & 15) << 4 * (j % 2));
            high |= (uint32_t)((s + 32) >> 4) << 2 * j;
        }
        put_u16(y + 2, (uint16_t)high);
    }
}

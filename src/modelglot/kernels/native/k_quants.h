// Super-blocks of 256 with scales and minimums: Q2_K, Q4_K, Q5_K.
#pragma once
#include "batch.h"
#include "search_min.h"
#include "search_scale.h"

// What the search left of a batch, sub-block by sub-block.
template <int N> struct MinFits {
    static constexpr int PER = SUPER / N, COUNT = LANES * PER;
    alignas(64) float scale[COUNT], minus[COUNT], inverse[COUNT], offset[COUNT], weight[COUNT];
    alignas(64) int32_t flat[COUNT], later[COUNT];
};

// N elements a sub-block; ROOT: weights are rms + |x|, else |x| (where there are no importances).
template <int N, int NMAX, bool MAD, bool ROOT>
INLINE void min_fits(const float* x, int n, const float* w, float rmin, int steps, float sigma, MinFits<N>* fits) {
    alignas(64) float weights[BATCH];
    if (n < BATCH) memset((void*)fits, 0, sizeof *fits);
    if (w) {
        float sums[LANES];
        square_sums(x, (n + SUPER - 1) / SUPER, SUPER, sums);
        for (int i = 0; i < n; i += SUPER)
            importances(x + i, w + i, sigma * sums[i / SUPER] / SUPER, SUPER, weights + i);
        memset(weights + n, 0, (size_t)(BATCH - n) * 4);
    }
    for (int first = 0; first * N < n; first += LANES) {
        F xs[N], ws[N];
        Fit fit;
        load_lanes<N>(x + first * N, N, xs);
        if (w) {
            load_lanes<N>(weights + first * N, N, ws);
            F sum = all(0.f);
            for (int i = 0; i < N; ++i) sum = sum + ws[i];
            store(fits->weight + first, sum);
            fit_min<N, NMAX, false, true>(xs, ws, -0.9f, 0.05f, 36, &fit);
        } else {
            F sum = all(0.f);
            if (ROOT) {
                for (int i = 0; i < N; ++i) sum = sum + xs[i] * xs[i];
                sum = root(sum / all((float)N));
            }
            for (int i = 0; i < N; ++i) ws[i] = ROOT ? sum + absolute(xs[i]) : absolute(xs[i]);
            fit_min<N, NMAX, MAD, false>(xs, ws, rmin, 0.1f, steps, &fit);
        }
        store(fits->scale + first, fit.scale);
        store(fits->minus + first, fit.minus);
        store(fits->inverse + first, fit.inverse);
        store(fits->offset + first, fit.offset);
        store(fits->flat + first, fit.flat);
        store(fits->later + first, fit.later);
    }
}

// Bytes for `values` (scales or minimums) of all super-blocks; size[] becomes what multiplies them.
template <int N>
INLINE void scales_by_importance(const float* values, const float* w, int nmax, uint8_t* bytes, float* size) {
    constexpr int PER = SUPER / N;
    F x[PER], ws[PER];
    I l[PER];
    load_lanes<PER>(values, PER, x);
    load_lanes<PER>(w, PER, ws);
    store(size, fit_scales<PER>(x, ws, nmax, l));
    alignas(64) int32_t out[PER][LANES];
    for (int j = 0; j < PER; ++j) store(out[j], l[j]);
    for (int k = 0; k < LANES; ++k)
        for (int j = 0; j < PER; ++j) bytes[k * PER + j] = (uint8_t)out[j][k];
}

template <int N> INLINE void min_levels(
    const float* x, const MinFits<N>* fits, int j, int nmax, bool weighted, float d, float dm, uint8_t* l) {
    if (d != 0) requantize(x, N, dm, d, 0, nmax, l);  // also for NaN
    else if (fits->flat[j]) memset(l, 0, N);
    else levels_of(x, N, nmax, weighted && fits->later[j], fits->inverse[j], fits->offset[j], l);
}

// The largest of n non-negative numbers, 0 for none.
INLINE float largest(const float* x, int n) {
    float max = 0;
    for (int i = 0; i < n; ++i) if (x[i] > max) max = x[i];
    return max;
}

static void quantize_q2_k(const float* x, int n, uint8_t* y, const float* w) {
    MinFits<16> fits;
    uint8_t ls[LANES * 16], lm[LANES * 16], l[SUPER];
    float d[LANES], m[LANES];
    min_fits<16, 3, true, false>(x, n, w, -0.5f, 15, 1.f, &fits);
    if (w) {
        scales_by_importance<16>(fits.scale, fits.weight, 15, ls, d);
        scales_by_importance<16>(fits.minus, fits.weight, 15, lm, m);
    }
    for (int b = 0; b * SUPER < n; ++b, y += 84) {
        const float* xb = x + b * SUPER;
        if (w) {
            for (int j = 0; j < 16; ++j) y[j] = (uint8_t)(ls[16 * b + j] | lm[16 * b + j] << 4);
        } else {
            const float *scale = fits.scale + 16 * b, *minus = fits.minus + 16 * b;
            const float top = largest(scale, 16), low = largest(minus, 16);
            const float to_scale = 15.f / top, to_min = 15.f / low;
            for (int j = 0; j < 16; ++j) {
                const int s = top > 0 ? nearest_int(to_scale * scale[j]) : 0;
                const int t = low > 0 ? nearest_int(to_min * minus[j]) : 0;
                y[j] = (uint8_t)((uint32_t)s | (uint32_t)t << 4);
            }
            d[b] = top > 0 ? top / 15.f : 0.f;
            m[b] = low > 0 ? low / 15.f : 0.f;
        }
        put_half(y + 80, d[b]);
        put_half(y + 82, m[b]);
        const float df = get_half(y + 80), mf = get_half(y + 82);
        for (int j = 0; j < 16; ++j) {
            const float dj = df * (float)(y[j] & 15), mj = mf * (float)(y[j] >> 4);
            min_levels<16>(xb + 16 * j, &fits, 16 * b + j, 3, w, dj, mj, l + 16 * j);
        }
        for (int half = 0; half < 2; ++half)
            for (int i = 0; i < 32; ++i) {
                const uint8_t* p = l + 128 * half + i;
                y[16 + 32 * half + i] = (uint8_t)(p[0] | p[32] << 2 | p[64] << 4 | p[96] << 6);
            }
    }
}

// The 12 bytes of eight 6-bit scales and eight 6-bit minimums.
INLINE void put_k4_scales(uint8_t* q, const uint8_t* ls, const uint8_t* lm) {
    for (int j = 0; j < 4; ++j) {
        q[j] = (uint8_t)(ls[j] | ls[j + 4] >> 4 << 6);
        q[j + 4] = (uint8_t)(lm[j] | lm[j + 4] >> 4 << 6);
        q[j + 8] = (uint8_t)((ls[j + 4] & 15) | (lm[j + 4] & 15) << 4);
    }
}

INLINE void get_k4_scales(const uint8_t* q, uint8_t* ls, uint8_t* lm) {
    for (int j = 0; j < 4; ++j) {
        ls[j] = q[j] & 63;
        lm[j] = q[j + 4] & 63;
        ls[j + 4] = (uint8_t)((q[j + 8] & 15) | q[j] >> 6 << 4);
        lm[j + 4] = (uint8_t)(q[j + 8] >> 4 | q[j + 4] >> 6 << 4);
    }
}

// Q4_K (FIVE false) and Q5_K differ in the number of levels, the steps of the search and a bit plane.
template <bool FIVE> INLINE void quantize_k45(const float* x, int n, uint8_t* y, const float* w) {
    constexpr int NMAX = FIVE ? 31 : 15, BYTES = FIVE ? 176 : 144;
    MinFits<32> fits;
    uint8_t ls[LANES * 8], lm[LANES * 8], l[SUPER];
    float d[LANES], m[LANES];
    min_fits<32, NMAX, false, true>(x, n, w, FIVE ? -0.5f : -1.f, FIVE ? 15 : 20, 2.f, &fits);
    if (w) {
        scales_by_importance<32>(fits.scale, fits.weight, 63, ls, d);
        scales_by_importance<32>(fits.minus, fits.weight, 63, lm, m);
    }
    for (int b = 0; b * SUPER < n; ++b, y += BYTES) {
        uint8_t *s = ls + 8 * b, *t = lm + 8 * b;
        if (w && FIVE) {
            for (int j = 0; j < 8; ++j) {
                if (s[j] > 63) s[j] = 63;
                if (t[j] > 63) t[j] = 63;
            }
        }
        if (!w) {
            const float top = largest(fits.scale + 8 * b, 8), low = largest(fits.minus + 8 * b, 8);
            const float to_scale = top > 0 ? 63.f / top : 0.f, to_min = low > 0 ? 63.f / low : 0.f;
            for (int j = 0; j < 8; ++j) {
                s[j] = (uint8_t)nearest_int(to_scale * fits.scale[8 * b + j]);
                t[j] = (uint8_t)nearest_int(to_min * fits.minus[8 * b + j]);
                if (s[j] > 63) s[j] = 63;
                if (t[j] > 63) t[j] = 63;
            }
            d[b] = top / 63.f;
            m[b] = low / 63.f;
        }
        put_half(y, d[b]);
        put_half(y + 2, m[b]);
        put_k4_scales(y + 4, s, t);
        get_k4_scales(y + 4, s, t);
        const float df = get_half(y), mf = get_half(y + 2);
        for (int j = 0; j < 8; ++j) {
            const float* xj = x + b * SUPER + 32 * j;
            const float dj = df * (float)s[j], mj = mf * (float)t[j];
            min_levels<32>(xj, &fits, 8 * b + j, NMAX, w, dj, mj, l + 32 * j);
        }
        uint8_t *qs = y + (FIVE ? 48 : 16), *qh = y + 16;
        for (int g = 0; g < 4; ++g)
            for (int i = 0; i < 32; ++i) qs[32 * g + i] = (uint8_t)((l[64 * g + i] & 15) | l[64 * g + 32 + i] << 4);
        if (FIVE)
            for (int i = 0; i < 32; ++i) {
                int high = 0;
                for (int g = 0; g < 8; ++g) high |= (l[32 * g + i] >> 4) << g;
                qh[i] = (uint8_t)high;
            }
    }
}

static void quantize_q4_k(const float* x, int n, uint8_t* y, const float* w) { quantize_k45<false>(x, n, y, w); }
static void quantize_q5_k(const float* x, int n, uint8_t* y, const float* w) { quantize_k45<true>(x, n, y, w); }

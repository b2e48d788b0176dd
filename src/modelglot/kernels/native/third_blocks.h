// IQ1_S and IQ1_M blocks: the cut in three, the nearest points of the codebook, and where the bits go.
#pragma once
#include "codebook.h"
#include "search_thirds.h"

// What a sub-block became. moved: a bit for each group of eight, set where it is moved down.
template <int GROUPS> struct Thirds { float scale; int index[GROUPS], moved; bool none; };

// The numbers a group's levels stand for, and for look-ups with the level in two bits.
INLINE void level_values(bool down, float scale, float* values) {
    for (int l = 0; l < 3; ++l) values[l] = scale * (down ? DOWN[l] : UP[l]);
    values[3] = 0;
}

// sums += (w * q) * x and (w * q) * q for a group of eight whose levels are `key`, each level times `factor`.
INLINE void add_group(
    const float* x, const float* w, int stride, int key, bool down, float factor, float* qx, float* q2) {
    for (int i = 0; i < 8; ++i) {
        const int level = key >> 2 * i & 3;
        const float q = (down ? DOWN[level] : UP[level]) * factor, wq = w[i * stride] * q;
        *qx += wq * x[i * stride];
        *q2 += wq * q;
    }
}

// One lane: its cut becomes points of the codebook.
template <int SUB>
INLINE void settle(
    const float* x, const float* w, const int32_t* index, int first, int second, float scale, int moved,
    const Codebook* book, Thirds<SUB / 8>* out) {
    constexpr int GROUPS = SUB / 8;
    const bool turned = scale < 0;
    int keys[GROUPS] = {};
    for (int j = 0; j < SUB; ++j) {
        const int level = (j >= first) + (j >= second), at = index[j * LANES];
        keys[at / 8] |= (turned ? 2 - level : level) << 2 * (at % 8);
    }
    if (turned) {
        scale = -scale;
        moved ^= (1 << GROUPS) - 1;
    }
    bool all_points = true;
    for (int k = 0; k < GROUPS; ++k) {
        const Near near = book->near[keys[k]];
        if (!near.count) continue;
        all_points = false;
        float values[4];
        level_values(moved >> k & 1, scale, values);
        keys[k] = nearest_point<2>(book, near, values, x + 8 * k * LANES, w + 8 * k * LANES);
    }
    if (!all_points) {
        float qx = 0, q2 = 0;
        for (int k = 0; k < GROUPS; ++k)
            add_group(x + 8 * k * LANES, w + 8 * k * LANES, LANES, keys[k], moved >> k & 1, 1.f, &qx, &q2);
        if (qx > 0 && q2 > 0) scale = qx / q2;
    }
    for (int k = 0; k < GROUPS; ++k) out->index[k] = book->near[keys[k]].index;
    out->scale = scale;
    out->moved = moved;
}

// LANES sub-blocks of 32 (IQ1_S) or 16 (IQ1_M).
template <int SUB>
__attribute__((noinline)) void fit_thirds(
    const float* rows, const float* weights, float smallest, const Codebook* book, Thirds<SUB / 8>* out) {
    F x[SUB], w[SUB], sorted[SUB], sorted_w[SUB];
    I index[SUB];
    load_lanes<SUB>(rows, SUB, x);
    load_lanes<SUB>(weights, SUB, w);
    F max = absolute(x[0]);
    for (int i = 0; i < SUB; ++i) {
        sorted[i] = x[i];
        max = greater(max, absolute(x[i]));
    }
    sort_lanes<SUB>(sorted, index);
    for (int i = 0; i < SUB; ++i) sorted_w[i] = picked(w, index[i]), sorted[i] = picked(x, index[i]);
    Cut cut = {max, all_int(0), all_int(0), all_int(0), all_int(-1)};
    if (any(max >= all(smallest))) {
        if constexpr (SUB == 32) cut_whole(sorted, sorted_w, &cut);
        else cut_halves(sorted, sorted_w, index, &cut);
    }
    const I none = cut.none | (max < all(smallest));
    for (int lane = 0; lane < LANES; ++lane) {
        out[lane] = {};
        out[lane].none = ((const int32_t*)&none)[lane];
        if (out[lane].none) continue;
        const int own = ((const int32_t*)&cut.moved)[lane];
        const int moved = SUB == 32 ? (own < 0 ? 15 : 0) : (own >> 1 | (own & 1) << 1);
        settle<SUB>((const float*)x + lane, (const float*)w + lane, (const int32_t*)index + lane,
                    ((const int32_t*)&cut.first)[lane], ((const int32_t*)&cut.second)[lane],
                    ((const float*)&cut.scale)[lane], moved, book, out + lane);
    }
}

INLINE void third_weights(const float* x, const float* given, float* w) {
    float sums[LANES];
    square_sums(x, LANES, SUPER, sums);
    for (int b = 0; b < LANES; ++b, x += SUPER, w += SUPER) {
        if (given) importances(x, given + b * SUPER, 2 * sums[b] / SUPER, SUPER, w);
        else for (int i = 0; i < SUPER; ++i) w[i] = x[i] * x[i];
    }
}

static void write_iq1_s(const Thirds<4>* subs, uint8_t* y) {
    float max = 0;
    int high[8] = {};
    for (int s = 0; s < 8; ++s) {
        if (subs[s].none) continue;
        max = max > subs[s].scale ? max : subs[s].scale;
        for (int k = 0; k < 4; ++k) {
            y[2 + 4 * s + k] = (uint8_t)subs[s].index[k];
            high[s] |= subs[s].index[k] >> 8 << 3 * k;
        }
    }
    const float d = max / 15, inverse = 1 / d;
    if (max) put_half(y, d * 1.125f);
    for (int s = 0; s < 8; ++s) {
        if (max) {
            high[s] |= clamp(nearest_int(0.5f * (inverse * subs[s].scale - 1)), 0, 7) << 12;
            if (subs[s].moved) high[s] |= 0x8000;
        }
        put_u16(y + 34 + 2 * s, (uint16_t)high[s]);
    }
}

static void write_iq1_m(const Thirds<2>* subs, const float* x, const float* w, uint8_t* y, const Codebook* book) {
    float max = 0, qx = 0, q2 = 0;
    for (int s = 0; s < 16; ++s) {
        if (subs[s].none) continue;
        max = max > subs[s].scale ? max : subs[s].scale;
        y[2 * s] = (uint8_t)subs[s].index[0];
        y[2 * s + 1] = (uint8_t)subs[s].index[1];
        y[32 + s] = (uint8_t)(subs[s].index[0] >> 8 | subs[s].index[1] >> 8 << 4);
    }
    if (!max) return;
    float d = max / 15;
    const float inverse = 1 / d;
    int packed[4] = {};
    for (int s = 0; s < 16; ++s, x += 16, w += 16) {
        const int scale = clamp(nearest_int(0.5f * (inverse * subs[s].scale - 1)), 0, 7);
        packed[s / 4] |= scale << 3 * (s % 4);
        y[32 + s] = (uint8_t)(y[32 + s] | (subs[s].moved & 1) << 3 | (subs[s].moved & 2) << 6);
        for (int k = 0; k < 2; ++k)
            add_group(x + 8 * k, w + 8 * k, 1, book->keys[subs[s].index[k]], subs[s].moved >> k & 1,
                      (float)(2 * scale + 1), &qx, &q2);
    }
    if (q2 > 0) d = qx / q2;
    const int half = half_of(d * 1.1125f);
    for (int i = 0; i < 4; ++i) put_u16(y + 48 + 2 * i, (uint16_t)(packed[i] | (half >> 4 * i & 15) << 12));
}

static void quantize_iq1_s(const float* x, int n, uint8_t* y, const float* given) {
    alignas(64) float w[BATCH];
    Thirds<4> subs[LANES * 8];
    const Codebook* book = codebook_iq1_s();
    third_weights(x, given, w);
    memset(y, 0, (size_t)(n / SUPER * 50));
    for (int s = 0; s < n / 32; s += LANES) fit_thirds<32>(x + s * 32, w + s * 32, 1e-12f, book, subs + s);
    for (int b = 0; b < n / SUPER; ++b) write_iq1_s(subs + 8 * b, y + 50 * b);
}

static void quantize_iq1_m(const float* x, int n, uint8_t* y, const float* given) {
    alignas(64) float w[BATCH];
    Thirds<2> subs[LANES * 16];
    const Codebook* book = codebook_iq1_s();
    third_weights(x, given, w);
    memset(y, 0, (size_t)(n / SUPER * 56));
    for (int s = 0; s < n / 16; s += LANES) fit_thirds<16>(x + s * 16, w + s * 16, 1e-7f, book, subs + s);
    for (int b = 0; b < n / SUPER; ++b)
        write_iq1_m(subs + 16 * b, x + SUPER * b, w + SUPER * b, y + 56 * b, book);
}

// Searches of IQ1: sorted numbers are cut in three, and the thirds are -1, 0 and 1, all moved an eighth up or down.
#pragma once
#include "batch.h"
#include "search_scale.h"

constexpr float UP[3] = {-0.875f, 0.125f, 1.125f}, DOWN[3] = {-1.125f, -0.125f, 0.875f};

// The winning cut: sorted numbers before `first` are -1, from `second` on 1. `moved`: IQ1_S 1 up, -1 down; IQ1_M a bit
// for each half, set where it is moved down: 2 for the first. `none`: no cut at all fits.
struct Cut { F scale; I first, second, moved, none; };

// Numbers in order, equal ones as they come; index says where each was. A network of Batcher's: merges of odd and even.
template <int N> INLINE void sort_lanes(F* x, I* index) {
    for (int i = 0; i < N; ++i) index[i] = all_int(i);
    for (int p = 1; p < N; p *= 2)
        for (int k = p; k >= 1; k /= 2)
            for (int j = k % p; j + k < N; j += 2 * k)
                for (int i = 0; i < k && i + j + k < N; ++i) {
                    const int a = i + j, b = i + j + k;
                    if (a / (2 * p) != b / (2 * p)) continue;
                    const I swap = (x[a] > x[b]) | ((x[a] == x[b]) & (index[a] > index[b]));
                    const F low = select(swap, x[b], x[a]);
                    const I first = select(swap, index[b], index[a]);
                    x[b] = select(swap, x[a], x[b]);
                    index[b] = select(swap, index[a], index[b]);
                    x[a] = low;
                    index[a] = first;
                }
}

// sorted[j] = x[index[j]], lane by lane
INLINE F picked(const F* x, I index) {
    alignas(64) int32_t at[LANES];
    alignas(64) float found[LANES];
    store(at, index);
    for (int lane = 0; lane < LANES; ++lane) found[lane] = ((const float*)x)[at[lane] * LANES + lane];
    return load(found);
}

// One try: better where qx * qx / q2 grows.
INLINE void try_cut(F qx, F q2, F* best, int first, int second, int moved, Cut* cut) {
    const I better = (q2 > all(0.f)) & (qx * qx > *best * q2);
    if (!any(better)) return;
    cut->scale = select(better, qx / q2, cut->scale);
    *best = select(better, cut->scale * qx, *best);
    cut->first = select(better, all_int(first), cut->first);
    cut->second = select(better, all_int(second), cut->second);
    cut->moved = select(better, all_int(moved), cut->moved);
    cut->none = cut->none & ~better;
}

// IQ1_S: 32 numbers and their weights, in order.
__attribute__((noinline)) static void cut_whole(const F* x, const F* w, Cut* cut) {
    constexpr int N = 32;
    F sx[N + 1], sw[N + 1], upper_x[N + 1][2], upper_w[N + 1][2];
    sx[0] = sw[0] = all(0.f);
    for (int j = 0; j < N; ++j) {
        sx[j + 1] = sx[j] + w[j] * x[j];
        sw[j + 1] = sw[j] + w[j];
    }
    for (int j = 0; j <= N; ++j) {
        const F rest_x = sx[N] - sx[j], rest_w = sw[N] - sw[j];
        upper_x[j][0] = rest_x * all(UP[2]);
        upper_x[j][1] = rest_x * all(DOWN[2]);
        upper_w[j][0] = rest_w * all(UP[2]) * all(UP[2]);
        upper_w[j][1] = rest_w * all(DOWN[2]) * all(DOWN[2]);
    }
    F best = all(-FLT_MAX);
    for (int first = 0; first <= N; ++first) {
        const F up_x = sx[first] * all(UP[0]), down_x = sx[first] * all(DOWN[0]);
        const F up_w = sw[first] * all(UP[0]) * all(UP[0]), down_w = sw[first] * all(DOWN[0]) * all(DOWN[0]);
        for (int second = first; second <= N; ++second) {
            const F x1 = (sx[second] - sx[first]) * all(UP[1]);
            const F w1 = (sw[second] - sw[first]) * all(UP[1]) * all(UP[1]);
            try_cut(up_x + x1 + upper_x[second][0], up_w + w1 + upper_w[second][0], &best, first, second, 1, cut);
            try_cut(down_x - x1 + upper_x[second][1], down_w + w1 + upper_w[second][1], &best, first, second, -1, cut);
        }
    }
}

// IQ1_M: 16 numbers, their weights and where they were, in order; each eight is moved by itself.
__attribute__((noinline)) static void cut_halves(const F* x, const F* w, const I* index, Cut* cut) {
    constexpr int N = 16;
    const F zero = all(0.f);
    F sx[2][N + 1], sw[2][N + 1];
    sx[0][0] = sx[1][0] = sw[0][0] = sw[1][0] = zero;
    for (int j = 0; j < N; ++j) {
        const I own = index[j] < all_int(8);
        const F wx = w[j] * x[j];
        sx[0][j + 1] = select(own, sx[0][j] + wx, sx[0][j]);
        sx[1][j + 1] = select(own, sx[1][j], sx[1][j] + wx);
        sw[0][j + 1] = select(own, sw[0][j] + w[j], sw[0][j]);
        sw[1][j + 1] = select(own, sw[1][j], sw[1][j] + w[j]);
    }
    F top_x[2][2], top_w[2][2];  // a half all 1, moved up or down
    for (int h = 0; h < 2; ++h) {
        top_x[h][0] = sx[h][N] * all(UP[2]);
        top_x[h][1] = sx[h][N] * all(DOWN[2]);
        top_w[h][0] = sw[h][N] * all(UP[2]) * all(UP[2]);
        top_w[h][1] = sw[h][N] * all(DOWN[2]) * all(DOWN[2]);
    }
    F best = all(-FLT_MAX);
    for (int first = 0; first <= N; ++first)
        for (int second = first; second <= N; ++second) {
            F qx[2][2], q2[2][2];
            for (int h = 0; h < 2; ++h) {
                const F both = sx[h][first] + sx[h][second];
                qx[h][0] = top_x[h][0] - both;
                qx[h][1] = top_x[h][1] - both;
                q2[h][0] = top_w[h][0] + sw[h][first] * all(0.75f) + sw[h][second] * all(-1.25f);
                q2[h][1] = top_w[h][1] + sw[h][first] * all(1.25f) + sw[h][second] * all(-0.75f);
            }
            for (int moved = 0; moved < 4; ++moved)
                try_cut(qx[0][moved / 2] + qx[1][moved % 2], q2[0][moved / 2] + q2[1][moved % 2], &best, first, second,
                        moved, cut);
        }
}

// The sixteen uneven levels of IQ4_NL and IQ4_XS, and the search for their scale.
#pragma once
#include "search_scale.h"

static const int8_t IQ4_LEVELS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

INLINE float iq4_border(int i) { return (float)(IQ4_LEVELS[i] + IQ4_LEVELS[i + 1]); }  // twice the middle of i, i + 1

// Index of the nearest level; the upper one from the middle on; the last for NaN.
INLINE uint8_t iq4_index(float x) {
    const float twice = x + x;
    int index = 15;
    for (int i = 0; i < 15; ++i) index -= twice < iq4_border(i);
    return (uint8_t)index;
}

#if defined(__AVX512F__)
struct Iq4Table {  // a register holds all levels: four halvings, each one look-up
    vf level, border[4];
    Iq4Table() {
        for (int i = 0; i < 16; ++i) level[i] = IQ4_LEVELS[i];
        for (int step = 8, k = 0; step; step >>= 1, ++k)
            for (int i = 0; i < 16; ++i) border[k][i] = i + step <= 15 ? iq4_border(i + step - 1) : 0;
    }
    INLINE_MEMBER vf find(vf x) const {
        const vf twice = x + x;
        vi index = {};
        for (int step = 8, k = 0; step; step >>= 1, ++k) {
            vf edge = (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)border[k]);
            index |= twice >= edge ? step - vi{} : vi{};
        }
        return (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)level);
    }
};
#elif defined(__AVX2__)
struct Iq4Table {  // eight entries a register: three halvings, then even or odd
    vf first, second[2], third, fourth, even, odd;
    Iq4Table() {
        for (int i = 0; i < 8; ++i) {
            first[i] = iq4_border(7);
            second[0][i] = iq4_border(3);
            second[1][i] = iq4_border(11);
            third[i] = iq4_border(4 * (i & 3) + 1);
            fourth[i] = iq4_border(2 * i);
            even[i] = IQ4_LEVELS[2 * i];
            odd[i] = IQ4_LEVELS[2 * i + 1];
        }
    }
    INLINE_MEMBER vf find(vf x) const {
        const vf twice = x + x;
        const vi c1 = twice >= first;
        const vi c2 = twice >= (c1 ? second[1] : second[0]);
        const vi two = (c1 & 2) - c2;  // 0..3
        const vi c3 = twice >= (vf)_mm256_permutevar_ps((__m256)third, (__m256i)two);
        const vi three = two + two - c3;  // 0..7
        const vi c4 = twice >= (vf)_mm256_permutevar8x32_ps((__m256)fourth, (__m256i)three);
        const vf low = (vf)_mm256_permutevar8x32_ps((__m256)even, (__m256i)three);
        const vf high = (vf)_mm256_permutevar8x32_ps((__m256)odd, (__m256i)three);
        return c4 ? high : low;
    }
};
#else
struct Iq4Table {
    INLINE_MEMBER vf find(vf x) const {
        const vf twice = x + x, zero = {};
        vf level = zero + (float)IQ4_LEVELS[0];
        for (int i = 0; i < 15; ++i)
            level += twice >= zero + iq4_border(i) ? zero + (float)(IQ4_LEVELS[i + 1] - IQ4_LEVELS[i]) : zero;
        return level;
    }
};
#endif

// The scale of 32 numbers in every lane: a first guess and fifteen more, the best by weighted error.
__attribute__((noinline)) static void fit_iq4(const F* x, const F* w, F* scale_out) {
    const Iq4Table table;
    const F zero = all(0.f);
    F amax, max, ww[32];
    largest(x, 32, &amax, &max);
    const I flat = amax < all(TINY);
    const F divisor = select(flat, all(1.f), max);
    for (int i = 0; i < 32; ++i) ww[i] = w ? w[i] : x[i] * x[i];
    auto sums = [&](F inverse, F* qx, F* q2) __attribute__((always_inline)) {
        *qx = *q2 = zero;
        for (int i = 0; i < 32; ++i) {
            const F v = inverse * x[i], q = {table.find(v.a), table.find(v.b)}, wq = ww[i] * q;
            *qx = *qx + wq * x[i];
            *q2 = *q2 + wq * q;
        }
    };
    F qx, q2;
    sums(all(1.f) / (-divisor / all((float)IQ4_LEVELS[0])), &qx, &q2);
    F scale = select(q2 > zero, qx / q2, zero);
    F best = scale * qx;
    for (int step = -7; step <= 7; ++step) {
        sums(all((float)(step + IQ4_LEVELS[0])) / divisor, &qx, &q2);
        const I better = (q2 > zero) & (qx * qx > best * q2);
        const F found = qx / q2;
        scale = select(better, found, scale);
        best = select(better, found * qx, best);
    }
    *scale_out = select(flat, zero, scale);
}

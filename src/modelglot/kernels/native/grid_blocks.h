// IQ2 and IQ3 blocks: weights, the search sub-block by sub-block, and where the bits go.
#pragma once
#include "search_grid.h"

// What a block type adds to its search. HALF: with importances, half the usual weight of the block's mean square;
// FACTOR: of the stored scale; CLEARED: a block whose scales are all 0 is all 0.
#define GRID_TYPE(NAME, SEARCH_, BYTES_, HALF_, FACTOR_, CLEARED_)                                                    \
    struct NAME : SEARCH_ {                                                                                           \
        static constexpr int BYTES = BYTES_;                                                                          \
        static constexpr bool HALF = HALF_, CLEARED = CLEARED_;                                                       \
        static constexpr float FACTOR = FACTOR_;                                                                      \
        static void put(uint8_t* y, int sub, int place, const int* index, const int* signs);                          \
        static void put_scale(uint8_t* y, int sub, int scale);                                                        \
    };
GRID_TYPE(Iq2Xxs, SearchIq2Xxs, 66, true, 1.f, true)
GRID_TYPE(Iq2Xs, SearchIq2Xs, 74, true, 1.f, true)
GRID_TYPE(Iq2S, SearchIq2S, 82, false, 0.9875f, false)
GRID_TYPE(Iq3Xxs, SearchIq3Xxs, 98, false, 1.0125f, true)
GRID_TYPE(Iq3S, SearchIq3S, 110, false, 1.033f, false)

INLINE void or_u32(uint8_t* p, uint32_t bits) { put_u32(p, get_u32(p) | bits); }
INLINE uint32_t four_signs(const int* signs) {
    return (uint32_t)(signs[0] | signs[1] << 7 | signs[2] << 14 | signs[3] << 21);
}
INLINE void put_nibble(uint8_t* p, int i, int value) { p[i / 2] = (uint8_t)(p[i / 2] | value << 4 * (i % 2)); }

inline void Iq2Xxs::put(uint8_t* y, int sub, int, const int* index, const int* signs) {
    for (int k = 0; k < 4; ++k) y[2 + 8 * sub + k] = (uint8_t)index[k];
    or_u32(y + 6 + 8 * sub, four_signs(signs));
}
inline void Iq2Xxs::put_scale(uint8_t* y, int sub, int scale) { or_u32(y + 6 + 8 * sub, (uint32_t)scale << 28); }

inline void Iq2Xs::put(uint8_t* y, int sub, int, const int* index, const int* signs) {
    for (int k = 0; k < 2; ++k) put_u16(y + 2 + 4 * sub + 2 * k, (uint16_t)(index[k] | signs[k] << 9));
}
inline void Iq2Xs::put_scale(uint8_t* y, int sub, int scale) { put_nibble(y + 66, sub, scale); }

inline void Iq2S::put(uint8_t* y, int sub, int, const int* index, const int* signs) {
    for (int k = 0, i = 2 * sub; k < 2; ++k, ++i) {
        y[2 + i] = (uint8_t)index[k];
        y[34 + i] = (uint8_t)signs[k];
        y[66 + i / 4] = (uint8_t)(y[66 + i / 4] | index[k] >> 8 << 2 * (i % 4));
    }
}
inline void Iq2S::put_scale(uint8_t* y, int sub, int scale) { put_nibble(y + 74, sub, scale); }

inline void Iq3Xxs::put(uint8_t* y, int sub, int, const int* index, const int* signs) {
    for (int k = 0; k < 8; ++k) y[2 + 8 * sub + k] = (uint8_t)index[k];
    or_u32(y + 66 + 4 * sub, four_signs(signs));
}
inline void Iq3Xxs::put_scale(uint8_t* y, int sub, int scale) { or_u32(y + 66 + 4 * sub, (uint32_t)scale << 28); }

// Sub-blocks of zeros leave no gap before what follows them: so it is in the reference.
inline void Iq3S::put(uint8_t* y, int sub, int place, const int* index, const int* signs) {
    for (int k = 0; k < 8; ++k) {
        y[2 + 8 * place + k] = (uint8_t)index[k];
        y[66 + sub] = (uint8_t)(y[66 + sub] | index[k] >> 8 << k);
    }
    for (int k = 0; k < 4; ++k) y[74 + 4 * place + k] = (uint8_t)signs[k];
}
inline void Iq3S::put_scale(uint8_t* y, int sub, int scale) { put_nibble(y + 106, sub, scale); }

// Weights of LANES super-blocks; without importances their squares, IQ2_S adds a quarter of the mean of twice them.
template <class T> INLINE void grid_weights(const float* x, const float* given, float* w) {
    float sums[LANES];
    square_sums(x, LANES, SUPER, sums);
    for (int b = 0; b < LANES; ++b, x += SUPER, w += SUPER) {
        const float mean = (T::HALF ? sums[b] : 2 * sums[b]) / SUPER;
        if (given) importances(x, given + b * SUPER, mean, SUPER, w);
        else if (T::BITS == 2) for (int i = 0; i < SUPER; ++i) w[i] = 0.25f * mean + x[i] * x[i];
        else for (int i = 0; i < SUPER; ++i) w[i] = x[i] * x[i];
    }
}

// The scales of a super-block in four bits each, as odd numbers, and the number they are counted in.
template <class T> INLINE void put_scales(const float* scales, uint8_t* y) {
    constexpr int SUBS = SUPER / T::SUB;
    float max = 0;
    for (int s = 0; s < SUBS; ++s) max = max > scales[s] ? max : scales[s];
    if (!max) {
        if (T::CLEARED) memset(y, 0, T::BYTES);
        return;
    }
    const float d = max / 31, inverse = 1 / d;
    put_half(y, d * T::FACTOR);
    for (int s = 0; s < SUBS; ++s) T::put_scale(y, s, clamp(nearest_int(0.5f * (inverse * scales[s] - 1)), 0, 15));
}

template <class T>
static void quantize_grid(const float* x, int n, uint8_t* y, const float* given, const Codebook* book) {
    constexpr int SUBS = SUPER / T::SUB;
    alignas(64) float w[BATCH], scales[LANES * SUBS];
    grid_weights<T>(x, given, w);
    memset(y, 0, (size_t)(n / SUPER * T::BYTES));
    int place = 0;  // of a sub-block among those of its super-block that are not all 0
    for (int first = 0; first < n / T::SUB; first += LANES) {
        Found<T> found;
        fit_grid<T>(x + first * T::SUB, w + first * T::SUB, book, &found);
        store(scales + first, found.scale);
        const int32_t *keys = (const int32_t*)found.keys, *signs = (const int32_t*)found.signs;
        const int32_t* flat = (const int32_t*)&found.flat;
        for (int lane = 0, sub = first; lane < LANES && sub < n / T::SUB; ++lane, ++sub) {
            if (sub % SUBS == 0) place = 0;
            if (flat[lane]) continue;
            int index[T::GROUPS], own[T::SUB / 8];
            const bool turned = scales[sub] < 0;
            if (turned) scales[sub] = -scales[sub];
            for (int k = 0; k < T::GROUPS; ++k) index[k] = book->near[keys[k * LANES + lane]].index;
            for (int k = 0; k < T::SUB / 8; ++k)
                own[k] = (turned ? ~signs[k * LANES + lane] : signs[k * LANES + lane]) & (T::EVEN ? 127 : 255);
            T::put(y + sub / SUBS * T::BYTES, sub % SUBS, place++, index, own);
        }
    }
    for (int b = 0; b < n / SUPER; ++b) put_scales<T>(scales + b * SUBS, y + b * T::BYTES);
}
#define GRID_QUANTIZER(name, T)                                                                                       \
    static void quantize_##name(const float* x, int n, uint8_t* y, const float* w) {                                  \
        quantize_grid<T>(x, n, y, w, codebook_##name());                                                              \
    }
GRID_QUANTIZER(iq2_xxs, Iq2Xxs) GRID_QUANTIZER(iq2_xs, Iq2Xs) GRID_QUANTIZER(iq2_s, Iq2S)
GRID_QUANTIZER(iq3_xxs, Iq3Xxs) GRID_QUANTIZER(iq3_s, Iq3S)

// Sixteen levels, a byte each, on their way to floats.
#pragma once
#include "scalar.h"

typedef uint8_t Levels __attribute__((vector_size(16)));

INLINE Levels load16(const uint8_t* p) { Levels v; memcpy(&v, p, 16); return v; }
INLINE Levels join(uint64_t low, uint64_t high) {
    typedef uint64_t pair __attribute__((vector_size(16)));
    return (Levels)(pair){low, high};
}
INLINE Levels same16(int byte) { return (uint8_t)byte - Levels{}; }

constexpr int WIDES = 16 / WIDTH;
struct Wide { vf v[WIDES]; };

// Sixteen bytes, taken as signed, as floats.
INLINE Wide wide(Levels l) {
    Wide w;
#if defined(__AVX512F__)
    w.v[0] = (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32((__m128i)l));
#elif defined(__AVX2__)
    w.v[0] = (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32((__m128i)l));
    w.v[1] = (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128((__m128i)l, 8)));
#elif defined(__SSE2__)
    const __m128i b = (__m128i)l;
    const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(b, b), 8), high = _mm_srai_epi16(_mm_unpackhi_epi8(b, b), 8);
    w.v[0] = (vf)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(low, low), 16));
    w.v[1] = (vf)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpackhi_epi16(low, low), 16));
    w.v[2] = (vf)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(high, high), 16));
    w.v[3] = (vf)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpackhi_epi16(high, high), 16));
#else
    for (int k = 0; k < WIDES; ++k)
        for (int i = 0; i < WIDTH; ++i) w.v[k][i] = (float)(int8_t)l[k * WIDTH + i];
#endif
    return w;
}

typedef float loose_store __attribute__((vector_size(WIDTH * 4), aligned(4)));
INLINE void put(float* x, int k, vf v) { *(loose_store*)(x + k * WIDTH) = v; }

INLINE void put_scaled(float* x, Levels l, float d) {
    const Wide w = wide(l);
    for (int k = 0; k < WIDES; ++k) put(x, k, w.v[k] * (d - vf{}));
}
INLINE void put_scaled_plus(float* x, Levels l, float d, float m) {
    const Wide w = wide(l);
    for (int k = 0; k < WIDES; ++k) put(x, k, w.v[k] * (d - vf{}) + (m - vf{}));
}
INLINE void put_scaled_minus(float* x, Levels l, float d, float m) {
    const Wide w = wide(l);
    for (int k = 0; k < WIDES; ++k) put(x, k, w.v[k] * (d - vf{}) - (m - vf{}));
}

// table[l] for l below 16
INLINE Levels looked_up(const int8_t* table, Levels l) {
#if defined(__SSSE3__)
    return (Levels)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)table), (__m128i)l);
#else
    Levels out;
    for (int i = 0; i < 16; ++i) out[i] = (uint8_t)table[l[i]];
    return out;
#endif
}

// Bit i of 16 as `value` in byte i.
INLINE Levels bit_bytes(uint32_t bits, int value) {
    const uint64_t all = 0x0101010101010101ull, each = 0x8040201008040201ull;
    const Levels found = join((bits & 255) * all & each, (bits >> 8 & 255) * all & each);
    return (Levels)(found != 0) & same16(value);
}

// Thirty-two numbers in registers: extremes, rounding, and packing to bytes and bits.
#pragma once
#include "batch.h"

constexpr int VECTORS = 32 / WIDTH;
struct Block { vf v[VECTORS]; };

typedef float loose __attribute__((vector_size(WIDTH * 4), aligned(4)));

INLINE Block load_block(const float* x) {  // vector by vector: a copied struct goes through the stack
    Block b;
    for (int i = 0; i < VECTORS; ++i) b.v[i] = *(const loose*)(x + i * WIDTH);
    return b;
}
INLINE vf spread(float x) { return x - vf{}; }
INLINE v4 greater4(v4 x, v4 y) {
#if defined(__SSE2__)
    return (v4)_mm_max_ps((__m128)x, (__m128)y);
#else
    return x > y ? x : y;
#endif
}

// The largest element. Of two zeros either.
INLINE float top_of(vf v) {
#if defined(__AVX512F__)
    v4 r = greater4(greater4((v4)_mm512_extractf32x4_ps((__m512)v, 0), (v4)_mm512_extractf32x4_ps((__m512)v, 1)),
                    greater4((v4)_mm512_extractf32x4_ps((__m512)v, 2), (v4)_mm512_extractf32x4_ps((__m512)v, 3)));
#elif defined(__AVX2__)
    v4 r = greater4((v4)_mm256_castps256_ps128((__m256)v), (v4)_mm256_extractf128_ps((__m256)v, 1));
#else
    v4 r;
    memcpy(&r, &v, 16);
#endif
    r = greater4(r, SHUFFLE4(r, r, 2, 3, 0, 1));
    r = greater4(r, SHUFFLE4(r, r, 1, 0, 3, 2));
    return r[0];
}

INLINE vf folded_top(const Block& b) {
    vf top = b.v[0];
    for (int i = 1; i < VECTORS; ++i) top = greater(top, b.v[i]);
    return top;
}
INLINE vf folded_bottom(const Block& b) {
    vf low = b.v[0];
    for (int i = 1; i < VECTORS; ++i) low = lesser(low, b.v[i]);
    return low;
}
INLINE vf magnitude(vf v) { return (vf)((vi)v & 0x7fffffff); }

// Truncation toward zero; what does not fit gives INT_MIN on x86, and its low byte, 0, is what counts.
INLINE vi truncated(vf v) {
#if defined(__SSE2__)
    return __builtin_convertvector(v, vi);
#else
    vi fits = (v >= spread(-2147483648.f)) & (v < spread(2147483648.f));
    return fits ? __builtin_convertvector(fits ? v : vf{}, vi) : INT32_MIN - vi{};
#endif
}

// Nearest, halves away from zero: adding the number just below a half never rounds up what should go down.
INLINE vi rounded_away(vf v) {
    const vi sign = (vi)v & INT32_MIN;
    return truncated(v + (vf)(sign | (vi)spread(0x1.fffffep-2f)));
}

// The low bytes of 32 integers.
INLINE void put_bytes(const vi* v, uint8_t* out) {
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i*)out, _mm512_cvtepi32_epi8((__m512i)v[0]));
    _mm_storeu_si128((__m128i*)out + 1, _mm512_cvtepi32_epi8((__m512i)v[1]));
#elif defined(__AVX2__)
    const __m256i ab = _mm256_packus_epi32((__m256i)(v[0] & 255), (__m256i)(v[1] & 255));
    const __m256i cd = _mm256_packus_epi32((__m256i)(v[2] & 255), (__m256i)(v[3] & 255));
    const __m256i all = _mm256_packus_epi16(ab, cd);  // dwords 0 2 4 6 of the low lanes, then of the high ones
    _mm256_storeu_si256((__m256i*)out, _mm256_permutevar8x32_epi32(all, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
#elif defined(__SSE2__)
    for (int i = 0; i < 2; ++i, v += 4) {
        const __m128i ab = _mm_packs_epi32((__m128i)(v[0] & 255), (__m128i)(v[1] & 255));
        const __m128i cd = _mm_packs_epi32((__m128i)(v[2] & 255), (__m128i)(v[3] & 255));
        _mm_storeu_si128((__m128i*)out + i, _mm_packus_epi16(ab, cd));
    }
#else
    for (int i = 0; i < VECTORS; ++i)
        for (int k = 0; k < WIDTH; ++k) *out++ = (uint8_t)v[i][k];
#endif
}

INLINE uint64_t get_u64(const uint8_t* p) { uint64_t u; memcpy(&u, p, 8); return u; }
INLINE void put_u64(uint8_t* p, uint64_t u) { memcpy(p, &u, 8); }

// Elements i and i + 16 of 32 four-bit levels share a byte.
INLINE void put_nibbles(const uint8_t* l, uint8_t* q) {
    const uint64_t mask = 0x0f0f0f0f0f0f0f0full;
    for (int i = 0; i < 16; i += 8) put_u64(q + i, (get_u64(l + i) & mask) | (get_u64(l + i + 16) & mask) << 4);
}

// Bit 4 of 32 levels, element i in bit i.
INLINE uint32_t fifth_bits(const uint8_t* l) {
    uint32_t bits = 0;
    for (int i = 0; i < 4; ++i)
        bits |= (uint32_t)((get_u64(l + 8 * i) >> 4 & 0x0101010101010101ull) * 0x0102040810204080ull >> 56) << 8 * i;
    return bits;
}

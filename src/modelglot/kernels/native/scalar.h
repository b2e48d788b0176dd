// Single numbers: half precision, rounding, bytes.
#pragma once
#include "lanes.h"

INLINE uint32_t bits_of(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
INLINE float float_of_bits(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

// Nearest, ties to even; overflow to infinity; every NaN becomes the quiet one.
INLINE uint16_t half_of(float x) {
#if defined(__F16C__)
    if (x == x) return _cvtss_sh(x, 0);
#endif
    uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (u >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000)  // subnormal: the addition rounds
        return (uint16_t)(sign | (bits_of(float_of_bits(u) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((u + 0xc8000fff + ((u >> 13) & 1)) >> 13));
}

INLINE float float_of_half(uint16_t h) {
#if defined(__F16C__)
    return _cvtsh_ss(h);
#endif
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) return float_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest < 0x400) return float_of_bits(sign | bits_of((float)rest * 0x1p-24f));
    return float_of_bits(sign | ((rest << 13) + 0x38000000));
}

INLINE void put_half(uint8_t* p, float x) { uint16_t h = half_of(x); memcpy(p, &h, 2); }
INLINE float get_half(const uint8_t* p) { uint16_t h; memcpy(&h, p, 2); return float_of_half(h); }
INLINE uint16_t get_u16(const uint8_t* p) { uint16_t h; memcpy(&h, p, 2); return h; }
INLINE uint32_t get_u32(const uint8_t* p) { uint32_t h; memcpy(&h, p, 4); return h; }
INLINE void put_u16(uint8_t* p, uint16_t h) { memcpy(p, &h, 2); }
INLINE void put_u32(uint8_t* p, uint32_t h) { memcpy(p, &h, 4); }

// Nearest integer as the reference computes it: exact for |x| <= 2^22, wrapped beyond, 0 for NaN.
INLINE int32_t nearest_int(float x) { return (int32_t)(bits_of(x + MAGIC) & 0x7fffff) - 0x400000; }
INLINE int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

// Truncation as x86 does it: what does not fit gives the smallest integer.
INLINE int32_t truncated(float x) {
#if defined(__SSE2__)
    return _mm_cvttss_si32(_mm_set_ss(x));
#else
    return x >= -2147483648.f && x < 2147483648.f ? (int32_t)x : INT32_MIN;
#endif
}

constexpr int SUPER = 256;  // elements of a super-block

// Casts between f32, f16 and bf16: nearest, ties to even, overflow to infinity, NaN stays NaN with its sign.
#pragma once
#include "batch.h"

INLINE uint16_t bf16_of(uint32_t u) {
    const uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 & 0x8000) | 0x7fc0 : rounded);
}

// half_of without branches, for loops that the compiler turns into vectors.
INLINE uint16_t half_of_bits(uint32_t u) {
    const uint32_t sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;
    const uint32_t normal = (rest + 0xc8000fff + (rest >> 13 & 1)) >> 13;
    const uint32_t small = bits_of(float_of_bits(rest) + 0.5f) - 0x3f000000;
    uint32_t h = rest < 0x38800000 ? small : normal;
    h = rest >= 0x477ff000 ? 0x7c00 : h;
    h = rest > 0x7f800000 ? 0x7e00 | (rest >> 13 & 0x1ff) : h;
    return (uint16_t)(sign | h);
}

INLINE uint32_t bits_of_half(uint32_t h) {
    const uint32_t sign = (h & 0x8000) << 16, rest = h & 0x7fff;
    const uint32_t normal = (rest << 13) + 0x38000000;
    const uint32_t small = bits_of((float)(int32_t)rest * 0x1p-24f);
    const uint32_t u = rest < 0x400 ? small : normal;
    return sign | (rest >= 0x7c00 ? u + 0x38000000 : u);
}

static void f32_to_f16(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((__m256i*)(out + 2 * i), _mm512_cvtps_ph(_mm512_loadu_ps(in + 4 * i), 0));
#elif defined(__F16C__)
    for (; i + 16 <= n; i += 16) {
        const float* from = (const float*)(in + 4 * i);
        _mm_storeu_si128((__m128i*)(out + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps(from), 0));
        _mm_storeu_si128((__m128i*)(out + 2 * i + 16), _mm256_cvtps_ph(_mm256_loadu_ps(from + 8), 0));
    }
#endif
    for (; i < n; ++i) put_u16(out + 2 * i, half_of_bits(get_u32(in + 4 * i)));
}

static void f16_to_f32(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(out + 4 * i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(in + 2 * i))));
#elif defined(__F16C__)
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps((float*)(out + 4 * i), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(in + 2 * i))));
#endif
    for (; i < n; ++i) put_u32(out + 4 * i, bits_of_half(get_u16(in + 2 * i)));
}

// Two registers at once; false, and nothing written, where there is a NaN.
#if defined(__AVX512F__)
enum { BF16_AT_ONCE = 32 };
INLINE bool bf16_fast(const uint8_t* in, uint8_t* out) {
    const __m512i a = _mm512_loadu_si512(in), b = _mm512_loadu_si512(in + 64), one = _mm512_set1_epi32(1);
    if (_mm512_cmp_ps_mask(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _CMP_UNORD_Q)) return false;
    alignas(64) static const struct Odd {  // the upper halves of 32 integers
        uint16_t of[32];
        constexpr Odd() : of() { for (int i = 0; i < 32; ++i) of[i] = (uint16_t)(2 * i + 1); }
    } odd;
    const __m512i half = _mm512_set1_epi32(0x7fff);
    const __m512i ra = _mm512_add_epi32(_mm512_add_epi32(a, half), _mm512_and_si512(_mm512_srli_epi32(a, 16), one));
    const __m512i rb = _mm512_add_epi32(_mm512_add_epi32(b, half), _mm512_and_si512(_mm512_srli_epi32(b, 16), one));
    _mm512_storeu_si512(out, _mm512_permutex2var_epi16(ra, _mm512_load_si512(&odd), rb));
    return true;
}
#elif defined(__AVX2__)
enum { BF16_AT_ONCE = 16 };
INLINE bool bf16_fast(const uint8_t* in, uint8_t* out) {
    const __m256i a = _mm256_loadu_si256((const __m256i*)in), b = _mm256_loadu_si256((const __m256i*)in + 1);
    const __m256i one = _mm256_set1_epi32(1), half = _mm256_set1_epi32(0x7fff);
    if (_mm256_movemask_ps(_mm256_cmp_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _CMP_UNORD_Q))) return false;
    const __m256i ra = _mm256_add_epi32(_mm256_add_epi32(a, half), _mm256_and_si256(_mm256_srli_epi32(a, 16), one));
    const __m256i rb = _mm256_add_epi32(_mm256_add_epi32(b, half), _mm256_and_si256(_mm256_srli_epi32(b, 16), one));
    const __m256i packed = _mm256_packus_epi32(_mm256_srli_epi32(ra, 16), _mm256_srli_epi32(rb, 16));
    _mm256_storeu_si256((__m256i*)out, _mm256_permute4x64_epi64(packed, 0xd8));
    return true;
}
#else
enum { BF16_AT_ONCE = 16 };
INLINE bool bf16_fast(const uint8_t*, uint8_t*) { return false; }
#endif

static void f32_to_bf16(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
    for (; i + BF16_AT_ONCE <= n; i += BF16_AT_ONCE)
        if (!bf16_fast(in + 4 * i, out + 2 * i))
            for (int k = 0; k < BF16_AT_ONCE; ++k) put_u16(out + 2 * (i + k), bf16_of(get_u32(in + 4 * (i + k))));
    for (; i < n; ++i) put_u16(out + 2 * i, bf16_of(get_u32(in + 4 * i)));
}

static void bf16_to_f32(const uint8_t* in, int64_t n, uint8_t* out) {
    for (int64_t i = 0; i < n; ++i) put_u32(out + 4 * i, (uint32_t)get_u16(in + 2 * i) << 16);
}

static void bf16_to_f16(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) {
        const __m256i h = _mm256_loadu_si256((const __m256i*)(in + 2 * i));
        const __m512i u = _mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16);
        _mm256_storeu_si256((__m256i*)(out + 2 * i), _mm512_cvtps_ph(_mm512_castsi512_ps(u), 0));
    }
#elif defined(__F16C__)
    for (; i + 8 <= n; i += 8) {
        const __m256i u = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)(in + 2 * i))), 16);
        _mm_storeu_si128((__m128i*)(out + 2 * i), _mm256_cvtps_ph(_mm256_castsi256_ps(u), 0));
    }
#endif
    for (; i < n; ++i) put_u16(out + 2 * i, half_of_bits((uint32_t)get_u16(in + 2 * i) << 16));
}

__attribute__((noinline)) static void f16_to_bf16_one_by_one(const uint8_t* in, int64_t n, uint8_t* out) {
    for (int64_t i = 0; i < n; ++i) put_u16(out + 2 * i, bf16_of(bits_of_half(get_u16(in + 2 * i))));
}

// Normal halves and zeros stay 16 bits wide: three bits of the mantissa are rounded off, the exponent is moved.
static void f16_to_bf16(const uint8_t* in, int64_t n, uint8_t* out) {
    typedef uint16_t Halves __attribute__((vector_size(WIDTH * 4)));
    constexpr int AT_ONCE = WIDTH * 2;
    int64_t i = 0;
    while (i + AT_ONCE <= n) {
        for (; i + AT_ONCE <= n; i += AT_ONCE) {
            Halves h;
            memcpy(&h, in + 2 * i, sizeof h);
            const Halves rest = h & 0x7fff, zero = (Halves)(rest == 0);
            const Halves odd = (Halves)(rest - 0x400 >= 0x7800) & ~zero;  // denormal, infinite, NaN
            if (any((I){(vi)odd, (vi)odd})) break;
            const Halves rounded = ((rest + 3 + (rest >> 3 & 1)) >> 3) + 0x3800;
            const Halves r = (h ^ rest) | (rounded & ~zero);
            memcpy(out + 2 * i, &r, sizeof r);
        }
        if (i + AT_ONCE > n) break;
        f16_to_bf16_one_by_one(in + 2 * i, AT_ONCE, out + 2 * i);
        i += AT_ONCE;
    }
    f16_to_bf16_one_by_one(in + 2 * i, n - i, out + 2 * i);
}

static void widen(const void* source, int kind, int64_t n, float* out) {
    if (kind == KIND_F32) memcpy(out, source, (size_t)n * 4);
    else (kind == KIND_F16 ? f16_to_f32 : bf16_to_f32)((const uint8_t*)source, n, (uint8_t*)out);
}

static void narrow(const float* in, int kind, int64_t n, uint8_t* out) {
    (kind == KIND_F16 ? f32_to_f16 : f32_to_bf16)((const uint8_t*)in, n, out);
}

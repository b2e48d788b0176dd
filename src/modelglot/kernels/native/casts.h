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
        _mm_storeu_si128((__m128i*)(out + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps((const float*)(in + 4 * i)), 0));
        _mm_storeu_si128((__m128i*)(out + 2 * i + 16), _mm256_cvtps_ph(_mm256_loadu_ps((const float*)(in + 4 * i + 32)), 0));
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

#if defined(__AVX512F__)
INLINE __m256i bf16_sixteen(__m512i u) {
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(_mm512_castsi512_ps(u), _mm512_castsi512_ps(u), _CMP_UNORD_Q);
    const __m512i sign = _mm512_slli_epi32(_mm512_srli_epi32(u, 31), 15);
    const __m512i quiet = _mm512_or_si512(sign, _mm512_set1_epi32(0x7fc0));
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, quiet));
}
#elif defined(__AVX2__)
INLINE __m256i bf16_eight(__m256i u) {  // in the low halves of eight integers
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m256 nan = _mm256_cmp_ps(_mm256_castsi256_ps(u), _mm256_castsi256_ps(u), _CMP_UNORD_Q);
    const __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(u, 31), 15);
    const __m256i quiet = _mm256_or_si256(sign, _mm256_set1_epi32(0x7fc0));
    return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(nan));
}
INLINE __m256i bf16_sixteen(__m256i a, __m256i b) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(bf16_eight(a), bf16_eight(b)), 0xd8);
}
#endif

static void f32_to_bf16(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) _mm256_storeu_si256((__m256i*)(out + 2 * i), bf16_sixteen(_mm512_loadu_si512(in + 4 * i)));
#elif defined(__AVX2__)
    for (; i + 16 <= n; i += 16) {
        const __m256i* from = (const __m256i*)(in + 4 * i);
        _mm256_storeu_si256((__m256i*)(out + 2 * i), bf16_sixteen(_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)));
    }
#endif
    for (; i < n; ++i) put_u16(out + 2 * i, bf16_of(get_u32(in + 4 * i)));
}

static void bf16_to_f32(const uint8_t* in, int64_t n, uint8_t* out) {
    for (int64_t i = 0; i < n; ++i) put_u32(out + 4 * i, (uint32_t)get_u16(in + 2 * i) << 16);
}

static void bf16_to_f16(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) {
        const __m512i u = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(in + 2 * i))), 16);
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

static void f16_to_bf16(const uint8_t* in, int64_t n, uint8_t* out) {
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) {
        const __m512 x = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(in + 2 * i)));
        _mm256_storeu_si256((__m256i*)(out + 2 * i), bf16_sixteen(_mm512_castps_si512(x)));
    }
#elif defined(__F16C__) && defined(__AVX2__)
    for (; i + 16 <= n; i += 16) {
        const __m256 a = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(in + 2 * i)));
        const __m256 b = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(in + 2 * i + 16)));
        _mm256_storeu_si256((__m256i*)(out + 2 * i), bf16_sixteen(_mm256_castps_si256(a), _mm256_castps_si256(b)));
    }
#endif
    for (; i < n; ++i) put_u16(out + 2 * i, bf16_of(bits_of_half(get_u16(in + 2 * i))));
}

static void widen(const void* source, int kind, int64_t n, float* out) {
    if (kind == KIND_F32) memcpy(out, source, (size_t)n * 4);
    else (kind == KIND_F16 ? f16_to_f32 : bf16_to_f32)((const uint8_t*)source, n, (uint8_t*)out);
}

static void narrow(const float* in, int kind, int64_t n, uint8_t* out) {
    (kind == KIND_F16 ? f32_to_f16 : f32_to_bf16)((const uint8_t*)in, n, out);
}

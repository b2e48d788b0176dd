// Lanes: the same scalar algorithm run on many blocks at once, one block a lane.
//
// `F` holds LANES floats as two native vectors, so that two independent chains hide the latency of additions. Every
// lane does what the scalar algorithm does, in its order; an `if` becomes a `select`. Nothing here reassociates, and
// the build forbids fused multiply-add, so that the bytes do not depend on the instruction set.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr int WIDTH = 16;
#elif defined(__AVX2__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif
constexpr int LANES = 2 * WIDTH;

typedef float vf __attribute__((vector_size(WIDTH * 4)));
typedef int32_t vi __attribute__((vector_size(WIDTH * 4)));
typedef float v4 __attribute__((vector_size(16), aligned(4)));

struct F { vf a, b; };
struct I { vi a, b; };  // also a mask: -1 where true, 0 where false

INLINE F all(float x) { vf v = x - vf{}; return {v, v}; }
INLINE I all_int(int32_t x) { vi v = x - vi{}; return {v, v}; }

#define BINARY(T, R, op) \
    INLINE R operator op(T x, T y) { return {x.a op y.a, x.b op y.b}; }
BINARY(F, F, +) BINARY(F, F, -) BINARY(F, F, *) BINARY(F, F, /)
BINARY(I, I, +) BINARY(I, I, -) BINARY(I, I, &) BINARY(I, I, |) BINARY(I, I, ^)
BINARY(F, I, <) BINARY(F, I, >) BINARY(F, I, <=) BINARY(F, I, >=) BINARY(F, I, ==) BINARY(F, I, !=)
BINARY(I, I, <) BINARY(I, I, >) BINARY(I, I, ==) BINARY(I, I, !=)
#undef BINARY
INLINE I operator~(I x) { return {~x.a, ~x.b}; }
INLINE F operator-(F x) { return {-x.a, -x.b}; }
INLINE I operator<<(I x, int n) { return {x.a << n, x.b << n}; }
INLINE I operator>>(I x, int n) { return {x.a >> n, x.b >> n}; }

INLINE F select(I mask, F yes, F no) { return {mask.a ? yes.a : no.a, mask.b ? yes.b : no.b}; }
INLINE I select(I mask, I yes, I no) { return {mask.a ? yes.a : no.a, mask.b ? yes.b : no.b}; }
INLINE I bits_of(F x) { return {(vi)x.a, (vi)x.b}; }
INLINE F float_of_bits(I x) { return {(vf)x.a, (vf)x.b}; }
INLINE F to_float(I x) { return {__builtin_convertvector(x.a, vf), __builtin_convertvector(x.b, vf)}; }
INLINE F absolute(F x) { return float_of_bits(bits_of(x) & all_int(0x7fffffff)); }

INLINE bool any(I mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)(mask.a | mask.b), (__m512i)(mask.a | mask.b));
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)(mask.a | mask.b), (__m256i)(mask.a | mask.b));
#endif
    vi both = mask.a | mask.b;
    int32_t found = 0;
    for (int i = 0; i < WIDTH; ++i) found |= both[i];
    return found != 0;
}

// x < y ? x : y and x > y ? x : y: one instruction where the compiler does not find it by itself.
#if defined(__AVX512F__)
INLINE vf lesser(vf x, vf y) { return (vf)_mm512_min_ps((__m512)x, (__m512)y); }
INLINE vf greater(vf x, vf y) { return (vf)_mm512_max_ps((__m512)x, (__m512)y); }
INLINE vf root(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }
#elif defined(__AVX2__)
INLINE vf lesser(vf x, vf y) { return (vf)_mm256_min_ps((__m256)x, (__m256)y); }
INLINE vf greater(vf x, vf y) { return (vf)_mm256_max_ps((__m256)x, (__m256)y); }
INLINE vf root(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
#elif defined(__SSE2__)
INLINE vf lesser(vf x, vf y) { return (vf)_mm_min_ps((__m128)x, (__m128)y); }
INLINE vf greater(vf x, vf y) { return (vf)_mm_max_ps((__m128)x, (__m128)y); }
INLINE vf root(vf x) { return (vf)_mm_sqrt_ps((__m128)x); }
#else
INLINE vf lesser(vf x, vf y) { return x < y ? x : y; }
INLINE vf greater(vf x, vf y) { return x > y ? x : y; }
INLINE vf root(vf x) {
    for (int i = 0; i < WIDTH; ++i) x[i] = sqrtf(x[i]);
    return x;
}
#endif
INLINE F lesser(F x, F y) { return {lesser(x.a, y.a), lesser(x.b, y.b)}; }
INLINE F greater(F x, F y) { return {greater(x.a, y.a), greater(x.b, y.b)}; }
INLINE F root(F x) { return {root(x.a), root(x.b)}; }

INLINE F load(const float* p) { F x; memcpy(&x, p, sizeof x); return x; }
INLINE void store(float* p, F x) { memcpy(p, &x, sizeof x); }
INLINE void store(int32_t* p, I x) { memcpy(p, &x, sizeof x); }

// Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low mantissa bits.
#define MAGIC 12582912.f

// Nearest integer, clamped. Right for |v| <= 2^22; `nearest_wrapped` gives what the format's reference gives beyond.
INLINE F nearest(F v, float low, float high) {
    F r = (v + all(MAGIC)) - all(MAGIC);
    return lesser(greater(r, all(low)), all(high));
}
INLINE I nearest_wrapped(F v) {
    return (bits_of(v + all(MAGIC)) & all_int(0x7fffff)) - all_int(0x400000);
}
INLINE I clamp(I x, int32_t low, int32_t high) {
    x = select(x < all_int(low), all_int(low), x);
    return select(x > all_int(high), all_int(high), x);
}
INLINE I within(F v) { return absolute(v) <= all(4194303.f); }  // false for NaN

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE4(x, y, p, q, r, s) __builtin_shufflevector(x, y, p, q, r, s)
#else
typedef int32_t v4i __attribute__((vector_size(16)));
#define SHUFFLE4(x, y, p, q, r, s) __builtin_shuffle(x, y, (v4i){p, q, r, s})
#endif

// t[i], lane k = x[k * stride + i]: LANES rows of N floats turned on their side, four by four.
template <int N> INLINE void load_lanes(const float* x, int stride, F* t) {
    float* out = (float*)t;
    for (int k = 0; k < LANES; k += 4) {
        const float* row = x + k * stride;
        for (int i = 0; i < N; i += 4) {
            v4 a = *(const v4*)(row + i), b = *(const v4*)(row + stride + i);
            v4 c = *(const v4*)(row + 2 * stride + i), d = *(const v4*)(row + 3 * stride + i);
            v4 ab0 = SHUFFLE4(a, b, 0, 4, 1, 5), ab1 = SHUFFLE4(a, b, 2, 6, 3, 7);
            v4 cd0 = SHUFFLE4(c, d, 0, 4, 1, 5), cd1 = SHUFFLE4(c, d, 2, 6, 3, 7);
            *(v4*)(out + (i + 0) * LANES + k) = SHUFFLE4(ab0, cd0, 0, 1, 4, 5);
            *(v4*)(out + (i + 1) * LANES + k) = SHUFFLE4(ab0, cd0, 2, 3, 6, 7);
            *(v4*)(out + (i + 2) * LANES + k) = SHUFFLE4(ab1, cd1, 0, 1, 4, 5);
            *(v4*)(out + (i + 3) * LANES + k) = SHUFFLE4(ab1, cd1, 2, 3, 6, 7);
        }
    }
}

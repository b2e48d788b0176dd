// Casts between floats: nearest, ties to even, of the exact value (f64 is never rounded twice), and what could not be
// kept is counted. Numbers too large become infinite, in f8_e4m3 the largest, in the fnuz types NaN; NaN stays NaN.
#pragma once
#include "f8.h"

enum { PART = 2048 };  // elements looked at, then cast, while they are in the nearest cache

struct Counts { int64_t nan, infinite, too_large; };

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

// Vectors of AVX-512 and AVX2 under one name each: Register holds EACH floats.
#if defined(__AVX512F__)
typedef __m512i Register;
typedef __m256i Half;
INLINE Register load(const uint8_t* p) { return _mm512_loadu_si512(p); }
INLINE void store(uint8_t* p, Register r) { _mm512_storeu_si512(p, r); }
INLINE Register from_f16(const uint8_t* p) { return (Register)_mm512_cvtph_ps(_mm256_loadu_si256((const Half*)p)); }
INLINE Register from_bf16(const uint8_t* p) {
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const Half*)p)), 16);
}
INLINE void store_f16(uint8_t* p, Register x) { _mm256_storeu_si256((Half*)p, _mm512_cvtps_ph((__m512)x, 0)); }
INLINE Register higher32(Register x, Register y) {
    return _mm512_max_epi32(x, _mm512_and_si512(y, _mm512_set1_epi32(0x7fffffff)));
}
INLINE Register higher16(Register x, Register y) {
    return _mm512_max_epi16(x, _mm512_and_si512(y, _mm512_set1_epi16(0x7fff)));
}
INLINE Register rounded(Register a) {
    const Register odd = _mm512_and_si512(_mm512_srli_epi32(a, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_add_epi32(a, _mm512_set1_epi32(0x7fff)), odd);
}
alignas(64) static const struct Odd {  // the upper halves of 32 integers
    uint16_t of[32];
    constexpr Odd() : of() { for (int i = 0; i < 32; ++i) of[i] = (uint16_t)(2 * i + 1); }
} ODD;
INLINE void store_bf16(uint8_t* out, Register a, Register b) {
    store(out, _mm512_permutex2var_epi16(rounded(a), _mm512_load_si512(&ODD), rounded(b)));
}
#elif defined(__AVX2__)
typedef __m256i Register;
typedef __m128i Half;
INLINE Register load(const uint8_t* p) { return _mm256_loadu_si256((const Register*)p); }
INLINE void store(uint8_t* p, Register r) { _mm256_storeu_si256((Register*)p, r); }
INLINE Register from_f16(const uint8_t* p) { return (Register)_mm256_cvtph_ps(_mm_loadu_si128((const Half*)p)); }
INLINE Register from_bf16(const uint8_t* p) {
    return _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const Half*)p)), 16);
}
INLINE void store_f16(uint8_t* p, Register x) { _mm_storeu_si128((Half*)p, _mm256_cvtps_ph((__m256)x, 0)); }
INLINE Register higher32(Register x, Register y) {
    return _mm256_max_epi32(x, _mm256_and_si256(y, _mm256_set1_epi32(0x7fffffff)));
}
INLINE Register higher16(Register x, Register y) {
    return _mm256_max_epi16(x, _mm256_and_si256(y, _mm256_set1_epi16(0x7fff)));
}
INLINE Register rounded(Register a) {
    const Register odd = _mm256_and_si256(_mm256_srli_epi32(a, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(_mm256_add_epi32(a, _mm256_set1_epi32(0x7fff)), odd);
}
INLINE void store_bf16(uint8_t* out, Register a, Register b) {
    const Register x = _mm256_srli_epi32(rounded(a), 16), y = _mm256_srli_epi32(rounded(b), 16);
    store(out, _mm256_permute4x64_epi64(_mm256_packus_epi32(x, y), 0xd8));
}
#endif

template <typename Word>
INLINE Word higher(Word worst, const uint8_t* p) {
    Word w;
    memcpy(&w, p, sizeof w);
    w = (Word)(w & (Word) ~((Word)1 << (8 * sizeof w - 1)));
    return w > worst ? w : worst;
}

// The largest magnitude of n words.
template <typename Word>
INLINE Word highest(const uint8_t* in, int64_t n) {
    Word worst = 0;
    for (int64_t i = 0; i < n; ++i) worst = higher<Word>(worst, in + (int64_t)sizeof worst * i);
    return worst;
}

// FROM_to_TO: casts n numbers and gives the largest magnitude among them, as bits. Right for NaN except for the two to
// bf16, which callers run again.
#if defined(__AVX2__)
constexpr int EACH = sizeof(Register) / 4;
#define QUICK(name, Word, from, to, two, one)                                                                         \
    static int32_t name(const uint8_t* in, int64_t n, uint8_t* out) {                                                 \
        Register worst = {};                                                                                          \
        int64_t i = 0;                                                                                                \
        for (; i + 2 * EACH <= n; i += 2 * EACH) {                                                                    \
            const uint8_t* p = in + from * i;                                                                         \
            uint8_t* q = out + to * i;                                                                                \
            two;                                                                                                      \
        }                                                                                                             \
        Word most[sizeof(Register) / sizeof(Word)];                                                                   \
        memcpy(most, &worst, sizeof most);                                                                            \
        Word tail = highest<Word>((const uint8_t*)most, sizeof most / sizeof(Word));                                  \
        for (; i < n; ++i) {                                                                                          \
            const uint8_t* p = in + from * i;                                                                         \
            uint8_t* q = out + to * i;                                                                                \
            tail = higher<Word>(tail, p);                                                                             \
            one;                                                                                                      \
        }                                                                                                             \
        return tail;                                                                                                  \
    }
#else
#define QUICK(name, Word, from, to, two, one)                                                                         \
    static int32_t name(const uint8_t* in, int64_t n, uint8_t* out) {                                                 \
        for (int64_t i = 0; i < n; ++i) {                                                                             \
            const uint8_t* p = in + from * i;                                                                         \
            uint8_t* q = out + to * i;                                                                                \
            one;                                                                                                      \
        }                                                                                                             \
        return highest<Word>(in, n);                                                                                  \
    }
#endif
QUICK(f32_to_f16, int32_t, 4, 2, const Register a = load(p); const Register b = load(p + 4 * EACH);
      worst = higher32(higher32(worst, a), b); store_f16(q, a); store_f16(q + 2 * EACH, b),
      put_u16(q, half_of_bits(get_u32(p))))
QUICK(f32_to_bf16, int32_t, 4, 2, const Register a = load(p); const Register b = load(p + 4 * EACH);
      worst = higher32(higher32(worst, a), b); store_bf16(q, a, b), put_u16(q, bf16_of(get_u32(p))))
QUICK(f16_to_f32, int16_t, 2, 4, worst = higher16(worst, load(p)); store(q, from_f16(p));
      store(q + 4 * EACH, from_f16(p + 2 * EACH)), put_u32(q, bits_of_half(get_u16(p))))
QUICK(bf16_to_f32, int16_t, 2, 4, worst = higher16(worst, load(p)); store(q, from_bf16(p));
      store(q + 4 * EACH, from_bf16(p + 2 * EACH)), put_u32(q, (uint32_t)get_u16(p) << 16))
QUICK(f16_to_bf16, int16_t, 2, 2, worst = higher16(worst, load(p)); store_bf16(q, from_f16(p), from_f16(p + 2 * EACH)),
      put_u16(q, bf16_of(bits_of_half(get_u16(p)))))
QUICK(bf16_to_f16, int16_t, 2, 2, worst = higher16(worst, load(p)); store_f16(q, from_bf16(p));
      store_f16(q + 2 * EACH, from_bf16(p + 2 * EACH)), put_u16(q, half_of_bits((uint32_t)get_u16(p) << 16)))

// f64 to f32 so that rounding once more, to anything narrower, is as if it were the first time: what is cut off leaves
// its trace in the last bit.
static void f64_to_odd_f32(const uint8_t* in, int64_t n, uint8_t* out) {
    for (int64_t i = 0; i < n; ++i) {
        double d;
        memcpy(&d, in + 8 * i, 8);
        const float f = (float)d;
        const uint32_t u = bits_of(f), toward_zero = u - (fabs((double)f) > fabs(d));
        put_u32(out + 4 * i, d != d || (double)f == d ? u : toward_zero | 1);
    }
}

static void widen(const void* source, int kind, int64_t n, float* out) {
    const uint8_t *in = (const uint8_t*)source;
    switch (kind) {
    case KIND_F32: memcpy(out, in, (size_t)n * 4); return;
    case KIND_F16: f16_to_f32(in, n, (uint8_t*)out); return;
    case KIND_BF16: bf16_to_f32(in, n, (uint8_t*)out); return;
    case KIND_F64: f64_to_odd_f32(in, n, (uint8_t*)out); return;
    default: for (int64_t i = 0; i < n; ++i) out[i] = F8_VALUES[kind - KIND_E4M3].of[in[i]];
    }
}

// f32 bits of the least magnitude that does not fit, by kind.
static const uint32_t TOO_LARGE[8] = {0x7f800000, 0x477ff000, 0x7f7f8000, 0x7f800000,
                                      0x43e80001, 0x47700000, 0x43780000, 0x47700000};

static void count_unkept(const float* wide, int n, int kind, Counts* counts) {
    const int32_t limit = (int32_t)TOO_LARGE[kind];
    int32_t nan = 0, infinite = 0, too_large = 0;
    for (int i = 0; i < n; ++i) {
        const int32_t rest = (int32_t)(bits_of(wide[i]) & 0x7fffffff);
        nan += rest > 0x7f800000;
        infinite += rest == 0x7f800000;
        too_large += rest >= limit && rest < 0x7f800000;
    }
    counts->nan += nan;
    counts->infinite += infinite;
    counts->too_large += too_large;
}

// Anything goes: NaN, infinite, too large.
static void narrow(const float* in, int kind, int64_t n, uint8_t* out) {
    const uint8_t* from = (const uint8_t*)in;
    switch (kind) {
    case KIND_F16: f32_to_f16(from, n, out); return;
    case KIND_BF16:
        for (int64_t at = 0; at < n; at += PART) {
            const int count = (int)(n - at < PART ? n - at : PART);
            if (f32_to_bf16(from + 4 * at, count, out + 2 * at) > 0x7f800000)
                for (int64_t i = at; i < at + count; ++i) put_u16(out + 2 * i, bf16_of(get_u32(from + 4 * i)));
        }
        return;
    default: narrow_f8(in, kind, n, out);
    }
}

typedef int32_t (*Quick)(const uint8_t* in, int64_t n, uint8_t* out);
struct Pair { int from, to; Quick run; int32_t limit; };  // limit: the least magnitude (of the source) to look closer at
static const Pair PAIRS[] = {
    {KIND_F32, KIND_F16, f32_to_f16, 0x477ff000}, {KIND_F32, KIND_BF16, f32_to_bf16, 0x7f7f8000},
    {KIND_F16, KIND_F32, f16_to_f32, 0x7c00}, {KIND_BF16, KIND_F32, bf16_to_f32, 0x7f80},
    {KIND_F16, KIND_BF16, f16_to_bf16, 0x7c00}, {KIND_BF16, KIND_F16, bf16_to_f16, 0x4780}};

static void cast_pair(const Pair& pair, const uint8_t* in, int64_t n, uint8_t* out, Counts* counts) {
    const int from = KIND_BYTES[pair.from], to = KIND_BYTES[pair.to];
    alignas(64) float wide[PART];
    for (int64_t at = 0; at < n; at += PART, in += PART * from, out += PART * to) {
        const int count = (int)(n - at < PART ? n - at : PART);
        if (pair.run(in, count, out) < pair.limit) continue;
        widen(in, pair.from, count, wide);
        count_unkept(wide, count, pair.to, counts);
        if (pair.to == KIND_F32) memcpy(out, wide, (size_t)count * 4);
        else narrow(wide, pair.to, count, out);
    }
}

static void f64_to_f32(const uint8_t* in, int64_t n, uint8_t* out, Counts* counts) {
    for (int64_t at = 0; at < n; at += PART) {
        const int count = (int)(n - at < PART ? n - at : PART);
        const bool unusual = highest<int64_t>(in + 8 * at, count) >= 0x47effffff0000000;
        for (int i = 0; i < count; ++i) {
            double d;
            memcpy(&d, in + 8 * (at + i), 8);
            put_u32(out + 4 * (at + i), bits_of((float)d));
            if (!unusual) continue;
            counts->nan += d != d;
            counts->infinite += d - d != 0 && d == d;
            counts->too_large += d - d == 0 && fabs(d) >= 0x1.ffffffp127;
        }
    }
}

static void cast(const uint8_t* in, int from, int64_t n, uint8_t* out, int to, Counts* counts) {
    for (const Pair& pair : PAIRS)
        if (pair.from == from && pair.to == to) return cast_pair(pair, in, n, out, counts);
    if (from == KIND_F64 && to == KIND_F32) return f64_to_f32(in, n, out, counts);
    alignas(64) float wide[PART];
    const int step = KIND_BYTES[from], made = KIND_BYTES[to];
    for (int64_t at = 0; at < n; at += PART, in += PART * step, out += PART * made) {
        const int count = (int)(n - at < PART ? n - at : PART);
        widen(in, from, count, wide);
        if (highest<int32_t>((const uint8_t*)wide, count) >= (int32_t)TOO_LARGE[to]) count_unkept(wide, count, to, counts);
        if (to == KIND_F32) memcpy(out, wide, (size_t)count * 4);
        else if (to == KIND_F64) for (int i = 0; i < count; ++i) { const double d = wide[i]; memcpy(out + 8 * i, &d, 8); }
        else narrow(wide, to, count, out);
    }
}

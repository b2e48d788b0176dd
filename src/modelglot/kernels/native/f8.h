// The four 8-bit floats: e4m3 (finite but for NaN), e5m2, and the fnuz types, which have one zero and one NaN (0x80).
#pragma once
#include "batch.h"

enum { KIND_F64 = 3, KIND_E4M3 = 4, KIND_E5M2 = 5, KIND_E4M3FNUZ = 6, KIND_E5M2FNUZ = 7 };
static const int KIND_BYTES[8] = {4, 2, 2, 8, 1, 1, 1, 1};

// MANTISSA bits, the BIAS of the exponent, and codes: of NaN, and of numbers too large.
struct E4M3 { enum { KIND = KIND_E4M3, MANTISSA = 3, BIAS = 7, UNSIGNED = 0, NAN_CODE = 0x7f, LARGE = 0x7e }; };
struct E5M2 { enum { KIND = KIND_E5M2, MANTISSA = 2, BIAS = 15, UNSIGNED = 0, NAN_CODE = 0x7e, LARGE = 0x7c }; };
struct E4M3FNUZ { enum { KIND = KIND_E4M3FNUZ, MANTISSA = 3, BIAS = 8, UNSIGNED = 1, NAN_CODE = 0x80, LARGE = 0x80 }; };
struct E5M2FNUZ { enum { KIND = KIND_E5M2FNUZ, MANTISSA = 2, BIAS = 16, UNSIGNED = 1, NAN_CODE = 0x80, LARGE = 0x80 }; };

struct F8Values {
    float of[256];
    constexpr F8Values(int kind, int mantissa, int bias) : of() {
        for (int code = 0; code < 256; ++code) {
            const int rest = code & 0x7f, exponent = rest >> mantissa, low = rest & ((1 << mantissa) - 1);
            float x = (float)(exponent ? low + (1 << mantissa) : low);
            for (int e = (exponent ? exponent : 1) - bias - mantissa; e != 0; e += e < 0 ? 1 : -1) x *= e < 0 ? 0.5f : 2.0f;
            if (kind == KIND_E4M3 ? rest == 0x7f : kind == KIND_E5M2 ? rest > 0x7c : code == 0x80) x = __builtin_nanf("");
            if (kind == KIND_E5M2 && rest == 0x7c) x = __builtin_inff();
            of[code] = code & 0x80 ? -x : x;
        }
    }
};
static const F8Values F8_VALUES[4] = {
    {KIND_E4M3, 3, 7}, {KIND_E5M2, 2, 15}, {KIND_E4M3FNUZ, 3, 8}, {KIND_E5M2FNUZ, 2, 16}};

// Sign and magnitude code together.
template <class T>
INLINE uint32_t f8_signed(uint32_t code, uint32_t sign) {
    return T::UNSIGNED && (code == 0 || code == 0x80) ? code : code | sign;
}

// TOO: f32 bits of the least magnitude that does not fit.
template <class T, uint32_t TOO>
static void to_f8(const float* in, int64_t n, uint8_t* out) {
    constexpr int SHIFT = 23 - T::MANTISSA;
    constexpr uint32_t MAGIC_BITS = (uint32_t)(127 + 24 - T::BIAS - T::MANTISSA) << 23;  // its last bit: the least f8
    for (int64_t i = 0; i < n; ++i) {
        const uint32_t u = bits_of(in[i]), rest = u & 0x7fffffff;
        const uint32_t moved = rest - ((uint32_t)(127 - T::BIAS) << 23);
        const uint32_t normal = (moved + ((1u << (SHIFT - 1)) - 1) + (rest >> SHIFT & 1)) >> SHIFT;
        const uint32_t small = bits_of(float_of_bits(rest) + float_of_bits(MAGIC_BITS)) - MAGIC_BITS;
        uint32_t code = rest < (uint32_t)(128 - T::BIAS) << 23 ? small : normal;
        code = rest >= TOO ? (uint32_t)T::LARGE : code;
        code = rest > 0x7f800000 ? (uint32_t)T::NAN_CODE : code;
        out[i] = (uint8_t)f8_signed<T>(code, u >> 24 & 0x80);
    }
}

static void narrow_f8(const float* in, int kind, int64_t n, uint8_t* out) {
    switch (kind) {
    case KIND_E4M3: to_f8<E4M3, 0x43e80001>(in, n, out); return;
    case KIND_E5M2: to_f8<E5M2, 0x47700000>(in, n, out); return;
    case KIND_E4M3FNUZ: to_f8<E4M3FNUZ, 0x43780000>(in, n, out); return;
    case KIND_E5M2FNUZ: to_f8<E5M2FNUZ, 0x47700000>(in, n, out); return;
    }
}

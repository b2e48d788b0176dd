// Stochastic rounding: up with the probability that is the distance from the lower neighbour, in steps of 2^-64.
// The chance for an element comes from a key and its index alone (SplitMix64), so bytes do not depend on chunks.
#pragma once
#include "casts.h"

INLINE uint64_t chance(uint64_t key, uint64_t index) {
    uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

struct BF16 { enum { KIND = KIND_BF16, MANTISSA = 7, BIAS = 127, UNSIGNED = 0, NAN_CODE = 0x7fc0, LARGE = 0x7f80 }; };
struct F16 { enum { KIND = KIND_F16, MANTISSA = 10, BIAS = 15, UNSIGNED = 0, NAN_CODE = 0x7e00, LARGE = 0x7c00 }; };
struct F32 { enum { KIND = KIND_F32, MANTISSA = 23, BIAS = 127, UNSIGNED = 0, NAN_CODE = 0x7fc00000, LARGE = 0x7f800000 }; };

// `largest`: the code of the largest finite number; `too_large`, f64 bits, as of rounding to nearest.
template <class T, typename Code>
static void round_by_chance(
    const double* in, int n, uint8_t* out, uint64_t key, uint64_t first, uint64_t largest, int64_t too_large,
    Counts* counts) {
    constexpr uint64_t SIGN = (uint64_t)1 << (8 * sizeof(Code) - 1), INFINITE = (uint64_t)0x7ff << 52;
    alignas(64) Code made[PART];
    for (int i = 0; i < n; ++i) {
        uint64_t u;
        memcpy(&u, in + i, 8);
        const uint64_t magnitude = u & ~((uint64_t)1 << 63), normal = magnitude >> 52 != 0;
        const uint64_t m = (magnitude & (((uint64_t)1 << 52) - 1)) | normal << 52;
        const int64_t over = (int64_t)(magnitude >> 52) + (1 - (int64_t)normal) - (1023 - T::BIAS + 1);
        const int64_t cut = 52 - T::MANTISSA + (over < 0 ? -over : 0);  // bits that are cut off
        const uint64_t kept = cut < 64 ? m >> (cut & 63) : 0;
        const uint64_t rest = cut <= 64 ? m << ((64 - cut) & 63) : cut < 128 ? m >> ((cut - 64) & 63) : 0;
        uint64_t code = ((over > 0 ? (uint64_t)over : 0) << T::MANTISSA) + kept;
        code += chance(key, first + (uint64_t)i) < rest;
        code = (int64_t)code > (int64_t)largest ? largest : code;
        code = (int64_t)magnitude >= too_large ? (uint64_t)T::LARGE : code;
        code = (int64_t)magnitude > (int64_t)INFINITE ? (uint64_t)T::NAN_CODE : code;
        const uint64_t sign = T::UNSIGNED && (code == 0 || code == 0x80) ? 0 : (u >> 63) * SIGN;
        made[i] = (Code)(code | sign);
    }
    memcpy(out, made, sizeof(Code) * (unsigned)n);
    if (highest<int64_t>((const uint8_t*)in, n) < too_large) return;
    for (int i = 0; i < n; ++i) {
        const int64_t magnitude = higher<int64_t>(0, (const uint8_t*)(in + i));
        counts->nan += magnitude > (int64_t)INFINITE;
        counts->infinite += magnitude == (int64_t)INFINITE;
        counts->too_large += magnitude >= too_large && magnitude < (int64_t)INFINITE;
    }
}

INLINE int64_t bits64(double x) { int64_t u; memcpy(&u, &x, 8); return u; }

static void to_f64(const uint8_t* in, int kind, int n, double* out) {
    alignas(64) float wide[PART];
    if (kind == KIND_F64) {
        memcpy(out, in, (size_t)n * 8);
        return;
    }
    widen(in, kind, n, wide);
    for (int i = 0; i < n; ++i) out[i] = wide[i];
}

static void cast_by_chance(
    const uint8_t* in, int from, int64_t n, uint8_t* out, int to, uint64_t key, uint64_t first, Counts* counts) {
    alignas(64) double x[PART];
    for (int64_t at = 0; at < n; at += PART, first += PART, in += PART * KIND_BYTES[from], out += PART * KIND_BYTES[to]) {
        const int c = (int)(n - at < PART ? n - at : PART);
        to_f64(in, from, c, x);
        switch (to) {
        case KIND_F32: round_by_chance<F32, uint32_t>(x, c, out, key, first, 0x7f7fffff, bits64(0x1.ffffffp127), counts); break;
        case KIND_F16: round_by_chance<F16, uint16_t>(x, c, out, key, first, 0x7bff, bits64(65520), counts); break;
        case KIND_BF16: round_by_chance<BF16, uint16_t>(x, c, out, key, first, 0x7f7f, bits64(0x1.ffp127), counts); break;
        case KIND_E4M3: round_by_chance<E4M3, uint8_t>(x, c, out, key, first, 0x7e, bits64(0x1.d000000000001p8), counts); break;
        case KIND_E5M2: round_by_chance<E5M2, uint8_t>(x, c, out, key, first, 0x7b, bits64(61440), counts); break;
        case KIND_E4M3FNUZ: round_by_chance<E4M3FNUZ, uint8_t>(x, c, out, key, first, 0x7f, bits64(248), counts); break;
        case KIND_E5M2FNUZ: round_by_chance<E5M2FNUZ, uint8_t>(x, c, out, key, first, 0x7f, bits64(61440), counts); break;
        }
    }
}

// Searches for x ~ scale * l - minus, 0 <= l <= NMAX, in every lane: what Q2_K, Q4_K, Q5_K (and Q4_1, Q5_1 with an
// importance matrix) do to a sub-block. Sums run over the elements in order, products associate as written: both are
// part of the format's bytes.
#pragma once
#include "scalar.h"

// The winner. l = nearest(inverse * (x - offset)), all 0 where `flat`; `later` where it is not the first guess.
struct Fit { F scale, minus, inverse, offset; I flat, later; };

// EXACT follows the reference where numbers leave the range in which plain rounding is right (then the plain version
// returns false). BOUNDED is the rule of the search with importances, which limits v before it rounds.
template <int N, int NMAX, bool MAD, bool BOUNDED, bool EXACT>
INLINE bool fit_min(const F* x, const F* w, float rmin, float rdelta, int steps, Fit* out) {
    F low = x[0], high = x[0], sum_w = w[0], sum_x = sum_w * x[0];
    for (int i = 1; i < N; ++i) {
        low = lesser(x[i], low);
        high = greater(x[i], high);
        sum_w = sum_w + w[i];
        sum_x = sum_x + w[i] * x[i];
    }
    const F zero = all(0.f), lowest = low;
    F min = select(low > zero, zero, low);
    const I flat = high == min;
    I fine = all_int(-1);
    F l[N];

    auto levels = [&](F inverse, bool bounded) __attribute__((always_inline)) {
        if (!EXACT && !(BOUNDED && bounded))
            fine = fine & within(inverse * (lowest - min)) & within(inverse * (high - min));
        for (int i = 0; i < N; ++i) {
            F v = inverse * (x[i] - min);
            if (BOUNDED && bounded)
                v = lesser(greater(v, zero), all((float)NMAX));  // NaN becomes 0
            if (EXACT && !(BOUNDED && bounded))
                l[i] = to_float(clamp(nearest_wrapped(v), 0, NMAX));
            else
                l[i] = nearest(v, 0.f, (float)NMAX);
        }
    };
    auto error_of = [&](F scale, F offset) __attribute__((always_inline)) {
        F error = zero;
        for (int i = 0; i < N; ++i) {
            F diff = scale * l[i] + offset - x[i];
            error = error + w[i] * (MAD ? absolute(diff) : diff * diff);
        }
        return error;
    };
    auto divided = [&](float numerator) __attribute__((always_inline)) {
        return all(numerator) / select(flat, all(1.f), high - min);
    };

    Fit best;
    best.inverse = divided((float)NMAX);
    best.offset = min;
    best.later = all_int(0);
    best.scale = all(1.f) / best.inverse;
    levels(best.inverse, false);
    F best_error = error_of(best.scale, min);
    for (int step = 0; step <= steps; ++step) {
        const F inverse = divided(rmin + rdelta * (float)step + (float)NMAX);
        levels(inverse, true);
        F sum_l = zero, sum_l2 = zero, sum_xl = zero;
        for (int i = 0; i < N; ++i) {
            F wl = w[i] * l[i];
            sum_l = sum_l + wl;
            sum_l2 = sum_l2 + wl * l[i];
            sum_xl = sum_xl + wl * x[i];
        }
        const F det = sum_w * sum_l2 - sum_l * sum_l;
        F scale = (sum_w * sum_xl - sum_x * sum_l) / det;
        F offset = (sum_l2 * sum_x - sum_l * sum_xl) / det;
        const I above = offset > zero;
        scale = select(above, sum_xl / sum_l2, scale);
        offset = select(above, zero, offset);
        const F error = error_of(scale, offset);
        const I better = (det > zero) & (error < best_error);
        best_error = select(better, error, best_error);
        best.scale = select(better, scale, best.scale);
        best.inverse = select(better, inverse, best.inverse);
        best.offset = select(better, min, best.offset);
        best.later = best.later | better;
        min = select(better, offset, min);  // later steps measure from the new minimum
    }
    if (!EXACT && any(~(fine | flat))) return false;
    best.flat = flat;
    best.minus = -select(flat, select(low > zero, zero, low), min);
    best.scale = select(flat, zero, best.scale);
    *out = best;
    return true;
}

template <int N, int NMAX, bool MAD, bool BOUNDED, bool EXACT>
__attribute__((noinline)) bool fit_min_call(const F* x, const F* w, float rmin, float rdelta, int steps, Fit* out) {
    return fit_min<N, NMAX, MAD, BOUNDED, EXACT>(x, w, rmin, rdelta, steps, out);
}

template <int N, int NMAX, bool MAD, bool BOUNDED>
INLINE void fit_min(const F* x, const F* w, float rmin, float rdelta, int steps, Fit* out) {
    if (!fit_min_call<N, NMAX, MAD, BOUNDED, false>(x, w, rmin, rdelta, steps, out))
        fit_min_call<N, NMAX, MAD, BOUNDED, true>(x, w, rmin, rdelta, steps, out);
}

// The levels of one sub-block as the search left them: needed only where the stored scale is 0.
INLINE void levels_of(const float* x, int n, int nmax, bool bounded, float inverse, float offset, uint8_t* l) {
    for (int i = 0; i < n; ++i) {
        float v = inverse * (x[i] - offset);
        if (bounded) v = v > 0 ? (v < (float)nmax ? v : (float)nmax) : 0;
        l[i] = (uint8_t)clamp(nearest_int(v), 0, nmax);
    }
}

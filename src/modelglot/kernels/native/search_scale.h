// Searches for x ~ scale * l, -NMAX <= l < NMAX, in every lane, and the fit of a super-block's scales.
#pragma once
#include "scalar.h"

#define TINY 1e-15f  // sub-blocks whose numbers are all smaller become 0

INLINE void largest(const F* x, int n, F* amax, F* max) {  // the first of equal magnitude decides the sign
    *amax = *max = all(0.f);
    for (int i = 0; i < n; ++i) {
        F a = absolute(x[i]);
        *max = select(a > *amax, x[i], *max);
        *amax = greater(a, *amax);
    }
}

// The winner: l = nearest(inverse * x), all -NMAX where `flat`.
struct Scale { F scale, inverse; I flat; };

// Q6_K, Q3_K with importances, Q4_0 and Q5_0 with importances. w: weights, or null for x * x. WRAPPED: x are
// themselves results, perhaps infinite or NaN.
template <int N, int NMAX, bool WRAPPED = false>
__attribute__((noinline)) void fit_scale(const F* x, const F* w, Scale* out) {
    const F zero = all(0.f);
    F amax, max, wx[N], ww[N];
    largest(x, N, &amax, &max);
    const I flat = amax < all(TINY);
    for (int i = 0; i < N; ++i) {
        ww[i] = w ? w[i] : x[i] * x[i];
        wx[i] = ww[i] * x[i];
    }
    const F divisor = select(flat, all(1.f), max);
    auto sums = [&](F inverse, F* lx, F* l2) __attribute__((always_inline)) {
        *lx = *l2 = zero;
        for (int i = 0; i < N; ++i) {
            F l = WRAPPED ? to_float(clamp(nearest_wrapped(inverse * x[i]), -NMAX, NMAX - 1))
                          : nearest(inverse * x[i], -(float)NMAX, (float)(NMAX - 1));
            *lx = *lx + wx[i] * l;
            *l2 = *l2 + ww[i] * l * l;
        }
    };
    F inverse = all(-(float)NMAX) / divisor, lx, l2;
    sums(inverse, &lx, &l2);
    F scale = select(l2 != zero, lx / l2, zero);
    F best = scale * lx;
    for (int step = -9; step <= 9; ++step) {
        if (step == 0) continue;
        const F trial = all(-((float)NMAX + 0.1f * (float)step)) / divisor;
        sums(trial, &lx, &l2);
        const I better = (l2 > zero) & (lx * lx > best * l2);
        const F found = lx / l2;
        scale = select(better, found, scale);
        best = select(better, found * lx, best);
        inverse = select(better, trial, inverse);
    }
    *out = {select(flat, zero, scale), inverse, flat};
}

// Q3_K without importances: one guess, then one level at a time while the fit improves, at most five rounds.
// l: the levels, -NMAX..NMAX-1.
template <int N, int NMAX> __attribute__((noinline)) void fit_by_steps(const F* x, F* l, F* scale_out, I* flat_out) {
    const F zero = all(0.f);
    F amax, max, w[N], wx[N];
    largest(x, N, &amax, &max);
    const I flat = amax < all(TINY);
    const F inverse = all(-(float)NMAX) / select(flat, all(1.f), max);
    F lx = zero, l2 = zero;
    for (int i = 0; i < N; ++i) {
        l[i] = nearest(inverse * x[i], -(float)NMAX, (float)(NMAX - 1));
        w[i] = x[i] * x[i];
        wx[i] = w[i] * x[i];
        lx = lx + wx[i] * l[i];
        l2 = l2 + w[i] * l[i] * l[i];
    }
    for (int round = 0; round < 5; ++round) {
        I changed = all_int(0);
        for (int i = 0; i < N; ++i) {
            const F old = l[i];
            const F rest_lx = lx - wx[i] * old, rest_l2 = l2 - w[i] * old * old;
            const F next = to_float(clamp(nearest_wrapped(x[i] * rest_l2 / rest_lx), -NMAX, NMAX - 1));
            const F new_lx = rest_lx + wx[i] * next, new_l2 = rest_l2 + w[i] * next * next;
            const I better = (rest_lx > zero) & (next != old) & (new_l2 > zero)
                & (new_lx * new_lx * l2 > lx * lx * new_l2) & ~flat;
            l[i] = select(better, next, old);
            lx = select(better, new_lx, lx);
            l2 = select(better, new_l2, l2);
            changed = changed | better;
        }
        if (!any(changed)) break;
    }
    *scale_out = select(flat, zero, select(l2 > zero, lx / l2, zero));
    *flat_out = flat;
}

// The scales (or minimums) of super-blocks, one super-block a lane: x ~ result * l, l a byte, mostly 0..nmax.
template <int N> __attribute__((noinline)) F fit_scales(const F* x, const F* w, int nmax, I* l) {
    const F zero = all(0.f);
    F max = zero;
    for (int i = 0; i < N; ++i) max = select(max > x[i], max, x[i]);
    const I flat = max < all(TINY);
    const I top = all_int(nmax), byte = all_int(255);
    const F divisor = select(flat, all(1.f), max);
    F inverse = all((float)nmax) / divisor, best = zero;
    const F scale = all(1.f) / inverse;
    for (int i = 0; i < N; ++i) {
        F diff = x[i] - scale * to_float(nearest_wrapped(inverse * x[i]) & byte);
        best = best + w[i] * diff * diff;
    }
    for (int step = -4; step <= 4; ++step) {
        if (step == 0) continue;
        const F trial = all(0.1f * (float)step + (float)nmax) / divisor, size = all(1.f) / trial;
        F error = zero;
        for (int i = 0; i < N; ++i) {
            I n = nearest_wrapped(trial * x[i]);
            F diff = x[i] - size * to_float(select(n > top, top, n));
            error = error + w[i] * diff * diff;
        }
        const I better = error < best;
        best = select(better, error, best);
        inverse = select(better, trial, inverse);
    }
    F lx = zero, l2 = zero;
    for (int i = 0; i < N; ++i) {
        I n = nearest_wrapped(inverse * x[i]);
        n = select(n > top, top, n);
        l[i] = n & byte;
        const F f = to_float(n);
        lx = lx + w[i] * x[i] * f;
        l2 = l2 + w[i] * f * f;
    }
    for (int round = 0; round < 5; ++round) {
        I changed = all_int(0);
        for (int i = 0; i < N; ++i) {
            const F old = to_float(l[i]);
            const F rest_lx = lx - w[i] * x[i] * old, rest_l2 = l2 - w[i] * old * old;
            I n = nearest_wrapped(x[i] * rest_l2 / rest_lx);
            n = select(n > top, top, n);
            const F f = to_float(n);
            const F new_lx = rest_lx + w[i] * x[i] * f, new_l2 = rest_l2 + w[i] * f * f;
            const I better = (rest_lx > zero) & (rest_l2 > zero) & (n != l[i])
                & (new_lx * new_lx * l2 > lx * lx * new_l2);
            l[i] = select(better, n & byte, l[i]);
            lx = select(better, new_lx, lx);
            l2 = select(better, new_l2, l2);
            changed = changed | better;
        }
        if (!any(changed)) break;
    }
    for (int i = 0; i < N; ++i) l[i] = select(flat, all_int(0), l[i]);
    return select(flat, zero, select(l2 > zero, lx / l2, zero));
}

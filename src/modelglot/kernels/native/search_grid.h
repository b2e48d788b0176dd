// Searches for x ~ scale * (2 * l + 1) where the levels l of every group are a point of a codebook: IQ2 and IQ3.
#pragma once
#include "batch.h"
#include "codebook.h"
#include "search_scale.h"

// How a type searches. SUB: elements that share a scale; STEPS guesses each way, STEP apart; SMALLEST: sub-blocks
// whose numbers are all smaller become 0; EVEN: minus signs come in pairs, eight by eight; ALL: when one group is
// fitted again, so are all of the sub-block.
#define SEARCH(NAME, BITS_, SUB_, STEPS_, STEP_, SMALLEST_, EVEN_, ALL_)                                              \
    struct NAME {                                                                                                     \
        static constexpr int BITS = BITS_, SUB = SUB_, STEPS = STEPS_;                                                \
        static constexpr float STEP = STEP_, SMALLEST = SMALLEST_;                                                    \
        static constexpr bool EVEN = EVEN_, ALL = ALL_, GUESSED = STEPS_ == 6;                                        \
        static constexpr int SIZE = Group<BITS_>::SIZE, GROUPS = SUB_ / SIZE, TOP = 2 * Group<BITS_>::LEVELS - 1;     \
    };
SEARCH(SearchIq2Xxs, 2, 32, 6, 0.1f, TINY, true, true)
SEARCH(SearchIq2Xs, 2, 16, 9, 0.1f, TINY, true, false)
SEARCH(SearchIq2S, 2, 16, 9, 0.1f, 1e-8f, false, false)
SEARCH(SearchIq3Xxs, 3, 32, 15, 0.2f, 1e-8f, true, false)
SEARCH(SearchIq3S, 3, 32, 9, 0.2f, FLT_TRUE_MIN, false, true)

// LANES sub-blocks: a scale (negative: all signs turn), a key a group and a byte of signs for eight elements.
template <class T> struct Found { F scale; I keys[T::GROUPS], signs[T::SUB / 8], flat; };

// x becomes |x|; where minus signs come in pairs, the least weighty number of an odd eight takes the other sign.
template <class T> INLINE void take_signs(F* x, const F* w, I* signs) {
    for (int k = 0; k < T::SUB / 8; ++k, x += 8, w += 8) {
        I minus = all_int(0), odd = all_int(0), where = all_int(0);
        F least = w[0] * x[0] * x[0];
        for (int i = 0; i < 8; ++i) {
            const I below = ~(x[i] >= all(0.f));
            minus = minus | (below & all_int(1 << i));
            odd = odd ^ below;
            const F weight = w[i] * x[i] * x[i];
            const I less = weight < least;
            least = select(less, weight, least);
            where = select(less, all_int(i), where);
            x[i] = select(below, -x[i], x[i]);
        }
        for (int i = 0; T::EVEN && i < 8; ++i) {
            const I turned = odd & (where == all_int(i));
            x[i] = select(turned, -x[i], x[i]);
            minus = minus ^ (turned & all_int(1 << i));
        }
        signs[k] = T::EVEN ? minus & all_int(127) : minus;
    }
}

template <class T> INLINE I key_of(const F* x, F inverse) {
    I key = all_int(0);
    for (int i = 0; i < T::SIZE; ++i) {
        const I level = clamp(nearest_wrapped(all(0.5f) * (inverse * x[i] - all(1.f))), 0, T::TOP / 2);
        key = key | level << T::BITS * i;
    }
    return key;
}

// Keys that are no point become the nearest candidate's, in lanes where `wanted`.
template <class T>
INLINE I on_grid(const Codebook* book, I keys, I wanted, const F* x, const F* roots, F scale) {
    alignas(64) int32_t key[LANES], want[LANES];
    alignas(64) float size[LANES];
    store(key, keys);
    store(want, wanted);
    store(size, scale);
    for (int lane = 0; lane < LANES; ++lane) {
        const Near near = book->near[key[lane]];
        if (!near.count || !want[lane]) continue;
        float levels[8];
        for (int l = 0; l < 8; ++l) levels[l] = size[lane] * (float)(2 * l + 1);
        key[lane] = nearest_point<T::BITS>(book, near, levels, (const float*)x + lane, (const float*)roots + lane);
    }
    I found;
    memcpy(&found, key, sizeof found);
    return found;
}

template <class T> INLINE void sums_of(const F* wx, const F* w, const I* keys, F* qx, F* q2) {
    *qx = *q2 = all(0.f);
    for (int k = 0; k < T::GROUPS; ++k)
        for (int i = 0; i < T::SIZE; ++i, ++wx, ++w) {
            const I level = keys[k] >> T::BITS * i & all_int((1 << T::BITS) - 1);
            const F q = to_float((level << 1) + all_int(1));
            *qx = *qx + *wx * q;
            *q2 = *q2 + *w * q * q;
        }
}

// x, weights: LANES rows of SUB.
template <class T>
__attribute__((noinline)) void fit_grid(const float* rows, const float* weights, const Codebook* book, Found<T>* out) {
    const F zero = all(0.f), one = all(1.f);
    F x[T::SUB], w[T::SUB], roots[T::SUB], wx[T::SUB];
    load_lanes<T::SUB>(rows, T::SUB, x);
    load_lanes<T::SUB>(weights, T::SUB, w);
    take_signs<T>(x, w, out->signs);
    F max = x[0];
    for (int i = 0; i < T::SUB; ++i) {
        roots[i] = root(w[i]);
        wx[i] = w[i] * x[i];
        max = greater(max, x[i]);
    }
    I flat = max < all(T::SMALLEST);
    F scale = max / all((float)T::TOP), span = max;
    if constexpr (T::GUESSED) {
        I levels[T::SUB];
        scale = fit_scales<T::SUB>(x, w, T::TOP / 2 + 2, levels);
        span = scale * all((float)(T::TOP / 2 + 1));
        flat = flat | (span <= zero);
    }
    span = select(flat, one, span);
    F best = zero, qx, q2;
    I found[T::GROUPS], point[T::GROUPS];  // point: the levels were a point by themselves
    for (int k = 0; k < T::GROUPS; ++k) out->keys[k] = all_int(0), point[k] = all_int(T::ALL ? 0 : -1);
    for (int step = -T::STEPS; step <= T::STEPS; ++step) {
        const F inverse = all((float)T::TOP + (float)step * T::STEP) / span, size = one / inverse;
        I raw[T::GROUPS];
        for (int k = 0; k < T::GROUPS; ++k) {
            raw[k] = key_of<T>(x + k * T::SIZE, inverse);
            found[k] = on_grid<T>(book, raw[k], ~flat, x + k * T::SIZE, roots + k * T::SIZE, size);
        }
        sums_of<T>(wx, w, found, &qx, &q2);
        const I better = (q2 > zero) & (qx * qx > best * q2) & ~flat;
        scale = select(better, qx / q2, scale);
        best = select(better, scale * qx, best);
        for (int k = 0; k < T::GROUPS; ++k) {
            out->keys[k] = select(better, found[k], out->keys[k]);
            point[k] = select(better, found[k] == raw[k], point[k]);
        }
    }
    I again = all_int(T::GUESSED ? -1 : 0);
    for (int k = 0; k < T::GROUPS; ++k) again = again | ~point[k];
    again = again & (scale > zero) & ~flat;
    const F inverse = one / select(again, scale, one);
    for (int k = 0; k < T::GROUPS; ++k) {
        const I wanted = T::ALL ? again : again & ~point[k];
        found[k] = key_of<T>(x + k * T::SIZE, inverse);
        found[k] = on_grid<T>(book, found[k], wanted, x + k * T::SIZE, roots + k * T::SIZE, scale);
        out->keys[k] = select(wanted, found[k], out->keys[k]);
    }
    sums_of<T>(wx, w, out->keys, &qx, &q2);
    scale = select(again & (q2 > zero), qx / q2, scale);
    out->scale = select(flat, zero, scale);
    out->flat = flat;
}

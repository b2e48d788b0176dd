// Codebooks of the IQ1, IQ2 and IQ3 blocks: which of their points lie near a group of levels that is none of them.
//
// A key packs the levels of a group, BITS each: 8 levels of 0..2, or 4 of 0..7. A key that is no point has candidates:
// the points at its least distances, as many distances as `shells`, ordered by distance, then index.
#pragma once
#include <atomic>
#include <cfloat>
#include <cstdlib>

#include "dequant_grid.h"

struct Near {
    uint32_t at;  // where its candidates begin
    uint16_t count, index;  // count 0: the key is the point `index`
};
struct Codebook {
    Near* near;  // by key
    uint16_t* keys;  // of points
    uint16_t* lists;  // keys of candidates; each list is filled up with its last one to whole vectors of 8
};

template <int BITS> struct Group {
    static constexpr int SIZE = BITS == 2 ? 8 : 4, LEVELS = BITS == 2 ? 3 : 8;
    static constexpr int KEYS = BITS == 2 ? 0xaaaa + 1 : 0x1000;
    static int level(uint32_t key, int k) { return (int)(key >> BITS * k) & ((1 << BITS) - 1); }
    static bool valid(uint32_t key) { return BITS == 3 || !(key & key >> 1 & 0x5555); }
};

// The key of every point. Levels count the grid's values from the least, -1 or 1 or 4 or 8, in steps of `step`.
template <int BITS> static void point_keys(const uint8_t* grid, int points, int step, uint16_t* keys) {
    for (int p = 0; p < points; ++p) {
        uint32_t key = 0;
        for (int k = 0; k < Group<BITS>::SIZE; ++k, ++grid)
            key |= (uint32_t)(step == 1 ? (int8_t)*grid + 1 : *grid / step) << BITS * k;
        keys[p] = (uint16_t)key;
    }
}

// Candidates of a key, into `list` where one is given; returns how many. columns: the points' levels, one level of all
// points after the other; away: room for a distance a point.
template <int BITS>
static int candidates(
    uint32_t key, const uint8_t* columns, const uint16_t* keys, int points, int shells, uint8_t* away, uint16_t* list) {
    int seen[256] = {}, count = 0;
    memset(away, 0, (size_t)points);
    for (int k = 0; k < Group<BITS>::SIZE; ++k) {
        const uint8_t own = (uint8_t)Group<BITS>::level(key, k), *column = columns + k * points;
        for (int p = 0; p < points; ++p) {
            const uint8_t diff = (uint8_t)(column[p] - own);
            away[p] = (uint8_t)(away[p] + (uint8_t)(diff * diff));
        }
    }
    for (int p = 0; p < points; ++p) ++seen[away[p]];
    for (int d = 0; d < 256 && shells; ++d) {
        if (!seen[d]) continue;
        --shells;
        for (int p = 0; list && p < points; ++p)
            if (away[p] == d) list[count++] = keys[p];
        if (!list) count += seen[d];
    }
    return count;
}

static void discard(const Codebook& book) {
    free(book.near);
    free(book.keys);
    free(book.lists);
}

// Null where no memory is left.
template <int BITS> static Codebook* build(const void* grid, int points, int step, int shells) {
    constexpr int SIZE = Group<BITS>::SIZE, KEYS = Group<BITS>::KEYS;
    Near* near = (Near*)calloc(KEYS, sizeof(Near));
    Codebook* book = (Codebook*)malloc(sizeof(Codebook));
    uint16_t *keys = (uint16_t*)malloc((size_t)points * 2), *lists = nullptr;
    uint8_t* columns = (uint8_t*)malloc((size_t)points * (SIZE + 1));
    if (near && book && keys && columns) {
        uint8_t* away = columns + SIZE * points;
        point_keys<BITS>((const uint8_t*)grid, points, step, keys);
        for (int i = 0; i < SIZE * points; ++i)
            columns[i] = (uint8_t)Group<BITS>::level(keys[i % points], i / points);
        uint32_t size = 0;
        for (uint32_t key = 0; key < KEYS; ++key) {
            near[key].at = size;
            if (Group<BITS>::valid(key))
                near[key].count = (uint16_t)candidates<BITS>(key, columns, keys, points, shells, away, nullptr);
            size += (near[key].count + 7u) & ~7u;
        }
        for (int p = 0; p < points; ++p) near[keys[p]].count = 0, near[keys[p]].index = (uint16_t)p;
        lists = (uint16_t*)malloc(size * sizeof(uint16_t));
        for (uint32_t key = 0; lists && key < KEYS; ++key) {
            const Near& own = near[key];
            uint16_t* list = lists + own.at;
            if (own.count) candidates<BITS>(key, columns, keys, points, shells, away, list);
            for (int i = own.count; i % 8; ++i) list[i] = list[own.count - 1];
        }
    }
    free(columns);
    if (book) *book = {near, keys, lists};
    if (lists) return book;
    discard(book ? *book : Codebook{near, keys, lists});
    free(book);
    return nullptr;
}

// A codebook, built by whoever asks first. Two threads may build it at once; one of them keeps its own.
#define CODEBOOK(name, bits, points, step, shells)                                                                    \
    static const Codebook* codebook_##name() {                                                                        \
        static std::atomic<Codebook*> kept{nullptr};                                                                  \
        Codebook *found = kept.load(std::memory_order_acquire), *none = nullptr;                                      \
        if (found) return found;                                                                                      \
        found = build<bits>(grids.name, points, step, shells);                                                        \
        if (found && !kept.compare_exchange_strong(none, found)) {                                                    \
            discard(*found);                                                                                          \
            free(found);                                                                                              \
            return none;                                                                                              \
        }                                                                                                             \
        return found;                                                                                                 \
    }
CODEBOOK(iq2_xxs, 2, 256, 17, 2) CODEBOOK(iq2_xs, 2, 512, 17, 2) CODEBOOK(iq2_s, 2, 1024, 17, 1)
CODEBOOK(iq1_s, 2, 2048, 1, 3) CODEBOOK(iq3_xxs, 3, 256, 8, 2) CODEBOOK(iq3_s, 3, 512, 2, 3)

// The candidate nearest to a group's numbers x with weights w, where `levels` are the numbers its levels stand for: the
// first of the least sums of (w * diff) * diff. Numbers of a group lie LANES apart, one lane of many. Returns its key.
template <int BITS>
INLINE int nearest_point(const Codebook* book, Near own, const float* levels, const float* x, const float* w) {
    constexpr int SIZE = Group<BITS>::SIZE;
    const uint16_t* list = book->lists + own.at;
#if defined(__AVX2__)
    __m256 cost[SIZE];  // of every level: a table that a register holds
    const __m256 value = BITS == 2 ? _mm256_broadcast_ps((const __m128*)levels) : _mm256_loadu_ps(levels);
    for (int k = 0; k < SIZE; ++k) {
        const __m256 diff = _mm256_sub_ps(value, _mm256_broadcast_ss(x + k * LANES));
        cost[k] = _mm256_mul_ps(_mm256_mul_ps(_mm256_broadcast_ss(w + k * LANES), diff), diff);
    }
    auto costs = [&](int at) __attribute__((always_inline)) {
        const __m256i keys = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)(list + at)));
        __m256 sum = _mm256_setzero_ps();
        for (int k = 0; k < SIZE; ++k) {  // the high bits of an index are not looked at
            const __m256i level = _mm256_srli_epi32(keys, BITS * k);
            const __m256 part = BITS == 2 ? _mm256_permutevar_ps(cost[k], level)
                                          : _mm256_permutevar8x32_ps(cost[k], level);
            sum = k ? _mm256_add_ps(sum, part) : part;
        }
        return sum;
    };
    __m256 best = _mm256_set1_ps(FLT_MAX);
    __m256i where = _mm256_setzero_si256(), at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int i = 0; i < own.count; i += 8) {
        const __m256 sum = costs(i), better = _mm256_cmp_ps(sum, best, _CMP_LT_OQ);
        best = _mm256_min_ps(sum, best);
        where = _mm256_blendv_epi8(where, at, _mm256_castps_si256(better));
        at = _mm256_add_epi32(at, _mm256_set1_epi32(8));
    }
    __m256 least = _mm256_min_ps(best, _mm256_permute2f128_ps(best, best, 1));
    least = _mm256_min_ps(least, _mm256_permute_ps(least, 0x4e));
    least = _mm256_min_ps(least, _mm256_permute_ps(least, 0xb1));
    uint32_t lanes = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(best, least, _CMP_EQ_OQ));
    alignas(32) int32_t found[8];
    _mm256_store_si256((__m256i*)found, where);
    int first = found[__builtin_ctz(lanes | 256)];
    while (lanes &= lanes - 1) {
        const int other = found[__builtin_ctz(lanes)];
        first = other < first ? other : first;
    }
    return list[first];
#else
    float cost[SIZE][1 << BITS];
    for (int k = 0; k < SIZE; ++k)
        for (int l = 0; l < Group<BITS>::LEVELS; ++l) {
            const float diff = levels[l] - x[k * LANES];
            cost[k][l] = w[k * LANES] * diff * diff;
        }
    float best = FLT_MAX;
    int first = list[0];
    for (int i = 0; i < own.count; ++i) {
        float sum = cost[0][Group<BITS>::level(list[i], 0)];
        for (int k = 1; k < SIZE; ++k) sum += cost[k][Group<BITS>::level(list[i], k)];
        first = sum < best ? list[i] : first;
        best = sum < best ? sum : best;
    }
    return first;
#endif
}

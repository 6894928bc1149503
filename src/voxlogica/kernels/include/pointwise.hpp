// One pass over a field, with or without a mask: selection, weighted sum of components, extremes, sum.
//
// Masks have zero tails: fields.py has checked it, and every loop over true voxels stays inside its row for it.
// The bits of a mask are read 32 at a time, as many as the lanes of the widest vectors of floats; where a voxel is not
// in the mask its value is replaced, never skipped, so that the loops have no branches inside.

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "bits.hpp"
#include "convert.hpp"
#include "parallel.hpp"
#include "voxels.hpp"

namespace voxlogica {

inline constexpr std::size_t half_bits = 32;

/// The bits of voxels [x, x + 32) of a row.
inline std::uint32_t half_word(const Word* row, std::size_t x) {
    return static_cast<std::uint32_t>(row[x / word_bits] >> (x % word_bits));
}

/// Call body(x) for each true bit of a row, in order.
template <class Body>
inline void for_each_true(const Word* row, std::size_t nw, const Body& body) {
    for (std::size_t w = 0; w < nw; ++w) {
        if (row[w] == ~Word{0}) {
            for (std::size_t i = 0; i < word_bits; ++i) body(w * word_bits + i);
            continue;
        }
        for (Word word = row[w]; word != 0; word &= word - 1) {
            body(w * word_bits + static_cast<std::size_t>(std::countr_zero(word)));
        }
    }
}

VOXLOGICA_CLONES
static void select_row(const float* field, const Word* words, std::size_t nx, float* out) {
    for (std::size_t x = 0; x < nx; x += half_bits) {
        const std::uint32_t bits = half_word(words, x);
        const std::size_t n = std::min(half_bits, nx - x);
        for (std::size_t i = 0; i < n; ++i) out[x + i] = (bits >> i & 1) != 0 ? field[x + i] : 0.0F;
    }
}

/// The field where the mask is true, else zero.
inline void masked(const Voxels& field, const Word* words, const Grid& grid, int threads, float* out) {
    parallel_chunks(grid.rows(), 1 + 16384 / grid.nx, threads, [&](std::size_t begin, std::size_t end) {
        const RowReader row(field, grid);
        for (std::size_t r = begin; r < end; ++r) {
            select_row(row(r), words + r * grid.nw, grid.nx, out + r * grid.nx);
        }
    });
}

/// Luminance of n voxels of `step` components, the first three red, green, blue (ITU-R BT.709 weights), in float32.
VOXLOGICA_CLONES
static void luminance(const float* components, std::size_t step, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const float* c = components + i * step;
        out[i] = 0.2126F * c[0] + (0.7152F * c[1] + 0.0722F * c[2]);
    }
}

/// What a mask selects: how many voxels, between which order keys, and whether all are integers of less than 2^22.
struct Survey {
    std::uint64_t count = 0;
    std::int32_t low = 0x7fffffff, high = -0x7fffffff - 1;
    bool integral = true;

    /// NaNs have the keys below that of -inf and above that of inf.
    bool has_nan() const {
        constexpr float inf = std::numeric_limits<float>::infinity();
        return count > 0 && (low < order_key(-inf) || high > order_key(inf));
    }
};

/// The float of an order key.
inline float of_order_key(std::int32_t key) { return std::bit_cast<float>(key ^ ((key >> 31) & 0x7fffffff)); }

/// Widens what was met by a row; whether all are integers costs as much again, and is seen only on request.
template <bool integral>
[[gnu::always_inline]] inline void survey_bits(const float* field, const Word* words, std::size_t nx, Survey& met) {
    // Below 2^22, adding 1.5 * 2^23 leaves no bit for a fraction: what comes back is the nearest integer.
    constexpr float too_large = 4194304.0F, no_fraction = 12582912.0F;
    std::int32_t low = met.low, high = met.high, fractions = 0;
    for (std::size_t x = 0; x < nx; x += half_bits) {
        const std::uint32_t bits = half_word(words, x);
        const std::size_t n = std::min(half_bits, nx - x);
        if (bits == 0) continue;
        met.count += static_cast<unsigned>(std::popcount(bits));
        for (std::size_t i = 0; i < n; ++i) {
            const auto in = -static_cast<std::int32_t>(bits >> i & 1);  // all bits or none: no branch, so vectors
            const std::int32_t key = order_key(field[x + i]);
            low = std::min(low, (key & in) | (0x7fffffff & ~in));
            high = std::max(high, (key & in) | ((-0x7fffffff - 1) & ~in));
            if constexpr (integral) {
                const float value = std::bit_cast<float>(std::bit_cast<std::int32_t>(field[x + i]) & in);
                const float nearest = (value + no_fraction) - no_fraction;
                fractions |= !(nearest == value) | !(std::fabs(value) < too_large);
            }
        }
    }
    met.low = low;
    met.high = high;
    met.integral = met.integral && fractions == 0;
}

// One name for each: clones are not made of templates.

VOXLOGICA_CLONES
static void survey_row(const float* field, const Word* words, std::size_t nx, Survey& met) {
    survey_bits<true>(field, words, nx, met);
}

VOXLOGICA_CLONES
static void widen_row(const float* field, const Word* words, std::size_t nx, Survey& met) {
    survey_bits<false>(field, words, nx, met);
}

/// The least and the largest order key of n numbers that are met.
VOXLOGICA_CLONES
static void widen(const float* numbers, std::size_t n, Survey& met) {
    std::int32_t low = met.low, high = met.high;
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t key = order_key(numbers[i]);
        low = std::min(low, key);
        high = std::max(high, key);
    }
    met.low = low;
    met.high = high;
    met.count += n;
}

inline Survey survey(const Voxels& field, const Word* words, const Grid& grid) {
    const RowReader row(field, grid);
    Survey met;
    for (std::size_t r = 0; r < grid.rows(); ++r) survey_row(row(r), words + r * grid.nw, grid.nx, met);
    return met;
}

/// How many voxels there are, the least and the largest.
inline Survey extremes(const Voxels& field, const Word* words, const Grid& grid) {
    const RowReader row(field, grid);
    Survey met;
    for (std::size_t r = 0; r < grid.rows(); ++r) widen_row(row(r), words + r * grid.nw, grid.nx, met);
    return met;
}

/// The sums of eight lanes, x modulo 8, to which a row is added: the fixed order that makes a sum the same everywhere.
struct Lanes {
    double sum[8] = {};
};

VOXLOGICA_CLONES
static void add_row(const float* field, const Word* words, std::size_t nx, Lanes& lanes) {
    Lanes held = lanes;
    for (std::size_t x = 0; x < nx; x += half_bits) {
        const std::uint32_t bits = half_word(words, x);
        if (bits == 0) continue;
        float part[half_bits];
        const std::size_t n = std::min(half_bits, nx - x);
        for (std::size_t i = 0; i < n; ++i) part[i] = (bits >> i & 1) != 0 ? field[x + i] : 0.0F;
        for (std::size_t i = n; i < half_bits; ++i) part[i] = 0.0F;
        for (std::size_t i = 0; i < half_bits; i += 8) {
            for (std::size_t lane = 0; lane < 8; ++lane) held.sum[lane] += static_cast<double>(part[i + lane]);
        }
    }
    lanes = held;
}

/// The sum of the lanes, in an order that is fixed.
inline double total(const Lanes& lanes) {
    const double* s = lanes.sum;
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/// The sum over the mask, in double, in an order fixed by the shape alone.
inline double sum(const Voxels& field, const Word* words, const Grid& grid) {
    const RowReader row(field, grid);
    Lanes lanes;
    for (std::size_t r = 0; r < grid.rows(); ++r) add_row(row(r), words + r * grid.nw, grid.nx, lanes);
    return total(lanes);
}

/// `extremes` and `sum` row by row: what one has read lies in the cache for the other.
inline double extremes_and_sum(const Voxels& field, const Word* words, const Grid& grid, Survey& met) {
    const RowReader row(field, grid);
    Lanes lanes;
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        const float* voxels = row(r);
        widen_row(voxels, words + r * grid.nw, grid.nx, met);
        add_row(voxels, words + r * grid.nw, grid.nx, lanes);
    }
    return total(lanes);
}

}  // namespace voxlogica

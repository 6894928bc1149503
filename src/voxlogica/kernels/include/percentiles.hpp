// The rank of every voxel of a mask among the values of that mask: (below + c * equal) / n, in float32 steps.
//
// Integers in a small range are counted (counting sort; H. H. Seward, 1954). Other values become unsigned integers of
// the same order, and are dealt into buckets by their leading digits, again and again until a bucket is small (radix
// exchange from the most significant digit: P. Hildebrandt, H. Isbitz, J. ACM 6(2), 1959; digits are counted from the
// smallest key of the bucket, so that skew costs a level and not a scan of empty buckets). Dealing keeps the order of
// the voxels inside a bucket, so that the results are collected by dealing a second time, in reverse: no index of a
// voxel is ever stored, sorted or followed, and memory is read and written in streams.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bits.hpp"
#include "convert.hpp"
#include "parallel.hpp"
#include "pointwise.hpp"
#include "voxels.hpp"

namespace voxlogica {

/// The rank of a value, every step in float32 as version 1 of VoxLogicA has it (decision C26).
struct RankFormula {
    float weight, population;

    float operator()(std::uint64_t below, std::uint64_t equal) const {
        return (static_cast<float>(below) + weight * static_cast<float>(equal)) / population;
    }
};

/// The rank of each integer of [low, low + range), of which all those in the mask are.
inline void rank_table(const Voxels& field, const Word* words, const Grid& grid, std::int32_t low, std::size_t range,
                       float weight, float* ranks) {
    // Neighbours often have the same value; two counters in turn, and an increment need not wait for the one before.
    std::vector<std::array<std::uint64_t, 2>> counts(range);
    const RowReader voxels(field, grid);
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        const float* row = voxels(r);
        for_each_true(words + r * grid.nw, grid.nw, [&](std::size_t x) {
            ++counts[static_cast<std::size_t>(static_cast<std::int32_t>(row[x]) - low)][x % 2];
        });
    }
    std::uint64_t population = 0, below = 0;
    for (const auto& [even, odd] : counts) population += even + odd;
    const RankFormula formula{weight, static_cast<float>(population)};
    for (std::size_t value = 0; value < range; ++value) {
        const std::uint64_t equal = counts[value][0] + counts[value][1];
        ranks[value] = formula(below, equal);
        below += equal;
    }
}

/// Ranks of such integers, given the table; -1 outside the mask.
inline void rank_by_table(const Voxels& field, const Word* words, const Grid& grid, std::int32_t low, const float* ranks,
                          int threads, float* out) {
    parallel_chunks(grid.rows(), 1 + 16384 / grid.nx, threads, [&](std::size_t begin, std::size_t end) {
        const RowReader voxels(field, grid);
        for (std::size_t r = begin; r < end; ++r) {
            const float* row = voxels(r);
            float* to = out + r * grid.nx;
            std::fill_n(to, grid.nx, -1.0F);
            for_each_true(words + r * grid.nw, grid.nw, [&](std::size_t x) {
                to[x] = ranks[static_cast<std::size_t>(static_cast<std::int32_t>(row[x]) - low)];
            });
        }
    });
}

using Key = std::uint32_t;

/// Ranks take the place of the keys, as the bits of floats: the buffers are as large as the image.
inline Key rank_bits(float rank) { return std::bit_cast<Key>(rank); }

/// The few keys of a bucket, each compared with all; at most `few`.
inline constexpr std::size_t few = 32;

VOXLOGICA_CLONES
static void rank_few(Key* keys, std::size_t n, std::uint64_t below, RankFormula formula) {
    Key ranks[few];
    for (std::size_t i = 0; i < n; ++i) {
        std::uint32_t less = 0, equal = 0;
        for (std::size_t j = 0; j < n; ++j) {
            less += keys[j] < keys[i];
            equal += keys[j] == keys[i];
        }
        ranks[i] = rank_bits(formula(below + less, equal));
    }
    std::copy_n(ranks, n, keys);
}

struct KeySpan {
    Key least, most;
};

VOXLOGICA_CLONES
static KeySpan key_range(const Key* keys, std::size_t n) {
    KeySpan range{~Key{0}, 0};
    for (std::size_t i = 0; i < n; ++i) {
        range.least = std::min(range.least, keys[i]);
        range.most = std::max(range.most, keys[i]);
    }
    return range;
}

/// Keys dealt into buckets by one digit. Bucket d is [start[d], start[d + 1]) of `dealt`, in the order of the keys.
struct Deal {
    Key low;
    unsigned shift;
    std::vector<std::size_t> start;

    std::size_t digit(Key key) const { return (key - low) >> shift; }
    std::size_t buckets() const { return start.size() - 1; }

    Deal(const Key* keys, std::size_t n, unsigned digit_bits) {
        const auto [least, most] = key_range(keys, n);
        low = least;
        const auto needed = static_cast<unsigned>(std::bit_width(most - low));
        shift = needed > digit_bits ? needed - digit_bits : 0;
        start.assign(digit(most) + 2, 0);
        for (std::size_t i = 0; i < n; ++i) ++start[digit(keys[i]) + 1];
        for (std::size_t d = 1; d < start.size(); ++d) start[d] += start[d - 1];
    }
};

/// Replace n keys, of which `below` others are smaller and none equal, by their ranks.
inline void rank_keys(Key* keys, std::size_t n, std::uint64_t below, RankFormula formula, int threads) {
    constexpr unsigned most_digit_bits = 11;  // the ends of so many streams fit the second-level cache
    if (n <= few) return rank_few(keys, n, below, formula);
    // About four keys to a bucket, so that the next level is the last unless values crowd together.
    const Deal deal(keys, n, std::min(most_digit_bits, static_cast<unsigned>(std::bit_width(n)) - 2));
    const std::vector<std::size_t>& start = deal.start;
    if (deal.shift == 0) {  // a bucket is a value
        std::vector<Key> ranks(deal.buckets());
        for (std::size_t d = 0; d < ranks.size(); ++d) {
            ranks[d] = rank_bits(formula(below + start[d], start[d + 1] - start[d]));
        }
        for (std::size_t i = 0; i < n; ++i) keys[i] = ranks[deal.digit(keys[i])];
        return;
    }

    const auto dealt = std::make_unique_for_overwrite<Key[]>(n);
    std::vector<std::size_t> next(start.begin(), start.end() - 1);
    for (std::size_t i = 0; i < n; ++i) dealt[next[deal.digit(keys[i])]++] = keys[i];
    parallel_chunks(deal.buckets(), 8, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t d = begin; d < end; ++d) {
            rank_keys(&dealt[start[d]], start[d + 1] - start[d], below + start[d], formula, 1);
        }
    });
    next.assign(start.begin(), start.end() - 1);
    for (std::size_t i = 0; i < n; ++i) keys[i] = dealt[next[deal.digit(keys[i])]++];
}

/// Ranks of any floats, none of them NaN.
inline void rank_floats(const Voxels& field, const Word* words, const Grid& grid, std::size_t count, RankFormula formula,
                        int threads, float* out) {
    const auto keys = std::make_unique_for_overwrite<Key[]>(count);
    const RowReader voxels(field, grid);
    std::size_t n = 0;
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        const float* row = voxels(r);
        for_each_true(words + r * grid.nw, grid.nw, [&](std::size_t x) {
            const std::int32_t key = order_key(row[x] + 0.0F);  // + 0: both zeros are one value
            keys[n++] = static_cast<Key>(key) ^ 0x80000000U;
        });
    }
    rank_keys(keys.get(), n, 0, formula, threads);
    n = 0;
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        float* row = out + r * grid.nx;
        std::fill_n(row, grid.nx, -1.0F);
        for_each_true(words + r * grid.nw, grid.nw, [&](std::size_t x) { row[x] = std::bit_cast<float>(keys[n++]); });
    }
}

/// Ranks where the mask is true, -1 elsewhere. False, and nothing written, when there is a NaN in the mask.
inline bool percentiles(const Voxels& field, const Word* words, const Grid& grid, float weight, int threads, float* out) {
    const Survey met = survey(field, words, grid);
    if (met.has_nan()) return false;
    const RankFormula formula{weight, static_cast<float>(met.count)};
    constexpr std::size_t most_counters = std::size_t{1} << 20;
    if (met.count == 0) {
        std::fill_n(out, grid.rows() * grid.nx, -1.0F);
    } else if (met.integral) {
        const auto low = static_cast<std::int32_t>(of_order_key(met.low));
        const auto range = static_cast<std::size_t>(static_cast<std::int32_t>(of_order_key(met.high)) - low) + 1;
        if (range <= std::max<std::size_t>(65536, std::min<std::size_t>(met.count, most_counters))) {
            std::vector<float> ranks(range);
            rank_table(field, words, grid, low, range, weight, ranks.data());
            rank_by_table(field, words, grid, low, ranks.data(), threads, out);
        } else {
            rank_floats(field, words, grid, met.count, formula, threads, out);
        }
    } else {
        rank_floats(field, words, grid, met.count, formula, threads, out);
    }
    return true;
}

}  // namespace voxlogica

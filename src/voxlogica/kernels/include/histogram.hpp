// Bins of values, a reference histogram, and the correlation of two histograms from exact sums.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bits.hpp"

namespace voxlogica {

using Exact = __int128;

/// `count` bins of one width from `low` to `high`; what is not in [low, high) is in no bin, nor is a NaN.
struct Bins {
    double low, high, width;
    std::int32_t count;

    Bins(double low_, double high_, std::int32_t count_)
        : low(low_), high(high_), width((high_ - low_) / static_cast<double>(count_)), count(count_) {
        // An empty interval, in place of a width by which nothing can be divided.
        if (!(width > 0) || !std::isfinite(width)) low = high = 0, width = 1;
    }

    /// The bin of a value, or `none`. Clamped before it is an integer: just below `high` the quotient may be `count`.
    std::int32_t of(float voxel, std::int32_t none) const {
        const auto value = static_cast<double>(voxel);
        const double quotient = (value - low) / width;
        const double last = count - 1;
        const double bin = quotient < last ? quotient : last;
        return static_cast<std::int32_t>((value >= low) & (value < high) ? bin : static_cast<double>(none));
    }
};

/// The bins of n voxels. `none` must be an Index.
VOXLOGICA_CLONES
static void bin_voxels(const float* voxels, std::size_t n, Bins bins, std::uint8_t none, std::uint8_t* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(bins.of(voxels[i], none));
}

inline void bin_voxels(const float* voxels, std::size_t n, const Bins& bins, std::int32_t none, std::int32_t* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = bins.of(voxels[i], none);
}

/// A histogram H with what its correlation with others needs: the sum, and k * sum of squares - square of the sum.
struct Reference {
    std::vector<std::uint64_t> counts;
    std::uint64_t total = 0;
    Exact spread = 0;

    explicit Reference(std::vector<std::uint64_t> counts_) : counts(std::move(counts_)) {
        Exact squares = 0;
        for (const std::uint64_t count : counts) {
            total += count;
            squares += static_cast<Exact>(count) * count;
        }
        spread = static_cast<Exact>(counts.size()) * squares - static_cast<Exact>(total) * total;
    }
};

/// Exact sums over the bins of a window's histogram h: of h, of its squares, of its products with the reference.
struct WindowSums {
    std::uint64_t total = 0, squares = 0, products = 0;
};

/// Pearson's correlation. Both factors and the numerator are exact, and made double once: decision C14.
inline float score(const WindowSums& sums, const Reference& reference) {
    const auto k = static_cast<Exact>(reference.counts.size());
    const Exact spread = k * sums.squares - static_cast<Exact>(sums.total) * sums.total;
    if (spread == 0 || reference.spread == 0) return spread == reference.spread ? 1.0F : 0.0F;
    const Exact numerator = k * sums.products - static_cast<Exact>(sums.total) * reference.total;
    const double scale = std::sqrt(static_cast<double>(spread) * static_cast<double>(reference.spread));
    return static_cast<float>(static_cast<double>(numerator) / scale);
}

}  // namespace voxlogica

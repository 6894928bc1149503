// Otsu's threshold (N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1), 1979).
//
// The published method leaves open where bins begin, what stands for a bin, and which of equal maxima is taken. Here
// all of it is as in ITK 5.4 (OtsuThresholdImageFilter with a mask), for the same result in every voxel: the last bin
// is widened by a hundredth, the edges are float32 multiples of a float32 width added to the lowest value in double,
// a bin is represented by its middle, means and variances are updated from bin to bin in double in ascending order,
// a new maximum must exceed the old by more than one unit in the last place, and the threshold is the upper edge of
// its bin, rounded to float32.

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "bits.hpp"
#include "pointwise.hpp"
#include "voxels.hpp"

namespace voxlogica {

/// Edges of bins over [low, high]: bin j is [edge[j], edge[j + 1]), the last one closed.
struct OtsuBins {
    std::vector<double> edge;
    float width;

    OtsuBins(double low, double high, std::size_t bins) : edge(bins + 1) {
        const double margin = ((high - low) / static_cast<double>(bins)) / 100.0;
        const double widened = high + margin;
        width = (static_cast<float>(widened) - static_cast<float>(low)) / static_cast<float>(bins);
        for (std::size_t j = 0; j < bins; ++j) edge[j] = low + static_cast<double>(static_cast<float>(j) * width);
        edge[bins] = widened;
    }

    std::size_t bins() const { return edge.size() - 1; }
    double middle(std::size_t bin) const { return (edge[bin] + edge[bin + 1]) / 2; }

    /// The bin of a value: guessed by a division, then corrected against the edges themselves.
    std::size_t bin(double value) const {
        const std::size_t last = bins() - 1;
        const double guess = (value - edge[0]) / static_cast<double>(width);  // NaN when all values are one
        std::size_t at = guess < static_cast<double>(last) ? static_cast<std::size_t>(guess) : last;
        while (at > 0 && value < edge[at]) --at;
        while (at < last && value >= edge[at + 1]) ++at;
        return at;
    }
};

/// Does b exceed a, both positive, by more than rounding: more than one unit in the last place?
inline bool exceeds(double b, double a) {
    if (!(b > a) || b - a <= 0.1 * std::numeric_limits<double>::epsilon()) return false;
    return std::bit_cast<std::int64_t>(b) - std::bit_cast<std::int64_t>(a) > 1;
}

/// The bin whose upper edge parts the histogram into two classes with the largest variance between them.
inline std::size_t otsu_bin(const OtsuBins& bins, const std::vector<std::uint64_t>& counts) {
    double total = 0, mean = 0;
    for (std::size_t j = 0; j < counts.size(); ++j) {
        const auto count = static_cast<double>(counts[j]);
        total += count;
        mean += bins.middle(j) * count;
    }
    mean /= total;

    double below = 0, mean_below = 0, largest = 0;
    std::size_t chosen = 0;
    for (std::size_t j = 0; j + 1 < counts.size(); ++j) {
        const auto count = static_cast<double>(counts[j]);
        const double before = below;
        below += count;
        // The first mean is the middle itself: multiplied and divided again, it could differ in the last place.
        if (below == 0) mean_below = 0;
        else if (j == 0) mean_below = bins.middle(0);
        else mean_below = (mean_below * before + bins.middle(j) * count) / below;
        const double above = total - below;
        const double mean_above = above > 0 ? (mean * total - mean_below * below) / above : 0.0;
        const double variance = (below * (mean_below * mean_below) + above * (mean_above * mean_above)) / total;
        if (j == 0 || exceeds(variance, largest)) {
            largest = variance;
            chosen = j;
        }
    }
    return chosen;
}

/// The threshold, over the true voxels, of which there is at least one, all between the finite `low` and `high`.
/// Not finite when the values are too far apart for a float32 width.
inline float otsu_threshold(const Voxels& field, const Word* words, const Grid& grid, float low, float high,
                            std::size_t bin_count) {
    const OtsuBins bins(low, high, bin_count);
    if (!std::isfinite(bins.width)) return std::numeric_limits<float>::quiet_NaN();
    std::vector<std::uint64_t> counts(bin_count);
    const RowReader voxels(field, grid);
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        const float* row = voxels(r);
        for_each_true(words + r * grid.nw, grid.nw, [&](std::size_t x) { ++counts[bins.bin(row[x])]; });
    }
    return static_cast<float>(bins.edge[otsu_bin(bins, counts) + 1]);
}

}  // namespace voxlogica

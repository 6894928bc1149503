// The exact Euclidean distance from every voxel to the nearest voxel of a set, as a separable transform.
//
// The value wanted is, over all voxels of the set at offsets (dx, dy, dz) of whole voxels, the true minimum of the
// floating expression s = ((sx*dx)^2 + (sy*dy)^2) + (sz*dz)^2 in double. Rounding is monotone: a <= b implies
// fl(a + c) <= fl(b + c). So the minimum over dx of the first square may be taken first, then that over dy of the sum,
// then that over dz, and the result is the minimum of the whole expression, bit for bit, for any spacing. (The
// separable transform is of A. Meijster, J. Roerdink, W. Hesselink, "A general algorithm for computing distance
// transforms in linear time", 2000, and P. Felzenszwalb, D. Huttenlocher, "Distance transforms of sampled functions",
// 2012. Their lower envelopes of parabolas intersect in rounded places, and could choose the second best; here each
// line is searched outward from the voxel until the square of the offset alone is no improvement.)
//
// The voxels of one word, 64 along x, are searched together, in a few vector operations for each line of them; a line
// whose smallest value is no improvement to any of them costs one comparison. The first pass reads the set's bits.
//
// Why a signed distance needs only one transform, to the contour of the mask, is told in fields.py, at `distance`.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "bits.hpp"
#include "parallel.hpp"

namespace voxlogica {

inline constexpr double infinitely_far = std::numeric_limits<double>::infinity();

/// The squares (spacing * d)^2 of n offsets; never decreasing.
inline std::vector<double> squares(double spacing, std::size_t n) {
    std::vector<double> out(n);
    for (std::size_t d = 0; d < n; ++d) {
        const double length = spacing * static_cast<double>(d);
        out[d] = length * length;
    }
    return out;
}

/// No true voxel before the first, none after the last.
inline constexpr std::ptrdiff_t none_before = -1, none_after = std::numeric_limits<std::ptrdiff_t>::max();

/// The part of [begin, end) in the gap after the true voxel `from`, up to and with the true voxel `to`: the first half
/// of the gap is counted up from its beginning, the second down to its end.
inline void fill_gap(std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t begin, std::ptrdiff_t end,
                     const double* square, double* out) {
    std::ptrdiff_t x = std::max(from + 1, begin);
    if (from == none_before && to == none_after) {
        for (; x < end; ++x) out[x - begin] = infinitely_far;
        return;
    }
    const std::ptrdiff_t last = std::min(to, end - 1);
    const std::ptrdiff_t middle = from == none_before ? -1 : to == none_after ? last : from + (to - from) / 2;
    for (; x <= std::min(middle, last); ++x) out[x - begin] = square[x - from];
    for (; x <= last; ++x) out[x - begin] = square[to - x];
}

/// For n voxels of word w of a row, the square to the nearest true bit of the row.
inline void squares_in_word(const Word* row, std::size_t nw, std::size_t w, std::size_t n, const double* square,
                            double* out) {
    const auto bits = static_cast<std::ptrdiff_t>(word_bits);
    const auto begin = static_cast<std::ptrdiff_t>(w) * bits, end = begin + static_cast<std::ptrdiff_t>(n);
    std::ptrdiff_t from = none_before;
    for (std::size_t v = w; v-- > 0 && from == none_before;) {
        if (row[v] != 0) from = static_cast<std::ptrdiff_t>(v) * bits + std::bit_width(row[v]) - 1;
    }
    for (Word word = row[w]; word != 0; word &= word - 1) {
        const std::ptrdiff_t to = begin + std::countr_zero(word);
        fill_gap(from, to, begin, end, square, out);
        from = to;
    }
    std::ptrdiff_t to = none_after;
    for (std::size_t v = nw; --v > w;) {
        if (row[v] != 0) to = static_cast<std::ptrdiff_t>(v) * bits + std::countr_zero(row[v]);
    }
    if (from < end - 1) fill_gap(from, to, begin, end, square, out);
}

/// The smallest of n numbers that are not negative; as integers, their bits are in the same order.
VOXLOGICA_CLONES
static double smallest(const double* values, std::size_t n) {
    std::int64_t low = std::bit_cast<std::int64_t>(infinitely_far);
    for (std::size_t i = 0; i < n; ++i) low = std::min(low, std::bit_cast<std::int64_t>(values[i]));
    return std::bit_cast<double>(low);
}

/// Values of `width` consecutive x in each of `lines` lines, which are `word_bits` apart; low[j] is the smallest of line j.
struct Lines {
    const double* values;
    std::size_t lines, width;
    const double* low;
};

/// best[i] = the minimum over lines j of values[j][i] + square[|j - at|], for each i of the width.
///
/// Nothing is lost by the two tests, since a sum is never below one of its terms: lines further away than `worst` bring
/// no improvement, nor does one whose smallest value does not.
VOXLOGICA_CLONES
static void search_outward(const Lines& in, std::size_t at, const double* square, double* best) {
    const double* here = in.values + at * word_bits;
    std::int64_t worst_bits = 0;  // the bits of doubles that are not negative are ordered as the doubles are
    for (std::size_t i = 0; i < in.width; ++i) {
        best[i] = here[i];
        worst_bits = std::max(worst_bits, std::bit_cast<std::int64_t>(best[i]));
    }
    double worst = std::bit_cast<double>(worst_bits);
    const std::size_t furthest = std::max(at, in.lines - 1 - at);
    for (std::size_t d = 1; d <= furthest && square[d] < worst; ++d) {
        const double add = square[d];
        const bool before = d <= at && in.low[at - d] + add < worst;
        const bool after = at + d < in.lines && in.low[at + d] + add < worst;
        if (!before && !after) continue;
        const double* a = before ? here - d * word_bits : here + d * word_bits;
        const double* b = after ? here + d * word_bits : a;
        worst_bits = 0;
        for (std::size_t i = 0; i < in.width; ++i) {
            const double nearer = (a[i] < b[i] ? a[i] : b[i]) + add;
            best[i] = nearer < best[i] ? nearer : best[i];
            worst_bits = std::max(worst_bits, std::bit_cast<std::int64_t>(best[i]));
        }
        worst = std::bit_cast<double>(worst_bits);
    }
}

/// Roots of squares, rounded once to float; negative (also -0) where the bit of the word is set.
VOXLOGICA_CLONES
static void signed_roots(const double* square, std::size_t n, Word word, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const double root = std::sqrt(square[i]);
        out[i] = static_cast<float>((word >> i & 1) != 0 ? -root : root);
    }
}

/// The transform of the voxels of one word of each row, in buffers that are used again for the next word. (One
/// buffer for all of the image would be seen by all threads, but costs more in page faults than the search.)
class DistanceBlock {
public:
    DistanceBlock(const Word* mask, const Word* contour, const Grid& grid, std::array<double, 3> spacing)
        : mask_(mask), contour_(contour), grid_(grid), square_x_(squares(spacing[0], grid.nx)),
          square_y_(squares(spacing[1], grid.ny)), square_z_(squares(spacing[2], grid.nz)),
          plane_(grid.ny * word_bits), low_(std::max(grid.ny, grid.nz)),
          planes_(std::make_unique_for_overwrite<double[]>(grid.rows() * word_bits)) {}

    void run(std::size_t w, float* out) {
        const std::size_t n = std::min(word_bits, grid_.nx - w * word_bits);
        for (std::size_t z = 0; z < grid_.nz; ++z) along_x_and_y(z, w, n);
        for (std::size_t y = 0; y < grid_.ny; ++y) along_z(y, w, n, out);
    }

private:
    /// Results go to planes_ with axis order (y, z, x), so that the next pass finds its lines side by side.
    void along_x_and_y(std::size_t z, std::size_t w, std::size_t n) {
        for (std::size_t y = 0; y < grid_.ny; ++y) {
            double* row = &plane_[y * word_bits];
            squares_in_word(contour_ + (z * grid_.ny + y) * grid_.nw, grid_.nw, w, n, square_x_.data(), row);
            low_[y] = smallest(row, n);
        }
        const Lines lines{plane_.data(), grid_.ny, n, low_.data()};
        for (std::size_t y = 0; y < grid_.ny; ++y) {
            search_outward(lines, y, square_y_.data(), &planes_[(y * grid_.nz + z) * word_bits]);
        }
    }

    void along_z(std::size_t y, std::size_t w, std::size_t n, float* out) {
        const double* values = &planes_[y * grid_.nz * word_bits];
        for (std::size_t z = 0; z < grid_.nz; ++z) low_[z] = smallest(values + z * word_bits, n);
        const Lines lines{values, grid_.nz, n, low_.data()};
        std::array<double, word_bits> best;
        for (std::size_t z = 0; z < grid_.nz; ++z) {
            search_outward(lines, z, square_z_.data(), best.data());
            const std::size_t r = z * grid_.ny + y;
            signed_roots(best.data(), n, mask_[r * grid_.nw + w], out + r * grid_.nx + w * word_bits);
        }
    }

    const Word *mask_, *contour_;
    const Grid grid_;
    const std::vector<double> square_x_, square_y_, square_z_;
    std::vector<double> plane_, low_;
    std::unique_ptr<double[]> planes_;
};

/// Distance to the nearest true bit of `contour`, negative where `mask` is true. There is at least one true bit.
inline void distance(const Word* mask, const Word* contour, const Grid& grid, std::array<double, 3> spacing, int threads,
                     float* out) {
    parallel_chunks(grid.nw, 1, threads, [&](std::size_t begin, std::size_t end) {
        DistanceBlock block(mask, contour, grid, spacing);
        for (std::size_t w = begin; w < end; ++w) block.run(w, out);
    });
}

}  // namespace voxlogica

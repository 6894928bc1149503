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
// Where all sums of squares are integers of at most 24 bits times one power of two, as for a spacing of 1 or 1/2, float
// has them exactly, and twice as many fit a vector. The root of a float, rounded once, is that of the double, rounded to
// double and then to float: 53 bits are more than twice 24 and two (S. Figueroa, "When is double rounding innocuous?",
// 1995).
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
#include <type_traits>
#include <vector>

#include "bits.hpp"
#include "parallel.hpp"

namespace voxlogica {

template <class Real>
inline constexpr Real infinitely_far = std::numeric_limits<Real>::infinity();

/// Integers as wide: the bits of numbers that are not negative are in the same order.
template <class Real>
using BitsOf = std::conditional_t<sizeof(Real) == 4, std::int32_t, std::int64_t>;

/// The squares (spacing * d)^2 of n offsets; never decreasing.
inline std::vector<double> squares(double spacing, std::size_t n) {
    std::vector<double> out(n);
    for (std::size_t d = 0; d < n; ++d) {
        const double length = spacing * static_cast<double>(d);
        out[d] = length * length;
    }
    return out;
}

/// Whether float has all sums of squares that can occur: with u the largest power of two of which each spacing is a
/// multiple, they are integers times u * u, and of at most 24 bits.
inline bool exact_in_float(std::array<double, 3> spacing, const Grid& grid) {
    int least = std::numeric_limits<int>::max();
    for (const double size : spacing) {
        int exponent = 0;
        const auto digits = static_cast<std::int64_t>(std::ldexp(std::frexp(size, &exponent), 53));
        least = std::min(least, exponent - 53 + std::countr_zero(static_cast<std::uint64_t>(digits)));
    }
    if (least < -60 || least > 60) return false;  // their squares stay far from the ends of float's range
    double most = 0;
    const std::array<std::size_t, 3> sizes{grid.nx, grid.ny, grid.nz};
    for (std::size_t axis = 0; axis < 3; ++axis) {
        const double furthest = std::ldexp(spacing[axis], -least) * static_cast<double>(sizes[axis] - 1);
        most += furthest * furthest;
    }
    return most <= 0x1p24;
}

/// No true voxel before the first, none after the last.
inline constexpr std::ptrdiff_t none_before = -1, none_after = std::numeric_limits<std::ptrdiff_t>::max();

/// The part of [begin, end) in the gap after the true voxel `from`, up to and with the true voxel `to`: the first half
/// of the gap is counted up from its beginning, the second down to its end.
template <class Real>
void fill_gap(std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t begin, std::ptrdiff_t end, const Real* square,
              Real* out) {
    std::ptrdiff_t x = std::max(from + 1, begin);
    if (from == none_before && to == none_after) {
        for (; x < end; ++x) out[x - begin] = infinitely_far<Real>;
        return;
    }
    const std::ptrdiff_t last = std::min(to, end - 1);
    const std::ptrdiff_t middle = from == none_before ? -1 : to == none_after ? last : from + (to - from) / 2;
    for (; x <= std::min(middle, last); ++x) out[x - begin] = square[x - from];
    for (; x <= last; ++x) out[x - begin] = square[to - x];
}

/// For n voxels of word w of a row, the square to the nearest true bit of the row.
template <class Real>
void squares_in_word(const Word* row, std::size_t nw, std::size_t w, std::size_t n, const Real* square, Real* out) {
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

/// The smallest of n numbers that are not negative.
template <class Real>
[[gnu::always_inline]] inline Real smallest_of(const Real* values, std::size_t n) {
    auto low = std::bit_cast<BitsOf<Real>>(infinitely_far<Real>);
    for (std::size_t i = 0; i < n; ++i) low = std::min(low, std::bit_cast<BitsOf<Real>>(values[i]));
    return std::bit_cast<Real>(low);
}

/// Values of 64 consecutive x in each of `lines` lines, one after the other; low[j] is the smallest of line j. Lanes that
/// are no voxels hold 0, and have no part in `low`.
template <class Real>
struct Lines {
    const Real* values;
    std::size_t lines;
    const Real* low;
};

/// best[i] = the minimum over lines j of values[j][i] + square[|j - at|], for each i of 64.
///
/// Nothing is lost by the two tests, since a sum is never below one of its terms: lines further away than `worst` bring
/// no improvement, nor does one whose smallest value does not.
template <class Real>
[[gnu::always_inline]] inline void search_lines(const Lines<Real>& in, std::size_t at, const Real* square,
                                                Real* __restrict best) {
    using Bits = BitsOf<Real>;
    const Real* here = in.values + at * word_bits;
    Bits worst_bits = 0;
    for (std::size_t i = 0; i < word_bits; ++i) {
        best[i] = here[i];
        worst_bits = std::max(worst_bits, std::bit_cast<Bits>(here[i]));
    }
    Real worst = std::bit_cast<Real>(worst_bits);
    const std::size_t furthest = std::max(at, in.lines - 1 - at);
    for (std::size_t d = 1; d <= furthest && square[d] < worst; ++d) {
        const Real add = square[d];
        const bool before = d <= at && in.low[at - d] + add < worst;
        const bool after = at + d < in.lines && in.low[at + d] + add < worst;
        if (!before && !after) continue;
        const Real* a = before ? here - d * word_bits : here + d * word_bits;
        const Real* b = after ? here + d * word_bits : a;
        worst_bits = 0;
        for (std::size_t i = 0; i < word_bits; ++i) {
            const Real nearer = (a[i] < b[i] ? a[i] : b[i]) + add;
            const Real kept = nearer < best[i] ? nearer : best[i];
            best[i] = kept;
            worst_bits = std::max(worst_bits, std::bit_cast<Bits>(kept));
        }
        worst = std::bit_cast<Real>(worst_bits);
    }
}

/// Roots of squares, rounded once to float; negative (also -0) where the bit of the word is set.
template <class Real>
[[gnu::always_inline]] inline void roots_with_sign(const Real* square, std::size_t n, Word word, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const Real root = std::sqrt(square[i]);
        out[i] = static_cast<float>((word >> i & 1) != 0 ? -root : root);
    }
}

// One name for each kind of number: clones are not made of templates.

VOXLOGICA_CLONES
static double smallest(const double* values, std::size_t n) { return smallest_of(values, n); }
VOXLOGICA_CLONES
static float smallest(const float* values, std::size_t n) { return smallest_of(values, n); }
VOXLOGICA_CLONES
static void search_outward(const Lines<double>& in, std::size_t at, const double* square, double* best) {
    search_lines(in, at, square, best);
}
VOXLOGICA_CLONES
static void search_outward(const Lines<float>& in, std::size_t at, const float* square, float* best) {
    search_lines(in, at, square, best);
}
VOXLOGICA_CLONES
static void signed_roots(const double* square, std::size_t n, Word word, float* out) {
    roots_with_sign(square, n, word, out);
}
VOXLOGICA_CLONES
static void signed_roots(const float* square, std::size_t n, Word word, float* out) {
    roots_with_sign(square, n, word, out);
}

/// The transform of the voxels of one word of each row, in buffers that are used again for the next word. (One
/// buffer for all of the image would be seen by all threads, but costs more in page faults than the search.)
template <class Real>
class DistanceBlock {
public:
    DistanceBlock(const Word* mask, const Word* contour, const Grid& grid, std::array<double, 3> spacing)
        : mask_(mask), contour_(contour), grid_(grid), square_x_(squares_as(spacing[0], grid.nx)),
          square_y_(squares_as(spacing[1], grid.ny)), square_z_(squares_as(spacing[2], grid.nz)),
          planes_(std::make_unique_for_overwrite<Real[]>(grid.rows() * word_bits)) {}

    /// The planes of each z, and then those of each y, are divided over the threads.
    void run(std::size_t w, int threads, float* out) {
        const std::size_t n = std::min(word_bits, grid_.nx - w * word_bits), pieces = 8 * static_cast<std::size_t>(threads);
        parallel_chunks(grid_.nz, grid_.nz / pieces, threads, [&](std::size_t begin, std::size_t end) {
            std::vector<Real> plane(grid_.ny * word_bits), low(grid_.ny);
            for (std::size_t z = begin; z < end; ++z) along_x_and_y(z, w, n, plane.data(), low.data());
        });
        parallel_chunks(grid_.ny, grid_.ny / pieces, threads, [&](std::size_t begin, std::size_t end) {
            std::vector<Real> low(grid_.nz);
            for (std::size_t y = begin; y < end; ++y) along_z(y, w, n, low.data(), out);
        });
    }

private:
    static std::vector<Real> squares_as(double spacing, std::size_t n) {
        const std::vector<double> exact = squares(spacing, n);
        return std::vector<Real>(exact.begin(), exact.end());
    }

    /// Results go to planes_ with axis order (y, z, x), so that the next pass finds its lines side by side.
    void along_x_and_y(std::size_t z, std::size_t w, std::size_t n, Real* plane, Real* low) {
        for (std::size_t y = 0; y < grid_.ny; ++y) {
            Real* row = plane + y * word_bits;
            squares_in_word(contour_ + (z * grid_.ny + y) * grid_.nw, grid_.nw, w, n, square_x_.data(), row);
            low[y] = smallest(row, n);
            std::fill(row + n, row + word_bits, Real{0});
        }
        const Lines<Real> lines{plane, grid_.ny, low};
        for (std::size_t y = 0; y < grid_.ny; ++y) {
            search_outward(lines, y, square_y_.data(), &planes_[(y * grid_.nz + z) * word_bits]);
        }
    }

    void along_z(std::size_t y, std::size_t w, std::size_t n, Real* low, float* out) {
        const Real* values = &planes_[y * grid_.nz * word_bits];
        for (std::size_t z = 0; z < grid_.nz; ++z) low[z] = smallest(values + z * word_bits, n);
        const Lines<Real> lines{values, grid_.nz, low};
        std::array<Real, word_bits> best;
        for (std::size_t z = 0; z < grid_.nz; ++z) {
            search_outward(lines, z, square_z_.data(), best.data());
            const std::size_t r = z * grid_.ny + y;
            signed_roots(best.data(), n, mask_[r * grid_.nw + w], out + r * grid_.nx + w * word_bits);
        }
    }

    const Word *mask_, *contour_;
    const Grid grid_;
    const std::vector<Real> square_x_, square_y_, square_z_;
    std::unique_ptr<Real[]> planes_;
};

template <class Real>
void distance_in(const Word* mask, const Word* contour, const Grid& grid, std::array<double, 3> spacing, int threads,
                 float* out) {
    // A word to each thread needs no meeting, but leaves threads idle where words are few.
    const bool few = grid.nw < 2 * static_cast<std::size_t>(threads);
    parallel_chunks(grid.nw, 1, few ? 1 : threads, [&](std::size_t begin, std::size_t end) {
        DistanceBlock<Real> block(mask, contour, grid, spacing);
        for (std::size_t w = begin; w < end; ++w) block.run(w, few ? threads : 1, out);
    });
}

/// Distance to the nearest true bit of `contour`, negative where `mask` is true. There is at least one true bit.
inline void distance(const Word* mask, const Word* contour, const Grid& grid, std::array<double, 3> spacing, int threads,
                     float* out) {
    if (exact_in_float(spacing, grid)) distance_in<float>(mask, contour, grid, spacing, threads, out);
    else distance_in<double>(mask, contour, grid, spacing, threads, out);
}

}  // namespace voxlogica

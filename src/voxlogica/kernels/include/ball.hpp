// Dilation by a ball: what is within a distance of a mask, without computing any distance.
//
// A ball is the set of offsets (dx, dy, dz) whose length, in the very expression that the distance transform minimises
// (distance.hpp), rounded to float, is at most `limit`. Voxel v is within `limit` of the mask iff some offset of the
// ball leads from v to a true voxel, since the distance is the least of these lengths: the two agree in every voxel, at
// equality too, for any spacing.
//
// The ball is cut into segments along x, one for each (dy, dz). For each plane of the mask the rows dilated by each
// half-width that occurs are made once, in whole planes of words; their union shifted by dy is the ball's slice at the
// height |dz| above this plane, made once for both sides; and that is joined to the planes z - dz and z + dz of the
// result. A plane of words stays in the first-level cache, and every step is a few vector operations on 64 voxels a
// word. (A decomposition into lines as of J. Serra, "Image Analysis and Mathematical Morphology", 1982; on packed bits
// as of D. Bloomberg, "Implementation efficiency of binary morphology", 2002.)
//
// The work grows with the square of the radius in voxels and not with the distance of voxels from the mask: it beats
// the distance transform up to radii of some 60 voxels. Who calls chooses.

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include "bits.hpp"
#include "convert.hpp"
#include "distance.hpp"
#include "parallel.hpp"

namespace voxlogica {

/// The half-widths along x of a ball: those of height dz are width[dz][0 .. reach of dz], never increasing in dy.
struct Ball {
    std::vector<std::vector<std::size_t>> width;

    /// All offsets inside the grid whose length is at most `limit`, which is not negative.
    Ball(float limit, const Grid& grid, std::array<double, 3> spacing) {
        const auto x = squares(spacing[0], grid.nx), y = squares(spacing[1], grid.ny), z = squares(spacing[2], grid.nz);
        const std::int32_t key = order_key(limit + 0.0F);  // no -0
        const auto inside = [&](std::size_t dx, std::size_t dy, std::size_t dz) {
            return order_key(static_cast<float>(std::sqrt(x[dx] + y[dy] + z[dz]))) <= key;
        };
        // Lengths never decrease in any offset, so each half-width is at most the one before it.
        for (std::size_t dz = 0; dz < grid.nz && inside(0, 0, dz); ++dz) {
            std::vector<std::size_t>& widths = width.emplace_back();
            std::size_t dx = dz > 0 ? width[dz - 1][0] : grid.nx - 1;
            for (std::size_t dy = 0; dy < grid.ny && inside(0, dy, dz); ++dy) {
                while (!inside(dx, dy, dz)) --dx;
                widths.push_back(dx);
            }
        }
    }
};

/// For each word of a plane, which bits its neighbours' bits may be carried into: none across the ends of a row.
struct Carries {
    std::vector<Word> from_left, from_right, voxels;

    explicit Carries(const Grid& grid) : from_left(grid.ny * grid.nw, ~Word{0}), from_right(from_left), voxels(from_left) {
        for (std::size_t y = 0; y < grid.ny; ++y) {
            from_left[y * grid.nw] = 0;
            from_right[(y + 1) * grid.nw - 1] = 0;
            voxels[(y + 1) * grid.nw - 1] = grid.tail();
        }
    }
};

VOXLOGICA_CLONES
static void join(Word* __restrict out, const Word* in, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] |= in[i];
}

/// out |= a | b
VOXLOGICA_CLONES
static void join_two(Word* __restrict out, const Word* a, const Word* b, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] |= a[i] | b[i];
}

/// Each voxel joined with the one s before it, 0 < s < 64; in[-1] must be readable.
VOXLOGICA_CLONES
static void join_before(const Word* in, const Word* from_left, std::size_t s, std::size_t n, Word* __restrict out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = in[i] | (in[i] << s) | ((in[i - 1] & from_left[i]) >> (word_bits - s));
}

/// Each voxel joined with the one s after it; in[n] must be readable.
VOXLOGICA_CLONES
static void join_after(const Word* in, const Word* from_right, const Word* voxels, std::size_t s, std::size_t n,
                       Word* __restrict out) {
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = (in[i] | (in[i] >> s) | ((in[i + 1] & from_right[i]) << (word_bits - s))) & voxels[i];
    }
}

/// One thread's buffers, and its share of the planes.
class BallBlock {
public:
    BallBlock(const Word* words, const Grid& grid, const Ball& ball, const Carries& carries, Word* out)
        : words_(words), grid_(grid), ball_(ball), carries_(carries), out_(out), plane_(grid.ny * grid.nw),
          row_of_(ball.width[0][0] + 1, none), slice_(plane_), first_(plane_ + 2), second_(plane_ + 2) {
        std::size_t rows = 0;
        for (const auto& widths : ball.width)
            for (const std::size_t width : widths)
                if (row_of_[width] == none) row_of_[width] = 0;
        for (std::size_t width = 0; width < row_of_.size(); ++width)
            if (row_of_[width] != none) row_of_[width] = rows++;
        dilated_ = std::make_unique_for_overwrite<Word[]>(rows * plane_);
    }

    /// Planes [begin, end) of the result.
    void run(std::size_t begin, std::size_t end) {
        std::fill(out_ + begin * plane_, out_ + end * plane_, Word{0});
        const std::size_t reach = ball_.width.size() - 1;
        for (std::size_t z = begin - std::min(begin, reach); z < std::min(grid_.nz, end + reach); ++z) {
            if (!find_rows(z)) continue;
            dilate_rows(z);
            const std::size_t nearest = z < begin ? begin - z : z >= end ? z + 1 - end : 0;
            for (std::size_t dz = nearest; dz <= reach; ++dz) {
                const bool below = z >= begin + dz && z - dz < end, above = z + dz >= begin && z + dz < end;
                if (!below && !above) continue;
                const std::size_t reach_y = join_slice(ball_.width[dz]);
                const std::size_t from = y0_ - std::min(y0_, reach_y), to = std::min(grid_.ny, y1_ + reach_y);
                const Word* slice = &slice_[from * grid_.nw];
                const std::size_t n = (to - from) * grid_.nw;
                if (below) join(out_ + (z - dz) * plane_ + from * grid_.nw, slice, n);
                if (above && dz > 0) join(out_ + (z + dz) * plane_ + from * grid_.nw, slice, n);
            }
        }
    }

private:
    static constexpr std::size_t none = ~std::size_t{0};

    /// The rows [y0_, y1_) of a plane that have true voxels; false when there are none.
    bool find_rows(std::size_t z) {
        const Word* plane = words_ + z * plane_;
        std::size_t first = 0, last = plane_;
        while (first < last && plane[first] == 0) ++first;
        while (last > first && plane[last - 1] == 0) --last;
        if (first == last) return false;
        y0_ = first / grid_.nw;
        y1_ = (last - 1) / grid_.nw + 1;
        return true;
    }

    /// The rows of a plane, dilated along x by each half-width of the ball, narrow ones first.
    void dilate_rows(std::size_t z) {
        const std::size_t from = y0_ * grid_.nw, n = (y1_ - y0_) * grid_.nw;
        Word *here = &first_[1], *other = &second_[1];
        std::copy_n(words_ + z * plane_ + from, n, here);
        std::size_t width = 0;
        for (std::size_t wanted = 0; wanted < row_of_.size(); ++wanted) {
            if (row_of_[wanted] == none) continue;
            while (width < wanted) {
                // Each voxel's segment has at least width + 1 voxels, even where the row ends: joined with itself shifted
                // by no more than that, it has no gap.
                const std::size_t step = std::min({wanted - width, width + 1, word_bits - 1});
                join_before(here, &carries_.from_left[from], step, n, other);
                join_after(other, &carries_.from_right[from], &carries_.voxels[from], step, n, here);
                width += step;
            }
            std::copy_n(here, n, &dilated_[row_of_[wanted] * plane_ + from]);
        }
    }

    /// The union of dilated rows shifted by their dy, in slice_; the largest dy.
    std::size_t join_slice(const std::vector<std::size_t>& widths) {
        const std::size_t ny = grid_.ny, nw = grid_.nw, reach = widths.size() - 1;
        const std::size_t from = y0_ - std::min(y0_, reach), to = std::min(ny, y1_ + reach);
        std::fill(&slice_[from * nw], &slice_[from * nw] + (to - from) * nw, Word{0});
        const auto rows = [&](std::size_t dy, std::size_t y) { return &dilated_[row_of_[widths[dy]] * plane_ + y * nw]; };
        std::copy_n(rows(0, y0_), (y1_ - y0_) * nw, &slice_[y0_ * nw]);
        for (std::size_t dy = 1; dy <= reach; ++dy) {
            // Rows [y0_, y1_) moved up, and moved down, as far as the plane goes; together where the two overlap.
            const std::size_t up0 = std::max(y0_, dy) - dy, up1 = std::max(y1_, dy) - dy;
            const std::size_t down0 = std::min(ny, y0_ + dy), down1 = std::min(ny, y1_ + dy);
            const std::size_t both0 = std::max(up0, down0), both1 = std::min(up1, down1);
            const auto one = [&](std::size_t a, std::size_t b, bool up) {
                if (a < b) join(&slice_[a * nw], rows(dy, up ? a + dy : a - dy), (b - a) * nw);
            };
            if (both0 < both1) {
                one(up0, both0, true);
                join_two(&slice_[both0 * nw], rows(dy, both0 + dy), rows(dy, both0 - dy), (both1 - both0) * nw);
                one(both1, down1, false);
            } else {
                one(up0, up1, true);
                one(down0, down1, false);
            }
        }
        return reach;
    }

    const Word* words_;
    const Grid& grid_;
    const Ball& ball_;
    const Carries& carries_;
    Word* out_;
    const std::size_t plane_;
    std::size_t y0_ = 0, y1_ = 0;
    std::vector<std::size_t> row_of_;  // by half-width: which of the dilated planes, or none
    std::vector<Word> slice_, first_, second_;
    std::unique_ptr<Word[]> dilated_;
};

/// Where a true voxel is at most `limit` away; `limit` is not negative.
inline void dilate_ball(const Word* words, const Grid& grid, std::array<double, 3> spacing, float limit, int threads,
                        Word* out) {
    const Ball ball(limit, grid, spacing);
    const Carries carries(grid);
    // Planes beyond a chunk's ends are dilated for it too: chunks are not shorter than the ball, or few.
    const std::size_t shares = 4 * static_cast<std::size_t>(std::max(threads, 1));
    const std::size_t grain = threads > 1 ? std::max(grid.nz / shares + 1, ball.width.size()) : grid.nz;
    parallel_chunks(grid.nz, grain, threads, [&](std::size_t begin, std::size_t end) {
        BallBlock(words, grid, ball, carries, out).run(begin, end);
    });
}

}  // namespace voxlogica

// near and interior: dilation and erosion by the full 3 x 3 x 3 box, on packed rows.
//
// A box is the sum of three segments, so the operation is separable (J. Serra, "Image Analysis and Mathematical
// Morphology", 1982): each word with its two neighbours by shifts in x, then whole rows in y, then whole planes in z.
// Erosion is the dual: `and` for `or`, and a neighbour outside the image counts as true instead of false.

#pragma once

#include <cstddef>
#include <memory>

#include "bits.hpp"
#include "parallel.hpp"

namespace voxlogica {

struct Dilate {
    static constexpr Word outside = 0;
    static Word join(Word a, Word b, Word c) { return a | b | c; }
};

struct Erode {
    static constexpr Word outside = ~Word{0};
    static Word join(Word a, Word b, Word c) { return a & b & c; }
};

/// One row joined with itself shifted by one voxel to both sides. Bits past nx are outside, and zero in the result.
///
/// Only the last word holds bits past nx, and never at bit 0, which is all that the word before it needs of it.
template <class Op>
void join_in_x(const Word* row, const Grid& grid, Word* out) {
    const std::size_t last = grid.nw - 1;
    Word before = Op::outside;
    for (std::size_t w = 0; w < last; ++w) {
        const Word here = row[w];
        out[w] = Op::join(here, (here << 1) | (before >> 63), (here >> 1) | (row[w + 1] << 63));
        before = here;
    }
    const Word tail = grid.tail(), here = (row[last] & tail) | (Op::outside & ~tail);
    out[last] = tail & Op::join(here, (here << 1) | (before >> 63), (here >> 1) | (Op::outside << 63));
}

/// Blocks [begin, end) of an array of lines of n blocks, each joined with its neighbours in its line. A block is a row
/// when lines go along y, a plane when they go along z; a neighbour outside the line is neutral, and left out.
template <class Op>
void join_blocks(const Word* in, std::size_t begin, std::size_t end, std::size_t block, std::size_t n,
                 Word* __restrict out) {
    for (std::size_t k = begin; k < end; ++k) {
        const Word* here = in + k * block;
        const Word* before = k % n > 0 ? here - block : here;
        const Word* after = k % n + 1 < n ? here + block : here;
        for (std::size_t i = 0; i < block; ++i) out[k * block + i] = Op::join(before[i], here[i], after[i]);
    }
}

template <class Op>
void join_box(const Word* words, const Grid& grid, int threads, Word* out) {
    const std::size_t plane = grid.ny * grid.nw, total = grid.nz * plane;
    const auto other = std::make_unique_for_overwrite<Word[]>(total);
    // Two buffers in turn; with one plane there is no pass along z, so the passes start in the one that ends in `out`.
    Word* in_x = grid.nz > 1 ? out : other.get();
    Word* in_y = grid.nz > 1 ? other.get() : out;
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) join_in_x<Op>(words + r * grid.nw, grid, in_x + r * grid.nw);
    });
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        join_blocks<Op>(in_x, begin, end, grid.nw, grid.ny, in_y);
    });
    if (grid.nz > 1) {
        parallel_chunks(grid.nz, 1 + 2048 / plane, threads, [&](std::size_t begin, std::size_t end) {
            join_blocks<Op>(in_y, begin, end, plane, grid.nz, out);
        });
    }
}

}  // namespace voxlogica

// Connected components (full adjacency: 26 in 3-D, 8 in 2-D) without labels per voxel.
//
// 1. The runs of true voxels of each row, found by counting trailing zeros of the words (cost: runs, not voxels).
// 2. Two sorted rows of runs that are neighbours are swept with two pointers, and touching runs are united: the
//    run-based two-scan scheme of L. He, Y. Chao, K. Suzuki, "A run-based two-scan labeling algorithm", IEEE Trans.
//    Image Processing 17(5), 2008, in three dimensions.
// 3. Union-find in one array where a parent is never after its child, flattened in one pass: K. Wu, E. Otoo,
//    K. Suzuki, "Optimizing two-pass connected-component labeling algorithms", Pattern Anal. Appl. 12, 2009.
//
// Invariant used everywhere: runs are numbered in raster-scan order and the root of a component is its first run.
// So roots met in order are components in the order of their first voxel, and no order of unions, hence no number of
// threads, can be seen in the result.

#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bits.hpp"
#include "parallel.hpp"

namespace voxlogica {

using RunIndex = std::uint32_t;

/// The voxels [begin, end) of one row, all true, as long as can be.
struct Run {
    std::uint32_t begin, end;
};

/// The runs of a mask in raster-scan order; those of row r are [first[r], first[r + 1]).
struct Runs {
    std::unique_ptr<std::size_t[]> first;
    std::unique_ptr<Run[]> run;
    std::size_t count = 0;
};

/// The number of runs of one row: of true voxels after a false one. The clones count bits with one instruction, and
/// save 0.4 ms of the 5 ms that `through` takes on a brain.
VOXLOGICA_CLONES
static std::size_t count_runs(const Word* row, std::size_t nw, Word tail) {
    std::size_t sum = 0;
    Word before = 0;
    for (std::size_t w = 0; w < nw; ++w) {
        const Word here = w + 1 < nw ? row[w] : row[w] & tail;
        sum += static_cast<unsigned>(std::popcount(here & ~((here << 1) | (before >> 63))));
        before = here;
    }
    return sum;
}

/// Write the runs of one row: the bits where a voxel differs from the one before it are, in turn, begins and ends.
inline void write_runs(const Word* row, const Grid& grid, Run* out) {
    Word before = 0;
    bool open = false;
    for (std::size_t w = 0; w < grid.nw; ++w) {
        const Word here = w + 1 < grid.nw ? row[w] : row[w] & grid.tail();
        for (Word change = here ^ ((here << 1) | (before >> 63)); change != 0; change &= change - 1) {
            const auto x = static_cast<std::uint32_t>(w * word_bits + static_cast<unsigned>(std::countr_zero(change)));
            if (open) {
                (out++)->end = x;
            } else {
                out->begin = x;
            }
            open = !open;
        }
        before = here;
    }
    if (open) out->end = static_cast<std::uint32_t>(grid.nx);
}

inline Runs find_runs(const Word* words, const Grid& grid, int threads) {
    const std::size_t rows = grid.rows();
    if (grid.nx > std::numeric_limits<std::uint32_t>::max()) throw std::length_error("rows of 2^32 voxels or more");
    Runs runs;
    runs.first = std::make_unique_for_overwrite<std::size_t[]>(rows + 1);
    runs.first[0] = 0;
    parallel_chunks(rows, row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r)
            runs.first[r + 1] = count_runs(words + r * grid.nw, grid.nw, grid.tail());
    });
    for (std::size_t r = 0; r < rows; ++r) runs.first[r + 1] += runs.first[r];
    runs.count = runs.first[rows];
    if (runs.count > std::numeric_limits<RunIndex>::max()) throw std::length_error("a mask of 2^32 runs or more");
    runs.run = std::make_unique_for_overwrite<Run[]>(runs.count);
    parallel_chunks(rows, row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) write_runs(words + r * grid.nw, grid, &runs.run[runs.first[r]]);
    });
    return runs;
}

/// Disjoint sets of runs, each known by its first run.
class Sets {
public:
    explicit Sets(std::size_t n) : parent_(std::make_unique_for_overwrite<RunIndex[]>(n)) {
        for (std::size_t i = 0; i < n; ++i) parent_[i] = static_cast<RunIndex>(i);
    }

    RunIndex find(RunIndex i) {
        while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
        return i;
    }

    void unite(RunIndex i, RunIndex j) {
        if (parent_[i] == parent_[j]) return;  // most pairs: a quarter of the time is saved
        i = find(i);
        j = find(j);
        parent_[std::max(i, j)] = std::min(i, j);
    }

    /// Point every run at its root; afterwards `root` may be asked. Parents come first, so one pass is enough.
    void flatten(std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) parent_[i] = parent_[parent_[i]];
    }

    RunIndex root(std::size_t i) const { return parent_[i]; }

private:
    std::unique_ptr<RunIndex[]> parent_;
};

/// Unite the runs of two neighbouring rows that touch, corners included: [a, b) and [c, d) touch iff a <= d and c <= b.
inline void unite_rows(const Runs& runs, std::size_t row, std::size_t other, Sets& sets) {
    std::size_t i = runs.first[row], j = runs.first[other];
    const std::size_t i_end = runs.first[row + 1], j_end = runs.first[other + 1];
    while (i < i_end && j < j_end) {
        const Run a = runs.run[i], b = runs.run[j];
        if (a.begin <= b.end && b.begin <= a.end) sets.unite(static_cast<RunIndex>(i), static_cast<RunIndex>(j));
        // The one that ends first touches nothing further on; of two that end together, neither does.
        if (a.end < b.end) {
            ++i;
        } else {
            ++j;
        }
    }
}

/// Unite row r with those of its four earlier neighbours that lie in [begin, end).
inline void unite_row(const Runs& runs, const Grid& grid, std::size_t r, std::size_t begin, std::size_t end,
                      Sets& sets) {
    if (runs.first[r] == runs.first[r + 1]) return;
    const auto with = [&](std::size_t other) {
        if (begin <= other && other < end) unite_rows(runs, r, other, sets);
    };
    const std::size_t y = r % grid.ny;
    if (y > 0) with(r - 1);
    if (r < grid.ny) return;  // the first plane
    if (y > 0) with(r - grid.ny - 1);
    with(r - grid.ny);
    if (y + 1 < grid.ny) with(r - grid.ny + 1);
}

/// The components of a mask, as flattened sets of its runs.
///
/// Each chunk of rows is united inside itself, touching only its own runs, and in parallel; then the first rows of each
/// chunk are united with the rows before it, by one thread.
inline Sets unite_runs(const Runs& runs, const Grid& grid, int threads) {
    const std::size_t rows = grid.rows(), reach = grid.ny + 1;  // no earlier neighbour is further back
    Sets sets(runs.count);
    const std::size_t chunks = threads > 1 ? 4 * static_cast<std::size_t>(threads) : 1;
    const std::size_t length = std::max(rows / chunks + 1, grid.nz > 1 ? 4 * reach : 64);
    parallel_chunks((rows + length - 1) / length, 1, threads, [&](std::size_t first, std::size_t last) {
        for (std::size_t chunk = first; chunk < last; ++chunk) {
            const std::size_t begin = chunk * length, end = std::min(begin + length, rows);
            for (std::size_t r = begin; r < end; ++r) unite_row(runs, grid, r, begin, end, sets);
        }
    });
    for (std::size_t begin = length; begin < rows; begin += length)
        for (std::size_t r = begin; r < std::min(begin + reach, rows); ++r) unite_row(runs, grid, r, 0, begin, sets);
    sets.flatten(runs.count);
    return sets;
}

/// Write the mask of the runs whose root is kept.
inline void write_kept(const Runs& runs, const Sets& sets, const std::vector<std::uint8_t>& kept, const Grid& grid,
                       int threads, Word* out) {
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        std::fill(out + begin * grid.nw, out + end * grid.nw, Word{0});
        for (std::size_t r = begin; r < end; ++r)
            for (std::size_t i = runs.first[r]; i < runs.first[r + 1]; ++i)
                if (kept[sets.root(i)]) set_bits(out + r * grid.nw, runs.run[i].begin, runs.run[i].end);
    });
}

/// The components of b that hold a voxel of a and b.
inline void through(const Word* a, const Word* b, const Grid& grid, int threads, Word* out) {
    const Runs runs = find_runs(b, grid, threads);
    const Sets sets = unite_runs(runs, grid, threads);
    std::vector<std::uint8_t> met(runs.count);  // by run: a byte each, since threads may not share one
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r)
            for (std::size_t i = runs.first[r]; i < runs.first[r + 1]; ++i)
                met[i] = any_bits(a + r * grid.nw, runs.run[i].begin, runs.run[i].end);
    });
    for (std::size_t i = 0; i < runs.count; ++i) met[sets.root(i)] |= met[i];
    write_kept(runs, sets, met, grid, threads, out);
}

/// The components with the largest number of voxels, all of them if several have it.
inline void largest(const Word* words, const Grid& grid, int threads, Word* out) {
    const Runs runs = find_runs(words, grid, threads);
    const Sets sets = unite_runs(runs, grid, threads);
    std::vector<std::uint64_t> size(runs.count);
    std::uint64_t most = 0;
    for (std::size_t i = 0; i < runs.count; ++i) {
        std::uint64_t& sum = size[sets.root(i)];
        sum += runs.run[i].end - runs.run[i].begin;
        most = std::max(most, sum);
    }
    std::vector<std::uint8_t> kept(runs.count);
    for (std::size_t i = 0; i < runs.count; ++i) kept[i] = size[i] == most;  // only roots have a size
    write_kept(runs, sets, kept, grid, threads, out);
}

/// Labels 1..k in the order of each component's first voxel; 0 outside. More than `limit` components: overflow_error.
inline void components(const Word* words, const Grid& grid, int threads, std::size_t limit, float* out) {
    const Runs runs = find_runs(words, grid, threads);
    const Sets sets = unite_runs(runs, grid, threads);
    std::vector<float> label(runs.count);
    std::size_t k = 0;
    for (std::size_t i = 0; i < runs.count; ++i) {
        const bool first = sets.root(i) == i;
        if (first && ++k > limit) throw std::overflow_error("more components than float32 can tell apart");
        label[i] = first ? static_cast<float>(k) : label[sets.root(i)];
    }
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) {
            float* row = out + r * grid.nx;
            std::size_t x = 0;
            for (std::size_t i = runs.first[r]; i < runs.first[r + 1]; ++i) {
                std::fill(row + x, row + runs.run[i].begin, 0.0f);
                std::fill(row + runs.run[i].begin, row + runs.run[i].end, label[i]);
                x = runs.run[i].end;
            }
            std::fill(row + x, row + grid.nx, 0.0f);
        }
    });
}

}  // namespace voxlogica

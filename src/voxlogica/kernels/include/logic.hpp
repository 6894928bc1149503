// Boolean algebra, 64 voxels at a time.
//
// The bits past nx are zero in every argument, and stay so: `not` is an exclusive or with the voxels of a row.

#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "bits.hpp"
#include "parallel.hpp"

namespace voxlogica {

/// Words per piece of divided work: a megabyte of each array, beside which starting a thread is cheap.
inline constexpr std::size_t logic_grain = std::size_t{1} << 17;

template <class Op>
[[gnu::always_inline]] inline void combine_words(const Word* a, const Word* b, std::size_t n, Word* __restrict out, Op op) {
    for (std::size_t i = 0; i < n; ++i) out[i] = op(a[i], b[i]);
}

// One name for each operation: clones are not made of templates.

VOXLOGICA_CLONES
static void and_words(const Word* a, const Word* b, std::size_t n, Word* out) {
    combine_words(a, b, n, out, [](Word p, Word q) { return p & q; });
}

VOXLOGICA_CLONES
static void or_words(const Word* a, const Word* b, std::size_t n, Word* out) {
    combine_words(a, b, n, out, [](Word p, Word q) { return p | q; });
}

VOXLOGICA_CLONES
static void and_not_words(const Word* a, const Word* b, std::size_t n, Word* out) {
    combine_words(a, b, n, out, [](Word p, Word q) { return p & ~q; });
}

VOXLOGICA_CLONES
static void xor_words(const Word* a, const Word* b, std::size_t n, Word* out) {
    combine_words(a, b, n, out, [](Word p, Word q) { return p ^ q; });
}

using Combination = void (*)(const Word*, const Word*, std::size_t, Word*);

inline void combine(const Word* a, const Word* b, std::size_t n, Combination words, int threads, Word* out) {
    parallel_chunks(n, logic_grain, threads,
                    [&](std::size_t begin, std::size_t end) { words(a + begin, b + begin, end - begin, out + begin); });
}

/// Words per line of the cache: a pattern so long stays in registers.
inline constexpr std::size_t line_words = 8;

/// Exclusive or of n words with a line, again and again.
VOXLOGICA_CLONES
static void xor_line(const Word* a, const Word* line, std::size_t n, Word* out) {
    Word held[line_words];
    std::copy_n(line, line_words, held);
    std::size_t i = 0;
    for (; i + line_words <= n; i += line_words) {
        for (std::size_t j = 0; j < line_words; ++j) out[i + j] = a[i + j] ^ held[j];
    }
    for (std::size_t j = 0; i < n; ++i, ++j) out[i] = a[i] ^ held[j];
}

/// Several rows at once are `xor` with as many rows of ones: one line of the cache if they fit it, else some kilobytes.
inline void complement(const Word* a, const Grid& grid, int threads, Word* out) {
    const bool fits = line_words % grid.nw == 0;
    const std::size_t together = fits ? line_words / grid.nw : std::min(grid.rows(), 1 + 512 / grid.nw);
    std::vector<Word> ones(together * grid.nw, ~Word{0});
    for (std::size_t row = 0; row < together; ++row) ones[(row + 1) * grid.nw - 1] = grid.tail();
    parallel_chunks(grid.rows(), 1 + logic_grain / grid.nw, threads, [&](std::size_t begin, std::size_t end) {
        if (fits) return xor_line(a + begin * grid.nw, ones.data(), (end - begin) * grid.nw, out + begin * grid.nw);
        for (std::size_t row = begin; row < end; row += together) {
            xor_words(a + row * grid.nw, ones.data(), std::min(together, end - row) * grid.nw, out + row * grid.nw);
        }
    });
}

}  // namespace voxlogica

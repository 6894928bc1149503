// Numbers about a mask: how many voxels, and the box that holds them.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "bits.hpp"

namespace voxlogica {

/// The number of true bits. The tail bits are zero, so words are all there is to see.
VOXLOGICA_CLONES
static std::uint64_t count_bits(const Word* words, std::size_t n) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<unsigned>(std::popcount(words[i]));
    return sum;
}

/// Half-open bounds of the true voxels: z begin, z end, y begin, y end, x begin, x end; nothing when there are none.
inline std::optional<std::array<std::size_t, 6>> bounding_box(const Word* words, const Grid& grid) {
    std::size_t z0 = grid.nz, z1 = 0, y0 = grid.ny, y1 = 0;
    std::vector<Word> met(grid.nw, 0);  // all rows, one on the other
    for (std::size_t z = 0; z < grid.nz; ++z) {
        for (std::size_t y = 0; y < grid.ny; ++y, words += grid.nw) {
            Word any = 0;
            for (std::size_t w = 0; w < grid.nw; ++w) {
                any |= words[w];
                met[w] |= words[w];
            }
            if (any == 0) continue;
            z0 = std::min(z0, z);
            z1 = z + 1;
            y0 = std::min(y0, y);
            y1 = std::max(y1, y + 1);
        }
    }
    if (z1 == 0) return std::nullopt;
    std::size_t first = 0, last = grid.nw - 1;
    while (met[first] == 0) ++first;
    while (met[last] == 0) --last;
    const std::size_t x0 = first * word_bits + static_cast<std::size_t>(std::countr_zero(met[first]));
    const std::size_t x1 = (last + 1) * word_bits - static_cast<std::size_t>(std::countl_zero(met[last]));
    return std::array{z0, z1, y0, y1, x0, x1};
}

}  // namespace voxlogica

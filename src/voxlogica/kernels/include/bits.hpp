// Masks as packed bits: the layout, and the few words of arithmetic that every kernel needs.
//
// A mask of nz * ny * nx voxels is nz * ny rows of ceil(nx / 64) words; bit b of word w of a row is the voxel
// x = 64 * w + b. The bits past nx are zero: the invariant of every mask, relied on wherever words are counted,
// compared or shifted. Rows are numbered z * ny + y, so that most kernels see a list of rows and no volume.

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// The same source compiled once per instruction set, chosen when the module is loaded. Only where it was measured to
// pay; needs the GNU loader's indirect functions, hence the guard. Elsewhere: one version for the baseline.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && !defined(VOXLOGICA_ONE_CLONE)
#define VOXLOGICA_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VOXLOGICA_CLONES
#endif

namespace voxlogica {

using Word = std::uint64_t;
inline constexpr std::size_t word_bits = 64;

/// The sizes of a mask; `nw` words in a row.
struct Grid {
    std::size_t nz, ny, nx, nw;

    Grid(std::size_t nz_, std::size_t ny_, std::size_t nx_)
        : nz(nz_), ny(ny_), nx(nx_), nw((nx_ + word_bits - 1) / word_bits) {}

    std::size_t rows() const { return nz * ny; }

    /// The bits of a row's last word that are voxels.
    Word tail() const { return ~Word{0} >> (nw * word_bits - nx); }
};

/// Rows per chunk of divided work: long enough (16 KiB of words) to hide the cost of taking a chunk.
inline std::size_t row_grain(const Grid& grid) { return 1 + 2048 / grid.nw; }

/// 64 bytes of 0 or 1 to a word; the first byte in memory is the lowest bit.
///
/// The plain way, eight at a time: byte k, at bit 8k of the little-endian word, meets the multiplier's bit 56 - 7k at
/// bit 56 + k; no other product reaches the top byte twice, so nothing is carried.
inline Word gather_word(const std::uint8_t* bytes) {
    Word word = 0;
#if defined(__SSE2__)
    for (unsigned k = 0; k < 4; ++k) {
        const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * k));
        const auto bits = static_cast<unsigned>(_mm_movemask_epi8(_mm_slli_epi16(sixteen, 7)));
        word |= Word{bits} << (16 * k);
    }
#else
    static_assert(std::endian::native == std::endian::little, "masks are packed on little-endian machines only");
    for (unsigned k = 0; k < 8; ++k) {
        std::uint64_t eight;
        std::memcpy(&eight, bytes + 8 * k, sizeof eight);
        word |= ((eight * 0x0102040810204080u) >> 56) << (8 * k);
    }
#endif
    return word;
}

/// For each value of eight bits, its eight bytes of 0 or 1, the lowest bit first.
inline constexpr std::array<std::uint64_t, 256> scattered_bytes = [] {
    std::array<std::uint64_t, 256> table{};
    for (unsigned value = 0; value < 256; ++value)
        for (unsigned bit = 0; bit < 8; ++bit) table[value] |= std::uint64_t{(value >> bit) & 1} << (8 * bit);
    return table;
}();

/// A word to 64 bytes of 0 or 1.
inline void scatter_word(Word word, std::uint8_t* bytes) {
    for (unsigned k = 0; k < 8; ++k) std::memcpy(bytes + 8 * k, &scattered_bytes[(word >> (8 * k)) & 0xff], 8);
}

/// The bits [begin, end) of a word, 0 <= begin < end <= 64.
inline Word bit_range(std::size_t begin, std::size_t end) {
    return (~Word{0} << begin) & (~Word{0} >> (word_bits - end));
}

/// Call each(word index, bits of [begin, end) in that word) for the words of a row that meet [begin, end), not empty.
template <class Each>
inline void for_words_of(std::size_t begin, std::size_t end, const Each& each) {
    const std::size_t first = begin / word_bits, last = (end - 1) / word_bits;
    for (std::size_t w = first; w <= last; ++w) {
        const std::size_t origin = w * word_bits;
        each(w, bit_range(w == first ? begin - origin : 0, w == last ? end - origin : word_bits));
    }
}

/// Make the voxels [begin, end) of a row true.
inline void set_bits(Word* row, std::size_t begin, std::size_t end) {
    for_words_of(begin, end, [row](std::size_t w, Word bits) { row[w] |= bits; });
}

/// Is some voxel of [begin, end) of a row true?
inline bool any_bits(const Word* row, std::size_t begin, std::size_t end) {
    Word found = 0;
    for_words_of(begin, end, [row, &found](std::size_t w, Word bits) { found |= row[w] & bits; });
    return found != 0;
}

}  // namespace voxlogica

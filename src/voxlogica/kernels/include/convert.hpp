// Voxels to bits and back: bytes and comparisons of floats, packed 64 voxels at a time as they stream by.
//
// Every comparison with constants is one closed interval of integers. The bits of a float, read as an integer and with
// the lower 31 flipped if negative, are ordered as the floats are: -inf < ... < -0 < +0 < ... < +inf, with the NaNs
// outside (M. Herf, "Radix tricks", 2001; IEEE 754-2019, totalOrder). Strict is then the neighbouring integer, a NaN
// is false by order, and a denormal voxel is no zero, even where some library told the processor to flush denormals.

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include "bits.hpp"
#include "parallel.hpp"
#include "voxels.hpp"

namespace voxlogica {

/// The integers whose order is that of the floats.
inline std::int32_t order_key(float value) {
    const auto bits = std::bit_cast<std::int32_t>(value);
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

/// A closed interval of order keys; empty when low > high.
struct KeyRange {
    std::int32_t low, high;

    /// From low to high; what is below low, counted from low as unsigned, is further.
    std::uint32_t span() const { return static_cast<std::uint32_t>(high) - static_cast<std::uint32_t>(low); }
};

inline constexpr KeyRange no_key{0, -1};

/// low <= voxel <= high. Both zeros, keys -1 and 0, are one number: the interval holds both or none. NaN: nowhere.
inline KeyRange keys_between(float low, float high) {
    if (std::isnan(low) || std::isnan(high)) return no_key;
    const std::int32_t from = order_key(low), to = order_key(high);
    return {from == 0 ? -1 : from, to == -1 ? 0 : to};
}

/// voxel OP constant. Infinities are keys like others, so that nothing is > inf or < -inf.
inline KeyRange keys_compared(std::string_view op, float constant) {
    static_assert(std::numeric_limits<float>::is_iec559);
    constexpr float inf = std::numeric_limits<float>::infinity();
    if (op == "==") return keys_between(constant, constant);
    if (op == ">=") return keys_between(constant, inf);
    if (op == "<=") return keys_between(-inf, constant);
    const bool nan = std::isnan(constant);
    if (op == ">") return nan ? no_key : KeyRange{keys_between(constant, constant).high + 1, order_key(inf)};
    if (op == "<") return nan ? no_key : KeyRange{order_key(-inf), keys_between(constant, constant).low - 1};
    throw std::invalid_argument("unknown comparison: expected one of ==, >=, <=, >, <");
}

/// Is the key of each of n voxels in the range, which is not empty, as bytes of 0 or 1.
inline void hold_compared(const float* voxels, std::size_t n, KeyRange keys, std::uint8_t* held) {
    const auto low = static_cast<std::uint32_t>(keys.low), span = keys.span();
    for (std::size_t b = 0; b < n; ++b) {
        // One comparison for both ends: what is below the range wraps around, and is too large.
        held[b] = static_cast<std::uint32_t>(order_key(voxels[b])) - low <= span;
    }
}

/// 64 floats to a word: true where the key is in the range.
inline Word compare_word(const float* voxels, KeyRange keys) {
    alignas(word_bits) std::uint8_t held[word_bits];
    hold_compared(voxels, word_bits, keys, held);  // a constant count: straight vector code
    return gather_word(held);
}

#if defined(__x86_64__) && defined(__GNUC__)
// The same by the masks that the comparisons of vectors give, which no compiler makes of the above: as quick as the
// floats can be read, where it was a third slower.

__attribute__((target("avx512f"))) inline Word compare_word_avx512(const float* voxels, KeyRange keys) {
    const __m512i low = _mm512_set1_epi32(keys.low), span = _mm512_set1_epi32(static_cast<int>(keys.span()));
    Word word = 0;
    for (unsigned k = 0; k < 4; ++k) {
        const auto bits = reinterpret_cast<__v16si>(_mm512_loadu_si512(voxels + 16 * k));
        const auto key = reinterpret_cast<__m512i>(bits ^ ((bits >> 31) & 0x7fffffff));
        word |= Word{_mm512_cmple_epu32_mask(_mm512_sub_epi32(key, low), span)} << (16 * k);
    }
    return word;
}

__attribute__((target("avx2"))) inline Word compare_word_avx2(const float* voxels, KeyRange keys) {
    const __m256i low = _mm256_set1_epi32(keys.low), span = _mm256_set1_epi32(static_cast<int>(keys.span()));
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    Word word = 0;
    for (unsigned k = 0; k < 8; ++k) {
        const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(voxels + 8 * k));
        const __m256i key = _mm256_xor_si256(bits, _mm256_and_si256(_mm256_srai_epi32(bits, 31), magnitude));
        const __m256i above = _mm256_sub_epi32(key, low);
        const __m256i held = _mm256_cmpeq_epi32(_mm256_min_epu32(above, span), above);
        word |= Word{static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(held)))} << (8 * k);
    }
    return word;
}
#endif

/// One row of floats to bits, by one of the ways above.
template <Word way(const float*, KeyRange)>
[[gnu::always_inline]] inline void compare_row_by(const float* voxels, std::size_t nx, KeyRange keys, Word* out) {
    for (; nx >= word_bits; nx -= word_bits, voxels += word_bits) *out++ = way(voxels, keys);
    if (nx > 0) {
        alignas(word_bits) std::uint8_t held[word_bits] = {};
        hold_compared(voxels, nx, keys, held);
        *out = gather_word(held);
    }
}

using CompareRow = void (*)(const float*, std::size_t, KeyRange, Word*);

inline void compare_row(const float* voxels, std::size_t nx, KeyRange keys, Word* out) {
    compare_row_by<compare_word>(voxels, nx, keys, out);
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx512f"))) inline void compare_row_avx512(const float* v, std::size_t nx, KeyRange k, Word* out) {
    compare_row_by<compare_word_avx512>(v, nx, k, out);
}

__attribute__((target("avx2"))) inline void compare_row_avx2(const float* v, std::size_t nx, KeyRange k, Word* out) {
    compare_row_by<compare_word_avx2>(v, nx, k, out);
}

inline CompareRow best_compare_row() {
    if (__builtin_cpu_supports("avx512f")) return compare_row_avx512;
    return __builtin_cpu_supports("avx2") ? compare_row_avx2 : compare_row;
}
#else
inline CompareRow best_compare_row() { return compare_row; }
#endif

inline void compare(const Voxels& field, const Grid& grid, KeyRange keys, int threads, Word* out) {
    if (keys.low > keys.high) {
        std::fill_n(out, grid.rows() * grid.nw, Word{0});
        return;
    }
    const CompareRow compare_row = best_compare_row();
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        const RowReader voxels(field, grid);
        for (std::size_t row = begin; row < end; ++row)
            compare_row(voxels(row), grid.nx, keys, out + row * grid.nw);
    });
}

/// Which of n bytes are not zero, as bytes of 0 or 1.
inline void hold_true(const std::uint8_t* voxels, std::size_t n, std::uint8_t* held) {
    for (std::size_t b = 0; b < n; ++b) held[b] = voxels[b] != 0;
}

/// One row of bytes to bits: true where the byte is not zero.
inline void pack_row(const std::uint8_t* voxels, std::size_t nx, Word* out) {
    alignas(word_bits) std::uint8_t held[word_bits];
    for (; nx >= word_bits; nx -= word_bits, voxels += word_bits) {
        hold_true(voxels, word_bits, held);
        *out++ = gather_word(held);
    }
    if (nx > 0) {
        std::memset(held, 0, sizeof held);
        hold_true(voxels, nx, held);
        *out = gather_word(held);
    }
}

inline void pack(const std::uint8_t* voxels, const Grid& grid, int threads, Word* out) {
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row)
            pack_row(voxels + row * grid.nx, grid.nx, out + row * grid.nw);
    });
}

/// One row of bits to bytes of 0 or 1.
inline void unpack_row(const Word* words, std::size_t nx, std::uint8_t* out) {
    for (; nx >= word_bits; nx -= word_bits, out += word_bits) scatter_word(*words++, out);
    if (nx > 0) {
        std::uint8_t last[word_bits];
        scatter_word(*words, last);
        std::memcpy(out, last, nx);
    }
}

inline void unpack(const Word* words, const Grid& grid, int threads, std::uint8_t* out) {
    parallel_chunks(grid.rows(), row_grain(grid), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row)
            unpack_row(words + row * grid.nw, grid.nx, out + row * grid.nx);
    });
}

}  // namespace voxlogica

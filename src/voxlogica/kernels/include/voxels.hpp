// The numbers of a field as they lie in memory: floats, or integers of one or two bytes, all of which are floats too.
//
// Kernels know floats only. Where the field has integers, a few thousand at a time become floats in a buffer that stays
// in the cache: half or a quarter of the memory is read, and no float image is made. The results are those of the
// float image by construction, since the conversion is exact.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "bits.hpp"

namespace voxlogica {

/// What a number is in memory.
enum class Kind { f4, u1, i1, u2, i2 };

inline std::size_t size_of(Kind kind) {
    return kind == Kind::f4 ? 4 : kind == Kind::u1 || kind == Kind::i1 ? 1 : 2;
}

/// The least number of a kind of integers, and how many there are from there on.
inline std::int32_t least_of(Kind kind) { return kind == Kind::i1 ? -128 : kind == Kind::i2 ? -32768 : 0; }
inline std::size_t range_of(Kind kind) { return std::size_t{1} << (8 * size_of(kind)); }

template <class Number>
[[gnu::always_inline]] inline void convert(const void* numbers, std::size_t n, float* __restrict out) {
    const auto* from = static_cast<const Number*>(numbers);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(from[i]);
}

/// n integers as floats.
VOXLOGICA_CLONES
static void convert(const void* numbers, Kind kind, std::size_t n, float* out) {
    switch (kind) {
        case Kind::u1: return convert<std::uint8_t>(numbers, n, out);
        case Kind::i1: return convert<std::int8_t>(numbers, n, out);
        case Kind::u2: return convert<std::uint16_t>(numbers, n, out);
        case Kind::i2: return convert<std::int16_t>(numbers, n, out);
        case Kind::f4: return convert<float>(numbers, n, out);
    }
}

/// The numbers of a field, wherever rows begin in them.
struct Voxels {
    const void* numbers;
    Kind kind;

    bool operator==(const Voxels& other) const { return numbers == other.numbers && kind == other.kind; }
};

/// Reads at most `most` numbers of a field at a time, as floats. One for each thread; what it gave is gone at the next.
class Reader {
public:
    Reader(const Voxels& voxels, std::size_t most)
        : voxels_(voxels),
          buffer_(voxels.kind == Kind::f4 ? nullptr : std::make_unique_for_overwrite<float[]>(most)) {}

    /// The numbers [begin, begin + n).
    const float* operator()(std::size_t begin, std::size_t n) const {
        if (voxels_.kind == Kind::f4) return static_cast<const float*>(voxels_.numbers) + begin;
        convert(static_cast<const std::byte*>(voxels_.numbers) + begin * size_of(voxels_.kind), voxels_.kind, n, buffer_.get());
        return buffer_.get();
    }

private:
    const Voxels voxels_;
    const std::unique_ptr<float[]> buffer_;
};

/// Reads the rows of a field.
class RowReader {
public:
    RowReader(const Voxels& voxels, const Grid& grid) : read_(voxels, grid.nx), nx_(grid.nx) {}

    const float* operator()(std::size_t row) const { return read_(row * nx_, nx_); }

private:
    const Reader read_;
    const std::size_t nx_;
};

/// Call body(begin, floats, n) for all of n numbers: at once if they are floats, else a few thousand at a time.
template <class Body>
void for_parts(const Voxels& voxels, std::size_t begin, std::size_t end, const Body& body) {
    const std::size_t most = voxels.kind == Kind::f4 ? end - begin : std::min<std::size_t>(end - begin, 4096);
    const Reader read(voxels, most);
    for (; begin < end; begin += most) {
        const std::size_t n = std::min(most, end - begin);
        body(begin, read(begin, n), n);
    }
}

}  // namespace voxlogica

// The windows of voxels: the sums of squares of the histograms of the boxes around them, by which correlation.hpp
// starts. Exact integers; a window that leaves the image is cut at its border.
//
// Per bin, counts along z for a tile of columns (two updates per voxel as z moves), from them rows of counts over z and
// y (one row added and one subtracted as y moves), from these sums over x, and from these the squares. Everything but
// the first step is a vector operation on consecutive x, and the work does not depend on the size of the window.
// (Moving histograms: T. Huang, G. Yang, G. Tang, IEEE Trans. ASSP 27(1), 1979; with columns, S. Perreault, P. Hebert,
// "Median filtering in constant time", IEEE Trans. Image Processing 16(9), 2007.)
//
// Where a window holds one bin only, that of the image's first voxel (the background, in most images), the sums follow
// from its size: `Backdrop`.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "bits.hpp"
#include "histogram.hpp"
#include "parallel.hpp"
#include "voxels.hpp"

namespace voxlogica {

inline constexpr unsigned bin_bits = 8;
inline constexpr std::size_t most_binned = 255;  // bins of which windows are made; one more value says "in none"
/// Windows of fewer voxels have squares of 24 bits; of fewer voxels, counts of 16; of more, sums of 56 bits at most.
inline constexpr double narrow_window = 4096, usual_window = 65536, widest_window = 268435456;

/// So many numbers, in whole vectors: what is worked on a little further needs no loop for single numbers. Buffers have
/// room for it: `slack` numbers more.
template <class Number>
inline std::size_t in_vectors(std::size_t n) {
    constexpr std::size_t lanes = 64 / sizeof(Number);
    return (n + lanes - 1) / lanes * lanes;
}

inline constexpr std::size_t slack = 64;

/// out[x] = in[x] + ... + in[x + length - 1] for n values of x, from sums of 1, 2, 4, ... neighbours; and some beyond.
template <class Counter>
[[gnu::always_inline]] inline void sum_neighbours(const Counter* in, std::size_t n, std::size_t length,
                                                  Counter* __restrict pairs, Counter* __restrict out) {
    std::size_t held = 0;      // how many neighbours out[x] has
    std::size_t width = 1;     // how many each element of `sums` has
    const Counter* sums = in;
    for (;;) {
        if ((length & width) != 0) {
            if (held == 0) std::copy_n(sums, n, out);
            else for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<Counter>(out[x] + sums[x + held]);
            held += width;
        }
        if (held == length) return;
        const std::size_t m = in_vectors<Counter>(n + length - 2 * width);  // those that can still be asked for
        // What is read ahead is written later: whole vectors may be added at once, which a compiler cannot know.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
        for (std::size_t x = 0; x < m; ++x) pairs[x] = static_cast<Counter>(sums[x] + sums[x + width]);
        sums = pairs;
        width *= 2;
    }
}

/// Half-widths of the window along x, y, z; no larger than the image, beyond which they change nothing.
struct Radius {
    std::size_t x, y, z;
};

/// Half-open ranges of y and x; those that hold nothing are empty.
struct Rectangle {
    std::size_t y0, y1, x0, x1;

    bool empty() const { return y0 >= y1 || x0 >= x1; }

    void include(const Rectangle& other) {
        y0 = std::min(y0, other.y0);
        y1 = std::max(y1, other.y1);
        x0 = std::min(x0, other.x0);
        x1 = std::max(x1, other.x1);
    }
};

struct Tile {
    std::size_t z0, z1, y0, y1, x0, x1;
};

/// A voxel's bin, of a window or by itself.
template <class Voxel>
inline std::uint8_t bin_of(Voxel voxel) {
    return static_cast<std::uint8_t>(voxel);
}

/// Is one of n voxels in another bin.
template <class Voxel>
[[gnu::always_inline]] inline bool any_other(const Voxel* voxels, std::size_t n, std::uint8_t bin) {
    std::uint8_t other = 0;
    for (std::size_t i = 0; i < n; ++i) other = static_cast<std::uint8_t>(other | (bin_of(voxels[i]) ^ bin));
    return other != 0;
}

VOXLOGICA_CLONES
static bool in_other_bins(const std::uint8_t* voxels, std::size_t n, std::uint8_t bin) {
    return any_other(voxels, n, bin);
}

VOXLOGICA_CLONES
static bool in_other_bins(const std::uint32_t* voxels, std::size_t n, std::uint8_t bin) {
    return any_other(voxels, n, bin);
}

inline bool in_other_bins(const std::uint64_t* voxels, std::size_t n, std::uint8_t bin) {
    return any_other(voxels, n, bin);
}

/// The voxels whose windows hold only the bin of the image's first voxel: where they are, and how large the windows.
class Backdrop {
public:
    template <class Voxel>
    Backdrop(const Voxel* voxels, const Grid& grid, Radius radius, int threads)
        : bin(bin_of(voxels[0])), grid_(grid), radius_(radius), other_(grid.nz, nothing()) {
        parallel_chunks(grid.nz, 4, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t z = begin; z < end; ++z) find(voxels + z * grid.ny * grid.nx, other_[z]);
        });
    }

    const std::uint8_t bin;

    /// The voxels of a tile in plane z whose windows may hold other bins.
    Rectangle busy(std::size_t z, const Tile& tile) const {
        Rectangle found = nothing();
        const std::size_t end = std::min(grid_.nz, z + radius_.z + 1);
        for (std::size_t w = z - std::min(z, radius_.z); w < end; ++w) found.include(other_[w]);
        if (found.empty()) return nothing();
        const Rectangle here{std::max(tile.y0, found.y0 - std::min(found.y0, radius_.y)),
                             std::min(tile.y1, found.y1 + radius_.y),
                             std::max(tile.x0, found.x0 - std::min(found.x0, radius_.x)),
                             std::min(tile.x1, found.x1 + radius_.x)};
        return here.empty() ? nothing() : here;
    }

    /// And in all its planes.
    Rectangle busy(const Tile& tile) const {
        Rectangle found = nothing();
        for (std::size_t z = tile.z0; z < tile.z1; ++z) found.include(busy(z, tile));
        return found;
    }

    /// Fill what of a tile's row is not busy by the value for a window's size.
    template <class Out, class ValueOf>
    void fill(std::size_t z, std::size_t y, const Tile& tile, const Rectangle& busy, Out* row, const ValueOf& value_of) const {
        const bool aside = y < busy.y0 || y >= busy.y1;
        fill_row(z, y, tile.x0, aside ? tile.x1 : busy.x0, row, value_of);
        if (!aside) fill_row(z, y, busy.x1, tile.x1, row, value_of);
    }

private:
    Rectangle nothing() const { return {grid_.ny, 0, grid_.nx, 0}; }

    static std::uint64_t extent(std::size_t at, std::size_t radius, std::size_t n) {
        return std::min(n, at + radius + 1) - (at - std::min(at, radius));
    }

    template <class Out, class ValueOf>
    void fill_row(std::size_t z, std::size_t y, std::size_t x0, std::size_t x1, Out* row,
                  const ValueOf& value_of) const {
        const std::uint64_t face = extent(z, radius_.z, grid_.nz) * extent(y, radius_.y, grid_.ny);
        while (x0 < x1) {
            const std::size_t size = extent(x0, radius_.x, grid_.nx);
            std::size_t end = x0 + 1;
            while (end < x1 && extent(end, radius_.x, grid_.nx) == size) {
                // Away from the border all are as large; from there on they become smaller.
                end = size == 2 * radius_.x + 1 ? std::min(x1, grid_.nx - radius_.x) : end + 1;
            }
            std::fill(row + x0, row + end, value_of(face * size));
            x0 = end;
        }
    }

    template <class Voxel>
    void find(const Voxel* plane, Rectangle& found) const {
        for (std::size_t y = 0; y < grid_.ny; ++y) {
            const Voxel* row = plane + y * grid_.nx;
            if (!in_other_bins(row, grid_.nx, bin)) continue;
            std::size_t first = 0, last = grid_.nx;
            while (bin_of(row[first]) == bin) ++first;
            while (bin_of(row[last - 1]) == bin) --last;
            found.include({y, y + 1, first, last});
        }
    }

    const Grid grid_;
    const Radius radius_;
    std::vector<Rectangle> other_;  // by plane, the bounds of the voxels in other bins
};

/// Call body(tile) for tiles of these sizes at most.
template <class Body>
void for_tiles(const Grid& grid, std::size_t tz, std::size_t ty, std::size_t tx, int threads, const Body& body) {
    const auto pieces = [](std::size_t n, std::size_t size) { return (n + size - 1) / size; };
    const std::size_t in_x = pieces(grid.nx, tx), in_y = pieces(grid.ny, ty), in_z = pieces(grid.nz, tz);
    parallel_chunks(in_x * in_y * in_z, 1, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t t = begin; t < end; ++t) {
            const std::size_t x0 = t % in_x * tx, y0 = t / in_x % in_y * ty, z0 = t / in_x / in_y * tz;
            body(Tile{z0, std::min(grid.nz, z0 + tz), y0, std::min(grid.ny, y0 + ty), x0, std::min(grid.nx, x0 + tx)});
        }
    });
}

/// The part of the image that the windows of a rectangle need.
struct Around {
    std::size_t left, top, width, height;

    Around(const Rectangle& of, const Grid& grid, const Radius& radius)
        : left(of.x0 - std::min(of.x0, radius.x)), top(of.y0 - std::min(of.y0, radius.y)),
          width(of.empty() ? 0 : std::min(grid.nx, of.x1 + radius.x) - left),
          height(of.empty() ? 0 : std::min(grid.ny, of.y1 + radius.y) - top) {}
};

/// A row's counts of each bin for SquareSums, and where they are.
template <class Counter>
struct BinRows {
    const Counter* entering;  // rows of the columns that come into the window, or null at the border
    const Counter* leaving;
    std::size_t stride;       // from one bin to the next, in both
    std::size_t bins;
    std::size_t columns;      // how many columns there are
    std::size_t first;        // where they begin in a row of `sums`
    Counter* sums;            // counts over z and y, bin after bin; zero outside the image
    std::size_t sums_length;
    Counter* scratch;         // of the same length
    Counter* window;          // counts over z, y and x, `n` of them
};

/// squares[x] += the square of in[x] + ... + in[x + length - 1]: for small windows in one pass.
template <std::size_t length, class Counter, class Sum>
[[gnu::always_inline]] inline void add_squares(const Counter* in, std::size_t n, Sum* __restrict squares) {
    for (std::size_t x = 0; x < n; ++x) {
        Counter sum = in[x];
        for (std::size_t d = 1; d < length; ++d) sum = static_cast<Counter>(sum + in[x + d]);
        squares[x] += static_cast<Sum>(sum) * sum;
    }
}

/// Move the window of a row of voxels by one in y, and sum the squares of the counts over the bins.
///
/// All bins are moved first: who reads a little aside of what was just written waits for it.
template <class Counter, class Sum>
[[gnu::always_inline]] inline void move_and_square(const BinRows<Counter>& rows, std::size_t length, std::size_t voxels,
                                                   Sum* __restrict squares) {
    const std::size_t n = in_vectors<Counter>(voxels), columns = in_vectors<Counter>(rows.columns);
    for (std::size_t bin = 0; bin < rows.bins; ++bin) {
        Counter* __restrict inside = rows.sums + bin * rows.sums_length + rows.first;
        if (rows.entering != nullptr) {
            const Counter* in = rows.entering + bin * rows.stride;
            for (std::size_t x = 0; x < columns; ++x) inside[x] = static_cast<Counter>(inside[x] + in[x]);
        }
        if (rows.leaving != nullptr) {
            const Counter* gone = rows.leaving + bin * rows.stride;
            for (std::size_t x = 0; x < columns; ++x) inside[x] = static_cast<Counter>(inside[x] - gone[x]);
        }
    }
    if (n == 0) return;  // the window's first rows
    std::fill_n(squares, n, Sum{0});
    for (std::size_t bin = 0; bin < rows.bins; ++bin) {
        const Counter* sums = rows.sums + bin * rows.sums_length;
        switch (length) {
            case 3: add_squares<3>(sums, n, squares); continue;
            case 5: add_squares<5>(sums, n, squares); continue;
            case 7: add_squares<7>(sums, n, squares); continue;
            case 9: add_squares<9>(sums, n, squares); continue;
            case 11: add_squares<11>(sums, n, squares); continue;
            default: break;
        }
        Counter* __restrict window = rows.window;
        sum_neighbours(sums, n, length, rows.scratch, window);
        for (std::size_t x = 0; x < n; ++x) squares[x] += static_cast<Sum>(window[x]) * window[x];
    }
}

VOXLOGICA_CLONES
static void move_row_anywhere(const BinRows<std::uint16_t>& rows, std::size_t length, std::size_t n,
                              std::uint32_t* squares) {
    move_and_square(rows, length, n, squares);
}

#if defined(__x86_64__) && defined(__GNUC__)
// Clones are not made for this set of instructions, without which vectors of 16 bits are half as long.
__attribute__((target("avx512bw"))) inline void move_row_avx512bw(const BinRows<std::uint16_t>& rows, std::size_t length,
                                                                  std::size_t n, std::uint32_t* squares) {
    move_and_square(rows, length, n, squares);
}

inline void move_row(const BinRows<std::uint16_t>& rows, std::size_t length, std::size_t n, std::uint32_t* squares) {
    static const bool wide = __builtin_cpu_supports("avx512bw");
    (wide ? move_row_avx512bw : move_row_anywhere)(rows, length, n, squares);
}
#else
inline void move_row(const BinRows<std::uint16_t>& rows, std::size_t length, std::size_t n, std::uint32_t* squares) {
    move_row_anywhere(rows, length, n, squares);
}
#endif

inline void move_row(const BinRows<std::uint32_t>& rows, std::size_t length, std::size_t n, std::uint64_t* squares) {
    move_and_square(rows, length, n, squares);
}

/// The buffers for one tile of voxels, and the walk through it.
template <class Counter, class Window>
class SquareSums {
public:
    using Sum = std::conditional_t<sizeof(Counter) == 2, std::uint32_t, std::uint64_t>;

    SquareSums(const std::uint8_t* bins, std::size_t count, const Grid& grid, const Radius& radius,
               const Backdrop& backdrop, const Tile& tile, Window* out)
        : bins_(bins), count_(count), grid_(grid), radius_(radius), backdrop_(backdrop), tile_(tile), out_(out),
          around_(backdrop.busy(tile), grid, radius), length_(tile.x1 - tile.x0 + 2 * radius.x + 2 * slack),
          stride_(in_vectors<Counter>(around_.width) + slack), columns_((count + 1) * around_.height * stride_),
          sums_(count * length_), scratch_(length_), window_(length_), squares_(length_) {}

    void run() {
        const std::size_t rz = radius_.z, nz = grid_.nz;
        const auto of_size = [this](std::uint64_t size) {
            return static_cast<Window>(backdrop_.bin < count_ ? size * size << bin_bits : 0) | backdrop_.bin;
        };
        for (std::size_t z = tile_.z0 - std::min(tile_.z0, rz); z < std::min(nz, tile_.z0 + rz); ++z) count(z, 1);
        for (std::size_t z = tile_.z0; z < tile_.z1; ++z) {
            if (z + rz < nz) count(z + rz, 1);
            if (z > tile_.z0 && z > rz) count(z - rz - 1, -1);
            const Rectangle busy = backdrop_.busy(z, tile_);
            for (std::size_t y = tile_.y0; y < tile_.y1; ++y) {
                backdrop_.fill(z, y, tile_, busy, out_ + (z * grid_.ny + y) * grid_.nx, of_size);
            }
            if (!busy.empty()) rectangle(z, busy);
        }
    }

private:
    /// Add `step` to the count, in its column, of each voxel of plane z. One without bin counts in a bin of its own.
    void count(std::size_t z, int step) {
        for (std::size_t y = 0; y < around_.height; ++y) {
            const std::uint8_t* bins = bins_ + (z * grid_.ny + around_.top + y) * grid_.nx + around_.left;
            Counter* row = columns_.data() + y * stride_;
            for (std::size_t x = 0; x < around_.width; ++x) {
                Counter& counter = row[bins[x] * around_.height * stride_ + x];
                counter = static_cast<Counter>(counter + step);
            }
        }
    }

    /// Before its first row, the sums get all rows of the window but the last.
    void rectangle(std::size_t z, const Rectangle& at) {
        const std::size_t rx = radius_.x, ry = radius_.y, ny = grid_.ny, nx = grid_.nx, n = at.x1 - at.x0;
        const std::size_t from = at.x0 - std::min(at.x0, rx), to = std::min(nx, at.x1 + rx);
        const auto columns_of = [&](std::size_t y) {
            return columns_.data() + (y - around_.top) * stride_ + (from - around_.left);
        };
        const auto move = [&](const Counter* entering, const Counter* leaving, std::size_t voxels) {
            const BinRows<Counter> rows{entering, leaving, around_.height * stride_, count_, to - from,
                                        from + rx - at.x0, sums_.data(), length_, scratch_.data(), window_.data()};
            move_row(rows, 2 * rx + 1, voxels, squares_.data());
        };
        std::fill(sums_.begin(), sums_.end(), Counter{0});
        for (std::size_t y = at.y0 - std::min(at.y0, ry); y < std::min(ny, at.y0 + ry); ++y) {
            move(columns_of(y), nullptr, 0);
        }
        for (std::size_t y = at.y0; y < at.y1; ++y) {
            move(y + ry < ny ? columns_of(y + ry) : nullptr, y > at.y0 && y > ry ? columns_of(y - ry - 1) : nullptr, n);
            const std::size_t begin = (z * ny + y) * nx + at.x0;
            for (std::size_t x = 0; x < n; ++x) {
                out_[begin + x] = static_cast<Window>(static_cast<Window>(squares_[x]) << bin_bits) | bins_[begin + x];
            }
        }
    }

    const std::uint8_t* bins_;
    const std::size_t count_;
    const Grid& grid_;
    const Radius& radius_;
    const Backdrop& backdrop_;
    const Tile tile_;
    Window* out_;
    const Around around_;
    const std::size_t length_, stride_;  // of a row of sums, beyond the image too, and of a row of columns
    std::vector<Counter> columns_, sums_, scratch_, window_;
    std::vector<Sum> squares_;
};

inline double window_size(const Radius& r) { return (2.0 * r.x + 1) * (2.0 * r.y + 1) * (2.0 * r.z + 1); }

/// The window of every voxel: its sum of squares, and the bin of the voxel itself in the lowest byte.
///
/// Tiles' columns stay in the second-level cache for a few dozen bins; they are larger for large windows, whose margins
/// are counted again for each tile.
template <class Counter, class Window>
void windows(const Voxels& field, const Grid& grid, const Radius& radius, const Bins& bins, int threads, Window* out) {
    const auto binned = std::make_unique_for_overwrite<std::uint8_t[]>(grid.rows() * grid.nx);
    parallel_chunks(grid.rows(), 1 + 16384 / grid.nx, threads, [&](std::size_t begin, std::size_t end) {
        for_parts(field, begin * grid.nx, end * grid.nx, [&](std::size_t at, const float* voxels, std::size_t n) {
            bin_voxels(voxels, n, bins, static_cast<std::uint8_t>(bins.count), &binned[at]);
        });
    });
    const Backdrop backdrop(binned.get(), grid, radius, threads);
    const std::size_t tx = std::max<std::size_t>(256, 8 * radius.x), ty = std::max<std::size_t>(48, 6 * radius.y);
    for_tiles(grid, std::max<std::size_t>(80, 8 * radius.z), ty, tx, threads, [&](const Tile& tile) {
        const auto count = static_cast<std::size_t>(bins.count);
        SquareSums<Counter, Window>(binned.get(), count, grid, radius, backdrop, tile, out).run();
    });
}

}  // namespace voxlogica

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
// from its size: `Backdrop`. Windows are kept for a box outside which that is so: `window_box`.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <tuple>
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

/// Half-open ranges of z, y and x; those that hold nothing are empty.
struct Box {
    std::size_t z0, z1, y0, y1, x0, x1;

    bool empty() const { return z0 >= z1 || y0 >= y1 || x0 >= x1; }

    bool has_row(std::size_t z, std::size_t y) const { return z0 <= z && z < z1 && y0 <= y && y < y1; }

    void include(const Box& other) {
        z0 = std::min(z0, other.z0);
        z1 = std::max(z1, other.z1);
        y0 = std::min(y0, other.y0);
        y1 = std::max(y1, other.y1);
        x0 = std::min(x0, other.x0);
        x1 = std::max(x1, other.x1);
    }

    Box within(const Box& other) const {
        return {std::max(z0, other.z0), std::min(z1, other.z1), std::max(y0, other.y0), std::min(y1, other.y1),
                std::max(x0, other.x0), std::min(x1, other.x1)};
    }

    std::size_t rows() const { return (z1 - z0) * (y1 - y0); }
    std::size_t voxels() const { return rows() * (x1 - x0); }

    /// Where a voxel is among those of the box.
    std::size_t index(std::size_t z, std::size_t y, std::size_t x) const {
        return ((z - z0) * (y1 - y0) + (y - y0)) * (x1 - x0) + (x - x0);
    }
};

inline Box whole(const Grid& grid) { return {0, grid.nz, 0, grid.ny, 0, grid.nx}; }

/// What includes nothing but what it is told to.
inline Box nothing(const Grid& grid) { return {grid.nz, 0, grid.ny, 0, grid.nx, 0}; }

/// So far below `at` as the radius says, but not below `least`.
inline std::size_t lowered(std::size_t at, std::size_t radius, std::size_t least) {
    return at > least + radius ? at - radius : least;
}

/// The voxels of a box of an image. All others are in the bin of the first of these.
template <class Voxel>
struct Crop {
    const Voxel* voxels;
    Box box;

    const Voxel* at(std::size_t z, std::size_t y, std::size_t x) const { return voxels + box.index(z, y, x); }
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

/// Make `found` include all voxels of a box that are in other bins; row(z, y, x0, x1) gives the bins of some.
///
/// What lies within the bounds found so far is not looked at: it would not change them.
template <class Row>
void include_others(const Box& box, std::uint8_t bin, const Row& row, Box& found) {
    const auto look = [&](std::size_t z, std::size_t y, std::size_t x0, std::size_t x1) {
        if (x0 >= x1) return;
        const auto* voxels = row(z, y, x0, x1);
        if (!in_other_bins(voxels, x1 - x0, bin)) return;
        std::size_t first = 0, last = x1 - x0;
        while (bin_of(voxels[first]) == bin) ++first;
        while (bin_of(voxels[last - 1]) == bin) --last;
        found.include({z, z + 1, y, y + 1, x0 + first, x0 + last});
    };
    for (std::size_t z = box.z0; z < box.z1; ++z) {
        for (std::size_t y = box.y0; y < box.y1; ++y) {
            if (found.has_row(z, y)) {
                look(z, y, box.x0, std::min(found.x0, box.x1));
                look(z, y, std::max(found.x1, box.x0), box.x1);
            } else {
                look(z, y, box.x0, box.x1);
            }
        }
    }
}

/// The voxels whose windows hold only the bin of the image's first voxel: where they are, and how large the windows.
class Backdrop {
public:
    template <class Voxel>
    Backdrop(const Crop<Voxel>& crop, const Grid& grid, Radius radius, int threads)
        : bin(bin_of(crop.voxels[0])), grid_(grid), radius_(radius), other_(grid.nz, nothing(grid)) {
        const Box& box = crop.box;
        const auto row = [&](std::size_t z, std::size_t y, std::size_t x0, std::size_t) { return crop.at(z, y, x0); };
        parallel_chunks(box.z1 - box.z0, 4, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t z = box.z0 + begin; z < box.z0 + end; ++z) {
                include_others({z, z + 1, box.y0, box.y1, box.x0, box.x1}, bin, row, other_[z]);
            }
        });
    }

    const std::uint8_t bin;

    /// The voxels of a box in plane z whose windows may hold other bins.
    Box busy(std::size_t z, const Box& box) const {
        Box found = nothing(grid_);
        if (z < box.z0 || z >= box.z1) return found;
        const std::size_t end = std::min(grid_.nz, z + radius_.z + 1);
        for (std::size_t w = lowered(z, radius_.z, 0); w < end; ++w) found.include(other_[w]);
        if (found.empty()) return nothing(grid_);
        const Box here{z, z + 1,
                       lowered(found.y0, radius_.y, box.y0), std::min(box.y1, found.y1 + radius_.y),
                       lowered(found.x0, radius_.x, box.x0), std::min(box.x1, found.x1 + radius_.x)};
        return here.empty() ? nothing(grid_) : here;
    }

    /// And in all its planes.
    Box busy(const Box& box) const {
        Box found = nothing(grid_);
        for (std::size_t z = box.z0; z < box.z1; ++z) found.include(busy(z, box));
        return found;
    }

    /// Fill what of a row of a box is not busy by the value for a window's size. `row` is where the box begins in it.
    template <class Out, class ValueOf>
    void fill(std::size_t z, std::size_t y, const Box& box, const Box& busy, Out* row, const ValueOf& value_of) const {
        const bool aside = !busy.has_row(z, y);
        fill_row(z, y, box.x0, aside ? box.x1 : busy.x0, row, value_of);
        if (!aside) fill_row(z, y, busy.x1, box.x1, row + (busy.x1 - box.x0), value_of);
    }

private:
    static std::uint64_t extent(std::size_t at, std::size_t radius, std::size_t n) {
        return std::min(n, at + radius + 1) - lowered(at, radius, 0);
    }

    template <class Out, class ValueOf>
    void fill_row(std::size_t z, std::size_t y, std::size_t x0, std::size_t x1, Out* out, const ValueOf& value_of) const {
        const std::uint64_t face = extent(z, radius_.z, grid_.nz) * extent(y, radius_.y, grid_.ny);
        while (x0 < x1) {
            const std::size_t size = extent(x0, radius_.x, grid_.nx);
            std::size_t end = x0 + 1;
            while (end < x1 && extent(end, radius_.x, grid_.nx) == size) {
                // Away from the border all are as large; from there on they become smaller.
                end = size == 2 * radius_.x + 1 ? std::min(x1, grid_.nx - radius_.x) : end + 1;
            }
            out = std::fill_n(out, end - x0, value_of(face * size));
            x0 = end;
        }
    }

    const Grid grid_;
    const Radius radius_;
    std::vector<Box> other_;  // by plane, the bounds of the voxels in other bins
};

/// Call body(tile) for tiles of a box, of these sizes at most.
template <class Body>
void for_tiles(const Box& box, std::size_t tz, std::size_t ty, std::size_t tx, int threads, const Body& body) {
    const auto pieces = [](std::size_t n, std::size_t size) { return (n + size - 1) / size; };
    const std::size_t in_x = pieces(box.x1 - box.x0, tx), in_y = pieces(box.y1 - box.y0, ty), in_z = pieces(box.z1 - box.z0, tz);
    parallel_chunks(in_x * in_y * in_z, 1, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t t = begin; t < end; ++t) {
            const std::size_t x = box.x0 + t % in_x * tx, y = box.y0 + t / in_x % in_y * ty, z = box.z0 + t / in_x / in_y * tz;
            body(Box{z, std::min(box.z1, z + tz), y, std::min(box.y1, y + ty), x, std::min(box.x1, x + tx)});
        }
    });
}

/// The part of a box that the windows of voxels need.
struct Around {
    std::size_t left, top, width, height;

    Around(const Box& of, const Box& box, const Radius& radius)
        : left(lowered(of.x0, radius.x, box.x0)), top(lowered(of.y0, radius.y, box.y0)),
          width(of.empty() ? 0 : std::min(box.x1, of.x1 + radius.x) - left),
          height(of.empty() ? 0 : std::min(box.y1, of.y1 + radius.y) - top) {}
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

/// The buffers for one tile of a box's voxels, and the walk through it.
template <class Counter, class Window>
class SquareSums {
public:
    using Sum = std::conditional_t<sizeof(Counter) == 2, std::uint32_t, std::uint64_t>;

    SquareSums(const Crop<std::uint8_t>& bins, std::size_t count, const Radius& radius, const Backdrop& backdrop,
               const Box& tile, Window* out)
        : bins_(bins), box_(bins.box), count_(count), radius_(radius), backdrop_(backdrop), tile_(tile), out_(out),
          around_(backdrop.busy(tile), box_, radius), length_(tile.x1 - tile.x0 + 2 * radius.x + 2 * slack),
          stride_(in_vectors<Counter>(around_.width) + slack), columns_((count + 1) * around_.height * stride_),
          sums_(count * length_), scratch_(length_), window_(length_), squares_(length_) {}

    void run() {
        const std::size_t rz = radius_.z;
        const auto of_size = [this](std::uint64_t size) {
            return static_cast<Window>(backdrop_.bin < count_ ? size * size << bin_bits : 0) | backdrop_.bin;
        };
        for (std::size_t z = lowered(tile_.z0, rz, box_.z0); z < std::min(box_.z1, tile_.z0 + rz); ++z) count(z, 1);
        for (std::size_t z = tile_.z0; z < tile_.z1; ++z) {
            if (z + rz < box_.z1) count(z + rz, 1);
            if (z > tile_.z0 && z > box_.z0 + rz) count(z - rz - 1, -1);
            const Box busy = backdrop_.busy(z, tile_);
            for (std::size_t y = tile_.y0; y < tile_.y1; ++y) {
                backdrop_.fill(z, y, tile_, busy, out_ + box_.index(z, y, tile_.x0), of_size);
            }
            if (!busy.empty()) rectangle(z, busy);
        }
    }

private:
    /// Add `step` to the count, in its column, of each voxel of plane z. One without bin counts in a bin of its own.
    void count(std::size_t z, int step) {
        for (std::size_t y = 0; y < around_.height; ++y) {
            const std::uint8_t* bins = bins_.at(z, around_.top + y, around_.left);
            Counter* row = columns_.data() + y * stride_;
            for (std::size_t x = 0; x < around_.width; ++x) {
                Counter& counter = row[bins[x] * around_.height * stride_ + x];
                counter = static_cast<Counter>(counter + step);
            }
        }
    }

    /// Before its first row, the sums get all rows of the window but the last.
    void rectangle(std::size_t z, const Box& at) {
        const std::size_t rx = radius_.x, ry = radius_.y, n = at.x1 - at.x0;
        const std::size_t from = lowered(at.x0, rx, box_.x0), to = std::min(box_.x1, at.x1 + rx);
        const auto columns_of = [&](std::size_t y) {
            return columns_.data() + (y - around_.top) * stride_ + (from - around_.left);
        };
        const auto move = [&](const Counter* entering, const Counter* leaving, std::size_t voxels) {
            const BinRows<Counter> rows{entering, leaving, around_.height * stride_, count_, to - from,
                                        from + rx - at.x0, sums_.data(), length_, scratch_.data(), window_.data()};
            move_row(rows, 2 * rx + 1, voxels, squares_.data());
        };
        std::fill(sums_.begin(), sums_.end(), Counter{0});
        for (std::size_t y = lowered(at.y0, ry, box_.y0); y < std::min(box_.y1, at.y0 + ry); ++y) {
            move(columns_of(y), nullptr, 0);
        }
        for (std::size_t y = at.y0; y < at.y1; ++y) {
            move(y + ry < box_.y1 ? columns_of(y + ry) : nullptr,
                 y > at.y0 && y > box_.y0 + ry ? columns_of(y - ry - 1) : nullptr, n);
            const std::uint8_t* bins = bins_.at(z, y, at.x0);
            Window* out = out_ + box_.index(z, y, at.x0);
            for (std::size_t x = 0; x < n; ++x) {
                out[x] = static_cast<Window>(static_cast<Window>(squares_[x]) << bin_bits) | bins[x];
            }
        }
    }

    const Crop<std::uint8_t>& bins_;
    const Box& box_;
    const std::size_t count_;
    const Radius& radius_;
    const Backdrop& backdrop_;
    const Box tile_;
    Window* out_;
    const Around around_;
    const std::size_t length_, stride_;  // of a row of sums, beyond the image too, and of a row of columns
    std::vector<Counter> columns_, sums_, scratch_, window_;
    std::vector<Sum> squares_;
};

inline double window_size(const Radius& r) { return (2.0 * r.x + 1) * (2.0 * r.y + 1) * (2.0 * r.z + 1); }

/// Reads the bins of a field's voxels, at most `most` at a time. One for each thread; what it gave is gone at the next.
class BinReader {
public:
    BinReader(const Voxels& field, const Grid& grid, const Bins& bins)
        : read_(field, grid.nx), grid_(grid), bins_(bins), held_(std::make_unique_for_overwrite<std::uint8_t[]>(grid.nx)) {}

    const std::uint8_t* operator()(std::size_t z, std::size_t y, std::size_t x0, std::size_t x1) const {
        read(z, y, x0, x1, held_.get());
        return held_.get();
    }

    void read(std::size_t z, std::size_t y, std::size_t x0, std::size_t x1, std::uint8_t* out) const {
        const float* voxels = read_(whole(grid_).index(z, y, x0), x1 - x0);
        bin_voxels(voxels, x1 - x0, bins_, static_cast<std::uint8_t>(bins_.count), out);
    }

private:
    const Reader read_;
    const Grid& grid_;
    const Bins& bins_;
    const std::unique_ptr<std::uint8_t[]> held_;
};

/// A box of the image outside which windows hold only the bin of the image's first voxel, and so does the box's first.
///
/// Also the windows that are at all busy are within it. It is not empty, and at the border of the image, or one voxel
/// further than the other bins at least.
inline Box window_box(const Voxels& field, const Grid& grid, const Radius& radius, const Bins& bins, int threads) {
    const std::uint8_t bin = BinReader(field, grid, bins)(0, 0, 0, 1)[0];
    Box found = nothing(grid);
    std::mutex lock;
    const std::size_t pieces = threads > 1 ? 4 * static_cast<std::size_t>(threads) : 1;
    for_tiles(whole(grid), grid.nz / pieces + 1, 65536 / grid.nx + grid.ny / pieces + 1, grid.nx, threads, [&](const Box& tile) {
        const auto known = [&](const Box& more) {
            const std::lock_guard guard(lock);
            found.include(more);
            return found;
        };
        Box here = known(nothing(grid));
        include_others(tile, bin, BinReader(field, grid, bins), here);
        known(here);
    });
    if (found.empty()) found = {0, 1, 0, 1, 0, 1};
    const auto [mx, my, mz] = std::tuple(std::max<std::size_t>(2 * radius.x, 1), std::max<std::size_t>(2 * radius.y, 1),
                                         std::max<std::size_t>(2 * radius.z, 1));
    return {lowered(found.z0, mz, 0), std::min(grid.nz, found.z1 + mz),
            lowered(found.y0, my, 0), std::min(grid.ny, found.y1 + my),
            lowered(found.x0, mx, 0), std::min(grid.nx, found.x1 + mx)};
}

/// The windows of the voxels of that box: sums of squares, and the bin of the voxel itself in the lowest byte.
///
/// Tiles' columns stay in the second-level cache for a few dozen bins; they are larger for large windows, whose margins
/// are counted again for each tile.
template <class Counter, class Window>
void windows(const Voxels& field, const Grid& grid, const Radius& radius, const Bins& bins, const Box& box, int threads,
             Window* out) {
    const auto held = std::make_unique_for_overwrite<std::uint8_t[]>(box.voxels());
    const std::size_t height = box.y1 - box.y0, width = box.x1 - box.x0;
    parallel_chunks(box.rows(), 1 + 16384 / width, threads, [&](std::size_t begin, std::size_t end) {
        const BinReader read(field, grid, bins);
        for (std::size_t r = begin; r < end; ++r) {
            read.read(box.z0 + r / height, box.y0 + r % height, box.x0, box.x1, &held[r * width]);
        }
    });
    const Crop<std::uint8_t> binned{held.get(), box};
    const Backdrop backdrop(binned, grid, radius, threads);
    const std::size_t tx = std::max<std::size_t>(256, 8 * radius.x), ty = std::max<std::size_t>(48, 6 * radius.y);
    for_tiles(box, std::max<std::size_t>(80, 8 * radius.z), ty, tx, threads, [&](const Box& tile) {
        const auto count = static_cast<std::size_t>(bins.count);
        SquareSums<Counter, Window>(binned, count, radius, backdrop, tile, out).run();
    });
}

}  // namespace voxlogica

// Around every voxel, the histogram of a box, correlated with a reference histogram.
//
// Sums over the bins are exact integers, so neither order, nor threads, nor the three ways below can be seen in the
// result. A window that leaves the image is cut at its border.
//
// Up to 255 bins, `BoxSums`: per bin, counts along z for a tile of columns (two updates per voxel as z moves), from
// them rows of counts over z and y (one row added and one subtracted as y moves), from these sums over x, and from these
// the three sums over bins. Everything but the first step is a vector operation on consecutive x, and the work does not
// depend on the size of the window. (Moving histograms: T. Huang, G. Yang, G. Tang, IEEE Trans. ASSP 27(1), 1979; with
// columns, S. Perreault, P. Hebert, "Median filtering in constant time", IEEE Trans. Image Processing 16(9), 2007.)
// Counters are 16 bits while a window has less than 65,536 voxels, else 32. Where a window holds one bin only, that of the
// image's first voxel (the background, in most images), the sums follow from the size of the window: `Backdrop`.
//
// More bins, `slide`: one histogram per row, moved along x by whole faces. The work grows with the face of the window
// and not with the number of bins.

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "bits.hpp"
#include "histogram.hpp"
#include "parallel.hpp"
#include "pointwise.hpp"

namespace voxlogica {

/// A row's length of one bin's counts for BoxSums, and where they are.
template <class Counter>
struct BinRows {
    const Counter* entering;  // rows of the columns that come into the window, or null at the border
    const Counter* leaving;
    std::size_t stride;       // from one bin to the next, in both
    std::size_t columns;      // how many columns there are
    std::size_t first;        // where they begin in a row of `sums`
    std::size_t begin;        // where the window of the first voxel begins in it
    Counter* sums;            // counts over z and y, bin after bin; zero outside the image
    std::size_t sums_length;
    Counter* scratch;         // of the same length
    Counter* window;          // counts over z, y and x, `n` of them
};

/// Sums over the bins for n consecutive voxels; products with the low and the high half of the reference.
template <class Counter, class Sum>
struct BoxRow {
    Counter* total;
    Sum *squares, *low_products, *high_products;
    std::size_t n;
};

/// out[x] = in[x] + ... + in[x + length - 1] for n values of x, from sums of 1, 2, 4, ... neighbours.
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
        const std::size_t m = n + length - 2 * width;  // the elements that can still be asked for
        if (width == 1) for (std::size_t x = 0; x < m; ++x) pairs[x] = static_cast<Counter>(in[x] + in[x + 1]);
        else for (std::size_t x = 0; x < m; ++x) pairs[x] = static_cast<Counter>(pairs[x] + pairs[x + width]);
        sums = pairs;
        width *= 2;
    }
}

/// Move the window of a row of voxels by one in y, and sum over the bins.
template <class Counter, class Sum>
[[gnu::always_inline]] inline void move_and_sum(const BinRows<Counter>& rows, std::size_t length,
                                                const std::vector<std::uint64_t>& reference,
                                                const BoxRow<Counter, Sum>& row) {
    constexpr unsigned half = 8 * sizeof(Counter);
    const std::size_t n = row.n, columns = rows.columns;
    std::fill_n(row.total, n, Counter{0});
    std::fill_n(row.squares, n, Sum{0});
    std::fill_n(row.low_products, n, Sum{0});
    std::fill_n(row.high_products, n, Sum{0});
    Counter* __restrict window = rows.window;
    for (std::size_t bin = 0; bin < reference.size(); ++bin) {
        Counter* __restrict sums = rows.sums + bin * rows.sums_length;
        Counter* __restrict inside = sums + rows.first;
        if (rows.entering != nullptr) {
            const Counter* in = rows.entering + bin * rows.stride;
            for (std::size_t x = 0; x < columns; ++x) inside[x] = static_cast<Counter>(inside[x] + in[x]);
        }
        if (rows.leaving != nullptr) {
            const Counter* gone = rows.leaving + bin * rows.stride;
            for (std::size_t x = 0; x < columns; ++x) inside[x] = static_cast<Counter>(inside[x] - gone[x]);
        }
        sum_neighbours(sums + rows.begin, n, length, rows.scratch, window);
        // Each sum stays below the square of the window's size, or below that times a half of a count: it fits.
        const auto low = static_cast<Counter>(reference[bin]), high = static_cast<Counter>(reference[bin] >> half);
        Counter* __restrict total = row.total;
        Sum* __restrict squares = row.squares;
        Sum* __restrict low_products = row.low_products;
        Sum* __restrict high_products = row.high_products;
        for (std::size_t x = 0; x < n; ++x) {
            const Counter h = window[x];
            total[x] = static_cast<Counter>(total[x] + h);
            squares[x] += static_cast<Sum>(h) * h;
            low_products[x] += static_cast<Sum>(h) * low;
        }
        if (high == 0) continue;
        for (std::size_t x = 0; x < n; ++x) high_products[x] += static_cast<Sum>(window[x]) * high;
    }
}

VOXLOGICA_CLONES
static void move_row(const BinRows<std::uint16_t>& rows, std::size_t length,
                     const std::vector<std::uint64_t>& reference, const BoxRow<std::uint16_t, std::uint32_t>& row) {
    move_and_sum(rows, length, reference, row);
}

inline void move_row(const BinRows<std::uint32_t>& rows, std::size_t length,
                     const std::vector<std::uint64_t>& reference, const BoxRow<std::uint32_t, std::uint64_t>& row) {
    move_and_sum(rows, length, reference, row);
}

/// `score` for a row, in double, where every integer of it is below 2^53 and so every step but the last exact.
VOXLOGICA_CLONES
static void score_row(const BoxRow<std::uint16_t, std::uint32_t>& row, const Reference& reference, float* out) {
    const auto k = static_cast<double>(reference.counts.size()), total = static_cast<double>(reference.total);
    const auto reference_spread = static_cast<double>(reference.spread);
    const float alone = reference_spread == 0 ? 1.0F : 0.0F, other = 0.0F;
    for (std::size_t x = 0; x < row.n; ++x) {
        const auto sum = static_cast<double>(row.total[x]);
        const double products = static_cast<double>(row.low_products[x]) + 65536.0 * row.high_products[x];
        const double spread = k * static_cast<double>(row.squares[x]) - sum * sum;
        const double scale = std::sqrt(spread * reference_spread);
        const auto r = static_cast<float>((k * products - sum * total) / scale);
        out[x] = spread == 0 ? alone : (reference_spread == 0 ? other : r);
    }
}

inline void score_row(const BoxRow<std::uint32_t, std::uint64_t>& row, const Reference& reference, float* out) {
    for (std::size_t x = 0; x < row.n; ++x) {
        const std::uint64_t products = row.low_products[x] + (row.high_products[x] << 32);
        out[x] = score({row.total[x], row.squares[x], products}, reference);
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

/// The voxels whose windows hold only the bin of the image's first voxel: where they are, and their scores.
class Backdrop {
public:
    Backdrop(const std::uint8_t* bins, const Grid& grid, Radius radius, const Reference& reference, int threads)
        : grid_(grid), radius_(radius), reference_(reference), bin_(bins[0]), other_(grid.nz, nothing()) {
        parallel_chunks(grid.nz, 4, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t z = begin; z < end; ++z) find(bins + z * grid.ny * grid.nx, other_[z]);
        });
    }

    /// The voxels of plane z whose windows may hold other bins.
    Rectangle busy(std::size_t z) const {
        Rectangle found = nothing();
        const std::size_t end = std::min(grid_.nz, z + radius_.z + 1);
        for (std::size_t w = z - std::min(z, radius_.z); w < end; ++w) found.include(other_[w]);
        if (found.empty()) return nothing();
        return {found.y0 - std::min(found.y0, radius_.y), std::min(grid_.ny, found.y1 + radius_.y),
                found.x0 - std::min(found.x0, radius_.x), std::min(grid_.nx, found.x1 + radius_.x)};
    }

    /// The scores of voxels [x0, x1) of a row, as if their windows held one bin.
    void score_row(std::size_t z, std::size_t y, std::size_t x0, std::size_t x1, float* row) const {
        const std::uint64_t face = extent(z, radius_.z, grid_.nz) * extent(y, radius_.y, grid_.ny);
        std::uint64_t last = 0;
        float value = 0;
        for (std::size_t x = x0; x < x1; ++x) {
            const std::uint64_t size = face * extent(x, radius_.x, grid_.nx);
            if (size != last) value = score_of(size);
            last = size;
            row[x] = value;
        }
    }

private:
    Rectangle nothing() const { return {grid_.ny, 0, grid_.nx, 0}; }

    static std::uint64_t extent(std::size_t at, std::size_t radius, std::size_t n) {
        return std::min(n, at + radius + 1) - (at - std::min(at, radius));
    }

    float score_of(std::uint64_t size) const {
        if (bin_ >= reference_.counts.size()) return score({}, reference_);
        return score({size, size * size, size * reference_.counts[bin_]}, reference_);
    }

    void find(const std::uint8_t* plane, Rectangle& found) const {
        const auto differs = [this](std::uint8_t bin) { return bin != bin_; };
        for (std::size_t y = 0; y < grid_.ny; ++y) {
            const std::uint8_t *row = plane + y * grid_.nx, *end = row + grid_.nx;
            if (static_cast<std::size_t>(std::count(row, end, bin_)) == grid_.nx) continue;  // in vectors
            const std::uint8_t* last = end;
            while (!differs(last[-1])) --last;
            const auto first = static_cast<std::size_t>(std::find_if(row, end, differs) - row);
            found.include({y, y + 1, first, static_cast<std::size_t>(last - row)});
        }
    }

    const Grid grid_;
    const Radius radius_;
    const Reference& reference_;
    const std::uint8_t bin_;
    std::vector<Rectangle> other_;  // by plane, the bounds of the voxels in other bins
};

/// What all ways share. `bins` has the bin of each voxel, the number of bins for one that has none.
template <class Index>
struct Correlation {
    Grid grid;
    Radius radius;
    const Index* bins;
    const Reference& reference;
    float* out;
};

struct Tile {
    std::size_t z0, z1, y0, y1, x0, x1;
};

/// The buffers for one tile of voxels, and the walk through it.
template <class Counter, class Sum>
class BoxSums {
public:
    BoxSums(const Correlation<std::uint8_t>& task, const Backdrop& backdrop, const Tile& tile)
        : task_(task), backdrop_(backdrop), tile_(tile), bins_(task.reference.counts.size()), whole_(all_busy()),
          left_(whole_.x0 - std::min(whole_.x0, task.radius.x)), top_(whole_.y0 - std::min(whole_.y0, task.radius.y)),
          width_(whole_.empty() ? 0 : std::min(task.grid.nx, whole_.x1 + task.radius.x) - left_),
          height_(whole_.empty() ? 0 : std::min(task.grid.ny, whole_.y1 + task.radius.y) - top_),
          length_(tile.x1 - tile.x0 + 2 * task.radius.x),
          columns_((bins_ + 1) * height_ * width_), sums_(bins_ * length_), scratch_(length_),
          window_(tile.x1 - tile.x0), total_(window_.size()), squares_(window_.size()), low_(window_.size()),
          high_(window_.size()) {}

    void run() {
        const std::size_t rz = task_.radius.z, nz = task_.grid.nz;
        for (std::size_t z = tile_.z0 - std::min(tile_.z0, rz); z < std::min(nz, tile_.z0 + rz); ++z) count(z, 1);
        for (std::size_t z = tile_.z0; z < tile_.z1; ++z) {
            if (z + rz < nz) count(z + rz, 1);
            if (z > tile_.z0 && z > rz) count(z - rz - 1, -1);
            plane(z);
        }
    }

private:
    /// Add `step` to the count, in its column, of each voxel of plane z. One without bin counts in a bin of its own.
    void count(std::size_t z, int step) {
        const Grid& grid = task_.grid;
        for (std::size_t y = 0; y < height_; ++y) {
            const std::uint8_t* bins = task_.bins + (z * grid.ny + top_ + y) * grid.nx + left_;
            Counter* row = columns_.data() + y * width_;
            for (std::size_t x = 0; x < width_; ++x) {
                Counter& counter = row[bins[x] * height_ * width_ + x];
                counter = static_cast<Counter>(counter + step);
            }
        }
    }

    /// What is busy of the tile in plane z.
    Rectangle busy_at(std::size_t z) const {
        const Rectangle all = backdrop_.busy(z);
        const Rectangle here{std::max(all.y0, tile_.y0), std::min(all.y1, tile_.y1), std::max(all.x0, tile_.x0),
                             std::min(all.x1, tile_.x1)};
        return here.empty() ? Rectangle{tile_.y1, tile_.y0, tile_.x1, tile_.x0} : here;
    }

    /// And in all of it.
    Rectangle all_busy() const {
        Rectangle found{tile_.y1, tile_.y0, tile_.x1, tile_.x0};
        for (std::size_t z = tile_.z0; z < tile_.z1; ++z) found.include(busy_at(z));
        return found;
    }

    /// The voxels of the tile in plane z: the busy ones of a rectangle, and those around it.
    void plane(std::size_t z) {
        const Rectangle busy = busy_at(z);
        for (std::size_t y = tile_.y0; y < tile_.y1; ++y) {
            float* row = task_.out + (z * task_.grid.ny + y) * task_.grid.nx;
            const bool aside = y < busy.y0 || y >= busy.y1;
            backdrop_.score_row(z, y, tile_.x0, aside ? tile_.x1 : busy.x0, row);
            if (!aside) backdrop_.score_row(z, y, busy.x1, tile_.x1, row);
        }
        if (!busy.empty()) rectangle(z, busy);
    }

    /// Before its first row, the sums get all rows of the window but the last.
    void rectangle(std::size_t z, const Rectangle& at) {
        const std::size_t rx = task_.radius.x, ry = task_.radius.y, ny = task_.grid.ny, nx = task_.grid.nx;
        const std::size_t from = at.x0 - std::min(at.x0, rx), to = std::min(nx, at.x1 + rx);
        const auto columns_of = [&](std::size_t y) { return columns_.data() + (y - top_) * width_ + (from - left_); };
        const auto rows = [&](const Counter* entering, const Counter* leaving) {
            return BinRows<Counter>{entering, leaving, height_ * width_, to - from, from + rx - tile_.x0,
                                    at.x0 - tile_.x0, sums_.data(), length_, scratch_.data(), window_.data()};
        };
        const BoxRow<Counter, Sum> row{total_.data(), squares_.data(), low_.data(), high_.data(), at.x1 - at.x0};
        std::fill(sums_.begin(), sums_.end(), Counter{0});
        for (std::size_t y = at.y0 - std::min(at.y0, ry); y < std::min(ny, at.y0 + ry); ++y) {
            add_row(rows(columns_of(y), nullptr));
        }
        for (std::size_t y = at.y0; y < at.y1; ++y) {
            const Counter* entering = y + ry < ny ? columns_of(y + ry) : nullptr;
            const Counter* leaving = y > at.y0 && y > ry ? columns_of(y - ry - 1) : nullptr;
            move_row(rows(entering, leaving), 2 * rx + 1, task_.reference.counts, row);
            score_row(row, task_.reference, task_.out + (z * ny + y) * nx + at.x0);
        }
    }

    void add_row(const BinRows<Counter>& all) {
        for (std::size_t bin = 0; bin < bins_; ++bin) {
            Counter* __restrict inside = all.sums + bin * length_ + all.first;
            const Counter* in = all.entering + bin * all.stride;
            for (std::size_t x = 0; x < all.columns; ++x) inside[x] = static_cast<Counter>(inside[x] + in[x]);
        }
    }

    const Correlation<std::uint8_t>& task_;
    const Backdrop& backdrop_;
    const Tile tile_;
    const std::size_t bins_;
    const Rectangle whole_;
    const std::size_t left_, top_, width_, height_;  // the part of the image whose columns the busy part needs
    const std::size_t length_;                       // of a row of sums, beyond the image too
    std::vector<Counter> columns_, sums_, scratch_, window_, total_;
    std::vector<Sum> squares_, low_, high_;
};

/// Tiles whose columns stay in the second-level cache for a few dozen bins; larger for large windows, whose margins are
/// counted again for each tile.
template <class Counter, class Sum>
void correlate_in_tiles(const Correlation<std::uint8_t>& task, int threads) {
    const Grid& grid = task.grid;
    const Radius& radius = task.radius;
    const Backdrop backdrop(task.bins, grid, radius, task.reference, threads);
    const std::size_t tx = std::min(grid.nx, std::max<std::size_t>(256, 8 * radius.x));
    const std::size_t ty = std::min(grid.ny, std::max<std::size_t>(48, 6 * radius.y));
    const std::size_t tz = std::min(grid.nz, std::max<std::size_t>(80, 8 * radius.z));
    const auto pieces = [](std::size_t n, std::size_t size) { return (n + size - 1) / size; };
    const std::size_t in_x = pieces(grid.nx, tx), in_y = pieces(grid.ny, ty), in_z = pieces(grid.nz, tz);
    parallel_chunks(in_x * in_y * in_z, 1, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t t = begin; t < end; ++t) {
            const std::size_t x0 = t % in_x * tx, y0 = t / in_x % in_y * ty, z0 = t / in_x / in_y * tz;
            const Tile tile{z0, std::min(grid.nz, z0 + tz), y0, std::min(grid.ny, y0 + ty), x0, std::min(grid.nx, x0 + tx)};
            BoxSums<Counter, Sum>(task, backdrop, tile).run();
        }
    });
}

/// A histogram that knows its sums as it changes.
struct MovingHistogram {
    const std::vector<std::uint64_t>& reference;
    std::vector<std::uint32_t> counts = std::vector<std::uint32_t>(reference.size());
    WindowSums sums{};

    void add(std::size_t bin) {
        sums.squares += 2 * std::uint64_t{counts[bin]++} + 1;
        sums.products += reference[bin];
        ++sums.total;
    }

    void remove(std::size_t bin) {
        sums.squares -= 2 * std::uint64_t{--counts[bin]} + 1;
        sums.products -= reference[bin];
        --sums.total;
    }
};

/// One row of voxels; the histogram is empty before and after.
inline void slide(const Correlation<std::int32_t>& task, std::size_t z, std::size_t y, MovingHistogram& histogram) {
    const std::size_t nx = task.grid.nx, ny = task.grid.ny, rx = task.radius.x, ry = task.radius.y, rz = task.radius.z;
    const std::size_t bins = histogram.reference.size();
    const auto face = [&](std::size_t x, auto change) {
        for (std::size_t w = z - std::min(z, rz); w < std::min(task.grid.nz, z + rz + 1); ++w) {
            for (std::size_t v = y - std::min(y, ry); v < std::min(ny, y + ry + 1); ++v) {
                const auto bin = static_cast<std::size_t>(task.bins[(w * ny + v) * nx + x]);
                if (bin < bins) (histogram.*change)(bin);
            }
        }
    };
    for (std::size_t x = 0; x < std::min(nx, rx); ++x) face(x, &MovingHistogram::add);
    for (std::size_t x = 0; x < nx; ++x) {
        if (x + rx < nx) face(x + rx, &MovingHistogram::add);
        if (x > rx) face(x - rx - 1, &MovingHistogram::remove);
        task.out[(z * ny + y) * nx + x] = score(histogram.sums, task.reference);
    }
    for (std::size_t x = nx - 1 - std::min(nx - 1, rx); x < nx; ++x) face(x, &MovingHistogram::remove);
}

/// The histogram of b where phi is true. `binned` has the bins of b already, or is null.
template <class Index>
Reference reference_histogram(const float* b, const Index* binned, const Word* phi, const Grid& grid, const Bins& bins) {
    const auto none = static_cast<Index>(bins.count);
    std::vector<std::uint64_t> counts(static_cast<std::size_t>(bins.count) + 1);
    std::vector<Index> held(grid.nx);
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        const Word* words = phi + r * grid.nw;
        if (std::all_of(words, words + grid.nw, [](Word word) { return word == 0; })) continue;
        const Index* row = binned != nullptr ? binned + r * grid.nx : held.data();
        if (binned == nullptr) bin_voxels(b + r * grid.nx, grid.nx, bins, none, held.data());
        for_each_true(words, grid.nw, [&](std::size_t x) { ++counts[static_cast<std::size_t>(row[x])]; });
    }
    counts.pop_back();
    return Reference(std::move(counts));
}

template <class Index>
void correlate(const float* a, const float* b, const Word* phi, const Grid& grid, Radius radius, const Bins& bins,
               int threads, float* out) {
    const auto none = static_cast<Index>(bins.count);
    const auto binned = std::make_unique_for_overwrite<Index[]>(grid.rows() * grid.nx);
    parallel_chunks(grid.rows(), 1 + 16384 / grid.nx, threads, [&](std::size_t begin, std::size_t end) {
        bin_voxels(a + begin * grid.nx, (end - begin) * grid.nx, bins, none, &binned[begin * grid.nx]);
    });
    const Reference reference = reference_histogram<Index>(b, a == b ? binned.get() : nullptr, phi, grid, bins);
    const Correlation<Index> task{grid, radius, binned.get(), reference, out};
    const double window = (2.0 * radius.x + 1) * (2.0 * radius.y + 1) * (2.0 * radius.z + 1);
    if constexpr (std::is_same_v<Index, std::uint8_t>) {
        const bool exact = bins.count * window * static_cast<double>(reference.total) < 0x1p53;
        if (window < 65536 && exact) correlate_in_tiles<std::uint16_t, std::uint32_t>(task, threads);
        else correlate_in_tiles<std::uint32_t, std::uint64_t>(task, threads);
    } else {
        parallel_chunks(grid.rows(), 4, threads, [&](std::size_t begin, std::size_t end) {
            MovingHistogram histogram{reference.counts};
            for (std::size_t r = begin; r < end; ++r) slide(task, r / grid.ny, r % grid.ny, histogram);
        });
    }
}

/// Fewer than 2^32 voxels, on which the widths of the sums rest.
inline void correlation(const float* a, const float* b, const Word* phi, const Grid& grid, Radius radius,
                        const Bins& bins, int threads, float* out) {
    const Radius cut{std::min(radius.x, grid.nx - 1), std::min(radius.y, grid.ny - 1), std::min(radius.z, grid.nz - 1)};
    if (bins.count <= 255) correlate<std::uint8_t>(a, b, phi, grid, cut, bins, threads, out);
    else correlate<std::int32_t>(a, b, phi, grid, cut, bins, threads, out);
}

}  // namespace voxlogica

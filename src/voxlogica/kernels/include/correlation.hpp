// Around every voxel, the histogram of a box, correlated with a reference histogram.
//
// Pearson's correlation needs three sums over the bins of the window's histogram h: of h, of its squares, and of its
// products with the reference H. They are exact integers, so neither order, nor threads, nor the ways below can be seen
// in the result. Up to 255 bins:
//
// - windows.hpp has the squares, which know nothing of the reference. With the bin of the voxel in the lowest byte they
//   are its **window**; many references for one image share its windows.
// - `ProductSums` has the rest. The sum of h is that of 1 over the voxels of the window, and the sum of h*H that of H at
//   their bins: one box filter sums both, in the two halves of an integer, for a fifth of the work.
//
// More bins, `slide`: one histogram per row, moved along x by whole faces. The work grows with the face of the window
// and not with the number of bins.

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "bits.hpp"
#include "convert.hpp"
#include "histogram.hpp"
#include "parallel.hpp"
#include "pointwise.hpp"
#include "voxels.hpp"
#include "windows.hpp"

namespace voxlogica {

/// How many bits of a sum hold that of h*H; the others, that of h.
template <class Both>
inline constexpr unsigned half_of = sizeof(Both) == 8 ? 48 : 64;

/// What a voxel of a bin adds to the sums over its window: 1 to that of h, in the upper half, and H to that of h*H.
template <class Both>
std::vector<Both> addends(const Reference& reference) {
    std::vector<Both> table(most_binned + 1);
    for (std::size_t bin = 0; bin < reference.counts.size(); ++bin) {
        table[bin] = (Both{1} << half_of<Both>) + reference.counts[bin];
    }
    return table;
}

/// columns[x] += what voxel x of `entering` adds, and -= what that of `leaving` did; either may be null.
template <class Both, class Window>
[[gnu::always_inline]] inline void move_each(const Window* entering, const Window* leaving, std::size_t n,
                                             const Both* table, Both* __restrict columns) {
    if (entering != nullptr && leaving != nullptr) {
        for (std::size_t x = 0; x < n; ++x) columns[x] += table[bin_of(entering[x])] - table[bin_of(leaving[x])];
    } else if (entering != nullptr) {
        for (std::size_t x = 0; x < n; ++x) columns[x] += table[bin_of(entering[x])];
    } else if (leaving != nullptr) {
        for (std::size_t x = 0; x < n; ++x) columns[x] -= table[bin_of(leaving[x])];
    }
}

template <class Both, class Window>
void move_columns(const Window* entering, const Window* leaving, std::size_t n, const Both* table, Both* columns) {
    move_each(entering, leaving, n, table, columns);
}

VOXLOGICA_CLONES
static void move_columns(const std::uint32_t* entering, const std::uint32_t* leaving, std::size_t n,
                         const std::uint64_t* table, std::uint64_t* columns) {
    move_each(entering, leaving, n, table, columns);
}

/// The same of rows of columns.
template <class Both>
[[gnu::always_inline]] inline void move_all(const Both* entering, const Both* leaving, std::size_t n,
                                            Both* __restrict sums) {
    if (entering != nullptr) for (std::size_t x = 0; x < n; ++x) sums[x] += entering[x];
    if (leaving != nullptr) for (std::size_t x = 0; x < n; ++x) sums[x] -= leaving[x];
}

template <class Both>
void move_sums(const Both* entering, const Both* leaving, std::size_t n, Both* sums) {
    move_all(entering, leaving, n, sums);
}

VOXLOGICA_CLONES
static void move_sums(const std::uint64_t* entering, const std::uint64_t* leaving, std::size_t n, std::uint64_t* sums) {
    move_all(entering, leaving, n, sums);
}

/// A number below 2^52 as a double: by its bits, since not every vector unit converts 64.
inline double exactly(std::uint64_t number) {
    return std::bit_cast<double>(number | 0x4330000000000000U) - 0x1p52;
}

/// `score` for a row, in double, where every integer of it is below 2^53 and so every step but the last exact.
template <class Window>
[[gnu::always_inline]] inline void score_exactly(const std::uint64_t* both, std::size_t n, const Window* windows,
                                                 const Reference& reference, float* __restrict out) {
    constexpr unsigned half = half_of<std::uint64_t>;
    const auto k = static_cast<double>(reference.counts.size()), total = static_cast<double>(reference.total);
    const auto reference_spread = static_cast<double>(reference.spread);
    const float alone = reference_spread == 0 ? 1.0F : 0.0F, other = 0.0F;
    for (std::size_t x = 0; x < n; ++x) {
        const double sum = exactly(both[x] >> half), products = exactly(both[x] & ((std::uint64_t{1} << half) - 1));
        const double spread = k * exactly(windows[x] >> bin_bits) - sum * sum;
        const double scale = std::sqrt(spread * reference_spread);
        const auto r = static_cast<float>((k * products - sum * total) / scale);
        out[x] = spread == 0 ? alone : (reference_spread == 0 ? other : r);
    }
}

VOXLOGICA_CLONES
static void score_windows(const std::uint64_t* sums, std::size_t length, std::size_t n, std::uint64_t* scratch,
                          std::uint64_t* both, const std::uint32_t* windows, const Reference& reference, float* out) {
    sum_neighbours(sums, n, length, scratch, both);
    score_exactly(both, n, windows, reference, out);
}

VOXLOGICA_CLONES
static void score_windows(const std::uint64_t* sums, std::size_t length, std::size_t n, std::uint64_t* scratch,
                          std::uint64_t* both, const std::uint64_t* windows, const Reference& reference, float* out) {
    sum_neighbours(sums, n, length, scratch, both);
    score_exactly(both, n, windows, reference, out);
}

/// A row of scores from the sums over z and y; `exact` says that all integers are below 2^53.
template <class Both, class Window>
void score_row(const Both* sums, std::size_t length, std::size_t n, Both* scratch, Both* both, const Window* windows,
               const Reference& reference, bool exact, float* out) {
    if constexpr (std::is_same_v<Both, std::uint64_t>) {
        if (exact) return score_windows(sums, length, n, scratch, both, windows, reference, out);
    }
    sum_neighbours(sums, n, length, scratch, both);
    for (std::size_t x = 0; x < n; ++x) {
        const auto total = static_cast<std::uint64_t>(both[x] >> half_of<Both>);
        const auto products = static_cast<std::uint64_t>(both[x] & ((Both{1} << half_of<Both>) - 1));
        out[x] = score({total, windows[x] >> bin_bits, products}, reference);
    }
}

/// Rows of scores are those of an image.
struct ScoreImage {
    float* image;
    std::size_t nx;

    float* row(std::size_t r) { return image + r * nx; }
    void done(std::size_t) {}
};

/// Rows of scores are compared with a constant, and forgotten.
class ScoreMask {
public:
    ScoreMask(const Grid& grid, KeyRange keys, Word* out) : grid_(grid), keys_(keys), row_(grid.nx), out_(out) {}

    float* row(std::size_t) { return row_.data(); }
    void done(std::size_t r) { compare_(row_.data(), grid_.nx, keys_, out_ + r * grid_.nw); }

private:
    const Grid grid_;
    const KeyRange keys_;  // not empty
    const CompareRow compare_ = best_compare_row();
    std::vector<float> row_;
    Word* out_;
};

/// The buffers for one tile of whole rows of an image, and the walk through it.
template <class Both, class Window, class Scores>
class ProductSums {
public:
    ProductSums(const Crop<Window>& windows, const Grid& grid, const Radius& radius, const Reference& reference,
                const Backdrop& backdrop, const std::vector<Both>& table, const Box& tile, const Scores& scores)
        : windows_(windows), box_(windows.box), grid_(grid), radius_(radius), reference_(reference), backdrop_(backdrop),
          table_(table.data()), tile_(tile), scores_(scores),
          within_(tile.within(box_)), around_(backdrop.busy(within_), box_, radius), length_(tile.x1 - tile.x0 + 2 * radius.x + 2 * slack),
          exact_(static_cast<double>(reference.counts.size()) * window_size(radius) * static_cast<double>(reference.total) <
                 0x1p53),
          columns_(around_.height * around_.width), sums_(length_), scratch_(length_), both_(length_) {}

    void run() {
        const std::size_t rz = radius_.z;
        const auto of_size = [this](std::uint64_t size) {
            if (backdrop_.bin >= reference_.counts.size()) return score({}, reference_);
            return score({size, size * size, size * reference_.counts[backdrop_.bin]}, reference_);
        };
        for (std::size_t z = lowered(tile_.z0, rz, 0); z < tile_.z0 + rz; ++z) move(z, true, 0, false);
        for (std::size_t z = tile_.z0; z < tile_.z1; ++z) {
            move(z + rz, true, z - rz - 1, z > tile_.z0 && z > rz);
            plane(z, of_size);
        }
    }

private:
    /// Move the columns by one in z: those of plane `in` come and those of plane `gone` go, if they do.
    void move(std::size_t in, bool comes, std::size_t gone, bool goes) {
        for (std::size_t y = 0; y < around_.height; ++y) {
            const auto row = [&](std::size_t z, bool there) -> const Window* {
                return there && box_.z0 <= z && z < box_.z1 ? windows_.at(z, around_.top + y, around_.left) : nullptr;
            };
            move_columns(row(in, comes), row(gone, goes), around_.width, table_, columns_.data() + y * around_.width);
        }
    }

    template <class OfSize>
    void plane(std::size_t z, const OfSize& of_size) {
        const std::size_t rx = radius_.x, ry = radius_.y;
        const Box busy = backdrop_.busy(z, within_);
        const std::size_t from = lowered(busy.x0, rx, box_.x0), to = std::min(box_.x1, busy.x1 + rx);
        Both* const inside = sums_.data() + (from + rx - busy.x0);
        const auto columns_of = [&](std::size_t y, bool there) -> const Both* {
            return there ? columns_.data() + (y - around_.top) * around_.width + (from - around_.left) : nullptr;
        };
        if (!busy.empty()) {
            std::fill(sums_.begin(), sums_.end(), Both{0});
            for (std::size_t y = lowered(busy.y0, ry, box_.y0); y < std::min(box_.y1, busy.y0 + ry); ++y) {
                move_sums(columns_of(y, true), columns_of(y, false), to - from, inside);
            }
        }
        for (std::size_t y = tile_.y0; y < tile_.y1; ++y) {
            const std::size_t r = z * grid_.ny + y;
            float* const row = scores_.row(r);
            backdrop_.fill(z, y, tile_, busy, row, of_size);
            if (busy.has_row(z, y)) {
                move_sums(columns_of(y + ry, y + ry < box_.y1), columns_of(y - ry - 1, y > busy.y0 && y > box_.y0 + ry),
                          to - from, inside);
                score_row(sums_.data(), 2 * rx + 1, busy.x1 - busy.x0, scratch_.data(), both_.data(),
                          windows_.at(z, y, busy.x0), reference_, exact_, row + busy.x0);
            }
            scores_.done(r);
        }
    }

    const Crop<Window>& windows_;
    const Box& box_;
    const Grid& grid_;
    const Radius& radius_;
    const Reference& reference_;
    const Backdrop& backdrop_;
    const Both* table_;
    const Box tile_;
    Scores scores_;
    const Box within_;
    const Around around_;
    const std::size_t length_;  // of a row of sums, beyond the image too
    const bool exact_;
    std::vector<Both> columns_, sums_, scratch_, both_;
};

/// The correlation of every window with a reference; of those outside the crop too.
template <class Both, class Window, class Scores>
void correlate_windows(const Crop<Window>& windows, const Grid& grid, const Radius& radius, const Reference& reference, int threads,
                       const Scores& scores) {
    const Backdrop backdrop(windows, grid, radius, threads);
    const std::vector<Both> table = addends<Both>(reference);
    // A tile's columns stay in the second-level cache; its first planes are counted besides its neighbour.
    const std::size_t pieces = threads > 1 ? 2 * static_cast<std::size_t>(threads) : 1;
    const std::size_t tz = std::max(grid.nz / pieces + 1, 6 * radius.z + 1), ty = std::max(65536 / grid.nx + 1, 6 * radius.y);
    for_tiles(whole(grid), tz, ty, grid.nx, threads, [&](const Box& tile) {
        ProductSums<Both, Window, Scores>(windows, grid, radius, reference, backdrop, table, tile, scores).run();
    });
}

/// What `slide` works on. `bins` has the bin of each voxel, the number of bins for one that has none.
struct Correlation {
    Grid grid;
    Radius radius;
    const std::int32_t* bins;
    const Reference& reference;
    float* out;
};

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
inline void slide(const Correlation& task, std::size_t z, std::size_t y, MovingHistogram& histogram) {
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

/// The histogram of b where phi is true; or of the bins that voxels have already, in their lowest byte or by themselves.
template <class Voxel>
Reference reference_histogram(const Voxels& b, const Crop<Voxel>* binned, const Word* phi, const Grid& grid, const Bins& bins) {
    using Index = std::conditional_t<std::is_same_v<Voxel, std::int32_t>, std::int32_t, std::uint8_t>;
    std::vector<std::uint64_t> counts(static_cast<std::size_t>(bins.count) + 1);
    std::vector<Index> held(grid.nx);
    const RowReader voxels(b, grid);
    for (std::size_t r = 0; r < grid.rows(); ++r) {
        const Word* words = phi + r * grid.nw;
        if (std::all_of(words, words + grid.nw, [](Word word) { return word == 0; })) continue;
        if (binned == nullptr) {
            bin_voxels(voxels(r), grid.nx, bins, static_cast<Index>(bins.count), held.data());
        } else {
            const Box& box = binned->box;
            std::fill(held.begin(), held.end(), static_cast<Index>(binned->voxels[0]));
            if (const std::size_t z = r / grid.ny, y = r % grid.ny; box.has_row(z, y)) {
                std::transform(binned->at(z, y, box.x0), binned->at(z, y, box.x1), &held[box.x0],
                               [](Voxel voxel) { return static_cast<Index>(voxel); });
            }
        }
        for_each_true(words, grid.nw, [&](std::size_t x) { ++counts[static_cast<std::size_t>(held[x])]; });
    }
    counts.pop_back();
    return Reference(std::move(counts));
}

template <class Counter, class Both>
void correlate(const Voxels& a, const Voxels& b, const Word* phi, const Grid& grid, const Radius& radius, const Bins& bins,
               int threads, float* out) {
    using Window = std::uint64_t;
    const Box box = window_box(a, grid, radius, bins, threads);
    const auto made = std::make_unique_for_overwrite<Window[]>(box.voxels());
    windows<Counter>(a, grid, radius, bins, box, threads, made.get());
    const Crop<Window> crop{made.get(), box};
    correlate_windows<Both>(crop, grid, radius, reference_histogram(b, a == b ? &crop : nullptr, phi, grid, bins), threads,
                            ScoreImage{out, grid.nx});
}

inline void correlate_many_bins(const Voxels& a, const Voxels& b, const Word* phi, const Grid& grid, const Radius& radius,
                                const Bins& bins, int threads, float* out) {
    const auto binned = std::make_unique_for_overwrite<std::int32_t[]>(grid.rows() * grid.nx);
    parallel_chunks(grid.rows(), 1 + 16384 / grid.nx, threads, [&](std::size_t begin, std::size_t end) {
        for_parts(a, begin * grid.nx, end * grid.nx, [&](std::size_t at, const float* voxels, std::size_t n) {
            bin_voxels(voxels, n, bins, bins.count, &binned[at]);
        });
    });
    const Crop<std::int32_t> own{binned.get(), whole(grid)};
    const Reference reference = reference_histogram(b, a == b ? &own : nullptr, phi, grid, bins);
    const Correlation task{grid, radius, binned.get(), reference, out};
    parallel_chunks(grid.rows(), 4, threads, [&](std::size_t begin, std::size_t end) {
        MovingHistogram histogram{reference.counts};
        for (std::size_t r = begin; r < end; ++r) slide(task, r / grid.ny, r % grid.ny, histogram);
    });
}

inline Radius cut_to(const Grid& grid, Radius radius) {
    return {std::min(radius.x, grid.nx - 1), std::min(radius.y, grid.ny - 1), std::min(radius.z, grid.nz - 1)};
}

/// Windows of 32 bits, which there are of fewer than 4096 voxels and at most 255 bins.
inline void narrow_windows(const Voxels& field, const Grid& grid, Radius radius, const Bins& bins, const Box& box, int threads,
                           std::uint32_t* out) {
    windows<std::uint16_t>(field, grid, cut_to(grid, radius), bins, box, threads, out);
}

/// The correlation of such windows with the histogram over phi of b, or of the image they are of when b has no numbers.
template <class Scores>
void correlate_narrow(const Crop<std::uint32_t>& windows, const Voxels& b, const Word* phi, const Grid& grid, Radius radius,
                      const Bins& bins, int threads, const Scores& scores) {
    const Reference reference = reference_histogram(b, b.numbers == nullptr ? &windows : nullptr, phi, grid, bins);
    correlate_windows<std::uint64_t>(windows, grid, cut_to(grid, radius), reference, threads, scores);
}

/// Fewer than 2^32 voxels, on which the widths of the sums rest.
inline void correlation(const Voxels& a, const Voxels& b, const Word* phi, const Grid& grid, Radius wanted, const Bins& bins,
                        int threads, float* out) {
    const Radius radius = cut_to(grid, wanted);
    const double size = window_size(radius);
    if (static_cast<std::size_t>(bins.count) > most_binned || size >= widest_window) {
        correlate_many_bins(a, b, phi, grid, radius, bins, threads, out);
    } else if (size < narrow_window) {
        const Box box = window_box(a, grid, radius, bins, threads);
        const auto made = std::make_unique_for_overwrite<std::uint32_t[]>(box.voxels());
        narrow_windows(a, grid, radius, bins, box, threads, made.get());
        correlate_narrow(Crop<std::uint32_t>{made.get(), box}, a == b ? Voxels{} : b, phi, grid, radius, bins, threads,
                         ScoreImage{out, grid.nx});
    } else if (size < usual_window) {
        correlate<std::uint16_t, std::uint64_t>(a, b, phi, grid, radius, bins, threads, out);
    } else {
        correlate<std::uint32_t, unsigned __int128>(a, b, phi, grid, radius, bins, threads, out);
    }
}

}  // namespace voxlogica

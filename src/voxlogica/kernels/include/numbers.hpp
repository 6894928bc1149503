// Arrays of Python as the numbers of a field, for both modules.

#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>

#include "voxels.hpp"

namespace voxlogica {

/// An array (z, y, x) of float32, or of integers of one or two bytes.
using Numbers = nanobind::ndarray<nanobind::ro, nanobind::ndim<3>, nanobind::c_contig, nanobind::device::cpu>;

inline Voxels voxels_of(const Numbers& array) {
    const auto is = [&array]<class Number>(Number) { return array.dtype() == nanobind::dtype<Number>(); };
    const void* numbers = array.data();
    if (is(float{})) return {numbers, Kind::f4};
    if (is(std::uint8_t{})) return {numbers, Kind::u1};
    if (is(std::int8_t{})) return {numbers, Kind::i1};
    if (is(std::uint16_t{})) return {numbers, Kind::u2};
    if (is(std::int16_t{})) return {numbers, Kind::i2};
    throw nanobind::type_error("a field is of float32, or of integers of one or two bytes");
}

}  // namespace voxlogica

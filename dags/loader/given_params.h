/// \file
/// Reads parameters that are given to runs: a map of values and expressions.
#pragma once

#include "dags/loader/names.h"
#include "dags/loader/reader.h"
#include "engine/model/given_params.h"

namespace chappe {

/// `site`: what their expressions may name.
GivenParams read_given_params(Reader& reader, Names& names, const Site& site, const yaml::Node& node);

}  // namespace chappe

/// \file
/// Reads parameters that are given to runs: a map of values and expressions.
#pragma once

#include "dags/loader/names.h"
#include "dags/loader/reader.h"
#include "engine/model/given_params.h"

namespace chappe {

/// `site`: what their expressions may name. `what`: the key that they stand under, for messages.
GivenParams read_given_params(Reader& reader, Names& names, const Site& site, const yaml::Node& node,
                              std::string_view what = "params");

}  // namespace chappe

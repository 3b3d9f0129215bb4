/// \file
/// What a scalar without quotes means: YAML 1.2's core schema. `yes`, `on` and `12:30` are texts; octal is `0o17`.
#pragma once

#include <optional>
#include <string>

#include "dags/loader/yaml_tree.h"
#include "engine/base/value.h"

namespace chappe::yaml {

/// The value of a scalar. Errors: a text saying what is wrong (a number that does not fit, or that JSON lacks).
struct ScalarValue {
  Value value;
  std::string problem;  ///< "" where there is none.
};
ScalarValue scalar_value(const Node& scalar);

/// True for `007`: a number to YAML, but most often meant as a text.
bool is_zero_padded(const Node& scalar);

}  // namespace chappe::yaml

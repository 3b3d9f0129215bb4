/// \file
/// Finds what people bring along from Airflow: `{{ ds }}`. It is plain text here, and only a wrong result would say so.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace chappe {

/// `{{ NAME... }}` with a name that Airflow or Chappe has; Go's templates and the like have none of them.
struct Jinja {
  std::size_t offset = 0;  ///< In the text.
  std::string message;     ///< What it is not, and what to write for it.
};

/// `in_script`: values of parameters, tasks and items go into a script through its environment.
std::vector<Jinja> find_jinja(std::string_view text, bool in_script);

}  // namespace chappe

/// \file
/// The functions that expressions may call. Private to engine/expr.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/calendar/zone.h"

namespace chappe::expr {

inline constexpr std::size_t kTextBytesMax = std::size_t{1} << 20;  ///< Of a text that an expression makes.
inline constexpr std::size_t kRangeMax = 100'000;                   ///< Elements that range() or split() makes.

/// What an argument must be, as far as it is looked at before an evaluation.
enum class Argument : std::uint8_t {
  kAny,
  kText,
  kCount,        ///< An integer.
  kWhen,         ///< A date, or a time with its zone.
  kLocalWhen,    ///< kWhen, or a time without a zone.
  kUnit,         ///< "day"
  kPattern,      ///< "%Y-%m-%d"
  kReadPattern,  ///< kPattern, of what can be read.
  kZone,         ///< "Europe/Paris"
};

/// Total: any arguments of the right number give a value or an error. kNotFound: there is nothing to answer with
/// (`max([])`), which `??` and default() may stand in for.
struct Function {
  std::string_view name;
  std::size_t arguments_min = 1;
  std::size_t arguments_max = 1;
  std::string_view signature;  ///< For people: "round(number, digits = 0)".
  Result<Value> (*call)(std::span<Value> arguments) = nullptr;
  /// Instead of `call`, of functions that look at a clock; `zone`: where, unless an argument says it.
  Result<Value> (*call_in)(std::span<Value> arguments, const calendar::Zone& zone) = nullptr;
  std::array<Argument, 4> kinds{};  ///< Of its arguments.
  std::string_view result = "";     ///< Type of what it answers, as Value::type_name() calls it; "": any.
};

/// nullptr where there is none of that name. `default` is among them, but evaluated apart: it must not stumble over
/// an absent first argument.
const Function* find_function(std::string_view name);
std::vector<std::string> function_names();

// ---- Arithmetic that the operators share with the functions: overflow, NaN and infinities are errors. ----
Result<Value> add(const Value& a, const Value& b);  ///< Numbers, texts or lists.
Result<Value> subtract(const Value& a, const Value& b);
Result<Value> multiply(const Value& a, const Value& b);
Result<Value> divide(const Value& a, const Value& b);     ///< An integer where two integers divide exactly.
Result<Value> remainder(const Value& a, const Value& b);  ///< Of integers; has the sign of `b`.
Result<Value> finite(double value);

/// -1, 0 or 1; exact for integers beside floats. Requires: two numbers or two texts.
int compare(const Value& a, const Value& b);
bool comparable(const Value& a, const Value& b);

/// Bytes of memory that a value takes, roughly.
std::size_t bytes_of(const Value& value);

}  // namespace chappe::expr

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "engine/expr/functions.h"

namespace chappe::expr {
namespace {

Failure wrong_types(std::string_view symbol, std::string_view what, const Value& a, const Value& b) {
  return fail(ErrorCode::kInvalidInput,
              fmt::format("'{}' needs {}, not {} and {}", symbol, what, a.type_name(), b.type_name()));
}

Failure overflow(std::string_view symbol, const Value& a, const Value& b) {
  return fail(ErrorCode::kInvalidInput, fmt::format("{} {} {} does not fit 64 bits", to_text(a), symbol, to_text(b)));
}

bool both_numbers(const Value& a, const Value& b) { return a.is_number() && b.is_number(); }
bool both_integers(const Value& a, const Value& b) { return a.as_int() != nullptr && b.as_int() != nullptr; }

/// An integer beside a float, without rounding the integer.
int compare_exactly(std::int64_t a, double b) {
  constexpr double kEdge = 9223372036854775808.0;  // 2^63
  if (b >= kEdge) return -1;
  if (b < -kEdge) return 1;
  const double whole = std::trunc(b);
  const auto integer = static_cast<std::int64_t>(whole);
  if (a != integer) return a < integer ? -1 : 1;
  return b > whole ? -1 : b < whole ? 1 : 0;
}

template <typename T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

}  // namespace

Result<Value> finite(double value) {
  if (!std::isfinite(value)) return fail(ErrorCode::kInvalidInput, "the result is not a finite number");
  return Value(value);
}

Result<Value> add(const Value& a, const Value& b) {
  if (both_integers(a, b)) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(*a.as_int(), *b.as_int(), &sum)) return overflow("+", a, b);
    return Value(sum);
  }
  if (both_numbers(a, b)) return finite(a.number() + b.number());
  if (a.as_string() != nullptr && b.as_string() != nullptr) return Value(*a.as_string() + *b.as_string());
  if (a.as_list() != nullptr && b.as_list() != nullptr) {
    ValueList both = *a.as_list();
    both.insert(both.end(), b.as_list()->begin(), b.as_list()->end());
    return Value(std::move(both));
  }
  return wrong_types("+", "two numbers, two texts or two lists", a, b);
}

Result<Value> subtract(const Value& a, const Value& b) {
  if (!both_numbers(a, b)) return wrong_types("-", "two numbers", a, b);
  if (!both_integers(a, b)) return finite(a.number() - b.number());
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(*a.as_int(), *b.as_int(), &difference)) return overflow("-", a, b);
  return Value(difference);
}

Result<Value> multiply(const Value& a, const Value& b) {
  if (!both_numbers(a, b)) return wrong_types("*", "two numbers", a, b);
  if (!both_integers(a, b)) return finite(a.number() * b.number());
  std::int64_t product = 0;
  if (__builtin_mul_overflow(*a.as_int(), *b.as_int(), &product)) return overflow("*", a, b);
  return Value(product);
}

Result<Value> divide(const Value& a, const Value& b) {
  if (!both_numbers(a, b)) return wrong_types("/", "two numbers", a, b);
  if (b.number() == 0) return fail(ErrorCode::kInvalidInput, fmt::format("{} / 0 has no value", to_text(a)));
  if (!both_integers(a, b)) return finite(a.number() / b.number());
  // The one quotient that does not fit, and whose remainder the processor refuses to compute.
  if (*b.as_int() == -1) return subtract(Value(0), a);
  if (*a.as_int() % *b.as_int() == 0) return Value(*a.as_int() / *b.as_int());
  return finite(a.number() / b.number());
}

Result<Value> remainder(const Value& a, const Value& b) {
  if (!both_integers(a, b)) return wrong_types("%", "two integers", a, b);
  if (*b.as_int() == 0) return fail(ErrorCode::kInvalidInput, fmt::format("{} % 0 has no value", to_text(a)));
  if (*b.as_int() == -1) return Value(0);
  const std::int64_t rest = *a.as_int() % *b.as_int();
  return Value(rest != 0 && (rest < 0) != (*b.as_int() < 0) ? rest + *b.as_int() : rest);
}

bool comparable(const Value& a, const Value& b) {
  return both_numbers(a, b) || (a.as_string() != nullptr && b.as_string() != nullptr);
}

int compare(const Value& a, const Value& b) {
  if (a.as_string() != nullptr) return three_way(*a.as_string(), *b.as_string());
  if (both_integers(a, b)) return three_way(*a.as_int(), *b.as_int());
  if (a.as_int() != nullptr) return compare_exactly(*a.as_int(), b.number());
  if (b.as_int() != nullptr) return -compare_exactly(*b.as_int(), a.number());
  return three_way(a.number(), b.number());
}

std::size_t bytes_of(const Value& value) {
  std::size_t bytes = sizeof(Value);
  if (const auto* text = value.as_string()) bytes += text->size();
  if (const auto* list = value.as_list()) {
    for (const Value& item : *list) bytes += bytes_of(item);
  }
  if (const auto* map = value.as_map()) {
    for (const auto& [key, item] : *map) bytes += sizeof(std::string) + key.size() + bytes_of(item);
  }
  return bytes;
}

}  // namespace chappe::expr

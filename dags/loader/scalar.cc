#include "dags/loader/scalar.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace chappe::yaml {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Which core-schema number a text is written as. `digits` leaves sign and prefix out.
struct NumberForm {
  enum class Kind { kNone, kInteger, kFloat, kNotFinite } kind = Kind::kNone;
  int base = 10;
  bool negative = false;
  std::string_view digits;
};

bool all_of(std::string_view text, bool (*fits)(char)) {
  for (const char c : text) {
    if (!fits(c)) return false;
  }
  return !text.empty();
}

/// [0-9]+ | ( \.[0-9]+ | [0-9]+ ( \.[0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
NumberForm::Kind decimal_kind(std::string_view text) {
  std::size_t at = 0, whole = 0, fraction = 0;
  while (at < text.size() && is_digit(text[at])) ++at, ++whole;
  if (at == text.size()) return whole > 0 ? NumberForm::Kind::kInteger : NumberForm::Kind::kNone;
  if (text[at] == '.') {
    ++at;
    while (at < text.size() && is_digit(text[at])) ++at, ++fraction;
  }
  if (whole + fraction == 0) return NumberForm::Kind::kNone;
  if (at == text.size()) return NumberForm::Kind::kFloat;
  if (text[at] != 'e' && text[at] != 'E') return NumberForm::Kind::kNone;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  return all_of(text.substr(at), is_digit) ? NumberForm::Kind::kFloat : NumberForm::Kind::kNone;
}

NumberForm form_of(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  const auto is_hex = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  if (text.starts_with("0o") && all_of(text.substr(2), is_octal)) {
    return {NumberForm::Kind::kInteger, 8, false, text.substr(2)};
  }
  if (text.starts_with("0x") && all_of(text.substr(2), is_hex)) {
    return {NumberForm::Kind::kInteger, 16, false, text.substr(2)};
  }
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return {NumberForm::Kind::kNotFinite};
  const bool negative = text.starts_with('-');
  const std::string_view bare = negative || text.starts_with('+') ? text.substr(1) : text;
  if (bare == ".inf" || bare == ".Inf" || bare == ".INF") return {NumberForm::Kind::kNotFinite};
  return {decimal_kind(bare), 10, negative, bare};
}

ScalarValue integer_of(const NumberForm& form, const std::string& text) {
  const std::string digits = (form.negative ? "-" : "") + std::string(form.digits);
  std::int64_t integer = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), integer, form.base);
  if (error == std::errc() && end == digits.data() + digits.size()) return {Value(integer), ""};
  return {{}, fmt::format("'{}' does not fit 64 bits; quote it if it is a text", text.substr(0, 60))};
}

ScalarValue float_of(const NumberForm& form, const std::string& text) {
  double real = 0;
  const auto [end, error] = std::from_chars(form.digits.data(), form.digits.data() + form.digits.size(), real);
  (void)end;  // decimal_kind() has seen to the whole text.
  if (error == std::errc() && std::isfinite(real)) return {Value(form.negative ? -real : real), ""};
  return {{}, fmt::format("'{}' does not fit a double; quote it if it is a text", text.substr(0, 60))};
}

}  // namespace

ScalarValue scalar_value(const Node& scalar) {
  const std::string& text = scalar.text;
  if (!scalar.plain) return {Value(text), ""};
  if (scalar.is_null()) return {};
  if (text == "true" || text == "True" || text == "TRUE") return {Value(true), ""};
  if (text == "false" || text == "False" || text == "FALSE") return {Value(false), ""};
  const NumberForm form = form_of(text);
  switch (form.kind) {
    case NumberForm::Kind::kInteger:
      return integer_of(form, text);
    case NumberForm::Kind::kFloat:
      return float_of(form, text);
    case NumberForm::Kind::kNotFinite:
      return {{}, fmt::format("'{}' is not a number that JSON knows; quote it if it is a text", text)};
    case NumberForm::Kind::kNone:
      break;
  }
  return {Value(text), ""};
}

bool is_zero_padded(const Node& scalar) {
  const std::string_view text = scalar.text;
  return scalar.plain && text.size() > 1 && text[0] == '0' && is_digit(text[1]) && all_of(text, is_digit);
}

}  // namespace chappe::yaml

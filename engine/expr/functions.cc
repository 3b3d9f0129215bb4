#include "engine/expr/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "engine/expr/dates.h"
#include "engine/expr/expression.h"

namespace chappe::expr {
namespace {

using Arguments = std::span<Value>;

Failure bad(std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); }
Failure needs(std::string_view name, std::string_view what, const Value& got) {
  return bad(fmt::format("{}() needs {}, not {}", name, what, got.type_name()));
}
Failure too_large(std::string_view name) {
  return bad(fmt::format("the result of {}() would be over {} bytes", name, kTextBytesMax));
}

// ---- Numbers ------------------------------------------------------------------------------------------------------

/// The arguments of a fold: the elements of a single list, or the arguments themselves.
std::span<const Value> folded(Arguments arguments) {
  if (arguments.size() == 1 && arguments[0].as_list() != nullptr) return *arguments[0].as_list();
  return arguments;
}

Result<Value> extreme(std::string_view name, Arguments arguments, int wanted) {
  const auto values = folded(arguments);
  if (values.empty()) return fail(ErrorCode::kNotFound, fmt::format("{}() of an empty list has no value", name));
  const Value* best = &values[0];
  for (const Value& value : values) {
    if (!comparable(*best, value)) return needs(name, "numbers only, or texts only", value);
    if (compare(value, *best) * wanted > 0) best = &value;
  }
  return *best;
}

Result<Value> sum_of(std::string_view name, std::span<const Value> values) {
  Value total(0);
  for (const Value& value : values) {
    if (!value.is_number()) return needs(name, "numbers", value);
    auto next = add(total, value);
    if (!next) return next;
    total = std::move(*next);
  }
  return total;
}

Result<Value> mean_of(Arguments arguments) {
  const auto values = folded(arguments);
  if (values.empty()) return fail(ErrorCode::kNotFound, "mean() of an empty list has no value");
  // As floats from the start: the sum of integers may not fit where their mean does.
  double total = 0;
  for (const Value& value : values) {
    if (!value.is_number()) return needs("mean", "numbers", value);
    total += value.number();
  }
  return finite(total / static_cast<double>(values.size()));
}

Result<Value> median_of(Arguments arguments) {
  const auto values = folded(arguments);
  if (values.empty()) return fail(ErrorCode::kNotFound, "median() of an empty list has no value");
  std::vector<double> numbers;
  numbers.reserve(values.size());
  for (const Value& value : values) {
    if (!value.is_number()) return needs("median", "numbers", value);
    numbers.push_back(value.number());
  }
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  if (numbers.size() % 2 == 1) return finite(*middle);
  const double below = *std::max_element(numbers.begin(), middle);
  return finite(below / 2 + *middle / 2);
}

/// A whole float as an integer, where it fits.
Result<Value> whole(double value) {
  constexpr double kEdge = 9223372036854775808.0;  // 2^63
  if (!(value >= -kEdge && value < kEdge)) return bad(fmt::format("{} does not fit 64 bits", value));
  return Value(static_cast<std::int64_t>(value));
}

Result<Value> rounded(std::string_view name, const Value& value, double (*how)(double)) {
  if (value.as_int() != nullptr) return value;
  if (value.as_float() == nullptr) return needs(name, "a number", value);
  return whole(how(*value.as_float()));
}

Result<Value> round_to(Arguments arguments) {
  if (arguments.size() == 1) return rounded("round", arguments[0], [](double x) { return std::round(x); });
  constexpr std::int64_t kDigitsMax = 15;
  const auto* digits = arguments[1].as_int();
  if (digits == nullptr || *digits < 0 || *digits > kDigitsMax) {
    return bad(fmt::format("round() needs 0 to {} digits", kDigitsMax));
  }
  if (!arguments[0].is_number()) return needs("round", "a number", arguments[0]);
  const double value = arguments[0].number();
  const double scale = std::pow(10.0, static_cast<double>(*digits));
  constexpr double kWholeFrom = 4503599627370496.0;  // 2^52: beyond, a double has no such decimals to round.
  return Value(std::abs(value) * scale < kWholeFrom ? std::round(value * scale) / scale : value);
}

Result<Value> absolute(Arguments arguments) {
  if (!arguments[0].is_number()) return needs("abs", "a number", arguments[0]);
  return arguments[0].number() < 0 ? subtract(Value(0), arguments[0]) : Result<Value>(arguments[0]);
}

std::string_view without_spaces(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n\f\v";
  const std::size_t start = text.find_first_not_of(kSpaces);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kSpaces) - start + 1);
}

template <typename T>
Result<Value> parse_number(std::string_view name, std::string_view text) {
  const std::string_view bare = without_spaces(text);
  T number{};
  const char* first = bare.data() + (bare.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(first, bare.data() + bare.size(), number);
  if (error != std::errc() || end != bare.data() + bare.size() || bare.empty()) {
    return bad(fmt::format("{}(): '{}' is not such a number", name, text.substr(0, 40)));
  }
  if constexpr (std::is_same_v<T, double>) return finite(number);
  return Value(number);
}

Result<Value> to_integer(Arguments arguments) {
  const Value& value = arguments[0];
  if (const auto* boolean = value.as_bool()) return Value(*boolean ? 1 : 0);
  if (const auto* text = value.as_string()) return parse_number<std::int64_t>("int", *text);
  return rounded("int", value, [](double x) { return std::trunc(x); });
}

Result<Value> to_float(Arguments arguments) {
  const Value& value = arguments[0];
  if (const auto* boolean = value.as_bool()) return Value(*boolean ? 1.0 : 0.0);
  if (const auto* text = value.as_string()) return parse_number<double>("float", *text);
  if (!value.is_number()) return needs("float", "a number or a text", value);
  return Value(value.number());
}

// ---- Texts --------------------------------------------------------------------------------------------------------

Result<Value> mapped(std::string_view name, Arguments arguments, char first, char last, int shift) {
  const auto* text = arguments[0].as_string();
  if (text == nullptr) return needs(name, "a text", arguments[0]);
  std::string out = *text;
  for (char& c : out) {
    if (c >= first && c <= last) c = static_cast<char>(c + shift);
  }
  return Value(std::move(out));
}

Result<Value> trimmed(Arguments arguments) {
  const auto* text = arguments[0].as_string();
  if (text == nullptr) return needs("trim", "a text", arguments[0]);
  return Value(std::string(without_spaces(*text)));
}

Result<Value> length(Arguments arguments) {
  const Value& value = arguments[0];
  if (const auto* text = value.as_string()) {
    const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; };
    return Value(static_cast<std::int64_t>(std::count_if(text->begin(), text->end(), is_start)));
  }
  if (const auto* list = value.as_list()) return Value(static_cast<std::int64_t>(list->size()));
  if (const auto* map = value.as_map()) return Value(static_cast<std::int64_t>(map->size()));
  return needs("len", "a text, a list or a map", value);
}

Result<Value> contains(Arguments arguments) {
  const Value& where = arguments[0];
  if (const auto* list = where.as_list())
    return Value(std::find(list->begin(), list->end(), arguments[1]) != list->end());
  const auto* what = arguments[1].as_string();
  if (where.as_map() != nullptr) return Value(what != nullptr && where.find(*what) != nullptr);
  if (where.as_string() == nullptr) return needs("contains", "a list, a map or a text to look in", where);
  if (what == nullptr) return needs("contains", "a text to look for", arguments[1]);
  return Value(where.as_string()->find(*what) != std::string::npos);
}

Result<Value> at_edge(std::string_view name, Arguments arguments, bool start) {
  const auto* text = arguments[0].as_string();
  const auto* part = arguments[1].as_string();
  if (text == nullptr || part == nullptr) return needs(name, "two texts", arguments[text == nullptr ? 0 : 1]);
  return Value(start ? text->starts_with(*part) : text->ends_with(*part));
}

Result<Value> split(Arguments arguments) {
  const auto* text = arguments[0].as_string();
  const auto* separator = arguments[1].as_string();
  if (text == nullptr || separator == nullptr) return needs("split", "two texts", arguments[text == nullptr ? 0 : 1]);
  if (separator->empty()) return bad("split() needs a separator that is not empty");
  ValueList parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text->find(*separator, at);
    parts.emplace_back(text->substr(at, end == std::string::npos ? end : end - at));
    if (end == std::string::npos) return Value(std::move(parts));
    if (parts.size() >= kRangeMax) return bad(fmt::format("split() makes at most {} parts", kRangeMax));
    at = end + separator->size();
  }
}

Result<Value> join(Arguments arguments) {
  const auto* list = arguments[0].as_list();
  const auto* separator = arguments[1].as_string();
  if (list == nullptr) return needs("join", "a list", arguments[0]);
  if (separator == nullptr) return needs("join", "a text as separator", arguments[1]);
  std::string out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (i > 0) out += *separator;
    out += to_text((*list)[i]);
    if (out.size() > kTextBytesMax) return too_large("join");
  }
  return Value(std::move(out));
}

Result<Value> replace(Arguments arguments) {
  for (const Value& argument : arguments) {
    if (argument.as_string() == nullptr) return needs("replace", "three texts", argument);
  }
  const std::string &text = *arguments[0].as_string(), &old = *arguments[1].as_string();
  const std::string& fresh = *arguments[2].as_string();
  if (old.empty()) return bad("replace() needs something to replace");
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(old, at);
    out.append(text, at, found == std::string::npos ? found : found - at);
    if (found == std::string::npos) return Value(std::move(out));
    out += fresh;
    if (out.size() > kTextBytesMax) return too_large("replace");
    at = found + old.size();
  }
}

/// `{}` stands for the next value; `{{` and `}}` for braces.
Result<Value> format(Arguments arguments) {
  const auto* text = arguments[0].as_string();
  if (text == nullptr) return needs("format", "a text first", arguments[0]);
  std::string out;
  std::size_t used = 1;
  for (std::size_t at = 0; at < text->size(); ++at) {
    const std::string_view two = std::string_view(*text).substr(at, 2);
    if (two == "{{" || two == "}}") {
      out += two[0];
      ++at;
    } else if (two == "{}") {
      if (used == arguments.size()) return bad("format() has more '{}' than values");
      out += to_text(arguments[used++]);
      ++at;
    } else if (two[0] == '{' || two[0] == '}') {
      return bad("format() knows '{}' only; write '{{' and '}}' for braces");
    } else {
      out += two[0];
    }
    if (out.size() > kTextBytesMax) return too_large("format");
  }
  if (used < arguments.size()) return bad("format() has more values than '{}'");
  return Value(std::move(out));
}

Result<Value> json_of(Arguments arguments) {
  if (bytes_of(arguments[0]) > kTextBytesMax) return too_large("to_json");
  return Value(to_json(arguments[0]));
}

// ---- Lists and maps -----------------------------------------------------------------------------------------------

Result<Value> keys_of(Arguments arguments) {
  const auto* map = arguments[0].as_map();
  if (map == nullptr) return needs("keys", "a map", arguments[0]);
  ValueList keys;
  for (const auto& [key, value] : *map) keys.emplace_back(key);
  return Value(std::move(keys));
}

Result<Value> values_of(Arguments arguments) {
  const auto* map = arguments[0].as_map();
  if (map == nullptr) return needs("values", "a map", arguments[0]);
  ValueList values;
  for (const auto& [key, value] : *map) values.push_back(value);
  return Value(std::move(values));
}

Result<Value> sorted(Arguments arguments) {
  ValueList* list = arguments[0].as_list();
  if (list == nullptr) return needs("sort", "a list", arguments[0]);
  for (const Value& value : *list) {
    if (!comparable(list->front(), value)) return needs("sort", "numbers only, or texts only", value);
  }
  std::stable_sort(list->begin(), list->end(), [](const Value& a, const Value& b) { return compare(a, b) < 0; });
  return std::move(arguments[0]);
}

/// Equal text for equal values: whole floats as integers, members in order of their names.
std::string identity_of(const Value& value) {
  if (const auto* real = value.as_float()) {
    if (auto integer = whole(*real); integer && integer->number() == *real) return to_json(*integer);
  }
  std::string out;
  if (const auto* list = value.as_list()) {
    for (const Value& item : *list) (out += out.empty() ? '[' : ',') += identity_of(item);
    return out + "]";
  }
  if (const auto* map = value.as_map()) {
    std::set<std::string> members;
    for (const auto& [key, item] : *map) members.insert(to_json(Value(key)) + ":" + identity_of(item));
    for (const std::string& member : members) (out += out.empty() ? '{' : ',') += member;
    return out + "}";
  }
  return to_json(value);
}

Result<Value> unique(Arguments arguments) {
  const auto* list = arguments[0].as_list();
  if (list == nullptr) return needs("unique", "a list", arguments[0]);
  std::set<std::string> seen;
  ValueList out;
  for (const Value& value : *list) {
    if (seen.insert(identity_of(value)).second) out.push_back(value);
  }
  return Value(std::move(out));
}

/// range(end), range(start, end) or range(start, end, step); the end is left out.
Result<Value> range(Arguments arguments) {
  for (const Value& argument : arguments) {
    if (argument.as_int() == nullptr) return needs("range", "integers", argument);
  }
  const std::int64_t start = arguments.size() == 1 ? 0 : *arguments[0].as_int();
  const std::int64_t end = *arguments[arguments.size() == 1 ? 0 : 1].as_int();
  const std::int64_t step = arguments.size() == 3 ? *arguments[2].as_int() : 1;
  if (step == 0) return bad("range() needs a step that is not 0");
  ValueList out;
  for (std::int64_t at = start; step > 0 ? at < end : at > end;) {
    if (out.size() == kRangeMax) return bad(fmt::format("range() makes at most {} numbers", kRangeMax));
    out.emplace_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return Value(std::move(out));
}

constexpr std::size_t kAnyNumber = 64;

constexpr Function of_date(Function function, Result<Value> (*call)(Arguments, const calendar::Zone&),
                           std::string_view result, std::array<Argument, 4> kinds) {
  function.call_in = call;
  function.result = result;
  function.kinds = kinds;
  return function;
}

using enum Argument;

constexpr std::array kFunctions = {
    Function{"abs", 1, 1, "abs(number)", absolute},
    Function{"ceil", 1, 1, "ceil(number)",
             [](Arguments a) { return rounded("ceil", a[0], [](double x) { return std::ceil(x); }); }},
    Function{"contains", 2, 2, "contains(list | map | text, what)", contains},
    of_date({"date", 1, 2, "date(when, zone = the DAG's)"}, date_of, "string", {kWhen, kZone}),
    of_date({"date_add", 3, 4, "date_add(when, count, unit, zone = the DAG's)"}, date_add, "string",
            {kWhen, kCount, kUnit, kZone}),
    of_date({"date_diff", 3, 4, "date_diff(start, end, unit, zone = the DAG's)"}, date_diff, "integer",
            {kWhen, kWhen, kUnit, kZone}),
    Function{"default", 2, 2, "default(value that may be absent, otherwise)",
             [](Arguments a) { return Result<Value>(a[0].is_null() ? a[1] : a[0]); }},
    of_date({"end_of", 2, 3, "end_of(when, unit, zone = the DAG's)"}, date_end_of, "string", {kWhen, kUnit, kZone}),
    Function{"ends_with", 2, 2, "ends_with(text, part)", [](Arguments a) { return at_edge("ends_with", a, false); }},
    Function{"float", 1, 1, "float(value)", to_float},
    Function{"floor", 1, 1, "floor(number)",
             [](Arguments a) { return rounded("floor", a[0], [](double x) { return std::floor(x); }); }},
    Function{"format", 1, kAnyNumber, "format('{} of {}', value, ...)", format},
    of_date({"in_zone", 1, 2, "in_zone(when, zone = the DAG's)"}, date_in_zone, "string", {kLocalWhen, kZone}),
    Function{"int", 1, 1, "int(value)", to_integer},
    Function{"join", 2, 2, "join(list, separator)", join},
    Function{"keys", 1, 1, "keys(map)", keys_of},
    Function{"len", 1, 1, "len(text | list | map)", length},
    Function{"lower", 1, 1, "lower(text)", [](Arguments a) { return mapped("lower", a, 'A', 'Z', 'a' - 'A'); }},
    Function{"max", 1, kAnyNumber, "max(list | value, ...)", [](Arguments a) { return extreme("max", a, 1); }},
    Function{"mean", 1, kAnyNumber, "mean(list | number, ...)", mean_of},
    Function{"median", 1, kAnyNumber, "median(list | number, ...)", median_of},
    Function{"min", 1, kAnyNumber, "min(list | value, ...)", [](Arguments a) { return extreme("min", a, -1); }},
    Function{"range", 1, 3, "range(end) | range(start, end, step = 1)", range},
    Function{"replace", 3, 3, "replace(text, old, new)", replace},
    Function{"round", 1, 2, "round(number, digits = 0)", round_to},
    Function{"sort", 1, 1, "sort(list)", sorted},
    Function{"split", 2, 2, "split(text, separator)", split},
    of_date({"start_of", 2, 3, "start_of(when, unit, zone = the DAG's)"}, date_start_of, "string",
            {kWhen, kUnit, kZone}),
    Function{"starts_with", 2, 2, "starts_with(text, part)",
             [](Arguments a) { return at_edge("starts_with", a, true); }},
    of_date({"strftime", 2, 3, "strftime(when, pattern, zone = the DAG's)"}, date_strftime, "string",
            {kWhen, kPattern, kZone}),
    Function{"string", 1, 1, "string(value)",
             [](Arguments a) {
               return bytes_of(a[0]) > kTextBytesMax ? Result<Value>(too_large("string")) : Value(to_text(a[0]));
             }},
    of_date({"strptime", 2, 3, "strptime(text, pattern, zone = the DAG's)"}, date_strptime, "string",
            {kText, kReadPattern, kZone}),
    Function{"sum", 1, kAnyNumber, "sum(list | number, ...)", [](Arguments a) { return sum_of("sum", folded(a)); }},
    Function{"to_json", 1, 1, "to_json(value)", json_of},
    Function{"trim", 1, 1, "trim(text)", trimmed},
    Function{"unique", 1, 1, "unique(list)", unique},
    Function{"upper", 1, 1, "upper(text)", [](Arguments a) { return mapped("upper", a, 'a', 'z', 'A' - 'a'); }},
    Function{"values", 1, 1, "values(map)", values_of},
};

constexpr auto kSignatures = [] {
  std::array<std::string_view, kFunctions.size()> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = kFunctions[i].signature;
  return out;
}();

}  // namespace

const Function* find_function(std::string_view name) {
  const auto found = std::lower_bound(kFunctions.begin(), kFunctions.end(), name,
                                      [](const Function& f, std::string_view wanted) { return f.name < wanted; });
  return found != kFunctions.end() && found->name == name ? &*found : nullptr;
}

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const Function& function : kFunctions) names.emplace_back(function.name);
  return names;
}

std::span<const std::string_view> function_signatures() { return kSignatures; }

}  // namespace chappe::expr

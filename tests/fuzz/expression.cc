// Expressions and templates: they parse or say where not, and evaluate over a scope that has some of everything, always
// to an end, and to the same one.
#include "engine/expr/expression.h"

#include <optional>
#include <string>

#include "engine/base/value.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

using namespace expr;

class SomeOfEverything : public Scope {
 public:
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    CHAPPE_ASSERT(!path.empty());
    const Value* found = root_.find(path.front());
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  const calendar::Zone& zone() const override { return *zone_; }  // Its clocks change within `run`.

 private:
  static Value wide() {
    ValueMap map;
    for (int i = 0; i < 1'000; ++i) map.emplace_back("k" + std::to_string(i), i);
    return map;
  }

  const calendar::ZonePtr zone_ = calendar::Zone::find("Europe/Berlin").value();
  const Value root_{ValueMap{
      {"params", ValueMap{{"i", 7}, {"f", 2.5}, {"s", "naïve"}, {"b", true}, {"n", Value()}, {"big", INT64_MAX}}},
      {"env", ValueMap{{"A", "x"}}},
      {"tasks", ValueMap{{"a", ValueMap{{"outputs", ValueMap{{"l", ValueList{1, 2.5, "z", Value()}}, {"m", -3}}}}}}},
      {"item", ValueMap{{"k", ValueList{ValueMap{{"x", 1}}}}}},
      {"run", ValueMap{{"date", "2026-03-29"}, {"logical_time", "2026-03-29T00:30:00.000000Z"}}},
      {"wide", wide()}}};
};

static const SomeOfEverything kScope;

static void check(const SyntaxError& error, std::string_view text) {
  CHAPPE_ASSERT(error.offset <= text.size());
  CHAPPE_ASSERT(!error.message.empty() && error.message.size() < 4096 + 4 * text.size());
}

static void check_references(const std::vector<Reference>& references, std::string_view text) {
  std::size_t last = 0;
  for (const Reference& one : references) {
    CHAPPE_ASSERT(one.offset >= last && text.substr(one.offset).starts_with(one.path.at(0)));
    last = one.offset;
  }
}

static void check_expression(std::string_view text) {
  const auto expression = Expression::parse(text);
  CHAPPE_ASSERT(expression.has_value() == Expression::parse(text).has_value());
  if (!expression) return check(expression.error(), text);
  CHAPPE_ASSERT(!expression->empty() && text.find(expression->text()) != std::string_view::npos);
  check_references(expression->references(), text);
  const auto value = expression->evaluate(kScope);
  const auto again = expression->evaluate(kScope);
  CHAPPE_ASSERT(value.has_value() == again.has_value());
  if (value) {
    CHAPPE_ASSERT(to_json(*value) == to_json(*again));
  } else {
    CHAPPE_ASSERT(value.error().code == ErrorCode::kInvalidInput && value.error().message == again.error().message);
  }
  const auto condition = expression->evaluate_condition(kScope);
  CHAPPE_ASSERT(condition.has_value() == (value && value->as_bool() != nullptr));
}

static void check_template(std::string_view text) {
  const auto parsed = Template::parse(text);
  if (!parsed) return check(parsed.error(), text);
  CHAPPE_ASSERT(parsed->text() == text);
  check_references(parsed->references(), text);
  const auto expanded = parsed->expand(kScope);
  if (parsed->is_literal()) CHAPPE_ASSERT(expanded && *expanded == parsed->literal_text());
  if (expanded) CHAPPE_ASSERT(parsed->evaluate(kScope));
}

FUZZ_TARGET(expression) {
  check_expression(input);
  check_template(input);
}

}  // namespace chappe::fuzz

#include "worker/request/answer.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/expr/expression.h"
#include "engine/model/http_spec.h"
#include "proto/json/json.h"

namespace chappe::request {
namespace {

/// "application/json; charset=utf-8", "application/problem+json".
bool is_json(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return type == "application/json" || type == "text/json" || type.ends_with("+json");
}

Value body_value(const http::Response& response) {
  if (!is_json(response.header("content-type"))) return response.body;
  auto parsed = parse_json(response.body, kHttpAnswerMax);
  return parsed ? *std::move(parsed) : Value(response.body);
}

Value headers_value(const http::Headers& headers) {
  ValueMap out;
  for (const auto& [name, value] : headers) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const auto& member) { return member.first == name; });
    if (same == out.end()) {
      out.emplace_back(name, value);
    } else {
      same->second = fmt::format("{}, {}", *same->second.as_string(), value);
    }
  }
  return out;
}

class AnswerScope : public expr::Scope {
 public:
  explicit AnswerScope(const Value& answer) : answer_(answer) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    return path[0] == "response" ? std::optional<Value>(answer_) : std::nullopt;
  }

 private:
  const Value& answer_;
};

}  // namespace

Value answer_value(const http::Response& response) {
  return ValueMap{
      {"status", response.status}, {"headers", headers_value(response.headers)}, {"body", body_value(response)}};
}

std::optional<std::string> refusal_of(const std::string& condition, const Value& answer) {
  if (condition.empty()) {
    const std::int64_t status = *answer.find("status")->as_int();
    if (status >= 200 && status < 300) return std::nullopt;
    return "the status is not from 200 to 299";
  }
  const auto parsed = expr::Expression::parse(condition);
  if (!parsed) return fmt::format("success: {}", parsed.error().message);
  const auto holds = parsed->evaluate_condition(AnswerScope(answer));
  if (!holds) return fmt::format("success: {}", holds.error().message);
  if (*holds) return std::nullopt;
  return fmt::format("not so: {}", condition);
}

std::string first_line(std::string_view body) {
  constexpr std::size_t kShownMax = 200;
  std::string line(body.substr(0, std::min(body.find_first_of("\r\n"), kShownMax)));
  const auto obeyed = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(line.begin(), line.end(), obeyed, ' ');
  return line;
}

}  // namespace chappe::request

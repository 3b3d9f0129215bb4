#include "scheduler/api/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/base/assert.h"
#include "engine/base/text.h"
#include "proto/json/json.h"

namespace chappe::api {
namespace {

constexpr std::array<std::string_view, 4> kMethods{"GET", "POST", "PUT", "DELETE"};
constexpr std::size_t kBodyDocumentMax = std::size_t{16} << 20;

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput:
      return 422;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kConflict:
      return 409;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kCorrupt:
      return 500;
  }
  return 500;
}

Failure unknown_member(const std::string& name, const MemberTypes& members) {
  std::vector<std::string> known;
  for (const auto& member : members) known.push_back(member.first);
  const auto near = nearest(name, known);
  return fail(ErrorCode::kInvalidInput, fmt::format("unknown member '{}' in the body{}", name,
                                                    near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

Result<void> check_member(const std::string& name, const Value& value, const MemberTypes& members) {
  const auto known = std::ranges::find(members, name, &MemberTypes::value_type::first);
  if (known == members.end()) return unknown_member(name, members);
  if (known->second == "any" || value.is_null() || value.type_name() == known->second) return {};
  return fail(ErrorCode::kInvalidInput, fmt::format("member '{}' of the body must be of type {}, not {}", name,
                                                    known->second, value.type_name()));
}

}  // namespace

std::string_view name_of(Method method) { return kMethods[static_cast<std::size_t>(method)]; }

std::optional<Method> parse_method(std::string_view name) {
  const auto found = std::ranges::find(kMethods, name);
  if (found == kMethods.end()) return std::nullopt;
  return static_cast<Method>(found - kMethods.begin());
}

const std::string& Request::variable(std::string_view name) const {
  const auto found = std::ranges::find(variables, name, &TextPairs::value_type::first);
  CHAPPE_ASSERT(found != variables.end());
  return found->second;
}

std::optional<std::string> Request::parameter(std::string_view name) const {
  const auto found = std::ranges::find(query, name, &TextPairs::value_type::first);
  if (found == query.end()) return std::nullopt;
  return found->second;
}

Result<std::uint64_t> Request::number(std::string_view name, std::uint64_t fallback, std::uint64_t least,
                                      std::uint64_t most) const {
  const auto text = parameter(name);
  if (!text) return fallback;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < least || value > most) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("query parameter '{}' must be a whole number from {} to {}", name, least, most));
  }
  return value;
}

Result<TimeRange> Request::time_range() const {
  TimeRange range;
  for (const auto& [name, field] : {std::pair("since", &TimeRange::since), std::pair("until", &TimeRange::until)}) {
    const auto text = parameter(name);
    if (!text) continue;
    auto time = parse_iso8601(*text);
    if (!time) return fail(std::move(time.error()).in(fmt::format("query parameter '{}'", name)));
    range.*field = *time;
  }
  return range;
}

Result<bool> Request::flag(std::string_view name) const {
  const auto text = parameter(name);
  if (!text || *text == "0" || *text == "false") return false;
  if (text->empty() || *text == "1" || *text == "true") return true;
  return fail(ErrorCode::kInvalidInput, fmt::format("query parameter '{}' must be true or false", name));
}

std::string_view status_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

Answer json_answer(const Value& value, int status) {
  Answer answer{.status = status};
  append_json(answer.body, value);
  answer.body += '\n';
  return answer;
}

Answer problem(int status, std::string_view detail, ValueMap more) {
  ValueMap members{{"type", "about:blank"}, {"title", status_phrase(status)}, {"status", status}, {"detail", detail}};
  std::ranges::move(more, std::back_inserter(members));
  Answer answer = json_answer(std::move(members), status);
  answer.content_type = "application/problem+json";
  if (status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

Answer problem(const Error& error) {
  return problem(status_of(error.code), error.message, {{"code", name_of(error.code)}});
}

Result<Value> read_body(const std::string& body, const MemberTypes& members) {
  if (body.empty()) return Value(ValueMap{});
  auto parsed = parse_json(body, kBodyDocumentMax);
  if (!parsed) return fail(std::move(parsed.error()).in("the body is not JSON"));
  const ValueMap* map = parsed->as_map();
  if (map == nullptr) return fail(ErrorCode::kInvalidInput, "the body must be a JSON object");
  for (const auto& [name, value] : *map) {
    if (auto fits = check_member(name, value, members); !fits) return fail(fits.error());
  }
  return parsed;
}

std::string text_member(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? std::string() : *text;
}

std::vector<std::string> text_list(const Value& body, std::string_view name) {
  std::vector<std::string> texts;
  const Value* list = body.find(name);
  if (list == nullptr || list->as_list() == nullptr) return texts;
  for (const Value& each : *list->as_list()) texts.push_back(to_text(each));
  return texts;
}

}  // namespace chappe::api

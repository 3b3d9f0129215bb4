#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

constexpr std::size_t kNameMax = 63;
constexpr std::string_view kExpiresDefault = "90d";
constexpr Duration kExpiresMax = std::chrono::hours(24 * 3650);

/// Letters, digits, '.', '_' and '-', with a letter or digit in front; and not what others are called already.
Result<std::string> name_in(const Value& body) {
  const std::string name = text_member(body, "name");
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  const bool well_formed =
      !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, fits) && name.find_first_of(".-_") != 0;
  if (!well_formed) {
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("a token's name is up to {} of a-z, 0-9, '.', '-' and '_', a letter or digit first", kNameMax));
  }
  if (name == "admin" || name == "anonymous") {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is the name of somebody else in the audit log", name));
  }
  return name;
}

Result<Role> role_in(const Value& body) {
  const std::string text = text_member(body, "role");
  const auto role = parse_role(text);
  if (role) return *role;
  return fail(ErrorCode::kInvalidInput,
              fmt::format("unknown role '{}'; known are viewer, operator, author, admin", text));
}

/// Not set: "never".
Result<WallTime> expiry_in(const Value& body, WallTime now) {
  std::string text = text_member(body, "expires_in");
  if (text == "never") return WallTime{};
  if (text.empty()) text = kExpiresDefault;
  const auto after = parse_duration(text);
  if (!after) return fail(Error(after.error()).in("expires_in"));
  if (*after <= Duration(0) || *after > kExpiresMax) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("expires_in must be more than 0s and at most {}, or 'never'", to_text(kExpiresMax)));
  }
  return now + *after;
}

Result<TokenRow> read_token(const Request& request, const Value& body) {
  auto name = name_in(body);
  if (!name) return fail(name.error());
  const auto role = role_in(body);
  if (!role) return fail(role.error());
  const auto expires_at = expiry_in(body, request.at);
  if (!expires_at) return fail(expires_at.error());
  return TokenRow{.name = *std::move(name),
                  .role = *role,
                  .created_by = request.principal,
                  .created_at = request.at,
                  .expires_at = *expires_at};
}

Value token_json(const TokenRow& row, WallTime now) {
  return ValueMap{{"name", row.name},
                  {"role", name_of(row.role)},
                  {"created_by", row.created_by},
                  {"created_at", time_json(row.created_at)},
                  {"expires_at", time_json(row.expires_at)},
                  {"expired", row.expires_at.is_set() && row.expires_at <= now}};
}

}  // namespace

Answer list_tokens(Context& context, const Request& request) {
  ValueList items;
  for (const TokenRow& row : context.tokens->rows()) items.push_back(token_json(row, request.at));
  return json_answer(page_json(std::move(items), Value()));
}

/// The one answer that ever holds the token itself.
void create_token(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"name", "string"}, {"role", "string"}, {"expires_in", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  auto row = read_token(request, *body);
  if (!row) return respond(problem(row.error()));
  const std::string token = make_token();
  row->sha256 = to_hex(sha256(token));
  context.backend.request(
      TokenRequested{.token = *row, .source = request.source},
      [respond = std::move(respond), tokens = context.tokens, row = *row, token](const Result<Value>& answer) {
        if (!answer) return respond(problem(answer.error()));
        tokens->put(row);
        Value shown = token_json(row, row.created_at);
        shown.as_map()->emplace_back("token", token);
        respond(json_answer(shown, 201));
      });
}

void revoke_token(Context& context, const Request& request, Respond respond) {
  const std::string& name = request.variable("token");
  context.backend.request(
      TokenRevokeRequested{.name = name, .requested_by = request.principal, .source = request.source},
      [respond = std::move(respond), tokens = context.tokens, name](const Result<Value>& answer) {
        if (!answer) return respond(problem(answer.error()));
        tokens->remove(name);
        respond(json_answer(*answer));
      });
}

}  // namespace chappe::api

// The handlers of the API without a connection: the first line is "METHOD TARGET", the rest the body. Each answers with
// whole JSON, and with a status that says whose mistake it was.
#include <optional>
#include <string>
#include <variant>

#include "engine/base/text.h"
#include "proto/json/json.h"
#include "scheduler/api/context.h"
#include "scheduler/api/routes.h"
#include "scheduler/api/target.h"
#include "tests/fuzz/api_stores.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

namespace {

using namespace api;

constexpr int kPiecesMax = 3;  // Of a stream that may go on for ever.

struct World {
  Stores stores;
  RunViews views;
  WatchBoard watches;
  std::unique_ptr<MetaReader> reader = *stores.backend().open_reader();
  std::shared_ptr<TokenBook> tokens = std::make_shared<TokenBook>("", std::vector<TokenRow>{});
  WebhookSecrets webhooks{"0123456789abcdef0123456789abcdef"};
  Context context{stores.backend(), stores.logs, views, watches, tokens, *reader, webhooks};
};

void check_answer(Context& context, const Answer& answer) {
  CHAPPE_ASSERT(answer.status >= 200 && answer.status < 500);  // The stores are well: no mistake is ours.
  for (const auto& [name, value] : answer.headers) {
    CHAPPE_ASSERT(value.find_first_of("\r\n") == std::string::npos);
  }
  for (int pieces = 0; answer.stream != nullptr && pieces < kPiecesMax; ++pieces) {
    if (answer.stream->next(context).last) break;
  }
  if (answer.stream != nullptr || answer.content_type.find("json") == std::string::npos) return;
  const auto value = parse_json(answer.body);
  CHAPPE_ASSERT(value);
  if (answer.status >= 400) CHAPPE_ASSERT(*value->find("status") == Value(answer.status));
}

void call(Context& context, const Route& route, const Request& request) {
  if (const auto* constant = std::get_if<Constant>(&route.handler)) return check_answer(context, (*constant)());
  if (const auto* immediate = std::get_if<Immediate>(&route.handler)) {
    return check_answer(context, (*immediate)(context, request));
  }
  std::optional<Answer> answer;
  std::get<Deferred>(route.handler)(context, request, [&](Answer told) {
    CHAPPE_ASSERT(!answer);
    answer = std::move(told);
  });
  CHAPPE_ASSERT(answer);
  check_answer(context, *answer);
}

}  // namespace

FUZZ_TARGET(api_call) {
  static World world;
  std::string_view line = take_until(input, '\n');
  const auto method = parse_method(take_until(line, ' '));
  auto target = parse_target(line);
  if (!target) return check_error(target.error());
  for (const std::string& segment : target->segments) CHAPPE_ASSERT(is_utf8(segment) && printable(segment) == segment);
  for (const Route& route : routes()) {
    auto variables = match(route.pattern, target->segments);
    if (!variables || route.method != method || input.size() > route.body_max) continue;
    call(world.context, route,
         {.method = route.method,
          .variables = *std::move(variables),
          .query = target->query,
          .body = std::string(input),
          .principal = "anonymous"});
  }
}

}  // namespace chappe::fuzz

// What people were told, or are to be told.
#include <fmt/format.h>

#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

Value notification_json(const NotificationRow& row) {
  return ValueMap{{"id", static_cast<std::int64_t>(row.id)},
                  {"notice", name_of(row.notice)},
                  {"dag", row.dag},
                  {"run", row.run_id.text()},
                  {"task", row.task.empty() ? Value() : Value(row.task)},
                  {"channel", std::int64_t{row.channel}},
                  {"text", row.text},
                  {"state", name_of(row.state)},
                  {"tries", std::int64_t{row.tries}},
                  {"told", row.told.empty() ? Value() : Value(row.told)},
                  {"made_at", time_json(row.made_at)},
                  {"ended_at", time_json(row.ended_at)}};
}

}  // namespace

Answer list_notifications(Context& context, const Request& request) {
  std::optional<NotificationState> state;
  if (const auto name = request.parameter("state")) {
    state = parse_notification_state(*name);
    if (!state) {
      return problem(400, fmt::format("unknown state '{}'; known are pending, sent, summarised, given_up", *name));
    }
  }
  const auto limit = request.number("limit", 50, 1, 1'000);
  if (!limit) return problem(400, limit.error().message);
  const auto before = request.number("after", 0, 1, INT64_MAX);
  if (!before) return problem(400, before.error().message);
  const auto rows = context.reader.notifications(state, *before, *limit);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const NotificationRow& row : *rows) items.push_back(notification_json(row));
  const bool more = rows->size() == *limit;
  return json_answer(page_json(std::move(items), more ? Value(std::to_string(rows->back().id)) : Value()));
}

}  // namespace chappe::api

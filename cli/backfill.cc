#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kDatesShownMax = 100;  // All of them: --output json.

std::string backfill_path(std::uint32_t id) { return fmt::format("/backfills/{}", id); }

Result<Value> backfill_body(ApiClient& client, const BackfillOptions& options) {
  const auto known = client.get("/dags/" + segment(options.dag));
  if (!known) return known;
  const LoadedDag loaded = load_dag(text_of(*known, "source"), options.dag);
  auto params = read_params(loaded.dag.get(), options.params_file, options.params);
  if (!params) return fail(params.error());
  return Value(ValueMap{{"dag", options.dag},
                        {"from", options.from},
                        {"to", options.to},
                        {"reprocess", options.reprocess},
                        {"order", options.order},
                        {"max_active", std::int64_t{options.max_active}},
                        {"tasks", ValueList(options.tasks.begin(), options.tasks.end())},
                        {"params", *std::move(params)},
                        {"dry_run", options.dry_run}});
}

void print_foretold(const Value& told) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& date : list_of(told, "dates")) {
    if (rows.size() == kDatesShownMax) break;
    const std::string why_not = text_of(date, "why_not");
    rows.push_back({local_time(date.find("logical_time")), why_not.empty() ? "a run" : "none: " + why_not});
  }
  print(table({"LOGICAL TIME", "GETS"}, rows));
  const auto more = list_of(told, "dates").size() - rows.size();
  if (more > 0) print(fmt::format("... and {} more\n", more));
  print(fmt::format("{} of {} dates would get a run; nothing was started\n", number_of(told, "made"),
                    number_of(told, "total")));
}

/// "12 of 31 dates are decided: 10 got a run, 2 had one"
std::string decided_text(const Value& backfill) {
  const std::int64_t made = number_of(backfill, "made");
  const std::int64_t skipped = number_of(backfill, "skipped");
  return fmt::format("{} of {} dates are decided: {} got a run, {} had one", made + skipped,
                     number_of(backfill, "total"), made, skipped);
}

std::string joined_list(const Value& value, std::string_view name) {
  std::string text;
  for (const Value& each : list_of(value, name)) text += (text.empty() ? "" : ", ") + to_text(each);
  return text;
}

void print_backfill(const Value& shown, const Output& output) {
  std::string runs;
  if (const Value* counts = shown.find("runs"); counts != nullptr && counts->as_map() != nullptr) {
    for (const auto& [state, count] : *counts->as_map()) {
      if (count == Value(0)) continue;
      runs +=
          fmt::format("{}{} {}", runs.empty() ? "" : ", ", to_text(count), coloured_state(state, output.colour_out));
    }
  }
  const std::vector<std::pair<std::string, std::string>> lines{
      {"backfill", bold(text_of(shown, "id"), output.colour_out)},
      {"dag", fmt::format("{} ({})", printable(text_of(shown, "dag")), text_of(shown, "dag_version").substr(0, 12))},
      {"state", coloured_state(text_of(shown, "state"), output.colour_out)},
      {"message", printable(text_of(shown, "message"))},
      {"from", local_time(shown.find("from"))},
      {"to", local_time(shown.find("to"))},
      {"order", text_of(shown, "order") + " first"},
      {"reprocess", text_of(shown, "reprocess")},
      {"at a time", text_of(shown, "max_active")},
      {"tasks", joined_list(shown, "tasks")},
      {"params", printable(to_json(*shown.find("params")))},
      {"dates", decided_text(shown)},
      {"runs", runs},
      {"created", local_time(shown.find("created_at")) + " by " + printable(text_of(shown, "created_by"))},
      {"ended", local_time(shown.find("ended_at"))}};
  for (const auto& [name, value] : lines) {
    if (!value.empty()) print(fmt::format("{:<13} {}\n", name, value));
  }
}

}  // namespace

int create_backfill(const Session& session, const BackfillOptions& options) {
  return with_server(session, options.dry_run ? Need::kReading : Need::kScheduler, [&](ApiClient& client) {
    const auto body = backfill_body(client, options);
    if (!body) return complain(body.error());
    const auto answer = client.send("POST", "/backfills", *body);
    if (!answer) return complain(answer.error());
    if (session.output.json) {
      print_json(*answer);
    } else if (options.dry_run) {
      print_foretold(*answer);
    } else {
      print(fmt::format("backfill {} of {}: {} dates, {} run{} at a time\n", text_of(*answer, "backfill"),
                        printable(text_of(*answer, "dag")), number_of(*answer, "total"), options.max_active,
                        options.max_active == 1 ? "" : "s"));
    }
    return int{kOk};
  });
}

int list_backfills(const Session& session, const BackfillOptions& options) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto page = client.get(options.dag.empty() ? "/backfills" : "/backfills?dag=" + segment(options.dag));
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : list_of(*page, "items")) {
      rows.push_back({text_of(one, "id"), printable(text_of(one, "dag")),
                      coloured_state(text_of(one, "state"), session.output.colour_out), local_time(one.find("from")),
                      local_time(one.find("to")),
                      fmt::format("{}/{}", number_of(one, "made") + number_of(one, "skipped"), number_of(one, "total")),
                      local_time(one.find("created_at"))});
    }
    if (rows.empty()) return complain("there is no backfill yet", kOk);
    print(table({"ID", "DAG", "STATE", "FROM", "TO", "DATES", "CREATED"}, rows));
    return int{kOk};
  });
}

int show_backfill(const Session& session, std::uint32_t id) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto shown = client.get(backfill_path(id));
    if (!shown) return complain(shown.error());
    if (session.output.json) {
      print_json(*shown);
      return int{kOk};
    }
    print_backfill(*shown, session.output);
    print(faint(fmt::format("\nIts runs: chappe runs --backfill {}\n", id), session.output.colour_out));
    return int{kOk};
  });
}

int change_backfill(const Session& session, std::uint32_t id, const std::string& verb) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto answer = client.send("POST", backfill_path(id) + "/" + verb, ValueMap{});
    if (!answer) return complain(answer.error());
    if (session.output.json) {
      print_json(*answer);
    } else {
      print(fmt::format("backfill {} is {}\n", id, text_of(*answer, "state")));
    }
    return int{kOk};
  });
}

}  // namespace chappe::cli

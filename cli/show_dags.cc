#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/exit_code.h"

namespace chappe::cli {
namespace {

bool is_true(const Value& value, std::string_view name) {
  const Value* member = value.find(name);
  return member != nullptr && member->as_bool() != nullptr && *member->as_bool();
}

std::string next_run(const Value& dag) {
  if (!is_true(dag, "deployed")) return "not deployed";
  if (is_true(dag, "paused")) return "paused";
  const std::string next = local_time(dag.find("next_at"));
  return next.empty() ? "" : next;
}

/// Its schedule and its triggers.
std::string starts_at(const Value& dag) {
  const std::string schedule = text_of(dag, "schedule");
  const std::string triggers = text_of(dag, "triggers");
  return schedule + (schedule.empty() || triggers.empty() ? "" : ", or ") + triggers;
}

std::string last_run(const Value& dag, const Output& output) {
  const Value* run = dag.find("last_run");
  if (run == nullptr || run->is_null()) return "";
  return coloured_state(text_of(*run, "state"), output.colour_out) + " " + local_time(run->find("created_at"));
}

std::string dag_table(const ValueList& dags, const Output& output) {
  std::vector<std::string> head{"DAG", "STARTS ON", "NEXT RUN", "LAST RUN", "VERSION"};
  const auto has_commit = [](const Value& dag) { return !text_of(dag, "commit").empty(); };
  const bool commits = std::any_of(dags.begin(), dags.end(), has_commit);
  if (commits) head.emplace_back("COMMIT");
  std::vector<std::vector<std::string>> rows;
  for (const Value& dag : dags) {
    rows.push_back({printable(text_of(dag, "name")), printable(starts_at(dag)), next_run(dag), last_run(dag, output),
                    text_of(dag, "version").substr(0, 12)});
    if (commits) rows.back().push_back(text_of(dag, "commit").substr(0, 12));
  }
  return table(head, rows);
}

}  // namespace

int list_dags(const Session& session) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto page = client.get("/dags");
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    const ValueList& dags = list_of(*page, "items");
    print(dag_table(dags, session.output));
    for (const Value& dag : dags) {
      const std::string message = text_of(dag, "message");
      if (!message.empty()) print(fmt::format("{}: {}\n", printable(text_of(dag, "name")), printable(message)));
      const std::string waits_for = text_of(dag, "waits_for");
      if (!waits_for.empty()) {
        print(fmt::format("{} waits for {}\n", printable(text_of(dag, "name")), printable(waits_for)));
      }
    }
    for (const Value& complaint : list_of(*page, "complaints")) {
      std::string text = text_of(complaint, "text");
      for (std::size_t end = 0; !text.empty(); text.erase(0, end + 1)) {
        end = std::min(text.find('\n'), text.size() - 1);
        print(printable(text.substr(0, text[end] == '\n' ? end : end + 1)) + "\n");
      }
    }
    return int{kOk};
  });
}

}  // namespace chappe::cli

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/show_log.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kTasksShownMax = 60;  // Of a larger run, only what a person looks for; --all shows the rest.
constexpr std::size_t kPagesMax = 1'000;
constexpr std::size_t kItemsShownMax = 20;
constexpr std::size_t kLogTailLines = 20;

/// All pages of a list. Errors: as get().
Result<ValueList> get_all(ApiClient& client, const std::string& path) {
  ValueList all;
  std::string after;
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    auto answer = client.get(path + (after.empty() ? "" : "&after=" + after));
    if (!answer) return fail(answer.error());
    for (const Value& item : list_of(*answer, "items")) all.push_back(item);
    after = text_of(*answer, "next");
    if (after.empty()) return all;
  }
  return fail(ErrorCode::kInvalidInput, "the list has too many pages to be shown");
}

std::vector<std::string> task_row(const Value& task, const Output& output) {
  const std::int64_t attempt = number_of(task, "attempt_no");
  const bool attempted = attempt > 0;
  const Value* ready = task.find("ready");
  const bool takes_calls = ready != nullptr && *ready == Value(true);
  return {printable(text_of(task, "name")),
          coloured_state(text_of(task, "state"), output.colour_out) + (takes_calls ? " (ready)" : ""),
          attempted ? std::to_string(attempt) : "",
          local_time(task.find("started_at")),
          attempted ? duration_between(task.find("started_at"), task.find("ended_at"), wall_now()) : "",
          number_of(task, "peak_memory_bytes") > 0 ? short_size(number_of(task, "peak_memory_bytes")) : "",
          reason_of(task)};
}

std::string task_table(const ValueList& tasks, const Output& output) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& task : tasks) rows.push_back(task_row(task, output));
  return table({"TASK", "STATE", "ATTEMPT", "STARTED", "TOOK", "MEMORY", "REASON"}, rows);
}

/// "asset s3://bronze/income (version 12)"
std::string event_text(const Value& event) {
  std::string text = text_of(event, "source");
  const Value* detail = event.find("detail");
  for (const char* name : {"key", "version", "run", "delivery"}) {
    const Value* value = detail == nullptr || text.ends_with(')') ? nullptr : detail->find(name);
    if (value != nullptr && !value->is_null()) text += fmt::format(" ({} {})", name, to_text(*value));
  }
  return text;
}

/// What started it, where that was no person and no time.
std::string events_line(const Value& run) {
  constexpr std::size_t kEventsShownMax = 5;
  std::string line;
  const ValueList& events = list_of(run, "events");
  for (std::size_t i = 0; i < events.size() && i < kEventsShownMax; ++i) {
    line += (line.empty() ? "" : ", ") + event_text(events[i]);
  }
  if (events.size() > kEventsShownMax) line += fmt::format(" and {} more", events.size() - kEventsShownMax);
  return printable(line);
}

/// What asked for it: schedule, backfill, asset and the like; of people their name.
std::string asked_by(const Value& run) {
  const std::string trigger = text_of(run, "trigger");
  if (trigger == "backfill") return "backfill " + text_of(run, "backfill");
  const bool person = trigger == "manual" || trigger == "rerun";
  return printable(person ? text_of(run, "requested_by") : trigger);
}

std::string counts_line(const Value& run, const Output& output) {
  const Value* counts = run.find("counts");
  return counts == nullptr ? "" : told_counts(*counts, ", ", output.colour_out);
}

/// From when to when the run is about; "" where that is no stretch of time.
std::string interval_of(const Value& run) {
  const std::string start = local_time(run.find("interval_start"));
  const std::string end = local_time(run.find("interval_end"));
  return start == end ? "" : fmt::format("{} to {}", start, end);
}

void print_run_head(const Value& run, const Output& output) {
  const std::vector<std::pair<std::string, std::string>> lines{
      {"run", bold(text_of(run, "id"), output.colour_out)},
      {"dag", fmt::format("{} ({})", printable(text_of(run, "dag")), text_of(run, "dag_version").substr(0, 12))},
      {"commit", text_of(run, "dag_commit")},
      {"state", coloured_state(text_of(run, "state"), output.colour_out)},
      {"message", printable(text_of(run, "message"))},
      {"asked for by", asked_by(run)},
      {"started by", events_line(run)},
      {"rerun of", text_of(run, "rerun_of")},
      {"group", printable(text_of(run, "group"))},
      {"params", run.find("params") != nullptr ? printable(to_json(*run.find("params"))) : ""},
      {"logical time", local_time(run.find("logical_time"))},
      {"interval", interval_of(run)},
      {"created", local_time(run.find("created_at"))},
      {"began", local_time(run.find("started_at"))},
      {"took", duration_between(run.find("created_at"), run.find("ended_at"), wall_now())},
      {"late since", local_time(run.find("late_at"))},
      {"pruned", local_time(run.find("pruned_at"))},
      {"tasks", counts_line(run, output)}};
  for (const auto& [name, value] : lines) {
    if (!value.empty()) print(fmt::format("{:<13} {}\n", name, value));
  }
}

/// Tasks of a large run that a person looks for: what failed, runs or rests.
Result<ValueList> tasks_of_interest(ApiClient& client, const std::string& run) {
  ValueList some;
  for (const char* state : {"failed", "running", "committing", "waiting", "up_for_retry", "queued"}) {
    auto page = client.get(run_path(run) + fmt::format("/tasks?state={}&limit={}", state, kItemsShownMax));
    if (!page) return fail(page.error());
    for (const Value& task : list_of(*page, "items")) some.push_back(task);
  }
  return some;
}

int print_tasks(ApiClient& client, const Value& run, bool all, const Output& output) {
  const std::string id = text_of(run, "id");
  const bool few = number_of(run, "task_count") <= static_cast<std::int64_t>(kTasksShownMax);
  const auto tasks = all || few ? get_all(client, run_path(id) + "/tasks?limit=10000") : tasks_of_interest(client, id);
  if (!tasks) return complain(tasks.error());
  if (!tasks->empty()) print("\n" + task_table(*tasks, output));
  if (!all && !few)
    print(faint(fmt::format("\nOf {} tasks; all of them: chappe show {} --all\n", number_of(run, "task_count"), id),
                output.colour_out));
  return kOk;
}

int print_run_json(ApiClient& client, Value run) {
  if (!text_of(run, "pruned_at").empty()) return print_json(run), kOk;
  auto tasks = get_all(client, run_path(text_of(run, "id")) + "/tasks?limit=10000");
  if (!tasks) return complain(tasks.error());
  run.as_map()->emplace_back("tasks", *std::move(tasks));
  print_json(run);
  return kOk;
}

/// Where an attempt ran: the worker, and its host where that is called otherwise.
std::string worker_of(const Value& attempt) {
  const std::string name = printable(text_of(attempt, "worker_name"));
  const std::string host = printable(text_of(attempt, "worker_host"));
  return host.empty() || host == name ? name : fmt::format("{} on {}", name, host);
}

void print_attempts(const Value& task, const Output& output) {
  std::vector<std::vector<std::string>> rows;
  std::string images;
  for (const Value& attempt : list_of(task, "attempts")) {
    const std::string image = printable(text_of(attempt, "image"));
    if (!image.empty()) images += fmt::format("  {:<9} {}\n", text_of(attempt, "attempt_no"), image);
    const Value* beside = attempt.find("sidecar_images");
    for (const auto& [name, of] : beside != nullptr && beside->as_map() != nullptr ? *beside->as_map() : ValueMap{}) {
      images += fmt::format("  {:<9} {} {}\n", "", printable(name), printable(to_text(of)));
    }
    rows.push_back({text_of(attempt, "attempt_no"), coloured_state(text_of(attempt, "state"), output.colour_out),
                    local_time(attempt.find("started_at")),
                    duration_between(attempt.find("started_at"), attempt.find("ended_at"), wall_now()),
                    worker_of(attempt), reason_of(attempt)});
  }
  if (!rows.empty()) print("\n" + table({"ATTEMPT", "STATE", "STARTED", "TOOK", "WORKER", "REASON"}, rows));
  if (!images.empty()) print(fmt::format("\n{}\n{}", bold("Images", output.colour_out), images));
}

void print_objects(std::string_view title, const ValueList& objects, const Output& output) {
  if (objects.empty()) return;
  print(fmt::format("\n{}\n", bold(title, output.colour_out)));
  std::vector<std::vector<std::string>> rows;
  for (const Value& object : objects) {
    if (rows.size() == kItemsShownMax) break;
    const std::string s3 = text_of(object, "s3");
    const std::string asset = s3.empty() ? text_of(object, "asset") : s3;
    const bool collected = !text_of(object, "collected_at").empty();
    rows.push_back({"  " + printable(text_of(object, "name")), short_size(number_of(object, "size_bytes")),
                    text_of(object, "sha256").substr(0, 12),
                    collected ? "collected " + local_time(object.find("collected_at"))
                              : printable(asset.empty() ? text_of(object, "object") : asset)});
  }
  print(table({"  NAME", "SIZE", "SHA-256", "WHERE"}, rows));
  if (objects.size() > rows.size()) print(fmt::format("  ... and {} more\n", objects.size() - rows.size()));
}

/// The beginning of a long one; JSON has the rest.
std::string shown_value(const std::string& text) {
  constexpr std::size_t kValueShownMax = 200;
  if (text.size() <= kValueShownMax) return printable(text);
  return fmt::format("{}... ({} bytes, all with --output json)", printable(text.substr(0, kValueShownMax)),
                     text.size());
}

void print_values(const ValueList& values, const Output& output) {
  if (values.empty()) return;
  print(fmt::format("\n{}\n", bold("Values", output.colour_out)));
  std::vector<std::vector<std::string>> rows;
  for (const Value& value : values) {
    if (rows.size() == kItemsShownMax) break;
    const std::string task = text_of(value, "task_name");
    rows.push_back({"  " + printable(task.empty() ? text_of(value, "name") : task + "." + text_of(value, "name")),
                    shown_value(text_of(value, "value"))});
  }
  for (const auto& row : rows) print(fmt::format("{} = {}\n", row[0], row[1]));
  if (values.size() > rows.size()) print(fmt::format("  ... and {} more\n", values.size() - rows.size()));
}

/// What the run publishes by its DAG's `outputs`.
void print_outputs(const Value& run, const Output& output) {
  const Value* outputs = run.find("outputs");
  if (outputs == nullptr || outputs->as_map() == nullptr) return;
  print(fmt::format("\n{}\n", bold("Outputs", output.colour_out)));
  const auto each = [&](const char* kind, const auto& told) {
    const Value* members = outputs->find(kind);
    if (members == nullptr || members->as_map() == nullptr) return;
    for (const auto& [name, value] : *members->as_map()) print(fmt::format("  {} {}\n", printable(name), told(value)));
  };
  each("values", [](const Value& value) { return "= " + printable(to_text(value)); });
  each("artifacts", [](const Value& object) {
    const std::string asset = text_of(object, "asset");
    return fmt::format("is {} of {}: {}, sha256 {}, {}", printable(text_of(object, "artifact")),
                       printable(text_of(object, "task")), short_size(number_of(object, "size_bytes")),
                       text_of(object, "sha256").substr(0, 12),
                       printable(asset.empty() ? text_of(object, "object") : asset));
  });
  each("absent", [](const Value& why) { return "is absent: " + printable(to_text(why)); });
}

int show_task(ApiClient& client, const std::string& run, const std::string& name, const Output& output) {
  const auto task = client.get(run_path(run) + "/tasks/" + segment(name));
  if (!task) return complain(task.error());
  if (output.json) {
    print_json(*task);
    return kOk;
  }
  print(fmt::format("{:<9} {}\n{:<9} {}\n{:<9} {}\n", "task",
                    bold(printable(text_of(*task, "name")), output.colour_out), "run", text_of(*task, "run"), "state",
                    coloured_state(text_of(*task, "state"), output.colour_out)));
  print_attempts(*task, output);
  print_objects("Inputs", list_of(*task, "inputs"), output);
  print_objects("Outputs", list_of(*task, "outputs"), output);
  print_values(list_of(*task, "values"), output);
  return kOk;
}

void print_failure(ApiClient& client, const std::string& run, const Output& output) {
  const auto [task, log] = find_failed_log(client, run, kLogTailLines);
  if (task.empty()) return;
  print(fmt::format("\n{}\n", bold(fmt::format("The end of the log of {}", printable(task)), output.colour_out)));
  std::string_view rest = log;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    print("  " + printable(rest.substr(0, end)) + "\n");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

/// The last instance of the file that ran: what it wrote is often the result.
std::string last_task_of(ApiClient& client, const Value& run) {
  const std::int64_t count = number_of(run, "task_count");
  if (count == 0) return "";
  const auto page = client.get(run_path(text_of(run, "id")) + fmt::format("/tasks?limit=1&after={}", count - 1));
  if (!page || list_of(*page, "items").empty()) return "";
  const Value& task = list_of(*page, "items").front();
  const std::string name = text_of(task, "name");
  const auto log = client.get_text(log_path(text_of(run, "id"), name, "latest") + "?tail=1");
  return log && !log->empty() ? name : "";  // A gate or a promotion writes nothing.
}

/// As a shell takes it.
std::string quoted(const std::string& word) {
  const bool plain = std::ranges::all_of(word, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  return plain ? word : "'" + printable(word) + "'";
}

void print_next(const Value& run, const std::string& last_task, const ValueList& artifacts, const ValueList& aliases,
                const Output& output) {
  const std::string id = text_of(run, "id");
  std::vector<std::string> next{"chappe show " + id};
  if (!last_task.empty()) next.push_back(fmt::format("chappe logs {} {}", id, quoted(last_task)));
  if (text_of(run, "state") == "failed") {
    next.push_back("chappe explain " + id);
    next.push_back("chappe retry " + id);
  }
  const auto asset =
      std::ranges::find_if(artifacts, [](const Value& one) { return !text_of(one, "asset_version").empty(); });
  if (!aliases.empty()) {
    next.push_back(
        fmt::format("chappe lineage {}@{}", text_of(aliases.front(), "model"), text_of(aliases.front(), "alias")));
  } else if (asset != artifacts.end() && text_of(run, "state") == "success") {
    next.push_back("chappe lineage " + text_of(*asset, "asset_version"));
  }
  print(fmt::format("\n{}\n", bold("Next", output.colour_out)));
  for (const std::string& command : next) print("  " + command + "\n");
}

}  // namespace

int list_runs(const Session& session, const ListOptions& options) {
  const auto part = page_query(options.page, wall_now());
  if (!part) return complain(part.error().message, kUsage);
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    std::string path = "/runs?" + *part;
    if (!options.dag.empty()) path += "&dag=" + segment(options.dag);
    if (!options.state.empty()) path += "&state=" + segment(options.state);
    if (options.backfill != 0) path += fmt::format("&backfill={}", options.backfill);
    const auto page = client.get(path);
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& run : list_of(*page, "items")) {
      rows.push_back({text_of(run, "id"), printable(text_of(run, "dag")),
                      coloured_state(text_of(run, "state"), session.output.colour_out),
                      local_time(run.find("logical_time")), local_time(run.find("created_at")),
                      duration_between(run.find("created_at"), run.find("ended_at"), wall_now()), asked_by(run)});
    }
    if (rows.empty()) return complain("there is no such run yet", kOk);
    print(table({"RUN", "DAG", "STATE", "LOGICAL TIME", "CREATED", "TOOK", "ASKED FOR BY"}, rows));
    return int{kOk};
  });
}

int show_run(const Session& session, const std::string& run, const std::string& task, bool all) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    if (!task.empty()) return show_task(client, run, task, session.output);
    const auto shown = client.get(run_path(run));
    if (!shown) return complain(shown.error());
    if (session.output.json) return print_run_json(client, *shown);
    print_run_head(*shown, session.output);
    if (!text_of(*shown, "pruned_at").empty()) return complain("all else of it is gone: it was pruned", kOk);
    print_outputs(*shown, session.output);
    return print_tasks(client, *shown, all, session.output);
  });
}

int explain_run(const Session& session, const std::string& run, const std::string& task) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto told = client.get(run_path(run) + "/explain" + (task.empty() ? "" : "?task=" + segment(task)));
    if (!told) return complain(told.error());
    if (session.output.json) {
      print_json(*told);
      return int{kOk};
    }
    print(fmt::format("run {} is {}\n", text_of(*told, "run"),
                      coloured_state(text_of(*told, "state"), session.output.colour_out)));
    constexpr std::pair<const char*, const char*> kHeads[] = {{"waits_for", "it waits for"},
                                                              {"stopping", "it is being stopped"}};
    for (const auto& [name, head] : kHeads) {
      if (const std::string text = text_of(*told, name); !text.empty())
        print(fmt::format("{}: {}\n", head, printable(with_local_times(text))));
    }
    const std::string late = local_time(told->find("late_at"));
    const std::string due = local_time(told->find("deadline"));
    if (!due.empty() || !late.empty()) {
      print(late.empty() ? fmt::format("its deadline is {}\n", due) : fmt::format("it is late since {}\n", late));
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : list_of(*told, "tasks")) {
      const std::string waits = text_of(one, "waits_for");
      rows.push_back({printable(text_of(one, "task")), coloured_state(text_of(one, "state"), session.output.colour_out),
                      printable(with_local_times(waits.empty() ? text_of(one, "reason") : "waits for " + waits))});
    }
    if (!rows.empty()) print(table({"TASK", "STATE", "WHY"}, rows));
    rows.clear();
    for (const Value& one : list_of(*told, "cache")) {
      const bool hit = text_of(one, "hit") == "true";
      rows.push_back({printable(text_of(one, "task")), hit ? "used again" : "made",
                      printable(with_local_times(text_of(one, "told")))});
    }
    if (!rows.empty()) print(table({"TASK", "RESULT", "WHY"}, rows));
    if (const auto more = number_of(*told, "more"); more > 0) print(fmt::format("... and {} more\n", more));
    return int{kOk};
  });
}

int show_result(ApiClient& client, const std::string& run, const Output& output) {
  auto shown = client.get(run_path(run));
  if (!shown) return complain(shown.error());
  const auto outputs = client.get(run_path(run) + "/outputs");
  if (!outputs) return complain(outputs.error());
  if (output.json) {
    for (const char* name : {"artifacts", "values", "aliases"})
      shown->as_map()->emplace_back(name, list_of(*outputs, name));
    print_json(*shown);
    return kOk;
  }
  const std::string state = text_of(*shown, "state");
  print(fmt::format("run {} of {}: {} after {}\n", bold(text_of(*shown, "id"), output.colour_out),
                    printable(text_of(*shown, "dag")), coloured_state(state, output.colour_out),
                    duration_between(shown->find("created_at"), shown->find("ended_at"), wall_now())));
  if (const std::string message = text_of(*shown, "message"); !message.empty()) print(printable(message) + "\n");
  print_outputs(*shown, output);
  ValueList published;
  for (const Value& one : list_of(*outputs, "artifacts")) {
    if (!text_of(one, "asset_version").empty()) published.push_back(one);
  }
  print_objects("Published", published, output);
  print_values(list_of(*outputs, "values"), output);
  const ValueList& aliases = list_of(*outputs, "aliases");
  if (!aliases.empty()) print(fmt::format("\n{}\n", bold("Aliases", output.colour_out)));
  for (const Value& alias : aliases) {
    print(fmt::format("  {}@{} is version {} now\n", printable(text_of(alias, "model")),
                      printable(text_of(alias, "alias")), text_of(alias, "version")));
  }
  if (state == "failed") print_failure(client, run, output);
  print_next(*shown, state == "success" ? last_task_of(client, *shown) : "", published, aliases, output);
  return kOk;
}

}  // namespace chappe::cli

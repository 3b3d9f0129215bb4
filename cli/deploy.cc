// Deploying DAG files, pausing and removing what is deployed.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "engine/model/circles.h"

namespace chappe::cli {
namespace {

/// All files, if each is right and no two are of one DAG. Complains otherwise.
std::optional<std::vector<DagFile>> load_all(const std::vector<std::string>& names, const Output& output) {
  std::vector<DagFile> out;
  std::map<std::string, std::string> file_of;
  bool right = true;
  for (const std::string& name : names) {
    auto file = load_dag_file(name);
    if (!file) {
      complain(file.error().message, kUsage);
      right = false;
      continue;
    }
    show_diagnostics(file->diagnostics, output);
    right = right && file->dag != nullptr;
    if (file->dag == nullptr) continue;
    const auto [first, fresh] = file_of.emplace(file->dag->name, name);
    if (!fresh) {
      complain(fmt::format("{} and {} are both of DAG {}", first->second, name, file->dag->name), kUsage);
      right = false;
    }
    out.push_back(*std::move(file));
  }
  if (!right) return std::nullopt;
  return out;
}

std::string next_run(const Value& deployed) {
  const Value* paused = deployed.find("paused");
  if (paused != nullptr && paused->as_bool() != nullptr && *paused->as_bool()) return ", paused";
  const std::string next = local_time(deployed.find("next_at"));
  if (!next.empty()) return ", next run " + next;
  return text_of(deployed, "schedule").empty() ? "" : ", no further run";
}

/// What of the DAG differs from the version in use; nullopt: there is none.
Result<std::optional<std::string>> find_difference(ApiClient& client, const DagFile& file) {
  const auto known = client.get("/dags/" + segment(file.dag->name));
  if (!known && known.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
  if (!known) return fail(known.error());
  return std::optional(difference(text_of(*known, "source"), file.text));
}

/// "report (asset s3://bronze/income)": DAGs that start on what this one leaves.
ValueList started_by(const Dag& dag, const Value& deployed) {
  std::vector<std::string> mine;
  for (const EventSource& source : news_of(dag)) mine.push_back(to_text(source));
  ValueList out;
  for (const Value& other : list_of(deployed, "items")) {
    std::string on;
    for (const Value& source : list_of(other, "sources")) {
      if (std::ranges::find(mine, to_text(source)) != mine.end()) on += (on.empty() ? "" : ", ") + to_text(source);
    }
    if (!on.empty()) out.emplace_back(fmt::format("{} ({})", text_of(other, "name"), on));
  }
  return out;
}

/// Once all are deployed: they may start each other.
Result<void> add_started(ApiClient& client, const std::vector<DagFile>& files, ValueList& answers) {
  const auto deployed = client.get("/dags");
  if (!deployed) return fail(deployed.error());
  for (std::size_t i = 0; i < files.size(); ++i) {
    answers[i].as_map()->emplace_back("starts", started_by(*files[i].dag, *deployed));
  }
  return {};
}

std::string listens(const Value& deployed) {
  const std::string triggers = text_of(deployed, "triggers");
  return triggers.empty() ? "" : ", starts on " + printable(triggers);
}

Result<Value> deploy(ApiClient& client, const DagFile& file) {
  auto differs = find_difference(client, file);
  if (!differs) return fail(differs.error());
  auto answer = client.send("POST", "/dags", ValueMap{{"dag_yaml", file.text}, {"file", file.file}});
  if (!answer) return answer;
  const bool changed = text_of(*answer, "state") == "changed" && *differs;
  answer->as_map()->emplace_back("difference", changed ? Value(**differs) : Value());
  return answer;
}

int change(const Session& session, std::string_view method, const std::string& path,
           const std::function<std::string(const Value&)>& told) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto answer = client.send(method, path, method == "DELETE" ? Value() : Value(ValueMap{}));
    if (!answer) return complain(answer.error());
    if (session.output.json) {
      print_json(*answer);
    } else {
      print(told(*answer) + "\n");
    }
    return int{kOk};
  });
}

}  // namespace

int deploy_files(const Session& session, const std::vector<std::string>& paths) {
  const auto names = find_dag_files(paths);
  if (!names) return complain(names.error().message, kUsage);
  const auto files = load_all(*names, session.output);
  if (!files) return complain("nothing was deployed", kUsage);
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    ValueList all;
    for (const DagFile& file : *files) {
      auto answer = deploy(client, file);
      if (!answer) return complain(Error{answer.error()}.in(file.file));
      const std::string differs = text_of(*answer, "difference");
      if (!session.output.json) {
        print(fmt::format("{}: {}{}{}{}\n", file.dag->name, text_of(*answer, "state"),
                          differs.empty() ? "" : ": " + printable(differs), listens(*answer), next_run(*answer)));
        if (const std::string told = text_of(*answer, "message"); !told.empty()) warn(file.dag->name, told);
      }
      all.push_back(*std::move(answer));
    }
    if (auto added = add_started(client, *files, all); !added) return complain(added.error());
    if (session.output.json) {
      print_json(all);
      return int{kOk};
    }
    for (const Value& answer : all) {
      for (const Value& other : list_of(answer, "starts")) {
        print(fmt::format("{} starts {}\n", text_of(answer, "dag"), printable(to_text(other))));
      }
    }
    return int{kOk};
  });
}

int pause_dag(const Session& session, const std::string& dag, bool paused) {
  return change(session, "POST", "/dags/" + segment(dag) + (paused ? "/pause" : "/unpause"), [&](const Value& answer) {
    return fmt::format("{}: {}", dag, paused ? "paused" : "goes on" + next_run(answer));
  });
}

int undeploy_dag(const Session& session, const std::string& dag) {
  return change(session, "DELETE", "/dags/" + segment(dag),
                [&](const Value&) { return fmt::format("{}: undeployed; its runs go on", dag); });
}

}  // namespace chappe::cli

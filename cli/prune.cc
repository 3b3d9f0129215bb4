#include "cli/prune.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "cli/exit_code.h"
#include "cli/list_options.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kRunsShownMax = 20;

/// What all answers of one pass come to.
struct Pass {
  std::int64_t pruned = 0;
  std::map<std::string, std::int64_t> kept;
  ValueList runs;  ///< Of a dry run.
};

Result<Pass> go_through(ApiClient& client, const PruneOptions& options, const std::string& before) {
  Pass pass;
  std::string after;
  do {
    ValueMap body{{"before", before}};
    if (!options.dag.empty()) body.emplace_back("dag", options.dag);
    if (options.dry_run) body.emplace_back("dry_run", true);
    if (!after.empty()) body.emplace_back("after", after);
    const auto answer = client.send("POST", "/prune", std::move(body));
    if (!answer) return fail(answer.error());
    pass.pruned += number_of(*answer, "pruned");
    for (const auto& [why, count] : *answer->find("kept")->as_map())
      pass.kept[why] += count.as_int() == nullptr ? 0 : *count.as_int();
    if (options.dry_run) {
      for (const Value& run : list_of(*answer, "items")) pass.runs.push_back(run);
    }
    after = text_of(*answer, "next");
  } while (!after.empty());
  return pass;
}

/// What goes may be what kept others.
bool may_free_others(const Pass& pass) {
  return pass.pruned > 0 && (pass.kept.contains("used") || pass.kept.contains("parent"));
}

void print_kept(const Pass& pass) {
  for (const auto& [why, count] : pass.kept) print(fmt::format("{:>8}  {}\n", count, why_kept_text(why)));
}

void print_runs(const Pass& pass, const Output& output) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& run : pass.runs) {
    if (rows.size() == kRunsShownMax) break;
    if (!text_of(run, "kept").empty()) continue;
    rows.push_back({text_of(run, "run"), printable(text_of(run, "dag")),
                    coloured_state(text_of(run, "state"), output.colour_out), local_time(run.find("ended_at"))});
  }
  if (!rows.empty()) print(table({"RUN", "DAG", "STATE", "ENDED"}, rows));
  if (pass.pruned > static_cast<std::int64_t>(rows.size())) {
    print(fmt::format("... and {} more\n", pass.pruned - static_cast<std::int64_t>(rows.size())));
  }
}

void print_json_of(const Pass& pass, bool dry_run) {
  ValueMap kept;
  for (const auto& [why, count] : pass.kept) kept.emplace_back(why, count);
  ValueMap told{{"pruned", pass.pruned}, {"kept", std::move(kept)}};
  if (dry_run) told.emplace_back("items", pass.runs);
  print_json(told);
}

}  // namespace

std::string why_kept_text(std::string_view why) {
  for (std::size_t i = 1; i < kKeptReasons; ++i) {
    const Kept kept = static_cast<Kept>(i);
    if (name_of(kept) == why) return fmt::format("{}: a run that {}", why, why_kept(kept));
  }
  return std::string(why);
}

int prune_runs(const Session& session, const PruneOptions& options) {
  const auto before = time_or_age(options.before, wall_now());
  if (!before) return complain("--before: " + before.error().message, kUsage);
  return with_server(session, options.dry_run ? Need::kReading : Need::kOwn, [&](ApiClient& client) {
    auto pass = go_through(client, options, *before);
    for (std::int64_t all = 0; pass && !options.dry_run;) {
      const bool again = may_free_others(*pass);
      all += pass->pruned;
      if (!again) {
        pass->pruned = all;
        break;
      }
      pass = go_through(client, options, *before);
    }
    if (!pass) return complain(pass.error());
    if (session.output.json) {
      print_json_of(*pass, options.dry_run);
      return int{kOk};
    }
    print_runs(*pass, session.output);
    print(fmt::format("{} {}\n", pass->pruned, options.dry_run ? "runs would go" : "runs were pruned"));
    if (!pass->kept.empty()) print("\nOf those that ended as long ago these stay:\n");
    print_kept(*pass);
    return int{kOk};
  });
}

void add_prune_command(CLI::App& app, const Session& session, PruneOptions& options, std::function<int()>& command) {
  CLI::App* prune = app.add_subcommand("prune", "Remove runs that ended long ago, but for what others descend from");
  prune->fallthrough();
  prune->add_option("--before", options.before, "Those that ended before this time, or longer ago than, such as 400d")
      ->required();
  prune->add_option("--dag", options.dag, "Of this DAG only");
  prune->add_flag("--dry-run", options.dry_run, "Only say what would go, and what stays and why");
  prune->callback([&] { command = [&] { return prune_runs(session, options); }; });
}

}  // namespace chappe::cli

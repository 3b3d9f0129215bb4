// The simulator's command: `scripts/sim --help`.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "engine/ports/log.h"
#include "tests/simulation/batch.h"
#include "tests/simulation/mutants.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

constexpr std::string_view kHelp = R"(Simulates a whole Chappe in one thread, with every fault that it must survive.

  sim --seed N [--verbose]             one history, twice: both must be the same to the last byte
  sim --seed N --minimise              which faults, runs, tasks and workers a failing history can do without
  sim --seeds N [--from N] [--jobs J]  many; ends with what was seen how often with --table
  sim --corpus FILE                    the seeds in the file, one a line with its reason; SEED+FAULT is --only FAULT
  sim --mutants [--starts K]           plants each bug of the list: which law finds it, after how many seeds

What a history does without: --without FAULT (again and again), --tasks-max N, --runs-max N, --workers-max N; or
--only FAULT (again and again): these come often, and no others; --few: one to three such faults for each seed.
--least N: how often each sight must be seen in --seeds (1 from 20,000 seeds on). --mutant NAME: plant one.
)";

struct Options {
  std::optional<std::uint64_t> seed;
  std::string corpus;
  BatchPlan batch{.seeds = 0};
  std::optional<std::uint64_t> least;
  std::uint32_t starts = 3;
  bool verbose = false;
  bool minimise = false;
  bool mutants = false;
  bool table = false;
};

[[noreturn]] void refuse(const std::string& what) {
  fmt::print(stderr, "sim: {}; see --help\n", what);
  std::exit(2);
}

std::uint64_t number(const std::string& text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != 0) refuse("'" + text + "' is no number");
  return value;
}

Fault fault(const std::string& name) {
  const auto found = parse_fault(name);
  if (!found) refuse("there is no fault '" + name + "'");
  return *found;
}

Mutant mutant(const std::string& name) {
  const auto found = parse_mutant(name);
  if (!found) refuse("there is no mutant '" + name + "'");
  return *found;
}

void take_value(Options& options, const std::string& flag, const std::string& value) {
  const auto small = [&] { return static_cast<std::uint32_t>(number(value)); };
  if (flag == "--seed") {
    options.seed = number(value);
  } else if (flag == "--seeds") {
    options.batch.seeds = number(value);
  } else if (flag == "--from") {
    options.batch.from = number(value);
  } else if (flag == "--jobs") {
    options.batch.jobs = std::max(1U, small());
  } else if (flag == "--least") {
    options.least = number(value);
  } else if (flag == "--starts") {
    options.starts = std::max(1U, small());
  } else if (flag == "--corpus") {
    options.corpus = value;
  } else if (flag == "--mutant") {
    options.batch.mutant = mutant(value);
  } else if (flag == "--without") {
    options.batch.reduction.without.push_back(fault(value));
  } else if (flag == "--only") {
    options.batch.reduction.only.push_back(fault(value));
  } else if (flag == "--tasks-max") {
    options.batch.reduction.tasks_max = small();
  } else if (flag == "--runs-max") {
    options.batch.reduction.runs_max = small();
  } else if (flag == "--workers-max") {
    options.batch.reduction.workers_max = small();
  } else {
    refuse("there is no flag " + flag);
  }
}

Options read(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& flag = arguments[i];
    if (flag == "--help") {
      fmt::print("{}", kHelp);
      std::exit(0);
    }
    if (flag == "--verbose") {
      options.verbose = true;
    } else if (flag == "--few") {
      options.batch.reduction.few = true;
    } else if (flag == "--minimise") {
      options.minimise = true;
    } else if (flag == "--mutants") {
      options.mutants = true;
    } else if (flag == "--table") {
      options.table = true;
    } else if (i + 1 < arguments.size()) {
      take_value(options, flag, arguments[++i]);
    } else {
      refuse(flag + " needs a value");
    }
  }
  return options;
}

/// For the history of one seed.
std::string flags_of(const Options& options, std::uint64_t seed, Reduction reduction) {
  if (reduction.few) reduction.only = few_faults(seed);
  std::string flags;
  for (const Fault each : reduction.without) flags += fmt::format(" --without {}", name_of(each));
  for (const Fault each : reduction.only) flags += fmt::format(" --only {}", name_of(each));
  if (reduction.tasks_max) flags += fmt::format(" --tasks-max {}", *reduction.tasks_max);
  if (reduction.runs_max) flags += fmt::format(" --runs-max {}", *reduction.runs_max);
  if (reduction.workers_max) flags += fmt::format(" --workers-max {}", *reduction.workers_max);
  if (options.batch.mutant != Mutant::kNone) flags += fmt::format(" --mutant {}", name_of(options.batch.mutant));
  return flags;
}

int tell(const Options& options, const Finding& finding) {
  fmt::print("seed {} breaks law {} ({}): {}\n  again: scripts/sim --seed {}{} --verbose\n", finding.seed,
             static_cast<int>(finding.violation.law), name_of(finding.violation.law), finding.violation.message,
             finding.seed, flags_of(options, finding.seed, options.batch.reduction));
  return 1;
}

int run_one(const Options& options) {
  planted_mutant = options.batch.mutant;
  std::optional<std::uint64_t> hash;
  for (const bool aloud : {options.verbose, false}) {
    World world(*options.seed, options.batch.reduction, aloud);
    const Ending verdict = world.live();
    if (hash && *hash != verdict.hash) {
      fmt::print("seed {} makes two histories: {:016x} and {:016x}\n", *options.seed, *hash, verdict.hash);
      return 1;
    }
    if (hash && verdict.violation) return tell(options, {*options.seed, *verdict.violation});
    hash = verdict.hash;
  }
  fmt::print("seed {}: no law is broken; the same history twice, {:016x}\n", *options.seed, *hash);
  return 0;
}

int run_minimise(const Options& options) {
  BatchPlan one = options.batch;
  one.from = *options.seed;
  one.seeds = 1;
  one.seconds_max = 60;
  const BatchResult result = run_batch(one);
  if (!result.finding) {
    fmt::print("seed {}: no law is broken\n", *options.seed);
    return 0;
  }
  const Reduction reduction = minimise(*result.finding, options.batch.mutant, options.batch.reduction);
  fmt::print("law {} is still broken by: scripts/sim --seed {}{} --verbose\n", name_of(result.finding->violation.law),
             *options.seed, flags_of(options, *options.seed, reduction));
  return 1;
}

int run_many(const Options& options) {
  constexpr std::uint64_t kAllIsSeen = 20'000;  ///< Seeds of all faults: from so many on, everything must have been.
  const auto begin = std::chrono::steady_clock::now();
  const BatchResult result = run_batch(options.batch);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (options.table) fmt::print("{}", result.seen.table());
  constexpr double kYear = 365.25 * 86400 * 1e6;
  fmt::print("{} seeds in {:.1f} s ({:.0f} a second and core), {} events, {} commits, {:.2f} simulated years\n",
             result.seeds, seconds, static_cast<double>(result.seeds) / seconds / options.batch.jobs,
             result.seen.events, result.seen.commits, static_cast<double>(result.seen.simulated_us) / kYear);
  if (result.finding) return tell(options, *result.finding);
  const bool sees_all = result.seeds >= kAllIsSeen && !options.batch.reduction.few;
  const std::uint64_t least = options.least.value_or(sees_all ? 1 : 0);
  const auto missing = result.seen.missing(least);
  for (const std::string& what : missing) fmt::print("not seen often enough: {}\n", what);
  if (missing.empty()) fmt::print("no law is broken\n");
  return missing.empty() ? 0 : 1;
}

int run_corpus(const Options& options) {
  std::ifstream file(options.corpus);
  if (!file) refuse("cannot read " + options.corpus);
  std::uint64_t count = 0;
  for (std::string line; std::getline(file, line);) {
    std::string history;
    if (!(std::istringstream(line) >> history) || history.starts_with('#')) continue;
    Options one = options;
    std::istringstream parts(history);
    std::string part;
    std::getline(parts, part, '+');
    one.seed = number(part);
    while (std::getline(parts, part, '+')) one.batch.reduction.only.push_back(fault(part));
    if (const int failed = run_one(one); failed != 0) return failed;
    ++count;
  }
  return count > 0 ? 0 : 1;
}

int run(const Options& options) {
  log::install([](log::Level, std::string_view) {}, log::Level::kError);
  if (options.mutants) return run_mutants(options.batch, options.starts);
  if (!options.corpus.empty()) return run_corpus(options);
  if (options.seed && options.minimise) return run_minimise(options);
  if (options.seed) return run_one(options);
  if (options.batch.seeds > 0) return run_many(options);
  refuse("nothing to do");
}

}  // namespace
}  // namespace chappe::simulation

int main(int count, char** arguments) {
  using namespace chappe::simulation;
  return run(read(std::vector<std::string>(arguments + 1, arguments + count)));
}

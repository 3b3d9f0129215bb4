// Runs the tests that DAG files hold, one after the other, each with a scheduler, a worker and a store of its own.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/test_bed.h"
#include "cli/test_verdict.h"

namespace chappe::cli {
namespace {

constexpr int kTestSignalled = 128;

struct TestOutcome {
  std::string file;
  std::string name;
  std::vector<Finding> findings;  ///< None: it passed.
  std::string broken;             ///< Why it could not be run.
  std::string kept;               ///< Its directory, where that stays.
  double seconds = 0;
  int signal = 0;
  bool passed() const { return findings.empty() && broken.empty(); }
};

/// "FILE:LINE:COLUMN: what"
std::string line_of(const TestOutcome& outcome, const Finding& finding) {
  return fmt::format("{}:{}:{}: {}", outcome.file, finding.place.line, finding.place.column, finding.message);
}

TestOutcome run_test(const DagFile& file, const DagTest& test, bool keep) {
  TestOutcome outcome{.file = file.file, .name = test.name, .findings = {}, .broken = {}, .kept = {}};
  const auto begun = std::chrono::steady_clock::now();
  auto bed = TestBed::make(file, test, keep);
  if (!bed) {
    outcome.broken = bed.error().message;
    return outcome;
  }
  TestBed& own = **bed;
  if (keep) outcome.kept = own.directory().string();
  if (const auto run = own.run()) {
    outcome.findings = judge(file, test, *run,
                             {.read_object = [&](const std::string& key) { return own.read_object(key); },
                              .end_of_log = [&](const std::string& task) { return own.end_of_log(task); }});
  } else {
    outcome.broken = run.error().message;
    outcome.signal = own.interrupted();
  }
  bed->reset();
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return outcome;
}

// ---- Telling ----

std::string indented(const std::string& text, std::string_view indent) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += fmt::format("{}{}\n", indent, printable(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

void tell(const TestOutcome& outcome, const Output& output) {
  const std::string_view colour = !output.colour_out ? "" : outcome.passed() ? "\x1b[32m" : "\x1b[1;31m";
  print(fmt::format("{}{}{}  {}  {}\n", colour, outcome.passed() ? "ok  " : "FAIL", output.colour_out ? "\x1b[0m" : "",
                    printable(outcome.name), faint(fmt::format("{:.1f}s", outcome.seconds), output.colour_out)));
  if (!outcome.broken.empty()) print(indented(outcome.broken, "      "));
  for (const Finding& finding : outcome.findings) {
    print(fmt::format("      {}\n", printable(line_of(outcome, finding))));
    if (!finding.log.empty()) print(indented(finding.log, "        | "));
  }
  if (!outcome.kept.empty()) {
    print(
        fmt::format("      kept: chappe show latest --state-dir {0}/state --object-store {0}/objects\n", outcome.kept));
  }
}

Value outcome_json(const TestOutcome& outcome) {
  ValueList findings;
  for (const Finding& finding : outcome.findings) {
    findings.emplace_back(ValueMap{{"line", std::int64_t{finding.place.line}},
                                   {"column", std::int64_t{finding.place.column}},
                                   {"message", finding.message},
                                   {"log", finding.log.empty() ? Value() : Value(finding.log)}});
  }
  return ValueMap{{"file", outcome.file},
                  {"name", outcome.name},
                  {"passed", outcome.passed()},
                  {"seconds", outcome.seconds},
                  {"error", outcome.broken.empty() ? Value() : Value(outcome.broken)},
                  {"findings", std::move(findings)},
                  {"kept", outcome.kept.empty() ? Value() : Value(outcome.kept)}};
}

/// Fit for XML 1.0, in text and in attributes.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t';
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += control ? '?' : c;
    }
  }
  return out;
}

/// As JUnit writes it, which build servers read.
Result<void> write_junit(const std::string& path, const std::vector<TestOutcome>& outcomes) {
  const auto failed = std::ranges::count_if(outcomes, [](const TestOutcome& one) { return !one.passed(); });
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"chappe\" tests=\"{}\" failures=\"{}\">\n",
      outcomes.size(), failed);
  for (const TestOutcome& one : outcomes) {
    text += fmt::format("  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", xml(one.file), xml(one.name),
                        one.seconds);
    std::string told = one.broken;
    for (const Finding& finding : one.findings) {
      told += (told.empty() ? "" : "\n") + line_of(one, finding) + (finding.log.empty() ? "" : "\n" + finding.log);
    }
    text += told.empty() ? "/>\n" : fmt::format("><failure>{}</failure></testcase>\n", xml(told));
  }
  std::ofstream out(path);
  out << text << "</testsuite>\n";
  out.close();
  if (out.fail()) return fail(ErrorCode::kPermissionDenied, fmt::format("cannot write {}", path));
  return {};
}

int tell_all(const Session& session, const TestOptions& options, const std::vector<TestOutcome>& outcomes) {
  const auto failed = std::ranges::count_if(outcomes, [](const TestOutcome& one) { return !one.passed(); });
  if (session.output.json) {
    ValueList told;
    for (const TestOutcome& one : outcomes) told.push_back(outcome_json(one));
    print_json(told);
  } else {
    print(fmt::format("{} test{}: {} passed, {} failed\n", outcomes.size(), outcomes.size() == 1 ? "" : "s",
                      outcomes.size() - static_cast<std::size_t>(failed), failed));
  }
  const auto written = options.junit.empty() ? Result<void>() : write_junit(options.junit, outcomes);
  if (!written) return complain(written.error());
  const int signal = outcomes.empty() ? 0 : outcomes.back().signal;
  if (signal != 0) return kTestSignalled + signal;
  return failed == 0 ? kOk : kRunFailed;
}

}  // namespace

int test_files(const Session& session, const TestOptions& options) {
  const auto names = find_dag_files(options.paths);
  if (!names) return complain(names.error().message, kUsage);
  std::vector<DagFile> files;
  bool right = true;
  for (const std::string& name : *names) {
    auto file = load_dag_file(name);
    if (!file) return complain(file.error().message, kUsage);
    show_diagnostics(file->diagnostics, session.output);
    right = right && file->dag != nullptr;
    files.push_back(*std::move(file));
  }
  if (!right) return complain("nothing was tested", kUsage);
  forget_settings();
  block_interrupts();
  std::vector<TestOutcome> outcomes;
  for (const DagFile& file : files) {
    bool told = session.output.json;
    for (const DagTest& test : file.tests) {
      if (!options.test.empty() && test.name.find(options.test) == std::string::npos) continue;
      if (!std::exchange(told, true)) print(fmt::format("{}\n", bold(file.file, session.output.colour_out)));
      outcomes.push_back(run_test(file, test, options.keep));
      if (!session.output.json) tell(outcomes.back(), session.output);
      if (outcomes.back().signal != 0) return tell_all(session, options, outcomes);
    }
  }
  if (!outcomes.empty()) return tell_all(session, options, outcomes);
  return complain(options.test.empty() ? "there are no 'tests' in what was named"
                                       : fmt::format("no test has '{}' in its name", options.test),
                  kUsage);
}

}  // namespace chappe::cli

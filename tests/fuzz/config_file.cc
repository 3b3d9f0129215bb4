// The configuration file of commands and daemons: whatever it holds, a verdict that is the same twice, mistakes that
// name their place a line each, and settings that a command line takes or refuses with a place.
#include "cli/config_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace chappe::fuzz {

static constexpr std::ptrdiff_t kLinesMax = 20;
static constexpr std::size_t kLineMax = 4096;

/// A command line like ours, in small.
struct CommandLine {
  CommandLine() {
    app.add_option("--object-store", store);
    app.add_option("--token", store);
    app.add_flag("--verbose", flag);
    CLI::App* scheduler = app.add_subcommand("scheduler", "");
    scheduler->add_option("--listen", store);
    scheduler->add_option("--pool", pools)->allow_extra_args(false);
    CLI::App* worker = app.add_subcommand("worker", "");
    worker->add_option("--gpus", number);
    worker->add_flag("--keep-work-dirs", flag);
    app.add_subcommand("standalone", "");
    app.parse(std::vector<std::string>{"scheduler"});
  }

  CLI::App app;
  std::string store;
  std::vector<std::string> pools;
  int number = 0;
  bool flag = false;
};

/// Each line says where, and nothing that a terminal would obey.
static void check_mistakes(const std::string& message, const std::string& path) {
  CHAPPE_ASSERT(std::count(message.begin(), message.end(), '\n') < kLinesMax);
  std::string_view rest = message;
  while (!rest.empty()) {
    const std::string_view line = take_until(rest, '\n');
    CHAPPE_ASSERT(line.starts_with(path + ":") && line.size() < kLineMax);
    CHAPPE_ASSERT(std::none_of(line.begin(), line.end(), [](char c) { return c >= 0 && c < ' ' && c != '\t'; }));
  }
}

static bool same(const std::vector<cli::Setting>& one, const std::vector<cli::Setting>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(), [](const auto& a, const auto& b) {
    return a.section == b.section && a.name == b.name && a.values == b.values && a.place == b.place;
  });
}

FUZZ_TARGET(config_file) {
  const int file = ::memfd_create("chappe.yaml", MFD_CLOEXEC);
  CHAPPE_ASSERT(::write(file, input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  CommandLine line;
  const auto settings = cli::read_config_file(path, line.app);
  const auto again = cli::read_config_file(path, line.app);
  ::close(file);
  CHAPPE_ASSERT(settings.has_value() == again.has_value());
  if (!settings) {
    CHAPPE_ASSERT(settings.error().message == again.error().message);
    return check_mistakes(settings.error().message, path);
  }
  CHAPPE_ASSERT(same(*settings, *again));
  CHAPPE_ASSERT(cli::changed_settings(*settings, *again, "scheduler").empty());
  const auto applied = cli::apply_settings(*settings, line.app);
  if (!applied) return check_mistakes(applied.error().message, path);
  CHAPPE_ASSERT(!cli::effective_settings(*settings, line.app).empty());
}

}  // namespace chappe::fuzz

// Feeds the inputs that are kept to a target: `fuzz_replay TARGET DIRECTORY...`. A file is one input; each line of a
// file named *.lines is one. All are given whole and cut short in many places, so that the corpus goes further than it
// is long. The last line before an abort names the input.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace chappe::fuzz {
namespace {

constexpr std::size_t kCutsMax = 64;  // Of each input.

std::map<std::string, Target>& targets() {
  static std::map<std::string, Target> all;
  return all;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void replay(Target target, const std::string& name, std::string_view input) {
  std::printf("%s\n", name.c_str());
  (void)std::fflush(stdout);  // What is lost when it aborts is a name in a log.
  target(std::string(input));
  const std::size_t step = std::max<std::size_t>(1, input.size() / kCutsMax);
  for (std::size_t size = 0; size < input.size(); size += step) target(std::string(input, 0, size));
}

void replay_file(Target target, const std::filesystem::path& path) {
  const std::string content = read(path);
  if (path.extension() != ".lines") return replay(target, path, content);
  std::string_view rest = content;
  for (int line = 1; !rest.empty(); ++line) {
    replay(target, path.string() + ":" + std::to_string(line), take_until(rest, '\n'));
  }
}

/// False: the directory holds no input, and so proves nothing.
bool replay_directory(Target target, const char* directory) {
  std::vector<std::filesystem::path> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) inputs.push_back(entry.path());
  std::sort(inputs.begin(), inputs.end());
  for (const auto& path : inputs) replay_file(target, path);
  return !inputs.empty();
}

int run(const char* name, std::span<char*> directories) {
  const auto target = targets().find(name);
  if (target == targets().end()) {
    (void)std::fprintf(stderr, "there is no target '%s'\n", name);
    return 2;
  }
  const auto replayed = [&](const char* directory) { return replay_directory(target->second, directory); };
  return std::all_of(directories.begin(), directories.end(), replayed) ? 0 : 1;
}

}  // namespace

bool add_target(const char* name, Target target) { return targets().emplace(name, target).second; }

}  // namespace chappe::fuzz

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (argc > 2) return chappe::fuzz::run(argv[1], arguments.subspan(2));
  (void)std::fprintf(stderr, "usage: %s TARGET DIRECTORY...\n", argv[0]);
  return 2;
}

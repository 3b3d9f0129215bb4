#include "scheduler/app/include_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "dags/loader/yaml_tree.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;

/// A descriptor of its own, or -1 with errno. The kernel finds the way beneath `folder`, so that nothing can be put in
/// its way between a look and the opening.
int open_beneath(int folder, const char* path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // A pipe does not hold it up.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    const long file = syscall(SYS_openat2, folder, path, &how, sizeof how);
    // EAGAIN: something was renamed while the path was resolved; the kernel wants to be asked again.
    if (file >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(file);
  }
}

Result<std::string> read_whole(int file, const std::string& path) {
  struct stat found {};
  if (fstat(file, &found) != 0 || !S_ISREG(found.st_mode)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is no file", path));
  }
  const auto size = static_cast<std::size_t>(std::max<off_t>(found.st_size, 0));
  std::string text(std::min(size, yaml::kTextBytesMax) + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = read(file, text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kInvalidInput, fmt::format("'{}' cannot be read", path));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  return text;
}

Result<std::string> read_beside(const fs::path& folder, const std::string& path) {
  const auto refuse = [&](int number) -> Result<std::string> {
    if (number == EXDEV) {
      return fail(ErrorCode::kInvalidInput, fmt::format("'{}' leads out of the folder of the DAG file", path));
    }
    return fail(ErrorCode::kNotFound, fmt::format("cannot read '{}': {}", path, std::strerror(number)));
  };
  const int top = open(folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) return refuse(errno);
  const int file = open_beneath(top, path.c_str());
  const int number = errno;
  close(top);
  if (file < 0) return refuse(number);
  auto text = read_whole(file, path);
  close(file);
  return text;
}

}  // namespace

ReadInclude include_beside(const fs::path& dag_file) {
  return [folder = dag_file.parent_path()](const std::string& path) { return read_beside(folder, path); };
}

bool is_dag_file(const fs::path& path) {
  const bool yaml = path.extension() == ".yaml" || path.extension() == ".yml";
  return yaml && !path.filename().native().starts_with('_');
}

}  // namespace chappe

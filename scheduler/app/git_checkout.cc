#include "scheduler/app/git_checkout.h"

#include <algorithm>
#include <fstream>
#include <string_view>

namespace chappe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSmallFileMax = 4096;
constexpr std::size_t kPackedRefsMax = std::size_t{64} << 20;
constexpr int kLinksMax = 40;  // As the kernel follows.

/// The beginning of a file, without blanks at its end; "" where there is none.
std::string first_of(const fs::path& file, std::size_t bytes_max = kSmallFileMax) {
  std::ifstream in(file, std::ios::binary);
  std::string text(bytes_max, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

bool is_commit(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// A name as git allows it, for a path beneath the directory.
bool is_reference(std::string_view name) {
  return name.starts_with("refs/") && name.find("..") == std::string_view::npos && name.size() < 1024;
}

std::string packed(const fs::path& directory, const std::string& reference) {
  std::ifstream in(directory / "packed-refs", std::ios::binary);
  std::size_t read = 0;
  for (std::string line; read < kPackedRefsMax && std::getline(in, line); read += line.size() + 1) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.compare(space + 1, std::string::npos, reference) != 0) continue;
    const std::string commit = line.substr(0, space);
    return is_commit(commit) ? commit : "";
  }
  return "";
}

fs::path beneath(const fs::path& folder, const fs::path& path) { return path.is_absolute() ? path : folder / path; }

}  // namespace

std::string GitCheckout::commit() const {
  constexpr std::string_view kReference = "ref: ";
  std::string text = first_of(directory / "HEAD");
  for (int step = 0; step < kLinksMax && text.starts_with(kReference); ++step) {
    const std::string reference = text.substr(kReference.size());
    if (!is_reference(reference)) return "";
    text = first_of(directory / reference);
    if (text.empty()) text = first_of(shared / reference);
    if (text.empty()) text = packed(shared, reference);
  }
  return is_commit(text) ? text : "";
}

bool GitCheckout::is_changing() const {
  std::error_code failed;
  return fs::exists(directory / "index.lock", failed);
}

std::vector<fs::path> GitCheckout::folders() const {
  constexpr std::string_view kReference = "ref: ";
  std::vector<fs::path> out{directory};
  if (shared != directory) out.push_back(shared);
  const std::string head = first_of(directory / "HEAD");
  std::error_code failed;
  if (head.starts_with(kReference) && is_reference(head.substr(kReference.size()))) {
    const fs::path folder = (shared / head.substr(kReference.size())).parent_path();
    if (fs::is_directory(folder, failed)) out.push_back(folder);
  }
  return out;
}

std::optional<GitCheckout> find_git_checkout(const fs::path& folder) {
  std::error_code failed;
  fs::path at = fs::canonical(folder, failed);
  for (; !failed; at = at.parent_path()) {
    const fs::path git = at / ".git";
    fs::path directory;
    if (fs::is_directory(git, failed)) {
      directory = git;
    } else if (fs::is_regular_file(git, failed)) {
      constexpr std::string_view kGitDir = "gitdir: ";
      const std::string text = first_of(git);
      if (!text.starts_with(kGitDir)) return std::nullopt;
      directory = beneath(at, text.substr(kGitDir.size()));
    }
    failed.clear();
    if (!directory.empty()) {
      if (!fs::exists(directory / "HEAD", failed)) return std::nullopt;
      const std::string common = first_of(directory / "commondir");
      return GitCheckout{directory, common.empty() ? directory : beneath(directory, common)};
    }
    if (at == at.root_path()) return std::nullopt;
  }
  return std::nullopt;
}

std::vector<fs::path> folders_of_links(const fs::path& path) {
  std::error_code failed;
  std::vector<fs::path> out;
  fs::path rest = fs::absolute(path, failed).lexically_normal();
  for (int step = 0; step < kLinksMax && !failed; ++step) {
    fs::path at;
    fs::path next;
    for (auto part = rest.begin(); part != rest.end(); ++part) {
      const fs::path here = at / *part;
      if (!fs::is_symlink(here, failed)) {
        at = here;
        continue;
      }
      out.push_back(at);
      next = beneath(at, fs::read_symlink(here, failed));
      for (++part; part != rest.end(); ++part) next /= *part;
      break;
    }
    if (next.empty()) break;
    rest = next.lexically_normal();
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace chappe

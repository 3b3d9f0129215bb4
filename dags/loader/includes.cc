#include "dags/loader/includes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "dags/loader/keys.h"
#include "dags/loader/reader.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::string_view kBundle = "#chappe-bundle 1\n";
constexpr std::string_view kFile = "#chappe-file ";
constexpr std::string_view kMainFile = "-";

/// The files of a bundle; nullopt: it was cut, or made by hand.
std::optional<std::deque<DagSources::File>> unbundled(std::string_view text) {
  std::deque<DagSources::File> files;
  text.remove_prefix(kBundle.size());
  while (!text.empty()) {
    if (!text.starts_with(kFile) || files.size() > kIncludesMax) return std::nullopt;
    const std::string_view head = text.substr(0, text.find('\n'));
    if (head.size() == text.size()) return std::nullopt;
    std::size_t bytes = 0;
    const char* const end = head.data() + head.size();
    const auto [after, wrong] = std::from_chars(head.data() + kFile.size(), end, bytes);
    text.remove_prefix(head.size() + 1);
    if (wrong != std::errc() || after == end || *after != ' ' || bytes >= text.size()) return std::nullopt;
    const std::string_view path(after + 1, end);
    files.push_back({path == kMainFile ? "" : std::string(path), "", std::string(text.substr(0, bytes))});
    text.remove_prefix(bytes + 1);
  }
  if (files.empty() || !files.front().path.empty()) return std::nullopt;
  return files;
}

/// A file as people find it from where they are.
std::string name_beside(std::string_view file, std::string_view path) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string_view::npos ? std::string(path) : fmt::format("{}/{}", file.substr(0, slash), path);
}

class Includer {
 public:
  Includer(Complaints& complaints, const ReadInclude& read, DagSources& out)
      : complaints_(complaints), reader_(complaints), read_(read), out_(out) {}

  void run(std::string_view text, std::string_view file) {
    if (text.starts_with(kBundle)) {
      auto bundled = unbundled(text);
      if (!bundled) {
        complaints_.error(yaml::Place{}, "this is not a whole bundle of DAG files, as the chappe command sends them");
        return;
      }
      bundled_ = std::move(*bundled);
      is_bundle_ = true;
    } else {
      bundled_.push_back({"", "", std::string(text)});
    }
    out_.root = parsed({"", std::string(file), std::move(bundled_.front().text)}, nullptr);
    if (out_.root != nullptr && out_.root->is_map()) out_.root = &with_includes(*out_.root);
  }

 private:
  /// The root of a file; nullptr after a complaint, or where it holds nothing.
  const Node* parsed(DagSources::File file, const Node* asked_at) {
    bytes_ += file.text.size();
    if (asked_at != nullptr && bytes_ > yaml::kTextBytesMax) {
      complaints_.error(*asked_at, fmt::format("the files of one DAG have more than {} bytes", yaml::kTextBytesMax));
      return nullptr;
    }
    const auto number = static_cast<std::uint16_t>(out_.files.size());
    const DagSources::File& kept = out_.files.emplace_back(std::move(file));
    number > 0 ? complaints_.add_file(kept.text, kept.name) : complaints_.set_text(kept.text);
    yaml::Tree& tree = out_.trees.emplace_back(yaml::parse(kept.text));
    if (number > 0) tree.belong_to(number);
    for (yaml::Problem& problem : tree.problems) complaints_.error(problem.place, std::move(problem.message));
    nodes_ += tree.size();
    if (nodes_ <= yaml::kNodesMax) return tree.root;
    if (asked_at != nullptr) {
      complaints_.error(*asked_at, fmt::format("the files of one DAG have more than {} values", yaml::kNodesMax));
    }
    return nullptr;
  }

  /// The file with what it includes, and without `include`.
  const Node& with_includes(const Node& root) {
    const Node* include = root.find("include");
    if (include == nullptr) return root;
    const Node* base = nullptr;
    const auto take = [&](const Node& path) {
      const Node* one = included(path);
      if (one != nullptr) base = base == nullptr ? one : &joined(*one, *base, true);
    };
    if (include->is_list()) {
      for (const Node* path : include->children) take(*path);
    } else {
      take(*include);
    }
    Node own;
    own.kind = Node::Kind::kMap;
    own.place = root.place;
    for (std::size_t i = 0; i < root.members(); ++i) {
      if (root.key(i).text != "include") own.children.insert(own.children.end(), {&root.key(i), &root.value(i)});
    }
    const Node& rest = make(std::move(own));
    return base == nullptr ? rest : joined(rest, *base, true);
  }

  /// What one `include` names; nullptr after a complaint, or where it was included before.
  const Node* included(const Node& node) {
    const auto path = reader_.path(node, "include", "the folder of the DAG file");
    if (!path) return nullptr;
    if (std::find(out_.included.begin(), out_.included.end(), *path) == out_.included.end()) {
      out_.included.push_back(*path);
    }
    if (const auto open = std::find(open_.begin(), open_.end(), *path); open != open_.end()) {
      std::string circle;
      for (auto at = open; at != open_.end(); ++at) circle += *at + " -> ";
      complaints_.error(node, fmt::format("files include each other in a circle: {}{}", circle, *path));
      return nullptr;
    }
    const auto known =
        std::find_if(out_.files.begin(), out_.files.end(), [&](const auto& file) { return file.path == *path; });
    if (known != out_.files.end()) return nullptr;
    if (open_.size() >= kIncludeDepthMax || out_.files.size() > kIncludesMax) {
      complaints_.error(node, open_.size() >= kIncludeDepthMax
                                  ? fmt::format("files include each other more than {} deep", kIncludeDepthMax)
                                  : fmt::format("a DAG includes at most {} files", kIncludesMax));
      return nullptr;
    }
    auto text = text_of(*path);
    if (!text) {
      complaints_.error(node, std::move(text.error().message));
      return nullptr;
    }
    return part(node, *path, std::move(*text));
  }

  const Node* part(const Node& node, const std::string& path, std::string text) {
    const Node* root = parsed({path, name_beside(out_.files.front().name, path), std::move(text)}, &node);
    if (root == nullptr || root->is_null() || !reader_.check_keys(*root, keys::kIncluded)) return nullptr;
    open_.push_back(path);
    const Node& whole = with_includes(*root);
    open_.pop_back();
    return &whole;
  }

  Result<std::string> text_of(const std::string& path) {
    if (!is_bundle_ && read_) return read_(path);
    for (DagSources::File& file : bundled_) {
      if (file.path == path) return file.text;
    }
    return fail(ErrorCode::kNotFound, fmt::format("'{}' did not come with this file: the chappe command sends what a "
                                                  "DAG file includes along with it",
                                                  path));
  }

  const Node& make(Node node) { return out_.trees.front().make(std::move(node)); }

  /// `top`: both are files, whose lists of tasks belong together.
  const Node& joined(const Node& over, const Node& base, bool top) {
    Node out;
    out.kind = Node::Kind::kMap;
    out.place = over.place;
    for (std::size_t i = 0; i < over.members(); ++i) {
      const Node* below = base.find(over.key(i).text);
      const Node* value = below == nullptr ? &over.value(i) : &both(over.key(i).text, over.value(i), *below, top);
      out.children.insert(out.children.end(), {&over.key(i), value});
    }
    for (std::size_t i = 0; i < base.members(); ++i) {
      if (over.find(base.key(i).text) != nullptr) continue;
      out.children.insert(out.children.end(), {&base.key(i), &base.value(i)});
    }
    return make(std::move(out));
  }

  const Node& both(const std::string& key, const Node& over, const Node& base, bool top) {
    if (over.is_map() && base.is_map()) return joined(over, base, false);
    if (!top || (key != "tasks" && key != "notify")) return over;
    if (over.is_list() && base.is_list()) {
      Node list = base;
      list.children.insert(list.children.end(), over.children.begin(), over.children.end());
      return make(std::move(list));
    }
    if (!over.is_scalar() && !base.is_scalar()) {
      complaints_.error(
          over, fmt::format("'{}' is a {} here and a {} in {}: write both alike", key, over.is_map() ? "map" : "list",
                            base.is_map() ? "map" : "list", complaints_.told(base.place, over.place)));
    }
    return over;
  }

  Complaints& complaints_;
  Reader reader_;
  const ReadInclude& read_;
  DagSources& out_;
  bool is_bundle_ = false;
  std::deque<DagSources::File> bundled_;
  std::vector<std::string> open_;  ///< Files that are being read, each one included by the one before.
  std::size_t bytes_ = 0;
  std::size_t nodes_ = 0;
};

}  // namespace

std::string DagSources::bundle() const {
  if (files.size() == 1) return files.front().text;
  std::string out(kBundle);
  for (const File& file : files) {
    out += fmt::format("{}{} {}\n{}\n", kFile, file.text.size(), file.path.empty() ? kMainFile : file.path, file.text);
  }
  return out;
}

DagSources read_sources(Complaints& complaints, std::string_view text, std::string_view file, const ReadInclude& read) {
  DagSources out;
  Includer(complaints, read, out).run(text, file);
  return out;
}

}  // namespace chappe

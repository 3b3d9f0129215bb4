#include "dags/loader/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <optional>
#include <streambuf>
#include <unordered_map>
#include <unordered_set>

#include "engine/base/text.h"

namespace chappe::yaml {
namespace {

/// Ends the parse from within a callback; never leaves this file.
struct Refusal {
  Problem problem;
};

Place place_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::uint32_t>(mark.line) + 1, static_cast<std::uint32_t>(mark.column) + 1};
}

/// Takes yaml-cpp's events and builds the tree, with every bound checked before memory is taken.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(Tree& tree) : tree_(tree) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { scalar(mark, anchor, true, ""); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!text) check_tag(mark, tag);
    scalar(mark, anchor, !text, value);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refusal{{place_of(mark), "an alias may not stand inside of what it names"}};
    alias_nodes_ += found->second->size;
    if (alias_nodes_ > kAliasNodesMax) {
      throw Refusal{{place_of(mark), fmt::format("aliases stand for more than {} values", kAliasNodesMax)}};
    }
    attach(*found->second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (tag != "!" && tag != "tag:yaml.org,2002:seq") check_tag(mark, tag);
    open(Node::Kind::kList, mark, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (tag != "!" && tag != "tag:yaml.org,2002:map") check_tag(mark, tag);
    open(Node::Kind::kMap, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override {
    check_keys(*open_.back().node);
    close();
  }

 private:
  struct Open {
    Node* node;
    YAML::anchor_t anchor;
  };

  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?") return;
    throw Refusal{{place_of(mark),
                   fmt::format("the tag '{}' means nothing here; quote a value to make it a text", tag.substr(0, 40))}};
  }

  Node& make(Node::Kind kind, const YAML::Mark& mark) {
    if (tree_.size() >= kNodesMax) throw Refusal{{place_of(mark), fmt::format("more than {} values", kNodesMax)}};
    Node& node = tree_.make({});
    node.kind = kind;
    node.place = place_of(mark);
    return node;
  }

  void scalar(const YAML::Mark& mark, YAML::anchor_t anchor, bool plain, const std::string& text) {
    if (text.size() > kScalarBytesMax) {
      throw Refusal{{place_of(mark), fmt::format("a text of more than {} bytes", kScalarBytesMax)}};
    }
    Node& node = make(Node::Kind::kScalar, mark);
    node.plain = plain;
    node.text = text;
    if (anchor != 0) anchors_[anchor] = &node;
    attach(node);
  }

  void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kDepthMax) {
      throw Refusal{{place_of(mark), fmt::format("nested deeper than {} levels", kDepthMax)}};
    }
    open_.push_back({&make(kind, mark), anchor});
  }

  void close() {
    const Open done = open_.back();
    open_.pop_back();
    // Known only from here on: an alias inside would make a circle.
    if (done.anchor != 0) anchors_[done.anchor] = done.node;
    attach(*done.node);
  }

  void attach(const Node& node) {
    if (open_.empty()) {
      tree_.root = &node;
      return;
    }
    Node& parent = *open_.back().node;
    if (parent.is_map() && parent.children.size() % 2 == 0 && !node.is_scalar()) {
      throw Refusal{{node.place, "a key must be a plain word; quote a value that begins with '{' or '['"}};
    }
    parent.children.push_back(&node);
    // Alias by alias the size could double; the budget of aliases keeps it small.
    parent.size += node.size;
  }

  void check_keys(const Node& map) {
    std::unordered_map<std::string_view, const Node*> seen;
    for (std::size_t i = 0; i < map.members(); ++i) {
      const Node& key = map.key(i);
      if (key.plain && key.text == "<<") {
        tree_.problems.push_back({key.place, "merge keys ('<<') are not part of YAML 1.2; see 'defaults'"});
      }
      const auto [first, fresh] = seen.emplace(key.text, &key);
      if (fresh) continue;
      tree_.problems.push_back({key.place, fmt::format("the key '{}' stands here twice; the first is in line {}",
                                                       key.text.substr(0, 100), first->second->place.line)});
    }
  }

  Tree& tree_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, const Node*> anchors_;
  std::size_t alias_nodes_ = 0;
};

/// Sees whether anything follows the document, and stops at its first event.
class NothingMore : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { refuse(mark); }
  void OnDocumentEnd() override { refuse(YAML::Mark::null_mark()); }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override {
    refuse(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    refuse(mark);
  }
  void OnSequenceEnd() override { refuse(YAML::Mark::null_mark()); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    refuse(mark);
  }
  void OnMapEnd() override { refuse(YAML::Mark::null_mark()); }

 private:
  [[noreturn]] static void refuse(const YAML::Mark& mark) {
    throw Refusal{{place_of(mark), "something follows the end of the document; a file holds one DAG"}};
  }
};

/// Reads a text in place: std::istringstream would copy it.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* start = const_cast<char*>(text.data());  // Only ever read.
    setg(start, start, start + text.size());
  }
};

std::string_view line_of(std::string_view text, std::uint32_t line) {
  std::size_t start = 0;
  for (std::uint32_t i = 1; i < line && start != std::string_view::npos; ++i) {
    const std::size_t end = text.find('\n', start);
    start = end == std::string_view::npos ? end : end + 1;
  }
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find('\n', start) - start);
}

/// What most often stands behind one of yaml-cpp's terse messages.
std::string_view remedy(const std::string& message, std::string_view line) {
  if (message == YAML::ErrorMsg::TAB_IN_INDENTATION || line.find('\t') != std::string_view::npos) {
    return "; indent with spaces, not with tabs";
  }
  if (line.find("${{") != std::string_view::npos) return "; quote values that hold '${{ }}'";
  if (message == YAML::ErrorMsg::MAP_VALUE) return "; quote values that hold ': ', or write them as a block with '|'";
  if (message == YAML::ErrorMsg::UNKNOWN_ANCHOR) return "";
  return "; look at the indentation and quotes of this line and the one above";
}

/// yaml-cpp guesses other encodings and passes bad bytes on; JSON and protobuf refuse them later.
std::optional<Problem> bad_character(std::string_view text) {
  Place place{1, 1};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_length(text.substr(at));
    if (length == 0) return Problem{place, "this is not UTF-8"};
    if (text[at] == '\0') return Problem{place, "a NUL byte may not stand in a DAG file"};
    place = text[at] == '\n' ? Place{place.line + 1, 1}
                             : Place{place.line, place.column + static_cast<std::uint32_t>(length)};
    at += length;
  }
  return std::nullopt;
}

void build(std::string_view text, Tree& tree) {
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  YAML::Parser parser(stream);
  Builder builder(tree);
  if (!parser.HandleNextDocument(builder)) return;
  // Once more, and never in a loop: yaml-cpp 0.7 makes documents without end out of a stray ','.
  NothingMore nothing;
  if (parser.HandleNextDocument(nothing)) {
    throw Refusal{{{}, "something follows the end of the document; a file holds one DAG"}};
  }
}

}  // namespace

bool Node::is_null() const {
  return is_scalar() && plain && (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL");
}

void Tree::belong_to(std::uint16_t file) {
  for (Node& node : nodes_) node.place.file = file;
  for (Problem& problem : problems) problem.place.file = file;
}

const Node* Node::find(std::string_view name) const {
  if (!is_map()) return nullptr;
  for (std::size_t i = 0; i < members(); ++i) {
    if (key(i).text == name) return &value(i);
  }
  return nullptr;
}

Tree parse(std::string_view text) {
  Tree tree;
  if (text.size() > kTextBytesMax) {
    tree.problems.push_back({{}, fmt::format("the file has more than {} bytes", kTextBytesMax)});
    return tree;
  }
  if (auto bad = bad_character(text)) {
    tree.problems.push_back(std::move(*bad));
    return tree;
  }
  try {
    build(text, tree);
  } catch (const Refusal& refusal) {
    tree.root = nullptr;
    tree.problems.push_back(refusal.problem);
  } catch (const YAML::Exception& error) {
    const Place place = place_of(error.mark);
    tree.root = nullptr;
    tree.problems.push_back(
        {place, fmt::format("not YAML: {}{}", error.msg, remedy(error.msg, line_of(text, place.line)))});
  }
  return tree;
}

}  // namespace chappe::yaml

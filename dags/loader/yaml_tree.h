/// \file
/// YAML text as a small tree whose nodes know their place. The one place that includes yaml-cpp.
///
/// One document, YAML 1.2 core schema. Aliases share the node of their anchor, so the tree is a graph without cycles;
/// what walking it costs is bounded by kAliasNodesMax. Source of the bounds: what yaml-cpp 0.7 does with hostile input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace chappe::yaml {

inline constexpr std::size_t kTextBytesMax = std::size_t{8} << 20;
inline constexpr std::size_t kDepthMax = 64;
inline constexpr std::size_t kNodesMax = 2'000'000;
inline constexpr std::size_t kScalarBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kAliasNodesMax = 100'000;  ///< Nodes that aliases stand for, all together.

/// Counted from 1; columns in bytes. Line 0: the file as a whole.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint16_t file = 0;  ///< Of a DAG of several files; 0: the DAG file itself.
};

struct Node {
  enum class Kind : std::uint8_t { kScalar, kList, kMap };
  Kind kind = Kind::kScalar;
  bool plain = false;  ///< A scalar without quotes: it may be a number, true, false or null.
  Place place;
  std::uint32_t size = 1;             ///< Nodes beneath and this one, aliases followed.
  std::string text;                   ///< Of a scalar.
  std::vector<const Node*> children;  ///< Elements; of a map key, value, key, value, ... Keys are scalars, and unique.

  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
  bool is_null() const;  ///< Nothing, `~` or `null`.
  std::size_t members() const { return children.size() / 2; }
  const Node& key(std::size_t i) const { return *children[2 * i]; }
  const Node& value(std::size_t i) const { return *children[2 * i + 1]; }
  /// The member of a map; nullptr where there is none. Cost: O(members).
  const Node* find(std::string_view name) const;
};

struct Problem {
  Place place;
  std::string message;
};

/// Owns the nodes.
class Tree {
 public:
  const Node* root = nullptr;     ///< nullptr: an empty document, or not YAML.
  std::vector<Problem> problems;  ///< Not empty: the text must be refused.

  Node& make(Node node) { return nodes_.emplace_back(std::move(node)); }
  std::size_t size() const { return nodes_.size(); }
  /// All places in it are in this file.
  void belong_to(std::uint16_t file);

 private:
  std::deque<Node> nodes_;
};

/// Never throws. Cost: linear in the text.
Tree parse(std::string_view text);

}  // namespace chappe::yaml

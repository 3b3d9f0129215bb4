#include "dags/argo/yaml_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "dags/loader/scalar.h"

namespace chappe::argo {
namespace {

constexpr std::size_t kWidth = 120;

/// What is left of a line.
std::size_t room_behind(std::size_t column) { return column < kWidth ? kWidth - column : 1; }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Nothing in it means something to YAML, and it reads back as a text.
bool is_plain(std::string_view text, bool flow) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  if (!std::isalnum(static_cast<unsigned char>(text.front())) && text.front() != '_' && text.front() != '/' &&
      text.front() != '.') {
    return false;
  }
  if (std::any_of(text.begin(), text.end(), is_control)) return false;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos) return false;
  if (text.starts_with("...") || text.find("${{") != std::string_view::npos) return false;
  if (flow && text.find_first_of(",[]{}:#&*!|>'\"%@`?") != std::string_view::npos) return false;
  yaml::Node node;
  node.plain = true;
  node.text = text;
  const auto read = yaml::scalar_value(node);
  return read.problem.empty() && read.value.as_string() != nullptr;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_control(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// Reads back the same as a literal block, without an indicator of its indentation.
bool fits_literal(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text.front() == '\n') return false;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start);
    if (start == 0 && line.front() == ' ') return false;
    if (!line.empty() && (line.front() == '\t' || line.find_first_not_of(' ') == std::string_view::npos)) return false;
    if (std::any_of(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; })) return false;
    start = end + 1;
  }
  return true;
}

void write_literal(std::string& out, std::string_view text, std::size_t indent) {
  const bool ends = text.ends_with('\n');
  out += !ends ? "|-\n" : text.ends_with("\n\n") ? "|+\n" : "|\n";
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    if (end > start) out += std::string(indent, ' ') + std::string(text.substr(start, end - start));
    out += '\n';
    start = end + 1;
  }
}

}  // namespace

std::string yaml_scalar(std::string_view text, bool flow) {
  return is_plain(text, flow) ? std::string(text) : quoted(text);
}

Yaml Yaml::text(std::string text) {
  Yaml out;
  out.kind_ = Kind::kText;
  out.text_ = std::move(text);
  return out;
}

Yaml Yaml::raw(std::string text) {
  Yaml out;
  out.kind_ = Kind::kRaw;
  out.text_ = std::move(text);
  return out;
}

Yaml Yaml::number_or_text(std::string_view text) {
  yaml::Node node;
  node.plain = true;
  node.text = text;
  const auto read = yaml::scalar_value(node);
  return read.problem.empty() && read.value.is_number() ? raw(std::string(text)) : Yaml::text(std::string(text));
}

Yaml Yaml::list() {
  Yaml out;
  out.kind_ = Kind::kList;
  return out;
}

Yaml Yaml::map() { return Yaml(); }

Yaml& Yaml::set(std::string key, Yaml value) {
  members_.emplace_back(std::move(key), std::move(value));
  return *this;
}

Yaml& Yaml::add(Yaml value) { return set("", std::move(value)); }

Yaml& Yaml::comment(std::string line) {
  // A comment ends with its line.
  std::replace_if(line.begin(), line.end(), is_control, ' ');
  if (std::find(comments_.begin(), comments_.end(), line) == comments_.end()) comments_.push_back(std::move(line));
  return *this;
}

Yaml& Yaml::block() {
  block_ = true;
  return *this;
}

bool Yaml::has(std::string_view key) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& member) { return member.first == key; });
}

std::string Yaml::flow(bool nested) const {
  if (kind_ == Kind::kRaw) return text_;
  if (kind_ == Kind::kText) return yaml_scalar(text_, nested);
  std::string out(1, kind_ == Kind::kList ? '[' : '{');
  for (const auto& [key, value] : members_) {
    if (out.size() > 1) out += ", ";
    if (kind_ == Kind::kMap) out += yaml_scalar(key, true) + ": ";
    out += value.flow(true);
  }
  return out + (kind_ == Kind::kList ? ']' : '}');
}

/// In one line, with nothing that needs lines of its own.
bool Yaml::fits(std::size_t room) const {
  if (block_ || !comments_.empty()) return false;
  if (kind_ == Kind::kText && fits_literal(text_)) return false;
  const auto fit = [&](const auto& member) { return member.second.fits(room); };
  return std::all_of(members_.begin(), members_.end(), fit) && (members_.empty() || flow(false).size() <= room);
}

void Yaml::write_value(std::string& out, std::size_t indent, std::size_t column) const {
  if (kind_ == Kind::kText && fits_literal(text_)) return write_literal(out, text_, indent);
  if (members_.empty() || fits(room_behind(column))) {
    out += flow(false) + '\n';
  } else {
    out += '\n';
    write_members(out, indent);
  }
}

void Yaml::write_members(std::string& out, std::size_t indent) const {
  const std::string margin(indent, ' ');
  for (const auto& [key, value] : members_) {
    for (const std::string& line : value.comments_) out += margin + "# " + line + '\n';
    if (kind_ == Kind::kMap) {
      const std::string name = yaml_scalar(key, true) + ":";
      out += margin + name;
      const bool down = !value.members_.empty() && !value.fits(room_behind(indent + name.size() + 1));
      if (!down) out += ' ';
      value.write_value(out, indent + 2, indent + name.size() + 1);
    } else if (value.kind_ == Kind::kMap && !value.members_.empty() && !value.fits(room_behind(indent + 2))) {
      std::string inner;
      value.write_members(inner, indent + 2);
      // The first member stands behind the dash, unless a comment comes before it.
      const bool commented = inner.compare(indent + 2, 1, "#") == 0;
      out += commented ? margin + "-\n" + inner : margin + "- " + inner.substr(indent + 2);
    } else {
      out += margin + "- ";
      value.write_value(out, indent + 2, indent + 2);
    }
  }
}

std::string Yaml::write() const {
  std::string out;
  for (const std::string& line : comments_) out += "# " + line + '\n';
  if (members_.empty()) return out + flow(false) + '\n';
  write_members(out, 0);
  return out;
}

}  // namespace chappe::argo

// Variables in shell scripts. Argo writes values into the text of a script, where a quote in a value is a quote of the
// script; a variable stays one value, if it stands between the right quotes.
#include <string>
#include <vector>

#include "dags/argo/workflow.h"

namespace chappe::argo {
namespace {

/// Knows where in a script it is. Not a parser of shells: what it takes for a quote is one in all but contrived
/// scripts.
class ShellPlace {
 public:
  enum class In : unsigned char { kCode, kDouble, kSingle, kComment, kArithmetic, kHere, kQuotedHere };

  In where() const { return stack_.back().in; }

  void read(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) at += step(text, at);
  }

 private:
  struct Level {
    In in;
    std::size_t parentheses = 0;
  };

  std::size_t step(std::string_view text, std::size_t at) {
    const char c = text[at];
    const std::string_view rest = text.substr(at);
    switch (where()) {
      case In::kComment:
        if (c == '\n') stack_.pop_back();
        return where() == In::kCode && c == '\n' ? end_line(rest) : 1;
      case In::kSingle:
        if (c == '\'') stack_.pop_back();
        return 1;
      case In::kHere:
      case In::kQuotedHere:
        return here(rest);
      case In::kDouble:
        if (c == '\\') return 2;
        if (c == '"') {
          stack_.pop_back();
          return 1;
        }
        return substitution(rest);
      case In::kArithmetic:
      case In::kCode:
        return code(text, at);
    }
    return 1;
  }

  std::size_t substitution(std::string_view rest) {
    if (rest.starts_with("$((")) return push(In::kArithmetic, 3);
    if (rest.starts_with("$(")) return push(In::kCode, 2);
    return 1;
  }

  std::size_t push(In in, std::size_t length) {
    constexpr std::size_t kLevelsMax = 200;
    if (stack_.size() < kLevelsMax) stack_.push_back({in, 0});
    return length;
  }

  std::size_t code(std::string_view text, std::size_t at) {
    const char c = text[at];
    const std::string_view rest = text.substr(at);
    if (c == '\\') return 2;
    if (c == '\'' && where() == In::kCode) return push(In::kSingle, 1);
    if (c == '"') return push(In::kDouble, 1);
    const bool begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '\n' || text[at - 1] == ';';
    if (c == '#' && begins && where() == In::kCode) return push(In::kComment, 1);
    if (rest.starts_with("<<") && !rest.starts_with("<<<") && where() == In::kCode) return note_here(rest);
    if (c == '\n') return end_line(rest);
    if (c == '(') ++stack_.back().parentheses;
    if (c == ')') {
      if (stack_.back().parentheses > 0) {
        --stack_.back().parentheses;
      } else if (stack_.size() > 1) {
        const bool arithmetic = where() == In::kArithmetic;
        stack_.pop_back();
        return arithmetic && rest.starts_with("))") ? 2 : 1;
      }
    }
    return c == '$' ? substitution(rest) : 1;
  }

  std::size_t note_here(std::string_view rest) {
    std::size_t at = 2;
    if (at < rest.size() && rest[at] == '-') ++at;
    while (at < rest.size() && rest[at] == ' ') ++at;
    const char mark = at < rest.size() ? rest[at] : ' ';
    here_quoted_ = mark == '\'' || mark == '"' || mark == '\\';
    if (here_quoted_) ++at;
    const std::size_t start = at;
    while (at < rest.size() && (std::isalnum(static_cast<unsigned char>(rest[at])) != 0 || rest[at] == '_')) ++at;
    here_end_ = rest.substr(start, at - start);
    if (here_quoted_ && at < rest.size() && rest[at] == mark) ++at;
    return at;
  }

  std::size_t end_line(std::string_view) {
    if (here_end_.empty()) return 1;
    stack_.push_back({here_quoted_ ? In::kQuotedHere : In::kHere, 0});
    return 1;
  }

  /// Line by line, to the one that is its end.
  std::size_t here(std::string_view rest) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    while (line.starts_with('\t')) line.remove_prefix(1);
    if (line == here_end_ && end < rest.size()) {
      stack_.pop_back();
      here_end_.clear();
    }
    return end < rest.size() ? end + 1 : rest.size();
  }

  std::vector<Level> stack_ = {{In::kCode, 0}};
  std::string here_end_;
  bool here_quoted_ = false;
};

}  // namespace

ShellScript place_in_shell(const std::vector<std::string>& parts) {
  using In = ShellPlace::In;
  ShellScript out;
  ShellPlace place;
  bool closed = false;  // The quote that comes next is there already.
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i % 2 == 0) {
      place.read(parts[i]);
      out.text += parts[i].substr(closed ? 1 : 0);
      closed = false;
      continue;
    }
    switch (place.where()) {
      case In::kCode:
        out.text += "\"$" + parts[i] + "\"";
        out.split = true;
        break;
      case In::kSingle:
        // Where it is all that stands between the quotes, they go.
        closed = parts[i - 1].ends_with('\'') && out.text.ends_with('\'') && parts[i + 1].starts_with('\'');
        if (closed) out.text.pop_back();
        out.text += closed ? "\"$" + parts[i] + "\"" : "'\"$" + parts[i] + "\"'";
        break;
      case In::kQuotedHere:
        out.literal = true;
        [[fallthrough]];
      case In::kDouble:
      case In::kComment:
      case In::kArithmetic:
      case In::kHere:
        out.text += "${" + parts[i] + "}";
        break;
    }
  }
  return out;
}

}  // namespace chappe::argo

// Conditions and `{{=...}}`: what Argo hands to two expression languages, in Chappe's one.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "dags/argo/workflow.h"
#include "dags/loader/scalar.h"
#include "engine/expr/expression.h"

namespace chappe::argo {

using yaml::Node;

namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool is_number(std::string_view text) {
  Node bare;
  bare.plain = true;
  bare.text = text;
  return yaml::scalar_value(bare).value.is_number();
}

/// With `x` for what is known only later, it is an expression.
bool parses(const std::string& text) {
  std::string plain;
  bool inside = false;
  for (const char c : text) {
    if (c == '\x01') plain += 'x';
    inside = c == '\x01' || (inside && c != '\x02');
    if (!inside && c != '\x02') plain += c;
  }
  return expr::Expression::parse(plain).has_value();
}

}  // namespace

std::string Importer::as_expression(const Text& text) const {
  if (text.empty()) return "''";
  std::string out;
  for (const Piece& piece : text) {
    if (text.size() == 1 && piece.kind == Piece::Kind::kExpression) return piece.text;
    std::string part = piece.kind != Piece::Kind::kExpression ? quote(piece.text)
                       : piece.is_text                        ? piece.text
                                                              : fmt::format("string({})", piece.text);
    out += (out.empty() ? "" : " + ") + part;
  }
  return text.size() == 1 ? out : "(" + out + ")";
}

/// `{{a}} == b && ({{c}} > 5 || !d)`: Argo puts the values in as text, then compares words and numbers.
class WhenReader {
 public:
  WhenReader(Importer& importer, std::string_view text, const Node& at, const Importer::Site& site)
      : importer_(importer), text_(text), at_(at), site_(site) {}

  std::optional<std::string> read() {
    std::string out = either(0);
    skip_space();
    if (failed_ || position_ < text_.size() || !parses(out)) return std::nullopt;
    return out;
  }

 private:
  struct Operand {
    Text text;
    bool quoted = false;
    bool is_condition = false;  ///< `condition` is one already.
    std::string condition;
  };

  void skip_space() {
    while (position_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[position_])) != 0) ++position_;
  }
  bool take(std::string_view word) {
    skip_space();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }
  std::string fail() {
    failed_ = true;
    return "false";
  }

  std::string either(std::size_t depth) {
    std::string out = both(depth);
    while (!failed_ && take("||")) out += " || " + both(depth);
    return out;
  }
  std::string both(std::size_t depth) {
    std::string out = comparison(depth);
    while (!failed_ && take("&&")) out += " && " + comparison(depth);
    return out;
  }

  std::string comparison(std::size_t depth) {
    const Operand left = operand(depth);
    if (failed_) return "false";
    for (const std::string_view sign : {"==", "!=", "<=", ">=", "<", ">"}) {
      skip_space();
      if (text_.substr(position_).starts_with("=~")) return fail();
      if (!take(sign)) continue;
      const Operand right = operand(depth);
      if (failed_ || left.is_condition || right.is_condition) return fail();
      return sign == "==" || sign == "!=" ? equal(left, right, sign) : order(left, right, sign);
    }
    if (left.is_condition) return left.condition;
    if (Importer::is_literal(left.text)) {
      const std::string word = Importer::literal_of(left.text);
      return word == "true" || word == "false" ? word : fail();
    }
    return fmt::format("{} == 'true'", as_text(left));
  }

  Operand operand(std::size_t depth) {
    Operand out;
    if (depth > kConditionDepthMax) {
      failed_ = true;
      return out;
    }
    skip_space();
    if (text_.substr(position_).starts_with("!") && !text_.substr(position_).starts_with("!=")) {
      ++position_;
      const Operand inner = operand(depth + 1);
      out.is_condition = true;
      out.condition = fmt::format("!({})", inner.is_condition ? inner.condition : truth(inner));
      return out;
    }
    if (take("(")) {
      out.is_condition = true;
      out.condition = "(" + either(depth + 1) + ")";
      if (!take(")")) failed_ = true;
      return out;
    }
    return words();
  }

  std::string truth(const Operand& operand) {
    if (!Importer::is_literal(operand.text)) return fmt::format("{} == 'true'", as_text(operand));
    const std::string word = Importer::literal_of(operand.text);
    return word == "true" || word == "false" ? word : fail();
  }

  /// Words and tags that stand side by side, or one text in quotes.
  Operand words() {
    Operand out;
    std::string raw;
    const char mark = position_ < text_.size() ? text_[position_] : ' ';
    if (mark == '\'' || mark == '"') {
      const std::size_t end = text_.find(mark, position_ + 1);
      if (end == std::string_view::npos) {
        failed_ = true;
        return out;
      }
      raw = text_.substr(position_ + 1, end - position_ - 1);
      position_ = end + 1;
      out.quoted = true;
    }
    while (!out.quoted && position_ < text_.size()) {
      const std::string_view rest = text_.substr(position_);
      const std::size_t end = rest.starts_with("{{") ? rest.find("}}") : std::string_view::npos;
      const bool is_tag = end != std::string_view::npos;
      if (!is_tag && !is_word(rest[0]) && rest[0] != '-' && rest[0] != '.' && rest[0] != ':') break;
      const std::size_t length = is_tag ? end + 2 : 1;
      raw += rest.substr(0, length);
      position_ += length;
    }
    if (raw.empty() && !out.quoted) failed_ = true;
    out.text = importer_.resolve_text(raw, at_, site_);
    for (const Piece& piece : out.text) failed_ |= piece.kind == Piece::Kind::kUnknown;
    return out;
  }

  std::string as_text(const Operand& operand) const {
    const bool typed =
        operand.text.size() == 1 && operand.text[0].kind == Piece::Kind::kExpression && !operand.text[0].is_text;
    const std::string out = importer_.as_expression(operand.text);
    return typed ? fmt::format("string({})", out) : out;
  }

  std::string equal(const Operand& left, const Operand& right, std::string_view sign) const {
    // Of a status that is put into Argo's words first, the whole way round.
    const std::string status = as_text(left);
    const std::string_view head = " == 'success' ? 'Succeeded'";
    const std::size_t end = status.find(head);
    const std::string word = Importer::is_literal(right.text) ? Importer::literal_of(right.text) : "";
    if (status.starts_with('(') && end != std::string::npos && status.find('\'') > end) {
      const std::string bare = status.substr(1, end - 1);
      if (word == "Succeeded") return fmt::format("{} {} 'success'", bare, sign);
      if (word == "Skipped" && bare != "run.status") return fmt::format("{} {} 'skipped'", bare, sign);
      if (word == "Failed" && bare == "run.status") {
        return fmt::format("{} {} 'success'", bare, sign == "==" ? "!=" : "==");
      }
    }
    return fmt::format("{} {} {}", as_text(left), sign, as_text(right));
  }

  std::string order(const Operand& left, const Operand& right, std::string_view sign) const {
    const auto is_numeric = [](const Operand& operand) {
      return !operand.quoted && Importer::is_literal(operand.text) && is_number(Importer::literal_of(operand.text));
    };
    const bool words = (left.quoted && !is_numeric(right)) || (right.quoted && !is_numeric(left));
    const auto side = [&](const Operand& operand) {
      if (words) return as_text(operand);
      if (is_numeric(operand)) return Importer::literal_of(operand.text);
      return fmt::format("float({})", importer_.as_expression(operand.text));
    };
    return fmt::format("{} {} {}", side(left), sign, side(right));
  }

  Importer& importer_;
  std::string_view text_;
  const Node& at_;
  const Importer::Site& site_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

/// Word by word: most of it is written the same.
class ExprReader {
 public:
  ExprReader(Importer& importer, std::string_view text, const Node& at, const Importer::Site& site)
      : importer_(importer), text_(text), at_(at), site_(site) {}

  std::optional<std::string> read() {
    while (!failed_ && position_ < text_.size()) {
      const char c = text_[position_];
      if (std::isspace(static_cast<unsigned char>(c)) != 0) {
        if (!out_.empty() && out_.back() != ' ') out_ += ' ';
        ++position_;
      } else if (c == '\'' || c == '"') {
        out_ += quote(string());
      } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
        number();
      } else if (is_word(c)) {
        name();
      } else {
        sign();
      }
    }
    while (out_.ends_with(' ')) out_.pop_back();
    while (out_.starts_with(' ')) out_.erase(0, 1);
    return failed_ || !parses(out_) ? std::nullopt : std::optional(out_);
  }

 private:
  std::string string() {
    const std::size_t end = text_.find(text_[position_], position_ + 1);
    if (end == std::string_view::npos ||
        text_.substr(position_, end - position_).find('\\') != std::string_view::npos) {
      failed_ = true;
      return "";
    }
    std::string out(text_.substr(position_ + 1, end - position_ - 1));
    position_ = end + 1;
    return out;
  }

  void number() {
    while (position_ < text_.size() && (is_word(text_[position_]) || text_[position_] == '.'))
      out_ += text_[position_++];
  }

  void sign() {
    for (const std::string_view two : {"==", "!=", "<=", ">=", "&&", "||", "??"}) {
      if (!text_.substr(position_).starts_with(two)) continue;
      out_ += two;
      position_ += 2;
      return;
    }
    const char c = text_[position_++];
    failed_ |= std::string_view("<>+-*/%!?:(),[]").find(c) == std::string_view::npos;
    out_ += c;
  }

  void name() {
    std::vector<std::string> path(1);
    while (position_ < text_.size()) {
      const char c = text_[position_];
      const char next = position_ + 1 < text_.size() ? text_[position_ + 1] : ' ';
      if (is_word(c)) {
        path.back() += c;
        ++position_;
      } else if (c == '.' && is_word(next)) {
        path.emplace_back();
        ++position_;
      } else if (c == '[' && (next == '\'' || next == '"')) {
        ++position_;
        path.push_back(string());
        if (failed_ || position_ >= text_.size() || text_[position_] != ']') {
          failed_ = true;
          return;
        }
        ++position_;
      } else {
        break;
      }
    }
    word(path);
  }

  void word(const std::vector<std::string>& path) {
    struct Same {
      std::string_view theirs, ours;
    };
    constexpr Same kWords[] = {{"and", "&&"},    {"or", "||"},       {"not", "!"},
                               {"true", "true"}, {"false", "false"}, {"nil", "null"}};
    constexpr Same kFunctions[] = {{"asInt", "int"},     {"asFloat", "float"},  {"int", "int"},     {"float", "float"},
                                   {"string", "string"}, {"toJson", "to_json"}, {"len", "len"},     {"lower", "lower"},
                                   {"upper", "upper"},   {"trim", "trim"},      {"abs", "abs"},     {"max", "max"},
                                   {"min", "min"},       {"round", "round"},    {"floor", "floor"}, {"ceil", "ceil"}};
    const bool called = position_ < text_.size() && text_[position_] == '(';
    for (const Same& same : kFunctions) {
      if (!called || path.size() != 1 || path[0] != same.theirs) continue;
      out_ += same.ours;
      return;
    }
    for (const Same& same : kWords) {
      if (called || path.size() != 1 || path[0] != same.theirs) continue;
      out_ += same.ours;
      return;
    }
    if (called) {
      failed_ = true;
      return;
    }
    if (site_.response && infix(path)) return;
    operand_ = out_.size();
    if (site_.response && path[0] == "response") return response(path);
    const Text value = importer_.resolve_name(path, at_, site_);
    for (const Piece& piece : value) failed_ |= piece.kind == Piece::Kind::kUnknown;
    std::string text = importer_.as_expression(value);
    out_ += text.find(" ? ") != std::string::npos && !text.starts_with('(') ? "(" + text + ")" : text;
  }

  /// Argo's body is always a text, and its headers are lists.
  void response(const std::vector<std::string>& path) {
    const bool known = path.size() == 2 && (path[1] == "statusCode" || path[1] == "body");
    failed_ |= !known;
    if (known) out_ += path[1] == "body" ? "string(response.body)" : "response.status";
  }

  /// `a contains 'b'`: a function here. True: it was one, or it is not understood.
  bool infix(const std::vector<std::string>& path) {
    constexpr std::pair<std::string_view, std::string_view> kInfix[] = {
        {"contains", "contains"}, {"startsWith", "starts_with"}, {"endsWith", "ends_with"}};
    for (const auto& [theirs, ours] : kInfix) {
      if (path.size() != 1 || path[0] != theirs) continue;
      while (position_ < text_.size() && text_[position_] == ' ') ++position_;
      const bool quoted = position_ < text_.size() && (text_[position_] == '\'' || text_[position_] == '"');
      failed_ |= !quoted || operand_ >= out_.size();
      if (failed_) return true;
      std::string left = out_.substr(operand_);
      while (left.ends_with(' ')) left.pop_back();
      out_.replace(operand_, std::string::npos, fmt::format("{}({}, {})", ours, left, quote(string())));
      return true;
    }
    return false;
  }

  Importer& importer_;
  std::string_view text_;
  const Node& at_;
  const Importer::Site& site_;
  std::string out_;
  std::size_t operand_ = 0;  ///< Where the last name stands in it.
  std::size_t position_ = 0;
  bool failed_ = false;
};

/// nullopt: it cannot be said in Chappe's expressions.
std::optional<std::string> Importer::convert_when(const Node& when, const Site& site) {
  if (!when.is_scalar()) return std::nullopt;
  std::string_view text = when.text;
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return std::nullopt;
  text = text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
  if (text.starts_with("{{=") && text.find("}}") == text.size() - 2) {
    return convert_expression(text.substr(3, text.size() - 5), when, site);
  }
  return WhenReader(*this, text, when, site).read();
}

std::optional<std::string> Importer::convert_expression(std::string_view text, const Node& at, const Site& site) {
  return ExprReader(*this, text, at, site).read();
}

}  // namespace chappe::argo

#include "engine/expr/lexer.h"

#include <fmt/format.h>

#include <array>

namespace chappe::expr {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// What a backslash in front of `c` stands for; 0 for nothing known.
char unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return 0;
  }
}

/// What people write who know another language, and what it is called here.
std::string_view remedy_for(std::string_view rest) {
  if (rest.starts_with("=")) return "; write '==' to compare";
  if (rest.starts_with("&")) return "; write '&&'";
  if (rest.starts_with("|")) return "; write '||', and functions as 'upper(x)'";
  if (rest.starts_with("$")) return "; names stand bare: 'params.year'";
  if (rest.starts_with("{")) return "; there are no map literals";
  return "";
}

}  // namespace

std::size_t end_of_quoted(std::string_view text, std::size_t start) {
  const char quote = text[start];
  for (std::size_t at = start + 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      // A doubled quote stands for one.
      if (at + 1 >= text.size() || text[at + 1] != quote) return at + 1;
      ++at;
    }
  }
  return std::string_view::npos;
}

Token Lexer::token(Token::Kind kind, std::size_t end) {
  Token out{.kind = kind, .offset = at_, .source = text_.substr(at_, end - at_), .text = {}};
  at_ = end;
  return out;
}

tl::expected<Token, SyntaxError> Lexer::quoted() {
  const std::size_t start = at_;
  const std::size_t end = end_of_quoted(text_, start);
  if (end == std::string_view::npos) return tl::unexpected(SyntaxError{start, "the quoted text never ends"});
  Token out = token(Token::Kind::kText, end);
  for (std::size_t at = start + 1; at < end - 1; ++at) {
    if (text_[at] == '\\') {
      const char c = unescaped(text_[++at]);
      if (c == 0) {
        return tl::unexpected(SyntaxError{
            at - 1, fmt::format("unknown escape '\\{}'; known are \\n, \\t, \\r, \\\\, \\' and \\\"", text_[at])});
      }
      out.text += c;
    } else {
      if (text_[at] == text_[start]) ++at;
      out.text += text_[at];
    }
  }
  return out;
}

tl::expected<Token, SyntaxError> Lexer::number() {
  std::size_t end = at_;
  const auto digits = [&] {
    while (end < text_.size() && is_digit(text_[end])) ++end;
  };
  digits();
  if (end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) {
    ++end;
    digits();
  }
  if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
    ++end;
    if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) ++end;
    digits();
  }
  if (end < text_.size() && is_name(text_[end])) {
    return tl::unexpected(SyntaxError{at_, "a name cannot begin with a digit, nor a number end in a letter"});
  }
  return token(Token::Kind::kNumber, end);
}

tl::expected<Token, SyntaxError> Lexer::next() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  if (at_ == text_.size()) return token(Token::Kind::kEnd, at_);
  const char c = text_[at_];
  if (is_digit(c)) return number();
  if (c == '\'' || c == '"') return quoted();
  if (is_name_start(c)) {
    std::size_t end = at_;
    while (end < text_.size() && is_name(text_[end])) ++end;
    return token(Token::Kind::kName, end);
  }
  // Longest first.
  constexpr std::array<std::string_view, 23> kSymbols = {"==", "!=", "<=", ">=", "&&", "||", "??", "?",
                                                         ":",  "<",  ">",  "+",  "-",  "*",  "/",  "%",
                                                         "!",  ".",  ",",  "(",  ")",  "[",  "]"};
  const std::string_view rest = text_.substr(at_);
  for (const std::string_view symbol : kSymbols) {
    if (rest.starts_with(symbol)) return token(Token::Kind::kSymbol, at_ + symbol.size());
  }
  return tl::unexpected(SyntaxError{
      at_, fmt::format("'{}' means nothing here{}", static_cast<unsigned char>(c) < 0x80 ? rest.substr(0, 1) : "this",
                       remedy_for(rest))});
}

}  // namespace chappe::expr

/// \file
/// Expression text to tokens. Private to engine/expr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/expr/expression.h"

namespace chappe::expr {

struct Token {
  enum class Kind : std::uint8_t { kEnd, kName, kNumber, kText, kSymbol };
  Kind kind = Kind::kEnd;
  std::size_t offset = 0;
  std::string_view source;  ///< As written.
  std::string text;         ///< kText: without quotes and escapes.

  bool is(std::string_view symbol) const { return kind == Kind::kSymbol && source == symbol; }
};

/// Hands out one token at a time. Cost: linear in the text.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  tl::expected<Token, SyntaxError> next();

 private:
  Token token(Token::Kind kind, std::size_t end);
  tl::expected<Token, SyntaxError> quoted();
  tl::expected<Token, SyntaxError> number();

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Where the quoted text that opens at `start` ends (one past its closing quote); npos where it never does.
std::size_t end_of_quoted(std::string_view text, std::size_t start);

}  // namespace chappe::expr

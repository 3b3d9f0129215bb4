#include "worker/data/table_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "engine/base/assert.h"
#include "proto/json/json.h"

namespace chappe::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Failure wrong(std::uint64_t line, std::string_view what) {
  return fail(ErrorCode::kInvalidInput, fmt::format("line {}: {}", line, what));
}

Failure too_long(std::uint64_t line) { return wrong(line, fmt::format("the row has over {} MiB", kRowBytesMax >> 20)); }

/// Debian's parsers of CSV either know no line breaks in quotes (libfccp), or neither lines nor bounds (libcsv).
class SeparatedReader : public TableReader {
 public:
  SeparatedReader(char separator, TakeRow take, bool decimal_comma = false)
      : TableReader(std::move(take)), separator_(separator), decimal_comma_(decimal_comma) {}

  Result<void> read(std::string_view bytes) override {
    bytes = without_mark(bytes);
    while (!bytes.empty()) {
      const std::string_view run = bytes.substr(0, run_length(bytes));
      if (text_.size() + run.size() > kRowBytesMax) return too_long(row_line_);
      text_ += run;
      bytes.remove_prefix(run.size());
      if (bytes.empty()) break;
      if (auto taken = take_character(bytes[0]); !taken) return taken;
      bytes.remove_prefix(1);
    }
    return {};
  }

  Result<void> finish() override {
    if (mark_seen_ < kByteOrderMark.size() && mark_seen_ > 0) {  // It was the beginning of something else.
      const std::size_t seen = std::exchange(mark_seen_, kByteOrderMark.size());
      if (auto read_it = read(kByteOrderMark.substr(0, seen)); !read_it) return read_it;
    }
    if (state_ == State::kQuoted) return wrong(row_line_, "a quote is not closed");
    const bool empty = state_ == State::kFieldStart && ends_.empty();
    return empty ? Result<void>{} : end_row();
  }

 private:
  enum class State : std::uint8_t {
    kFieldStart,
    kPlain,
    kQuoted,
    kQuoteInQuoted,  ///< The field ends here, or a quote is doubled.
  };

  /// So many bytes only go on with the field.
  std::size_t run_length(std::string_view bytes) const {
    if (state_ != State::kPlain && state_ != State::kQuoted) return 0;
    const auto ends = [&](char c) {
      return c == '\n' || (state_ == State::kQuoted ? c == '"' : c == separator_ || c == '\r');
    };
    return static_cast<std::size_t>(std::find_if(bytes.begin(), bytes.end(), ends) - bytes.begin());
  }

  /// Leaves a byte order mark out, which may come in pieces.
  std::string_view without_mark(std::string_view bytes) {
    while (mark_seen_ < kByteOrderMark.size() && !bytes.empty()) {
      if (bytes[0] != kByteOrderMark[mark_seen_]) {
        const std::size_t seen = std::exchange(mark_seen_, kByteOrderMark.size());
        for (const char c : kByteOrderMark.substr(0, seen)) (void)take_character(c);  // Plain text: it cannot fail.
        break;
      }
      ++mark_seen_;
      bytes.remove_prefix(1);
    }
    return bytes;
  }

  Result<void> take_character(char c) {
    const bool after_return = std::exchange(after_return_, c == '\r' && state_ != State::kQuoted);
    if (c == '\n' && after_return && state_ == State::kFieldStart && ends_.empty()) return {};  // The rest of a CRLF.
    if (state_ == State::kQuoted) return c == '"' ? set(State::kQuoteInQuoted) : append(c);
    if (c == '"' && state_ == State::kQuoteInQuoted) {
      state_ = State::kQuoted;
      return append(c);
    }
    if (c == '"' && state_ == State::kFieldStart) return set(State::kQuoted);
    if (c == separator_) return end_field();
    if (c == '\n' || c == '\r') return end_line();
    if (state_ == State::kQuoteInQuoted) return wrong(line_, "something follows the quote that closes a field");
    state_ = State::kPlain;
    return append(c);
  }

  Result<void> set(State state) {
    state_ = state;
    return {};
  }

  Result<void> append(char c) {
    if (text_.size() == kRowBytesMax) return too_long(row_line_);
    if (c == '\n' && state_ == State::kQuoted) ++line_;
    text_ += c;
    return {};
  }

  Result<void> end_field() {
    if (ends_.size() == kFileColumnsMax) return wrong(row_line_, fmt::format("over {} columns", kFileColumnsMax));
    ends_.push_back(text_.size());
    state_ = State::kFieldStart;
    return {};
  }

  Result<void> end_line() {
    const bool empty = state_ == State::kFieldStart && ends_.empty();
    if (!empty) {
      if (auto ended = end_row(); !ended) return ended;
    }
    row_line_ = ++line_;
    return {};
  }

  Result<void> end_row() {
    if (auto ended = end_field(); !ended) return ended;
    cells_.clear();
    std::size_t begin = 0;
    for (const std::size_t end : ends_) {
      const std::string_view text = std::string_view(text_).substr(begin, end - begin);
      cells_.push_back({text.empty() ? Cell::Kind::kNull : Cell::Kind::kText, text, decimal_comma_});
      begin = end;
    }
    auto taken = columns_.empty() ? take_names() : take_cells();
    text_.clear();
    ends_.clear();
    return taken;
  }

  Result<void> take_names() {
    std::unordered_set<std::string_view> seen;
    for (const Cell& cell : cells_) {
      if (!seen.insert(cell.text).second) return wrong(row_line_, "two columns have one name");
      columns_.emplace_back(cell.text);
    }
    return {};
  }

  Result<void> take_cells() {
    if (cells_.size() == columns_.size()) return take_({row_line_, cells_});
    return wrong(row_line_,
                 fmt::format("the row has {} fields, and the first one has {}", cells_.size(), columns_.size()));
  }

  const char separator_;
  const bool decimal_comma_;
  State state_ = State::kFieldStart;
  bool after_return_ = false;
  std::size_t mark_seen_ = 0;  ///< Bytes of the mark; all of them: it was there, or is not.
  std::uint64_t line_ = 1;
  std::uint64_t row_line_ = 1;
  std::string text_;               ///< Of the row's fields, one after the other.
  std::vector<std::size_t> ends_;  ///< Of its fields, in `text_`.
  std::vector<Cell> cells_;
};

class JsonLinesReader : public TableReader {
 public:
  explicit JsonLinesReader(TakeRow take) : TableReader(std::move(take)) {}

  Result<void> read(std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      if (text_.size() + piece.size() > kRowBytesMax) return too_long(line_);
      text_ += piece;
      if (end == std::string_view::npos) return {};
      if (auto taken = end_row(); !taken) return taken;
      bytes.remove_prefix(end + 1);
    }
    return {};
  }

  Result<void> finish() override { return end_row(); }

 private:
  Result<void> end_row() {
    if (line_ == 1 && text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
    const bool blank = text_.find_first_not_of(" \t\r") == std::string::npos;
    auto taken = blank ? Result<void>{} : take_text();
    text_.clear();
    ++line_;
    return taken;
  }

  Result<void> take_text() {
    const auto value = parse_json(text_, kRowBytesMax);
    if (!value) return wrong(line_, value.error().message);
    const ValueMap* members = value->as_map();
    if (members == nullptr) return wrong(line_, fmt::format("an object is expected, not a {}", value->type_name()));
    cells_.assign(columns_.size(), {});
    texts_.clear();
    for (const auto& [name, member] : *members) {
      const auto [at, is_new] = positions_.try_emplace(name, columns_.size());
      if (is_new && columns_.size() == kFileColumnsMax) {
        return wrong(line_, fmt::format("over {} columns", kFileColumnsMax));
      }
      if (is_new) columns_.push_back(name);
      if (is_new) cells_.emplace_back();
      cells_[at->second] = cell_of(member);
    }
    return take_({line_, cells_});
  }

  Cell cell_of(const Value& value) {
    if (value.is_null()) return {};
    if (const std::string* text = value.as_string()) return {Cell::Kind::kText, *text};
    const bool boolean = value.as_bool() != nullptr;
    texts_.push_back(to_json(value));
    return {boolean             ? Cell::Kind::kBoolean
            : value.is_number() ? Cell::Kind::kNumber
                                : Cell::Kind::kOther,
            texts_.back()};
  }

  std::uint64_t line_ = 1;
  std::string text_;
  std::vector<Cell> cells_;
  std::deque<std::string> texts_;  ///< Of a row's cells that are no strings.
  std::unordered_map<std::string, std::size_t> positions_;
};

}  // namespace

std::unique_ptr<TableReader> TableReader::make(DataFormat format, TakeRow take) {
  switch (format) {
    case DataFormat::kCsv:
      return std::make_unique<SeparatedReader>(',', std::move(take));
    case DataFormat::kTsv:
      return std::make_unique<SeparatedReader>('\t', std::move(take));
    case DataFormat::kCsv2:
      return std::make_unique<SeparatedReader>(';', std::move(take), true);
    case DataFormat::kJsonLines:
      return std::make_unique<JsonLinesReader>(std::move(take));
    case DataFormat::kByName:
      break;
  }
  CHAPPE_ASSERT(!"a table has a format");
  return nullptr;
}

}  // namespace chappe::data

#include "worker/artifacts/data_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/text.h"
#include "worker/artifacts/beneath.h"
#include "worker/data/measure.h"

namespace chappe::artifacts {
namespace {

constexpr std::size_t kTablePieceBytes = std::size_t{256} << 10;
constexpr std::size_t kMessageBytes = 900;  // Of the 1024 that an end may tell, with room for what is put before it.

struct FreeTable {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

/// All bytes of a file, unpacked where they are packed, into the reader.
Result<void> read_table(int fd, data::TableReader& into, const std::atomic<bool>& stop) {
  if (::lseek(fd, 0, SEEK_SET) != 0) return fail(ErrorCode::kCorrupt, std::strerror(errno));
  const std::unique_ptr<archive, FreeTable> reader(archive_read_new());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  const auto trouble = [&] {
    const char* why = archive_error_string(reader.get());
    return fail(ErrorCode::kInvalidInput, fmt::format("it cannot be unpacked: {}", printable(why ? why : "damaged")));
  };
  if (archive_read_open_fd(reader.get(), fd, kTablePieceBytes) != ARCHIVE_OK) return trouble();
  archive_entry* entry = nullptr;
  const int opened = archive_read_next_header(reader.get(), &entry);
  if (opened == ARCHIVE_EOF) return into.finish();
  if (opened != ARCHIVE_OK) return trouble();
  std::vector<char> piece(kTablePieceBytes);
  for (;;) {
    if (stop.load(std::memory_order_relaxed)) return fail(ErrorCode::kUnavailable, "stopped");
    const la_ssize_t got = archive_read_data(reader.get(), piece.data(), piece.size());
    if (got < 0) return trouble();
    if (got == 0) return into.finish();
    auto taken = into.read({piece.data(), static_cast<std::size_t>(got)});
    if (!taken) return taken;
  }
}

/// A file that is an input; a directory is none.
Result<void> read_input(const Folder& folder, const ResolvedInput& input, data::TableReader& into,
                        const std::atomic<bool>& stop) {
  const Result<File> file = folder.open_file(input.path, O_RDONLY | O_NONBLOCK);
  if (!file) return fail(ErrorCode::kCorrupt, file.error().message);
  struct stat status {};
  if (::fstat(file->fd(), &status) != 0) return fail(ErrorCode::kCorrupt, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kInvalidInput, "it is a directory, and data is a file");
  return read_table(file->fd(), into, stop);
}

/// A count is shown as one.
Value number(double value) {
  const bool whole = std::trunc(value) == value && std::abs(value) < 1e15;
  return whole ? Value(static_cast<std::int64_t>(value)) : Value(value);
}

class Checking {
 public:
  Checking(const Folder& folder, const ResolvedWork& work, const std::atomic<bool>& stop)
      : folder_(folder), work_(work), check_(*work.check), stop_(stop) {}

  DataVerdict run() {
    for (std::size_t i = 0; i < work_.inputs.size(); ++i) tell_input(i);
    for (const DataCheck::Data& one : check_.data) {
      take(check_.sources[one.input], data::measure(one.expected, names_.of(one.expected), reads(one.input)));
    }
    for (const DataCheck::Drift& one : check_.drift) {
      const auto figures = names_.of(one.expected);
      const std::string both = fmt::format("{} against {}", check_.sources[one.current], check_.sources[one.baseline]);
      if (one.expected.optional && work_.inputs[one.baseline].objects.empty()) {
        take(both, std::vector<data::Finding>{{.text = "there is no baseline yet"}});
      } else {
        take(both, data::measure(one.expected, figures, reads(one.current), reads(one.baseline)));
      }
    }
    return verdict();
  }

 private:
  data::ReadFile reads(std::uint32_t input) const {
    return [this, input](data::TableReader& into) { return read_input(folder_, work_.inputs[input], into, stop_); };
  }

  /// Which bytes are measured, and which version of an asset they are.
  void tell_input(std::size_t i) {
    const std::string& source = check_.sources[i];
    for (const InputObject& object : work_.inputs[i].objects) {
      const std::string version = object.asset ? fmt::format("version {}, ", object.asset.value) : "";
      log_ += fmt::format("{}: {}{} bytes, SHA-256 {}\n", source, version, object.size, object.sha256);
      ValueMap one{{"source", source}, {"bytes", static_cast<std::int64_t>(object.size)}, {"sha256", object.sha256}};
      if (object.asset) one.emplace_back("version", static_cast<std::int64_t>(object.asset.value));
      sources_.emplace_back(std::move(one));
    }
  }

  void take(const std::string& source, Result<std::vector<data::Finding>> findings) {
    if (!findings) {
      if (trouble_.empty()) trouble_ = fmt::format("{}: {}", source, findings.error().message);
      return;
    }
    for (data::Finding& finding : *findings) {
      log_ += fmt::format("{} {}: {}\n", finding.holds ? "ok   " : "FAILS", source, finding.text);
      measured_.emplace_back(value_of(source, finding));
      if (!finding.metric.empty()) metrics_.emplace_back(finding.metric, number(finding.value));
      findings_.emplace_back(source, std::move(finding));
    }
  }

  static ValueMap value_of(const std::string& source, const data::Finding& finding) {
    ValueMap out{{"source", source}, {"holds", finding.holds}, {"text", finding.text}};
    if (finding.metric.empty()) return out;
    out.emplace_back("metric", finding.metric);
    out.emplace_back("value", number(finding.value));
    if (finding.limits.min) out.emplace_back("min", number(*finding.limits.min));
    if (finding.limits.max) out.emplace_back("max", number(*finding.limits.max));
    return out;
  }

  DataVerdict verdict() {
    if (!trouble_.empty()) return {.reason = Reason::kArtifactIo, .message = trouble_, .log = log_};
    const bool fails =
        std::any_of(findings_.begin(), findings_.end(), [](const auto& each) { return !each.second.holds; });
    DataVerdict out{.reason = fails ? Reason::kCheckFailed : Reason::kNone};
    out.message = data::message_of(findings_, kMessageBytes);
    out.log = log_ + out.message + "\n";
    out.figures = ValueMap{{std::string(kFiguresValue), ValueMap{{"sources", sources_}, {"measured", measured_}}},
                           {"metrics", metrics_}};
    return out;
  }

  const Folder& folder_;
  const ResolvedWork& work_;
  const DataCheck& check_;
  const std::atomic<bool>& stop_;
  FigureNames names_;
  std::vector<std::pair<std::string, data::Finding>> findings_;
  std::string trouble_;
  std::string log_;
  ValueList sources_, measured_;
  ValueMap metrics_;
};

}  // namespace

DataVerdict check_data(const std::string& directory, const ResolvedWork& work, const std::atomic<bool>& stop) {
  const Result<Folder> folder = Folder::open(directory);
  if (!folder) return {.reason = Reason::kArtifactIo, .message = folder.error().message};
  return Checking(*folder, work, stop).run();
}

Result<std::string> why_unfit(int file, const DataExpectations& expected, const std::atomic<bool>& stop) {
  FigureNames names;
  auto findings = data::measure(expected, names.of(expected),
                                [&](data::TableReader& into) { return read_table(file, into, stop); });
  if (!findings) return fail(findings.error());
  std::vector<std::pair<std::string, data::Finding>> failed;
  for (data::Finding& finding : *findings) {
    if (!finding.holds) failed.emplace_back("", std::move(finding));
  }
  return failed.empty() ? "" : data::message_of(failed, kMessageBytes);
}

}  // namespace chappe::artifacts

/// \file
/// What brings the scheduler down again and again is left alone, so that all else goes on.
///
/// Each thread says what it is at. Where the process crashes (a broken invariant, a signal of the processor: not where
/// somebody kills it, the power goes, or memory runs out), that is written to a file as it dies, and the next life
/// counts a strike. What has kStrikesMax of them is not touched any more: a run stays as it stands, a DAG starts no
/// runs, a DAG file is not read. Until there is another build of Chappe, or the file of strikes is removed.
///
/// One for a process, as signals are. Before open(), and in programs that never call it, nothing is left alone.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/run/in_hand.h"
#include "scheduler/quarantine/strikes.h"

namespace chappe::quarantine {

/// Of strikes, in the state directory.
inline constexpr std::string_view kFile = "left_alone.json";

/// Writes a file, the old text or the new one, whole.
using Save = std::function<Result<void>(const std::filesystem::path& file, const std::string& text)>;

/// Counts what the last life ended with, and watches over this one. Requires: nobody else has this folder open.
/// Errors: kCorrupt, kUnavailable: its files cannot be read or written.
Result<void> open(const std::filesystem::path& folder, Save save);

/// What the calling thread's engine is at. Valid as long as the thread.
InHand& engine_hand();

/// While it lives, the calling thread is at this.
class Hold {
 public:
  Hold(Kind kind, const std::string& id);
  ~Hold();
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
};

bool is_left_alone(Kind kind, const std::string& id);
std::size_t count();  ///< Of things that are left alone.
/// At once, where there is no hope: it will not be better the next time.
void leave_alone(Kind kind, const std::string& id);
/// For who asks about it: "left alone: it brought the scheduler down 3 times".
std::string complaint();

}  // namespace chappe::quarantine

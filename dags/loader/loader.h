/// \file
/// DAG files: YAML text to engine/model, every complaint with its place.
///
/// yaml-cpp's event interface feeds a small tree with line and column, which is then read key by key. Bounds: 8 MiB of
/// text, depth 64, 2,000,000 nodes, 1 MiB a scalar, 100,000 nodes out of aliases. Pure but for the text it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dags/loader/dag_tests.h"
#include "engine/base/result.h"
#include "engine/model/dag.h"

namespace chappe {

/// One complaint about a DAG file.
struct Diagnostic {
  std::string file;
  std::uint32_t line = 0;    ///< From 1; 0: the file as a whole.
  std::uint32_t column = 0;  ///< From 1.
  std::string message;       ///< "unknown key 'retrys'; did you mean 'retries'?"
  bool warning = false;      ///< The file is usable all the same.
  /// "FILE:LINE:COLUMN: error: MESSAGE"
  std::string text() const;
};

/// A list of maps: file, line, column, severity ("error", "warning"), message, and all of it as one text.
Value diagnostics_json(const std::vector<Diagnostic>& diagnostics);

/// The text of a file that a DAG file includes. `path`: relative to the DAG file's folder, and beneath it; links are
/// the reader's to check. Errors: with a message for people.
using ReadInclude = std::function<Result<std::string>(const std::string& path)>;

struct LoadedDag {
  DagPtr dag;                           ///< Null where there is any error.
  std::vector<Diagnostic> diagnostics;  ///< All of them, in the order of the file; at most 100.
  std::vector<DagTest> tests;           ///< The file's own.
  std::vector<std::string> included;    ///< Paths of the files that it includes, also of those that cannot be read.
};

/// Loads one DAG: the text of a file, or what Dag::source holds of one that includes others. `file` names it in the
/// diagnostics. Cost: linear; 10,000 tasks in well under half a second.
LoadedDag load_dag(std::string_view text, std::string_view file, const ReadInclude& read = {});

/// Who is told of DAGs that do not say: `notify: [...]`, as in a DAG file. `owner` stands for the owner of each DAG.
/// Errors: kInvalidInput: one diagnostic a line.
Result<std::vector<NotifyChannel>> load_notify_default(std::string_view text, std::string_view file);

/// A part of a DAG file by what it says, whatever its spelling: "task extract", "schedule", "params" ...
struct DagPart {
  std::string name;
  std::string canonical;
};
/// All parts of a file that loads, in the order of the file: to tell what differs between two.
std::vector<DagPart> dag_parts(std::string_view text);

/// The JSON Schema (draft 2020-12) of DAG files, as text.
std::string_view dag_schema();

}  // namespace chappe

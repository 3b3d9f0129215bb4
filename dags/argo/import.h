/// \file
/// Argo Workflows to DAG files: YAML text in, YAML text out, and what did not carry over, each with its place.
///
/// A Workflow, WorkflowTemplate or CronWorkflow becomes one DAG: its templates are written out where they are called,
/// ids with '_' for '-'. What means exactly the same is taken over; all else gets a note, never a silent change of
/// meaning. A task that cannot be taken over fails, and says so. docs/guide/from-argo.md tells what becomes of what.
/// Pure but for the text it is given. Bounds: those of dags/loader/yaml_tree.h, and those below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace chappe {

inline constexpr std::size_t kImportedTasksMax = 5'000;  ///< Tasks after all templates are written out.
inline constexpr std::size_t kImportDepthMax = 32;       ///< Templates that call templates.
inline constexpr std::size_t kImportNotesMax = 200;

/// Something to look at.
struct ImportNote {
  std::string file;
  std::uint32_t line = 0;    ///< Of the Argo file, from 1; 0: the file as a whole.
  std::uint32_t column = 0;  ///< From 1.
  std::string message;
  /// "FILE:LINE:COLUMN: note: MESSAGE"
  std::string text() const;
};

struct ImportedDag {
  std::string dag_file;           ///< YAML. Without notes it always loads (dags/loader).
  std::vector<ImportNote> notes;  ///< In the order of the file; at most kImportNotesMax.
};

struct ImportOptions {
  bool images = true;  ///< Containers stay containers; else their tasks are processes, and images stand in comments.
};

/// `file` names the text in notes and errors. Errors: kInvalidInput, "FILE:LINE:COLUMN: error: ...": the text is no
/// Argo Workflow, or one whose templates stand elsewhere.
Result<ImportedDag> import_argo(std::string_view text, std::string_view file, ImportOptions options = {});

}  // namespace chappe

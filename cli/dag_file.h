/// \file
/// A DAG file of the user's, read and checked here before anybody else sees it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/output.h"
#include "dags/loader/loader.h"
#include "engine/base/result.h"
#include "engine/model/dag.h"

namespace chappe::cli {

/// Bytes of a file that the command reads.
inline constexpr std::size_t kDagFileMax = std::size_t{8} << 20;

struct DagFile {
  std::string file;
  std::string text;                     ///< With all that it includes.
  DagPtr dag;                           ///< Null where there are mistakes.
  std::vector<Diagnostic> diagnostics;  ///< Mistakes and warnings.
  std::vector<DagTest> tests;           ///< Its own.
};

/// The DAG files that `paths` name: themselves, or all beneath a folder, by name; at most 100,000.
/// Errors: kInvalidInput: a folder that cannot be listed, or holds none.
Result<std::vector<std::string>> find_dag_files(const std::vector<std::string>& paths);

/// Errors: the file cannot be read.
Result<DagFile> load_dag_file(const std::string& file);
/// Diagnostics on stderr as compilers write them: "FILE:LINE:COLUMN: error: ...".
void show_diagnostics(const std::vector<Diagnostic>& diagnostics, const Output& output);

/// What differs between two texts of a DAG: "task a is new, task b is gone, schedule differs"; "": nothing.
std::string difference(const std::string& before, const std::string& after);

/// Parameters of a run: those of `params_file` (a JSON object; "" for none), then the `name=value` ones. A value is
/// read as the type that the DAG declares for its name; without a DAG it is text. Checked and completed by the DAG's
/// rules. Errors: kInvalidInput.
/// `all`: every parameter that the DAG requires must be there.
Result<ValueMap> read_params(const Dag* dag, const std::string& params_file, const std::vector<std::string>& given,
                             bool all = true);

}  // namespace chappe::cli

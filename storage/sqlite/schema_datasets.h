/// \file
/// What of the schema is about datasets outside. Private to storage/sqlite: schema.cc puts it in its place.
#pragma once

namespace chappe::sqlite {

inline constexpr char kSchema19[] = R"sql(
CREATE TABLE datasets (
  row INTEGER PRIMARY KEY,
  task INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  written INTEGER NOT NULL,
  uri TEXT NOT NULL
) STRICT;
CREATE INDEX datasets_by_task ON datasets (task);
CREATE INDEX datasets_by_uri ON datasets (uri, written);
)sql";

}  // namespace chappe::sqlite

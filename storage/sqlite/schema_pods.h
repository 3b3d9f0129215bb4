/// \file
/// What of the schema is about pods. Private to storage/sqlite: schema.cc puts it in its place.
#pragma once

namespace chappe::sqlite {

// A worker in a pod has its row before it has joined: until then its incarnation is the pod's name.
inline constexpr char kSchema11[] = R"sql(
ALTER TABLE workers ADD COLUMN pod TEXT NOT NULL DEFAULT '';
)sql";

// A node says what a container ran in its own time, maybe when the attempt's row is final.
inline constexpr char kSchema15[] = R"sql(
CREATE TABLE attempt_images (attempt INTEGER PRIMARY KEY, image TEXT NOT NULL) STRICT;
)sql";

}  // namespace chappe::sqlite

// Generated from models/shelf.json (invented, covers every trait that the generator knows, botocore 0.0.1) by tools/modelgen. Do not edit.
#pragma once

namespace hearth::shelf::model {

struct Book;
struct CreateShelfInput;
struct DeleteShelfOutput;
struct GetPageInput;
struct GetPageOutput;
struct ListShelvesInput;
struct ListShelvesOutput;
struct PageRead;
struct PingInput;
struct PingOutput;
struct PutPageInput;
struct PutPageOutput;
struct RenameShelfInput;
struct Shelf;
struct ShelfClosed;
struct ShelfEvents;
struct ShelfInput;
struct SpecialShelfOutput;
struct WatchShelfOutput;

}  // namespace hearth::shelf::model

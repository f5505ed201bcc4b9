// Generated from models/shelf.json (invented, covers every trait that the generator knows, botocore 0.0.1) by tools/modelgen. Do not edit.
#pragma once

#include "aws/model/descriptor.h"
#include "gen/shelf/types.gen.h"

namespace hearth::shelf::model {

// The whole interface; lives for ever.
const aws::model::Service& Service();

struct CreateShelf {
    using Input = CreateShelfInput;
    using Output = Shelf;
    static const aws::model::Operation& Descriptor();
};

struct DeleteShelf {
    using Input = ShelfInput;
    using Output = DeleteShelfOutput;
    static const aws::model::Operation& Descriptor();
};

struct GetPage {
    using Input = GetPageInput;
    using Output = GetPageOutput;
    static const aws::model::Operation& Descriptor();
};

struct ListShelves {
    using Input = ListShelvesInput;
    using Output = ListShelvesOutput;
    static const aws::model::Operation& Descriptor();
};

struct Ping {
    using Input = PingInput;
    using Output = PingOutput;
    static const aws::model::Operation& Descriptor();
};

struct PutPage {
    using Input = PutPageInput;
    using Output = PutPageOutput;
    static const aws::model::Operation& Descriptor();
};

struct RenameShelf {
    using Input = RenameShelfInput;
    using Output = Shelf;
    static const aws::model::Operation& Descriptor();
};

struct SpecialShelf {
    using Input = ShelfInput;
    using Output = SpecialShelfOutput;
    static const aws::model::Operation& Descriptor();
};

struct WatchShelf {
    using Input = ShelfInput;
    using Output = WatchShelfOutput;
    static const aws::model::Operation& Descriptor();
};

}  // namespace hearth::shelf::model

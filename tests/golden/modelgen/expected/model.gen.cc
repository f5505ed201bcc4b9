// Generated from models/shelf.json (invented, covers every trait that the generator knows, botocore 0.0.1) by tools/modelgen. Do not edit.
#include "gen/shelf/operations.gen.h"

#include <cstddef>
#include <string_view>

#pragma clang diagnostic ignored "-Winvalid-offsetof"

namespace hearth::shelf::model {

namespace {

namespace am = ::hearth::aws::model;

constinit am::Pattern kPattern0("(?!aws)[\\u0061-\\u007Ae0-9:/]+", "[a-z0-9:/]+");
constinit am::Pattern kPattern1("[\\u0041-\\u005A].*", "[\\x{0041}-\\x{005A}].*");
constinit am::Pattern kPattern2("[a-z]+", "[a-z]+");
constexpr std::string_view kEnumColour[] = {"red", "green"};

struct Shapes {
    static const am::Shape kShelfName;
    static const am::Shape kString;
    static const am::Shape kHeight;
    static const am::Shape kDouble;
    static const am::Shape kLong;
    static const am::Shape kBoolean;
    static const am::Shape kTimestamp;
    static const am::Shape kBlob;
    static const am::Shape kColour;
    static const am::Shape kColours;
    static const am::Shape kTitle;
    static const am::Shape kInteger;
    static const am::Shape kBook;
    static const am::Shape kBooks;
    static const am::Shape kNoteName;
    static const am::Shape kNote;
    static const am::Shape kNotes;
    static const am::Shape kSecret;
    static const am::Shape kCreateShelfInput;
    static const am::Shape kShelf;
    static const am::Shape kShelfInput;
    static const am::Shape kGetPageInput;
    static const am::Shape kStream;
    static const am::Shape kGetPageOutput;
    static const am::Shape kListShelvesInput;
    static const am::Shape kShelves;
    static const am::Shape kListShelvesOutput;
    static const am::Shape kPutPageInput;
    static const am::Shape kPutPageOutput;
    static const am::Shape kRenameShelfInput;
    static const am::Shape kPageRead;
    static const am::Shape kShelfClosed;
    static const am::Shape kShelfEvents;
    static const am::Shape kWatchShelfOutput;
    static const am::Shape kDeleteShelfOutput;
    static const am::Shape kPingInput;
    static const am::Shape kPingOutput;
    static const am::Shape kSpecialShelfOutput;
};

constexpr am::Member kMembersBook[] = {
    {.name = "Title", .wire_name = "Title", .shape = &Shapes::kTitle, .offset = offsetof(Book, title), .ops = &am::kOptionalOps<std::string>, .required = true},
    {.name = "Sequel", .wire_name = "Sequel", .shape = &Shapes::kBook, .offset = offsetof(Book, sequel), .ops = &am::kSharedOps<Book>},
    {.name = "Pages", .wire_name = "Pages", .shape = &Shapes::kInteger, .offset = offsetof(Book, pages), .ops = &am::kOptionalOps<int32_t>},
};
constexpr am::Member kMembersCreateShelfInput[] = {
    {.name = "ShelfName", .wire_name = "ShelfName", .shape = &Shapes::kShelfName, .offset = offsetof(CreateShelfInput, shelf_name), .ops = &am::kOptionalOps<std::string>, .required = true},
    {.name = "KMSKeyArn", .wire_name = "KMSKeyArn", .shape = &Shapes::kString, .offset = offsetof(CreateShelfInput, kms_key_arn), .ops = &am::kOptionalOps<std::string>},
    {.name = "Height", .wire_name = "Height", .shape = &Shapes::kHeight, .offset = offsetof(CreateShelfInput, height), .ops = &am::kOptionalOps<int32_t>},
    {.name = "Weight", .wire_name = "Weight", .shape = &Shapes::kDouble, .offset = offsetof(CreateShelfInput, weight), .ops = &am::kOptionalOps<double>},
    {.name = "Serial", .wire_name = "Serial", .shape = &Shapes::kLong, .offset = offsetof(CreateShelfInput, serial), .ops = &am::kOptionalOps<int64_t>},
    {.name = "Open", .wire_name = "Open", .shape = &Shapes::kBoolean, .offset = offsetof(CreateShelfInput, open), .ops = &am::kOptionalOps<bool>},
    {.name = "Since", .wire_name = "Since", .shape = &Shapes::kTimestamp, .offset = offsetof(CreateShelfInput, since), .ops = &am::kOptionalOps<WallClock::time_point>},
    {.name = "SinceText", .wire_name = "SinceText", .shape = &Shapes::kTimestamp, .offset = offsetof(CreateShelfInput, since_text), .ops = &am::kOptionalOps<WallClock::time_point>, .timestamp_format = am::TimestampFormat::kIso8601},
    {.name = "Label", .wire_name = "Label", .shape = &Shapes::kBlob, .offset = offsetof(CreateShelfInput, label), .ops = &am::kOptionalOps<std::string>},
    {.name = "Colours", .wire_name = "Colours", .shape = &Shapes::kColours, .offset = offsetof(CreateShelfInput, colours), .ops = &am::kOptionalOps<std::vector<std::string>>},
    {.name = "Books", .wire_name = "Books", .shape = &Shapes::kBooks, .offset = offsetof(CreateShelfInput, books), .ops = &am::kOptionalOps<std::vector<Book>>},
    {.name = "Notes", .wire_name = "Notes", .shape = &Shapes::kNotes, .offset = offsetof(CreateShelfInput, notes), .ops = &am::kOptionalOps<std::map<std::string, std::string>>},
    {.name = "Secret", .wire_name = "Secret", .shape = &Shapes::kSecret, .offset = offsetof(CreateShelfInput, secret), .ops = &am::kOptionalOps<std::string>},
    {.name = "default", .wire_name = "default", .shape = &Shapes::kString, .offset = offsetof(CreateShelfInput, default_), .ops = &am::kOptionalOps<std::string>},
    {.name = "ClientToken", .wire_name = "ClientToken", .shape = &Shapes::kString, .offset = offsetof(CreateShelfInput, client_token), .ops = &am::kOptionalOps<std::string>, .idempotency_token = true},
};
constexpr am::Member kMembersShelf[] = {
    {.name = "ShelfName", .wire_name = "ShelfName", .shape = &Shapes::kShelfName, .offset = offsetof(Shelf, shelf_name), .ops = &am::kOptionalOps<std::string>},
    {.name = "Height", .wire_name = "Height", .shape = &Shapes::kHeight, .offset = offsetof(Shelf, height), .ops = &am::kOptionalOps<int32_t>},
    {.name = "Weight", .wire_name = "Weight", .shape = &Shapes::kDouble, .offset = offsetof(Shelf, weight), .ops = &am::kOptionalOps<double>},
    {.name = "Serial", .wire_name = "Serial", .shape = &Shapes::kLong, .offset = offsetof(Shelf, serial), .ops = &am::kOptionalOps<int64_t>},
    {.name = "Open", .wire_name = "Open", .shape = &Shapes::kBoolean, .offset = offsetof(Shelf, open), .ops = &am::kOptionalOps<bool>},
    {.name = "Since", .wire_name = "Since", .shape = &Shapes::kTimestamp, .offset = offsetof(Shelf, since), .ops = &am::kOptionalOps<WallClock::time_point>},
    {.name = "SinceText", .wire_name = "SinceText", .shape = &Shapes::kTimestamp, .offset = offsetof(Shelf, since_text), .ops = &am::kOptionalOps<WallClock::time_point>, .timestamp_format = am::TimestampFormat::kIso8601},
    {.name = "Label", .wire_name = "Label", .shape = &Shapes::kBlob, .offset = offsetof(Shelf, label), .ops = &am::kOptionalOps<std::string>},
    {.name = "Colours", .wire_name = "Colours", .shape = &Shapes::kColours, .offset = offsetof(Shelf, colours), .ops = &am::kOptionalOps<std::vector<std::string>>},
    {.name = "Books", .wire_name = "Books", .shape = &Shapes::kBooks, .offset = offsetof(Shelf, books), .ops = &am::kOptionalOps<std::vector<Book>>},
    {.name = "Notes", .wire_name = "Notes", .shape = &Shapes::kNotes, .offset = offsetof(Shelf, notes), .ops = &am::kOptionalOps<std::map<std::string, std::string>>},
};
constexpr am::Member kMembersShelfInput[] = {
    {.name = "ShelfName", .wire_name = "ShelfName", .shape = &Shapes::kShelfName, .offset = offsetof(ShelfInput, shelf_name), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kUri, .required = true},
};
constexpr am::Member kMembersGetPageInput[] = {
    {.name = "ShelfName", .wire_name = "ShelfName", .shape = &Shapes::kShelfName, .offset = offsetof(GetPageInput, shelf_name), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kUri, .required = true},
    {.name = "Path", .wire_name = "Path", .shape = &Shapes::kString, .offset = offsetof(GetPageInput, path), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kUri, .required = true},
    {.name = "Since", .wire_name = "if-modified-since", .shape = &Shapes::kTimestamp, .offset = offsetof(GetPageInput, since), .ops = &am::kOptionalOps<WallClock::time_point>, .location = am::Location::kHeader},
};
constexpr am::Member kMembersGetPageOutput[] = {
    {.name = "Body", .wire_name = "Body", .shape = &Shapes::kStream, .offset = offsetof(GetPageOutput, body), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kPayload},
    {.name = "Status", .wire_name = "Status", .shape = &Shapes::kInteger, .offset = offsetof(GetPageOutput, status), .ops = &am::kOptionalOps<int32_t>, .location = am::Location::kStatusCode},
    {.name = "Note", .wire_name = "x-shelf-note", .shape = &Shapes::kString, .offset = offsetof(GetPageOutput, note), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kHeader},
    {.name = "Changed", .wire_name = "last-modified", .shape = &Shapes::kTimestamp, .offset = offsetof(GetPageOutput, changed), .ops = &am::kOptionalOps<WallClock::time_point>, .location = am::Location::kHeader},
};
constexpr am::Member kMembersListShelvesInput[] = {
    {.name = "MaxItems", .wire_name = "maxItems", .shape = &Shapes::kHeight, .offset = offsetof(ListShelvesInput, max_items), .ops = &am::kOptionalOps<int32_t>, .location = am::Location::kQueryString},
    {.name = "Tags", .wire_name = "tag", .shape = &Shapes::kColours, .offset = offsetof(ListShelvesInput, tags), .ops = &am::kOptionalOps<std::vector<std::string>>, .location = am::Location::kQueryString},
    {.name = "Full", .wire_name = "full", .shape = &Shapes::kBoolean, .offset = offsetof(ListShelvesInput, full), .ops = &am::kOptionalOps<bool>, .location = am::Location::kQueryString},
};
constexpr am::Member kMembersListShelvesOutput[] = {
    {.name = "Shelves", .wire_name = "Shelves", .shape = &Shapes::kShelves, .offset = offsetof(ListShelvesOutput, shelves), .ops = &am::kOptionalOps<std::vector<Shelf>>},
    {.name = "Marker", .wire_name = "Marker", .shape = &Shapes::kString, .offset = offsetof(ListShelvesOutput, marker), .ops = &am::kOptionalOps<std::string>},
};
constexpr am::Member kMembersPutPageInput[] = {
    {.name = "ShelfName", .wire_name = "ShelfName", .shape = &Shapes::kShelfName, .offset = offsetof(PutPageInput, shelf_name), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kUri, .required = true},
    {.name = "Path", .wire_name = "Path", .shape = &Shapes::kString, .offset = offsetof(PutPageInput, path), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kUri, .required = true},
    {.name = "Page", .wire_name = "Page", .shape = &Shapes::kBook, .offset = offsetof(PutPageInput, page), .ops = &am::kOptionalOps<Book>, .location = am::Location::kPayload},
    {.name = "Mode", .wire_name = "x-shelf-mode", .shape = &Shapes::kColour, .offset = offsetof(PutPageInput, mode), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kHeader},
};
constexpr am::Member kMembersPutPageOutput[] = {
    {.name = "Page", .wire_name = "Page", .shape = &Shapes::kBook, .offset = offsetof(PutPageOutput, page), .ops = &am::kOptionalOps<Book>, .location = am::Location::kPayload},
};
constexpr am::Member kMembersRenameShelfInput[] = {
    {.name = "ShelfName", .wire_name = "ShelfName", .shape = &Shapes::kShelfName, .offset = offsetof(RenameShelfInput, shelf_name), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kUri, .required = true},
    {.name = "NewName", .wire_name = "NewName", .shape = &Shapes::kShelfName, .offset = offsetof(RenameShelfInput, new_name), .ops = &am::kOptionalOps<std::string>},
};
constexpr am::Member kMembersPageRead[] = {
    {.name = "Body", .wire_name = "Body", .shape = &Shapes::kStream, .offset = offsetof(PageRead, body), .ops = &am::kOptionalOps<std::string>, .event_payload = true},
};
constexpr am::Member kMembersShelfClosed[] = {
    {.name = "Why", .wire_name = "Why", .shape = &Shapes::kString, .offset = offsetof(ShelfClosed, why), .ops = &am::kOptionalOps<std::string>},
    {.name = "Pages", .wire_name = "Pages", .shape = &Shapes::kInteger, .offset = offsetof(ShelfClosed, pages), .ops = &am::kOptionalOps<int32_t>},
};
constexpr am::Member kMembersShelfEvents[] = {
    {.name = "Read", .wire_name = "Read", .shape = &Shapes::kPageRead, .offset = offsetof(ShelfEvents, read), .ops = &am::kOptionalOps<PageRead>},
    {.name = "Closed", .wire_name = "Closed", .shape = &Shapes::kShelfClosed, .offset = offsetof(ShelfEvents, closed), .ops = &am::kOptionalOps<ShelfClosed>},
};
constexpr am::Member kMembersWatchShelfOutput[] = {
    {.name = "Events", .wire_name = "Events", .shape = &Shapes::kShelfEvents, .offset = offsetof(WatchShelfOutput, events), .ops = &am::kOptionalOps<ShelfEvents>, .location = am::Location::kPayload},
    {.name = "Note", .wire_name = "x-shelf-note", .shape = &Shapes::kString, .offset = offsetof(WatchShelfOutput, note), .ops = &am::kOptionalOps<std::string>, .location = am::Location::kHeader},
};

constinit const am::Shape Shapes::kShelfName = {.name = "ShelfName", .type = am::ShapeType::kString, .min = 2, .max = 8, .pattern = &kPattern0};
constinit const am::Shape Shapes::kString = {.name = "String", .type = am::ShapeType::kString};
constinit const am::Shape Shapes::kHeight = {.name = "Height", .type = am::ShapeType::kInteger, .min = 1, .max = 900};
constinit const am::Shape Shapes::kDouble = {.name = "Double", .type = am::ShapeType::kDouble};
constinit const am::Shape Shapes::kLong = {.name = "Long", .type = am::ShapeType::kLong};
constinit const am::Shape Shapes::kBoolean = {.name = "Boolean", .type = am::ShapeType::kBoolean};
constinit const am::Shape Shapes::kTimestamp = {.name = "Timestamp", .type = am::ShapeType::kTimestamp};
constinit const am::Shape Shapes::kBlob = {.name = "Blob", .type = am::ShapeType::kBlob, .max = 8};
constinit const am::Shape Shapes::kColour = {.name = "Colour", .type = am::ShapeType::kString, .enum_values = kEnumColour};
constinit const am::Shape Shapes::kColours = {.name = "Colours", .type = am::ShapeType::kList, .value = &Shapes::kColour, .list = &am::kListOps<std::string>};
constinit const am::Shape Shapes::kTitle = {.name = "Title", .type = am::ShapeType::kString, .min = 1, .pattern = &kPattern1};
constinit const am::Shape Shapes::kInteger = {.name = "Integer", .type = am::ShapeType::kInteger};
constinit const am::Shape Shapes::kBook = {.name = "Book", .type = am::ShapeType::kStructure, .members = kMembersBook};
constinit const am::Shape Shapes::kBooks = {.name = "Books", .type = am::ShapeType::kList, .max = 3, .value = &Shapes::kBook, .list = &am::kListOps<Book>};
constinit const am::Shape Shapes::kNoteName = {.name = "NoteName", .type = am::ShapeType::kString, .pattern = &kPattern2};
constinit const am::Shape Shapes::kNote = {.name = "Note", .type = am::ShapeType::kString, .max = 5};
constinit const am::Shape Shapes::kNotes = {.name = "Notes", .type = am::ShapeType::kMap, .max = 2, .key = &Shapes::kNoteName, .value = &Shapes::kNote, .map = &am::kMapOps<std::string>};
constinit const am::Shape Shapes::kSecret = {.name = "Secret", .type = am::ShapeType::kString, .max = 4, .sensitive = true};
constinit const am::Shape Shapes::kCreateShelfInput = {.name = "CreateShelfInput", .type = am::ShapeType::kStructure, .members = kMembersCreateShelfInput};
constinit const am::Shape Shapes::kShelf = {.name = "Shelf", .type = am::ShapeType::kStructure, .members = kMembersShelf};
constinit const am::Shape Shapes::kShelfInput = {.name = "ShelfInput", .type = am::ShapeType::kStructure, .members = kMembersShelfInput};
constinit const am::Shape Shapes::kGetPageInput = {.name = "GetPageInput", .type = am::ShapeType::kStructure, .members = kMembersGetPageInput};
constinit const am::Shape Shapes::kStream = {.name = "Stream", .type = am::ShapeType::kBlob, .streaming = true};
constinit const am::Shape Shapes::kGetPageOutput = {.name = "GetPageOutput", .type = am::ShapeType::kStructure, .members = kMembersGetPageOutput};
constinit const am::Shape Shapes::kListShelvesInput = {.name = "ListShelvesInput", .type = am::ShapeType::kStructure, .members = kMembersListShelvesInput};
constinit const am::Shape Shapes::kShelves = {.name = "Shelves", .type = am::ShapeType::kList, .value = &Shapes::kShelf, .list = &am::kListOps<Shelf>};
constinit const am::Shape Shapes::kListShelvesOutput = {.name = "ListShelvesOutput", .type = am::ShapeType::kStructure, .members = kMembersListShelvesOutput};
constinit const am::Shape Shapes::kPutPageInput = {.name = "PutPageInput", .type = am::ShapeType::kStructure, .members = kMembersPutPageInput};
constinit const am::Shape Shapes::kPutPageOutput = {.name = "PutPageOutput", .type = am::ShapeType::kStructure, .members = kMembersPutPageOutput};
constinit const am::Shape Shapes::kRenameShelfInput = {.name = "RenameShelfInput", .type = am::ShapeType::kStructure, .members = kMembersRenameShelfInput};
constinit const am::Shape Shapes::kPageRead = {.name = "PageRead", .type = am::ShapeType::kStructure, .members = kMembersPageRead};
constinit const am::Shape Shapes::kShelfClosed = {.name = "ShelfClosed", .type = am::ShapeType::kStructure, .members = kMembersShelfClosed};
constinit const am::Shape Shapes::kShelfEvents = {.name = "ShelfEvents", .type = am::ShapeType::kStructure, .event_stream = true, .members = kMembersShelfEvents};
constinit const am::Shape Shapes::kWatchShelfOutput = {.name = "WatchShelfOutput", .type = am::ShapeType::kStructure, .members = kMembersWatchShelfOutput};
constinit const am::Shape Shapes::kDeleteShelfOutput = {.name = "DeleteShelfOutput"};
constinit const am::Shape Shapes::kPingInput = {.name = "PingInput"};
constinit const am::Shape Shapes::kPingOutput = {.name = "PingOutput"};
constinit const am::Shape Shapes::kSpecialShelfOutput = {.name = "SpecialShelfOutput"};

constexpr am::ErrorInfo kErrorsCreateShelf[] = {
    {"ShelfExistsException", "ShelfExists", 409, "message"},
    {"ShelfBrokenException", "ShelfBrokenException", 500, "Message"},
};
constexpr am::ErrorInfo kErrors[] = {
    {"ShelfBrokenException", "ShelfBrokenException", 500, "Message"},
    {"ShelfExistsException", "ShelfExists", 409, "message"},
};

constexpr am::Operation kOperations[] = {
    {.name = "BurnShelf", .method = "POST", .uri = "/shelves/{ShelfName}/burn", .http_status = 200, .action = "shelf:BurnShelf", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "CreateShelf", .method = "POST", .uri = "/shelves", .http_status = 201, .has_output = true, .result_wrapper = "CreateShelfResult", .input = &Shapes::kCreateShelfInput, .output = &Shapes::kShelf, .errors = kErrorsCreateShelf, .action = "shelf:CreateShelf", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "DeleteShelf", .method = "DELETE", .uri = "/shelves/{ShelfName}", .http_status = 204, .input = &Shapes::kShelfInput, .output = &Shapes::kDeleteShelfOutput, .action = "shelf:DeleteShelf", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "GetPage", .method = "GET", .uri = "/shelves/{ShelfName}/pages/{Path+}", .http_status = 200, .has_output = true, .input = &Shapes::kGetPageInput, .output = &Shapes::kGetPageOutput, .action = "shelf:GetPage", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "ListShelves", .method = "GET", .uri = "/shelves/", .http_status = 200, .has_output = true, .result_wrapper = "ListShelvesResult", .input = &Shapes::kListShelvesInput, .output = &Shapes::kListShelvesOutput, .action = "shelf:ListShelves", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "Ping", .method = "POST", .uri = "/ping", .http_status = 200, .input = &Shapes::kPingInput, .output = &Shapes::kPingOutput, .action = "shelf:Ping", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "PutPage", .method = "PUT", .uri = "/shelves/{ShelfName}/pages/{Path+}", .http_status = 200, .has_output = true, .input = &Shapes::kPutPageInput, .output = &Shapes::kPutPageOutput, .action = "shelf:PutPage", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "RenameShelf", .method = "POST", .uri = "/shelves/{ShelfName}/name", .http_status = 200, .has_output = true, .input = &Shapes::kRenameShelfInput, .output = &Shapes::kShelf, .action = "shelf:RenameShelf", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "SearchShelves", .method = "GET", .uri = "/shelves", .uri_query = "find=all", .http_status = 200, .has_output = true, .action = "shelf:SearchShelves", .resource = "*"},
    {.name = "SpecialShelf", .method = "POST", .uri = "/shelves/special/name", .http_status = 200, .input = &Shapes::kShelfInput, .output = &Shapes::kSpecialShelfOutput, .action = "shelf:SpecialShelf", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
    {.name = "WatchShelf", .method = "GET", .uri = "/shelves/{ShelfName}/watch", .http_status = 200, .has_output = true, .input = &Shapes::kShelfInput, .output = &Shapes::kWatchShelfOutput, .action = "shelf:WatchShelf", .resource = "arn:aws:shelf:{Region}:{Account}:shelf/{ShelfName}"},
};

constexpr am::Service kService = {.name = "shelf", .signing_name = "shelf", .service_id = "Shelf", .protocol = am::Protocol::kRestJson, .target_prefix = "Shelf_20200102", .api_version = "2020-01-02", .xml_namespace = "https://shelf.example/doc/2020-01-02/", .validation_code = "ShelfValidation", .operations = kOperations, .errors = kErrors};

}  // namespace

const aws::model::Service& Service() {
    return kService;
}

const aws::model::Operation& CreateShelf::Descriptor() {
    return kOperations[1];
}

const aws::model::Operation& DeleteShelf::Descriptor() {
    return kOperations[2];
}

const aws::model::Operation& GetPage::Descriptor() {
    return kOperations[3];
}

const aws::model::Operation& ListShelves::Descriptor() {
    return kOperations[4];
}

const aws::model::Operation& Ping::Descriptor() {
    return kOperations[5];
}

const aws::model::Operation& PutPage::Descriptor() {
    return kOperations[6];
}

const aws::model::Operation& RenameShelf::Descriptor() {
    return kOperations[7];
}

const aws::model::Operation& SpecialShelf::Descriptor() {
    return kOperations[9];
}

const aws::model::Operation& WatchShelf::Descriptor() {
    return kOperations[10];
}

}  // namespace hearth::shelf::model

// Literal requests and answers of each protocol, over the invented interface "shelf".
#include "aws/protocol/protocol.h"

#include "aws/protocol/event_stream.h"
#include "codec/event_stream/event_stream.h"

#include "gen/shelf/operations.gen.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hearth::aws::protocol {
namespace {

namespace shelf = hearth::shelf::model;
using model::Protocol;

model::Service Speaking(Protocol protocol) {
    model::Service service = shelf::Service();
    service.protocol = protocol;
    return service;
}

template <class Op>
Result<typename Op::Input> Decode(const model::Service& service, const RequestParts& request) {
    HEARTH_TRY(const Match match, FindOperation(service, request));
    EXPECT_EQ(match.operation->name, Op::Descriptor().name);
    typename Op::Input input;
    HEARTH_RETURN_IF_ERROR(DecodeRequest(service, match, request, &input));
    return input;
}

std::string Header(const Answer& answer, std::string_view name) {
    for (const auto& [key, value] : answer.headers) {
        if (key == name) {
            return value;
        }
    }
    return "(none)";
}

WallClock::time_point At(int64_t unix_ms) {
    return WallClock::time_point(std::chrono::milliseconds(unix_ms));
}

const Headers kCreateShelfTarget = {{"x-amz-target", "Shelf_20200102.CreateShelf"}};

Result<shelf::CreateShelfInput> DecodeJson(std::string_view body) {
    return Decode<shelf::CreateShelf>(
        Speaking(Protocol::kJson11),
        {.method = "POST", .path = "/", .query = {}, .headers = kCreateShelfTarget, .body = body});
}

std::string JsonError(std::string_view body) {
    const auto input = DecodeJson(body);
    return input.ok() ? "ok" : input.error().code() + ": " + input.error().message();
}

Result<shelf::CreateShelfInput> DecodeForm(std::string_view body) {
    return Decode<shelf::CreateShelf>(
        Speaking(Protocol::kQuery),
        {.method = "POST", .path = "/", .query = {}, .headers = {}, .body = body});
}

shelf::Shelf FullShelf() {
    shelf::Shelf output;
    output.shelf_name = "sci<fi>";
    output.height = 7;
    output.weight = 1.5;
    output.serial = 9007199254740993;
    output.open = true;
    output.since = At(1'769'853'600'500);
    output.since_text = At(1'769'853'600'000);
    output.label = "\x01\xff";
    output.colours = {{"red", "green"}};
    output.books.emplace();
    shelf::Book& book = output.books->emplace_back();
    book.title = "A";
    book.sequel = std::make_shared<shelf::Book>();
    book.sequel->title = "B";
    output.notes = {{{"a", "x"}, {"b", "y"}}};
    return output;
}

TEST(Json, ReadsEveryTypeOfMember) {
    const auto input = DecodeJson(R"({"ShelfName":"scifi","KMSKeyArn":null,"Height":7,"Weight":2,
        "Serial":9007199254740993,"Open":true,"Since":1769853600.5,
        "SinceText":"2026-01-31T10:00:00Z",
        "Label":"AP8=","Colours":["red"],"Books":[{"Title":"A","Sequel":{"Title":"B"}}],
        "Notes":{"a":"x"},"default":"d","Unknown":[{"deep":1}]})");
    ASSERT_TRUE(input.ok()) << input.error().message();
    EXPECT_EQ(input->shelf_name, "scifi");
    EXPECT_FALSE(input->kms_key_arn.has_value());
    EXPECT_EQ(input->height, 7);
    EXPECT_EQ(input->weight, 2.0);
    EXPECT_EQ(input->serial, 9007199254740993);
    EXPECT_EQ(input->open, true);
    EXPECT_EQ(input->since, At(1'769'853'600'500));
    EXPECT_EQ(input->since_text, At(1'769'853'600'000));
    EXPECT_EQ(input->label, std::string("\0\xff", 2));
    EXPECT_EQ(input->colours->at(0), "red");
    EXPECT_EQ(input->books->at(0).sequel->title, "B");
    EXPECT_EQ(input->notes->at("a"), "x");
    EXPECT_EQ(input->default_, "d");
}

TEST(Json, WritesEveryTypeOfMember) {
    const auto output = FullShelf();
    const Answer answer = EncodeResponse(
        Speaking(Protocol::kJson11), shelf::CreateShelf::Descriptor(), &output, "id-1");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(
        answer.body,
        R"({"ShelfName":"sci<fi>","Height":7,"Weight":1.5,"Serial":9007199254740993,"Open":true,)"
        R"("Since":1769853600.5,"SinceText":"2026-01-31T10:00:00Z","Label":"Af8=",)"
        R"("Colours":["red","green"],"Books":[{"Title":"A","Sequel":{"Title":"B"}}],)"
        R"("Notes":{"a":"x","b":"y"}})");
    EXPECT_EQ(Header(answer, "Content-Type"), "application/x-amz-json-1.1");
    EXPECT_EQ(Header(answer, "x-amzn-RequestId"), "id-1");

    const shelf::PingOutput nothing;
    EXPECT_EQ(
        EncodeResponse(Speaking(Protocol::kJson10), shelf::Ping::Descriptor(), &nothing, "").body,
        "");
}

TEST(Json, WrongTypesAreSerializationExceptions) {
    EXPECT_EQ(
        JsonError(R"({"ShelfName":5})"),
        "SerializationException: NUMBER_VALUE can not be converted to a String");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":true})"),
        "SerializationException: TRUE_VALUE can not be converted to a String");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":{}})"),
        "SerializationException: Start of structure or map found where not expected.");
    EXPECT_EQ(
        JsonError(R"({"Height":"7"})"),
        "SerializationException: STRING_VALUE can not be converted to an Integer");
    EXPECT_EQ(
        JsonError(R"({"Height":3000000000})"),
        "SerializationException: NUMBER_VALUE can not be converted to an Integer");
    EXPECT_EQ(JsonError(R"({"Colours":"red"})"), "SerializationException: Expected list or null");
    EXPECT_EQ(JsonError(R"({"Notes":[]})"), "SerializationException: Expected map or null");
    EXPECT_EQ(JsonError(R"({"Books":[1]})"), "SerializationException: Expected structure or null");
    EXPECT_EQ(
        JsonError(R"({"Label":"*"})"),
        "SerializationException: Unable to decode the base64 of a blob");
    EXPECT_TRUE(JsonError("{").starts_with("SerializationException: Could not parse request body"));
    EXPECT_TRUE(JsonError("[]").starts_with("SerializationException"));
    std::string deep;
    for (int i = 0; i < 10'000; ++i) {
        deep += R"({"Sequel":)";
    }
    EXPECT_TRUE(JsonError(R"({"Books":[)" + deep).starts_with("SerializationException"));
}

TEST(Json, UnknownOperationsAreSaidSo) {
    const auto service = Speaking(Protocol::kJson11);
    for (const std::string_view target :
         {"", "CreateShelf", "Shelf_20200102.", "Shelf_20200102.Nothing", "Other.CreateShelf"}) {
        const Headers headers = {{"x-amz-target", std::string(target)}};
        const auto match =
            FindOperation(service, {.method = "POST", .path = "/", .headers = headers});
        ASSERT_FALSE(match.ok()) << target;
        EXPECT_EQ(match.error().code(), "UnknownOperationException");
    }
    const Headers known = {{"x-amz-target", "Shelf_20200102.BurnShelf"}};
    const auto match = FindOperation(service, {.method = "POST", .path = "/", .headers = known});
    ASSERT_TRUE(match.ok());
    EXPECT_TRUE(match->operation->known_only());
    EXPECT_EQ(NotImplemented(service, *match->operation).http_status(), 501);
}

TEST(Validation, SaysWhatAwsSays) {
    EXPECT_EQ(
        JsonError("{}"),
        "ShelfValidation: 1 validation error detected: Value null at 'shelfName' failed to satisfy "
        "constraint: Member must not be null");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"A_very_long_name","Height":0})"),
        "ShelfValidation: 3 validation errors detected: Value 'A_very_long_name' at 'shelfName' "
        "failed to satisfy constraint: Member must have length less than or equal to 8; Value "
        "'A_very_long_name' at 'shelfName' failed to satisfy constraint: Member must satisfy "
        "regular "
        "expression pattern: (?!aws)[\\u0061-\\u007Ae0-9:/]+; Value '0' at 'height' failed to "
        "satisfy "
        "constraint: Member must have value greater than or equal to 1");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"ab","Height":901})"),
        "ShelfValidation: 1 validation error detected: Value '901' at 'height' failed to satisfy "
        "constraint: Member must have value less than or equal to 900");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"ab","Colours":["red","blue"]})"),
        "ShelfValidation: 1 validation error detected: Value '[red, blue]' at 'colours' failed to "
        "satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: "
        "[red, green]]");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"ab","Books":[{"Title":"A"},{"Title":"","Sequel":{}}]})"),
        "ShelfValidation: 3 validation errors detected: Value '' at 'books.2.member.title' failed "
        "to "
        "satisfy constraint: Member must have length greater than or equal to 1; Value '' at "
        "'books.2.member.title' failed to satisfy constraint: Member must satisfy regular "
        "expression "
        "pattern: [\\u0041-\\u005A].*; Value null at 'books.2.member.sequel.title' failed to "
        "satisfy "
        "constraint: Member must not be null");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"ab","Notes":{"a":"123456","B":"x"}})"),
        "ShelfValidation: 2 validation errors detected: Value '{B=x, a=123456}' at 'notes' failed "
        "to "
        "satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular "
        "expression pattern: [a-z]+]; Value '{B=x, a=123456}' at 'notes' failed to satisfy "
        "constraint: Map value must satisfy constraint: [Member must have length less than or "
        "equal "
        "to 5]");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"ab","Notes":{"a":"","b":"","c":""}})"),
        "ShelfValidation: 1 validation error detected: Value '{a=, b=, c=}' at 'notes' failed to "
        "satisfy constraint: Member must have length less than or equal to 2");
    EXPECT_EQ(
        JsonError(R"({"ShelfName":"ab","Secret":"12345"})"),
        "ShelfValidation: 1 validation error detected: Value at 'secret' failed to satisfy "
        "constraint: Member must have length less than or equal to 4");
    EXPECT_EQ(JsonError(R"({"ShelfName":"ab","Notes":{"a":"ääää"}})"), "ok");
}

TEST(Validation, RestServicesListNullToo) {
    shelf::CreateShelfInput input;
    input.shelf_name = "ab";
    input.colours = {{"blue"}};
    const auto status =
        ValidateInput(shelf::Service(), *shelf::CreateShelf::Descriptor().input, &input);
    EXPECT_EQ(
        status.error().message(),
        "1 validation error detected: Value '[blue]' at 'colours' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [red, green], Member "
        "must not be null]");
}

TEST(Query, ReadsNestedParameters) {
    const auto input = DecodeForm(
        "Action=CreateShelf&Version=2020-01-02&ShelfName=sci%3Afi&Height=7&Weight=1.5&Open=true"
        "&Since=2026-01-31T10%3A00%3A00Z&Label=AP8%3D&Colours.member.2=green&Colours.member.1=red"
        "&Books.member.10.Title=J&Books.member.2.Title=B&Books.member.2.Sequel.Title=C"
        "&Notes.entry.1.key=a&Notes.entry.1.value=x+y&Unknown.member.1=z");
    ASSERT_TRUE(input.ok()) << input.error().message();
    EXPECT_EQ(input->shelf_name, "sci:fi");
    EXPECT_EQ(input->height, 7);
    EXPECT_EQ(input->weight, 1.5);
    EXPECT_EQ(input->open, true);
    EXPECT_EQ(input->since, At(1'769'853'600'000));
    EXPECT_EQ(input->label, std::string("\0\xff", 2));
    EXPECT_EQ(*input->colours, (std::vector<std::string>{"red", "green"}));
    EXPECT_EQ(input->books->at(0).sequel->title, "C");
    EXPECT_EQ(input->books->at(1).title, "J");
    EXPECT_EQ(input->notes->at("a"), "x y");
}

TEST(Query, EmptyListsAreSet) {
    const auto input = DecodeForm("Action=CreateShelf&ShelfName=ab&Colours=");
    ASSERT_TRUE(input.ok());
    ASSERT_TRUE(input->colours.has_value());
    EXPECT_TRUE(input->colours->empty());
    EXPECT_FALSE(input->books.has_value());
}

TEST(Query, WritesXml) {
    const auto output = FullShelf();
    const Answer answer = EncodeResponse(
        Speaking(Protocol::kQuery), shelf::CreateShelf::Descriptor(), &output, "id-1");
    EXPECT_EQ(
        answer.body,
        R"(<CreateShelfResponse xmlns="https://shelf.example/doc/2020-01-02/"><CreateShelfResult>)"
        "<ShelfName>sci&lt;fi&gt;</ShelfName><Height>7</Height><Weight>1.5</Weight>"
        "<Serial>9007199254740993</Serial><Open>true</Open><Since>2026-01-31T10:00:00Z</Since>"
        "<SinceText>2026-01-31T10:00:00Z</SinceText><Label>Af8=</Label>"
        "<Colours><member>red</member><member>green</member></Colours>"
        "<Books><member><Title>A</Title><Sequel><Title>B</Title></Sequel></member></Books>"
        "<Notes><entry><key>a</key><value>x</value></entry><entry><key>b</key><value>y</value></"
        "entry>"
        "</Notes></CreateShelfResult><ResponseMetadata><RequestId>id-1</RequestId></"
        "ResponseMetadata>"
        "</CreateShelfResponse>");
    EXPECT_EQ(Header(answer, "Content-Type"), "text/xml");

    const shelf::PingOutput nothing;
    EXPECT_EQ(
        EncodeResponse(Speaking(Protocol::kQuery), shelf::Ping::Descriptor(), &nothing, "r").body,
        R"(<PingResponse xmlns="https://shelf.example/doc/2020-01-02/"><ResponseMetadata>)"
        "<RequestId>r</RequestId></ResponseMetadata></PingResponse>");
}

TEST(Query, TextIsEscapedAndControlCharactersAreReplaced) {
    shelf::Shelf output;
    output.shelf_name =
        "a&b<c>\"d\"\r\n\te\x01"
        "é";
    const Answer answer =
        EncodeResponse(Speaking(Protocol::kQuery), shelf::CreateShelf::Descriptor(), &output, "");
    EXPECT_NE(
        answer.body.find("<ShelfName>a&amp;b&lt;c&gt;&quot;d&quot;&#xD;\n\te\xef\xbf\xbd"
                         "é</ShelfName>"),
        std::string::npos)
        << answer.body;
}

TEST(Query, RefusalsHaveTheirCodes) {
    const auto code = [](std::string_view body) {
        const auto input = DecodeForm(body);
        return input.ok() ? "ok" : input.error().code() + ": " + input.error().message();
    };
    EXPECT_EQ(
        code("Action=Nothing&Version=2020-01-02"),
        "InvalidAction: Could not find operation Nothing for version 2020-01-02");
    EXPECT_EQ(
        code("Action=CreateShelf&Version=2019-01-02"),
        "InvalidAction: Could not find operation CreateShelf for version 2019-01-02");
    EXPECT_TRUE(code("Version=2020-01-02").starts_with("MissingAction"));
    EXPECT_EQ(
        code("Action=CreateShelf&ShelfName=ab&Height=x"),
        "MalformedInput: Invalid value for Height");
    EXPECT_EQ(
        code("Action=CreateShelf&ShelfName.member.1=ab"),
        "MalformedInput: ShelfName is no structure");
    EXPECT_TRUE(code("Action=CreateShelf&ShelfName=%zz").starts_with("MalformedInput"));
    for (const char* index : {"0", "00", "2147483648", "99999999999999999999"}) {
        EXPECT_EQ(
            code(fmt::format("Action=CreateShelf&ShelfName=ab&Books.member.{}.Title=A", index)),
            fmt::format("MalformedInput: {} is not a valid index", index));
    }
    EXPECT_EQ(code("Action=CreateShelf&ShelfName=ab&Books.member.2147483647.Title=A"), "ok");
    std::string deep = "Action=CreateShelf&ShelfName=ab&Books.member.1";
    for (int i = 0; i < 1'000; ++i) {
        deep += ".Sequel";
    }
    EXPECT_EQ(code(deep + ".Title=A"), "MalformedInput: Parameters are nested too deep");
}

TEST(Query, ActionMayStandInTheQueryString) {
    EXPECT_EQ(QueryAction({.query = "Version=1&Action=Ping"}), "Ping");
    EXPECT_EQ(QueryAction({.query = "XAction=Ping", .body = "Action"}), "");
}

TEST(RestJson, FindsTheMostLiteralPath) {
    const auto name = [](std::string_view method, std::string_view path) -> std::string {
        const auto match = FindOperation(shelf::Service(), {.method = method, .path = path});
        if (!match.ok()) {
            return match.error().code();
        }
        std::string text(match->operation->name);
        for (const auto& [label, value] : match->labels) {
            text += fmt::format(" {}={}", label, value);
        }
        return text;
    };
    EXPECT_EQ(name("GET", "/shelves"), "ListShelves");
    EXPECT_EQ(name("GET", "/shelves/"), "ListShelves");
    EXPECT_EQ(name("POST", "/shelves"), "CreateShelf");
    EXPECT_EQ(name("POST", "/shelves/special/name"), "SpecialShelf");
    EXPECT_EQ(name("POST", "/shelves/x%2Fy%3Az/name"), "RenameShelf ShelfName=x/y:z");
    EXPECT_EQ(name("GET", "/shelves/ab/pages/1/2%2F3/4"), "GetPage ShelfName=ab Path=1/2/3/4");
    EXPECT_EQ(name("GET", "/shelves/ab/pages/"), "UnknownOperationException");
    EXPECT_EQ(name("POST", "/shelves//name"), "UnknownOperationException");
    EXPECT_EQ(name("PATCH", "/shelves"), "UnknownOperationException");
    EXPECT_EQ(name("GET", "/" + std::string(10'000, '/')), "UnknownOperationException");
    EXPECT_EQ(name("GET", ""), "UnknownOperationException");
    EXPECT_EQ(name("POST", "/shelves/%zz/name"), "SerializationException");
}

TEST(RestJson, AFixedParameterChoosesBetweenOperationsOfOnePath) {
    const auto name = [](std::string_view query) {
        return FindOperation(
                   shelf::Service(), {.method = "GET", .path = "/shelves", .query = query})
            ->operation->name;
    };
    EXPECT_EQ(name(""), "ListShelves");
    EXPECT_EQ(name("find=some"), "ListShelves");
    EXPECT_EQ(name("xfind=all"), "ListShelves");
    EXPECT_EQ(name("maxItems=1&find=all"), "SearchShelves");
}

TEST(RestJson, ReadsLabelsQueryHeadersAndPayload) {
    const Headers headers = {{"x-shelf-mode", "red"}};
    const auto put = Decode<shelf::PutPage>(
        shelf::Service(),
        {.method = "PUT",
         .path = "/shelves/ab/pages/p",
         .headers = headers,
         .body = R"({"Title":"A","Pages":3})"});
    ASSERT_TRUE(put.ok()) << put.error().message();
    EXPECT_EQ(put->shelf_name, "ab");
    EXPECT_EQ(put->mode, "red");
    EXPECT_EQ(put->page->pages, 3);

    const auto list = Decode<shelf::ListShelves>(
        shelf::Service(),
        {.method = "GET",
         .path = "/shelves",
         .query = "maxItems=5&tag=red&tag=green&full=true&x=y"});
    ASSERT_TRUE(list.ok()) << list.error().message();
    EXPECT_EQ(list->max_items, 5);
    EXPECT_EQ(list->full, true);
    EXPECT_EQ(*list->tags, (std::vector<std::string>{"red", "green"}));

    const auto bad = Decode<shelf::ListShelves>(
        shelf::Service(), {.method = "GET", .path = "/shelves", .query = "maxItems=many"});
    EXPECT_EQ(bad.error().code(), "SerializationException");

    const Headers since = {{"if-modified-since", "Sat, 31 Jan 2026 10:00:00 GMT"}};
    const auto get = Decode<shelf::GetPage>(
        shelf::Service(), {.method = "GET", .path = "/shelves/ab/pages/p", .headers = since});
    ASSERT_TRUE(get.ok());
    EXPECT_EQ(get->since, At(1'769'853'600'000));
}

TEST(RestJson, WritesHeadersStatusAndPayload) {
    shelf::GetPageOutput output;
    output.body = "raw\0bytes";
    output.status = 203;
    output.note = "line\r\nSet-Cookie: x";
    output.changed = At(1'769'853'600'000);
    const Answer answer =
        EncodeResponse(shelf::Service(), shelf::GetPage::Descriptor(), &output, "id");
    EXPECT_EQ(answer.status, 203);
    EXPECT_EQ(answer.body, *output.body);
    EXPECT_EQ(Header(answer, "x-shelf-note"), "line  Set-Cookie: x");
    EXPECT_EQ(Header(answer, "last-modified"), "Sat, 31 Jan 2026 10:00:00 GMT");

    const shelf::Shelf created;
    EXPECT_EQ(
        EncodeResponse(shelf::Service(), shelf::CreateShelf::Descriptor(), &created, "id").status,
        201);
    const shelf::DeleteShelfOutput deleted;
    const Answer nothing =
        EncodeResponse(shelf::Service(), shelf::DeleteShelf::Descriptor(), &deleted, "id");
    EXPECT_EQ(nothing.status, 204);
    EXPECT_EQ(nothing.body, "");
    EXPECT_EQ(
        EncodeResponse(shelf::Service(), shelf::CreateShelf::Descriptor(), &created, "id", 202)
            .status,
        202);
}

TEST(EventStreams, FollowTheirHead) {
    shelf::WatchShelfOutput output;
    output.note = "n";
    const Answer answer =
        EncodeResponse(shelf::Service(), shelf::WatchShelf::Descriptor(), &output, "id");
    EXPECT_EQ(Header(answer, "Content-Type"), "application/vnd.amazon.eventstream");
    EXPECT_EQ(Header(answer, "x-shelf-note"), "n");
    EXPECT_EQ(answer.body, "");

    const model::Shape& stream = *shelf::WatchShelf::Descriptor().output->Payload()->shape;
    shelf::ShelfEvents read;
    read.read.emplace().body = std::string("raw\0bytes", 9);
    shelf::ShelfEvents closed;
    closed.closed.emplace().why = "late";
    const std::string bytes = EncodeEvent(stream, &read) + EncodeEvent(stream, &closed);
    std::string_view rest = bytes;
    auto first = codec::DecodeEvent(rest);
    ASSERT_TRUE(first.ok() && first->has_value());
    EXPECT_EQ((*first)->payload, *read.read->body);
    EXPECT_EQ((*first)->Find(":event-type")->text, "Read");
    EXPECT_EQ((*first)->Find(":content-type")->text, "application/octet-stream");
    EXPECT_EQ((*first)->Find(":message-type")->text, "event");
    auto second = codec::DecodeEvent(rest);
    ASSERT_TRUE(second.ok() && second->has_value());
    EXPECT_EQ((*second)->payload, R"({"Why":"late"})");
    EXPECT_EQ((*second)->Find(":event-type")->text, "Closed");
    EXPECT_EQ((*second)->Find(":content-type")->text, "application/json");
    EXPECT_TRUE(rest.empty());
}

TEST(Errors, HaveTheFormOfTheProtocol) {
    const auto error = [] {
        return Error(Error::Kind::kNotFound, "ShelfNotFound", "No <shelf>", 404)
            .WithField("Type", "User");
    };
    const Answer rest = EncodeError(shelf::Service(), error(), "id");
    EXPECT_EQ(rest.status, 404);
    EXPECT_EQ(rest.body, R"({"Type":"User","message":"No <shelf>"})");
    EXPECT_EQ(Header(rest, "x-amzn-ErrorType"), "ShelfNotFound");
    EXPECT_EQ(Header(rest, "x-amzn-RequestId"), "id");
    const Answer json = EncodeError(Speaking(Protocol::kJson10), error(), "id");
    EXPECT_EQ(json.body, R"({"__type":"ShelfNotFound","Type":"User","message":"No <shelf>"})");
    EXPECT_EQ(Header(json, "Content-Type"), "application/x-amz-json-1.0");
    const Answer query = EncodeError(Speaking(Protocol::kQuery), error(), "id");
    EXPECT_EQ(
        query.body,
        R"(<ErrorResponse xmlns="https://shelf.example/doc/2020-01-02/"><Error><Type>Sender</Type>)"
        "<Code>ShelfNotFound</Code><Message>No &lt;shelf&gt;</Message><Type>User</Type></Error>"
        "<RequestId>id</RequestId></ErrorResponse>");
}

TEST(Errors, TheTextIsSpelledAsTheModelSays) {
    const Error error(Error::Kind::kUnavailable, "ShelfBrokenException", "It broke", 500);
    EXPECT_EQ(EncodeError(shelf::Service(), error, "id").body, R"({"Message":"It broke"})");
}

TEST(Errors, InternalTextsStayInside) {
    const Error error = errors::Internal("/var/lib/secret: I/O error");
    for (const Protocol protocol :
         {Protocol::kJson11, Protocol::kRestJson, Protocol::kQuery, Protocol::kJson10}) {
        const Answer answer = EncodeError(Speaking(protocol), error, "id");
        EXPECT_EQ(answer.status, 500);
        EXPECT_EQ(answer.body.find("secret"), std::string::npos) << answer.body;
    }
    EXPECT_EQ(EncodeErrorWithoutService(errors::Unavailable("x"), "id").status, 503);
}

TEST(Tables, PatternsCompile) {
    for (const model::Operation& operation : shelf::Service().operations) {
        if (operation.known_only()) {
            continue;
        }
        for (const model::Member& member : operation.input->members) {
            EXPECT_TRUE(member.shape->pattern == nullptr || member.shape->pattern->Compiles())
                << member.shape->pattern->text();
        }
    }
}

}  // namespace
}  // namespace hearth::aws::protocol

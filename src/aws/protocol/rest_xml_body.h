#pragma once

#include "aws/model/descriptor.h"
#include "aws/protocol/xml.h"
#include "base/result.h"

#include <string_view>

// Values of shapes as XML elements.
namespace hearth::aws::protocol {

// Reads a document whose root is `root` into a structure. Elements come in any order, each at most
// once unless it is of a list; an element that the shape does not have is an error, as in S3, which
// checks bodies against a schema.
//   errors  MalformedXML
Status DecodeXmlBody(
    std::string_view body, std::string_view root, const model::Shape& shape, void* out);

// The document of a structure. `root` may be another name than the shape's.
std::string EncodeXmlBody(
    std::string_view root,
    std::string_view xml_namespace,
    const model::Shape& shape,
    const void* structure);

// The document of one scalar: <LocationConstraint>eu-west-1</LocationConstraint>. `value` may be
// null.
std::string EncodeXmlScalarBody(
    std::string_view root,
    std::string_view xml_namespace,
    const model::Shape& shape,
    const void* value);

}  // namespace hearth::aws::protocol

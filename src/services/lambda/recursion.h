#pragma once

#include "base/error.h"

#include <cstdint>
#include <string>
#include <string_view>

// Recursive loops: a function that, through others or directly, calls itself without end.
//
// The trace header of a call that a function makes (X-Amzn-Trace-Id, which AWS's SDKs send along
// inside functions) carries a member Lineage: for each function of the chain how often it has run
// before, as "Lineage=a87bd80c:0|68fd508a:5". A client that leaves the header away is not seen, as
// on AWS; one that forges it harms its own call alone.
// Source: Lambda Developer Guide, "Recursive loop detection"; the member's form: AWS Compute Blog,
// "Detecting and stopping recursive loops in AWS Lambda functions".
namespace hearth::lambda {

// A function that Lambda terminates runs this often in one chain.
inline constexpr int32_t kRecursionsMax = 16;

// Notes one more run of a function in the chain.
//   trace_header  changed in place; stays empty when it is
//   function_arn  who is called; a qualifier does not matter
//   caller_arn    the function that calls; empty: a client outside
//   returns       how often the function has run in this chain before
int32_t ExtendLineage(
    std::string& trace_header, std::string_view function_arn, std::string_view caller_arn);

// RecursiveInvocationException
Error RecursiveInvocation();

}  // namespace hearth::lambda

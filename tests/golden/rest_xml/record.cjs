// Prints what the JavaScript SDK sends for the operations that come as JSON on standard input.
// Run by record.py.
"use strict";

const path = require("node:path");
const modules = process.argv[2];
const s3 = require(path.join(modules, "@aws-sdk/client-s3"));

function withDates(value) {
    if (Array.isArray(value)) {
        return value.map(withDates);
    }
    if (value !== null && typeof value === "object") {
        if ("$date" in value) {
            return new Date(value.$date);
        }
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withDates(item)]));
    }
    return value;
}

async function main() {
    let text = "";
    for await (const piece of process.stdin) {
        text += piece;
    }
    const sent = [];
    const client = new s3.S3Client({
        region: "us-east-1",
        endpoint: "http://127.0.0.1:4566",
        forcePathStyle: true,
        followRegionRedirects: false,
        maxAttempts: 1,
        requestHandler: {
            metadata: { handlerProtocol: "http/1.1" },
            async handle(request) {
                sent.push(request);
                throw new Error("only the request counts");
            },
        },
    });
    const rows = [];
    for (const { operation, input } of JSON.parse(text)) {
        try {
            await client.send(new s3[`${operation}Command`](withDates(input)));
        } catch (error) {
            if (error.message !== "only the request counts") {
                throw error;
            }
        }
        const request = sent.pop();
        const query = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
            (Array.isArray(value) ? value : [value]).map((one) =>
                one === null || one === ""
                    ? `${encodeURIComponent(name)}${one === null ? "" : "="}`
                    : `${encodeURIComponent(name)}=${encodeURIComponent(one)}`,
            ),
        );
        rows.push({
            method: request.method,
            target: request.path + (query.length > 0 ? `?${query.join("&")}` : ""),
            headers: request.headers,
            body: request.body === undefined ? "" : String(request.body),
        });
    }
    process.stdout.write(JSON.stringify(rows));
}

main();

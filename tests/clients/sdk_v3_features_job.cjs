// Layers, permissions, a function URL, streaming and concurrency with the AWS SDK for JavaScript v3, unchanged.
//
// usage: node sdk_v3_features_job.cjs SDK_DIRECTORY FUNCTION.zip LAYER.zip   (AWS_ENDPOINT_URL and credentials in the
// environment). Prints one JSON object of what it saw; the Python test judges it.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const sdk = createRequire(path.join(path.resolve(process.argv[2]), "index.js"));
const lambda = sdk("@aws-sdk/client-lambda");
const { SignatureV4 } = sdk("@smithy/signature-v4");

const options = { endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION, maxAttempts: 1 };
const text = (bytes) => Buffer.from(bytes).toString("utf8");
const FunctionName = "features";

// GET of a URL whose host is not in any name server: the Hearth is at the endpoint's address.
function get(url, more = {}) {
    const { host, pathname, search } = new URL(url);
    const { hostname, port } = new URL(process.env.AWS_ENDPOINT_URL);
    const headers = { Host: host, ...more };
    return new Promise((resolve, reject) => {
        const request = http.get({ hostname, port, path: pathname + search, headers }, (answer) => {
            const chunks = [];
            answer.on("data", (chunk) => chunks.push(chunk));
            answer.on("end", () => resolve({ status: answer.statusCode, body: text(Buffer.concat(chunks)) }));
            answer.on("error", reject);
        });
        request.on("error", reject);
    });
}

// The headers that sign a GET of the URL, made by the SDK.
async function signature(url, credentials) {
    const { host, pathname, searchParams } = new URL(url);
    const hash = sdk("@aws-crypto/sha256-js").Sha256;
    const signer = new SignatureV4({ service: "lambda", region: options.region, credentials, sha256: hash });
    const request = { method: "GET", protocol: "http:", hostname: host, path: pathname, headers: { host } };
    return (await signer.sign({ ...request, query: Object.fromEntries(searchParams) })).headers;
}

async function stream(functions, event) {
    const answer = await functions.send(
        new lambda.InvokeWithResponseStreamCommand({ FunctionName, Payload: Buffer.from(JSON.stringify(event)) }),
    );
    const chunks = [];
    let end;
    for await (const part of answer.EventStream) {
        if (part.PayloadChunk) {
            chunks.push(Buffer.from(part.PayloadChunk.Payload));
        }
        end = part.InvokeComplete ?? end;
    }
    return { text: text(Buffer.concat(chunks)), errorCode: end.ErrorCode, errorDetails: end.ErrorDetails };
}

async function main() {
    const seen = {};
    const functions = new lambda.LambdaClient(options);

    const layer = await functions.send(
        new lambda.PublishLayerVersionCommand({
            LayerName: "words",
            CompatibleRuntimes: ["nodejs20.x"],
            Content: { ZipFile: readFileSync(process.argv[4]) },
        }),
    );
    seen.layer = { arn: layer.LayerVersionArn, version: layer.Version };
    await functions.send(
        new lambda.CreateFunctionCommand({
            FunctionName,
            Runtime: "nodejs20.x",
            Handler: "index.handler",
            Role: "arn:aws:iam::000000000000:role/any",
            Code: { ZipFile: readFileSync(process.argv[3]) },
            Layers: [layer.LayerVersionArn],
        }),
    );
    await lambda.waitUntilFunctionActiveV2({ client: functions, maxWaitTime: 120 }, { FunctionName });
    seen.layers = (await functions.send(new lambda.GetFunctionConfigurationCommand({ FunctionName }))).Layers.map(
        (one) => one.Arn,
    );

    seen.streamed = await stream(functions, { name: "phage" });
    seen.broken = await stream(functions, { fail: true });

    const url = await functions.send(
        new lambda.CreateFunctionUrlConfigCommand({
            FunctionName,
            AuthType: "NONE",
            InvokeMode: "RESPONSE_STREAM",
        }),
    );
    seen.url = url.FunctionUrl;
    seen.withoutPermission = (await get(url.FunctionUrl)).status;
    const statement = (StatementId, Action, more) =>
        functions.send(new lambda.AddPermissionCommand({ FunctionName, StatementId, Action, Principal: "*", ...more }));
    await statement("url", "lambda:InvokeFunctionUrl", { FunctionUrlAuthType: "NONE" });
    await statement("function", "lambda:InvokeFunction", { InvokedViaFunctionUrl: true });
    seen.policy = JSON.parse((await functions.send(new lambda.GetPolicyCommand({ FunctionName }))).Policy);
    seen.withPermission = await get(`${url.FunctionUrl}?name=url`);
    await functions.send(new lambda.RemovePermissionCommand({ FunctionName, StatementId: "url" }));
    await functions.send(new lambda.RemovePermissionCommand({ FunctionName, StatementId: "function" }));
    seen.afterRemoval = (await get(url.FunctionUrl)).status;

    await functions.send(new lambda.UpdateFunctionUrlConfigCommand({ FunctionName, AuthType: "AWS_IAM" }));
    const named = `${url.FunctionUrl}?name=signed`;
    seen.unsigned = (await get(named)).status;
    seen.signed = await get(named, await signature(named, await functions.config.credentials()));
    seen.signedForAnother = (await get(named, await signature(url.FunctionUrl, await functions.config.credentials()))).status;
    await functions.send(new lambda.DeleteFunctionUrlConfigCommand({ FunctionName }));

    const put = (ReservedConcurrentExecutions) =>
        functions.send(new lambda.PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions }));
    seen.reserved = (await put(0)).ReservedConcurrentExecutions;
    try {
        await functions.send(new lambda.InvokeCommand({ FunctionName }));
    } catch (error) {
        seen.throttled = { name: error.name, reason: error.Reason, status: error.$metadata.httpStatusCode };
    }
    await functions.send(new lambda.DeleteFunctionConcurrencyCommand({ FunctionName }));
    seen.again = (await stream(functions, { name: "again" })).text;

    await functions.send(new lambda.DeleteFunctionCommand({ FunctionName }));
    await functions.send(new lambda.DeleteLayerVersionCommand({ LayerName: "words", VersionNumber: layer.Version }));
    console.log(JSON.stringify(seen));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

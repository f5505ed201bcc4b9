// A day's work with the AWS SDK for JavaScript v3, unchanged: role, function, version, alias, calls, logs.
//
// usage: node sdk_v3_job.cjs SDK_DIRECTORY FUNCTION.zip     (AWS_ENDPOINT_URL and credentials in the environment)
// Prints one JSON object of what it saw; the Python test judges it.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const path = require("node:path");

const sdk = createRequire(path.join(path.resolve(process.argv[2]), "index.js"));
const lambda = sdk("@aws-sdk/client-lambda");
const iam = sdk("@aws-sdk/client-iam");
const sts = sdk("@aws-sdk/client-sts");
const logs = sdk("@aws-sdk/client-cloudwatch-logs");

// Given to each client: old environments ignore AWS_ENDPOINT_URL, and no call may leave for the real AWS.
const options = {
    endpoint: process.env.AWS_ENDPOINT_URL,
    region: process.env.AWS_REGION,
    maxAttempts: 1,
};

const text = (bytes) => Buffer.from(bytes).toString("utf8");

async function main() {
    const seen = { node: process.versions.node };
    const roles = new iam.IAMClient(options);
    const functions = new lambda.LambdaClient(options);
    const identity = new sts.STSClient(options);
    const watch = new logs.CloudWatchLogsClient(options);

    seen.identity = (await identity.send(new sts.GetCallerIdentityCommand({}))).Arn;

    const role = await roles.send(
        new iam.CreateRoleCommand({
            RoleName: "sdk-v3",
            AssumeRolePolicyDocument: JSON.stringify({
                Version: "2012-10-17",
                Statement: [
                    { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
                ],
            }),
        }),
    );
    await roles.send(
        new iam.AttachRolePolicyCommand({
            RoleName: "sdk-v3",
            PolicyArn: "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        }),
    );
    seen.role = role.Role.Arn;

    const FunctionName = "sdk-v3";
    await functions.send(
        new lambda.CreateFunctionCommand({
            FunctionName,
            Runtime: "nodejs20.x",
            Handler: "index.handler",
            Role: role.Role.Arn,
            Code: { ZipFile: readFileSync(process.argv[3]) },
            Environment: { Variables: { GREETING: "good day" } },
            Tags: { team: "tests" },
        }),
    );
    await lambda.waitUntilFunctionActiveV2({ client: functions, maxWaitTime: 120 }, { FunctionName });
    seen.tags = (await functions.send(new lambda.GetFunctionCommand({ FunctionName }))).Tags;

    const version = await functions.send(new lambda.PublishVersionCommand({ FunctionName }));
    seen.version = version.Version;
    await functions.send(
        new lambda.CreateAliasCommand({ FunctionName, Name: "live", FunctionVersion: version.Version }),
    );
    const answer = await functions.send(
        new lambda.InvokeCommand({
            FunctionName,
            Qualifier: "live",
            LogType: "Tail",
            Payload: Buffer.from(JSON.stringify({ name: "Höhle" })),
        }),
    );
    seen.executedVersion = answer.ExecutedVersion;
    seen.answer = JSON.parse(text(answer.Payload));
    seen.tail = Buffer.from(answer.LogResult, "base64").toString();

    const failed = await functions.send(
        new lambda.InvokeCommand({ FunctionName, Payload: Buffer.from(JSON.stringify({ fail: true })) }),
    );
    seen.functionError = failed.FunctionError;
    seen.failure = JSON.parse(text(failed.Payload));

    try {
        await functions.send(new lambda.GetFunctionCommand({ FunctionName: "not-there" }));
    } catch (error) {
        seen.missing = { name: error.name, status: error.$metadata.httpStatusCode, message: error.message };
    }

    const pages = [];
    for await (const page of lambda.paginateListVersionsByFunction(
        { client: functions, pageSize: 1 },
        { FunctionName },
    )) {
        pages.push(page.Versions.map((entry) => entry.Version));
    }
    seen.versionPages = pages;

    for (;;) {
        try {
            const found = await watch.send(
                new logs.FilterLogEventsCommand({
                    logGroupName: `/aws/lambda/${FunctionName}`,
                    filterPattern: '"greeting Höhle"',
                }),
            );
            if (found.events.length > 0) {
                seen.logged = found.events[0].message;
                break;
            }
        } catch (error) {
            if (error.name !== "ResourceNotFoundException") {
                throw error;
            }
        }
    }

    await functions.send(new lambda.DeleteFunctionCommand({ FunctionName }));
    try {
        await functions.send(new lambda.GetFunctionCommand({ FunctionName }));
    } catch (error) {
        seen.deleted = error.name;
    }
    console.log(JSON.stringify(seen));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

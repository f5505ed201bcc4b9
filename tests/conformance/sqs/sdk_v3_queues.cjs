// Queues with the AWS SDK for JavaScript v3, unchanged, which speaks JSON and checks the MD5 of what it gets.
//
// usage: node sdk_v3_queues.cjs SDK_DIRECTORY NAME     (AWS_ENDPOINT_URL and credentials in the environment)
// Prints one JSON object of what it saw; the Python test judges it.
const { createRequire } = require("node:module");
const path = require("node:path");

const sdk = createRequire(path.join(path.resolve(process.argv[2]), "index.js"));
const sqs = sdk("@aws-sdk/client-sqs");
const name = process.argv[3];

// Given by hand: no call may leave for the real AWS.
const client = new sqs.SQSClient({
    endpoint: process.env.AWS_ENDPOINT_URL,
    region: process.env.AWS_REGION,
    maxAttempts: 1,
});

const call = (command, input) => client.send(new sqs[`${command}Command`](input));

async function main() {
    const seen = {};
    const QueueUrl = (await call("CreateQueue", { QueueName: name, tags: { a: "b" } })).QueueUrl;
    seen.url = QueueUrl;
    seen.listed = (await call("ListQueues", { QueueNamePrefix: name })).QueueUrls;

    const sent = await call("SendMessage", {
        QueueUrl,
        MessageBody: "hello ä",
        MessageAttributes: {
            text: { DataType: "String", StringValue: "x" },
            bytes: { DataType: "Binary", BinaryValue: new Uint8Array([0, 1, 255]) },
        },
    });
    seen.sent = { id: sent.MessageId };
    const received = (
        await call("ReceiveMessage", {
            QueueUrl,
            MessageAttributeNames: ["All"],
            MessageSystemAttributeNames: ["All"],
            WaitTimeSeconds: 5,
        })
    ).Messages[0];
    seen.received = {
        id: received.MessageId,
        body: received.Body,
        attributes: {
            text: received.MessageAttributes.text.StringValue,
            bytes: Array.from(received.MessageAttributes.bytes.BinaryValue),
        },
        count: received.Attributes.ApproximateReceiveCount,
    };
    await call("ChangeMessageVisibility", { QueueUrl, ReceiptHandle: received.ReceiptHandle, VisibilityTimeout: 60 });
    await call("DeleteMessage", { QueueUrl, ReceiptHandle: received.ReceiptHandle });

    const batch = await call("SendMessageBatch", {
        QueueUrl,
        Entries: [
            { Id: "a", MessageBody: "one" },
            { Id: "b", MessageBody: "two" },
            { Id: "c", MessageBody: "\u0001" },
        ],
    });
    seen.batch = {
        successful: batch.Successful.map((entry) => entry.Id),
        failed: batch.Failed.map((entry) => [entry.Id, entry.Code]),
    };
    const handles = [];
    while (handles.length < 2) {
        const { Messages = [] } = await call("ReceiveMessage", { QueueUrl, MaxNumberOfMessages: 10 });
        handles.push(...Messages.map((message) => message.ReceiptHandle));
    }
    const deleted = await call("DeleteMessageBatch", {
        QueueUrl,
        Entries: handles.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle })),
    });
    seen.deleted = deleted.Successful.map((entry) => entry.Id).sort();
    seen.empty = (await call("ReceiveMessage", { QueueUrl })).Messages ?? null;

    const fifo = (
        await call("CreateQueue", {
            QueueName: `${name}.fifo`,
            Attributes: { FifoQueue: "true", ContentBasedDeduplication: "true" },
        })
    ).QueueUrl;
    for (const MessageBody of ["one", "two", "one"]) {
        await call("SendMessage", { QueueUrl: fifo, MessageBody, MessageGroupId: "g" });
    }
    const inOrder = await call("ReceiveMessage", { QueueUrl: fifo, MaxNumberOfMessages: 10 });
    seen.fifo = inOrder.Messages.map((message) => message.Body);

    try {
        await call("GetQueueUrl", { QueueName: "never" });
    } catch (error) {
        seen.missing = {
            name: error.constructor.name,
            code: error.Error?.Code ?? error.Code ?? error.name,
            status: error.$metadata.httpStatusCode,
            message: error.message,
        };
    }
    try {
        await call("SendMessage", { QueueUrl, MessageBody: "x", DelaySeconds: 901 });
    } catch (error) {
        seen.invalid = { name: error.name, message: error.message };
    }
    await call("DeleteQueue", { QueueUrl });
    console.log(JSON.stringify(seen));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

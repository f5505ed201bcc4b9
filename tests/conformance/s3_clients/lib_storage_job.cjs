// The AWS SDK for JavaScript v3 as it comes: an upload in parts side by side, read back, listed, deleted.
//
// usage: node lib_storage_job.cjs SDK_DIRECTORY BUCKET FILE     (AWS_ENDPOINT_URL and credentials in the environment)
const { createRequire } = require("node:module");
const { createReadStream, readFileSync } = require("node:fs");
const { createHash } = require("node:crypto");
const assert = require("node:assert");
const path = require("node:path");

const sdk = createRequire(path.join(path.resolve(process.argv[2]), "index.js"));
const s3 = sdk("@aws-sdk/client-s3");
const { Upload } = sdk("@aws-sdk/lib-storage");

const Bucket = process.argv[3];
const file = process.argv[4];

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function main() {
    const client = new s3.S3Client({
        endpoint: process.env.AWS_ENDPOINT_URL,
        region: process.env.AWS_REGION,
        forcePathStyle: true,
        maxAttempts: 1,
    });
    const upload = new Upload({
        client,
        params: { Bucket, Key: "uploaded", Body: createReadStream(file), ContentType: "x/y" },
        queueSize: 4,
        partSize: 5 * 1024 * 1024,
    });
    const done = await upload.done();
    assert.match(done.ETag, /^"[0-9a-f]{32}-5"$/);
    const got = await client.send(new s3.GetObjectCommand({ Bucket, Key: "uploaded" }));
    assert.equal(got.ContentType, "x/y");
    assert.equal(hash(await got.Body.transformToByteArray()), hash(readFileSync(file)));
    // A small one, with the check sums the SDK sends by itself, as a trailer where the length is not known.
    const small = await new Upload({ client, params: { Bucket, Key: "small", Body: "hello" } }).done();
    assert.equal(small.ETag, '"5d41402abc4b2a76b9719d911017c592"');
    await client.send(new s3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/small` }));
    const keys = [];
    for await (const page of s3.paginateListObjectsV2({ client, pageSize: 1 }, { Bucket })) {
        keys.push(...(page.Contents ?? []).map((entry) => entry.Key));
    }
    assert.deepEqual(keys, ["copy", "small", "uploaded"]);
    const deleted = await client.send(
        new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "copy" }, { Key: "small" }] } }),
    );
    assert.equal(deleted.Deleted.length, 2);
    // An upload that is given up leaves nothing.
    const aborted = new Upload({
        client,
        params: { Bucket, Key: "aborted", Body: createReadStream(file) },
        partSize: 5 * 1024 * 1024,
    });
    const result = aborted.done().then(
        () => "done",
        (error) => error.name,
    );
    await aborted.abort();
    assert.equal(await result, "AbortError");
    console.log("as it should be");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

// What the tests ask of the JavaScript SDK: `node driver.mjs COMMAND ARGUMENTS…`; the last line printed is JSON.

import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";

import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const settings = {
  endpoint: process.env.ENDPOINT,
  region: process.env.REGION,
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId: process.env.ACCESS_KEY, secretAccessKey: process.env.SECRET_KEY },
};
const client = new S3Client(settings);

async function* files(root) {
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield relative(root, join(entry.parentPath ?? entry.path, entry.name));
  }
}

async function listed(bucket, prefix) {
  const found = new Map();
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
    for (const { Key, Size } of page.Contents ?? []) found.set(Key, Size);
  }
  return found;
}

// A buffer, as most programs send; the library splits what is large.
async function put(bucket, key, path) {
  const body = (await stat(path)).size > 16 << 20 ? createReadStream(path) : await readFile(path);
  await new Upload({ client, params: { Bucket: bucket, Key: key, Body: body }, partSize: 8 << 20 }).done();
}

const commands = {
  async sync(bucket, prefix, root) {
    const there = await listed(bucket, prefix);
    let sent = 0;
    for await (const name of files(root)) {
      const path = join(root, name);
      if (there.get(prefix + name) === (await stat(path)).size) continue;
      await put(bucket, prefix + name, path);
      sent += 1;
    }
    return sent;
  },
  async download(bucket, prefix, root) {
    for (const key of (await listed(bucket, prefix)).keys()) {
      await commands.get(bucket, key, join(root, key.slice(prefix.length)));
    }
  },
  put,
  async get(bucket, key, path) {
    await mkdir(dirname(path), { recursive: true });
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: "ENABLED" }));
    await pipeline(Body, createWriteStream(path));
  },
  async range(bucket, key, first, last, path) {
    const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=${first}-${last}` }));
    await writeFile(path, await answer.Body.transformToByteArray());
  },
  async copy(bucket, from, to) {
    const source = `${bucket}/${from.split("/").map(encodeURIComponent).join("/")}`;
    await client.send(new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource: source }));
  },
  async remove(bucket, key) {
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  },
  async clear(bucket, prefix) {
    const keys = [...(await listed(bucket, prefix)).keys()];
    const Objects = keys.map((Key) => ({ Key }));
    const { Errors } = await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    if (Errors?.length) throw new Error(JSON.stringify(Errors));
  },
  async metadata(bucket, key) {
    await client.send(new PutObjectCommand({
      Bucket: bucket, Key: key, Body: "with metadata", ContentType: "text/x-test", ContentDisposition: 'attachment; filename="a b.txt"',
      CacheControl: "max-age=7", Metadata: { colour: "blue" }, ChecksumAlgorithm: "SHA256",
    }));
    const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: "ENABLED" }));
    const { ContentType, ContentDisposition, CacheControl, Metadata, ContentLength, ChecksumSHA256 } = head;
    return { ContentType, ContentDisposition, CacheControl, Metadata, ContentLength, ChecksumSHA256 };
  },
  // By default the SDK signs the checksum of an empty body into the address, which no other body fits.
  async presigned(bucket, key, checksums) {
    const signer = new S3Client({ ...settings, requestChecksumCalculation: checksums });
    const body = "through an address that was signed in advance";
    const target = await getSignedUrl(signer, new PutObjectCommand({ Bucket: bucket, Key: key }), { expiresIn: 60 });
    const stored = await fetch(target, { method: "PUT", body });
    const source = await getSignedUrl(signer, new GetObjectCommand({ Bucket: bucket, Key: key }), { expiresIn: 60 });
    const answer = await fetch(source);
    return { put: stored.status, get: answer.status, same: (await answer.text()) === body };
  },
};

const [command, ...rest] = process.argv.slice(2);
console.log(JSON.stringify((await commands[command](...rest)) ?? null));

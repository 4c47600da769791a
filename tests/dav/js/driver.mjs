// Writes, lists, reads whole, in part and as a stream, copies, moves and deletes.
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createClient } from "webdav";

const [url, username, password, source, back] = process.argv.slice(2);
const client = createClient(url, { username, password });
await client.createDirectory("/d");
await client.putFileContents("/d/a", readFileSync(source));
await new Promise((resolve, reject) => {
  const stream = client.createWriteStream("/d/s", {}, resolve);
  pipeline(createReadStream(source), stream).catch(reject);
});
await client.copyFile("/d/a", "/d/c");
await client.moveFile("/d/c", "/d/b");
const { size } = await client.stat("/d/b");
const chunks = [];
for await (const chunk of client.createReadStream("/d/a", { range: { start: 65531, end: 65540 } })) chunks.push(chunk);
writeFileSync(back, await client.getFileContents("/d/b"));
await client.deleteFile("/d/s");
const names = (await client.getDirectoryContents("/d")).map((entry) => entry.basename).sort();
console.log(JSON.stringify({ size, part: Buffer.concat(chunks).length, names, exists: await client.exists("/d/c") }));

// Writes, lists, reads whole and by a session, renames, sends mail and posts, with Microsoft's client for JavaScript.
// It knows no proxy: each of its connections is led to the port that stands for the Internet here.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Client, FileUpload, OneDriveLargeFileUploadTask } from "@microsoft/microsoft-graph-client";

const [port, place, source, back, text] = process.argv.slice(2);
const tls = createRequire(import.meta.url)("node:tls");
const connect = tls.connect;
tls.connect = (options, ...rest) => connect({ ...options, host: "127.0.0.1", port: Number(port), servername: options.servername ?? options.host }, ...rest);

const client = Client.init({ authProvider: (done) => done(null, "token-of-adele") });
const data = readFileSync(source);
const simple = data.subarray(0, 100_000);
const put = await client.api(`/me/drive/root:/${place}/simple.bin:/content`).put(simple);
const task = await OneDriveLargeFileUploadTask.createTaskWithFileObject(client, new FileUpload(data, "large.bin", data.length), {
  path: `/${place}`, fileName: "large.bin", rangeSize: 5 * 1024 * 1024, conflictBehavior: "replace",
});
const large = await task.upload();
const whole = await client.api(`/me/drive/items/${large.responseBody.id}/content`).responseType("arraybuffer").get();
writeFileSync(back, Buffer.from(whole));
await client.api(`/me/drive/items/${put.id}`).patch({ name: "renamed.bin" });
const listed = await client.api(`/me/drive/root:/${place}:/children`).select("name,size").get();
const batch = await client.api("/$batch").post({ requests: [
  { id: "1", method: "GET", url: `/me/drive/items/${put.id}` },
  { id: "2", method: "GET", url: `/me/drive/items/none`, dependsOn: ["1"] },
  { id: "3", method: "GET", url: `/me`, dependsOn: ["2"] },
] });
const subject = `from JavaScript ${place}`;
await client.api("/me/sendMail").post({ message: {
  subject, body: { contentType: "Text", content: text }, toRecipients: [{ emailAddress: { address: "adele@contoso.onmicrosoft.com" } }],
} });
const mails = await client.api("/me/messages").select("subject,body,bodyPreview").top(50).get();
const mail = mails.value.find((one) => one.subject === subject);
const [chat] = (await client.api("/me/chats").get()).value;
const posted = await client.api(`/chats/${chat.id}/messages`).post({ body: { content: text } });
const chatted = await client.api(`/chats/${chat.id}/messages/${posted.id}`).get();
console.log(JSON.stringify({
  simple: put.size, large: large.responseBody.size,
  names: listed.value.map(({ name, size }) => [name, size]).sort(),
  batch: Object.fromEntries(batch.responses.map(({ id, status }) => [id, status])),
  mail: [mail.body.content, mail.bodyPreview], chat: chatted.body.content,
}));

// PocketBase's JavaScript SDK, driven by the tests: one operation a run, its result as JSON on the last line.
import { readFile } from "node:fs/promises";
import PocketBase, { ClientResponseError } from "pocketbase";

const [operation, ...given] = process.argv.slice(2);
const client = new PocketBase(process.env.URL);
const notes = client.collection("notes");

const content = async (record) => {
  const answer = await fetch(client.files.getURL(record, record.document));
  return Buffer.from(await answer.arrayBuffer());
};

// Server-sent events, for which Node 20 has no client.
class Events {
  listeners = {};
  constructor(url) {
    this.stop = new AbortController();
    this.read(url).catch((error) => this.onerror?.(error));
  }
  addEventListener(name, listener) {
    (this.listeners[name] ??= []).push(listener);
  }
  removeEventListener(name, listener) {
    this.listeners[name] = this.listeners[name]?.filter((one) => one !== listener);
  }
  close() {
    this.stop.abort();
  }
  async read(url) {
    const answer = await fetch(url, { signal: this.stop.signal });
    let text = "";
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const event = Object.fromEntries(text.slice(0, end).split("\n").map((line) => line.split(/:(.*)/s)));
        const message = { lastEventId: event.id, data: event.data };
        for (const listener of this.listeners[event.event] ?? []) listener(message);
      }
    }
  }
}

const operations = {
  create: (record) => notes.create(JSON.parse(record)),
  view: (id) => notes.getOne(id),
  all: () => notes.getFullList({ sort: "id" }),
  equal: (title) => notes.getFullList({ filter: client.filter("(title={:title})", { title }) }),
  search: (text) => notes.getFullList({ filter: client.filter("title ~ {:text}", { text }) }),
  change: (id, record) => notes.update(id, JSON.parse(record)),
  // as an application does that shows a form with all of a record
  "write-back": async (id, change) => notes.update(id, { ...(await notes.getOne(id)), ...JSON.parse(change) }),
  delete: (id) => notes.delete(id),
  upload: async (record, path, name) =>
    notes.create({ ...JSON.parse(record), document: new File([await readFile(path)], name) }),
  replace: async (id, path, name) => notes.update(id, { document: new File([await readFile(path)], name) }),
  content: async (id) => (await content(await notes.getOne(id))).toString("base64"),
  events: async (record) => {
    globalThis.EventSource = Events;
    const seen = [];
    const done = new Promise((resolve) =>
      notes.subscribe("*", (event) => {
        seen.push([event.action, event.record.title, event.record.body]);
        if (event.action === "delete") resolve();
      }).then(async () => {
        const { id } = await notes.create(JSON.parse(record));
        await notes.update(id, { body: "changé" });
        await notes.delete(id);
      }),
    );
    await done;
    await notes.unsubscribe();
    return seen;
  },
};

try {
  console.log(JSON.stringify({ result: await operations[operation](...given) }));
} catch (error) {
  if (!(error instanceof ClientResponseError)) throw error;
  console.log(JSON.stringify({ status: error.status, message: error.message, code: error.response.code }));
}

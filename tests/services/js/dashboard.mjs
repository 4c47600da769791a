// PocketBase's dashboard in Chromium, driven by the tests: logs in, reads, changes and makes a record, takes its file. What it saw
// stands as JSON on the last line.
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const { URL: url, MAIL, PASSWORD, CHROMIUM, TITLE, CHANGED, FILE_TITLE, FILE, FILE_NAME, PICTURES } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
const seen = { refused: [], elsewhere: [] };
const page = await (await browser.newContext({ acceptDownloads: true })).newPage();
page.setDefaultTimeout(20_000);
page.on("response", async (answer) => {
  if (answer.status() >= 400) seen.refused.push([answer.status(), answer.request().method(), answer.url().replace(url, ""), await answer.text().catch(() => "")]);
});
page.on("request", (request) => {
  const address = request.url();
  if (!address.startsWith(url) && !/^(data|blob):/.test(address)) seen.elsewhere.push(address);
});

try {
  await page.goto(`${url}/_/`);
  await page.getByLabel("Email").fill(MAIL);
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("button", { name: "Login" }).click();
  await page.waitForURL(/collections/);
  await page.getByText("notes", { exact: true }).first().click();

  const row = (text) => page.locator("tr", { hasText: text }).first();
  await row(TITLE).waitFor();
  seen.row = await row(TITLE).innerText();
  await row(TITLE).click();
  const field = (name) => page.locator(`textarea[name=${name}]`);
  await field("body").waitFor();
  seen.title = await field("title").inputValue();
  seen.body = await field("body").inputValue();
  await field("body").fill(CHANGED);
  const save = page.getByRole("button", { name: /Save/ }).first();
  await save.click();
  await field("body").waitFor({ state: "detached" });
  await row(CHANGED).waitFor();

  await page.getByRole("button", { name: "New record" }).first().click();
  await field("title").fill(FILE_TITLE);
  const file = { name: FILE_NAME, mimeType: "text/plain", buffer: await readFile(FILE) };
  await page.locator("input[type=file]").first().setInputFiles(file);
  await page.getByRole("button", { name: /Create/ }).first().click();
  await row(FILE_TITLE).waitFor();
  await row(FILE_TITLE).click();
  await field("title").waitFor();
  const [opened] = await Promise.all([
    Promise.any([page.waitForEvent("download"), page.context().waitForEvent("page")]),
    page.locator(".modal, .panel, body").last().getByText(/^(file|plan)_.*\.(bin|txt)$/).last().click(),
  ]);
  seen.opened = opened.url();
  if (opened.createReadStream) {
    const parts = [];
    for await (const part of await opened.createReadStream()) parts.push(part);
    seen.file = Buffer.concat(parts).toString("base64");
  }
} catch (error) {
  seen.error = String(error);
  await page.screenshot({ path: `${PICTURES}/dashboard.png` });
}
console.log(JSON.stringify(seen));
await browser.close();

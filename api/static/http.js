// Requests with this tab's key; every refusal becomes an error with the API's own sentence.

const KEPT = "echoic-key";

export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEPT),
  set: (value) => sessionStorage.setItem(KEPT, value),
  forget: () => sessionStorage.removeItem(KEPT),
};

function headers(more) {
  const held = key.get();
  return { ...(held ? { Authorization: `Bearer ${held}` } : {}), ...more };
}

// What the API answers: its body, and its ETag where there is one.
export async function ask(method, path, { body, match, once } = {}) {
  let answer;
  try {
    answer = await fetch(`/v1${path}`, {
      method,
      headers: headers({
        ...(body ? { "Content-Type": "application/json" } : {}),
        ...(match ? { "If-Match": `"${match}"` } : {}),
        ...(once ? { "Idempotency-Key": once } : {}),
      }),
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, "The API cannot be reached. Nothing was changed.");
  }
  const found = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) {
    const first = found?.errors?.[0];
    throw new Refused(answer.status, first ? `${first.at}: ${first.problem}` : found?.detail ?? "The API refused this.");
  }
  return found;
}

// Which part answers; also told when one does not.
export async function ready() {
  const answer = await fetch("/readyz").catch(() => null);
  if (!answer) throw new Refused(0, "The API cannot be reached.");
  return answer.json();
}

// A file that the API sends, saved under a name.
export async function download(path, name, signal) {
  const answer = await fetch(`/v1${path}`, { headers: headers(), signal }).catch((error) => {
    throw signal.aborted ? error : new Refused(0, "The API cannot be reached.");
  });
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => null))?.detail ?? "The API refused this.");
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await answer.blob()), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const userPath = (userId, rest = "") => `/users/${encodeURIComponent(userId)}${rest}`;

// Calls `heard(kind, data)` for what happens to one person, until `signal` aborts; goes on after a cut.
export async function follow(userId, heard, signal) {
  let last = null;
  while (!signal.aborted) {
    try {
      const more = last ? { "Last-Event-ID": last } : {};
      const answer = await fetch(`/v1${userPath(userId, "/events")}`, { headers: headers(more), signal });
      if (answer.status === 401 || answer.status === 403) return;
      let text = "";
      for await (const piece of pieces(answer)) {
        text += piece;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
          last = fields.id ?? last;
          if (fields.event) heard(fields.event, JSON.parse(fields.data));
          else if (fields.id) heard("stream.began", {}); // what came before it was not heard: look again
        }
      }
    } catch {
      // cut off, or left: the loop decides
    }
    if (!signal.aborted) await new Promise((done) => setTimeout(done, 2000));
  }
}

async function* pieces(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}

// One call: join a room, publish the microphone, play the agent; show what both say, and what memory does meanwhile.

import { make, one } from "./dom.js";
import { given } from "./given.js";
import { ask, follow, Refused, userPath } from "./http.js";

const CLIENT = "/static/vendor/livekit-client.umd.js"; // half a megabyte: only for who calls
const LISTENS = new Set(["listening", "thinking", "speaking"]); // what an agent that has begun says of itself

const AGAIN_MS = 2000;

let room = null;
let user = "";
let hearing = null;
let invitation = "";
let unsent = []; // written while no agent was there: the room keeps nothing for one that comes later
let begun = 0;

export function meet(userId, fixed) {
  if (!room) one("user").value ||= userId;
  one("user").readOnly = fixed;
}

export function wire() {
  one("join").addEventListener("submit", callOrHangUp);
  one("write").addEventListener("submit", write);
  one("mute").addEventListener("click", toggleMute);
}

async function callOrHangUp(event) {
  event.preventDefault();
  if (room) return void room.disconnect();
  one("call").disabled = true;
  one("said").replaceChildren();
  one("learned").replaceChildren();
  one("unlearned").hidden = false;
  say("Calling …");
  try {
    await call(one("user").value.trim());
  } catch (failure) {
    await room?.disconnect();
    room = null;
    say(failure.message);
  } finally {
    one("call").disabled = false;
  }
}

async function call(userId) {
  if (!window.RTCPeerConnection) throw new Error("This browser cannot place calls (it has no WebRTC). What is remembered can be seen all the same.");
  const { url, token } = await ask("POST", userPath(userId, "/talk"));
  const { Room, RoomEvent } = await client();
  [user, room, invitation, unsent, begun] = [userId, new Room(), "Connected. Speak.", [], Date.now()];
  one("mute").hidden = false;
  showMuted(false);
  room.on(RoomEvent.TrackSubscribed, (track) => track.kind === "audio" && document.body.append(track.attach()));
  room.on(RoomEvent.Disconnected, hungUp);
  room.on(RoomEvent.ParticipantConnected, inviteOnceReady);
  room.on(RoomEvent.ParticipantAttributesChanged, inviteOnceReady);
  room.on(RoomEvent.ParticipantDisconnected, () => say("The agent is gone; another one should come …"));
  room.on(RoomEvent.Reconnecting, () => say("The connection was lost; trying again …"));
  room.on(RoomEvent.Reconnected, () => say("Connected."));
  room.registerTextStreamHandler("lk.transcription", read);
  hearing?.abort();
  hearing = new AbortController(); // learning goes on after the call: heard until the next one
  follow(user, heard, hearing.signal);
  await connect(url, token);
  one("call").textContent = "Hang up";
  one("user").disabled = true;
  one("write").hidden = false;
  say("Waiting for the agent …");
  await inviteOnceReady();
  await openMicrophone();
}

async function connect(url, token) {
  try {
    await room.connect(url, token);
  } catch (failure) { // its own message names the address and the token
    const refused = failure.status === 401 || /token|unauthori[sz]ed/i.test(failure.message);
    throw new Error(refused ? "The ticket for this call is not valid any more: call again." : "LiveKit cannot be reached: call again in a moment.");
  }
}

function client() {
  if (window.LivekitClient) return window.LivekitClient;
  return new Promise((done, failed) => {
    const script = make("script", { src: CLIENT });
    script.addEventListener("load", () => done(window.LivekitClient));
    script.addEventListener("error", () => failed(new Error("The page is not whole: load it again.")));
    document.head.append(script);
  });
}

function say(sentence) {
  if (one("state").textContent !== sentence) one("state").textContent = sentence;
}

function line(id, who, text) {
  let shown = one(`said-${id}`);
  if (!shown) {
    shown = make("li", { id: `said-${id}`, className: who }, make("span"));
    one("said").append(shown);
  }
  shown.firstChild.textContent = text;
  shown.scrollIntoView({ block: "nearest" });
  return shown;
}

async function read(reader, participant) {
  const id = reader.info.attributes?.["lk.segment_id"] ?? reader.info.id;
  const who = participant.identity === room?.localParticipant.identity ? "caller" : "agent";
  let text = "";
  try {
    for await (const piece of reader) {
      text += piece;
      if (text.trim()) line(id, who, text);
    }
  } catch (cut) { // somebody left in the middle of it: what was said so far stays
    if (!(cut instanceof window.LivekitClient.DataStreamError)) throw cut;
  }
}

function agentListens() {
  return [...(room?.remoteParticipants.values() ?? [])].some((other) => LISTENS.has(other.attributes["lk.agent.state"]));
}

async function inviteOnceReady() {
  if (!agentListens()) return;
  say(invitation);
  for (const text of unsent.splice(0)) await send(text);
}

async function openMicrophone() {
  try {
    await room.localParticipant.setMicrophoneEnabled(true);
  } catch (refusal) {
    invitation = `No microphone (${refusal.message}). You can write.`;
    one("mute").hidden = true;
    say(invitation);
  }
}

async function send(text) {
  await room?.localParticipant.sendText(text, { topic: "lk.chat" });
}

async function write(event) {
  event.preventDefault();
  const text = one("text").value.trim();
  if (!text || !room) return;
  one("text").value = "";
  line(crypto.randomUUID(), "caller", text);
  if (agentListens()) await send(text);
  else unsent.push(text);
}

function showMuted(muted) {
  one("mute").setAttribute("aria-pressed", String(muted));
  one("mute").textContent = muted ? "Unmute" : "Mute";
}

async function toggleMute() {
  const muted = one("mute").getAttribute("aria-pressed") === "true";
  await room?.localParticipant.setMicrophoneEnabled(muted);
  showMuted(!muted);
}

function hungUp() {
  room = null;
  document.querySelectorAll("audio").forEach((sound) => sound.remove());
  one("call").textContent = "Call";
  one("user").disabled = false;
  one("write").hidden = true;
  one("mute").hidden = true;
  say("The call has ended.");
}

// What happens in this person's memory, as it happens.
async function heard(kind, data) {
  const { signal } = hearing;
  while (!signal.aborted) {
    try {
      if (kind === "turn.captured" && data.role === "assistant") await showGiven(data);
      if (kind === "fact.added") await showLearned(data.fact_id);
      return;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (![0, 429, 503].includes(error.status)) return; // forgotten meanwhile, or not ours to see
      await new Promise((done) => setTimeout(done, AGAIN_MS)); // the API is away for a moment
    }
  }
}

// The oldest reply without a panel is the one that was stored now: both come in order.
async function showGiven({ turn_id: turnId, interrupted, recall, at }) {
  if (new Date(at) < begun) return;
  const shown = one("said");
  const reply = shown.querySelector(`[data-turn="${turnId}"]`) ?? shown.querySelector("li.agent:not([data-turn])");
  if (!reply || reply.querySelector("details")) return;
  reply.dataset.turn = turnId;
  const turn = await ask("GET", userPath(user, `/turns/${turnId}`));
  reply.firstChild.textContent = interrupted ? `${turn.text} – cut off here` : turn.text;
  if (recall) reply.append(await given(user, recall));
}

async function showLearned(factId) {
  if (one(`learned-${factId}`)) return;
  const fact = await ask("GET", userPath(user, `/facts/${factId}`));
  one("unlearned").hidden = true;
  one("learned").append(make(
    "li",
    { id: `learned-${factId}` },
    make("p", { textContent: fact.text }),
    ...fact.evidence.map((said) => make("blockquote", { textContent: `“${said.quote}”` })),
  ));
}

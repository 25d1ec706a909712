// One call: join a room of its own, publish the microphone, play the agent, show what both say.
"use strict";

const { DataStreamError, Room, RoomEvent, Track } = LivekitClient;
const part = (id) => document.getElementById(id);
const say = (sentence) => { if (part("state").textContent !== sentence) part("state").textContent = sentence; };

const LISTENS = new Set(["listening", "thinking", "speaking"]);  // what an agent that has begun says of itself

let room = null;
let invitation = "";
let unsent = [];  // written while no agent was there: the room keeps nothing for one that comes later

function show(id, who, text) {
  let line = part(`said-${id}`);
  if (!line) {
    line = document.createElement("li");
    line.id = `said-${id}`;
    line.className = who;
    part("said").append(line);
  }
  line.textContent = text;
  line.scrollIntoView({ block: "nearest" });
}

async function read(reader, participant) {
  const id = reader.info.attributes?.["lk.segment_id"] ?? reader.info.id;
  const who = participant.identity === room?.localParticipant.identity ? "caller" : "agent";
  let text = "";
  try {
    for await (const piece of reader) {
      text += piece;
      if (text.trim()) show(id, who, text);
    }
  } catch (cut) {  // somebody left in the middle of it: what was said so far stays
    if (!(cut instanceof DataStreamError)) throw cut;
  }
}

function play(track) {
  if (track.kind === Track.Kind.Audio) document.body.append(track.attach());
}

function showMuted(muted) {
  part("mute").setAttribute("aria-pressed", String(muted));
  part("mute").textContent = muted ? "Unmute" : "Mute";
}

function agentListens() {
  return [...(room?.remoteParticipants.values() ?? [])].some((one) => LISTENS.has(one.attributes["lk.agent.state"]));
}

async function send(text) {
  await room?.localParticipant.sendText(text, { topic: "lk.chat" });
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
    part("mute").hidden = true;
    say(invitation);
  }
}

function hungUp() {
  room = null;
  document.querySelectorAll("audio").forEach((sound) => sound.remove());
  part("call").textContent = "Call";
  part("write").hidden = true;
  say("The call has ended.");
}

async function admitted(user) {
  const answer = await fetch("join", { method: "POST", body: JSON.stringify({ user }) });
  const body = answer.headers.get("Content-Type") === "application/json" ? await answer.json() : {};
  if (!answer.ok) throw new Error(body.error ?? "You were not let in; is `echoic dev` still running?");
  return body;
}

async function call(user) {
  const { url, token } = await admitted(user);
  room = new Room();
  invitation = "Connected. Speak.";
  unsent = [];
  part("mute").hidden = false;
  showMuted(false);
  room.on(RoomEvent.TrackSubscribed, play);
  room.on(RoomEvent.Disconnected, hungUp);
  room.on(RoomEvent.ParticipantConnected, inviteOnceReady);
  room.on(RoomEvent.ParticipantAttributesChanged, inviteOnceReady);
  room.on(RoomEvent.ParticipantDisconnected, () => say("The agent is gone; another one should come …"));
  room.on(RoomEvent.Reconnecting, () => say("The connection was lost; trying again …"));
  room.on(RoomEvent.Reconnected, () => say("Connected."));
  room.registerTextStreamHandler("lk.transcription", read);
  await room.connect(url, token);
  part("call").textContent = "Hang up";
  part("write").hidden = false;
  say("Waiting for the agent …");
  await inviteOnceReady();
  await openMicrophone();
}

part("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (room) return void room.disconnect();
  part("call").disabled = true;
  part("said").replaceChildren();
  say("Calling …");
  try {
    await call(part("user").value.trim());
  } catch (failure) {
    await room?.disconnect();
    room = null;
    say(failure.message);
  } finally {
    part("call").disabled = false;
  }
});

part("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = part("text").value.trim();
  if (!text || !room) return;
  part("text").value = "";
  show(crypto.randomUUID(), "caller", text);
  if (agentListens()) await send(text);
  else unsent.push(text);
});

part("mute").addEventListener("click", async () => {
  const muted = part("mute").getAttribute("aria-pressed") === "true";
  await room?.localParticipant.setMicrophoneEnabled(muted);
  showMuted(!muted);
});

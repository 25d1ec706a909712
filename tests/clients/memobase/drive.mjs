// Memobase's JavaScript client, unchanged: `node drive.mjs ADDRESS KEY USER`, one conversation, told as JSON.
// It runs beside the `node_modules` in which the client is.
import memobase from "@memobase/memobase";

const { MemoBaseClient, User } = memobase;
const [address, key, id] = process.argv.slice(2);
const client = new MemoBaseClient(address, key);
const told = {};

const methods = [MemoBaseClient, User].flatMap((kind) => {
  const names = Object.getOwnPropertyNames(kind.prototype).filter((name) => !["constructor", "fetch"].includes(name));
  return names.map((name) => [kind.prototype, name]);
});
const called = new Set();
for (const [prototype, name] of methods) {
  const method = prototype[name];
  prototype[name] = function (...given) {
    called.add(method);
    return method.apply(this, given);
  };
}

/** What an error is, as its own class says it; an answer is a fault of the test. */
async function refused(asking) {
  try {
    return `no error: ${JSON.stringify(await asking)}`;
  } catch (error) {
    return error.name === "ServerError" ? "ServerError" : error.message;
  }
}

const question = "What is my dog called?";
const said = (content) => ({ type: "chat", messages: [{ role: "user", content }] });

told.ping = await client.ping();
told.unknown = await refused(client.getUser(id));
told.noUuid = await refused(client.getUser("gus"));
told.wrongKey = await refused(new MemoBaseClient(address, "wrong").getUsers());
const user = await client.getOrCreateUser(id);
told.again = (await client.getOrCreateUser(id)).userId === id;
told.taken = await refused(client.addUser({ name: "Bo" }, id));
told.made = (await client.getUser(await client.addUser({ name: "Bo" }))).fields.data;
told.changed = (await client.updateUser(id, { plan: "gold" })) === id && (await client.getUser(id)).fields.data;

const blob = await user.insert({ ...said("My dog is called Biscuit."), fields: { from: "web" } });
const kept = await user.get(blob);
told.blob = [kept.blob_type, kept.blob_data.messages[0].content, kept.fields];
told.blobs = (await user.getAll("chat")).includes(blob);
told.flushed = await user.flush("chat", true);
const doc = await user.insert({ type: "doc", content: "A page." });
told.deleted = (await user.delete(doc)) && (await refused(user.get(doc)));

const added = await user.addProfile("Porto", "contact_info", "city");
await user.updateProfile(added, "Lisbon", "contact_info", "city");
for (const city of ["a", "b", "c"]) await user.addProfile(city, "places", city);
const profile = await user.profile(1000, ["contact_info"], ["contact_info", "pets"]);
told.profile = profile.map((one) => [one.topic, one.sub_topic !== "", one.content]);
told.dated = profile.every((one) => one.created_at > 0 && one.updated_at > 0);
told.limited = (await user.profile(1000, [], ["places"], undefined, { places: 2 })).length;
told.fewer = (await user.profile(1000, [], ["places"], 1)).length;
told.dropped = (await user.deleteProfile(added)) && (await refused(user.deleteProfile(added)));

const [event] = await user.event(10, 1000);
told.delta = event.event_data.profile_delta.map((one) => one.content);
told.found = (await user.searchEvent(question)).map((one) => one.id === event.id);
told.gists = (await user.searchEventGist(question)).map((one) => [one.gist_data.content, one.similarity > 0.2]);
await user.updateEvent(event.id, { event_tip: "Spoke of a dog.", event_tags: [{ tag: "mood", value: "glad" }] });
const changed = (await user.event())[0].event_data;
told.event = [changed.event_tip, changed.event_tags];

const chats = [{ role: "user", content: question }];
told.context = await user.context(500, 5, ["pets"], ["pets"], { pets: 3 }, 0.7, false, chats, 0.1);
told.framed = await user.context(
  500, undefined, undefined, ["pets"], undefined, 0.5, undefined, chats, 0.1,
  "<{profile_section}|{event_section}> {other}", true, false,
);
told.event_deleted = (await user.deleteEvent(event.id)) && (await user.event()).length;

told.config = (await client.updateConfig("language: en\n")) && (await client.getConfig());
told.wrongConfig = await client.updateConfig("event_tags: 7");
const { users, count } = await client.getUsers(id.slice(0, 13), "profile_count", false, 5, 0);
told.users = [users.map((one) => [one.id === id, one.profile_count]), count];
const [today] = await client.getUsage(3);
told.usage = Object.keys(today).sort();
told.gone = (await client.deleteUser(id)) && (await refused(client.getUser(id)));
told.goneTwice = await client.deleteUser(id);
told.calls = `${called.size} of ${methods.length}`;
console.log(JSON.stringify(told));

// A client of the hub as VMS has it: @microsoft/signalr as it comes from npm. It takes one command a line on stdin,
// [id, method, ...arguments], and writes one JSON line for whatever happens.
import { createRequire } from "node:module";
import readline from "node:readline";

const [folder, url, token, reconnects] = process.argv.slice(2);
const signalR = createRequire(folder + "/")("@microsoft/signalr");
const tell = (what, value) => process.stdout.write(JSON.stringify([what, value]) + "\n");

const builder = new signalR.HubConnectionBuilder()
  .withUrl(url, { accessTokenFactory: () => token })
  .configureLogging(signalR.LogLevel.None);
const connection = (reconnects === "yes" ? builder.withAutomaticReconnect(Array(100).fill(200)) : builder).build();
for (const name of ["OrderUpdated", "PaymentUpdated", "BuyerUpdated", "StockUpdated", "Reset"]) {
  connection.on(name, (...values) => tell(name, values));
}
connection.onclose((error) => tell("closed", error ? String(error.message) : null));
connection.onreconnecting(() => tell("reconnecting", null));
connection.onreconnected(() => tell("reconnected", null));

try {
  await connection.start();
  tell("started", connection.connectionId);
} catch (error) {
  tell("refused", String(error.message));
  process.exit(0);
}
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [id, method, ...values] = JSON.parse(line);
  if (method === "stop") break;
  try {
    tell("answer", [id, await connection.invoke(method, ...values)]);
  } catch (error) {
    tell("error", [id, String(error.message)]);
  }
}
await connection.stop();
tell("stopped", null);
process.exit(0);

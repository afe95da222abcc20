// Makes mongod a replica set and gives every database its user; run by mongosh as root. Repeatable: users that exist get
// the password of the environment, so changing it there and running this again rotates it.
const address = process.env.MONGODB_ADDRESS;
const databases = ["intake", "identity", "payments", "notifications", "analytics", "vault"];

const server = connect(
  `mongodb://root:${encodeURIComponent(process.env.MONGODB_PASSWORD_ROOT)}@${address}/admin?directConnection=true`,
);
try {
  server.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  server.adminCommand({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host: address }] } });
}
while (!server.hello().isWritablePrimary) sleep(200);

for (const name of databases) {
  const database = server.getSiblingDB(name);
  const login = {
    pwd: process.env[`MONGODB_PASSWORD_${name.toUpperCase()}`],
    roles: ["readWrite", "dbAdmin"].map((role) => ({ role, db: name })),
  };
  if (database.getUser(name)) database.updateUser(name, login);
  else database.createUser({ user: name, ...login });
}
const watcher = { pwd: process.env.MONGODB_PASSWORD_EXPORTER, roles: ["clusterMonitor", { role: "read", db: "local" }] };
if (server.getUser("exporter")) server.updateUser("exporter", watcher);
else server.createUser({ user: "exporter", ...watcher });

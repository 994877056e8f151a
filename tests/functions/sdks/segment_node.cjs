// One call of each kind with Segment's own SDK for Node: node segment_node.cjs <host> <write key>
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, flushInterval: 100 });
analytics.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
analytics.identify({ userId: "u1", traits: { plan: "pro" } });
analytics.track({ userId: "u1", event: "Order Completed", properties: { total: 12.5 }, timestamp: new Date("2020-01-01") });
analytics.page({ anonymousId: "a1", name: "Pricing" });
analytics.screen({ anonymousId: "a1", name: "Start" });
analytics.group({ userId: "u1", groupId: "g1", traits: { seats: 5 } });
analytics.alias({ userId: "u1", previousId: "a1" });
analytics.closeAndFlush({ timeout: 20000 });

// POST / -> one record, answered when all in-sync replicas have it.
"use strict";

const express = require("express");
const { Kafka, logLevel } = require("kafkajs");

const [address, broker, topic] = process.argv.slice(2);
const [host, port] = address.split(":");

const kafka = new Kafka({
  clientId: "bench", brokers: [broker], logLevel: logLevel.NOTHING,
});
const producer = kafka.producer();
const app = express();

app.use(express.json());

app.post("/", async (req, res) => {
  try {
    await producer.send({
      topic,
      acks: -1,
      messages: [{ value: JSON.stringify(req.body) }],
    });
    res.json({ success: true });
  } catch (err) {
    res.status(500).json({ success: false, message: err.message });
  }
});

producer.connect().then(() => {
  app.listen(Number(port), host);
});

//! POST / -> one record, answered 200 when all in-sync replicas have it.
//!
//!     post ADDRESS BROKER TOPIC
//!
//! The body is checked (JSON, UTF-8) and produced as it came.  One thread
//! serves HTTP, librdkafka has its own.

use std::{str, time::Duration};

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{header, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
    Router,
};
use rdkafka::{
    producer::{FutureProducer, FutureRecord},
    ClientConfig,
};
use serde::de::IgnoredAny;

#[derive(Clone)]
struct App {
    producer: FutureProducer,
    topic: &'static str,
}

fn is_json(body: &[u8]) -> bool {
    str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

async fn produce(State(app): State<App>, body: Bytes) -> Response {
    if !is_json(&body) {
        return (StatusCode::BAD_REQUEST, "not JSON\n").into_response();
    }

    let record = FutureRecord::<(), [u8]>::to(app.topic).payload(&body);

    match app.producer.send(record, Duration::ZERO).await {
        Ok(kept) => (
            [(header::CONTENT_TYPE, "application/json")],
            format!(
                "{{\"topic\":\"{}\",\"partition\":{},\"offset\":{}}}\n",
                app.topic, kept.partition, kept.offset
            ),
        )
            .into_response(),
        Err((error, _)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("post ADDRESS BROKER TOPIC");
    let (address, broker, topic) = (next(), next(), next());

    let producer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("socket.nagle.disable", "true")
        .set("queue.buffering.max.messages", "1000000")
        .set("message.timeout.ms", "5000")
        .create()
        .expect("a producer");

    let app = Router::new()
        .route("/", post(produce))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(App {
            producer,
            topic: topic.leak(),
        });

    let listener = tokio::net::TcpListener::bind(address)
        .await
        .expect("a port");
    axum::serve(listener, app).await.expect("a server");
}
